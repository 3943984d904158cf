"""`python -m fer_models attention`: measure where models' evidence lies on labelled faces, and how reliably."""

import argparse
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from fer_models.cli.common import MODEL_FLAGS, add_flag, add_flags, analyzer_of, whole_number
from fer_models.expressions import EXPRESSIONS
from fer_models.registry import FER2013_LABEL_SETS, load_dataset

if TYPE_CHECKING:  # the help should not wait for PyTorch
    from fer_models.datasets.dataset import FaceData
    from fer_models.evaluation.records import AttentionRecord
    from fer_models.models.classifier import Classifier

_SIDE: Final = 224  # px; the areas of the regions are measured at this side


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of the command."""
    add_flag(parser, "labels", choices=FER2013_LABEL_SETS)
    add_flags(parser, "data", "split", "baseline")
    parser.add_argument(
        "--faces", type=whole_number(1), default=300, metavar="N", help="how many faces (default: %(default)s)"
    )
    parser.add_argument(
        "--judged",
        type=whole_number(1),
        default=60,
        metavar="N",
        help="how many of them for deletion and insertion; slow",
    )
    parser.add_argument(
        "--steps", type=whole_number(1), default=16, metavar="N", help="of those curves (default: %(default)s)"
    )
    parser.add_argument("--road", action="store_true", help="also ROAD and ARCC for those faces; twice as slow")
    add_flag(parser, "json", required=True)
    add_flags(parser, "seed", *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file.

    Raises:
        FerError: data or models are unusable, or the file cannot be written.
    """
    from tqdm import tqdm

    from explain.methods import supported
    from explain.test_set import mean_faces, study
    from fer_models.errors import ExplanationError
    from fer_models.evaluation.store import write_record
    from fer_models.media.files import check_writable
    from fer_models.models.baselines import load_baselines

    data = load_dataset(args.labels, args.data, args.split)
    # In random order: the judged ones, which come first, are as random a choice as all of them.
    data = data.take(np.random.default_rng(args.seed).permutation(len(data))[: args.faces])
    crops, labels = list(data.faces), [EXPRESSIONS[target] for target in data.targets]
    shipped = analyzer_of(args).classifiers
    baselines = {model.name: model for model in load_baselines(args.baseline, shipped, args.device, args.engine)}
    classifiers = {**shipped, **baselines}
    reasons = {name: supported(model)["native"] for name, model in classifiers.items()}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    for name, reason in left_out.items():
        print(f"{name} is left out. {reason}", file=sys.stderr)
        del classifiers[name]
    if not classifiers:
        raise ExplanationError("None of the models has evidence maps. Name one that has with --models.")
    check_writable(args.json)
    judged = min(args.judged, len(data))
    figures = {}
    with tqdm(total=len(classifiers) * (len(data) + judged), file=sys.stderr, disable=None) as bar:
        for name, classifier in classifiers.items():
            bar.set_description(name)
            figures[name] = study(
                classifier,
                crops,
                labels,
                tested=judged,
                steps=args.steps,
                seed=args.seed,
                road=args.road,
                progress=bar.update,
            )
    for name, model in figures.items():
        print(_line(name, model))
    record = _record(args, data, classifiers, left_out, figures, mean_faces(crops, labels))
    write_record(record, args.json, indent=None)
    return 0


def _record(
    args: argparse.Namespace,
    data: "FaceData",
    classifiers: "Mapping[str, Classifier]",
    left_out: Mapping[str, str],
    figures: Mapping[str, dict[str, Any]],
    faces: Mapping[str, Any],
) -> "AttentionRecord":
    from explain.regions import area_shares, region_masks
    from explain.test_set import WHAT
    from fer_models.evaluation.records import AttentionRecord, package_versions
    from fer_models.faces.alignment import TEMPLATE
    from fer_models.models.classifier import engine_names

    models = f" --models {' '.join(args.models)}" if args.models else ""
    models += f" --baseline {' '.join(f'DIR/{path.name}' for path in args.baseline)}" if args.baseline else ""
    counts = np.bincount(data.targets, minlength=len(EXPRESSIONS)).tolist()
    return AttentionRecord.model_validate(
        {
            "command": f"python -m fer_models attention --data DIR --labels {args.labels} --split {args.split}{models} "
            f"--faces {args.faces} --judged {args.judged} --steps {args.steps}{' --road' if args.road else ''} "
            f"--seed {args.seed} --json {args.json.name}",
            "commit": _commit(),
            "versions": package_versions("scipy", "opencv-python", "grad-cam"),
            "engine": engine_names(classifiers.values()),
            "labels": data.source,
            "split": data.split,
            "seed": args.seed,
            "faces": len(data),
            "counts": dict(zip(EXPRESSIONS, counts, strict=True)),
            "what": WHAT,
            "areas": area_shares(region_masks(TEMPLATE * np.float32(_SIDE), _SIDE)),
            "models": {
                name: {
                    "title": classifiers[name].card.title,
                    "training_labels": classifiers[name].card.training_labels,
                    "sha256": classifiers[name].card.sha256,
                    "baseline": name in {path.stem for path in args.baseline},
                    **model,
                }
                for name, model in figures.items()
            },
            "left_out": left_out,
            "mean_faces": faces,
        }
    )


def _commit() -> str | None:
    """The commit of this code, "-dirty" if files were changed since; None outside of a repository."""
    words = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        result = subprocess.run(words, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def _line(name: str, model: Mapping[str, Any]) -> str:
    consistency, faithfulness = model["consistency"], model["faithfulness"]
    areas = {kind: [faithfulness[kind][of]["mean"] for of in ("map", "random", "blob")]
             for kind in ("deletion", "insertion")}  # fmt: skip
    parts = "  ".join(f"{kind} {a:.3f} (random {b:.3f}, centre prior {c:.3f})" for kind, (a, b, c) in areas.items())
    return (
        f"{name:24} flip: relative loss {consistency['relative_loss']['mean']:.4f}, "
        f"correlation {consistency['correlation']['mean']:.4f}  {parts}"
    )
