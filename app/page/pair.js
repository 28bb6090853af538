// Two images looked at as one: zoomed and moved together, linked where they match, wiped over.
// Runs as the body of a function of (element, trigger, props, server, upload, watch).

const MOST = 12; // times that an image is enlarged
const STEP = 1.5;
const state = { x: 0, y: 0, k: 1 }; // shift in shares of a frame's sides, and scale
const fingers = new Map();
const all = (selector) => [...element.querySelectorAll(selector)];
const one = (selector) => element.querySelector(selector);
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function draw() {
  state.x = clamp(state.x, 1 - state.k, 0);
  state.y = clamp(state.y, 1 - state.k, 0);
  for (const canvas of all('.ws-canvas')) {
    canvas.style.transform = `translate(${100 * state.x}%, ${100 * state.y}%) scale(${state.k})`;
    canvas.style.setProperty('--ws-zoom', state.k);
  }
  for (const frame of all('.ws-frame')) frame.classList.toggle('zoomed', state.k > 1);
  lines();
}

// A line from every place of the query to its partner, where both are in sight.
function lines() {
  const board = one('.ws-lines');
  if (!board) return;
  const host = board.getBoundingClientRect();
  const frames = all('.ws-side-by-side .ws-frame').map((frame) => frame.getBoundingClientRect());
  board.setAttribute('viewBox', `0 0 ${Math.max(host.width, 1)} ${Math.max(host.height, 1)}`);
  for (const line of board.querySelectorAll('line')) {
    const ends = all(`.ws-side-by-side [data-link="${line.dataset.line}"] circle`).map((dot) => {
      const at = dot.getBoundingClientRect();
      return [at.left + at.width / 2, at.top + at.height / 2];
    });
    const seen = ends.length === 2 && ends.every(([x, y], i) => x >= frames[i].left && x <= frames[i].right
      && y >= frames[i].top && y <= frames[i].bottom);
    line.style.display = seen ? '' : 'none';
    if (!seen) continue;
    ends.forEach(([x, y], i) => {
      line.setAttribute(`x${i + 1}`, x - host.left);
      line.setAttribute(`y${i + 1}`, y - host.top);
    });
  }
}

function light(link) {
  for (const part of all('[data-link], [data-line]')) {
    const own = part.dataset.link ?? part.dataset.line;
    part.classList.toggle('lit', link !== null && own === link);
  }
  one('.ws-pair')?.classList.toggle('dimmed', link !== null);
}

// Zoom by a factor about a point of a frame, both in shares of its sides.
function zoom(by, px = 0.5, py = 0.5) {
  const k = clamp(state.k * by, 1, MOST), ratio = k / state.k;
  state.x = px - (px - state.x) * ratio;
  state.y = py - (py - state.y) * ratio;
  state.k = k;
  draw();
}

function whole() { Object.assign(state, { x: 0, y: 0, k: 1 }); draw(); }

function place(event, frame) {
  const box = frame.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
}

function show(mode) {
  const pair = one('.ws-pair');
  if (!pair) return;
  pair.dataset.mode = mode;
  for (const button of all('[data-mode-of]')) button.setAttribute('aria-pressed', String(button.dataset.modeOf === mode));
  draw();
}

function wipe(value) { one('.ws-wipe')?.style.setProperty('--ws-at', `${value}%`); }

element.addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.dataset.modeOf) show(button.dataset.modeOf);
  else if (button?.dataset.zoom) Number(button.dataset.zoom) ? zoom(Number(button.dataset.zoom)) : whole();
});
element.addEventListener('input', (event) => { if (event.target.matches('.ws-wipe-at')) wipe(event.target.value); });
element.addEventListener('dblclick', (event) => {
  const frame = event.target.closest('.ws-frame');
  if (frame) zoom(2, ...place(event, frame));
});
// The wheel goes on scrolling the page until a picture was clicked; a pinch of the touchpad zooms.
element.addEventListener('wheel', (event) => {
  const frame = event.target.closest('.ws-frame');
  if (!frame || !(event.ctrlKey || element.querySelector('.ws-frame:focus'))) return;
  event.preventDefault();
  zoom(Math.exp(-clamp(event.deltaY, -120, 120) * (event.ctrlKey ? 0.01 : 0.003)), ...place(event, frame));
}, { passive: false });
element.addEventListener('pointerdown', (event) => {
  const frame = event.target.closest('.ws-frame');
  if (!frame) return;
  frame.focus({ preventScroll: true });
  frame.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
});
element.addEventListener('pointermove', (event) => {
  const frame = event.target.closest('.ws-frame'), last = fingers.get(event.pointerId);
  if (!frame) return;
  const over = event.target.closest('[data-link]');
  if (!last) { light(over ? over.dataset.link : null); return; }
  const box = frame.getBoundingClientRect(), other = [...fingers.values()].find((f) => f.pointerId !== event.pointerId);
  if (other) {
    const apart = (a) => Math.hypot(a.clientX - other.clientX, a.clientY - other.clientY);
    const middle = { clientX: (event.clientX + other.clientX) / 2, clientY: (event.clientY + other.clientY) / 2 };
    zoom(apart(event) / Math.max(apart(last), 1), ...place(middle, frame));
  } else if (state.k > 1) {
    state.x += (event.clientX - last.clientX) / box.width;
    state.y += (event.clientY - last.clientY) / box.height;
    draw();
  }
  fingers.set(event.pointerId, event);
});
for (const end of ['pointerup', 'pointercancel', 'lostpointercapture']) {
  element.addEventListener(end, (event) => fingers.delete(event.pointerId));
}
element.addEventListener('pointerleave', () => light(null));
element.addEventListener('keydown', (event) => {
  if (!event.target.matches('.ws-frame') || event.ctrlKey || event.metaKey || event.altKey) return;
  const by = 0.1;
  const moves = { ArrowLeft: [by, 0], ArrowRight: [-by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] };
  if (moves[event.key] && state.k > 1) {
    state.x += moves[event.key][0];
    state.y += moves[event.key][1];
    draw();
  } else if (event.key === '+' || event.key === '=') zoom(STEP);
  else if (event.key === '-') zoom(1 / STEP);
  else if (event.key === '0') whole();
  else if (event.key === 'Escape') light(null);
  else if (/^[1-9]$/.test(event.key)) light(event.key);
  else return;
  event.preventDefault();
});

function begin() {
  whole();
  wipe(one('.ws-wipe-at')?.value ?? 50);
  for (const image of all('img')) if (!image.complete) image.addEventListener('load', lines, { once: true });
  requestAnimationFrame(lines);
}
new ResizeObserver(lines).observe(element);
watch('value', begin);
begin();
