"""What a test of maps found, as HTML: areas, ROAD and ARCC beside those of maps that know nothing. No Gradio here."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from html import escape

from dashboard.components.face_view import ModelDisplay, swatch
from explain.arcc import Arcc
from explain.faithfulness import Curves, Faithfulness


@dataclass(frozen=True, eq=False)
class FaithfulnessResults:
    """What "Can it be trusted?" measured on a face.

    Attributes:
        method: that made the maps, a key of `METHODS`.
        found: by model name, not empty.
    """

    method: str
    found: Mapping[str, Faithfulness]


def faithfulness_cards(found: Iterable[Faithfulness], method: str, display: ModelDisplay) -> str:
    """`faithfulness_card` of several models, side by side where there is room."""
    return f'<div class="fer-lab-stack">{"".join(faithfulness_card(one, method, display) for one in found)}</div>'


def faithfulness_card(one: Faithfulness, method: str, display: ModelDisplay) -> str:
    """What the test of one model's map found: areas beside those of maps that know nothing, ROAD, and a sentence.

    Args:
        one: what was measured.
        method: the method's title.
        display: cards and styles.
    """
    return (
        f'<div class="fer-panel" data-trust="{escape(one.model)}"><p class="fer-lab-heading">'
        f"{swatch(display.styles[one.model])}<span>{escape(display.cards[one.model].title)}: {escape(one.target)}, "
        f"{escape(method)}</span></p>{faithfulness_table(one)}"
        f'<p class="fer-hint">{escape(one.sentence)}</p></div>'
    )


def faithfulness_table(one: Faithfulness) -> str:
    """The areas and scores of a map beside those of maps that know nothing, and the parts of its ARCC."""
    rows = "".join(
        f'<tr{mark}><th scope="row">{title}</th><td>{each.deletion_area:.2f}</td>'
        f"<td>{each.insertion_area:.2f}</td>{_scores(each)}</tr>"
        for title, each, mark in (
            ("This map", one.map, ' class="fer-lab-own"'),
            ("A random map", one.random, ""),
            ("A blob in the middle", one.blob, ""),
        )
    )
    head = "".join(
        f'<th scope="col">{title}<br><small>{hint}</small></th>'
        for title, hint, there in (
            ("Hidden first", "low is good", True),
            ("Shown first", "high is good", True),
            ("ROAD", "above 0 is good", one.map.road is not None),
            ("ARCC", "high is good", one.map.arcc is not None),
        )
        if there
    )
    return (
        f'<table class="fer-lab-table"><thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>'
        f"{_arcc_parts(one.map.arcc)}"
    )


def _scores(each: Curves) -> str:
    """The cells of ROAD and ARCC, where they were measured."""
    road = "" if each.road is None else f"<td>{each.road.combined:+.2f}</td>".replace("-", "\u2212")
    return road + ("" if each.arcc is None else f"<td>{each.arcc.score:.2f}</td>")


def _arcc_parts(one: Arcc | None) -> str:
    if one is None:
        return ""
    parts = (("Coherency", one.coherency), ("Simplicity", one.simplicity), ("ROAD, 0 to 1", one.road))
    told = "".join(f"<div><dt>{title}</dt><dd>{value:.2f}</dd></div>" for title, value in parts)
    return (
        f'<p class="fer-hint">This map’s ARCC is the harmonic mean of:</p><dl class="fer-lab-numbers">{told}</dl>'
        '<p class="fer-hint">A blob is the same on every face, so its coherency is 1 by definition.</p>'
    )
