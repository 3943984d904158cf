"""The leaderboard as sections of texts and charts; the tab and the report lay out the same ones. No Gradio here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import plotly.graph_objects as go

from dashboard.components.charts import model_styles
from dashboard.leaderboard import cards_view as pages
from dashboard.leaderboard import csv_tables as csv
from dashboard.leaderboard import figures
from dashboard.leaderboard import view as html
from dashboard.leaderboard.board import LABEL_SETS, Board
from dashboard.leaderboard.published import NOISE, NOISE_SOURCE, QUOTED
from dashboard.leaderboard.sentences import summary
from fer_models.evaluation.records import FaceSetComparison
from fer_models.evaluation.store import Problem

#: What a section shows: HTML, or a chart, or None where there is nothing to draw.
Part: TypeAlias = str | go.Figure | None

#: Handles clicks inside the HTML element `element`.

TITLE: Final = "Which model should I trust, and for what?"
INTRO: Final = (
    "Every figure here was written to a file by a command of this project, except where it says “quoted”. Where "
    "something was not measured, or with other weights than those in use, it says so and names the command."
)


@dataclass(frozen=True)
class Section:
    """One topic of the leaderboard.

    Attributes:
        key: of its elements on the page.
        title: what people read.
        charts: one entry a part: the key of a chart, "" for HTML.
        by_labels: whether it depends on the chosen label set.
        parts: (board, key of the label set) -> one value a part.
    """

    key: str
    title: str
    charts: tuple[str, ...]
    by_labels: bool
    parts: Callable[[Board, str], list[Part]]


def _overview(board: Board, name: str) -> list[Part]:
    source = board.sets[name]
    if source.record is None:
        return [html.text(html.advice(source.problem))]
    told = source.record
    return [
        html.text(
            html.advice(source.problem),
            _stale(board, told),
            html.sentences(summary(board, told, name), lead=True),
            html.heading(
                "Which model for which expression",
                "Finding most of an expression and being right when naming it are two things: a model that says fear "
                "at every face finds all fear.",
            ),
            html.trust_table(board, told),
        )
    ]


def _accuracy(board: Board, name: str) -> list[Part]:
    source, quoted = board.sets[name], html.quoted_for(LABEL_SETS[name].labels)
    others = html.heading(
        "What others report",
        f"These are {QUOTED}. Other training data, crops and rules make them a yardstick, not a ranking.",
    ) + html.quoted_table(quoted)
    if source.record is None:
        return [html.text(html.advice(source.problem)), None, html.text(others)]
    told = source.record
    copies = ""
    if told.copies:
        copies = (
            f" {told.copies:,} of them also stand in the training split, nearly pixel for pixel; the table tells "
            "accuracy without them too."
        )
    return [
        html.text(
            html.advice(source.problem),
            _stale(board, told),
            html.heading(
                "How often is each model right?",
                f"Share of {told.count:,} test faces whose label is the model’s most probable expression.{copies} Bars "
                "are 95 % intervals: drawing other faces of the same kind would move the figure about so much. Open "
                f"diamonds are {QUOTED}.{_baselines(told)}",
            ),
            html.tools(f"accuracy-{told.labels}", csv.accuracy_rows(board, told, quoted), "accuracy"),
        ),
        figures.accuracy_figure(board, told, quoted),
        html.text(html.accuracy_table(board, told), others),
    ]


def _expressions(board: Board, name: str) -> list[Part]:
    source = board.sets[name]
    if source.record is None:
        return [html.text(html.advice(source.problem)), None, ""]
    told, labels = source.record, source.record.labels
    return [
        html.text(
            html.advice(source.problem),
            _stale(board, told),
            html.heading(
                "Which expressions does each model find?",
                "Share of the faces with a label that get this answer (recall). An accuracy hides what is rare.",
            ),
            html.tools(f"expressions-{labels}", csv.per_expression_rows(board, told), "recall"),
        ),
        figures.recall_figure(board, told),
        html.text(
            html.heading(
                "What does it take them for?",
                "Confusion matrix: a row is a label, a column is an answer, a number is percent of the row. Blue is "
                "right, orange is wrong. Choose a cell to read it as a sentence.",
            ),
            html.tools(f"confusion-{labels}", csv.confusion_rows(board, told)),
            html.confusions(board, told),
        ),
    ]


def _agreement(board: Board, name: str) -> list[Part]:
    source = board.sets[name]
    if source.record is None:
        return [html.text(html.advice(source.problem))]
    told = source.record
    if not told.pairs:
        return [html.text(html.paragraph("Only one model was measured: there is nothing to compare."))]
    return [
        html.text(
            html.advice(source.problem),
            _stale(board, told),
            html.heading(
                "How alike are their answers?",
                "Share of faces that get the same answer from two models; \u03ba (Cohen’s kappa) is what of it is more "
                "than chance: 0 is none, 1 is all.",
            ),
            html.tools(f"pairs-{told.labels}", csv.pair_rows(board, told)),
            html.agreement_table(board, told),
            html.heading(
                "Is one better, or is it chance?",
                "Only faces that one of two models gets right and the other wrong can tell (McNemar’s exact test). The "
                f"probabilities are adjusted for testing {len(told.pairs)} pairs (Holm).",
            ),
            html.pair_list(board, told),
            html.heading("Together"),
            html.together(board, told),
        )
    ]


def _confidence(board: Board, name: str) -> list[Part]:
    source = board.sets[name]
    if source.record is None:
        return [html.text(html.advice(source.problem)), None, "", None, ""]
    told, labels = source.record, source.record.labels
    return [
        html.text(
            html.advice(source.problem),
            _stale(board, told),
            html.heading(
                "Does 80 % sure mean right four times in five?",
                "On the grey line it does. Below it a model is surer than it should be, above it less. The temperature "
                "is fitted on other faces, with the labels the model learned from, to bring it near the line; with "
                "other labels it can take it away from the line. It changes no answer.",
            ),
            html.tools(f"reliability-{labels}", csv.calibration_rows(board, told), "reliability"),
        ),
        figures.reliability_figure(board, told),
        html.text(
            html.heading("Before \u2192 after the temperature", "Lower is better in every column."),
            html.calibration_table(board, told),
            html.heading(
                "What if a model may stay silent?",
                "If only the faces a model is surest about are answered, it errs less: how much less tells what its "
                "confidence is good for.",
            ),
            html.tools(f"risk-coverage-{labels}", csv.risk_rows(board, told), "risk"),
        ),
        figures.risk_figure(board, told),
        html.text(html.risk_sentences(board, told)),
    ]


def _pictures(board: Board, name: str) -> list[Part]:
    source = board.robustness[name]
    if source.record is None:
        return [html.text(html.advice(source.problem)), None, ""]
    told = source.record
    return [
        html.text(
            html.advice(source.problem),
            html.stale_rows(board, source.stale),
            html.heading(
                "How fast does each model fail as pictures get worse?",
                f"Accuracy on {told.count:,} faces of the test split, damaged in {len(told.corrupted)} ways from mild "
                "(1) to severe (5). Choose a kind of damage in the chart.",
            ),
            html.tools(f"corruptions-{LABEL_SETS[name].labels}", csv.corruption_rows(board, told), "corruption"),
        ),
        figures.corruption_figure(board, told),
        html.text(
            html.heading(
                "All kinds", "Mean over the strengths, and percent points lost against the faces as they are."
            ),
            html.corruption_table(board, told),
        ),
    ]


def _noise(board: Board, _: str) -> list[Part]:
    source = board.noise
    if source.record is None:
        return [html.text(html.advice(source.problem), html.noise_quoted_table()), None, "", None, ""]
    told = source.record
    rows = csv.noise_rows(told)
    unfinished = sum(not run.finished for run in told.runs)
    note = f" {unfinished} of {len(told.runs)} runs are not finished; their points are open." if unfinished else ""
    missing = [share for share in NOISE[0].accuracy if share not in {run.noise for run in told.runs}]
    if missing:
        shares = " and ".join(", ".join(map(str, missing)).rsplit(", ", 1))
        note += f" Nothing was run at {shares}\u00a0%: there the measured lines only join the points beside."
    return [
        html.text(
            html.advice(source.problem),
            html.heading(
                "What do wrong training labels do, and what does EAC save?",
                "A MobileNetV2 trained plainly and with EAC on the same faces, a share of whose labels is wrong: "
                "flipped at random, or FER2013’s own labels where FER+’s are right. EAC’s second view mirrors the "
                "first, as the authors do it for right labels; for wrong ones their code erases it anew. "
                f"Tested on: {told.tested_on}.{note} Thin dotted lines are the paper’s ({NOISE_SOURCE}; {QUOTED}): "
                "other faces and labels, so compare how the lines fall, not how high they are.",
            ),
            html.tools("label-noise", rows, "noise"),
        ),
        figures.noise_figure(told),
        html.text(
            html.noise_table(told),
            html.noise_quoted_table(),
            html.heading(
                "Learned by heart",
                "Share of the wrong training labels a network gives back. A network that learns them by heart gets "
                "worse at the right ones.",
            ),
            html.tools("label-noise-epochs", rows, "memory"),
        ),
        figures.memory_figure(told),
        html.text(html.advice(Problem("Measured with:", (told.command,)))),
    ]


def _cost(board: Board, name: str) -> list[Part]:
    latency, told = board.latency, board.sets[name].record
    figure = figures.cost_figure(board, told) if told else None
    return [
        html.text(
            html.heading("What does an answer cost?"),
            html.advice(latency.problem),
            html.stale_rows(board, latency.stale),
            html.cost_table(board),
            html.latency_settings(latency.record) if latency.record else "",
            html.heading(
                f"Accuracy on {LABEL_SETS[name].title} against cost",
                "Up and left is better. The dotted line joins the models that no other beats at their cost.",
            ),
            "" if figure else html.advice(board.sets[name].problem),
            html.tools("cost", csv.cost_rows(board), "cost" if figure else ""),
        ),
        figure,
    ]


def _fairness(_: Board, __: str) -> list[Part]:
    return [pages.fairness()]


def _cards(board: Board, _: str) -> list[Part]:
    styles = model_styles(board.cards)
    told = "".join(
        pages.model_card(card, styles[name], opened=number == 0)
        for number, (name, card) in enumerate(board.cards.items())
    )
    problems = "".join(html.advice(Problem(problem)) for problem in board.card_problems)
    empty = "" if board.cards else html.paragraph("There are no model cards here.")
    return [html.text(problems, empty) + told]


SECTIONS: Final = (
    Section("overview", "Overview", ("",), True, _overview),
    Section("accuracy", "Accuracy", ("", "accuracy", ""), True, _accuracy),
    Section("expressions", "Expressions", ("", "recall", ""), True, _expressions),
    Section("agreement", "Agreement", ("",), True, _agreement),
    Section("confidence", "Confidence", ("", "reliability", "", "risk", ""), True, _confidence),
    Section("pictures", "Bad pictures", ("", "corruption", ""), True, _pictures),
    Section("noise", "Wrong labels", ("", "noise", "", "memory", ""), False, _noise),
    Section("cost", "Cost", ("", "cost"), True, _cost),
    Section("fairness", "Fairness", ("",), False, _fairness),
    Section("cards", "Model cards", ("",), False, _cards),
)


def _baselines(told: FaceSetComparison) -> str:
    if len(told.shipped) == len(told.single):
        return ""
    return (
        " A baseline was trained for comparison alone: its weights are not shipped, and it counts in no mean and no "
        "recommendation."
    )


def _stale(board: Board, told: FaceSetComparison) -> str:
    return html.stale_rows(board, board.stale(told))
