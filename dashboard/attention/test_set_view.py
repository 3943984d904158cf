"""What was measured about attention over a test split, as HTML; every text is escaped. No Gradio here."""

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from dashboard.attention.test_set import AttentionResults
from dashboard.attention.test_set_figures import SIDE, Atlas, Test, atlas_counts, atlas_pictures
from dashboard.components.charts import ModelStyle
from dashboard.components.face_view import data_uri, swatch
from dashboard.leaderboard.view import advice, paragraph, sentences, table
from fer_models.evaluation.store import Problem
from fer_models.models.card import ModelCard

#: What a map beats another one at, as a sentence needs it.
_WORDS: Final[Mapping[Test, str]] = {
    "deletion": "hiding what it marks first",
    "insertion": "showing what it marks first",
    "road": "ROAD",
    "arcc": "ARCC",
}


def notes(results: AttentionResults, cards: Mapping[str, ModelCard]) -> str:
    """On which faces this was measured, and what of it may be out of date.

    Args:
        results: what was read.
        cards: of the weights in use.
    """
    reasons: dict[Problem, list[str]] = {}
    for name, reason in results.stale(cards).items():
        reasons.setdefault(reason, []).append(results.titles[name])
    stale = "".join(
        advice(Problem(f"{', '.join(titles)}. {reason.text}", reason.commands)) for reason, titles in reasons.items()
    )
    known = [name for name, model in results.models.items() if model.get("baseline")]
    baseline = (
        f" {', '.join(str(results.models[name]['title']) for name in known)}: a baseline, trained for comparison "
        "alone; its weights are not shipped."
        if known
        else ""
    )
    return stale + paragraph(results.source + baseline)


def flip_table(results: AttentionResults, styles: Mapping[str, ModelStyle]) -> str:
    """Mean figures of the mirror test, with the interval of the mean."""
    rows = [
        (
            _model(results, styles, name),
            _with_interval(model["consistency"]["relative_loss"]),
            _with_interval(model["consistency"]["correlation"]),
        )
        for name, model in results.models.items()
    ]
    header = ("Model", "Relative flip loss, mean (95\u00a0% interval)", "Correlation, mean (95\u00a0% interval)")
    return table(header, rows)


def honesty_sentences(results: AttentionResults, test: Test) -> str:
    """Whether each model's own maps beat maps that know nothing, as far as the intervals can tell."""
    measured = results.measured(test)
    if not measured:
        return paragraph("No map was put to this test. Measure with --road.")
    told = []
    for name, figures in measured.items():
        random, blob = (_beats(figures[f"gain_over_{rival}"]) for rival in ("random", "blob"))
        told.append(f"{results.titles[name]}, {_WORDS[test]}: {random} random maps, {blob} a blob in the middle.")
    faces = max(model["faithfulness"]["faces"] for model in results.models.values() if model["faithfulness"])
    return sentences(told) + paragraph(
        f"Gains per face with 95 % intervals, over {faces:,} of the faces; native maps of each model’s own answer."
    )


def atlas(
    results: AttentionResults, styles: Mapping[str, ModelStyle], expression: str, kind: Atlas, *, same_scale: bool
) -> str:
    """Each model's mean map of an expression on the mean face."""
    counts = atlas_counts(results, expression, kind)
    pictures = atlas_pictures(results, expression, kind, same_scale=same_scale)
    if not pictures:
        return paragraph(f"No model has a mean map for {expression} here.")
    cells = "".join(
        f'<figure class="fer-lab-figure"><img src="{data_uri(picture)}" width="{SIDE}" height="{SIDE}" '
        f'alt="Mean map of {escape(results.titles[name])} for {escape(expression)}"><figcaption>'
        f"{swatch(styles[name])}<span>{escape(results.titles[name])}<br><small>mean of {counts[name]:,} "
        f"face{'' if counts[name] == 1 else 's'}</small></span></figcaption></figure>"
        for name, picture in pictures.items()
    )
    return f'<div class="fer-lab-atlas">{cells}</div>'


def _model(results: AttentionResults, styles: Mapping[str, ModelStyle], name: str) -> str:
    return f"{swatch(styles[name])}{escape(results.titles[name])}"


def _with_interval(summary: Mapping[str, Any]) -> str:
    interval = summary["interval"]
    low_high = f" <small>({interval[0]:.3f} to {interval[1]:.3f})</small>" if interval else ""
    return f"{summary['mean']:.3f}{low_high}"


def _beats(gain: Mapping[str, Any]) -> str:
    """A gain in words: it beats the other only if its whole interval is above 0."""
    low, high = gain["interval"] or (gain["mean"], gain["mean"])
    span = f"({low:+.3f} to {high:+.3f})".replace("-", "\u2212")
    if not gain["interval"]:
        return f"{gain['mean']:+.3f} (one face: no interval) against".replace("-", "\u2212")
    if low > 0:
        return f"better by {gain['mean']:.3f} {span} than"
    if high < 0:
        return f"worse by {-gain['mean']:.3f} {span} than"
    return f"not told apart {span} from"
