"""The quiz as view models and HTML. No Gradio here."""

from dataclasses import dataclass

from markupsafe import Markup

from dashboard.batch.quiz.answers import Agreement, Quiz, differing, with_labels, with_user
from dashboard.batch.session import AnalyzedBatch
from dashboard.batch.view import face_card, plural, thumbnail
from dashboard.components.display import ModelDisplay
from dashboard.components.templates import render
from fer_models.evaluation.statistics import wilson
from fer_models.expressions import EXPRESSIONS
from fer_models.formatting import percent_of
from fer_models.registry import ModelStyle


@dataclass(frozen=True)
class Rater:
    """The user or a model in the table of results; empty texts where there is nothing to say.

    Attributes:
        title: what people read.
        style: of a model; None for the user.
        user: on how many faces it agrees with the user.
        user_kappa: beyond chance.
        labels: on how many it agrees with the labels.
        interval: of that share.
        labels_kappa: beyond chance.
    """

    title: str
    style: ModelStyle | None
    user: str
    user_kappa: str
    labels: str
    interval: str
    labels_kappa: str


def question(analyzed: AnalyzedBatch, quiz: Quiz) -> Markup:
    """The current face and the expressions to choose from. Nothing names its file, which may tell the label."""
    number, row = len(quiz.answers) + 1, quiz.rows[len(quiz.answers)]
    return render(
        "batch/quiz/question.html",
        image=thumbnail(analyzed, row),
        row=row,
        number=number,
        total=len(quiz.rows),
        expressions=EXPRESSIONS,
    )


def results(analyzed: AnalyzedBatch, quiz: Quiz, display: ModelDisplay) -> Markup:
    """How far the user, the models and the labels agree, and the faces on which the user differs."""
    cards = []
    for index in differing(analyzed, quiz):
        given = analyzed.rows[index].get("label")
        lines = [f"You: {quiz.answered[index]}", *([f"Labelled {given}"] if given else [])]
        cards.append(face_card(analyzed, index, lines, display))
    return render(
        "batch/quiz/results.html",
        sentence=_sentence(analyzed, quiz, display),
        raters=_raters(analyzed, quiz, display) if quiz.answered else (),
        labelled=with_labels(analyzed, quiz, None) is not None,
        cards=cards,
        hint=f"{plural(len(cards), 'face')} on which you differ from a model or the label, most at odds first.",
    )


def _sentence(analyzed: AnalyzedBatch, quiz: Quiz, display: ModelDisplay) -> str:
    """What came of it, in a sentence or two."""
    skipped = len(quiz.rows) - len(quiz.answered)
    left = f" {plural(skipped, 'face')} skipped." if skipped else ""
    if not quiz.answered:
        return f"No face was labelled.{left}"
    same = {model: pair.same for model in analyzed.models if (pair := with_user(analyzed, quiz, model))}
    most = [display.titles[model] for model, count in same.items() if count == max(same.values())]
    who = most[0] if len(most) == 1 else f"{', '.join(most[:-1])} and {most[-1]}"
    text = f"You agree most with {who}: on {max(same.values())} of {plural(len(quiz.answered), 'face')}."
    labels = with_labels(analyzed, quiz, None)
    if labels:
        text += f" You chose the given label on {labels.same} of {labels.count}."
    return text + left


def _raters(analyzed: AnalyzedBatch, quiz: Quiz, display: ModelDisplay) -> tuple[Rater, ...]:
    user = Rater("You", None, "", "", *_against(with_labels(analyzed, quiz, None)))
    models = [
        Rater(
            display.titles[model],
            display.styles[model],
            *_shared(with_user(analyzed, quiz, model)),
            *_against(with_labels(analyzed, quiz, model)),
        )
        for model in analyzed.models
    ]
    return (user, *models)


def _shared(pair: Agreement | None) -> tuple[str, str]:
    """On how many faces two raters agree, and Cohen's kappa."""
    if pair is None:
        return "", ""
    kappa = "–" if pair.kappa is None else f"{pair.kappa:.2f}".replace("-", "\u2212")
    return f"{pair.same} of {pair.count} ({percent_of(pair.same / pair.count)})", kappa


def _against(pair: Agreement | None) -> tuple[str, str, str]:
    """The same, with the interval of the share between."""
    if pair is None:
        return "", "", ""
    share, kappa = _shared(pair)
    interval = wilson(pair.same, pair.count)
    return share, f"{100 * interval.low:.0f} to {100 * interval.high:.0f}\u00a0%", kappa
