"""One face's report as a self-contained HTML file, and its raw maps as JSON. No Gradio here."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dashboard.attention.faithfulness_view import FaithfulnessResults, faithfulness_table
from dashboard.attention.view import legend, number
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.charts import ModelStyle
from dashboard.components.face_view import ModelDisplay, data_uri
from explain.drawing.colormaps import sequential
from explain.drawing.overlay import draw_cells, draw_map, shared_peak
from explain.explain_picture import model_record, versions
from explain.faithfulness import Curves, Faithfulness
from explain.flip_consistency import FlipConsistency
from explain.methods import METHODS
from fer_models.analyzer import Analyzer
from fer_models.expressions import in_display_order
from fer_models.formatting import percent

_SIDE: Final = 150
_STYLE: Final = """
body { max-width: 1180px; margin: 0 auto; padding: 24px; color: #18181b; font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 26px; } h2 { margin-top: 32px; font-size: 19px; } p, li { max-width: 90ch; }
table { border-collapse: collapse; } th, td { padding: 4px 8px; text-align: left; vertical-align: top; }
table.maps td { text-align: center; font-size: 13px; }
table.maps img { display: block; width: 118px; border-radius: 6px; }
td.answer { outline: 2px solid #18181b; } small, figcaption { color: #5b5b66; } code { overflow-wrap: anywhere; }
.fer-lab-legend { display: flex; gap: 10px; align-items: center; margin: 10px 0; font-size: 13px; }
.fer-lab-legend i { width: 180px; height: 10px; }
.fer-lab-own { font-weight: 600; } .fer-lab-numbers { display: flex; gap: 24px; margin: 0 0 10px; }
.fer-lab-numbers dt { color: #5b5b66; font-size: 13px; } .fer-lab-numbers dd { margin: 0; }
"""


def report(
    face: AnalyzedFace,
    display: ModelDisplay,
    mirror: Mapping[str, FlipConsistency],
    trust: FaithfulnessResults | None,
    *,
    with_face: bool,
) -> str:
    """A report of one face: an HTML file that asks nothing of any network and runs no script.

    Args:
        face: with native maps.
        display: cards and styles.
        mirror: flip consistency by model name.
        trust: what was measured of each model's map, if it was.
        with_face: whether maps are drawn on the face; else they are drawn alone, and no pixel of it is in the file.
    """
    names = [name for name in display.cards if name in face.maps]
    top = shared_peak(one for name in names for one in face.maps[name].values())
    picture = f'<img src="{data_uri(face.crop)}" width="160" alt="The face">' if with_face else ""
    parts = [
        f"<h1>Where {len(names)} models look in one face</h1>{picture}",
        "<p>An expression is not an emotion: it does not tell what a person feels, intends or is like. Maps show what "
        "was added up to a model’s answer, not why it is right. Do not use this for decisions about people.</p>",
        f"<h2>Maps and confidences</h2>{_maps(face, names, top, display, with_face)}"
        + legend(("No evidence", f"{number(top)}, the strongest of all models"), sequential("viridis")),
        f"<h2>Mirror test</h2>{_mirror(mirror, display)}",
    ]
    if trust:
        which = "the native ones above" if trust.method == "native" else f"those of {METHODS[trust.method].title}"
        curves = "".join(_trust(one, display) for one in trust.found.values())
        parts.append(f"<h2>Can the maps be trusted?</h2><p>Tested maps: {escape(which)}.</p>{curves}")
    parts.append(f"<h2>Models and versions</h2>{_models(names, display)}")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Attention report</title><style>{_STYLE}</style></head><body>{''.join(parts)}</body></html>"
    )


def face_json(face: AnalyzedFace, analyzer: Analyzer) -> str:
    """The raw native maps of every model and expression, as `explain_picture` writes them, without a picture."""
    models = {}
    for name, maps in face.maps.items():
        native = {one: replace(maps[one], method="native") for one in in_display_order(maps)}
        models[name] = model_record(analyzer.classifiers[name], face.predictions[name], native)
    return json.dumps({"versions": versions(), "models": models}, allow_nan=False)


def download_link(text: str, name: str, kind: str, content: str) -> str:
    """A link that saves a file which is part of the page: nothing is left on the server."""
    data = base64.b64encode(content.encode()).decode("ascii")
    size = len(content.encode()) / 1024
    return (
        f'<a download="{escape(name)}" href="data:{kind};charset=utf-8;base64,{data}">{escape(text)} '
        f"<small>{size:,.0f} kB</small></a>"
    )


def _maps(face: AnalyzedFace, names: list[str], top: float, display: ModelDisplay, with_face: bool) -> str:
    expressions = in_display_order({label for name in names for label in face.predictions[name].labels})
    head = "".join(f"<th>{escape(one.capitalize())}</th>" for one in expressions)
    rows = ""
    for name in names:
        cells, prediction = "", face.predictions[name]
        for one in expressions:
            if one not in face.maps[name]:
                cells += "<td>not known</td>"
                continue
            heat = face.maps[name][one]
            drawn = draw_map(face.crop, heat, peak=top, side=_SIDE) if with_face else draw_cells(heat, _SIDE, peak=top)
            mark = ' class="answer"' if one == prediction.label else ""
            cells += (
                f'<td{mark}><img src="{data_uri(drawn, 82)}" alt="">{percent(prediction.probability(one))}<br>'
                f"<small>peak {number(heat.peak)}</small></td>"
            )
        rows += f"<tr><th>{escape(display.cards[name].title)}</th>{cells}</tr>"
    return f'<table class="maps"><thead><tr><th></th>{head}</tr></thead><tbody>{rows}</tbody></table>'


def _mirror(mirror: Mapping[str, FlipConsistency], display: ModelDisplay) -> str:
    rows = "".join(
        f"<tr><td>{escape(display.cards[name].title)}</td><td>{one.correlation:.2f}</td><td>{number(one.loss)}</td></tr>"
        for name, one in mirror.items()
    )
    return (
        "<p>Maps of the face against those of its mirror image, flipped back, over all expressions: their correlation "
        "(1 is perfect) and EAC’s loss (0 is perfect; it grows with a model’s numbers).</p><table><thead><tr>"
        f"<th>Model</th><th>Correlation</th><th>Loss</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _trust(one: Faithfulness, display: ModelDisplay) -> str:
    title, style = display.cards[one.model].title, display.styles[one.model]
    drawn = _curves(one, "deletion", style) + _curves(one, "insertion", style)
    return (
        f"<h3>{escape(title)}: {escape(one.target)}</h3>{drawn}{faithfulness_table(one)}<p>{escape(one.sentence)}</p>"
    )


def _curves(one: Faithfulness, kind: str, style: ModelStyle) -> str:
    """Confidence over the share of pixels that is hidden or shown, as an SVG drawing."""
    lines = ((one.map, style.colour, "3", ""), (one.random, "#71717a", "2", "2 4"), (one.blob, "#71717a", "2", "8 5"))
    drawn = "".join(
        f'<polyline fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}" '
        f'points="{_points(curves, kind)}"/>'
        for curves, colour, width, dash in lines
    )
    text = {"deletion": "Hidden first", "insertion": "Shown first"}[kind]
    return (
        '<figure style="display:inline-block;width:320px;margin:0 20px 8px 0;vertical-align:top">'
        '<svg viewBox="-4 -4 308 158" width="308" height="158">'
        f'<path d="M0 0V150H300" fill="none" stroke="#a1a1aa"/>{drawn}</svg><figcaption>{text}: confidence from 0 to '
        "100 % over 0 to 100 % of the pixels. Thick: this map; dotted: a random map; dashed: a blob.</figcaption>"
        "</figure>"
    )


def _points(curves: Curves, kind: str) -> str:
    values: NDArray[np.float64] = curves.deletion if kind == "deletion" else curves.insertion
    steps = np.linspace(0, 300, len(values))
    return " ".join(f"{x:.1f},{150 * (1 - y):.1f}" for x, y in zip(steps, values, strict=True))


def _models(names: list[str], display: ModelDisplay) -> str:
    rows = "".join(
        f"<tr><td>{escape(display.cards[name].title)}</td><td>{escape(display.cards[name].training_labels)}</td>"
        f"<td><code>{escape(display.cards[name].sha256)}</code></td></tr>"
        for name in names
    )
    packages = ", ".join(f"{escape(name)} {escape(version)}" for name, version in versions().items())
    return (
        "<table><thead><tr><th>Model</th><th>Trained on</th><th>SHA-256 of the weights</th></tr></thead>"
        f"<tbody>{rows}</tbody></table><p><small>{packages}</small></p>"
    )
