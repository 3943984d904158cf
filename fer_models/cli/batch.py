"""python -m fer_models batch DIR_OR_ZIP --out FILE: a table of every face in a folder or a zip of pictures."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_models.cli.common import MODEL_FLAGS, add_flags, analyzer_of

if TYPE_CHECKING:
    from fer_models.analyzer import Analyzer
    from fer_models.batch.checkpoint import Checkpoint
    from fer_models.batch.labels import Labels
    from fer_models.batch.table import Row
    from fer_models.media.sources import PictureFile

_PRINTED = 10  # likely wrong labels in the terminal; --report has all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.description = (
        "Classify every face in a folder or a zip of pictures with every model, into one table. The same command given "
        "again continues a run that was stopped. Texts in a CSV that a spreadsheet would run as a formula get a ' in "
        "front; a Parquet file has them as they are."
    )
    add = parser.add_argument
    add("source", type=Path, metavar="DIR_OR_ZIP", help="folder, with all below it, or .zip, which is not unpacked")
    add("--out", type=Path, required=True, metavar="FILE", help="table to write: .csv or .parquet")
    add(
        "--labels",
        type=Path,
        metavar="FILE.csv",
        help="labels: a CSV with the columns file and label (default: the names of class folders, if there are any)",
    )
    add("--report", type=Path, metavar="FILE.json", help="with labels: write the figures and the likely wrong labels")
    add("--batch", type=int, default=32, metavar="N", help="faces per batch of the models (default: 32)")
    add("--whole-if-none", action="store_true", help="take a picture in which no face is detected as one face")
    add("--restart", action="store_true", help="begin anew and replace an existing output")
    add_flags(parser, *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Classify the files that are not in the checkpoint yet, then write the table and remove the checkpoint.

    Returns:
        0, or 1 if a file could not be read.

    Raises:
        FerError: source, labels, models or output cannot be used, or the checkpoint is of another run.
    """
    from fer_models.batch.checkpoint import Checkpoint, checkpoint_path
    from fer_models.batch.labels import labels_from_folders, read_labels, with_labels
    from fer_models.batch.table import check_output, table_columns, to_frame, write_table
    from fer_models.errors import BatchError
    from fer_models.media.sources import open_pictures

    check_output(args.out)
    if args.batch < 1:
        raise BatchError(f"--batch {args.batch} holds nothing. Use 1 or more.")
    checkpoint_file = checkpoint_path(args.out)
    if args.out.exists() and not checkpoint_file.exists() and not args.restart:
        raise BatchError(f"{args.out} is there already, complete. Name another --out, or replace it with --restart.")
    with open_pictures(args.source) as pictures:
        names = [file.name for file in pictures.files]
        labels = read_labels(args.labels, names) if args.labels else labels_from_folders(names)
        if args.report and not labels:
            raise BatchError(
                "There is nothing to report, as no picture has a label. Give --labels, or name at least two folders "
                "after expressions."
            )
        analyzer = analyzer_of(args)
        with Checkpoint(
            checkpoint_file, _settings(args, analyzer), restart=args.restart, every=args.batch
        ) as checkpoint:
            try:
                _analyze(analyzer, pictures.files, checkpoint, args)
            except KeyboardInterrupt:
                print("stopped; the same command continues from here", file=sys.stderr)
                raise
            rows = checkpoint.rows(pictures.files)
            known = {name: model.card.labels for name, model in analyzer.classifiers.items()}
            if labels:
                rows = with_labels(rows, labels)
            write_table(to_frame(rows, table_columns(known, labelled=bool(labels))), args.out)
            checkpoint.remove()
    failed = _summary(rows, len(names), pictures.left_out, args.out)
    if labels:
        _report(rows, list(analyzer.classifiers), labels, args.report)
    return int(failed > 0)


def _settings(args: argparse.Namespace, analyzer: "Analyzer") -> dict[str, Any]:
    """All that decides about the rows; a checkpoint is continued only if it is the same."""
    from dataclasses import asdict

    from fer_models import __version__

    return {
        "version": __version__,
        "source": str(args.source.resolve()),
        "models": {
            name: [model.card.sha256, model.card.temperature, list(model.card.labels), asdict(model.card.input)]
            for name, model in analyzer.classifiers.items()
        },
        "options": {"whole_if_none": args.whole_if_none},
    }


def _analyze(
    analyzer: "Analyzer", files: Sequence["PictureFile"], checkpoint: "Checkpoint", args: argparse.Namespace
) -> None:
    from contextlib import closing

    from tqdm import tqdm

    from fer_models.batch.run import analyze_files

    rest = [file for file in files if not checkpoint.has(file)]
    done = len(files) - len(rest)
    if done:
        print(f"{done} of {len(files)} files are done already; continuing with the others", file=sys.stderr)
    results = analyze_files(analyzer, rest, batch=args.batch, whole_if_none=args.whole_if_none)
    with (
        closing(results),
        tqdm(total=len(files), initial=done, unit="file", file=sys.stderr, disable=None) as bar,
    ):
        for result in results:
            checkpoint.add(result.file, result.rows)
            bar.update()
    checkpoint.sync()


def _summary(rows: Sequence["Row"], files: int, left_out: Sequence[str], out: Path) -> int:
    """Print a line of counts and return how many files could not be read."""
    from fer_models.batch.run import unreadable
    from fer_models.formatting import examples

    failed = sum(unreadable(row) for row in rows)
    faces = sum(row.get("face") is not None for row in rows)
    without = sum(row.get("face") is None for row in rows) - failed
    others = f" {len(left_out)} other files were left out: {examples(left_out)}." if left_out else ""
    print(f"{files} files: {faces} faces, {without} without a face, {failed} not readable.{others} Written to {out}.")
    return failed


def _report(rows: Sequence["Row"], models: Sequence[str], labels: "Labels", path: Path | None) -> None:
    """Print what became of the labels and the models' metrics against them; write both to a file if one is named."""
    from dataclasses import asdict

    from fer_models.batch.labels import likely_wrong, measure
    from fer_models.media.files import write_json

    figures, wrong = measure(rows, models), likely_wrong(rows, models)
    counted = next((figure.count for figure in figures.values()), 0)
    for note in labels.notes():
        print(note)
    print(
        f"{len(labels)} labelled files: measured on {counted} faces, the largest of each; {len(labels) - counted} have "
        "no face to read."
    )
    for name, figure in figures.items():
        print(f"{name:24} accuracy {figure.accuracy:7.2%}  macro-F1 {figure.macro_f1:.4f}  faces {figure.count}")
        print(f"{'':24} recall   {_recalls(figure.recall)}")
    if wrong:
        print(f"{len(wrong)} labels are likely wrong: all models contradict them. The surest:")
    for item in wrong[:_PRINTED]:
        print(f"  {item.confidence:4.0%}  {item.file}: labelled {item.given}, read as {item.answer}")
    if path:
        document = {
            "labels": labels.document(),
            "models": {name: asdict(figure) for name, figure in figures.items()},
            "likely_wrong": [asdict(item) for item in wrong],
        }
        write_json(path, document)


def _recalls(recall: Mapping[str, float | None]) -> str:
    return "  ".join(f"{name} {'-' if share is None else f'{share:.0%}'}" for name, share in recall.items())
