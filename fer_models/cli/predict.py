"""python -m fer_models predict FILE...: every face in the pictures, classified by every model."""

import argparse
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from fer_models.cli.common import MODEL_FLAGS, add_flags, analyzer_of
from fer_models.errors import ImageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="pictures")
    parser.add_argument("--json", metavar="OUT", help="write one JSON line per picture to this file; - is the terminal")
    parser.add_argument("--whole-image", action="store_true", help="take each picture as one face, without detection")
    add_flags(parser, *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Classify the pictures' faces, in order. A picture that cannot be read is reported and the others go on.

    With --json, a line is the schema of `fer_models.schema` with the picture's name as "file" in front, or "file" and
    "error". Only results go to the standard output; progress and errors go to the standard error.

    Returns:
        0, or 1 if a picture could not be read.

    Raises:
        FerError: the models or the detector cannot be loaded, or the output cannot be written.
    """
    from tqdm import tqdm

    from fer_models.formatting import printable
    from fer_models.media.images import read_picture
    from fer_models.schema import to_json

    analyzer = analyzer_of(args)
    failed = False
    with _opened(args.json) as out:
        for path in tqdm(args.files, unit="picture", file=sys.stderr, disable=None):
            line: dict[str, Any] = {"file": str(path)}
            try:
                picture = read_picture(path)
                analyses = analyzer.analyze([picture.pixels], whole=args.whole_image)
                line |= to_json(picture.pixels, analyses, picture.notes)
            except ImageError as error:  # anything else would meet every picture
                failed = True
                line["error"] = str(error)
                tqdm.write(f"{printable(str(path))}: {error}", file=sys.stderr)
            print(json.dumps(line, allow_nan=False) if args.json else _table(line), file=out, flush=True)
    return int(failed)


@contextmanager
def _opened(target: str | None) -> Iterator[TextIO]:
    """The standard output, or a file that is closed in the end."""
    if target is None or target == "-":
        yield sys.stdout
        return
    from fer_models.media.files import open_text

    with open_text(Path(target)) as file:
        yield file


def _table(line: dict[str, Any]) -> str:
    """One picture's results for people."""
    from fer_models.formatting import printable

    if "error" in line:
        return f"{printable(line['file'])}: could not be read"
    rows = [f"{printable(line['file'])} ({line['image']['width']} x {line['image']['height']})"]
    rows += [f"  note: {note}" for note in line.get("notes", [])]
    if not line["faces"]:
        rows.append("  no face found; --whole-image takes the picture as one face")
    for number, face in enumerate(line["faces"], 1):
        box = ", ".join(f"{side:.0f}" for side in face["box"])
        rows.append(f"  face {number} at {box} (detected with score {face['score']:.2f})")
        rows += [f"    note: {note}" for note in face["quality"]["notes"]]
        for name, model in face["models"].items():
            share = model["probabilities"][model["label"]]
            rows.append(f"    {name:<18} {model['label']:<10} {share:6.1%}  {model['latency_ms']:7.1f} ms")
    return "\n".join(rows)
