"""The label noise study's small networks, in pairs that differ only in training. Not models of the Analyzer."""

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fer_models.errors import FerError
from fer_models.models.classifier import Classifier, load_classifier

#: A subfolder of the weights, so that nothing takes them for models.
FOLDER: Final = "noise"
_NAME: Final = re.compile(r"noise_(plain|eac)_(\d{1,3})_(\d+)")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class NoisePair:
    """Two networks trained on the same faces with the same wrong labels.

    Attributes:
        noise: percentage of the training labels that were flipped.
        plain: trained with cross-entropy.
        eac: trained with Erasing Attention Consistency.
    """

    noise: int
    plain: Classifier
    eac: Classifier


def load_noise_pairs(weights: Path, device: str = "auto") -> Mapping[int, NoisePair]:
    """Load the pairs in a folder's noise/, as `python -m fer_models study noise` wrote them.

    A share of noise counts if some seed has both methods; the lowest such seed is used. Unusable files are left out
    with a line in the log.

    Args:
        weights: the folder of the models' weights.
        device: as for `load_classifier`.

    Returns:
        Pairs by percentage of flipped labels, ascending; empty if there are none.
    """
    found: dict[int, dict[int, set[str]]] = {}
    for path in (weights / FOLDER).glob("*.safetensors"):
        if match := _NAME.fullmatch(path.stem):
            method, noise, seed = match.groups()
            found.setdefault(int(noise), {}).setdefault(int(seed), set()).add(method)
    pairs = {}
    for noise, seeds in sorted(found.items()):
        seed = min((seed for seed, methods in seeds.items() if len(methods) == 2), default=None)
        if seed is None:
            continue
        names = [f"noise_{method}_{noise}_{seed}" for method in ("plain", "eac")]
        try:
            pairs[noise] = NoisePair(noise, *(load_classifier(name, weights / FOLDER, device) for name in names))
        except FerError as error:
            _log.warning("The networks trained on %d %% wrong labels are left out. %s", noise, error)
    return pairs
