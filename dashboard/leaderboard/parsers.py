"""The documents that commands of this repository wrote, checked and turned into the leaderboard's records.

A parser may raise whatever a malformed document makes it raise: `leaderboard_source.read_source` catches that.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from dashboard.leaderboard.records import (
    LABEL_SETS,
    Calibration,
    FaceSet,
    LabelSet,
    Latency,
    LatencyRow,
    ModelRow,
    NoiseRun,
    NoiseStudy,
    Robustness,
)
from dashboard.leaderboard.source import Advice, count, difference, maybe_share, number, share, stale_model
from fer_models.analyzer import MODELS
from fer_models.evaluation.statistics import Interval, PairedTest, ReliabilityBin
from fer_models.models.card import ModelCard
from fer_models.models.ensemble import ENSEMBLE

COMPARE: Final = "python -m fer_models leaderboard"

LATENCY: Final = "python -m benchmarks.latency --json weights/results/latency.json"


def face_sets(document: Any, cards: Mapping[str, ModelCard]) -> dict[str, FaceSet]:
    """leaderboard.json: every known set of faces, by the names of `LABEL_SETS`."""
    return {name: _set(told, LABEL_SETS[name], cards) for name, told in document["sets"].items() if name in LABEL_SETS}


def _set(told: Any, label_set: LabelSet, cards: Mapping[str, ModelCard]) -> FaceSet:
    rows = {name: _row(name, figures, label_set, cards) for name, figures in told["models"].items()}
    if not any(name != ENSEMBLE for name in rows):
        raise ValueError("it tells of no model")
    pairs, kept_pairs = (tuple(map(_pair, told[key])) for key in ("pairs", "pairs_without_copies"))
    if any(name not in rows for pair in (*pairs, *kept_pairs) for name in (pair.first, pair.second)):
        raise ValueError("a pair names a model that has no figures")
    members = [row for row in rows.values() if row.name != ENSEMBLE and row.baseline is None]
    if not members:
        raise ValueError("it tells of baselines alone")
    if ENSEMBLE in rows and any(row.stale for row in members):
        stale = Advice("Stale: a model it is the mean of is. Refresh with:", (label_set.evaluate, COMPARE))
        rows[ENSEMBLE] = _replaced(rows[ENSEMBLE], stale)
    return FaceSet(
        label_set=label_set,
        count=count(told["count"]),
        copies=count(told["copies"]),
        command=str(told["command"]),
        models={name: rows[name] for name in in_order(rows)},
        pairs=pairs,
        oracle=share(told["oracle"]),
        kept_pairs=kept_pairs,
        calibration_gaps={name: _gap(told["calibration_gaps"][name]) for name in told["calibration_gaps"]},
    )


def _pair(told: Any) -> PairedTest:
    return PairedTest(
        first=str(told["first"]),
        second=str(told["second"]),
        only_first=count(told["only_first"]),
        only_second=count(told["only_second"]),
        p_value=share(told["p_value"]),
        agreement=share(told["agreement"]),
        kappa=float(told["kappa"]),
    )


def _replaced(row: ModelRow, stale: Advice) -> ModelRow:
    return ModelRow(**{**vars(row), "stale": stale})


def _row(name: str, told: Any, label_set: LabelSet, cards: Mapping[str, ModelCard]) -> ModelRow:
    labels = tuple(map(str, told["labels"]))
    confusion = tuple(tuple(map(count, row)) for row in told["confusion"])
    if len(confusion) != len(labels) or any(len(row) != len(labels) for row in confusion):
        raise ValueError(f"the confusion matrix of {name} is not {len(labels)} x {len(labels)}")
    stale, temperature = None, None
    commands = (label_set.evaluate, COMPARE)
    baseline = str(told["baseline"]["title"]) if "baseline" in told else None
    if baseline is not None:  # there are no weights in use that it could differ from
        temperature = number(told["temperature"])
    elif name != ENSEMBLE:
        stale = stale_model(name, told["sha256"], cards, commands)
        temperature = number(told["temperature"])
        if stale is None and temperature != cards[name].temperature:
            stale = Advice("Stale: measured with another temperature than the card’s. Refresh with:", commands)
    return ModelRow(
        name=name,
        accuracy=_interval(told["accuracy"]),
        without_copies=_interval(told["accuracy_without_copies"]) if told["accuracy_without_copies"] else None,
        macro_f1=share(told["macro_f1"]),
        labels=labels,
        confusion=confusion,
        risks=tuple((share(each[0]), share(each[1]), share(each[2])) for each in told["risk_coverage"]),
        after=_calibration(told["after_temperature"]),
        before=_calibration(told["before_temperature"]) if name != ENSEMBLE else None,
        temperature=temperature,
        stale=stale,
        baseline=baseline,
    )


def _interval(told: Any) -> Interval:
    return Interval(share(told["value"]), share(told["low"]), share(told["high"]))


def _gap(told: Any) -> Interval:
    return Interval(difference(told["value"]), difference(told["low"]), difference(told["high"]))


def _calibration(told: Any) -> Calibration:
    bins = tuple(
        ReliabilityBin(
            low=share(each["low"]),
            high=share(each["high"]),
            count=count(each["count"]),
            confidence=share(each["confidence"]),
            accuracy=share(each["accuracy"]),
        )
        for each in told["reliability"]
    )
    error, likelihood = share(told["expected_calibration_error"]), number(told["negative_log_likelihood"])
    return Calibration(error, likelihood, number(told["brier"]), bins)


def robustness_of(cards: Mapping[str, ModelCard], label_set: LabelSet) -> Callable[[Any], Robustness]:
    """The parser of one label set's robustness file."""

    def parse(told: Any) -> Robustness:
        strengths = tuple(map(count, told["strengths"]))
        clean = {name: share(value) for name, value in told["clean"].items()}
        names = in_order(clean)
        curves = {
            str(kind): {name: tuple(map(share, by_model[name])) for name in names}
            for kind, by_model in told["corrupted"].items()
        }
        if not strengths or not names or not curves:
            raise ValueError("it tells of no model, no corruption or no strength")
        if any(len(each) != len(strengths) for models in curves.values() for each in models.values()):
            raise ValueError(f"every curve needs {len(strengths)} accuracies")
        commands = (label_set.robustness,)
        stale = {
            name: stale_model(name, told["sha256"].get(name), cards, commands) for name in names if name != ENSEMBLE
        }
        kept = {name: advice for name, advice in stale.items() if advice}
        if ENSEMBLE in clean and kept:
            kept[ENSEMBLE] = Advice("Stale: a model it is the mean of is. Refresh with:", commands)
        return Robustness(
            count=count(told["count"]),
            strengths=strengths,
            clean={name: clean[name] for name in names},
            curves=curves,
            command=str(told["command"]),
            stale=kept,
            means={str(name): _interval(each) for name, each in told["mean"].items()},
            behind={str(name): _gap(each) for name, each in told["behind"].items()},
        )

    return parse


def noise_study(told: Any) -> NoiseStudy:
    """noise_study.json."""
    return NoiseStudy(
        command=str(told["command"]),
        tested_on=str(told["tested_on"]),
        epochs=count(told["epochs"]),
        runs=tuple(_noise_run(each) for each in told["runs"]),
    )


def _noise_run(told: Any) -> NoiseRun:
    noise = told["noise"]
    return NoiseRun(
        method=str(told["method"]),
        noise=noise if isinstance(noise, str) else count(noise),
        seed=int(told["seed"]),
        finished=bool(told["finished"]),
        last=maybe_share(told["last_test_accuracy"]),
        best=maybe_share(told["best_test_accuracy"]),
        curve=tuple(
            (count(point["epoch"]), share(point["test_accuracy"]), maybe_share(point["wrong_labels_held"]))
            for point in told["curve"]
        ),
    )


def latency_of(told: Any, cards: Mapping[str, ModelCard]) -> Latency:
    """latency.json."""
    rows = {
        name: LatencyRow(
            p50_ms=number(each["p50_ms"]),
            p95_ms=number(each["p95_ms"]),
            throughput=number(each["throughput"]),
            peak_memory_mb=None if each["peak_memory_mb"] is None else number(each["peak_memory_mb"]),
            stale=stale_model(name, each["sha256"], cards, (LATENCY,)),
        )
        for name, each in told["models"].items()
    }
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return Latency(
        machine=str(told["machine"]),
        settings=f"{count(told['threads'])} threads, {told['dtype']} on {told['device']}; {versions}",
        batch=count(told["batch"]),
        repeats=count(told["repeats"]),
        command=str(told["command"]),
        models={name: rows[name] for name in in_order(rows)},
    )


def in_order(names: Mapping[str, object]) -> list[str]:
    """The project's order of models, then others by name, the mean last."""
    others = sorted(set(names).difference(MODELS, [ENSEMBLE]))
    return [name for name in (*MODELS, *others, ENSEMBLE) if name in names]
