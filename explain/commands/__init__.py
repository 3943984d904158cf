"""One module a command of `python -m fer_models`, named there; these alone may read labelled faces."""
