"""Weights of others that PyTorch runs.

`checkpoints` reads a file without executing anything in it, and `state_dict` finds the one network that it holds.
`recognition` tells the architecture of checkpoints that this project knows by their tensors, and `load` makes the model
of one and its card. `named` builds what a card names: an architecture of torchvision or timm. `places` finds where the
evidence maps of any network are. `script` reads TorchScript, which is code, for those who allow it.
"""
