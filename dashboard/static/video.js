// The player of the Video tab and all that follows its time: the line in the chart, what the models predict, the buttons.
// Runs once, as the body of a function (element, trigger, ...), when the player's gr.HTML appears.
const CLOSE = 0.02;  // s by which a time may miss the one it was set to
const find = (selector) => element.querySelector(selector);
const film = () => find('video');
const clock = (seconds) => {
  const tenths = Math.round(10 * seconds);
  const rest = tenths % 10 ? `.${tenths % 10}` : '';
  return `${Math.floor(tenths / 600)}:${String(Math.floor(tenths / 10) % 60).padStart(2, '0')}${rest}`;
};
const percent = (share) => (share < 5 ? 'under 1\u00a0%' : share > 995 ? 'over 99\u00a0%' : `${Math.round(share / 10)}\u00a0%`);

let panel = null;  // the element with the chosen track, and what it holds
let track = null;
let chart = null;
const line = Object.assign(document.createElement('div'), { className: 'fer-playhead' });
let planned = false;
let asked = 0;

function readTrack() {
  const found = document.querySelector('#video-moment [data-track]');
  if (found === panel) return;
  panel = found;
  track = found && JSON.parse(found.dataset.track);
  if (track) seek(track.start);
}

// A little into the frame that starts then: browsers may show the one before.
function seek(time) {
  if (film()) film().currentTime = time + CLOSE / 2;
  plan();
}

const jumps = (now) => {
  const inside = track.spans.findIndex(([from, to]) => from - CLOSE <= now && now < to - CLOSE);
  const here = inside < 0 ? now : track.spans[inside][0];
  return {
    inside,
    previous: track.spans.findLast(([from]) => from < here - CLOSE),
    next: track.spans.find(([from]) => from > now + CLOSE),
  };
};

function showJumps(now) {
  const [previous, next, note] = ['[data-do=previous]', '[data-do=next]', '.fer-player-note'].map(find);
  if (!note) return;
  const where = jumps(now);
  const count = track.spans.length;
  previous.disabled = !where.previous;
  next.disabled = !where.next;
  let text = 'The models agree on this track all the time: there is no disagreement to go to.';
  if (where.inside >= 0) {
    const [from, to] = track.spans[where.inside];
    text = `Disagreement ${where.inside + 1} of ${count}: ${clock(from)} to ${clock(to)}.`;
  } else if (count) {
    text = `No disagreement here. This track has ${count}${where.next ? '' : ', none of them later'}.`;
  }
  if (note.textContent !== text) note.textContent = text;
}

function showMoment(now) {
  const sentence = panel.querySelector('.fer-moment-sentence');
  const index = track.times.findLastIndex((time) => time <= now + CLOSE / 2);
  const frame = track.frames[Math.max(index, 0)];
  panel.querySelector('[data-at]').textContent = clock(now);
  sentence.setAttribute('aria-live', film().paused ? 'polite' : 'off');
  const text = frame ? track.sentences[frame[0]] : 'This face is not in this frame.';
  if (sentence.textContent !== text) sentence.textContent = text;
  [...panel.querySelectorAll('li')].forEach((row, place) => {
    const [label, share] = frame ? frame[1][place] : ['–', 0];
    row.querySelector('b').textContent = label;
    row.querySelector('.fer-confidence').textContent = frame ? percent(share) : '';
    row.querySelector('i').style.width = `${share / 10}%`;
  });
}

function showLine(now) {
  const area = document.getElementById('video-timeline');
  if (area !== chart) {
    chart = area;
    if (chart) watchChart();
  }
  const plot = chart?.querySelector('.js-plotly-plot');
  const [axis, size] = [plot?._fullLayout?.xaxis, plot?._fullLayout?._size];
  line.hidden = !axis || !track;
  if (line.hidden) return;
  if (line.parentElement !== chart) chart.append(line);
  const [inner, outer] = [plot.getBoundingClientRect(), chart.getBoundingClientRect()];
  line.style.left = `${inner.left - outer.left + axis._offset + axis.d2p(Math.min(now, track.end))}px`;
  line.style.top = `${inner.top - outer.top + size.t}px`;
  line.style.height = `${size.h}px`;
}

// A click in the chart, or a drag with the mouse, moves the video: the distance from the left is a time on the axis.
function watchChart() {
  const move = (event) => {
    const plot = chart?.querySelector('.js-plotly-plot');
    const axis = plot?._fullLayout?.xaxis;
    if (!axis || !plot.contains(event.target)) return;
    const left = plot.getBoundingClientRect().left + axis._offset;
    seek(axis.p2d(Math.min(Math.max(event.clientX - left, 0), axis._length)));
  };
  chart.addEventListener('click', move, true);
  chart.addEventListener('pointermove', (event) => {
    if (event.pointerType === 'mouse' && event.buttons === 1) move(event);
  }, true);
  new MutationObserver(plan).observe(chart, { childList: true, subtree: true });
  new ResizeObserver(plan).observe(chart);
}

function show() {
  planned = false;
  if (!element.isConnected || !film()) return;
  readTrack();
  const now = film().currentTime;
  if (track) {
    showJumps(now);
    showMoment(now);
  }
  showLine(now);
  if (!film().paused && !film().ended) plan();
}

function plan() {
  if (planned) return;
  planned = true;
  requestAnimationFrame(show);
}

for (const name of ['loadedmetadata', 'timeupdate', 'seeking', 'seeked', 'play', 'pause']) {
  element.addEventListener(name, plan, true);  // they do not bubble
}
element.addEventListener('click', (event) => {
  const action = event.target.closest('[data-do]')?.dataset.do;
  if (!action) return;
  film().pause();
  if (action === 'compare') trigger('select', { time: film().currentTime, count: asked += 1 });
  else if (track && jumps(film().currentTime)[action]) seek(jumps(film().currentTime)[action][0]);
});
watch('value', plan);
window.addEventListener('fer-video-track', plan);
plan();
