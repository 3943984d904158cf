"""Facial expression recognition models side by side: faces in, the predictions of every model out.

    from fer_models import load_analyzer
    from fer_models.media.images import read_image

    analyzer = load_analyzer()
    for face in analyzer.analyze([read_image("photo.jpg")]):
        print(face.face.box, {name: prediction.label for name, prediction in face.predictions.items()})

Importing this package loads no weights and starts no thread. Its names are imported when they are first used, so that
nothing waits for PyTorch that does not need it.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from fer_models.analyzer import Analyzer, list_models, load_analyzer
    from fer_models.errors import FerError
    from fer_models.evaluation.evaluate import evaluate
    from fer_models.evaluation.records import EvaluationRecord
    from fer_models.expressions import EXPRESSIONS
    from fer_models.models.card import ModelCard
    from fer_models.registry import load_dataset
    from fer_models.results import Face, FaceAnalysis, Prediction

__all__ = [
    "EXPRESSIONS",
    "Analyzer",
    "EvaluationRecord",
    "Face",
    "FaceAnalysis",
    "FerError",
    "ModelCard",
    "Prediction",
    "__version__",
    "evaluate",
    "list_models",
    "load_analyzer",
    "load_dataset",
]

__version__ = "0.1.0"

# Before ONNX Runtime is imported: otherwise it reports its use to its makers (onnxruntime/Privacy.md).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

#: Where each public name is.
_MODULES: Final = {
    "EXPRESSIONS": "expressions",
    "Analyzer": "analyzer",
    "EvaluationRecord": "evaluation.records",
    "Face": "results",
    "FaceAnalysis": "results",
    "FerError": "errors",
    "ModelCard": "models.card",
    "Prediction": "results",
    "evaluate": "evaluation.evaluate",
    "list_models": "analyzer",
    "load_analyzer": "analyzer",
    "load_dataset": "registry",
}


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
