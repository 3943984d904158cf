// The camera of the Live tab. Runs once, as the body of a function (element, trigger, ...), when its gr.HTML appears.
// One frame is on its way: the next is taken when the answer to the last one is on the screen. So frames that come faster
// than they are analysed are never taken. Where answers come quickly, a second frame follows before the first one's: the
// server decodes it and draws the first one while the networks work.
const find = (selector) => element.querySelector(selector);
const video = find('video');
const alertBox = find('.fer-message');
const stateText = find('.fer-live-state');
const NAMES = ['start', 'pause', 'stop', 'compare', 'device', 'mirror', 'record', 'csv', 'play', 'next', 'end', 'watch', 'discard'];
const buttons = Object.fromEntries(NAMES.map((name) => [name, find(`[data-do=${name}]`)]));
const facings = [...element.querySelectorAll('[data-facing]')];
const slider = find('.fer-live-scrub input');
const LONGEST = 640;
const LEAST_MS = 50;
const PATIENCE_MS = 5000;
const BEGIN_MS = 600000;  // the server forgets cameras of which it has not heard for an hour
const QUICK_MS = 150;  // round trip up to which a second frame is sent ahead, a third of a round trip after the first

let stream = null;
let opening = 0;
let facing = 'user';
let device = null;  // the id of the one that was chosen from the list
let mirrored = true;
const frames = new Map();  // number -> {sent, canvas}: as it was sent, to be compared, and as it is shown
const spare = [];  // canvases of frames that are gone
let token = null;  // how frames are sent: {token, path, header}
let begun = -Infinity;
let running = false;
let byHiding = false;
let number = 0;
let shownNumber = 0;
const takenAt = new Map();  // frame -> ms
let delay = null;
let takenLast = 0;
let timer = null;
let recording = false;
let recordingNumber = 1;  // another one after each that was discarded: frames that were under way belong to none
let recorded = 0;  // frames
let replaying = null;  // the number of the recorded frame that is shown or asked for
let replayAsked = null;
let watching = null;  // the timer while the recording plays
let saves = 0;

const WORDS = {
  off: 'The camera is off.',
  asking: 'Waiting for the browser’s permission …',
  live: 'Live: frames are sent, analysed and discarded.',
  slow: 'Waiting for the server, which is slow or busy with others. It analyses the newest frame as soon as it can.',
  recording: 'Recording: frames are sent, analysed and kept in memory.',
  replay: 'Showing the recording. Nothing is sent. Resume goes back to the camera.',
  paused: 'Paused: the camera is on, but nothing is sent.',
  hidden: 'Paused while this page is not in view: the camera is on, but nothing is sent.',
};

function show(state) {
  stateText.textContent = WORDS[state];
  element.dataset.state = state;
  buttons.start.hidden = stream !== null;
  buttons.pause.hidden = buttons.stop.hidden = buttons.compare.hidden = stream === null;
  buttons.compare.disabled = replaying === null && !frames.has(shownNumber);
  buttons.record.disabled = !running && !recording;
  buttons.play.disabled = buttons.csv.disabled = stream === null || !shownNumber;
  buttons.mirror.setAttribute('aria-pressed', String(mirrored));
  for (const button of facings) button.setAttribute('aria-pressed', String(button.dataset.facing === facing));
  buttons.pause.textContent = running ? 'Pause' : 'Resume';
}

function complain(text) {
  alertBox.textContent = text;
  alertBox.hidden = !text;
}

function unsupported() {
  if (navigator.mediaDevices?.getUserMedia) return '';
  if (window.isSecureContext) return 'This browser gives pages no camera. Open the page in a current Chrome, Edge, Firefox or Safari.';
  const port = location.port || '80';
  return `There is no camera here, because this page came over plain http from ${location.hostname}: browsers give the `
    + 'camera only to pages over https or from this same computer. Either open it on the computer that runs it, as '
    + `http://localhost:${port}; or forward the port with "ssh -L ${port}:localhost:${port} ${location.hostname}" and `
    + `open http://localhost:${port} here; or start the app with --share, which gives an https link. Photos can be read `
    + 'in the Compare tab as they are.';
}

function reason(error) {
  const instead = ' Without a camera, you can analyse photos in the Compare tab.';
  if (error.name === 'NotAllowedError' || error.name === 'SecurityError') {
    return 'The browser does not let this page use the camera. Click the camera or lock sign beside the address, allow '
      + 'the camera, then start again.' + instead;
  }
  if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError') {
    return 'No camera was found. Connect one, then start again.' + instead;
  }
  if (error.name === 'NotReadableError' || error.name === 'AbortError') {
    return 'The camera could not be started; another program may be using it. Close that one, then start again.' + instead;
  }
  return 'The camera could not be started (' + error.name + ').' + instead;
}

async function start() {
  complain(unsupported());
  if (alertBox.hidden) await open();
}

// Also while another camera runs, which is closed first: phones open only one at a time.
async function open() {
  const paused = stream !== null && !running;
  const mine = ++opening;
  const controls = [buttons.start, buttons.pause, buttons.device, ...facings];
  pause('asking');
  show('asking');
  stream?.getTracks().forEach((track) => track.stop());
  for (const control of controls) control.disabled = true;
  try {
    const which = device === null ? { facingMode: facing } : { deviceId: { exact: device } };
    const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, ...which };
    const given = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    if (mine !== opening || !element.isConnected) { given.getTracks().forEach((track) => track.stop()); return; }
    stream = video.srcObject = given;
    const [track] = stream.getVideoTracks();
    track.addEventListener('ended', () => {
      stop();
      complain('The camera was disconnected. Connect it, then start again.');
    });
    await video.play();
    const settings = track.getSettings();
    // A desktop's camera does not say where it looks: whoever sits before it.
    const looks = settings.facingMode ?? (device === null ? facing : 'user');
    if (looks !== facing) mirrored = looks !== 'environment';
    facing = looks;
    document.getElementById('live-results')?.style.setProperty('--fer-live-ratio', video.videoWidth / video.videoHeight);
    await list(settings.deviceId);
    if (paused) show('paused'); else go();
    follow();
  } catch (error) {
    if (mine !== opening) return;
    device = null;  // it may have been unplugged: the next start asks for any
    stop();
    complain(reason(error));
  } finally {
    if (mine === opening) for (const control of controls) control.disabled = false;
  }
}

// Browsers tell names only once a camera is allowed.
async function list(used) {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter(({ kind }) => kind === 'videoinput');
  buttons.device.replaceChildren(...cameras.map(({ deviceId, label }, index) => (
    new Option(label || `Camera ${index + 1}`, deviceId, false, deviceId === used))));
  buttons.device.hidden = cameras.length < 2;
}

function go() {
  if (running || stream === null) return;
  running = true;
  watch(false);
  replaying = replayAsked = null;
  takenAt.clear();
  show(recording ? 'recording' : 'live');
  begin();
  take();
}

// The server gives the camera a session, or keeps the one it has.
function begin() {
  begun = performance.now();
  trigger('play');
}
window.addEventListener('fer-live-token', (event) => {
  const first = token === null;
  token = stream === null ? null : event.detail;
  if (first) take();
});

function pause(state) {
  if (!running) return;
  running = false;
  clearTimeout(timer);
  show(state);
}

function stop() {
  pause('off');
  opening += 1;
  for (const control of Object.values(buttons).concat(facings)) control.disabled = false;
  stream?.getTracks().forEach((track) => track.stop());
  const used = stream !== null;
  stream = video.srcObject = null;
  delay = token = null;
  frames.clear();
  spare.length = 0;
  forgetRecording();
  show('off');
  if (used) trigger('clear');
}

function take() {
  clearTimeout(timer);
  if (!running) return;
  if (token === null) {  // it comes, unless the server cannot be reached
    timer = setTimeout(() => { show('slow'); begin(); take(); }, PATIENCE_MS);
    return;
  }
  if (performance.now() - begun > BEGIN_MS) begin();
  const [width, height] = [video.videoWidth, video.videoHeight];
  if (!width || !height) { timer = setTimeout(take, LEAST_MS); return; }
  const scale = Math.min(1, LONGEST / Math.max(width, height));
  const canvas = spare.pop() ?? document.createElement('canvas');
  [canvas.width, canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
  const context = canvas.getContext('2d', { alpha: false });
  if (mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
  context.drawImage(video, 0, 0, canvas.width, canvas.height);
  number += 1;
  takenLast = performance.now();
  takenAt.set(number, takenLast);
  const sent = canvas.toDataURL('image/jpeg', 0.85);
  frames.set(number, { sent, canvas });
  if (number - 8 !== shownNumber) frames.delete(number - 8);  // its answer never came
  send(sent, number);
  plan();
}

// An answer that comes after the camera was paused or stopped is not shown.
async function send(frame, mine) {
  const { path, header, token: held } = token;
  const facts = new URLSearchParams({ number: mine, delay: delay ?? 0, recording: recording ? recordingNumber : 0 });
  const options = { method: 'POST', body: frame, headers: { [header]: held, 'content-type': 'text/plain' } };
  let answer = null;
  try {
    const response = await fetch(new URL(`${path}?${facts}`, document.baseURI), options);
    if (response.ok) answer = await response.json();
    else if (response.status === 410 && token?.token === held) {  // the server started anew, or was long without frames
      token = null;
      takenAt.clear();
      if (running) begin();
    }
  } catch { /* the server cannot be reached: the next frame tries again */ }
  if (answer !== null && running && token?.token === held && mine > shownNumber) {
    window.dispatchEvent(new CustomEvent('fer-live-answer', { detail: answer }));
  }
}

// When the next frame is taken: soon where there is room for one more, else when an answer comes or takes too long.
function plan() {
  clearTimeout(timer);
  const room = takenAt.size < (delay !== null && delay < QUICK_MS ? 2 : 1);
  const spacing = takenAt.size ? Math.max(LEAST_MS, delay / 3) : LEAST_MS;
  if (room) timer = setTimeout(take, Math.max(0, spacing - (performance.now() - takenLast)));
  else timer = setTimeout(() => { if (running) show('slow'); take(); }, PATIENCE_MS);
}

// The view tells which frame it shows.
window.addEventListener('fer-live-shown', (event) => {
  if (event.detail <= shownNumber) return;
  shownNumber = event.detail;
  const view = document.querySelector('#live-view canvas');
  const shown = frames.get(shownNumber)?.canvas;
  if (view && shown) view.getContext('2d', { alpha: false }).drawImage(shown, 0, 0, view.width, view.height);
  for (const [old, { canvas }] of [...frames]) {
    if (old >= shownNumber) continue;
    spare.push(canvas);
    frames.delete(old);
  }
  buttons.compare.disabled = !frames.has(shownNumber);
  buttons.play.disabled = buttons.csv.disabled = stream === null;
  showRecording();
  if (!takenAt.has(shownNumber) || !running) return;
  delay = performance.now() - takenAt.get(shownNumber);
  for (const old of [...takenAt.keys()]) if (old <= shownNumber) takenAt.delete(old);
  const state = recording ? 'recording' : 'live';
  if (element.dataset.state !== state) show(state);
  plan();
});

// The recording: the server keeps it, and says with each frame how full it is.
function showRecording() {
  const { recorded: count, recording: text, full } = document.querySelector('#live-view .fer-live-view')?.dataset ?? {};
  if (count === undefined) return;
  recorded = Number(count);
  if (full !== undefined && recording) setRecording(false);
  slider.max = Math.max(recorded, 1);
  if (replaying === null) slider.value = slider.max;
  const bounds = find('.fer-live-recorded');
  if (!recording && !recorded) bounds.textContent = '';
  else bounds.textContent = `Recorded in this session’s memory: ${text}${full === undefined ? '' : ', full'}. Stopping the camera forgets it.`;
  find('.fer-live-scrub').hidden = recording || !recorded;
}

function setRecording(value) {
  recording = value;
  buttons.record.setAttribute('aria-pressed', String(recording));
  buttons.record.textContent = recording ? 'Stop recording' : 'Record';
  if (running) show(recording ? 'recording' : 'live');
  showRecording();
}

function forgetRecording() {
  recorded = 0;
  watch(false);
  replaying = replayAsked = null;
  recordingNumber += 1;
  setRecording(false);
  find('.fer-live-scrub').hidden = true;
  find('.fer-live-recorded').textContent = '';
}

// One recorded frame is asked for at a time: the next when it shows.
function replay() {
  replaying = Number(slider.value);
  slider.setAttribute('aria-valuetext', `Frame ${replaying} of ${recorded}`);
  pause('replay');
  show('replay');
  // Nothing would tell that the frame that is shown is shown again.
  const here = Number(document.querySelector('#live-view [data-replayed]')?.dataset.replayed);
  if (replayAsked !== null || here === replaying) return;
  replayAsked = replaying;
  trigger('input', { number: replayAsked });
}
window.addEventListener('fer-live-replayed', () => {
  const again = replaying !== null && replaying !== replayAsked;
  replayAsked = null;
  showRecording();
  if (again) replay();
});

// Playing goes on to the next frame once the last one shows, at most ten times per second.
function watch(value) {
  clearInterval(watching);
  watching = value ? setInterval(next, 100) : null;
  buttons.watch.textContent = value ? 'Stop playing' : 'Play the recording';
}

function next() {
  if (replayAsked !== null) return;
  if (Number(slider.value) >= recorded || !inView()) { watch(false); return; }
  slider.value = Number(slider.value) + 1;
  replay();
}

// The game: its buttons stay where they are while what it shows is written anew with each frame.
window.addEventListener('fer-live-panel', () => {
  const game = document.querySelector('#live-panel [data-round]')?.dataset;
  const over = game?.target === '';
  const focused = [buttons.play, buttons.next, buttons.end].find((button) => button === document.activeElement);
  buttons.play.hidden = Boolean(game) && !over;
  buttons.play.textContent = over ? 'Play again' : 'Play: make this expression';
  buttons.next.hidden = !game || over;
  buttons.end.hidden = !game;
  if (focused?.hidden) (buttons.next.hidden ? buttons.play : buttons.next).focus();
  const text = game ? (game.target ? `Make this expression: ${game.target}` : 'The game is over.') : '';
  const said = find('[data-target-said]');
  if (said.textContent !== text) said.textContent = text;
});

function inView() {
  return document.visibilityState === 'visible' && element.offsetParent !== null;
}

function follow() {
  if (running && !inView()) {
    byHiding = true;
    pause('hidden');
  } else if (byHiding && inView()) {
    byHiding = false;
    go();
  }
}
document.addEventListener('visibilitychange', follow);
new ResizeObserver(follow).observe(element);  // another tab of the page: the size becomes 0

buttons.start.addEventListener('click', start);
buttons.pause.addEventListener('click', () => {
  byHiding = false;
  if (running) pause('paused'); else go();
});
buttons.stop.addEventListener('click', () => { byHiding = false; stop(); });
buttons.mirror.addEventListener('click', () => { mirrored = !mirrored; show(element.dataset.state); });
buttons.device.addEventListener('change', () => { device = buttons.device.value; open(); });
for (const button of facings) {
  button.addEventListener('click', () => {
    [facing, device] = [button.dataset.facing, null];
    mirrored = facing !== 'environment';
    if (stream) open(); else show('off');
  });
}
buttons.record.addEventListener('click', () => setRecording(!recording));
buttons.discard.addEventListener('click', () => {
  forgetRecording();
  trigger('delete', { number: recordingNumber });
  byHiding = false;
  go();
  buttons.record.focus();
});
slider.addEventListener('input', () => { watch(false); replay(); });
buttons.watch.addEventListener('click', () => {
  if (watching !== null) { watch(false); return; }
  if (replaying === null || Number(slider.value) >= recorded) slider.value = 1;
  replay();
  watch(true);
});
buttons.csv.addEventListener('click', () => trigger('download', { count: saves += 1 }));
for (const action of ['play', 'next', 'end']) {
  buttons[action].addEventListener('click', () => {
    trigger('submit', { action });
    if (action === 'play' && matchMedia('(max-width: 640px)').matches) {
      document.getElementById('live-results')?.scrollIntoView({ block: 'start' });
    }
  });
}
buttons.compare.addEventListener('click', () => {
  const sent = replaying === null ? frames.get(shownNumber).sent : document.querySelector('#live-view img').src;
  const bytes = Uint8Array.from(atob(sent.split(',')[1]), (sign) => sign.charCodeAt(0));
  const file = new File([bytes], 'camera frame.jpg', { type: 'image/jpeg' });
  window.dispatchEvent(new CustomEvent('fer-compare', { detail: file }));
});
find('.fer-live-facing').hidden = !matchMedia('(pointer: coarse)').matches;
show('off');
complain(unsupported());
