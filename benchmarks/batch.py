"""How much faster many pictures are read as a batch than one by one, measured side by side in one run.

python -m benchmarks.batch [--pictures N] [--rounds N] [--batch N] [--json FILE]

The pictures are the example photos, mirrored, turned a little and scaled by a seed, so that none is read twice. Both
ways take turns over the same pictures and do the same work: decode, find faces, align, every model. The ratio of their
times is the result; the times themselves depend on the machine and on what else it does.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fer_models.analyzer import Analyzer, load_analyzer
from fer_models.batch.run import BATCH, analyze_files
from fer_models.evaluation.records.benchmarks import BatchRecord
from fer_models.evaluation.store import write_record
from fer_models.media.images import read_image
from fer_models.media.sources import open_pictures

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
#: Of them, fixed so that figures stay comparable when examples are added.
PHOTOS = ("astronaut.jpg", "camera.jpg", "cat.jpg", "several_faces.jpg")


def make_pictures(folder: Path, count: int, seed: int = 0) -> list[Path]:
    """Write variants of the example photos as JPEG, 320 to 640 px wide."""
    generator = np.random.default_rng(seed)
    originals = [Image.fromarray(read_image(path)) for path in map(EXAMPLES.joinpath, PHOTOS)]
    paths = []
    for index in range(count):
        picture = originals[index % len(originals)]
        width = int(generator.integers(320, 641))
        picture = picture.resize((width, round(width * picture.height / picture.width)), Image.Resampling.BOX)
        if generator.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        picture = picture.rotate(float(generator.uniform(-10, 10)), Image.Resampling.BILINEAR)
        paths.append(folder / f"{index:05}.jpg")
        picture.save(paths[-1], quality=90)
    return paths


def one_by_one(analyzer: Analyzer, paths: list[Path]) -> int:
    """Read every picture on its own; how many faces there are."""
    return sum(len(analyzer.analyze([read_image(path)])) for path in paths)


def as_batch(analyzer: Analyzer, folder: Path, batch: int) -> int:
    """Read the folder as a batch; how many faces there are."""
    with open_pictures(folder) as pictures:
        return sum(len(result.crops) for result in analyze_files(analyzer, pictures.files, batch=batch))


def measure(count: int, rounds: int, batch: int) -> dict[str, Any]:
    """Both ways in turn, and the ratio of their times in each round."""
    analyzer = load_analyzer(device="cpu")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = make_pictures(folder, count)
        one_by_one(analyzer, paths[:4])  # the detector is loaded at its first picture
        seconds: dict[str, list[float]] = {"one_by_one": [], "batch": []}
        faces = set()
        for _ in range(rounds):
            began = time.perf_counter()
            faces.add(one_by_one(analyzer, paths))
            between = time.perf_counter()
            faces.add(as_batch(analyzer, folder, batch))
            seconds["one_by_one"].append(between - began)
            seconds["batch"].append(time.perf_counter() - between)
    if len(faces) != 1:
        raise RuntimeError(f"Both ways must find the same faces; found {sorted(faces)}.")
    ratios = [alone / together for alone, together in zip(*seconds.values(), strict=True)]
    return {
        "pictures": count,
        "faces": faces.pop(),
        "batch": batch,
        "models": list(analyzer.classifiers),
        "torch_threads": torch.get_num_threads(),
        "seconds": {way: [round(value, 2) for value in values] for way, values in seconds.items()},
        "times_faster": {
            "median": round(statistics.median(ratios), 2),
            "rounds": [round(ratio, 2) for ratio in ratios],
        },
    }


def main() -> None:
    """Measure, print, and write the file."""
    parser = argparse.ArgumentParser(description="Reading a batch against reading its pictures one by one.")
    parser.add_argument("--pictures", type=int, default=300, help="how many pictures (default: 300)")
    parser.add_argument("--rounds", type=int, default=3, help="how often both ways take their turn (default: 3)")
    parser.add_argument(
        "--batch", type=int, default=BATCH, help=f"faces the models are given at once (default: {BATCH})"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    args = parser.parse_args()
    options = f"--pictures {args.pictures} --rounds {args.rounds} --batch {args.batch}"
    result = {"command": f"python -m benchmarks.batch {options}"} | measure(args.pictures, args.rounds, args.batch)
    record = BatchRecord.model_validate(result)
    print(record.text(), end="")
    if args.json:
        write_record(record, args.json)


if __name__ == "__main__":
    main()
