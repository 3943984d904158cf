"""Baselines: networks trained only for comparison; their weights lie outside weights/ and are not shipped."""

from collections.abc import Collection, Sequence
from pathlib import Path

from fer_models.errors import FerError
from fer_models.models.classifier import Classifier, load_classifier


def load_baselines(
    paths: Sequence[Path], taken: Collection[str], device: str = "auto", engine: str = "auto"
) -> list[Classifier]:
    """Load the networks of these files.

    Args:
        paths: each a NAME.safetensors with NAME.json beside it.
        taken: names of models that are already loaded.
        device: as for `load_classifier`.
        engine: as for `load_classifier`.

    Raises:
        FerError: a file has another suffix, or the name of a model or of another baseline.
        WeightsError: weights are missing, altered, or do not fit their card.
        CardError: a card is missing or malformed.
    """
    found: dict[str, Classifier] = {}
    for path in paths:
        if path.suffix != ".safetensors":
            raise FerError(f"--baseline {path}: expected a file NAME.safetensors with its card NAME.json beside it.")
        if path.stem in (*taken, *found):
            raise FerError(f"--baseline {path}: there is already a model {path.stem}. Rename the file and its card.")
        found[path.stem] = load_classifier(path.stem, path.parent, device, engine)
    return list(found.values())
