"""A whole comparison against the usual way and against what the machine could do at best, in one run."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.usual_way import usual_way
from explain.maps import attention
from fer_models.analyzer import Analyzer
from fer_models.evaluation.records import EngineTimes, WholeComparison
from fer_models.media.images import read_picture

PICTURE: Final = Path(__file__).resolve().parents[1] / "examples" / "camera.jpg"
_WARM_UP: Final = 3
_FACES: Final = (1, 2, 4, 8, 16)
_MATRIX: Final = 2048  # rows and columns: large enough to reach the processor's best rate
_MATRIX_GPU: Final = 8192  # the same for a GPU
_COPIED: Final = 1 << 28  # bytes: larger than any cache


def time_comparison(
    analyzer: Analyzer, rounds: int, others: Mapping[str, Analyzer] = MappingProxyType({}), seed: int = 0
) -> WholeComparison:
    """Time a comparison of all models on one photo of one face, with detection and all evidence maps.

    In every round each way is timed once, in a new random order, so that other load affects all alike.

    Args:
        analyzer: with all models.
        rounds: how often, at least 1.
        others: the same models on other engines, by what these are called.
        seed: of the orders.
    """
    image = read_picture(PICTURE).pixels
    first = next(iter(analyzer.classifiers.values()))
    device, dtype = first.device, getattr(torch, first.engine.precision)
    if device.type == "cpu":
        dtype = torch.float32  # for engines that compute some networks in less
    detected = analyzer.detect(image)[:1]
    face, crop = detected[0]
    ways: dict[str, Callable[[], object]] = {
        "usual way": usual_way(device),
        "whole": lambda: _compare(analyzer, image),
        "detection": lambda: analyzer.detect(image),
        **{f"{count} faces": partial(analyzer.predict, [(0, face, crop)] * count, features=True) for count in _FACES},
    }
    for name, other in others.items():
        ways[name] = partial(_compare, other, image)
        for count in (1, _FACES[-1]):
            ways[f"{name}, {count}"] = partial(other.predict, [(0, face, crop)] * count, features=True)
    times = _rounds(ways, rounds, seed)
    cards = [model.card for model in analyzer.classifiers.values()]
    rate, bandwidth = _multiply_adds_per_second(device, dtype), _bytes_per_second(device)
    return WholeComparison(
        usual_way_ms=_percentiles(times["usual way"]),
        whole_ms=_percentiles(times["whole"]),
        detection_ms=_percentiles(times["detection"]),
        networks_ms={count: float(np.median(times[f"{count} faces"])) for count in _FACES},
        multiply_adds_per_second=rate,
        bytes_per_second=bandwidth,
        arithmetic_floor_ms=1000 * sum(card.multiply_adds or 0 for card in cards) / rate,
        memory_floor_ms=1000 * sum(dtype.itemsize * card.parameters for card in cards) / bandwidth,
        other_engines={
            name: EngineTimes(
                whole_ms=_percentiles(times[name]),
                networks_ms={count: float(np.median(times[f"{name}, {count}"])) for count in (1, _FACES[-1])},
            )
            for name in others
        },
    )


def _compare(analyzer: Analyzer, image: NDArray[np.uint8]) -> None:
    for analysis in analyzer.analyze([image], features=True):
        for name, prediction in analysis.predictions.items():
            attention(prediction, analyzer.classifiers[name].class_weights)


def _rounds(ways: Mapping[str, Callable[[], object]], rounds: int, seed: int) -> dict[str, list[float]]:
    """Times in ms by way."""
    generator = np.random.default_rng(seed)
    names = [*ways]
    times: dict[str, list[float]] = {name: [] for name in names}
    for number in range(_WARM_UP + rounds):
        for index in generator.permutation(len(names)):
            began = time.perf_counter()
            ways[names[index]]()
            if number >= _WARM_UP:
                times[names[index]].append((time.perf_counter() - began) * 1000)
    return times


def _percentiles(times: Sequence[float]) -> tuple[float, float]:
    return float(np.percentile(times, 50)), float(np.percentile(times, 95))


def _multiply_adds_per_second(device: torch.device, dtype: torch.dtype) -> float:
    """Of a large matrix product with PyTorch, the best of several."""
    side = _MATRIX if device.type == "cpu" else _MATRIX_GPU
    a, b = (torch.rand(side, side, dtype=dtype, device=device) for _ in range(2))
    return float(side**3 / _best(lambda: a @ b, device))


def _bytes_per_second(device: torch.device) -> float:
    """Read by a large sum, the best of several."""
    numbers = torch.ones(_COPIED // 4, device=device)
    return _COPIED / _best(numbers.sum, device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    seconds = []
    for _ in range(10):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - began)
    return min(seconds)
