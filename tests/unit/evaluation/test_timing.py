"""Times: medians and quantiles by hand, every model once a round, stoppable; and the file of the benchmark."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import latency
from fer_models.evaluation.records import WholeComparison
from fer_models.evaluation.timing import Timing, time_models
from fer_models.expressions import EXPRESSIONS
from fer_models.results import Prediction

ZEROS = np.zeros(7, np.float32)


@dataclass
class Clock:
    """A model whose n-th single face takes n ms and whose faces in batches take 4 ms each."""

    name: str
    calls: list[str]
    sizes: list[int] = field(default_factory=list)

    def predict(self, crops: Sequence[NDArray[np.uint8]]) -> list[Prediction]:
        self.calls.append(self.name)
        self.sizes.append(len(crops))
        time = float(len(self.sizes)) if len(crops) == 1 else 4.0
        return [Prediction(self.name, EXPRESSIONS, ZEROS, ZEROS, 1.0, time) for _ in crops]


def test_times_by_hand() -> None:
    calls: list[str] = []
    models = [Clock("a", calls), Clock("b", calls)]
    *_, last = time_models(models, repeats=21, batches=3)
    # Two rounds of warm-up are not counted: the times of single faces are 3 to 23 ms.
    assert last.timings == {name: Timing(p50_ms=13, p95_ms=22, throughput=250) for name in "ab"}
    assert models[0].sizes == [1] * 23 + [16] * 5
    rounds = [calls[start : start + 2] for start in range(0, len(calls), 2)]
    assert all(sorted(order) == ["a", "b"] for order in rounds)
    assert ["a", "b"] in rounds and ["b", "a"] in rounds


def test_progress_grows_and_can_be_stopped() -> None:
    shares = [progress.share for progress in time_models([Clock("a", [])], repeats=3, batches=1)]
    assert shares == sorted(shares) and shares[-1] == 1.0 and len(set(shares)) == len(shares) == 8
    model = Clock("a", [])
    measuring = time_models([model], repeats=100, batches=1)
    next(measuring)
    del measuring
    assert len(model.sizes) == 1


def test_the_benchmark_writes_what_it_measured(
    weights_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def peak(name: str, *_: object) -> float:
        asked.append(name)
        return 100.0

    whole = WholeComparison(
        usual_way_ms=(800, 900),
        whole_ms=(40, 50),
        detection_ms=(10, 12),
        networks_ms={1: 30, 16: 240},
        multiply_adds_per_second=1e11,
        bytes_per_second=1e10,
        arithmetic_floor_ms=15,
        memory_floor_ms=9,
    )
    monkeypatch.setattr(latency, "peak_memory_mb", peak)
    monkeypatch.setattr(latency, "time_comparison", lambda *_: whole)
    file = tmp_path / "latency.json"
    words = ["--weights", str(weights_dir), "--device", "cpu", "--repeats", "2", "--batches", "1", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", ["latency", *words])
    latency.main()
    document = json.loads(file.read_text())
    assert document["device"] == "cpu" and document["repeats"] == 2
    assert sorted(asked) == sorted([*document["models"], "nothing"])
    for times in document["models"].values():
        assert 0 < times["p50_ms"] <= times["p95_ms"] and times["throughput"] > 0 and len(times["sha256"]) == 64
    assert document["engine"] == "onnxruntime, float32" and document["dtype"] == "float32"
    printed = capsys.readouterr().out
    assert "p50_ms" in printed
    for ratio in ("20.0 times as fast", "2.0 times", "at 16 faces 2.0"):  # 800 / 40, 30 / 15, 30 x 16 / 240
        assert ratio in printed
