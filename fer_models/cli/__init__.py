"""One module a command of `python -m fer_models`; each imports PyTorch only when it runs."""
