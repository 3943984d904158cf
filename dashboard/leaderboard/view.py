"""The leaderboard's tables and texts as HTML; every text is escaped. No Gradio here."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Final

from dashboard.components.charts import model_styles
from dashboard.components.downloads import save_buttons
from dashboard.components.face_view import swatch
from dashboard.leaderboard.board import Board
from dashboard.leaderboard.csv_tables import Rows, csv_text
from dashboard.leaderboard.figures import noise_label, noise_order
from dashboard.leaderboard.published import FIGURES, NOISE, NOISE_SOURCE, QUOTED, Quoted
from dashboard.leaderboard.sentences import FEW, adjusted, cell_sentence, millions, pair_sentence, share, signed
from fer_models.evaluation.records import (
    Calibration,
    FaceSetComparison,
    LatencyRecord,
    ModelComparison,
    NoiseStudyRecord,
    RobustnessRecord,
)
from fer_models.evaluation.statistics import Interval
from fer_models.evaluation.store import Problem
from fer_models.evaluation.timing import Timing
from fer_models.models.ensemble import ENSEMBLE

_DASH: Final = "\u2013"
_STALE: Final = ' <span class="fer-stale">stale</span>'


def text(*parts: str) -> str:
    """HTML parts as one block."""
    return f'<div class="fer-board-text">{"".join(parts)}</div>'


def heading(title: str, hint: str = "") -> str:
    """A title and a sentence below it."""
    return f"<h3>{escape(title)}</h3>" + (f"<p>{escape(hint)}</p>" if hint else "")


def paragraph(words: str) -> str:
    """One paragraph."""
    return f"<p>{escape(words)}</p>"


def sentences(items: Sequence[str], *, lead: bool = False) -> str:
    """A list; the first one stands out if asked for."""
    first = ' class="fer-lead"' if lead else ""
    told = (f"<li{'' if number else first}>{escape(item)}</li>" for number, item in enumerate(items))
    return f"<ul>{''.join(told)}</ul>"


def advice(told: Problem | None) -> str:
    """What is missing or out of date, and the commands that mend it."""
    if told is None:
        return ""
    commands = "".join(f"<code>{escape(command)}</code>" for command in told.commands)
    return f'<div class="fer-advice" role="note">{escape(told.text)}{commands}</div>'


def stale_rows(board: Board, stale: Mapping[str, Problem | None]) -> str:
    """One advice for all models with the same reason.

    Args:
        board: for the titles.
        stale: by model name.
    """
    reasons: dict[Problem, list[str]] = {}
    for name, told in stale.items():
        if told is not None:
            reasons.setdefault(told, []).append(board.title(name))
    return "".join(
        advice(Problem(f"{', '.join(titles)}. {told.text}", told.commands)) for told, titles in reasons.items()
    )


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column names the row. The cells are HTML, the header is text."""
    lines = [[cell if cell.startswith("<td") else f"<td>{cell}</td>" for cell in row] for row in rows]
    # A column of words starts where its words do, its title too.
    words = {number for cells in lines for number, cell in enumerate(cells) if cell.startswith('<td class="fer-words"')}
    head = "".join(
        f'<th scope="col"{" class=fer-words" if number in words else ""}>{escape(name)}</th>'
        for number, name in enumerate(header)
    )
    body = "".join(f"<tr>{_row_name(cells[0])}{''.join(cells[1:])}</tr>" for cells in lines)
    return (
        f'<div class="fer-scroll"><table class="fer-table"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
        "</div>"
    )


def _row_name(cell: str) -> str:
    return f'<th scope="row">{cell.removeprefix("<td>").removesuffix("</td>")}</th>'


def tools(name: str, rows: Rows, chart: str = "") -> str:
    """Small buttons: the figures as CSV, and a chart as PNG and SVG. The file is in the page: the server keeps none.

    Args:
        name: of the files, without suffix.
        rows: the table, header first.
        chart: key of the chart; "" where there is none.
    """
    code = base64.b64encode(csv_text(rows).encode()).decode()
    link = (
        f'<a class="fer-tool" download="{escape(name)}.csv" href="data:text/csv;charset=utf-8;base64,{code}" '
        'aria-label="Save the figures as CSV">CSV</a>'
    )
    return f'<div class="fer-tools">{save_buttons(name, chart)}{link}</div>'


_SELDOM: Final = f'<td class="fer-words">none says it {FEW} times</td>'


def trust_table(board: Board, face_set: FaceSetComparison) -> str:
    """For each expression, the model that finds most of it and the one to believe most when it says it."""
    rows = []
    for label in _labels(face_set):
        found = _best({name: row.recall_of(label) for name, row in face_set.shipped.items() if label in row.labels})
        often = {
            name: row.precision(label)
            for name, row in face_set.shipped.items()
            if label in row.labels and row.predicted(label) >= FEW
        }
        said = _best(often)
        faces = next(iter(face_set.models.values())).faces(label)
        name = f"{escape(label.capitalize())}<br><small>{faces:,} faces</small>"
        rows.append((name, _with_words(board, found), _with_words(board, said) if often else _SELDOM))
    return table(("Expression", "Finds most of it", "Most often right when it says so"), rows)


def _best(values: Mapping[str, float | None]) -> tuple[float, list[str]] | None:
    known = {name: value for name, value in values.items() if value is not None}
    if not known:
        return None
    best = max(known.values())
    return best, [name for name, value in known.items() if value == best]


def _with_words(board: Board, best: tuple[float, list[str]] | None) -> str:
    if best is None:
        return f'<td class="fer-words">{_DASH}</td>'
    value, names = best
    weak = " <small>less than half</small>" if value < 0.5 else ""
    if value == 0:
        return '<td class="fer-words">none does</td>'
    titles = escape(", ".join(board.title(name) for name in names))
    return f'<td class="fer-words">{titles} <small>{share(value)}</small>{weak}</td>'


def accuracy_table(board: Board, face_set: FaceSetComparison) -> str:
    """Accuracy with its interval, without copies, macro-F1."""
    best = max(row.accuracy.value for row in face_set.models.values())
    rows = [
        (
            _model(board, face_set.models, name, stale=board.stale(face_set).get(name)),
            _cell(share(row.accuracy.value), best=row.accuracy.value == best),
            _interval(row.accuracy),
            share(row.accuracy_without_copies.value) if row.accuracy_without_copies and face_set.copies else _DASH,
            f"{row.macro_f1:.3f}",
        )
        for name, row in face_set.models.items()
    ]
    return table(("Model", "Accuracy", "95 % interval", "Without training copies", "Macro-F1"), rows)


def quoted_table(quoted: Sequence[Quoted]) -> str:
    """Published figures with their sources."""
    rows = [
        (
            escape(each.title),
            f"{each.accuracy:.2f}\u00a0%"
            if not each.spread
            else f"{each.accuracy:.0f} \u00b1 {each.spread:.0f}\u00a0%",
            f'<td class="fer-words">{escape(each.source)}{f", {each.year}" if each.year else ""}</td>',
            f'<td class="fer-words">{escape(each.note)}</td>',
        )
        for each in quoted
    ]
    return table(("System", f"Accuracy ({QUOTED})", "Source", "Note"), rows)


def confusions(board: Board, face_set: FaceSetComparison) -> str:
    """One confusion matrix at a time; a click on a cell says what it means."""
    pills = "".join(
        f'<button type="button" class="fer-pill" data-pick="{escape(name)}" aria-pressed="{_true(number == 0)}">'
        f"{escape(board.title(name))}</button>"
        for number, name in enumerate(face_set.models)
    )
    panels = "".join(
        f'<div data-panel="{escape(name)}"{"" if number == 0 else " hidden"}>{_confusion(row, board.title(name))}</div>'
        for number, (name, row) in enumerate(face_set.models.items())
    )
    return f'<div class="fer-picker"><div class="fer-pills" role="group" aria-label="Model">{pills}</div>{panels}</div>'


def _confusion(row: ModelComparison, title: str) -> str:
    head = "".join(f'<th scope="col"><span>{escape(label)}</span></th>' for label in row.labels)
    body = []
    for truth, counts in zip(row.labels, row.confusion, strict=True):
        total = sum(counts)
        cells = []
        for answer, count in zip(row.labels, counts, strict=True):
            part = count / total if total else 0.0
            says = cell_sentence(row, title, truth, answer)
            cells.append(
                f'<td><button type="button" class="fer-cell" aria-pressed="false" '
                f'data-right="{_true(truth == answer)}" '
                f'style="--fer-share:{part:.3f}" data-says="{escape(says)}" aria-label="{escape(says)}">'
                f"{100 * part:.0f}</button></td>"
            )
        body.append(f'<tr><th scope="row">{escape(truth)}</th>{"".join(cells)}</tr>')
    return (
        '<table class="fer-confusion"><thead><tr><th scope="col">label</th>'
        f"{head}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        '<p class="fer-says" aria-live="polite">Choose a cell to read what it means.</p>'
    )


def agreement_table(board: Board, face_set: FaceSetComparison) -> str:
    """Share of faces two models give the same answer to, and Cohen's kappa."""
    names = [*face_set.single]
    told = {frozenset((pair.first, pair.second)): pair for pair in face_set.pairs}
    rows = []
    for name in names:
        cells = []
        for other in names:
            pair = told.get(frozenset((name, other)))
            kappa = "" if pair is None or pair.kappa != pair.kappa else f"<br><small>\u03ba {pair.kappa:.2f}</small>"
            cells.append(f"{share(pair.agreement)}{kappa}" if pair and name != other else _DASH)
        rows.append((_model(board, face_set.models, name), *cells))
    return table(("", *(board.title(name) for name in names)), rows)


def pair_list(board: Board, face_set: FaceSetComparison) -> str:
    """Every pair of models in words."""
    titles = {name: board.title(name) for name in face_set.models}
    values, kept_values = adjusted(face_set.pairs), adjusted(face_set.pairs_without_copies)
    kept = {(pair.first, pair.second): pair for pair in face_set.pairs_without_copies} if face_set.copies else {}
    told = []
    for pair in face_set.pairs:
        both = frozenset((pair.first, pair.second))
        without = kept.get((pair.first, pair.second))
        told.append(pair_sentence(pair, values[both], titles, (without, kept_values[both]) if without else None))
    return sentences(told)


def together(board: Board, face_set: FaceSetComparison) -> str:
    """What the mean of all models gains, and the best that any choice among them could reach."""
    name, best = max(face_set.shipped.items(), key=lambda item: item[1].accuracy.value)
    told = [f"The best single model, {board.title(name)}, is right on {share(best.accuracy.value)}."]
    if ENSEMBLE in face_set.models:
        mean = face_set.models[ENSEMBLE].accuracy
        told.append(
            f"The mean of all models’ probabilities is right on {share(mean.value)} ({_interval(mean)}): "
            f"{signed(mean.value - best.accuracy.value)} percent points."
        )
    told.append(
        f"On {share(face_set.oracle)} at least one model is right. On the other {share(1 - face_set.oracle)} all are "
        "wrong, so no way of choosing among them can help there; some of these labels may be wrong."
    )
    return sentences(told)


def calibration_table(board: Board, face_set: FaceSetComparison) -> str:
    """ECE, NLL and Brier score, before and after the temperature."""
    rows = []
    for name, row in face_set.models.items():
        before, after = row.before_temperature, row.after_temperature
        rows.append(
            (
                _model(board, face_set.models, name, stale=board.stale(face_set).get(name)),
                _DASH if row.temperature is None else f"{row.temperature:.2f}",
                _change(before, after, lambda each: f"{100 * each.expected_calibration_error:.1f}"),
                _change(before, after, lambda each: f"{each.negative_log_likelihood:.3f}"),
                _change(before, after, lambda each: f"{each.brier:.3f}"),
            )
        )
    header = ("Model", "Temperature", "Calibration error (ECE, points)", "Log loss (NLL, nats)", "Brier score (0 to 2)")
    return table(header, rows)


def _change(before: Calibration | None, after: Calibration, figure: Callable[[Calibration], str]) -> str:
    new = f"<b>{figure(after)}</b>"
    return f"{figure(before)} \u2192 {new}" if before else new


def risk_sentences(board: Board, face_set: FaceSetComparison) -> str:
    """What abstaining would gain, for every model."""
    told = []
    for name, row in face_set.models.items():
        points = {round(coverage, 2): (risk, confidence) for coverage, risk, confidence in row.risk_coverage}
        if 0.5 in points and 1.0 in points:
            risk, confidence = points[0.5]
            told.append(
                f"{board.title(name)} errs on {share(points[1.0][0])} of all faces, but on {share(risk)} of the half "
                f"it is surest about (confidence from {100 * confidence:.0f}\u00a0%)."
            )
    return sentences(told) if told else ""


def corruption_table(board: Board, told: RobustnessRecord) -> str:
    """Mean accuracy over all strengths by kind, and what it loses against clean faces."""
    rows = [("As they are", *(share(value) for value in told.clean.values()))]
    means = {name: told.mean_by_strength(name) for name in told.clean}
    for kind, curves in [*told.corrupted.items(), ("Mean of all kinds", means)]:
        cells = []
        for name, clean in told.clean.items():
            mean = sum(curves[name]) / len(curves[name])
            cells.append(f"{share(mean)} <small>{signed(mean - clean)}</small>")
        rows.append((escape(kind.capitalize()), *cells))
    if told.mean:
        intervals = (_interval(told.mean[name]) if name in told.mean else _DASH for name in told.clean)
        rows.append(("Its 95 % interval", *(f"<small>{each}</small>" for each in intervals)))
    return table(("Faces", *(board.title(name) for name in told.clean)), rows)


def noise_table(study: NoiseStudyRecord) -> str:
    """Every run, unfinished ones marked, and the published figures, marked."""
    rows = []
    for run in sorted(study.runs, key=lambda each: (noise_order(each.noise), each.method, each.seed)):
        epochs = run.curve[-1].epoch if run.curve else 0
        state = "finished" if run.finished else f"not finished: {epochs} of {study.epochs} epochs"
        rows.append(
            (
                escape(f"{'EAC' if run.method == 'eac' else run.method.capitalize()}, seed {run.seed}"),
                escape(noise_label(run.noise)),
                _DASH if run.best_test_accuracy is None else share(run.best_test_accuracy),
                _DASH if run.last_test_accuracy is None else share(run.last_test_accuracy),
                f'<td class="fer-words">{state}</td>',
            )
        )
    return table(("Training", "Wrong labels", "Best epoch", "Last epoch", "Run"), rows)


def noise_quoted_table() -> str:
    """The paper's table."""
    shares = [*NOISE[0].accuracy]
    rows = [(escape(each.title), *(f"{each.accuracy[n]:.2f}\u00a0%" for n in shares)) for each in NOISE]
    return paragraph(f"{NOISE_SOURCE}: {QUOTED}.") + table(("Network", *(f"{n} % wrong" for n in shares)), rows)


def cost_table(board: Board) -> str:
    """Parameters, multiply-adds, file size, times and memory."""
    latency = board.latency.record
    rows = []
    for name, card in board.cards.items():
        told = latency.models.get(name) if latency else None
        rows.append(
            (
                _model(board, board.cards, name, stale=board.latency.stale.get(name)),
                millions(card.parameters),
                f"{card.multiply_adds / 1e9:.2f} billion" if card.multiply_adds else "not counted",
                f"{board.file_bytes[name] / 1e6:.1f}\u00a0MB" if board.file_bytes[name] else "missing",
                f"{told.p50_ms:.1f}\u00a0ms" if told else _DASH,
                f"{told.p95_ms:.1f}\u00a0ms" if told else _DASH,
                f"{told.throughput:.0f}" if told else _DASH,
                f"{told.peak_memory_mb:.0f}\u00a0MB" if told and told.peak_memory_mb else _DASH,
            )
        )
    batch = latency.batch if latency else 16
    header = ("Model", "Parameters", "Multiply-adds a face", "File", "Time of one face, median", "95 % are below")
    return table((*header, f"Faces a second, {batch} at once", "Peak memory"), rows)


def latency_settings(told: LatencyRecord) -> str:
    """Where and how the times were measured."""
    versions = ", ".join(f"{name} {version}" for name, version in told.versions.items())
    settings = f"{told.threads} threads, {told.dtype} on {told.device}; {versions}"
    return paragraph(
        f"Measured on {told.machine}: {settings}; {told.repeats} times each, one model after the other in "
        "changing order. Preprocessing counts, finding the face does not."
    )


def timings_table(titles: Mapping[str, str], timings: Mapping[str, Timing], batch: int) -> str:
    """What was just measured on this machine."""
    styles = model_styles(timings)
    rows = [
        (
            f"{swatch(styles[name])}{escape(titles[name])}",
            f"{each.p50_ms:.1f}\u00a0ms",
            f"{each.p95_ms:.1f}\u00a0ms",
            f"{each.throughput:.0f}",
        )
        for name, each in timings.items()
    ]
    header = ("Model", "Time of one face, median", "95 % are below", f"Faces a second, {batch} at once")
    return table(header, rows)


def quoted_for(labels: str) -> list[Quoted]:
    """Published figures on this label set, the best first."""
    return sorted((each for each in FIGURES if each.labels == labels), key=lambda each: -each.accuracy)


def _labels(face_set: FaceSetComparison) -> tuple[str, ...]:
    return next(iter(face_set.models.values())).labels


def _model(board: Board, names: Iterable[str], name: str, *, stale: Problem | None = None) -> str:
    return f"{swatch(model_styles(names)[name])}{escape(board.title(name))}{_STALE if stale else ''}"


def _cell(words: str, *, best: bool) -> str:
    return f'<td class="fer-best">{words}</td>' if best else words


def _interval(each: Interval) -> str:
    return f"{100 * each.low:.1f} to {100 * each.high:.1f}\u00a0%"


def _true(value: bool) -> str:
    return "true" if value else "false"
