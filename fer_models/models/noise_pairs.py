"""The label noise study's small networks, in pairs that differ only in training. Not models of the Analyzer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # names and files are found without PyTorch
    from fer_models.models.classifier import Classifier

#: A subfolder of the weights, so that nothing takes them for models.
FOLDER: Final = "noise"
_NAME: Final = re.compile(r"noise_(plain|eac)_(\d{1,3})_(\d+)")


@dataclass(frozen=True, eq=False)
class NoisePair:
    """Two networks trained on the same faces with the same wrong labels.

    Attributes:
        noise: percentage of the training labels that were flipped.
        plain: trained with cross-entropy.
        eac: trained with Erasing Attention Consistency.
    """

    noise: int
    plain: "Classifier"
    eac: "Classifier"


def is_noise_network(name: str) -> bool:
    """Whether a network is one of the study's, by its name."""
    return _NAME.fullmatch(name) is not None


def find_noise_pairs(weights: Path) -> Mapping[int, tuple[str, str]]:
    """The pairs in a folder's noise/, as `python -m fer_models study noise` wrote them; nothing is loaded.

    A share of noise counts if some seed has both methods; the lowest such seed is used.

    Args:
        weights: the folder of the models' weights.

    Returns:
        Names of the plain and the EAC network by percentage of flipped labels, ascending; empty if there are none.
    """
    methods: dict[tuple[int, int], set[str]] = {}
    for path in (weights / FOLDER).glob("*.safetensors"):
        if match := _NAME.fullmatch(path.stem):
            method, noise, seed = match.groups()
            methods.setdefault((int(noise), int(seed)), set()).add(method)
    complete = sorted((key for key, both in methods.items() if len(both) == 2), reverse=True)
    names = {noise: (f"noise_plain_{noise}_{seed}", f"noise_eac_{noise}_{seed}") for noise, seed in complete}
    return dict(sorted(names.items()))


def load_noise_pair(weights: Path, noise: int, device: str = "auto") -> NoisePair:
    """Load one of `find_noise_pairs`.

    Args:
        weights: the folder of the models' weights.
        noise: percentage of flipped labels.
        device: as for `load_classifier`.

    Raises:
        FerError: a card or a weight file is missing or damaged.
        KeyError: there is no such pair.
    """
    from fer_models.models.classifier import load_classifier

    plain, eac = find_noise_pairs(weights)[noise]
    # One face at a time: preparing another engine for eight networks would take longer than it saves.
    return NoisePair(noise, *(load_classifier(name, weights / FOLDER, device, "torch") for name in (plain, eac)))
