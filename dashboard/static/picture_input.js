// The picture input of a tab: a photo is chosen, taken or pasted by its buttons. What is a picture is decided in drop.js,
// which also takes dropped ones and hands one back to be sent. Runs once, as the body of a function (element, trigger,
// upload, ...), when its gr.HTML appears.
const find = (selector) => element.querySelector(selector);
const [ready, camera, video, input] = ['.fer-zone-ready', '.fer-zone-camera', 'video', 'input'].map(find);
const say = (text) => window.dispatchEvent(new CustomEvent('fer-note', { detail: text }));
const receive = (files) => window.dispatchEvent(new CustomEvent('fer-files', { detail: [...files] }));
let stream = null;

function choose(more = {}) {
  const picker = Object.assign(input.cloneNode(), more);
  picker.addEventListener('change', () => receive(picker.files));
  picker.click();
}

function stop() {
  stream?.getTracks().forEach((track) => track.stop());
  stream = video.srcObject = null;
  [ready.hidden, camera.hidden] = [false, true];
}

async function selfie() {
  if (matchMedia('(pointer: coarse)').matches) { choose({ capture: 'user', multiple: false }); return; }
  if (!navigator.mediaDevices) {
    say('Browsers give the camera only to pages over https or from this same computer. Choose a photo instead.');
    return;
  }
  try {
    const wanted = { width: { ideal: 1280 }, height: { ideal: 960 }, facingMode: 'user' };
    stream = await navigator.mediaDevices.getUserMedia({ video: wanted, audio: false });
    video.srcObject = stream;
    [ready.hidden, camera.hidden] = [true, false];
    await video.play();
    find('[data-do=take]').focus();
  } catch (error) {
    stop();
    say(`The camera could not be started (${error.name}). Allow it beside the page’s address, or choose a photo.`);
  }
}

function take() {
  const canvas = Object.assign(document.createElement('canvas'), { width: video.videoWidth, height: video.videoHeight });
  if (!canvas.width) return;
  canvas.getContext('2d').drawImage(video, 0, 0);
  stop();
  canvas.toBlob((taken) => receive([new File([taken], 'selfie.jpg', { type: taken.type })]), 'image/jpeg', 0.95);
}

async function paste() {
  try {
    for (const item of await navigator.clipboard.read()) {
      const type = item.types.find((name) => name.startsWith('image/'));
      if (type) { receive([new File([await item.getType(type)], 'pasted picture', { type })]); return; }
    }
    say('There is no picture in the clipboard. Copy one first.');
  } catch {
    say('Press Ctrl+V (on a Mac ⌘V) to paste a picture.');
  }
}

const actions = { choose: () => choose(), selfie, take, stop, paste };
element.addEventListener('click', (event) => actions[event.target.closest('[data-do]')?.dataset.do]?.());
input.addEventListener('change', () => { receive(input.files); input.value = ''; });
element.addEventListener('fer-send', async ({ detail: picture }) => {
  let note;
  const slow = setTimeout(() => {
    say(`Sending ${picture.name} …`);
    note = document.querySelector('.fer-notes').lastElementChild;
  }, 700);
  try {
    const { path } = await upload(picture);
    trigger('upload', { path });
  } catch (error) {
    say(`${picture.name} could not be sent: ${error.message}`);
  } finally {
    clearTimeout(slow);
    note?.remove();
  }
});
new ResizeObserver(() => { if (stream && element.offsetParent === null) stop(); }).observe(element);  // another tab
