
// Pictures that are dropped or pasted anywhere on a tab that takes one; on a part that takes one of its own, with the
// class fer-takes-picture, they are for this part. Goes on where page.js ends.
const PICTURE = /\.(jpe?g|jpe|jfif|pjp(eg)?|a?png|webp|hei[cf]|hif|avif|jxl|gif|bmp|dib|tiff?|p[pg]m)$/i;
const isPicture = ({ name, type }) => (type.startsWith('image/') && !type.includes('svg')) || PICTURE.test(name);
const zone = () => panel().querySelector('[data-zone]');
// A closed part has no input.
const partOf = (target) => {
  const part = target instanceof Element ? target.closest('.fer-takes-picture') : null;
  return part?.querySelector('input[type=file]') ? part : null;
};
const list = (files) => {
  const names = files.slice(0, 3).map(({ name }) => name);
  if (files.length > 3) names.push(`${files.length - 3} more`);
  return names.length > 1 ? `${names.slice(0, -1).join(', ')} and ${names.at(-1)}` : names[0];
};

function fill(input, files) {
  const all = new DataTransfer();
  for (const file of files) all.items.add(file);
  input.files = all.files;
  input.dispatchEvent(new Event('change', { bubbles: true }));
}

function receive(files, part = null) {
  const pictures = files.filter(isPicture);
  const others = files.filter((file) => !isPicture(file));
  const texts = [];
  if (others.length === 1) texts.push(`${list(others)} is not a picture. Use JPEG, PNG, WebP or HEIC.`);
  if (others.length > 1) texts.push(`${list(others)} are not pictures. Use JPEG, PNG, WebP or HEIC.`);
  const busy = [...panel().querySelectorAll('.fer-busy')].some(seen);
  if (pictures.length && busy) texts.push(`${list(pictures)}: not taken while another picture is being analysed.`);
  if (pictures.length && !busy) {
    if (part) fill(part.querySelector('input[type=file]'), [pictures[0]]);
    else zone().dispatchEvent(new CustomEvent('fer-send', { detail: pictures[0], bubbles: true }));
    if (pictures.length > 1) texts.push(`Here only ${pictures[0].name} is analysed, not ${list(pictures.slice(1))}.`);
  }
  const zip = others.length === 1 && !pictures.length && /\.zip$/i.test(others[0].name);
  const several = pictures.length > 1 ? pictures : zip ? others : [];
  const title = zip ? 'Open it in Batch' : `Analyse all ${several.length} in Batch`;
  if (texts.length) notify(texts.join(' '), several.length ? { [title]: () => openBatch(several) } : {});
}

// Batch takes the files as soon as it is free.
let forBatch = [];

function openBatch(files) {
  forBatch = files;
  tabsOf(first(TABS)).find((tab) => tab.dataset.tabId === 'batch').click();
  setTimeout(() => {
    if (forBatch.length) notify('Batch still has other pictures. Remove them there, and these follow.');
  }, 3000);
}

function fillBatch() {
  const input = forBatch.length && panel().querySelector('#batch-files input[type=file]');
  if (!input) return;
  fill(input, forBatch);
  forBatch = [];
}
eachFrame.push(fillBatch);

// A frame of the Live tab is analysed as soon as Compare shows.
let forCompare = null;

function fillCompare() {
  if (!forCompare || panel().id !== 'tab-compare' || !zone()) return;
  const picture = forCompare;
  forCompare = null;
  receive([picture]);
}
eachFrame.push(fillCompare);
window.addEventListener('fer-compare', ({ detail }) => {
  forCompare = detail;
  tabsOf(first(TABS)).find((tab) => tab.dataset.tabId === 'compare').click();
});

// What Gradio's own inputs take, they take first. Elsewhere a browser would open the file instead of the page.
const curtain = element.querySelector('.fer-curtain');
let lifting = null;
let aimed = null;  // the part that files are held over

function cover(target) {
  const part = target && partOf(target);
  curtain.hidden = !target || Boolean(part);
  if (part === aimed) return;
  aimed?.removeAttribute('data-aimed');
  part?.setAttribute('data-aimed', '');
  aimed = part;
}
window.addEventListener('dragover', (event) => {
  if (event.defaultPrevented || !event.dataTransfer.types.includes('Files')) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = zone() ? 'copy' : 'none';
  cover(zone() && event.target);
  clearTimeout(lifting);
  lifting = setTimeout(cover, 200, null);
});
window.addEventListener('drop', (event) => {
  cover(null);
  if (event.defaultPrevented || !event.dataTransfer.files.length) return;
  event.preventDefault();
  if (zone()) receive([...event.dataTransfer.files], partOf(event.target));
});
window.addEventListener('paste', (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length || !zone()) return;
  event.preventDefault();
  receive(files, partOf(event.target));
});
window.addEventListener('fer-files', (event) => receive(event.detail));
window.addEventListener('fer-note', (event) => notify(event.detail));
