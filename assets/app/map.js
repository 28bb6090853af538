// Draws the map of a gallery: one WebGL call a panel, so that 50,000 points stay fluid.
// Runs as the body of a function of (element, trigger, props, server, upload, watch).

const SHADES = 12; // colours of groups; the last one is for all others
const HOVER_MS = 70;
const REACH = 12; // pixels within which a point is under the pointer
const root = element.querySelector('.ws-map');
const card = element.querySelector('.ws-map-card');
const legend = element.querySelector('.ws-map-legend');
const clear = element.querySelector('[data-clear]');
const state = { map: null, panels: [], selected: null, mode: 'move', hover: -1, cards: new Map() };

const VERTEX = `
attribute vec2 at; attribute vec4 look; // look: shade, shape, chosen, muted
uniform vec4 view; uniform float size; uniform float ink; uniform vec3 shades[${SHADES}];
varying vec4 paint; varying float shape; varying float px;
void main() {
  gl_Position = vec4(at * view.xy + view.zw, 0.0, 1.0);
  px = size * (look.y > 0.5 ? 2.1 : 1.0) * (look.z > 0.5 ? 1.35 : 1.0) + 2.0;
  gl_PointSize = px;
  paint = vec4(shades[int(look.x)], look.w > 0.5 ? 0.24 : look.y + look.z > 0.5 ? 0.95 : ink);
  shape = look.y;
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 paint; varying float shape; varying float px;
uniform vec3 rim;
void main() {
  vec2 p = abs(gl_PointCoord - 0.5) * px;
  float far = shape > 0.5 ? p.x + p.y : length(p);
  float alpha = clamp(px * 0.5 - far, 0.0, 1.0);
  if (alpha <= 0.0) discard;
  float edge = shape > 0.5 ? clamp(far - px * 0.5 + 3.0, 0.0, 1.0) : 0.0;
  gl_FragColor = vec4(mix(paint.rgb, rim, edge), paint.a * alpha);
}`;

const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const floats = (text) => new Float32Array(bytes(text).buffer);
const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);
const ratio = () => Math.min(window.devicePixelRatio || 1, 2);
const make = (tag, name, text) => {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
};

function program(gl) {
  const made = gl.createProgram();
  for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  }
  gl.linkProgram(made);
  return made;
}

// One map: its canvases, its view (centre and pixels a unit), its points in reach of the pointer.
class Panel {
  constructor(host) {
    this.host = make('figure', 'ws-map-panel');
    this.caption = make('figcaption');
    this.stage = make('div', 'ws-map-stage');
    this.stage.tabIndex = 0;
    this.stage.setAttribute('role', 'application');
    this.points = make('canvas');
    this.marks = make('canvas');
    this.stage.append(this.points, this.marks);
    this.host.append(this.caption, this.stage);
    host.append(this.host);
    this.gl = this.points.getContext('webgl', { antialias: false, premultipliedAlpha: false });
    if (!this.gl) this.stage.append(make('p', 'ws-map-none', 'This browser has no WebGL, which the map needs. Choose a group below instead.'));
    else this.prepare();
    new ResizeObserver(() => this.resize()).observe(this.stage);
    listen(this);
  }

  prepare() {
    const gl = this.gl;
    this.program = program(gl);
    gl.useProgram(this.program);
    this.at = gl.createBuffer();
    this.look = gl.createBuffer();
    gl.enable(gl.BLEND);
    gl.blendFuncSeparate(gl.SRC_ALPHA, gl.ONE_MINUS_SRC_ALPHA, gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.points.addEventListener('webglcontextrestored', () => { this.prepare(); this.load(); });
    this.points.addEventListener('webglcontextlost', (event) => event.preventDefault());
  }

  show(panel, keep) {
    this.x = floats(panel.x);
    this.y = floats(panel.y);
    this.you = panel.you;
    this.caption.textContent = panel.title;
    this.caption.hidden = state.map.panels.length < 2;
    this.stage.setAttribute('aria-label', `Map ${panel.title}: ${state.map.words}`);
    if (!keep) this.view = { x: 0.5, y: 0.5, zoom: 1 };
    this.index();
    this.load();
    this.resize();
  }

  // Points by cells of a grid, so that the one under the pointer is found at once.
  index() {
    const side = (this.side = Math.max(8, Math.min(256, Math.round(Math.sqrt(this.x.length / 4)))));
    const cell = (i) => this.cell(this.x[i]) + side * this.cell(this.y[i]);
    const starts = new Uint32Array(side * side + 1);
    for (let i = 0; i < this.x.length; i++) starts[cell(i) + 1]++;
    for (let c = 0; c < side * side; c++) starts[c + 1] += starts[c];
    const next = starts.slice();
    this.order = new Uint32Array(this.x.length);
    for (let i = 0; i < this.x.length; i++) this.order[next[cell(i)]++] = i;
    this.starts = starts;
  }

  cell(v) { return Math.max(0, Math.min(this.side - 1, Math.floor(v * this.side))); }

  load() {
    if (!this.gl) return;
    const gl = this.gl, n = this.x.length, at = new Float32Array(2 * n);
    for (let i = 0; i < n; i++) { at[2 * i] = this.x[i]; at[2 * i + 1] = this.y[i]; }
    this.send(this.at, 'at', at, 2, gl.FLOAT);
    this.paint();
  }

  // Colour, shape and emphasis of every point.
  paint() {
    if (!this.gl || !this.x) return;
    const { codes, n } = state.map, look = new Uint8Array(4 * codes.length), any = state.count > 0;
    for (let i = 0; i < codes.length; i++) {
      look[4 * i] = Math.min(codes[i], SHADES - 1);
      look[4 * i + 1] = i >= n ? 1 : 0;
      look[4 * i + 2] = any && state.selected[i] ? 1 : 0;
      look[4 * i + 3] = any && !state.selected[i] ? 1 : 0;
    }
    this.send(this.look, 'look', look, 4, this.gl.UNSIGNED_BYTE);
    this.draw();
  }

  send(buffer, name, data, size, kind) {
    const gl = this.gl, place = gl.getAttribLocation(this.program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, kind, false, 0, 0);
  }

  resize() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width || !this.view) return;
    this.width = box.width;
    this.height = box.height;
    for (const canvas of [this.points, this.marks]) {
      canvas.width = Math.round(box.width * ratio());
      canvas.height = Math.round(box.height * ratio());
    }
    this.draw();
  }

  draw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = 0; this.render(); });
  }

  // Pixels of the map's whole width and height: it fills the stage, whatever the stage's shape.
  get wide() { return this.width * 0.96 * this.view.zoom; }
  get high() { return this.height * 0.96 * this.view.zoom; }
  screen(x, y) {
    const { view } = this;
    return [this.width / 2 + (x - view.x) * this.wide, this.height / 2 - (y - view.y) * this.high];
  }
  world(px, py) {
    const { view } = this;
    return [view.x + (px - this.width / 2) / this.wide, view.y - (py - this.height / 2) / this.high];
  }

  render() {
    if (!this.width || !this.x) return;
    if (this.gl) this.renderPoints();
    this.renderMarks();
  }

  renderPoints() {
    const gl = this.gl, { view } = this, at = (name) => gl.getUniformLocation(this.program, name);
    const sx = (2 * this.wide) / this.width, sy = (2 * this.high) / this.height, n = this.x.length;
    const near = Math.min(2.5, Math.sqrt(view.zoom));
    const size = Math.max(1.6, Math.min(7, 170 / Math.sqrt(n))) * near;
    const ink = Math.max(0.4, Math.min(0.85, (24 * near) / Math.sqrt(n))); // dense maps show through
    gl.viewport(0, 0, this.points.width, this.points.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.uniform4f(at('view'), sx, sy, -view.x * sx, -view.y * sy);
    gl.uniform1f(at('size'), size * ratio());
    gl.uniform1f(at('ink'), ink);
    gl.uniform3fv(at('shades'), state.shades);
    gl.uniform3fv(at('rim'), state.rim);
    gl.drawArrays(gl.POINTS, 0, n);
  }

  renderMarks() {
    const pen = this.marks.getContext('2d'), { map } = state;
    pen.setTransform(ratio(), 0, 0, ratio(), 0, 0);
    pen.clearRect(0, 0, this.width, this.height);
    pen.lineWidth = 1;
    pen.strokeStyle = style('--ws-map-link');
    for (const [query, row] of map.links) this.line(pen, this.at2(map.n + query), this.at2(row), query);
    if (this.you) this.renderYou(pen);
    if (state.hover >= 0) this.ring(pen, this.at2(state.hover));
    if (this.path) this.renderPath(pen);
  }

  at2(i) { return this.screen(this.x[i], this.y[i]); }

  line(pen, [ax, ay], [bx, by], query) {
    const i = state.map.n + query;
    if (state.count && !state.selected[i] && state.hover !== i) return;
    pen.beginPath();
    pen.moveTo(ax, ay);
    pen.lineTo(bx, by);
    pen.stroke();
  }

  ring(pen, [x, y]) {
    pen.lineWidth = 2;
    pen.strokeStyle = style('--body-text-color');
    pen.beginPath();
    pen.arc(x, y, 8, 0, 7);
    pen.stroke();
  }

  renderYou(pen) {
    const [x, y] = this.screen(...this.you.at);
    pen.strokeStyle = pen.fillStyle = style('--ws-map-you');
    pen.lineWidth = 1.5;
    for (const row of this.you.near) {
      pen.beginPath();
      pen.moveTo(x, y);
      pen.lineTo(...this.at2(row));
      pen.stroke();
    }
    pen.beginPath();
    for (let k = 0; k < 10; k++) {
      const far = k % 2 ? 5 : 12, turn = (k * Math.PI) / 5;
      pen.lineTo(x + far * Math.sin(turn), y - far * Math.cos(turn));
    }
    pen.closePath();
    pen.strokeStyle = style('--ws-map-ground');
    pen.lineWidth = 4;
    pen.stroke();
    pen.fill();
    pen.font = '600 13px system-ui, sans-serif';
    const left = x > this.width - 100;
    pen.textAlign = left ? 'right' : 'left';
    pen.strokeText('Your image', x + (left ? -15 : 15), y + 4);
    pen.fillText('Your image', x + (left ? -15 : 15), y + 4);
  }

  renderPath(pen) {
    pen.beginPath();
    for (const [x, y] of this.path) pen.lineTo(...this.screen(x, y));
    pen.closePath();
    pen.fillStyle = style('--ws-map-lasso');
    pen.fill();
    pen.lineWidth = 1.5;
    pen.strokeStyle = style('--ws-ring');
    pen.stroke();
  }

  // The point under a place of the screen, or -1.
  nearest(px, py) {
    if (!this.x) return -1;
    const [x, y] = this.world(px, py), { wide, high } = this, dx = REACH / wide, dy = REACH / high;
    let best = -1, least = REACH * REACH;
    for (let row = this.cell(y - dy); row <= this.cell(y + dy); row++) {
      for (let column = this.cell(x - dx); column <= this.cell(x + dx); column++) {
        const c = column + this.side * row;
        for (let k = this.starts[c]; k < this.starts[c + 1]; k++) {
          const i = this.order[k];
          const far = ((this.x[i] - x) * wide) ** 2 + ((this.y[i] - y) * high) ** 2;
          if (far < least || (far === least && i > best)) { best = i; least = far; }
        }
      }
    }
    return best;
  }

  zoom(by, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.world(px, py);
    this.view.zoom = Math.max(0.5, Math.min(200, this.view.zoom * by));
    const [nx, ny] = this.world(px, py);
    this.view.x += x - nx;
    this.view.y += y - ny;
    this.draw();
  }

  move(dx, dy) {
    this.view.x -= dx / this.wide;
    this.view.y += dy / this.high;
    this.draw();
  }

  // Rows inside the drawn path.
  enclosed() {
    const path = this.path, rows = [];
    const xs = path.map((p) => p[0]), ys = path.map((p) => p[1]);
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    for (let i = 0; i < this.x.length; i++) {
      const x = this.x[i], y = this.y[i];
      if (x >= left && x <= right && y >= low && y <= high && inside(path, x, y)) rows.push(i);
    }
    return rows;
  }
}

function inside(path, x, y) {
  let odd = false;
  for (let i = 0, j = path.length - 1; i < path.length; j = i++) {
    const [ax, ay] = path[i], [bx, by] = path[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

// Pointer, wheel and keys of one panel.
function listen(panel) {
  const stage = panel.stage, pointers = new Map();
  const spot = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  let start = null, moved = false;
  stage.addEventListener('wheel', (event) => {
    event.preventDefault();
    panel.zoom(Math.exp(-event.deltaY * 0.0015), ...spot(event));
  }, { passive: false });
  stage.addEventListener('pointerdown', (event) => {
    stage.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, spot(event));
    start = spot(event);
    moved = false;
    if (state.mode !== 'move' && pointers.size === 1) panel.path = [panel.world(...start)];
    else panel.path = null;
  });
  stage.addEventListener('pointermove', (event) => {
    const now = spot(event), before = pointers.get(event.pointerId);
    if (!before) return point(panel, now, event);
    if (start && Math.hypot(now[0] - start[0], now[1] - start[1]) > 4) moved = true;
    if (pointers.size === 2) pinch(panel, pointers, event.pointerId, now);
    else if (panel.path) extend(panel, start, now);
    else if (moved) panel.move(now[0] - before[0], now[1] - before[1]);
    pointers.set(event.pointerId, now);
  });
  const end = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const path = panel.path;
    if (path && moved && path.length > 2) choose(panel.enclosed(), event.shiftKey);
    else if (!moved && event.type === 'pointerup') {
      const found = panel.nearest(...spot(event));
      if (found >= 0) choose([found], event.shiftKey);
    }
    panel.path = null;
    panel.draw();
  };
  stage.addEventListener('pointerup', end);
  stage.addEventListener('pointercancel', end);
  stage.addEventListener('pointerleave', () => hide());
  stage.addEventListener('keydown', (event) => key(panel, event));
}

function extend(panel, start, now) {
  const [x, y] = panel.world(...now), [ax, ay] = panel.world(...start);
  if (state.mode === 'box') panel.path = [[ax, ay], [x, ay], [x, y], [ax, y]];
  else panel.path.push([x, y]);
  panel.draw();
}

function pinch(panel, pointers, id, now) {
  const [other] = [...pointers].filter(([key]) => key !== id).map(([, place]) => place);
  const before = pointers.get(id);
  const far = ([x, y]) => Math.hypot(x - other[0], y - other[1]);
  panel.zoom(far(now) / Math.max(far(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
}

function key(panel, event) {
  const steps = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  const zooms = { '+': 1.3, '=': 1.3, '-': 1 / 1.3 };
  if (steps[event.key]) panel.move(...steps[event.key]);
  else if (zooms[event.key]) panel.zoom(zooms[event.key]);
  else if (event.key === '0') whole(panel);
  else if (event.key === 'Escape') choose([], false);
  else return;
  event.preventDefault();
}

function whole(panel) {
  panel.view = { x: 0.5, y: 0.5, zoom: 1 };
  panel.draw();
}

const everywhere = (work) => state.panels.forEach(work);

// What lies under the pointer: ringed at once, its card a moment later.
function point(panel, spot, event) {
  const found = panel.nearest(...spot);
  if (found === state.hover) return found >= 0 && place(event);
  state.hover = found;
  root.classList.toggle('over', found >= 0);
  everywhere((each) => each.draw());
  clearTimeout(state.timer);
  if (found < 0) return hide();
  place(event);
  state.timer = setTimeout(() => describe(found), HOVER_MS);
}

function hide() {
  card.hidden = true;
  root.classList.remove('over');
  clearTimeout(state.timer);
  if (state.hover >= 0) { state.hover = -1; everywhere((each) => each.draw()); }
}

function place(event) {
  const box = root.getBoundingClientRect(), width = 232;
  const x = event.clientX - box.left, y = event.clientY - box.top;
  card.style.left = `${x + 18 + width > box.width ? Math.max(4, x - width - 18) : x + 18}px`;
  card.style.top = `${Math.max(4, y - 60)}px`;
}

async function describe(row) {
  const ticket = state.map.ticket;
  if (!state.cards.has(row)) {
    try { state.cards.set(row, await server.peek({ ticket, row })); } catch { return; }
  }
  const found = state.cards.get(row);
  if (!found || state.hover !== row || state.map.ticket !== ticket) return;
  const picture = make('img');
  picture.src = found.picture;
  picture.alt = '';
  card.replaceChildren(picture, make('strong', '', found.name), make('span', '', found.note));
  card.hidden = false;
}

function choose(rows, add) {
  if (!state.map) return;
  if (!add) state.selected.fill(0);
  for (const row of rows) state.selected[row] = 1;
  const chosen = [];
  state.selected.forEach((on, row) => { if (on) chosen.push(row); });
  mark(chosen.length);
  trigger('select', { ticket: state.map.ticket, rows: chosen });
}

function mark(count) {
  state.count = count;
  clear.hidden = count === 0;
  everywhere((panel) => panel.paint());
}

// The legend: a button a group, which selects the group.
function list() {
  const keys = state.map.legend.map(({ name, count, shade, mark }, code) => {
    const button = make('button', 'ws-map-key');
    button.type = 'button';
    const dot = make('i', mark || '');
    dot.style.background = `var(--ws-map-${Math.min(shade, SHADES - 1)})`;
    button.append(dot, make('span', '', name), make('b', '', count.toLocaleString('en')));
    button.addEventListener('click', (event) => choose(state.map.members[code], event.shiftKey));
    return button;
  });
  if (state.map.panels.some((panel) => panel.you)) {
    const yours = make('span', 'ws-map-key');
    yours.append(make('i', 'star'), make('span', '', 'Your image'));
    keys.push(yours);
  }
  legend.replaceChildren(...keys);
}

function colours() {
  state.shades = new Float32Array(Array.from({ length: SHADES }, (_, i) => rgb(style(`--ws-map-${i}`))).flat());
  state.rim = new Float32Array(rgb(style('--ws-map-rim')));
  everywhere((panel) => panel.paint());
}

function draw() {
  const value = props.value;
  if (!value || !value.panels) { root.classList.remove('drawn'); return; }
  const keep = state.map && state.map.ticket === value.ticket;
  const groups = new Uint16Array(bytes(value.groups).buffer);
  const members = value.legend.map(() => []);
  groups.forEach((group, row) => members[group].push(row));
  const codes = Uint8Array.from(groups, (group) => value.legend[group].shade);
  state.map = { ...value, codes, members };
  if (!keep) {
    state.cards.clear();
    state.selected = new Uint8Array(groups.length);
    state.count = 0;
  }
  state.selected.fill(0);
  for (const row of value.chosen) state.selected[row] = 1;
  state.count = value.chosen.length;
  clear.hidden = state.count === 0;
  root.classList.add('drawn');
  const host = element.querySelector('.ws-map-panels');
  while (state.panels.length > value.panels.length) state.panels.pop().host.remove();
  while (state.panels.length < value.panels.length) state.panels.push(new Panel(host));
  host.classList.toggle('pair', value.panels.length > 1);
  colours();
  state.panels.forEach((panel, i) => panel.show(value.panels[i], keep && panel.view));
  list();
}

element.querySelectorAll('[data-mode]').forEach((button) => button.addEventListener('click', () => {
  state.mode = button.dataset.mode;
  root.dataset.mode = state.mode;
  element.querySelectorAll('[data-mode]').forEach((each) => each.setAttribute('aria-pressed', String(each === button)));
}));
element.querySelectorAll('[data-zoom]').forEach((button) => button.addEventListener('click', () => {
  const by = Number(button.dataset.zoom);
  everywhere((panel) => (by ? panel.zoom(by) : whole(panel)));
}));
clear.addEventListener('click', () => choose([], false));
new MutationObserver(() => { if (state.map) colours(); })
  .observe(document.body, { attributes: true, attributeFilter: ['class'] });
watch('value', draw);
draw();
