"""Section of the attention lab: models x expressions of native maps, one large, and the difference of two models."""

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from dashboard.attention import pair_view as pairs
from dashboard.attention import view as markup
from dashboard.attention.view import MapStyle
from dashboard.components.analyzed_image import AnalyzedFace
from dashboard.components.events import CHANGED, CLICKED
from dashboard.components.face_view import ModelDisplay, message
from dashboard.components.picture_input import FORGOTTEN
from explain.drawing.colormaps import SEQUENTIAL

# The highlight moves in the browser at once; the server only learns which map to enlarge.
_CHOOSE: Final = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-expression]');
  if (!button) return;
  for (const other of element.querySelectorAll('[data-expression]')) {
    other.setAttribute('aria-pressed', String(other === button));
  }
  trigger('select', {model: button.dataset.model, expression: button.dataset.expression});
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
            '<p class="fer-hint">One row a model, one column an expression. The number on the left is the strength of '
            "the strongest spot, the one on the right the probability; a frame marks each model’s answer. Choose a map "
            "to enlarge it.</p>"
        )
        self.grid = gr.HTML(js_on_load=_CHOOSE, elem_id="attention-grid")
        with gr.Row():
            self.scale = gr.Radio(
                [("One for all models", "all"), ("One for each model", "each")],
                value="all",
                label="Colour scale",
                elem_id="attention-scale",
            )
            self.colours = gr.Radio(
                [(name.capitalize(), name) for name in SEQUENTIAL],
                value="viridis",
                label="Colours",
                elem_id="attention-colours",
            )
            self.opacity = gr.Slider(0, 1, 0.75, step=0.05, label="Opacity", elem_id="attention-opacity")
        self.large = gr.HTML(elem_id="attention-large")
        self.choice = gr.State(None, time_to_live=3600)
        gr.HTML('<h2 class="fer-title">Two models, one expression</h2>')
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
        self.look = [self.scale, self.colours, self.opacity]
        self.outputs = [self.grid, self.large, self.choice, self.expression, self.difference]

    def connect(self, face: gr.State) -> None:
        """Connect the section to the lab's face."""
        hidden: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
        pair = [self.first, self.second, self.expression]
        self.grid.select(self.enlarge, [face, *self.look], [self.large, self.choice], **CLICKED, **hidden)
        for control in (self.scale.input, self.colours.input, self.opacity.release):
            pictures = [self.grid, self.large, self.difference]
            control(self.redraw, [face, self.choice, *pair, *self.look], pictures, **CHANGED, **hidden)
        for choice in pair:
            choice.input(self.compare, [face, *pair, *self.look], self.difference, **CHANGED, **hidden)

    def fresh(self, face: AnalyzedFace, first: str, second: str, *look: Any) -> dict[Any, Any]:
        """The section for another face."""
        drawn = map_style_of(*look)
        answers = [prediction.label for prediction in face.predictions.values()]
        expression = max(answers, key=answers.count)
        return {
            self.grid: markup.grid(face, self.expressions, drawn, self.display),
            self.large: "",
            self.choice: None,
            self.expression: expression,
            self.difference: pairs.difference_panel(face, first, second, expression, drawn, self.display),
        }

    def enlarge(
        self, face: AnalyzedFace | None, scale: str, colours: str, opacity: float, event: gr.EventData
    ) -> tuple[str, Any]:
        """Show one map large."""
        name, expression = str(event._data["model"]), str(event._data["expression"])
        if face is None:
            return message(FORGOTTEN), None
        if expression not in face.maps.get(name, {}):
            return "", None
        look = map_style_of(scale, colours, opacity)
        return markup.enlarged(face, name, expression, look, self.display), (name, expression)

    def redraw(
        self, face: AnalyzedFace | None, choice: Any, first: str, second: str, expression: str, *look: Any
    ) -> tuple[str, str, str]:
        """The same maps in other colours."""
        if face is None:
            return message(FORGOTTEN), "", ""
        drawn = map_style_of(*look)
        large = "" if choice is None else markup.enlarged(face, choice[0], choice[1], drawn, self.display)
        pair = pairs.difference_panel(face, first, second, expression, drawn, self.display)
        return markup.grid(face, self.expressions, drawn, self.display), large, pair

    def compare(self, face: AnalyzedFace | None, first: str, second: str, expression: str, *look: Any) -> str:
        """The difference of two other models, or for another expression."""
        if face is None:
            return message(FORGOTTEN)
        return pairs.difference_panel(face, first, second, expression, map_style_of(*look), self.display)


def map_style_of(scale: str, colours: str, opacity: float) -> MapStyle:
    """What the three controls say."""
    return MapStyle(colours, float(opacity), scale == "all")
