// One map: its canvas, its view, and which point is where.

const REACH = 12; // pixels within which a point is under the pointer
const MOST_ZOOM = 200;
const WHOLE = { x: 0.5, y: 0.5, zoom: 1 };

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

class Panel {
  constructor(host) {
    this.host = make('figure', 'ws-map-panel');
    this.caption = make('figcaption');
    this.stage = make('div', 'ws-map-stage');
    this.stage.tabIndex = 0;
    this.stage.setAttribute('role', 'application');
    this.canvas = make('canvas');
    this.pen = this.canvas.getContext('2d', { willReadFrequently: true });
    this.stage.append(this.canvas);
    this.host.append(this.caption, this.stage);
    host.append(this.host);
    this.plates = []; // names that stand on the map now
    this.points = new Points();
    this.pictures = new Pictures(this);
    new ResizeObserver(() => this.resize()).observe(this.stage);
    listen(this);
  }

  show(panel, keep, seen) {
    this.x = floats(panel.x);
    this.y = floats(panel.y);
    this.you = panel.you;
    this.regions = panel.regions.map(({ names, of }) => ({ names, of: new Uint16Array(bytes(of).buffer) }));
    this.caption.textContent = panel.title;
    this.caption.hidden = state.map.panels.length < 2;
    const keys = 'arrow keys move, plus and minus zoom, 0 shows all; regions and groups are listed below';
    this.stage.setAttribute('aria-label', `Map ${panel.title}: ${state.map.words} ${keys}`);
    if (!keep) this.view = { ...WHOLE };
    this.index();
    this.points.load(this.x, this.y, state.map.n);
    this.pictures.load(this.x, this.y, state.map.n, state.map.marked?.row);
    this.paint();
    this.resize();
    if (state.map.marked && state.map.marked.id !== seen) this.focus();
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

  paint() {
    if (!this.x) return;
    const { map, selected, count, shades } = state;
    this.points.paint({ codes: map.codes, selected, any: count > 0, shades });
    this.draw();
  }

  resize() {
    const box = this.stage.getBoundingClientRect();
    if (!box.width || !this.view) return;
    this.width = box.width;
    this.height = box.height;
    this.canvas.width = Math.round(box.width * ratio());
    this.canvas.height = Math.round(box.height * ratio());
    this.pictures.forget();
    this.changed();
  }

  changed() {
    this.pictures.soon();
    this.draw();
  }

  // Once in the next frame, however often it is asked for.
  draw() {
    this.waiting ??= requestAnimationFrame(() => {
      this.waiting = undefined;
      this.render();
    });
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
  of(row) { return this.screen(this.x[row], this.y[row]); }

  render() {
    if (!this.width || !this.x) return;
    const { pen, wide, high } = this, { n } = state.map, r = ratio(), [left, bottom] = this.screen(0, 0);
    const level = levelOf(Math.sqrt((wide * high) / Math.max(n, 1)), n, wide, high);
    pen.setTransform(1, 0, 0, 1, 0, 0);
    this.points.render(pen, { left: left * r, bottom: bottom * r, wide: wide * r, high: high * r }, level);
    pen.setTransform(r, 0, 0, r, 0, 0);
    renderMarks(this, level);
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
    const picture = this.pictures.under(px, py);
    return picture >= 0 ? picture : best; // what is seen there
  }

  zoom(by, px = this.width / 2, py = this.height / 2) {
    const [x, y] = this.world(px, py);
    this.view.zoom = Math.max(0.5, Math.min(MOST_ZOOM, this.view.zoom * by));
    const [nx, ny] = this.world(px, py);
    this.view.x += x - nx;
    this.view.y += y - ny;
    this.changed();
  }

  move(dx, dy) {
    this.view.x -= dx / this.wide;
    this.view.y += dy / this.high;
    this.changed();
  }

  whole() {
    this.view = { ...WHOLE };
    this.changed();
  }

  // The marked image, and the visitor's own where there is one, in the middle and large.
  focus() {
    const { row } = state.map.marked, here = [this.x[row], this.y[row]], there = this.you?.at ?? here;
    this.fit([here[0], there[0]], [here[1], there[1]]);
  }

  // Selected points that were chosen elsewhere: all of them in view.
  reveal(rows) {
    const out = (row) => this.of(row).some((p, i) => p < 0 || p > (i ? this.height : this.width));
    if (this.width && rows.some(out)) this.fit(rows.map((row) => this.x[row]), rows.map((row) => this.y[row]));
  }

  fit(xs, ys) {
    const range = (values) => values.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [1, 0]);
    const [left, right] = range(xs), [low, high] = range(ys);
    const zoom = Math.max(1, Math.min(4, 0.7 / Math.max(right - left, high - low, 1e-3)));
    this.view = { x: (left + right) / 2, y: (low + high) / 2, zoom };
    this.changed();
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
