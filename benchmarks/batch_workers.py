"""How much faster a batch on Ray is with more workers, measured side by side in one run.

python -m benchmarks.batch_workers [--pictures N] [--workers N ...] [--rounds N] [--models NAME ...] [--json FILE]

The numbers of workers take turns over the same pictures (`benchmarks.batch.make_pictures`), each with a cluster of its
own on this machine. The speed is that of the parts: from when as many are written as there are workers until the last
one. So it leaves out how long Ray and the models take to start; that is in the file beside it. The ratio is the result,
as speeds depend on the machine and on what else it does.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet

from benchmarks.batch import make_pictures
from fer_models.media.files import write_json

_LIMIT_S = 3600.0


def run_batch(folder: Path, out: Path, workers: int, models: Sequence[str]) -> tuple[float, float]:
    """Files per second once all workers are busy, and the seconds before that."""
    command = [sys.executable, "-m", "fer_models", "batch", str(folder), "--out", str(out), "--device", "cpu"]
    command += ["--engine", "ray", "--workers", str(workers), *(["--models", *models] if models else [])]
    began = time.time()
    subprocess.run(command, check=True, timeout=_LIMIT_S, stdout=subprocess.DEVNULL)
    parts = sorted(out.glob("part-*.parquet"), key=lambda path: path.stat().st_mtime)
    if len(parts) < 4 * workers:
        raise SystemExit(f"{len(parts)} parts are too few for {workers} workers. Give more --pictures.")
    files = [len(set(pyarrow.parquet.read_table(part, columns=["file"])["file"].to_pylist())) for part in parts]
    first, last = (parts[index].stat().st_mtime for index in (workers - 1, -1))
    return sum(files[workers:]) / (last - first), first - began


def measure(pictures: int, workers: Sequence[int], rounds: int, models: Sequence[str]) -> dict[str, Any]:
    """All numbers of workers in turn, and the ratio of each one's speed to the first one's in each round."""
    speeds: dict[int, list[float]] = {count: [] for count in workers}
    starts: dict[int, list[float]] = {count: [] for count in workers}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "pictures")
        folder.mkdir()
        make_pictures(folder, pictures)
        for number in range(rounds):
            for count in workers:
                speed, start = run_batch(folder, Path(name, f"{number}-{count}.parquet"), count, models)
                speeds[count].append(speed)
                starts[count].append(start)
    ratios = {
        count: [more / one for more, one in zip(speeds[count], speeds[workers[0]], strict=True)] for count in workers
    }
    return {
        "pictures": pictures,
        "models": list(models) or "all",
        "files_per_second": {str(count): [round(speed, 1) for speed in speeds[count]] for count in workers},
        "seconds_to_start": {str(count): [round(start, 1) for start in starts[count]] for count in workers},
        "times_as_fast": {str(count): round(statistics.median(ratios[count]), 2) for count in workers},
    }


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser("python -m benchmarks.batch_workers", description="A batch on Ray by workers.")
    parser.add_argument("--pictures", type=int, default=2000, help="how many pictures (default: 2000)")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of workers (default: 1 2)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each takes its turn (default: 1)")
    parser.add_argument("--models", nargs="+", default=[], metavar="NAME", help="only these models (default: all)")
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    result = measure(args.pictures, args.workers, args.rounds, args.models)
    for count, ratio in result["times_as_fast"].items():
        speeds = ", ".join(map(str, result["files_per_second"][count]))
        print(f"{count} workers: {speeds} files per second, {ratio} times as fast as {args.workers[0]}")
    if args.json:
        write_json(args.json, result)


if __name__ == "__main__":
    main()
