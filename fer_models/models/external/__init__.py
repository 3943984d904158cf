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

Any ONNX classifier of expressions is a model, too: `onnx_file` checks it, `graph_card` reads the card beside it,
`graph_families` has the cards of well-known files, `graph_head` finds the linear head that gives evidence maps, and
`onnx_model` runs it. `tflite_model` does the same for TFLite files, and `peers` for those inside other packages.

`files` says which files of a folder are models, `checkpoints` reads one without executing anything in it,
`state_dict` finds the one network it holds, `recognition` tells the architecture, and `load` makes the model of a
checkpoint and its card.
"""
