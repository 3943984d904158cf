"""The leaderboard's figures as tables to download, numbers as numbers."""

import csv
import io
from collections.abc import Sequence

from dashboard.leaderboard.board import Board
from dashboard.leaderboard.published import NOISE, NOISE_SOURCE, QUOTED, Quoted
from dashboard.leaderboard.sentences import adjusted
from fer_models.evaluation.records import FaceSetComparison, NoiseStudyRecord, RobustnessRecord
from fer_models.evaluation.statistics import wilson

#: A table, header first.
Rows = Sequence[Sequence[object]]


def csv_text(rows: Rows) -> str:
    """A table as CSV."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def accuracy_rows(board: Board, face_set: FaceSetComparison, quoted: Sequence[Quoted]) -> Rows:
    """Accuracies with their intervals, flip-averaged ones where some were measured, and the published ones, marked."""
    flip: tuple[str, ...] = ()
    if any(row.accuracy_flip_averaged for row in face_set.models.values()):
        flip = ("accuracy_flip_averaged", "flip_averaged_low", "flip_averaged_high")
    header = ("model", "accuracy", "low", "high", "accuracy_without_copies", "macro_f1", *flip, "source")
    measured = [
        (
            *(board.title(name), row.accuracy.value, row.accuracy.low, row.accuracy.high),
            *(row.accuracy_without_copies.value if row.accuracy_without_copies else "", row.macro_f1),
            *((both.value, both.low, both.high) if (both := row.accuracy_flip_averaged) else [""] * len(flip)),
            "measured here",
        )
        for name, row in face_set.models.items()
    ]
    others = [
        (
            *(figure.title, round(figure.accuracy / 100, 6), "", "", "", "", *[""] * len(flip)),
            f"{QUOTED}: {figure.source} {figure.year or ''}".strip(),
        )
        for figure in quoted
    ]
    return [header, *measured, *others]


def per_expression_rows(board: Board, face_set: FaceSetComparison) -> Rows:
    """Recall, precision and counts of every expression and model."""
    rows: list[Sequence[object]] = [("model", "expression", "faces", "recall", "precision")]
    for name, row in face_set.models.items():
        for label in row.labels:
            rows.append(
                (board.title(name), label, row.faces(label), _blank(row.recall_of(label)), _blank(row.precision(label)))
            )
    return rows


def confusion_rows(board: Board, face_set: FaceSetComparison) -> Rows:
    """Every cell of every confusion matrix."""
    rows: list[Sequence[object]] = [("model", "label", "answer", "faces")]
    for name, row in face_set.models.items():
        for truth, counts in zip(row.labels, row.confusion, strict=True):
            rows += [
                (board.title(name), truth, answer, count) for answer, count in zip(row.labels, counts, strict=True)
            ]
    return rows


def pair_rows(board: Board, face_set: FaceSetComparison) -> Rows:
    """Every pair of models in numbers."""
    values = adjusted(face_set.pairs)
    header = ("first", "second", "only_first_right", "only_second_right", "p_value", "p_adjusted", "agreement", "kappa")
    return [
        header,
        *(
            (
                *(board.title(pair.first), board.title(pair.second), pair.only_first, pair.only_second, pair.p_value),
                *(values[frozenset((pair.first, pair.second))], pair.agreement),
                "" if pair.kappa != pair.kappa else pair.kappa,
            )
            for pair in face_set.pairs
        ),
    ]


def calibration_rows(board: Board, face_set: FaceSetComparison) -> Rows:
    """The bins of the reliability diagrams, each accuracy with its 95 % interval."""
    header = ("model", "temperature", "bin_low", "bin_high", "faces", "confidence", "accuracy")
    rows: list[Sequence[object]] = [(*header, "accuracy_low", "accuracy_high")]
    for name in face_set.models:
        for when in ("after", "before"):
            for b in board.reliability(face_set, name, calibrated=when == "after"):
                if b.count:
                    interval = wilson(round(b.accuracy * b.count), b.count)
                    edges = (round(b.low, 4), round(b.high, 4))
                    figures = (b.count, b.confidence, b.accuracy, interval.low, interval.high)
                    rows.append((board.title(name), when, *edges, *figures))
    return rows


def risk_rows(board: Board, face_set: FaceSetComparison) -> Rows:
    """The risk-coverage curves."""
    rows: list[Sequence[object]] = [("model", "coverage", "errors", "least_confidence")]
    return rows + [(board.title(name), *point) for name, row in face_set.models.items() for point in row.risk_coverage]


def corruption_rows(board: Board, record: RobustnessRecord) -> Rows:
    """Every accuracy; strength 0 is the clean face."""
    rows: list[Sequence[object]] = [("model", "corruption", "strength", "accuracy")]
    rows += [(board.title(name), "none", 0, value) for name, value in record.clean.items()]
    for kind, curves in record.corrupted.items():
        for name, curve in curves.items():
            rows += [(board.title(name), kind, *point) for point in zip(record.strengths, curve, strict=True)]
    return rows


def noise_rows(study: NoiseStudyRecord | None) -> Rows:
    """Every epoch of every run, and the published figures, marked."""
    header = ("training", "wrong_labels", "seed", "epoch", "test_accuracy", "wrong_labels_given_back", "source")
    rows: list[Sequence[object]] = [header]
    for run in study.runs if study else ():
        source = "measured here" if run.finished else "measured here, not finished"
        rows += [
            (run.method, run.noise, run.seed, p.epoch, p.test_accuracy, _blank(p.wrong_labels_held), source)
            for p in run.curve
        ]
    for curve in NOISE:
        rows += [
            (curve.title, n, "", "", round(value / 100, 6), "", f"{QUOTED}: {NOISE_SOURCE}")
            for n, value in curve.accuracy.items()
        ]
    return rows


def cost_rows(board: Board) -> Rows:
    """What each model costs."""
    sizes = ("parameters", "multiply_adds", "file_bytes")
    header = ("model", *sizes, "p50_ms", "p95_ms", "faces_a_second", "peak_memory_mb")
    rows: list[Sequence[object]] = [header]
    for name, card in board.cards.items():
        latency = board.latency.record.models.get(name) if board.latency.record else None
        times: tuple[object, ...] = ("", "", "", "")
        if latency:
            times = (latency.p50_ms, latency.p95_ms, latency.throughput, _blank(latency.peak_memory_mb))
        rows.append(
            (board.title(name), card.parameters, card.multiply_adds or "", board.file_bytes[name] or "", *times)
        )
    return rows


def _blank(value: float | None) -> object:
    return "" if value is None else value
