"""python -m fer_models evaluate: measure models on labelled faces, fed exactly as the app feeds them."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fer_models.cli.common import (
    MODEL_FLAGS,
    add_flag,
    add_flags,
    analyzer_of,
    further_models,
    given_class_names,
    weights_folder,
    with_interval,
)
from fer_models.registry import FER2013_LABEL_SETS, LABEL_SETS, load_dataset

if TYPE_CHECKING:  # the help should not wait for PyTorch
    from fer_models.evaluation.evaluate import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flag(parser, "labels", choices=[*LABEL_SETS])
    add_flag(parser, "json", help="write the results to this file, beside other models' there")
    parser.add_argument("--cards", action="store_true", help="also write the headline results onto the models' cards")
    parser.add_argument(
        "--flip-average",
        action="store_true",
        help="also measure the mean over each face and its mirror image; takes twice the time",
    )
    parser.add_argument(
        "--merge",
        metavar="sentiment|FILE",
        help="also compare on merged classes: positive, negative, neutral and surprise, or those of a JSON or TOML "
        "file with a list of labels by class",
    )
    add_flags(parser, "data", "class-names", "split", "faces", "baseline", *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Measure, print a table, and write the JSON file and the predictions beside it.

    Raises:
        FerError: data or models are unusable, or a file cannot be written.
    """
    from fer_models.analyzer import Analyzer
    from fer_models.evaluation.evaluate import evaluate, write_evaluation, write_onto_cards
    from fer_models.evaluation.merging import read_merging
    from fer_models.models.baselines import load_baselines

    merging = read_merging(args.merge) if args.merge else None
    data = load_dataset(args.labels, args.data, args.split, class_names=args.class_names)
    shipped = analyzer_of(args)
    baselines = load_baselines(args.baseline, shipped.classifiers, args.device, args.engine)
    duplicates = args.labels in FER2013_LABEL_SETS and data.split != "train"  # of FER2013's training split
    evaluation = evaluate(
        Analyzer([*shipped.classifiers.values(), *baselines], shipped.detector),
        data,
        mode=args.faces,
        train=load_dataset("fer2013", args.data, "train") if duplicates else None,
        baselines=[model.name for model in baselines],
        flip_average=args.flip_average,
        merging=merging,
        command=_command(args),
    )
    _print(evaluation)
    if args.json:
        write_evaluation(evaluation, args.json)
    if args.cards:
        write_onto_cards(evaluation, shipped.classifiers, weights_folder(args))
    return 0


def _command(args: argparse.Namespace) -> str:
    beside = f" --baseline {' '.join(f'DIR/{path.name}' for path in args.baseline)}" if args.baseline else ""
    flip = " --flip-average" if args.flip_average else ""
    flip += f" --merge {args.merge if args.merge == 'sentiment' else Path(args.merge).name}" if args.merge else ""
    engine = f" --engine {args.engine}" if args.engine != "auto" else ""
    file = f" --json {args.json.name}" if args.json else ""
    data = f"--data DIR --labels {args.labels}{given_class_names(args)} --split {args.split}"
    return f"python -m fer_models evaluate {data}{further_models(args)}{engine}{beside}{flip}{file}"


def _print(evaluation: "Evaluation") -> None:
    from fer_models.evaluation.evaluate import with_ensemble
    from fer_models.models.ensemble import ENSEMBLE

    record = with_ensemble(evaluation.record, evaluation.predictions)
    for name, model in {**record.models, **({ENSEMBLE: record.ensemble} if record.ensemble else {})}.items():
        accuracy = with_interval(model.accuracy_interval) if model.accuracy_interval else f"{model.accuracy:7.2%}"
        line = f"{name:24} accuracy {accuracy}  macro-F1 {model.macro_f1:.4f}  faces {model.count}"
        if model.without_overlap is not None:
            line += f"  without train/test duplicates {model.without_overlap.accuracy:7.2%}"
        if model.accuracy_flip_averaged is not None:
            line += f"  flip-averaged {model.accuracy_flip_averaged.value:7.2%}"
        print(line)
    for name, model in record.models.items():
        for merged, figures in (model.merged or {}).items():
            unknown = f"  knows no {', '.join(figures.unknown)}" if figures.unknown else ""
            print(f"{name:24} {merged} {figures.accuracy:7.2%}  macro-F1 {figures.macro_f1:.4f}{unknown}")
    if record.ensemble is not None:
        print(f"{ENSEMBLE} is the mean of {', '.join(record.ensemble.members)}, which learned these labels")
    if missed := record.faces_not_found:
        print(f"no face was detected in {missed} pictures; they were taken whole")
