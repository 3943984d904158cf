"""Options of listeners, for clicks and changes that come while an answer is pending; scripts of clickable HTML.

And the options of a control that several tabs have.
"""

from pathlib import Path
from typing import Any, Final

#: For controls: the last value is answered once the pending answer is there.
CHANGED: Final[dict[str, Any]] = {"trigger_mode": "always_last"}
#: For clicks with data about what was clicked: all are answered, in their order. With "always_last", Gradio would send
#: the data of the first click again.
CLICKED: Final[dict[str, Any]] = {"trigger_mode": "multiple"}
#: For listeners that are no public endpoint and show their progress themselves.
HIDDEN: Final[dict[str, Any]] = {"api_visibility": "private", "show_progress": "hidden"}

#: For the slider of selective prediction, wherever models may abstain.
LEAST_CONFIDENCE: Final[dict[str, Any]] = {
    "label": "Minimum confidence",
    "minimum": 0,
    "maximum": 0.95,
    "step": 0.05,
    "value": 0,
    "buttons": [],
}

#: For a picture with faces: the highlight moves in the browser at once; the server gets the number of the face. The
#: thumbnails are sorted here, too: by number, or first those about which the models disagree.
CHOOSE_FACE: Final = """
element.addEventListener('click', (event) => {
  const face = event.target.closest('[data-face]')?.dataset.face;
  if (face === undefined) return;
  for (const button of element.querySelectorAll('[data-face]')) {
    button.setAttribute('aria-pressed', String(button.dataset.face === face));
  }
  trigger('select', {index: Number(face)});
});
element.addEventListener('change', (event) => {
  if (event.target.dataset.differFirst === undefined) return;
  const strip = element.querySelector('.fer-strip'), first = event.target.checked;
  const place = ({dataset}) => (first && dataset.differs === undefined ? 1e6 : 0) + Number(dataset.face);
  strip.append(...[...strip.children].sort((one, other) => place(one) - place(other)));
});
"""
#: For HTML with faces to open elsewhere, which name themselves with `data-open`: their number goes with "submit".
OPEN_FACE: Final = """
element.addEventListener('click', (event) => {
  const row = event.target.closest('[data-open]')?.dataset.open;
  if (row !== undefined) trigger('submit', {row: Number(row)});
});
"""
CHOOSE_EXAMPLE: Final = """
element.addEventListener('click', (event) => {
  const example = event.target.closest('[data-example]')?.dataset.example;
  if (example !== undefined) trigger('select', {index: Number(example)});
});
"""


def _script(name: str) -> str:
    return (Path(__file__).parents[1] / "static" / f"{name}.js").read_text(encoding="utf-8")


#: For HTML on a tab with charts, as its `js_on_load`: charts that were drawn while their tab was hidden fill it once it
#: shows.
FILL_CHARTS: Final = _script("charts")
#: For HTML with buttons that save a chart: as its `js_on_load`, or as a script of a page.
SAVE_SCRIPT: Final = _script("downloads")
#: For the page's header: addresses of tabs, keys, focus, dropped and pasted pictures.
PAGE_SCRIPT: Final = _script("page") + _script("drop")
#: For the input of a picture.
PICTURE_SCRIPT: Final = _script("picture_input")


def sent_value(event: object, name: str) -> Any:
    """A value the browser sent along with an event, not to be trusted; None if there is none."""
    try:
        return getattr(event, name, None)
    except TypeError:  # what was sent has no names at all
        return None
