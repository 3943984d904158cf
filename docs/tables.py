"""Write the tables of measured figures into the README and the documentation, from the records in weights/results/.

python -m docs.tables           # rewrites every block between <!-- generated: NAME --> and <!-- end -->
python -m docs.tables --check   # changes nothing; exit code 1 if a block is out of date
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Final, TypeVar

from docs import software
from docs.markdown import fill, percent, table
from fer_models.analyzer import WEIGHTS
from fer_models.errors import FerError
from fer_models.evaluation.records import (
    AttentionRecord,
    Distribution,
    FaceSetComparison,
    LatencyRecord,
    LeaderboardRecord,
    NoiseRun,
    NoiseStudyRecord,
    Provenance,
    RobustnessRecord,
)
from fer_models.evaluation.records.benchmarks import CropResolutionRecord
from fer_models.evaluation.statistics import Interval
from fer_models.evaluation.store import read_cards, read_record
from fer_models.expressions import EXPRESSIONS
from fer_models.models.ensemble import ENSEMBLE

ROOT: Final = WEIGHTS.parent
RESULTS: Final = WEIGHTS / "results"
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
R = TypeVar("R", bound=Provenance)

_SETS: Final = {"fer2013_test": "FER2013 test set", "ferplus_test": "FER+ test set"}
#: The network that EAC's MobileNetV2 is compared with: trained on the same faces, without the consistency loss.
_EAC, _PLAIN = "eac_mobilenet_v2", "plain_mobilenet_v2"
#: p-values below are significant.
_SIGNIFICANCE: Final = 0.05
_TESTS: Final = {"deletion": "Deletion", "insertion": "Insertion", "road": "ROAD", "arcc": "ARCC"}


def record(name: str, kind: type[R]) -> R:
    """Read one file of weights/results/.

    Raises:
        FerError: it is missing or damaged.
    """
    loaded = read_record(RESULTS / name, kind, ("see docs/measurements.md",))
    if loaded.record is None:
        raise FerError(f"{name}: {loaded.problem.text if loaded.problem else 'missing'}")
    return loaded.record


@cache
def leaderboard() -> LeaderboardRecord:
    """Every model on every test set."""
    return record("leaderboard.json", LeaderboardRecord)


@cache
def attention() -> AttentionRecord:
    """The models' maps over the FER+ test set."""
    return record("attention_ferplus.json", AttentionRecord)


@cache
def titles() -> Mapping[str, str]:
    """What people read for each model, baselines and the mean of the models included."""
    cards, _ = read_cards(WEIGHTS)
    baselines = {
        name: model.baseline.title
        for comparison in leaderboard().sets.values()
        for name, model in comparison.models.items()
        if model.baseline
    }
    return {name: card.title for name, card in cards.items()} | baselines | {ENSEMBLE: "Mean of the models"}


def _comparisons() -> Iterator[tuple[str, FaceSetComparison]]:
    for name, title in _SETS.items():
        yield title, leaderboard().sets[name]


def accuracy() -> str:
    """The README's results: accuracy of each model on both test sets, with and without train/test duplicates."""
    cards, _ = read_cards(WEIGHTS)
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
    """Accuracy with 95 % intervals, macro F1, baselines and the mean of the models included."""
    parts = []
    for title, comparison in _comparisons():
        rows = [
            [
                titles()[name],
                _interval(model.accuracy),
                _interval(model.accuracy_without_copies) if model.accuracy_without_copies else "-",
                f"{model.macro_f1:.3f}",
            ]
            for name, model in comparison.models.items()
        ]
        head = [title, "accuracy (95 % interval)", "without duplicates", "macro F1"]
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


def _gain(value: Distribution | None) -> str:
    """A mean gain with its interval; bold where it is significantly better."""
    if value is None or value.mean is None or value.interval is None:
        return "-"
    low, high = value.interval
    text = f"{value.mean:+.3f} ({low:+.3f} to {high:+.3f})"
    return f"**{text}**" if low > 0 else text


def faithfulness() -> str:
    """How much better each model's maps are than uninformative baselines."""
    parts = []
    for key, baseline in (("gain_over_blob", "the centre prior"), ("gain_over_random", "random maps")):
        rows = []
        for name, model in attention().models.items():
            figures = model.faithfulness
            if figures is not None:
                tests = [getattr(figures, test) for test in _TESTS]
                rows.append([titles()[name], *(_gain((test or {}).get(key)) for test in tests)])
        parts.append(table([f"gain over {baseline}", *_TESTS.values()], rows))
    return "\n".join(parts)


def consistency() -> str:
    """How well each model's maps agree with those of the mirrored faces."""
    rows = []
    for name, model in attention().models.items():
        value = model.consistency.correlation
        low, high = value.interval or (float("nan"), float("nan"))
        rows.append([titles()[name], f"{value.mean:.2f} ({low:.2f} to {high:.2f})"])
    return table(["model", "flip consistency (95 % interval)"], rows)


def regions() -> str:
    """Where the evidence for happiness lies: mean shares by facial region."""
    rows = []
    for name, model in attention().models.items():
        shares = model.regions["happiness"].shares
        cells = [shares[region].mean for region in attention().areas]
        rows.append([titles()[name], *("-" if cell is None else percent(cell, 0) for cell in cells)])
    rows.append(["share of the picture", *(percent(area, 0) for area in attention().areas.values())])
    return table(["evidence for happiness", *attention().areas], rows)


def latency() -> str:
    """Latency, throughput and memory of each model on one machine."""
    measured = record("latency.json", LatencyRecord)
    rows = []
    for name, model in measured.models.items():
        memory = "-" if model.peak_memory_mb is None else f"{model.peak_memory_mb:,.0f} MB"
        rows.append(
            [titles()[name], f"{model.p50_ms:.0f} ms", f"{model.p95_ms:.0f} ms", f"{model.throughput:.0f}", memory]
        )
    head = [
        "model",
        "one face, median",
        "one face, 95th percentile",
        f"faces per second in batches of {measured.batch}",
    ]
    return f"{measured.machine}, {measured.dtype}.\n\n" + table([*head, "peak memory of its process"], rows)


def crops() -> str:
    """Accuracy by the size that crops are averaged down to."""
    measured = record("crop_resolution.json", CropResolutionRecord)
    names = list(next(iter(measured.accuracy.values())))
    rows = [[how, *(percent(shares[name]) for name in names)] for how, shares in measured.accuracy.items()]
    faces = measured.validation_faces["found"]
    return table([f"{faces} validation faces", *(titles()[name] for name in names)], rows)


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "accuracy": accuracy,
    "accuracy-intervals": accuracy_intervals,
    "recall": recall,
    "calibration": calibration,
    "eac": eac,
    "noise": noise,
    "robustness": robustness,
    "corruption-kinds": corruption_kinds,
    "faithfulness": faithfulness,
    "consistency": consistency,
    "regions": regions,
    "latency": latency,
    "crops": crops,
    "faults": software.faults,
    "fuzz": lambda: software.fuzz(RESULTS),
    "load": lambda: software.load(RESULTS),
    "speed": lambda: software.speed(RESULTS),
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
