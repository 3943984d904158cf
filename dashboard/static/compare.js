// On the verdict's `element`: from a small map to its column, and out of the view for a projector.
element.addEventListener('click', (event) => {
  if (event.target.closest('[data-leave]')) document.body.classList.remove('fer-presenting');
  const model = event.target.closest('[data-goto]')?.dataset.goto;
  const card = model && document.querySelector(`#compare-columns [data-model="${CSS.escape(model)}"]`);
  if (!card) return;
  card.scrollIntoView({block: 'center'});  // at once: a smooth scroll ends wherever the page changes meanwhile
  card.dataset.found = '';
  setTimeout(() => delete card.dataset.found, 2000);
});
document.addEventListener('keydown', (event) => {
  if (!document.body.classList.contains('fer-presenting')) return;
  if (event.key === 'Escape') document.body.classList.remove('fer-presenting');
  const step = {ArrowRight: 1, ArrowLeft: -1}[event.key];
  if (!step) return;
  const faces = [...document.querySelectorAll('#compare-picture .fer-thumb')];
  faces[faces.findIndex((face) => face.ariaPressed === 'true') + step]?.click();
});
