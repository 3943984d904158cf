"""python -m fer_models video FILE --out DIR: every face in a video, classified by every model."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fer_models.cli.common import MODEL_FLAGS, add_flag, add_flags, analyzer_of, positive
from fer_models.errors import FerError
from fer_models.interrupts import noted_interrupts


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a video, such as MP4, MOV, WebM, MKV, AVI or MTS")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    add_flag(parser, "rate", type=positive)
    parser.add_argument("--max-minutes", type=positive, default=10.0, help="longest video (default: %(default)g)")
    parser.add_argument("--max-mb", type=positive, default=500.0, help="largest file in MB (default: %(default)g)")
    parser.add_argument("--no-video", action="store_true", help="do not write annotated.mp4")
    add_flags(parser, *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Write annotated.mp4, frames.csv, frames.jsonl and summary.json; see `fer_models.video.run`.

    Ctrl-C ends the analysis and finishes the files with what is done; a second one ends at once.

    Returns:
        0, or 130 after Ctrl-C.

    Raises:
        FerError: the video cannot be read, the models not be loaded, or the results not be written.
    """
    from tqdm import tqdm

    from fer_models.media.video_files import Limits
    from fer_models.media.video_reader import VideoReader
    from fer_models.video.run import run_video

    limits = Limits(args.max_minutes, args.max_mb)
    VideoReader(args.file, limits).close()  # says what is wrong before the models are loaded
    if args.out.resolve() in (args.file.resolve(), *args.file.resolve().parents) and args.file.name == "annotated.mp4":
        raise FerError(f"{args.file} would be overwritten. Choose another --out.")
    analyzer = analyzer_of(args)
    last = None
    with (
        noted_interrupts("Finishing the files with what is done") as stopped,
        tqdm(total=0, unit="s", file=sys.stderr, disable=None, bar_format=_BAR) as bar,
    ):
        for last in run_video(
            analyzer,
            args.file,
            args.out,
            rate=args.rate,
            limits=limits,
            annotate=not args.no_video,
            stopped=lambda: bool(stopped),
        ):
            bar.total = round(last.info.duration_s or 0, 1) or None
            if last.frame is not None:
                bar.n = round(last.frame.time_s, 1)  # set, not added up: no rounding errors to be shown
                bar.update(0)
    assert last is not None and last.summary is not None
    print(_report(last.summary, args.out))
    return 0 if last.complete else 130


#: A total may be unknown, or turn out too short: tqdm has none then, and only its own fields stand that.
_BAR = "{l_bar}{bar}| {n_fmt}/{total_fmt} s of video [{elapsed}<{remaining}]"


def _report(summary: Mapping[str, Any], folder: Path) -> str:
    """The summary for people."""
    analysis = summary["analysis"]
    rows = [f"{analysis['seconds']:.1f} seconds, {analysis['frames']} frames analysed: {folder}", *summary["notes"]]
    if not summary["faces"]:
        rows.append("No face was found.")
    for face in summary["faces"]:
        rows.append(
            f"track {face['face']}: {face['seconds']:.1f} s from {face['first_s']:.1f} s to {face['last_s']:.1f} s, "
            f"the models disagree in {face['disagreement']:.0%} of it"
        )
        for name, shares in face["models"].items():
            ranked = sorted(shares.items(), key=lambda share: -share[1])[:3]
            rows.append(f"  {name:<18} " + ", ".join(f"{label} {share:.0%}" for label, share in ranked))
    return "\n".join(rows)
