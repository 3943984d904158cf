"""python -m fer_models batch SOURCE --out FILE: a table of every face in pictures and videos."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fer_models import __version__
from fer_models.cli.common import (
    ENGINES,
    MODEL_FLAGS,
    add_flag,
    add_flags,
    analyzer_of,
    positive,
    whole_number,
    with_interval,
)

if TYPE_CHECKING:
    from fer_models.analyzer import Analyzer
    from fer_models.batch.checkpoint import Checkpoint
    from fer_models.batch.labels import Labels
    from fer_models.batch.run import Counts
    from fer_models.batch.table import Row
    from fer_models.batch.videos import VideoPart
    from fer_models.media.sources import PictureFile, Pictures

#: What runs a batch on a cluster: it stands above this package and needs an extra, so it is imported when asked for.
_CLUSTER: Final = ("ray", "cluster.batch_command")
_PRINTED = 10  # likely wrong labels in the terminal; --report has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.description = (
        "Classify every face in a folder or a zip of pictures with every model, into one table. Of videos, --rate "
        "frames per second are analysed, each with its rows, which follow those of the pictures: time_s is the "
        "frame's time, track the face's number through the video. The same command given again continues a run that "
        "was stopped. Texts in a CSV that a spreadsheet would run as a formula get a ' in front; a Parquet file has "
        "them as they are. With --engine ray, several processes or machines share the work."
    )
    add = parser.add_argument
    add(
        "source",
        type=_location,
        metavar="SOURCE",
        help="folder, with all below it, a video, or a .zip of pictures, which is not unpacked; with --engine ray a "
        "folder, its URI (s3://, gs://), a video, or a .csv or .parquet whose column file lists pictures and videos",
    )
    add(
        "--out",
        type=_location,
        required=True,
        metavar="FILE",
        help="table to write: .csv or .parquet; with --engine ray a folder DIR.parquet or its URI",
    )
    add(
        "--labels",
        type=Path,
        metavar="FILE.csv",
        help="labels: a CSV with the columns file and label (default: the names of class folders, if there are any)",
    )
    add_flag(parser, "class-names")
    add("--report", type=Path, metavar="FILE.json", help="with labels: write the figures and the likely wrong labels")
    add("--batch", type=int, default=32, metavar="N", help="faces per batch of the models (default: 32)")
    add("--whole-if-none", action="store_true", help="take a picture in which no face is detected as one face")
    add_flag(parser, "rate", type=positive, help="frames per second of videos to analyse (default: %(default)g)")
    add("--restart", action="store_true", help="begin anew and replace an existing output")
    add_flags(parser, *(flag for flag in MODEL_FLAGS if flag != "engine"))
    add_flag(
        parser,
        "engine",
        choices=[*ENGINES, _CLUSTER[0]],
        help="what runs the networks; openvino is optional, faster, and less exact (default: auto, onnxruntime on a "
        "CPU). ray, also optional, shares the work among processes and machines (docs/batch-and-video.md)",
    )
    ray = parser.add_argument_group("with --engine ray")
    ray.add_argument("--address", help="of a running Ray cluster (default: one on this machine, for this run)")
    ray.add_argument(
        "--workers",
        type=whole_number(1, 100_000),
        metavar="N",
        help="processes that hold the models, at most (default: one per GPU or, without any, per core)",
    )


def _location(text: str) -> Path | str:
    """A path, or a URI as it is."""
    return text if "://" in text else Path(text)


def run(args: argparse.Namespace) -> int:
    """Classify the files that are not in the checkpoint yet, then write the table and remove the checkpoint.

    Returns:
        0, or 1 if a file could not be read.

    Raises:
        FerError: source, labels, models or output cannot be used, or the checkpoint is of another run.
    """
    if args.engine == _CLUSTER[0]:
        return int(import_module(_CLUSTER[1]).run(args))
    from fer_models.batch.checkpoint import Checkpoint, checkpoint_path, run_settings
    from fer_models.batch.labels import with_labels
    from fer_models.batch.run import count_rows
    from fer_models.batch.table import check_output, table_columns, to_frame, write_table
    from fer_models.batch.videos import video_parts, with_tracks
    from fer_models.errors import BatchError
    from fer_models.media.sources import open_pictures

    if args.address or args.workers:
        raise BatchError("--address and --workers are for --engine ray.")
    for location in (args.source, args.out):
        if isinstance(location, str):
            raise BatchError(f"{location} is no path. Buckets take --engine ray.")
    check_output(args.out)
    if args.batch < 1:
        raise BatchError(f"--batch {args.batch} holds nothing. Use 1 or more.")
    checkpoint_file = checkpoint_path(args.out)
    if args.out.exists() and not checkpoint_file.exists() and not args.restart:
        raise BatchError(f"{args.out} is there already, complete. Name another --out, or replace it with --restart.")
    with open_pictures(args.source, videos=True) as pictures:
        labels = labels_of(args, [file.name for file in pictures.files])
        analyzer = analyzer_of(args)
        settings = run_settings(
            str(args.source.resolve()),
            analyzer,
            __version__,
            whole_if_none=args.whole_if_none,
            rate=args.rate if pictures.videos else None,
        )
        with Checkpoint(checkpoint_file, settings, restart=args.restart, every=args.batch) as checkpoint:
            try:
                videos = [video_parts(video, args.rate) for video in pictures.videos]
                _analyze(analyzer, pictures.files, videos, checkpoint, args)
            except KeyboardInterrupt:
                print("stopped; the same command continues from here", file=sys.stderr)
                raise
            rows = checkpoint.rows(pictures.files)
            known = {name: model.card.labels for name, model in analyzer.classifiers.items()}
            if labels:
                rows = with_labels(rows, labels)
            labelled = rows
            rows = rows + [row for parts in videos for row in with_tracks(checkpoint.rows(parts))]
            columns = table_columns(known, labelled=bool(labels), videos=bool(videos))
            write_table(to_frame(rows, columns), args.out)
            checkpoint.remove()
    counts = count_rows(rows)
    print_summary(pictures, counts, args.out)
    if labels:
        print_report(labelled, list(analyzer.classifiers), labels, args.report)
    return int(bool(counts.unreadable))


def labels_of(args: argparse.Namespace, names: Sequence[str]) -> "Labels":
    """The labels of --labels or of class folders.

    Args:
        args: of the command.
        names: the batch's files.

    Raises:
        BatchError: --report has nothing to report on.
        DatasetError: the labels cannot be read or used.
    """
    from fer_models.batch.labels import labels_from_folders, read_labels
    from fer_models.errors import BatchError

    given = args.class_names
    labels = read_labels(args.labels, names, given) if args.labels else labels_from_folders(names, given)
    if args.report and not labels:
        raise BatchError(
            "There is nothing to report, as no picture has a label. Give --labels, or name at least two folders "
            "after expressions, or say with --class-names what their names stand for."
        )
    return labels


def _analyze(
    analyzer: "Analyzer",
    files: Sequence["PictureFile"],
    videos: Sequence[Sequence["VideoPart"]],
    checkpoint: "Checkpoint",
    args: argparse.Namespace,
) -> None:
    from contextlib import closing

    from tqdm import tqdm

    from fer_models.batch.run import analyze_files
    from fer_models.batch.videos import analyze_segment

    rest = [file for file in files if not checkpoint.has(file)]
    parts = [part for video in videos for part in video]
    left = [part for part in parts if not checkpoint.has(part)]
    total = len(files) + len(parts)
    done = total - len(rest) - len(left)
    if done:
        print(f"{done} of {items(total, len(parts))} are done already; continuing with the others", file=sys.stderr)
    results = analyze_files(analyzer, rest, batch=args.batch, whole_if_none=args.whole_if_none)
    with (
        closing(results),
        tqdm(total=total, initial=done, unit="part" if parts else "file", file=sys.stderr, disable=None) as bar,
    ):
        for result in results:
            checkpoint.add(result.file, result.rows)
            bar.update()
        for part in left:
            checkpoint.add(part, analyze_segment(analyzer, part, args.rate))
            checkpoint.sync()  # half a minute of video is worth the wait
            bar.update()
    checkpoint.sync()


def items(total: int, parts: int) -> str:
    """So many files, or parts if there are segments of videos among them."""
    return f"{total} {'parts' if parts else 'files'}"


def print_summary(pictures: "Pictures", counts: "Counts", out: Path | str) -> None:
    """Print a line of counts.

    Args:
        pictures: the batch's files.
        counts: of the table's rows.
        out: where the table is.
    """
    from fer_models.formatting import examples

    unreadable, left_out = counts.unreadable, pictures.left_out
    named = f" ({examples(unreadable)})" if unreadable else ""
    videos = (
        f" Among them {len(pictures.videos)} videos: {counts.frames} frames analysed, {counts.empty_frames} of them "
        "without a face."
        if pictures.videos
        else ""
    )
    others = f" {len(left_out)} other files were left out: {examples(left_out)}." if left_out else ""
    print(
        f"{len(pictures.files) + len(pictures.videos)} files: {counts.faces} faces, {counts.without} without a face, "
        f"{len(unreadable)} not readable{named}.{videos}{others} Written to {out}."
    )


def print_report(rows: Sequence["Row"], models: Sequence[str], labels: "Labels", path: Path | None) -> None:
    """Print what became of the labels and the models' metrics against them; write both to a file if one is named."""
    from dataclasses import asdict

    from fer_models.batch.labels import likely_wrong, measure
    from fer_models.evaluation.statistics import wilson
    from fer_models.media.files import write_json

    figures, wrong = measure(rows, models), likely_wrong(rows, models)
    intervals = {name: wilson(figure.right, figure.count) for name, figure in figures.items()}
    counted = next((figure.count for figure in figures.values()), 0)
    for note in labels.notes():
        print(note)
    print(
        f"{len(labels)} labelled files: measured on {counted} faces, the largest of each; {len(labels) - counted} have "
        "no face to read."
    )
    for name, figure in figures.items():
        accuracy = with_interval(intervals[name])
        print(f"{name:24} accuracy {accuracy}  macro-F1 {figure.macro_f1:.4f}  faces {figure.count}")
        print(f"{'':24} recall   {_recalls(figure.recall)}")
    if wrong:
        print(f"{len(wrong)} labels are likely wrong: all models contradict them. The surest:")
    for item in wrong[:_PRINTED]:
        print(f"  {item.confidence:4.0%}  {item.file}: labelled {item.given}, read as {item.answer}")
    if path:
        document = {
            "labels": labels.document(),
            "models": {
                name: asdict(figure) | {"accuracy_interval": asdict(intervals[name])}
                for name, figure in figures.items()
            },
            "likely_wrong": [asdict(item) for item in wrong],
        }
        write_json(path, document)


def _recalls(recall: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {'-' if share is None else f'{share:.0%}'}" for name, share in recall.items())
