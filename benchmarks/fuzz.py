"""Try damaged and hostile files on whatever decodes uploads, for some minutes: how many, and what went wrong.

    pip install -r benchmarks/requirements.txt
    python -m benchmarks.fuzz --seconds 60 --json weights/results/fuzz.json

Atheris (libFuzzer) alters good files and keeps what reaches new lines of Python; the decoders in C are tried, but do
not guide it. Anything but a picture, a frame or one of this project's own errors is a failure, and so is a file that
takes longer than 30 s or more than 4 GB.
"""

import argparse
import base64
import contextlib
import importlib.metadata
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
from PIL import Image

from fer_models.errors import FerError
from fer_models.evaluation.records.benchmarks import FuzzRecord
from fer_models.evaluation.store import write_record
from fer_models.media.images import read_image
from fer_models.media.sources import open_pictures
from fer_models.media.video_reader import VideoReader

_FORMATS: Final = ("JPEG", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF", "PPM")
_CLIPS: Final = (
    *(("mp4", "libx264"), ("matroska", "libx264"), ("webm", "libvpx"), ("avi", "mpeg4")),
    *(("mpegts", "libx264"), ("mpeg", "mpeg1video")),
)
#: Frames of a video and pictures of a zip that are read of each file.
_FEW: Final = 3
#: Until the first file is tried, every module is prepared, on a busy machine for minutes.
_START_S: Final = 600
_LIMITS: Final = ("-timeout=30", "-rss_limit_mb=4096", "-max_len=65536", "-print_final_stats=1")


def picture(content: bytes, _: Path) -> None:
    """Decode a picture."""
    read_image(content)


def video(content: bytes, folder: Path) -> None:
    """Open a video and decode its first frames."""
    path = folder / "input.mp4"
    path.write_bytes(content)
    with VideoReader(path) as reader:
        for _, _frame in zip(range(_FEW), reader.frames(), strict=False):
            pass


def archive(content: bytes, folder: Path) -> None:
    """Open a zip and decode its first pictures."""
    path = folder / "input.zip"
    path.write_bytes(content)
    with open_pictures(path) as found:
        for file in found.files[:_FEW]:
            file.read()


TARGETS: Final[dict[str, Callable[[bytes, Path], None]]] = {"picture": picture, "video": video, "zip": archive}


def attempt(name: str, content: bytes, folder: Path) -> None:
    """Try one file on a target; its own errors are what it is for, any other is raised.

    Args:
        name: a key of `TARGETS`.
        content: of the file.
        folder: for files that must lie on a disk.
    """
    with contextlib.suppress(FerError):
        TARGETS[name](content, folder)


def seeds(name: str) -> list[bytes]:
    """Good files to begin with."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (32, 48, 3), np.uint8)
    files = []
    for form in _FORMATS:
        file = BytesIO()
        Image.fromarray(pixels).save(file, form)
        files.append(file.getvalue())
    if name == "picture":
        return files
    if name == "zip":
        packed = BytesIO()
        with zipfile.ZipFile(packed, "w") as zipped:
            for form, content in zip(_FORMATS, files, strict=True):
                zipped.writestr(f"folder/{form}.{form.lower()}", content, zipfile.ZIP_DEFLATED)
        return [packed.getvalue()]
    clips = []
    for container, codec in _CLIPS:
        clip = BytesIO()
        with av.open(clip, "w", format=container) as out:
            stream: Any = out.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            for _ in range(4):
                out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
            out.mux(stream.encode(None))
        clips.append(clip.getvalue())
    return clips


def fuzz(name: str, seconds: int) -> dict[str, Any]:
    """Try files on one target in a process of its own, which may crash.

    Returns:
        inputs: how many were tried; failure: None, or the words and the file, as base64, of the first, which ends it.
    """
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder) / "corpus"
        corpus.mkdir()
        for number, content in enumerate(seeds(name)):
            (corpus / str(number)).write_bytes(content)
        command = [sys.executable, "-m", "benchmarks.fuzz", "--target", name]
        words = [f"-max_total_time={seconds}", *_LIMITS, f"-artifact_prefix={folder}/", str(corpus)]
        try:
            result = subprocess.run([*command, *words], capture_output=True, text=True, timeout=seconds + _START_S)
        except subprocess.TimeoutExpired:
            return {"inputs": 0, "failure": {"words": "It did not end.", "files": []}}
        kept = [base64.b64encode(path.read_bytes()).decode() for path in Path(folder).iterdir() if path.is_file()]
    tried = re.search(r"stat::number_of_executed_units:\s+(\d+)", result.stderr)
    failure = None
    if result.returncode:
        _, _, words_of_python = result.stdout.partition("Uncaught Python exception")
        failure = {"words": words_of_python[:2000] or result.stderr[-2000:], "files": kept}
    return {"inputs": int(tried[1]) if tried else 0, "failure": failure}


def _run_target(name: str, words: list[str]) -> None:
    """Be the process of one target; never returns."""
    import atheris

    with tempfile.TemporaryDirectory() as folder:

        def one(content: bytes) -> None:
            attempt(name, content, Path(folder))

        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *words], one)
        atheris.Fuzz()


def main(arguments: list[str] | None = None) -> int:
    """Read the command line, try files on every target, write the figures.

    Returns:
        The exit code: 0, or 1 if there was a failure.
    """
    parser = argparse.ArgumentParser("python -m benchmarks.fuzz", description="Try hostile files on the decoders.")
    parser.add_argument("--seconds", type=int, default=60, help="for each kind of file (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="where to write the figures (default: the standard output)")
    parser.add_argument("--target", choices=TARGETS, help=argparse.SUPPRESS)
    args, words = parser.parse_known_args(arguments)
    if args.target:
        _run_target(args.target, words)
    if words:
        parser.error(f"unknown: {' '.join(words)}")
    result = {
        "command": f"python -m benchmarks.fuzz --seconds {args.seconds}",
        "seconds": args.seconds,
        "atheris": importlib.metadata.version("atheris"),
        "targets": {name: fuzz(name, args.seconds) for name in TARGETS},
    }
    record = FuzzRecord.model_validate(result)
    if args.json is None:
        print(record.text(), end="")
    else:
        write_record(record, args.json)
    return int(any(target.failure for target in record.targets.values()))


if __name__ == "__main__":
    sys.exit(main())
