"""Scripts for clickable HTML: they tell the server which thumbnail was chosen."""

from typing import Final

# The highlight moves in the browser at once; the server only learns which face to show.
CHOOSE_FACE: Final = """
element.addEventListener('click', (event) => {
  const face = event.target.closest('[data-face]')?.dataset.face;
  if (face === undefined) return;
  for (const button of element.querySelectorAll('[data-face]')) {
    button.setAttribute('aria-pressed', String(button.dataset.face === face));
  }
  trigger('select', {index: Number(face)});
});
"""
CHOOSE_EXAMPLE: Final = """
element.addEventListener('click', (event) => {
  const example = event.target.closest('[data-example]')?.dataset.example;
  if (example !== undefined) trigger('select', {index: Number(example)});
});
"""
