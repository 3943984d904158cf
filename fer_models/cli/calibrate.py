"""python -m fer_models calibrate: fit each model's temperature on its validation split."""

import argparse

from fer_models.cli.common import MODEL_FLAGS, add_flag, add_flags, analyzer_of, weights_folder
from fer_models.registry import LABEL_SETS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flag(
        parser,
        "labels",
        choices=[*LABEL_SETS],
        required=False,
        help="label set whose validation split is used (default: the one that a model's card names)",
    )
    add_flags(parser, "data", "class-names", *MODEL_FLAGS)


def run(args: argparse.Namespace) -> int:
    """Fit and write the temperature of each model onto its card.

    Raises:
        FerError: data or models are unusable, or a card does not say which labels its model was trained on.
    """
    from fer_models.evaluation.calibration import calibrate
    from fer_models.evaluation.evaluate import own_card
    from fer_models.models.card import write_card
    from fer_models.models.external.peers import is_peer

    for name, classifier in analyzer_of(args).classifiers.items():
        if is_peer(classifier.card):
            print(f"{name} is left out: the card of a peer is built in.")
            continue
        card = calibrate(classifier, args.data, args.labels, args.class_names)
        if path := own_card(weights_folder(args), classifier.card):
            write_card(card, path)
        else:  # the card beside another system's file says how it is fed, which a model card does not
            print(f'{name}: write "temperature": {card.temperature:.4g} into its card.')
        figures = card.metrics["calibration"]
        print(f"{name:24} temperature {card.temperature:.3f}  {figures['before']} -> {figures['after']}")
    return 0
