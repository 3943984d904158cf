"""Write the tables of measured figures into the README and the documentation, from the records in weights/results/.

python -m docs.tables           # rewrites every block between <!-- generated: NAME --> and <!-- end -->
python -m docs.tables --check   # changes nothing; exit code 1 if a block is out of date
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from docs import evidence, scaling, software, speed
from docs.markdown import fill, percent, table
from docs.sources import RESULTS, ROOT, TEST_SETS, leaderboard, record, titles
from fer_models.analyzer import WEIGHTS
from fer_models.errors import FerError
from fer_models.evaluation.predictions import load_test_predictions
from fer_models.evaluation.records import (
    FaceSetComparison,
    NoiseRun,
    NoiseStudyRecord,
    RobustnessRecord,
)
from fer_models.evaluation.records.benchmarks import CropResolutionRecord
from fer_models.evaluation.statistics import Interval
from fer_models.evaluation.store import read_cards
from fer_models.expressions import EXPRESSIONS

PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

#: The network that EAC's MobileNetV2 is compared with: trained on the same faces, without the consistency loss.
_EAC, _PLAIN = "eac_resnet50", "plain_resnet50"
#: p-values below are significant.
_SIGNIFICANCE: Final = 0.05


def _comparisons() -> Iterator[tuple[str, FaceSetComparison]]:
    for name, title in TEST_SETS.items():
        yield title, leaderboard().sets[name]


def test_sets() -> str:
    """How many faces the test sets hold, and on how many the two sets' labels differ."""
    rows = [[title, f"{c.count:,}", f"{c.copies:,}"] for title, c in _comparisons()]
    first, second = (load_test_predictions(RESULTS / f"{name}.npz") for name in TEST_SETS)
    labels = dict(zip(first.rows.tolist(), first.targets.tolist(), strict=True))
    shared = [(labels[row], target) for row, target in zip(second.rows.tolist(), second.targets, strict=True)]
    differ = sum(one != other for one, other in shared) / len(shared)
    sentence = f"The labels differ on {percent(differ, 0)} of the {len(shared):,} faces that are in both.\n"
    return table(["", "faces", "of them train/test duplicates"], rows) + "\n" + sentence


def accuracy() -> str:
    """The README's results: accuracy of each model on both test sets, with and without train/test duplicates."""
    cards = read_cards(WEIGHTS).cards
    head = ["model", "trained on"]
    for title, comparison in _comparisons():
        head += [f"{title} ({comparison.count:,} faces)", "without duplicates"]
    rows = []
    for name in next(_comparisons())[1].shipped:
        cells = [titles()[name], cards[name].training_labels]
        for _, comparison in _comparisons():
            model = comparison.models[name]
            unseen = model.accuracy_without_copies
            cells += [percent(model.accuracy.value), percent(unseen.value) if unseen else "-"]
        rows.append(cells)
    return table(head, rows, names=2)


def _interval(value: Interval) -> str:
    return f"{percent(value.value)} ({100 * value.low:.1f} to {100 * value.high:.1f})"


def accuracy_intervals() -> str:
    """Accuracy with 95 % intervals, flip-averaged where measured, macro F1; baselines and the ensemble included."""
    parts = []
    for title, comparison in _comparisons():
        flip = any(model.accuracy_flip_averaged for model in comparison.models.values())
        rows = [
            [
                titles()[name],
                _interval(model.accuracy),
                _interval(model.accuracy_without_copies) if model.accuracy_without_copies else "-",
                f"{model.macro_f1:.3f}",
                *([_interval(both) if (both := model.accuracy_flip_averaged) else "-"] if flip else []),
            ]
            for name, model in comparison.models.items()
        ]
        head = [title, "accuracy (95 % interval)", "without duplicates", "macro F1"]
        head += ["flip-averaged (95 % interval)"] if flip else []
        parts.append(table(head, rows))
    return "\n".join(parts)


def recall() -> str:
    """Recall of each expression, by model and test set."""
    parts = []
    for title, comparison in _comparisons():
        rows = []
        for name, model in comparison.models.items():
            shares = [model.recall_of(label) for label in EXPRESSIONS]
            rows.append([titles()[name], *("-" if share is None else percent(share, 0) for share in shares)])
        faces = next(iter(comparison.models.values())).faces
        rows.append(["faces with this label", *(f"{faces(label):,}" for label in EXPRESSIONS)])
        parts.append(table([f"recall, {title}", *EXPRESSIONS], rows))
    return "\n".join(parts)


def calibration() -> str:
    """Calibration errors before and after the temperature."""
    parts = []
    for title, comparison in _comparisons():
        rows = []
        for name, model in comparison.models.items():
            before, after = model.before_temperature, model.after_temperature
            rows.append(
                [
                    titles()[name],
                    f"{model.temperature:.2f}" if model.temperature else "-",
                    percent(before.expected_calibration_error) if before else "-",
                    percent(after.expected_calibration_error),
                    f"{after.brier:.3f}",
                ]
            )
        head = [title, "temperature", "calibration error before", "after", "Brier score after"]
        parts.append(table(head, rows))
    return "\n".join(parts)


def eac() -> str:
    """MobileNetV2 trained with EAC against the same network trained without it: accuracy and McNemar's test."""
    rows = []
    for title, comparison in _comparisons():
        for faces, pairs in (("all", comparison.pairs), ("without duplicates", comparison.pairs_without_copies)):
            (pair,) = (each for each in pairs if {each.first, each.second} == {_EAC, _PLAIN})
            models = [comparison.models[name] for name in (_EAC, _PLAIN)]
            shares = [model.accuracy if faces == "all" else model.accuracy_without_copies for model in models]
            different = "yes" if pair.p_value < _SIGNIFICANCE else "no"
            rows.append(
                [title, faces, *(percent(s.value) if s else "-" for s in shares), f"{pair.p_value:.2f}", different]
            )
    return table(["test set", "faces", "with EAC", "without", "p (McNemar)", "significantly different"], rows, names=2)


def noise() -> str:
    """The label noise study: accuracy and memorised labels by the share of flipped labels."""
    study = record("noise_study.json", NoiseStudyRecord)
    runs = {(run.noise, run.method): run for run in study.runs if run.finished}

    def cells(share: int | str, value: Callable[[NoiseRun], float | None], digits: int) -> list[str]:
        values = [value(runs[share, method]) if (share, method) in runs else None for method in ("plain", "eac")]
        return ["-" if each is None else percent(each, digits) for each in values]

    rows = [
        [
            f"{share} %" if isinstance(share, int) else str(share),
            *cells(share, lambda run: run.last_test_accuracy, 1),
            *cells(share, lambda run: run.best_test_accuracy, 1),
            *cells(share, lambda run: run.curve[-1].wrong_labels_held, 0),
        ]
        for share in dict.fromkeys(run.noise for run in study.runs)
    ]
    columns = [
        f"{what}, {how}" for what in ("last epoch", "best epoch", "memorised labels") for how in ("plain", "EAC")
    ]
    return table(["flipped labels", *columns], rows)


def robustness() -> str:
    """Accuracy on corrupted faces: the mean over all kinds and strengths."""
    parts = []
    for labels, title in (("fer2013", "FER2013"), ("ferplus", "FER+")):
        measured = record(f"robustness_{labels}.json", RobustnessRecord)
        rows = []
        for name, share in measured.mean.items():
            gap = measured.behind.get(name)
            behind = f"{100 * gap.value:.1f} ({100 * gap.low:.1f} to {100 * gap.high:.1f})" if gap else "-"
            rows.append([titles()[name], percent(measured.clean[name]), _interval(share), behind])
        head = [f"{title}, {measured.count} faces", "clean", "corrupted (95 % interval)", "points behind the best"]
        parts.append(table(head, rows))
    return "\n".join(parts)


def corruption_kinds() -> str:
    """Accuracy on corrupted faces by kind, the mean over the strengths, on FER2013's test faces."""
    measured = record("robustness_fer2013.json", RobustnessRecord)
    names = list(measured.clean)
    rows = [
        [kind, *(percent(sum(curves[name]) / len(curves[name])) for name in names)]
        for kind, curves in measured.corrupted.items()
    ]
    return table(["kind of corruption", *(titles()[name] for name in names)], rows)


def crops() -> str:
    """Accuracy by the size that crops are averaged down to."""
    measured = record("crop_resolution.json", CropResolutionRecord)
    names = list(next(iter(measured.accuracy.values())))
    rows = [[how, *(percent(shares[name]) for name in names)] for how, shares in measured.accuracy.items()]
    faces = measured.validation_faces["found"]
    return table([f"{faces} validation faces", *(titles()[name] for name in names)], rows)


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "test-sets": test_sets,
    "accuracy": accuracy,
    "accuracy-intervals": accuracy_intervals,
    "recall": recall,
    "calibration": calibration,
    "eac": eac,
    "noise": noise,
    "robustness": robustness,
    "corruption-kinds": corruption_kinds,
    "faithfulness": evidence.faithfulness,
    "consistency": evidence.consistency,
    "regions": evidence.regions,
    "latency": speed.latency,
    "whole-comparison": speed.whole_comparison,
    "engines": speed.engines,
    "openvino": speed.openvino,
    "detection": speed.detection,
    "crops": crops,
    "faults": software.faults,
    "fuzz": lambda: software.fuzz(RESULTS),
    "load": lambda: software.load(RESULTS),
    "speed": lambda: software.speed(RESULTS),
    "start": lambda: software.start(RESULTS),
    "journeys": lambda: software.journeys(RESULTS),
    "scale-demand": scaling.demand,
    "scale-checks": scaling.checks,
    "scale-people": scaling.people,
    "scale-pictures": scaling.pictures,
    "scale-price": scaling.price,
}


def outdated() -> dict[Path, str]:
    """The pages whose blocks are out of date, and what they should say."""
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    return {page: filled for page, text in texts.items() if (filled := fill(text, BLOCKS)) != text}


def main(arguments: list[str] | None = None) -> int:
    """Rewrite the blocks, or check them.

    Returns:
        The exit code: 0; 1 if --check finds a block that is out of date; 2 if a record cannot be read.
    """
    parser = argparse.ArgumentParser("python -m docs.tables", description="Write the tables of measured figures.")
    parser.add_argument("--check", action="store_true", help="change nothing, say which pages are out of date")
    args = parser.parse_args(arguments)
    try:
        pages = outdated()
    except FerError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for page, text in pages.items():
        if not args.check:
            page.write_text(text, encoding="utf-8")
        print(f"{page.relative_to(ROOT)}: {'out of date' if args.check else 'written'}")
    return int(args.check and bool(pages))


if __name__ == "__main__":
    sys.exit(main())
