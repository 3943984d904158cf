"""python -m fer_models explain FILE: where the models' evidence lies in a face, as pictures and as numbers."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from explain.methods import METHODS, SMOOTHING
from fer_models.cli.common import MODEL_FLAGS, add_flags, analyzer_of

if TYPE_CHECKING:  # the help should not wait for NumPy
    import numpy as np
    from numpy.typing import NDArray

#: Side in px of the pictures that are written.
_SIDE: Final = 448


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add = parser.add_argument
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "methods:\n" + "\n".join(
        f"  {name:<13} {facts.speed:<10} {facts.idea}" for name, facts in METHODS.items()
    )
    add("file", type=Path, metavar="FILE", help="a picture")
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the pictures and explanation.json")
    add(
        "--model",
        action="append",
        metavar="NAME",
        help="only this model, by name or file; may be repeated (default: all)",
    )
    add("--method", default="native", metavar="METHOD", help="how maps are made, see below (default: native)")
    add(
        "--target",
        default="own",
        metavar="EXPRESSION",
        help="an expression, 'own' (each model's predicted class) or 'all'",
    )
    add(
        "--rather-than",
        metavar="EXPRESSION",
        help="show why the target rather than this expression, or 'second' (each model's next most probable one)",
    )
    add("--layer", metavar="LAYER", help="stage1 to stage4, the last four stages of a network (default: stage4)")
    add("--smooth", metavar="HOW", help=f"{', '.join(SMOOTHING)} (default: none)")
    add(
        "--randomise",
        action="store_true",
        help="also check whether the maps depend on the models' weights: the maps once these are random, part after "
        "part from the output on, and how similar they stay",
    )
    add("--face", type=int, default=1, metavar="N", help="number of the face, from 1, the largest (default: 1)")
    add("--whole", action="store_true", help="take the picture as one face, without detection")
    add_flags(parser, *(flag for flag in MODEL_FLAGS if flag not in ("models", "model")))


def run(args: argparse.Namespace) -> int:
    """Explain one face and write crop.png, two pictures per map and explanation.json.

    MODEL-METHOD-EXPRESSION.png is the map on the face, MODEL-METHOD-EXPRESSION-cells.png the map alone; a contrast is
    MODEL-contrast-EXPRESSION-rather-than-OTHER.png, orange for the first and blue for the other. Maps of one model
    share one colour scale. The JSON is that of `explain.explain_picture` with the file's name as "file" in front
    and the names of both pictures as "overlay" and "cells" in each map. With --randomise, each map has
    "randomisation" as `explain.randomisation.to_json` gives it, with its row of maps as "picture": as trained, then one
    per step. A model that cannot be checked says why as "no_check".

    Returns:
        0.

    Raises:
        FerError: anything that cannot be read, found, made or written.
    """
    import numpy as np
    from tqdm import tqdm

    from explain.drawing import overlay
    from explain.explain_picture import explain_picture, to_json
    from explain.randomisation import randomisation, to_record, why_not
    from fer_models.errors import ExplanationError
    from fer_models.media.images import read_picture

    if args.randomise and (args.layer or args.smooth or args.rather_than):
        raise ExplanationError("--randomise checks maps without --layer, --smooth and --rather-than. Leave them out.")

    picture = read_picture(args.file)
    image = picture.pixels
    for note in picture.notes:
        print(f"note: {note}")
    analyzer = analyzer_of(args, args.model)
    with tqdm(total=1.0, file=sys.stderr, disable=None, bar_format="{percentage:3.0f}% {bar} {elapsed}") as bar:
        explained = explain_picture(
            analyzer,
            image,
            method=args.method,
            target=args.target,
            rather_than=args.rather_than,
            layer=args.layer,
            smooth=args.smooth,
            face=args.face,
            whole=args.whole,
            progress=lambda share: bar.update(share - bar.n),
        )
    document = {"file": args.file.name} | to_json(explained, image, analyzer, picture.notes)
    pictures = {"crop.png": explained.analysis.crop}
    for name, maps in explained.maps.items():
        if name in explained.without_map:
            print(f"{name:<18} {explained.without_map[name]}")
        crop = explained.analysis.crop_of(name)
        classifier = analyzer.classifiers[name]
        if args.randomise and (reason := why_not(classifier)):
            print(f"{name:<18} {reason}")
            document["models"][name]["no_check"] = reason
        peak, reach = overlay.shared_peak(maps.values()), overlay.shared_reach(maps.values())
        for target, one in maps.items():
            question = f"{target}-rather-than-{one.rather_than}" if one.rather_than else target
            # other systems' labels hold anything
            stem = re.sub(r"[^\w+.-]", "_", f"{name}-{one.method}-{question}")
            if one.rather_than:
                values = overlay.signed(one, reach)
                pictures[f"{stem}.png"] = overlay.draw_difference(crop, values, side=_SIDE)
                pictures[f"{stem}-cells.png"] = overlay.enlarged_cells(overlay.difference_colours(values), _SIDE)
            else:
                pictures[f"{stem}.png"] = overlay.draw_map(crop, one, peak=peak, side=_SIDE)
                pictures[f"{stem}-cells.png"] = overlay.draw_cells(one, _SIDE, peak=peak)
            document["models"][name]["maps"][target] |= {"overlay": f"{stem}.png", "cells": f"{stem}-cells.png"}
            cost = "" if one.cost_ms is None else f"  {one.cost_ms:8.0f} ms"
            print(f"{name:<18} {question.replace('-', ' '):<10} peak {one.peak:10.4g}{cost}")
            if args.randomise and not why_not(classifier):
                result = randomisation(classifier, crop, target, [one.method])[one.method]
                shown = [result.true, *(step.explanation for step in result.steps)]
                pictures[f"{stem}-randomised.png"] = np.hstack(
                    [overlay.draw_map(crop, each, side=224) for each in shown]
                )
                record = to_record(result) | {"picture": f"{stem}-randomised.png"}
                document["models"][name]["maps"][target]["randomisation"] = record
                similar = ", ".join(f"{step.layers} {step.mean:.2f}" for step in result.steps)
                print(f"{'':<18} similarity once random: {similar}: {result.verdict}")
    _write(args.out, pictures, document)
    print(f"{len(pictures)} pictures and explanation.json are in {args.out}")
    return 0


def _write(folder: Path, pictures: "dict[str, NDArray[np.uint8]]", document: dict[str, Any]) -> None:
    import cv2

    from fer_models.media.files import replacing, write_json

    for name, picture in pictures.items():
        _, code = cv2.imencode(".png", picture[..., ::-1])
        with replacing(folder / name) as partial:
            partial.write_bytes(code.tobytes())
    write_json(folder / "explanation.json", document)
