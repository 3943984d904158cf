// The page's shell: addresses of tabs, keys on tabs, where the focus goes, names of charts, what is announced. Runs once,
// as the body of a function (element, ...), when the header appears.
document.documentElement.lang = 'en';  // Gradio says what the browser prefers, and screen readers would read English so
const TABS = '.fer-page-tabs > .tab-wrapper [role=tablist]';
const SECTIONS = '.fer-sections > .tab-wrapper [role=tablist]';

const seen = (node) => Boolean(node?.isConnected && node.getClientRects().length);
const first = (selector) => [...document.querySelectorAll(selector)].find(seen);
const tabsOf = (list) => [...(list?.querySelectorAll('[role=tab]') ?? [])];
const chosen = (list) => tabsOf(list).find((tab) => tab.getAttribute('aria-selected') === 'true')?.dataset.tabId;
const panel = () => document.getElementById(`tab-${chosen(first(TABS))}`) ?? document.body;

// The address: ?tab=attention&section=occlusion. The first tab and the first section of a tab need no name.
// A model card has a name besides: #card-vgg16.
const place = ({ hash, searchParams }) => (
  hash.startsWith('#card-') ? ['leaderboard', 'cost'] : ['tab', 'section'].map((name) => searchParams.get(name)));
const asked = () => place(new URL(location.href));
const sections = {};  // by tab: its open section; null is the first
const pending = {};  // by tab: the section that is to be opened as soon as the tab shows its sections
let wanted = asked();  // what the address asks for, until it is open
let shownSections = null;
let current = null;  // tab and section, as the address has them
let replaces = true;
let settled = false;  // whether what is wanted is open
let card = location.hash;  // of a model card, until it is open

function followAddress() {
  const tabs = first(TABS);
  settled = false;
  if (!tabs) return;
  const names = tabsOf(tabs).map((button) => button.dataset.tabId);
  if (wanted) {
    const tab = names.includes(wanted[0]) ? wanted[0] : names[0];
    pending[tab] = wanted[1];
    if (chosen(tabs) !== tab) { tabsOf(tabs)[names.indexOf(tab)].click(); return; }
    wanted = null;
  }
  const tab = chosen(tabs);
  const list = first(SECTIONS) ?? null;
  if (list) {
    const parts = tabsOf(list).map((button) => button.dataset.tabId);
    if (tab in pending) {
      const part = parts.includes(pending[tab]) ? pending[tab] : parts[0];
      if (chosen(list) !== part) { tabsOf(list)[parts.indexOf(part)].click(); return; }
      delete pending[tab];
    }
    const section = chosen(list) === parts[0] ? null : chosen(list);
    if (list !== shownSections && section !== sections[tab]) replaces ||= current?.startsWith(`["${tab}"`);
    sections[tab] = section;
  }
  settled = true;
  shownSections = list;
  const section = tab in pending ? pending[tab] : sections[tab];
  writeAddress({ tab: tab === names[0] ? null : tab, section: section ?? null });
}

function writeAddress(parts) {
  const state = JSON.stringify(Object.values(parts));
  if (state !== current) {
    const url = new URL(location.href);
    for (const [name, value] of Object.entries(parts)) {
      if (value === null) url.searchParams.delete(name); else url.searchParams.set(name, value);
    }
    url.hash = card;
    if (url.href !== location.href) history[replaces ? 'replaceState' : 'pushState'](history.state, '', url);
  }
  current = state;
  replaces = false;
}

function openCard() {
  const wantedCard = settled && card.startsWith('#card-') && document.getElementById(card.slice(1));
  if (!seen(wantedCard)) return;
  card = '';
  wantedCard.open = true;
  wantedCard.scrollIntoView({ block: 'start' });
  wantedCard.querySelector('summary').focus({ preventScroll: true });
}

// A card that is opened by hand has an address, too.
document.addEventListener('click', (event) => {
  const opened = event.target.closest('details[data-card] > summary')?.parentElement;
  if (opened) history.replaceState(history.state, '', `${location.pathname}${location.search}${opened.open ? '' : `#${opened.id}`}`);
});

window.addEventListener('popstate', () => {
  wanted = asked();
  card = location.hash;
  replaces = true;
  followAddress();
});

// A link to a tab or card opens it without loading the page anew, which would lose the picture.
document.addEventListener('click', (event) => {
  const link = event.target.closest('a[href^="?tab="], a[href^="#card-"]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const url = new URL(link.href);
  [wanted, replaces, card] = [place(url), false, url.hash];
  followAddress();
});

// Another face from Compare is shown in the first section.
document.addEventListener('click', (event) => {
  if (event.target.closest('#compare-lab')) pending.attention = null;
}, true);

async function copyLink() {
  const link = location.href;
  try {
    await navigator.clipboard.writeText(link);
  } catch {  // no clipboard over plain http
    const field = document.createElement('textarea');
    field.value = link;
    element.append(field);
    field.select();
    const copied = document.execCommand('copy');
    field.remove();
    if (!copied) { notify(`Copy this link: ${link}`); return; }
  }
  notify('Link copied.');
}
element.querySelector('[data-do=copy]').addEventListener('click', copyLink);

// Gradio's description of the API opens by a button in its footer, which is hidden; ?view=api alone only sets its state.
async function openApi() {
  const open = document.querySelector('footer button.show-api');
  if (document.querySelector('.api-docs')) return;
  if (new URL(location.href).searchParams.get('view') === 'api') open?.click();
  await new Promise(requestAnimationFrame);
  open?.click();
}
element.querySelector('[data-do=api]').addEventListener('click', (event) => {
  if (event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  openApi();
});
if (new URL(location.href).searchParams.get('view') === 'api') setTimeout(openApi, 500);
document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape') document.querySelector('.api-docs .backdrop')?.click();
});

// Keys on tabs, as in the ARIA practices: arrows open the neighbour, Home and End the first and the last one.
document.addEventListener('keydown', (event) => {
  const tab = event.target.closest?.('[role=tab]');
  const tabs = tab && tabsOf(tab.closest('[role=tablist]'));
  const index = tabs?.indexOf(tab);
  const next = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: -1 }[event.key];
  if (!tab || next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  const target = tabs.at(next % tabs.length);
  target.focus();
  target.click();
});

// The focus: when what had it is gone, it goes to what came in its place. Never to the page's top.
const LANDINGS = [
  '.fer-busy', '.fer-progress', '#attention-grid', '#compare-results', '.fer-verdict', '#batch-results',
  '#video-results', '.fer-message', '[data-do=choose]', '[data-example]',
];
let focused = null;

function land(target) {
  if (!target.matches('a, button, input, select, textarea')) target.tabIndex = -1;
  target.focus({ preventScroll: true });
  focused = target;
  const { top } = target.getBoundingClientRect();
  if (top < 0 || top > 0.6 * window.innerHeight) target.scrollIntoView({ block: 'start' });
}

function keepFocus() {
  if (!settled || focused === null || seen(focused) || ![document.body, focused].includes(document.activeElement)) return;
  const inside = panel();
  const target = LANDINGS.flatMap((selector) => [...inside.querySelectorAll(selector)]).find(seen);
  // Progress is written anew all the time: what holds it stays.
  if (target) land((target.matches('.fer-busy, .fer-progress') && target.closest('.block')) || target);
}

document.addEventListener('focusin', (event) => { focused = event.target; });
document.addEventListener('focusout', () => setTimeout(() => {
  // Taken away by a click beside it, not because it is gone.
  if (document.activeElement === document.body && seen(focused)) focused = null;
}));
element.querySelector('.fer-skip').addEventListener('click', (event) => {
  event.preventDefault();
  land(panel());
});

// Charts are pictures with a name; what one shows is in the texts and tables beside it.
function nameCharts() {
  for (const chart of document.querySelectorAll('.js-plotly-plot')) {
    const { data = [], layout = {} } = chart;
    const axes = [layout.yaxis, layout.xaxis].map((axis) => axis?.title?.text).filter(Boolean);
    const traces = [...new Set(data.filter((trace) => trace.name && trace.showlegend !== false).map(({ name }) => name))];
    const name = `Chart${axes.length ? `: ${axes.join(' by ')}` : ''}${traces.length ? `, for ${traces.join(', ')}` : ''}`;
    if (chart.getAttribute('aria-label') === name) continue;
    chart.setAttribute('role', 'img');
    chart.setAttribute('aria-label', name);
  }
}

// What is going on, for screen readers: an element that is always there, as they do not announce one that comes filled.
const announced = element.querySelector('[data-announced]');
let announcedAt = -Infinity;
let announcesLater = 0;

function announce() {
  const text = first('.fer-busy, .fer-progress p')?.textContent ?? '';
  if (text === announced.textContent) return;
  const early = announcedAt + 3000 - performance.now();
  clearTimeout(announcesLater);
  if (text && early > 0) { announcesLater = setTimeout(announce, early); return; }
  announced.textContent = text;
  announcedAt = performance.now();
}

// A note at the page's edge, with buttons by their text.
function notify(text, actions = {}) {
  const notes = element.querySelector('.fer-notes');
  const note = document.createElement('div');
  note.className = 'fer-note-card';
  note.append(Object.assign(document.createElement('p'), { textContent: text }));
  for (const [title, act] of Object.entries({ ...actions, Close: () => {} })) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: title });
    button.addEventListener('click', () => { note.remove(); act(); });
    note.append(button);
  }
  notes.replaceChildren(note);
  if (!Object.keys(actions).length) setTimeout(() => note.remove(), 8000);
}

const eachFrame = [followAddress, openCard, keepFocus, nameCharts, announce];
let planned = false;
new MutationObserver(() => {
  if (planned) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    for (const list of document.querySelectorAll('[role=tablist]')) {
      for (const tab of tabsOf(list)) tab.tabIndex = tab.getAttribute('aria-selected') === 'true' ? 0 : -1;
    }
    for (const step of eachFrame) step();
  });
}).observe(document.body, { attributeFilter: ['aria-selected', 'class', 'style', 'hidden'], childList: true, subtree: true });
followAddress();
