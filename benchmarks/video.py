"""How long a video takes and whether memory grows with its length: python -m benchmarks.video [--minutes 1 3].

It makes 720p clips of a face from examples/ that moves, analyses each in a process of its own, and prints seconds of
work a second of video, and the peak memory of the longer clips relative to the first. Times depend on the machine and
on what else it does; the ratios are what counts.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import av
import cv2
import numpy as np

from fer_models.cli.common import add_flags
from fer_models.evaluation.records.benchmarks import VideoRecord
from fer_models.evaluation.store import write_record
from fer_models.media.images import read_image

_SIZE: Final = (1280, 720)
_FPS: Final = 25
_PHOTO: Final = Path(__file__).resolve().parents[1] / "examples" / "astronaut.jpg"


def make_clip(path: Path, minutes: float) -> None:
    """A photo that drifts from left to right and back, H.264 without sound."""
    photo = read_image(_PHOTO)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, options={"preset": "ultrafast"})
        stream.width, stream.height = _SIZE
        stream.pix_fmt = "yuv420p"
        for index in range(round(60 * minutes * _FPS)):
            shift = 380 * (1 + np.sin(index / 40))
            matrix = np.array([[1, 0, shift], [0, 1, 100]], np.float32)
            image = np.asarray(cv2.warpAffine(photo, matrix, _SIZE), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def measure(clip: Path, rate: float, device: str) -> dict[str, float]:
    """Analyse one clip in this process: seconds it took and peak memory in MB."""
    from fer_models.analyzer import load_analyzer
    from fer_models.media.video_files import Limits
    from fer_models.video.run import run_video

    analyzer = load_analyzer(device=device)
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for _ in run_video(analyzer, clip, Path(folder), rate=rate, limits=Limits(minutes=60, megabytes=10_000)):
            pass
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}


def main() -> None:
    """Make, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", nargs="+", type=float, default=[1, 3], help="lengths, up to 10 (default: 1 3)")
    parser.add_argument("--rate", type=float, default=5, help="analysed frames per second (default: 5)")
    add_flags(parser, "device", "json")
    parser.add_argument("--clip", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.clip:
        print(json.dumps(measure(args.clip, args.rate, args.device)))
        return
    if not all(0 < minutes <= 10 for minutes in args.minutes):
        parser.error("--minutes must be above 0 and at most 10")
    results: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in args.minutes:
            clip = Path(folder) / f"{minutes:g}.mp4"
            make_clip(clip, minutes)
            command = [sys.executable, "-m", "benchmarks.video", "--clip", str(clip)]
            command += ["--rate", str(args.rate), "--device", args.device]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            results.append({"minutes": minutes} | json.loads(done.stdout))
            last = results[-1]
            speed = last["seconds"] / (60 * minutes)
            print(
                f"{minutes:g} min at {args.rate:g} frames/s: {speed:.2f} s a second of video, "
                f"peak {last['peak_mb']:.0f} MB, x{last['peak_mb'] / results[0]['peak_mb']:.3f} of the first",
                flush=True,
            )
    if args.json:
        minutes = " ".join(f"{each:g}" for each in args.minutes)
        command_line = f"python -m benchmarks.video --minutes {minutes} --rate {args.rate:g}"
        record = VideoRecord.model_validate({"command": command_line, "rate": args.rate, "clips": results})
        write_record(record, args.json)


if __name__ == "__main__":
    main()
