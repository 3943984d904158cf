"""The chart of one face as a PDF page: vectors, and text as text, for papers and slides. No Gradio here."""

import io
from collections.abc import Sequence
from typing import Final

from dashboard.compare.view import VERSION, chart_words, with_ensembles
from dashboard.components.analyzed_image import AnalyzedImage
from dashboard.components.display import ModelDisplay
from fer_models.expressions import EXPRESSIONS, in_display_order

_SIZE: Final = (10, 4.6)  # inches
_INK: Final = "#18181b"
_MUTED: Final = "#5b5b66"
_GROUP: Final = 0.8  # width of a group of bars; groups are 1 apart


def chart_pdf(analyzed: AnalyzedImage, index: int, names: Sequence[str], display: ModelDisplay, date: str) -> bytes:
    """A group of bars per expression, one bar per model, as the page's chart; where a model does not know one, none.

    Args:
        analyzed: the picture.
        index: of its face.
        names: of the models and ensembles that it shows.
        display: cards, styles and ensembles.
        date: when it is made.

    Returns:
        A PDF file of one page.
    """
    # Slow to import. Without pyplot, which keeps figures and is not safe to use from several threads.
    import matplotlib
    from matplotlib.figure import Figure

    chosen = [name for name in (*display.cards, *display.ensembles) if name in names]
    predictions = with_ensembles(analyzed.faces[index], chosen, display)
    shown = in_display_order({*EXPRESSIONS, *(label for one in predictions.values() for label in one.labels)})
    words, width = chart_words(analyzed, index), _GROUP / max(1, len(predictions))
    figure = Figure(figsize=_SIZE, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, one) in enumerate(predictions.items()):
        known = [(place, label) for place, label in enumerate(shown) if label in one.labels]
        axes.bar(
            [place - _GROUP / 2 + width * (number + 0.5) for place, _ in known],
            [100 * one.probability(label) for _, label in known],
            0.9 * width,
            label=display.column_titles[name],
            color=display.styles[name].colour,
            edgecolor="white",
            linewidth=0,
            hatch=3 * display.styles[name].pattern,  # Plotly's names; denser, for narrow bars
        )
    axes.set_xticks(range(len(shown)), [label.capitalize() for label in shown])
    axes.set_ylabel("Probability (%)")
    axes.set_ylim(0, 100)
    axes.tick_params(length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="y", color="#d4d4d8", linewidth=0.6)
    axes.set_axisbelow(True)
    legend = axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False)
    title = figure.suptitle(words["title"], x=0.01, ha="left", color=_INK, fontsize=13)
    for text in (title, *legend.get_texts()):
        text.set_parse_math(False)  # a name with two dollars is no formula
    figure.supxlabel(f"{words['note']}, {date}", x=0.01, ha="left", color=_MUTED, fontsize=9)
    file = io.BytesIO()
    with matplotlib.rc_context({"pdf.fonttype": 42}):  # TrueType: text can be searched, copied and edited
        figure.savefig(file, format="pdf", metadata={"Title": words["title"], "Creator": VERSION, "CreationDate": None})
    return file.getvalue()
