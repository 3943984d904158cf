"""The leaderboard as sections of texts and charts; the tab and the report lay out the same ones. No Gradio here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import plotly.graph_objects as go
from markupsafe import Markup

from dashboard.components.templates import part, render
from dashboard.leaderboard import csv_tables as csv
from dashboard.leaderboard import figures, pairs_view, ranking_view, view
from dashboard.leaderboard.board import LABEL_SETS, Board
from dashboard.leaderboard.cost.cards_view import card_view
from dashboard.leaderboard.cost.cost_view import cost_rows
from dashboard.leaderboard.eac import figures as eac_figures
from dashboard.leaderboard.eac.findings import eac_findings
from dashboard.leaderboard.eac.noise import missing_shares, noise_rows
from dashboard.leaderboard.published import NOISE, NOISE_SOURCE, quoted_for
from dashboard.leaderboard.reliability_figure import reliability_figure
from dashboard.leaderboard.sentences import (
    FEW,
    combination_sentences,
    interval_text,
    members,
    risk_sentences,
    share,
    summary,
)
from dashboard.leaderboard.view import Download, stale_problems
from fer_models.evaluation.store import Problem
from fer_models.evaluation.timing import BATCH
from fer_models.registry import model_styles

#: A piece of a section: HTML, or a chart, or None where there is nothing to draw.
Part: TypeAlias = Markup | go.Figure | None

TITLE: Final = "Which model should I trust, and for what?"
INTRO: Final = (
    "All numbers were measured by this project unless marked “quoted”. Where one is missing, or was measured with "
    "other weights than those in use, the page says so and names the command."
)
_NOTHING: Final = Markup()


@dataclass(frozen=True)
class Section:
    """One topic of the leaderboard.

    Attributes:
        key: of its elements on the page.
        title: what people read.
        charts: one entry per part: the key of a chart, "" for HTML.
        by_labels: whether it depends on the chosen label set.
        parts: (board, key of the label set) -> one value per part.
    """

    key: str
    title: str
    charts: tuple[str, ...]
    by_labels: bool
    parts: Callable[[Board, str], list[Part]]


def _html(section: str, name: str, **values: Any) -> Markup:
    return part(f"leaderboard/{section}.html", name, **values)


def _missing(problem: Problem | None) -> Markup:
    return part("leaderboard/_macros.html", "missing", problem)


def _overview(board: Board, _: str) -> list[Part]:
    sets = ranking_view.measured_sets(board)
    missing = dict.fromkeys(each.problem for each in board.sets.values() if each.problem)
    stale = dict.fromkeys(problem for record in sets.values() for problem in stale_problems(board, board.stale(record)))
    return [
        render(
            "leaderboard/ranking.html",
            problems=[*missing, *stale],
            picks=ranking_view.picks(board),
            rows=ranking_view.ranked_rows(board),
            titles={each.labels: each.title for each in LABEL_SETS.values()},
        )
    ]


def _summary(board: Board, name: str) -> list[Part]:
    record = board.sets[name].record
    if record is None:
        return [_missing(board.sets[name].problem)]
    return [
        _html(
            "overview",
            "summary",
            stale=stale_problems(board, board.stale(record)),
            sentences=summary(board, record, name),
            rows=view.expression_rows(board, record),
            few=FEW,
        )
    ]


def _accuracy(board: Board, name: str) -> list[Part]:
    record, quoted = board.sets[name].record, quoted_for(LABEL_SETS[name].labels)
    if record is None:
        return [_missing(board.sets[name].problem), None, _html("accuracy", "only_published", quoted=quoted)]
    rows = csv.accuracy_rows(board, record, quoted)
    marks = [model.baseline for model in record.models.values() if model.baseline]
    return [
        _html(
            "accuracy",
            "intro",
            stale=stale_problems(board, board.stale(record)),
            record=record,
            members=members(board, record) if record.members else "",
            baselines=any(not mark.peer for mark in marks),
            peers=[mark.peer for mark in marks if mark.peer],
            download=Download(f"accuracy-{record.labels}", rows, "accuracy"),
        ),
        figures.accuracy_figure(board, record, quoted),
        _html("accuracy", "tables", rows=view.accuracy_rows(board, record), quoted=quoted),
    ]


def _expressions(board: Board, name: str) -> list[Part]:
    record = board.sets[name].record
    if record is None:
        return [_missing(board.sets[name].problem), None, _NOTHING]
    return [
        _html(
            "expressions",
            "intro",
            stale=stale_problems(board, board.stale(record)),
            download=Download(f"expressions-{record.labels}", csv.per_expression_rows(board, record), "recall"),
        ),
        figures.recall_figure(board, record),
        _html(
            "expressions",
            "confusions",
            matrices=view.confusion_matrices(board, record),
            download=Download(f"confusion-{record.labels}", csv.confusion_rows(board, record)),
        ),
    ]


def _agreement(board: Board, name: str) -> list[Part]:
    record = board.sets[name].record
    if record is None:
        return [_missing(board.sets[name].problem)]
    if not record.pairs:
        return [_html("agreement", "single_model")]
    return [
        _html(
            "agreement",
            "comparison",
            stale=stale_problems(board, board.stale(record)),
            rows=pairs_view.agreement_table(board, record),
            matrix=pairs_view.pair_matrix(board, record),
            count=len(record.pairs),
            verdict=pairs_view.pairs_verdict(board, record),
            combination=combination_sentences(board, record),
            download=Download(f"pairs-{record.labels}", csv.pair_rows(board, record)),
        )
    ]


def _confidence(board: Board, name: str) -> list[Part]:
    record = board.sets[name].record
    if record is None:
        return [_missing(board.sets[name].problem), None, _NOTHING, None, _NOTHING]
    return [
        _html(
            "confidence",
            "intro",
            stale=stale_problems(board, board.stale(record)),
            tenths=name in board.predictions,
            download=Download(f"reliability-{record.labels}", csv.calibration_rows(board, record), "reliability"),
        ),
        reliability_figure(board, record),
        _html(
            "confidence",
            "calibration",
            rows=view.calibration_rows(board, record),
            download=Download(f"risk-coverage-{record.labels}", csv.risk_rows(board, record), "risk"),
        ),
        figures.risk_figure(board, record),
        _html("confidence", "selective_prediction", sentences=risk_sentences(board, record)),
    ]


def _robustness(board: Board, name: str) -> list[Part]:
    measured = board.robustness[name]
    record = measured.record
    if record is None:
        return [_missing(measured.problem), None, _NOTHING]
    rows = csv.corruption_rows(board, record)
    means = [interval_text(record.mean[model]) if model in record.mean else view.DASH for model in record.clean]
    return [
        _html(
            "robustness",
            "intro",
            stale=stale_problems(board, board.stale(record)),
            record=record,
            download=Download(f"corruptions-{LABEL_SETS[name].labels}", rows, "corruption"),
        ),
        figures.corruption_figure(board, record),
        _html(
            "robustness",
            "kinds",
            titles=[board.title(model) for model in record.clean],
            clean=[share(value) for value in record.clean.values()],
            rows=view.corruption_rows(record),
            intervals=means if record.mean else [],
        ),
    ]


def _eac(_: Board, __: str) -> list[Part]:
    return [_html("eac/eac", "idea")]


def _reproduced(board: Board, _: str) -> list[Part]:
    return [_html("eac/eac", "reproduced", findings=eac_findings(board))]


def _noise(board: Board, _: str) -> list[Part]:
    study = board.noise.record
    published = {"curves": NOISE, "source": NOISE_SOURCE}
    if study is None:
        first = _html("eac/noise", "only_published", problem=board.noise.problem, **published)
        return [first, None, _NOTHING, None, _NOTHING]
    rows = csv.noise_rows(study)
    return [
        _html(
            "eac/noise",
            "intro",
            study=study,
            unfinished=sum(not run.finished for run in study.runs),
            missing=missing_shares(study),
            source=NOISE_SOURCE,
            download=Download("label-noise", rows, "noise"),
        ),
        eac_figures.noise_figure(study),
        _html(
            "eac/noise",
            "tables",
            rows=noise_rows(study),
            download=Download("label-noise-epochs", rows, "memory"),
            **published,
        ),
        eac_figures.memory_figure(study),
        _html("eac/noise", "command", study=study),
    ]


def _cost(board: Board, name: str) -> list[Part]:
    latency, measured = board.latency, board.sets[name]
    figure = figures.cost_figure(board, measured.record) if measured.record else None
    return [
        _html(
            "cost",
            "costs",
            measured=latency,
            stale=stale_problems(board, board.stale(latency.record)),
            rows=cost_rows(board),
            batch=latency.record.batch if latency.record else BATCH,
            test_set=LABEL_SETS[name].title,
            advice=None if figure else measured.problem,
            download=Download("cost", csv.cost_rows(board), "cost" if figure else ""),
        ),
        figure,
    ]


def _fairness(_: Board, __: str) -> list[Part]:
    return [render("leaderboard/fairness.html")]


def _cards(board: Board, _: str) -> list[Part]:
    styles = model_styles(board.cards)
    cards = [card_view(card, styles[name]) for name, card in board.cards.items()]
    return [render("leaderboard/cards.html", problems=board.card_problems, cards=cards)]


SECTIONS: Final = (
    Section("overview", "Overview", ("",), False, _overview),
    Section("summary", "Summary", ("",), True, _summary),
    Section("accuracy", "Accuracy", ("", "accuracy", ""), True, _accuracy),
    Section("expressions", "Expressions", ("", "recall", ""), True, _expressions),
    Section("agreement", "Agreement", ("",), True, _agreement),
    Section("confidence", "Confidence", ("", "reliability", "", "risk", ""), True, _confidence),
    Section("pictures", "Robustness", ("", "corruption", ""), True, _robustness),
    Section("eac", "EAC", ("",), False, _eac),
    Section("noise", "Label noise", ("", "noise", "", "memory", ""), False, _noise),
    Section("reproduced", "Reproduced", ("",), False, _reproduced),
    Section("cost", "Cost", ("", "cost"), True, _cost),
    Section("fairness", "Fairness", ("",), False, _fairness),
    Section("cards", "Model cards", ("",), False, _cards),
)


@dataclass(frozen=True)
class Group:
    """Sections that stand on one tab.

    Attributes:
        key: of the tab; addresses name it.
        title: what people read.
        sections: keys of `SECTIONS`, from top to bottom.
    """

    key: str
    title: str
    sections: tuple[str, ...]

    @property
    def members(self) -> list[Section]:
        """The sections themselves."""
        return [section for key in self.sections for section in SECTIONS if section.key == key]


GROUPS: Final = (
    Group("overview", "Overview", ("overview",)),
    Group("accuracy", "Accuracy", ("summary", "accuracy", "expressions", "agreement")),
    Group("confidence", "Confidence", ("confidence", "pictures")),
    Group("eac", "EAC", ("eac", "noise", "reproduced")),
    Group("cost", "Cost and cards", ("cost", "fairness", "cards")),
)
