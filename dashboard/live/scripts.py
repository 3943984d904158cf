"""Scripts of the tab's HTML. No Gradio here."""

from pathlib import Path
from typing import Final

#: The camera: `static/live.js`.
CAMERA: Final = (Path(__file__).parents[1] / "static" / "live.js").read_text(encoding="utf-8")

#: The highlight moves in the browser at once, in the picture and in the panel; the server learns which face to show.
CHOOSE_FACE: Final = """
element.addEventListener('click', (event) => {
  const face = event.target.closest('[data-face]')?.dataset.face;
  if (face === undefined) return;
  for (const button of document.querySelectorAll('#live-view [data-face], #live-panel [data-face]')) {
    button.setAttribute('aria-pressed', String(button.dataset.face === face));
  }
  trigger('select', {index: Number(face)});
});
"""
#: The answer to a frame comes from `static/live.js`; the camera learns which frame is on the screen.
VIEW: Final = """
const shown = () => {
  const {frame, replayed} = element.querySelector('.fer-live-view')?.dataset ?? {};
  if (frame !== undefined) window.dispatchEvent(new CustomEvent('fer-live-shown', {detail: Number(frame)}));
  if (replayed !== undefined) window.dispatchEvent(new CustomEvent('fer-live-replayed', {detail: Number(replayed)}));
};
watch('value', shown);
window.addEventListener('fer-live-answer', ({detail: {view}}) => {
  if (view === null) return;
  props.value = view;
  queueMicrotask(shown);  // the HTML is written before
});
"""
#: The buttons of the game follow what the panel shows.
PANEL: Final = """
const shown = () => window.dispatchEvent(new Event('fer-live-panel'));
watch('value', shown);
window.addEventListener('fer-live-answer', ({detail: {panel}}) => {
  if (panel === null) return;
  props.value = panel;
  queueMicrotask(shown);
});
"""
CHARTS: Final = """
window.addEventListener('fer-live-answer', ({detail: {charts}}) => { if (charts !== null) props.value = charts; });
"""
#: The camera learns how it may send frames.
TOKEN: Final = """
watch('value', () => {
  const told = element.querySelector('[data-token]');
  if (told) window.dispatchEvent(new CustomEvent('fer-live-token', {detail: {...told.dataset}}));
});
"""
#: The table is saved by the browser: it lies in no file here.
SAVE_TABLE: Final = """
watch('value', () => {
  const table = element.querySelector('pre');
  if (!table) return;
  window.dispatchEvent(new CustomEvent('fer-note', {detail: table.dataset.said}));
  if (!table.textContent) return;
  const file = new Blob(['\\ufeff', table.textContent], {type: 'text/csv'});
  const link = Object.assign(document.createElement('a'), {href: URL.createObjectURL(file), download: 'live.csv'});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
});
"""
