"""python -m fer_models calibrate: fit each model's temperature on its validation split."""

import argparse

from fer_models.cli.common import add_flags, analyzer_of, weights_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare this command's arguments."""
    add_flags(parser, "data", "models", "model", "device", "engine", "weights")


def run(args: argparse.Namespace) -> int:
    """Fit and write the temperature of each model onto its card.

    Raises:
        FerError: data or models are unusable, or a card does not say which labels its model was trained on.
    """
    from fer_models.evaluation.calibration import calibrate
    from fer_models.models.card import write_card

    for name, classifier in analyzer_of(args).classifiers.items():
        card = calibrate(classifier, args.data)
        if classifier.network is not None:
            write_card(card, weights_folder(args) / f"{name}.json")
        else:  # the card beside a graph says how it is fed, which a model card does not
            print(f'{name}: write "temperature": {card.temperature:.4g} into its card.')
        figures = card.metrics["calibration"]
        print(f"{name:24} temperature {card.temperature:.3f}  {figures['before']} -> {figures['after']}")
    return 0
