"""External weights: files of other systems, read safely and recognised by the names and shapes of their tensors.

Two kinds of checkpoints are known:

* Checkpoints of the EAC authors' code (github.com/zyh-uaiaaaa/Erasing-Attention-Consistency, src/): `features.*` are
  the first children of VGGFace2's ResNet-50, `fc.*` is the head (model.py). Its faces are RGB, resized to 224 px,
  normalised with ImageNet's mean and deviation (main.py); its labels are RAF-DB's less one (dataset.py). With
  MobileNetV2, `features.*` are torchvision's and the head is `fc.*` or `classifier.*`. Dropped into weights/, such a
  file is a model.
* VGGFace2's `resnet50_ft_weight.pkl` (Cao et al., FG 2018; github.com/cydonia999/VGGFace2-pytorch): a dictionary of
  NumPy arrays that Python 2 pickled, with a head for 8,631 people. It is a start for training, not a model.

A file states neither strides nor labels. Where the assumptions above are wrong, put a card NAME.json beside NAME.pth:
its fields override them, even a card with nothing but {"labels": [...]}.

Training frameworks put a checkpoint's state dict under a key of their own and prefixes before its names. Both are
undone, whatever the key and however the prefixes nest.

Any other classifier of expressions is a model, too, with a card beside it (`cards`): a graph (`graphs`), weights of an
architecture of torchvision or timm (`torch_files`), or a folder of Hugging Face's transformers (`hugging_face`).
`files` says which files of a folder are models. `peers` are those inside other packages.
"""
