"""Section of the attention lab: models x expressions of native maps, one large, and the difference of two models."""

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention.pair_view import map_difference
from dashboard.attention.sections.job_status import Updates
from dashboard.attention.view import MapStyle, enlarged_map, map_grid
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.display import ModelDisplay
from dashboard.components.events import CHANGED, CLICKED, HIDDEN
from dashboard.components.picture_input import FORGOTTEN
from dashboard.components.templates import message, render
from explain.drawing.colormaps import SEQUENTIAL

# The highlight moves in the browser at once; the server only learns which map to enlarge. The grid fills the window, so
# what comes below it is brought into sight.
_CHOOSE: Final = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-expression]');
  if (!button) return;
  for (const other of element.querySelectorAll('[data-expression]')) {
    other.setAttribute('aria-pressed', String(other === button));
  }
  const {model, expression} = button.dataset;
  const large = document.getElementById('attention-large');
  const behavior = matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth';
  const show = () => {
    const map = large.querySelector(`[data-enlarged="${model}-${expression}"]`);
    map?.scrollIntoView({block: 'nearest', behavior});
    return map;
  };
  if (!show()) {
    const watching = new MutationObserver(() => { if (show()) watching.disconnect(); });
    watching.observe(large, {childList: true, subtree: true});
  }
  trigger('select', {model, expression});
});
"""


class MapsSection:
    """The grid and what is made of it. Nothing of any session is kept here."""

    def __init__(self, display: ModelDisplay, expressions: Sequence[str]) -> None:
        """Lay the section out inside the current `gr.Blocks`."""
        self.display = display
        self.expressions = list(expressions)
        names = list(display.cards)
        models = [(card.title, name) for name, card in display.cards.items()]
        gr.HTML(
            render(
                "attention/hint.html",
                text="Each row is a model, each column an expression. In bold: the probability; a frame marks each "
                "model’s predicted class. The peak is the map’s strongest cell in logits, the scores before the "
                "softmax: the map’s mean plus a constant is the expression’s logit. Logits have no common scale, so "
                "compare peaks and colours within a row. Choose a map to enlarge it.",
            )
        )
        self.grid = gr.HTML(js_on_load=_CHOOSE, elem_id="attention-grid")
        self.large = gr.HTML(elem_id="attention-large")
        with gr.Row():
            self.scale = gr.Radio(
                [("One for each model", "each"), ("One for all models", "all")],
                value="each",
                label="Colour scale",
                info="On one scale for all, models with small logits look blank, however confident they are.",
                min_width=260,
                elem_id="attention-scale",
            )
            self.colours = gr.Radio(
                [(name.capitalize(), name) for name in SEQUENTIAL],
                value="viridis",
                label="Colours",
                min_width=260,
                elem_id="attention-colours",
            )
            self.opacity = gr.Slider(0, 1, 0.75, step=0.05, label="Opacity", elem_id="attention-opacity")
        self.choice = gr.State(None, time_to_live=3600)
        gr.HTML(render("attention/hint.html", title="Two models, one expression"))
        with gr.Row():
            self.first = gr.Dropdown(models, value=names[0], label="First model", elem_id="attention-first")
            self.second = gr.Dropdown(models, value=names[-1], label="Second model", elem_id="attention-second")
            self.expression = gr.Dropdown(
                [(one.capitalize(), one) for one in self.expressions],
                value=self.expressions[0],
                label="Expression",
                elem_id="attention-expression",
            )
        self.difference = gr.HTML(elem_id="attention-difference")
        self.style = [self.scale, self.colours, self.opacity]
        self.outputs = [self.grid, self.large, self.choice, self.expression, self.difference]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        pair = [self.first, self.second, self.expression]
        self.grid.select(self.enlarge, [face, *self.style], [self.large, self.choice], **CLICKED, **HIDDEN)
        for control in (self.scale.input, self.colours.input, self.opacity.release):
            pictures = [self.grid, self.large, self.difference]
            control(self.redraw, [face, self.choice, *pair, *self.style], pictures, **CHANGED, **HIDDEN)
        for choice in pair:
            choice.input(self.compare, [face, *pair, *self.style], self.difference, **CHANGED, **HIDDEN)

    def fresh(self, face: AnalyzedFace, first: str, second: str, *style: Any) -> Updates:
        """The section for another face."""
        predicted = [prediction.label for prediction in face.predictions.values()]
        expression = max(predicted, key=predicted.count)
        grid, large, difference = self.redraw(face, None, first, second, expression, *style)
        return {
            self.grid: grid,
            self.large: large,
            self.choice: None,
            self.expression: expression,
            self.difference: difference,
        }

    def enlarge(
        self, face: AnalyzedFace | None, scale: str, colours: str, opacity: float, event: gr.EventData
    ) -> tuple[str, Any]:
        """Show one map large."""
        name, expression = str(event.model), str(event.expression)
        if face is None:
            return message(FORGOTTEN), None
        if expression not in face.maps.get(name, {}):
            return "", None
        choice = (name, expression)
        return self._large(face, choice, map_style_of(scale, colours, opacity)), choice

    def redraw(
        self, face: AnalyzedFace | None, choice: Any, first: str, second: str, expression: str, *style: Any
    ) -> tuple[str, str, str]:
        """The grid, the enlarged map and the difference in a style."""
        if face is None:
            return message(FORGOTTEN), "", ""
        map_style = map_style_of(*style)
        grid = render("attention/grid.html", grid=map_grid(face, self.expressions, map_style, self.display))
        large = "" if choice is None else self._large(face, choice, map_style)
        return grid, large, self.compare(face, first, second, expression, *style)

    def compare(self, face: AnalyzedFace | None, first: str, second: str, expression: str, *style: Any) -> str:
        """The difference of two models for one expression."""
        if face is None:
            return message(FORGOTTEN)
        pair = map_difference(face, first, second, expression, map_style_of(*style), self.display)
        if isinstance(pair, str):
            return render("attention/hint.html", text=pair)
        return render("attention/difference.html", pair=pair)

    def _large(self, face: AnalyzedFace, choice: tuple[str, str], style: MapStyle) -> str:
        return render("attention/enlarged.html", map=enlarged_map(face, *choice, style, self.display))


def map_style_of(scale: str, colours: str, opacity: float) -> MapStyle:
    """The style that the three controls are set to."""
    return MapStyle(colours, float(opacity), scale == "all")
