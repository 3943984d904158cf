"""Facial expression recognition models side by side: faces in, predictions of every model out.

Importing this package loads no weights and starts no thread; `fer_models.analyzer.load_analyzer` does.
"""

__version__ = "0.1.0"
