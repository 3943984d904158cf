"""Measure how long each model takes for one face and in batches, and how much memory a process with it needs.

python -m benchmarks.latency [--repeats N] [--batches N] [--rounds N] [--threads N] [--device NAME] [--engine NAME]
    [--beside ENGINE ...] [--json FILE]

A model's times cover preprocessing and the network, not face detection. Every model is timed once a round, in an order
drawn anew, after a warm-up. Peak memory is that of a process of its own which loads the model and reads one batch. Then
the whole comparison is timed against the usual way and against what the machine could do at best.
"""

import argparse
import os
import platform
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from benchmarks.whole_comparison import time_comparison
from fer_models.analyzer import list_models, load_analyzer
from fer_models.cli.common import add_flags, use_threads, weights_folder, whole_number
from fer_models.evaluation.records import LatencyRecord, ModelLatency, WholeComparison, package_versions
from fer_models.evaluation.store import write_record
from fer_models.evaluation.timing import BATCH, Progress, time_models
from fer_models.models.classifier import engine_names, load_classifier
from fer_models.models.engines import ENGINES

ROOT = Path(__file__).resolve().parents[1]
#: Of `--peak`: no model at all, only the libraries.
NOTHING = "nothing"


def peak_memory_mb(name: str, weights: Path, device: str, engine: str) -> float:
    """Largest resident size in MB of a process that loads this model, or `NOTHING`, and reads one batch."""
    words = [sys.executable, "-m", "benchmarks.latency", "--peak", name, "--weights", str(weights)]
    words += ["--device", device, "--engine", engine]
    answer = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(answer.stdout)


def _tell_peak(name: str, weights: Path, device: str, engine: str) -> None:
    if name != NOTHING:
        load_classifier(name, weights, device, engine).predict([np.zeros((96, 96, 3), np.uint8)] * BATCH)
    print(_peak_mb())


def _peak_mb() -> float:
    """Largest resident size of this process so far in MB."""
    status = Path("/proc/self/status")
    if status.is_file():  # Linux: getrusage would tell the parent's size where that is larger
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # macOS tells bytes, others KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


def _machine(device: torch.device) -> str:
    """The machine in words."""
    gpu = f", {torch.cuda.get_device_name(device)}" if device.type == "cuda" else ""
    return f"{os.cpu_count()} CPU cores, {platform.machine()}{gpu}"


def measure(
    weights: Path, device: str, engine: str, repeats: int, batches: int, rounds: int, beside: Sequence[str] = ()
) -> LatencyRecord:
    """Every model's figures, and the settings they were measured with.

    Args:
        weights: folder of the models.
        device: where they run.
        engine: that they run on.
        repeats: rounds of one face alone.
        batches: rounds of a batch.
        rounds: of whole comparisons.
        beside: further engines whose whole comparisons are timed in the same rounds.
    """
    classifiers = [load_classifier(name, weights, device, engine) for name in list_models(weights)]
    others = {}
    for name in beside:
        other = load_analyzer([model.name for model in classifiers], device=device, engine=name, weights=weights)
        others[engine_names(other.classifiers.values())] = other
    progress = Progress(0, {})
    with tqdm(total=100, file=sys.stderr, disable=None) as bar:
        for progress in time_models(classifiers, repeats=repeats, batches=batches):
            bar.update(round(100 * progress.share) - bar.n)
    return LatencyRecord(
        command=f"python -m benchmarks.latency --repeats {repeats} --batches {batches} --rounds {rounds}"
        + (f" --device {device}" if device != "auto" else "")
        + (f" --engine {engine}" if engine != "auto" else "")
        + (f" --beside {' '.join(beside)}" if beside else ""),
        machine=_machine(classifiers[0].device),
        device=str(classifiers[0].device),
        threads=torch.get_num_threads(),
        dtype=classifiers[0].engine.precision,
        batch=BATCH,
        repeats=repeats,
        batches=batches,
        versions=package_versions(),
        engine=engine_names(classifiers),
        memory_without_a_model_mb=peak_memory_mb(NOTHING, weights, device, engine),
        comparison=time_comparison(load_analyzer(device=device, engine=engine, weights=weights), rounds, others),
        models={
            model.name: ModelLatency(
                sha256=model.card.sha256,
                **asdict(progress.timings[model.name]),
                peak_memory_mb=peak_memory_mb(model.name, weights, device, engine),
            )
            for model in classifiers
        },
    )


def _summary(record: LatencyRecord, whole: WholeComparison) -> list[str]:
    """The ratios that the times are measured for."""
    one, most = whole.networks_ms[1], max(whole.networks_ms)
    speed_up = {name: f"{model.throughput * model.p50_ms / 1000:.1f}" for name, model in record.models.items()}
    return [
        f"whole comparison {whole.whole_ms[0]:.1f} ms, usual way {whole.usual_way_ms[0]:.0f} ms: "
        f"{whole.usual_way_ms[0] / whole.whole_ms[0]:.1f} times as fast",
        f"networks {one:.1f} ms against a floor of {whole.floor_ms:.1f} ms (arithmetic "
        f"{whole.arithmetic_floor_ms:.1f}, memory {whole.memory_floor_ms:.1f}): {one / whole.floor_ms:.1f} times",
        "ms by number of faces: " + ", ".join(f"{count}: {ms:.1f}" for count, ms in whole.networks_ms.items()),
        *(
            f"{name}: whole {times.whole_ms[0]:.1f} ms, {whole.usual_way_ms[0] / times.whole_ms[0]:.1f} times as fast; "
            + ", ".join(f"{count}: {ms:.1f}" for count, ms in times.networks_ms.items())
            for name, times in whole.other_engines.items()
        ),
        f"faces per second in batches of {record.batch} against one by one: {speed_up}, all models at {most} faces "
        f"{one * most / whole.networks_ms[most]:.1f}",
    ]


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description="How long each model takes, and how much memory.")
    parser.add_argument(
        "--repeats", type=whole_number(1), default=100, help="rounds of one face alone (default: %(default)s)"
    )
    parser.add_argument(
        "--batches", type=whole_number(1), default=20, help=f"rounds of {BATCH} faces (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds", type=whole_number(1), default=30, help="rounds of whole comparisons (default: %(default)s)"
    )
    parser.add_argument(
        "--beside", nargs="+", choices=ENGINES[1:], default=(), help="also time whole comparisons on these engines"
    )
    add_flags(parser, "threads", "weights", "device", "engine", "json")
    parser.add_argument("--peak", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    use_threads(args)
    weights = weights_folder(args)
    if args.peak:
        _tell_peak(args.peak, weights, args.device, args.engine)
        return
    record = measure(weights, args.device, args.engine, args.repeats, args.batches, args.rounds, args.beside)
    print(record.text(), end="")
    if record.comparison:
        print(*_summary(record, record.comparison), sep="\n")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
