// Pictures of the images that stand for those around them, where they fit without overlap.

const PICTURE_MS = 110; // how long the view rests before pictures are asked for
const BATCH = 48; // pictures asked for at once
const HELD = 1500; // pictures kept

// Rows in an order in which each beginning is spread over the map: one of each cell of ever finer grids,
// the fullest cells first, the point nearest to the middle of its cell's points.
function spread(x, y, n) {
  const order = [], taken = new Uint8Array(n);
  for (let side = 3; side <= 384 && order.length < n; side *= 2) {
    const cells = new Map();
    for (let i = 0; i < n; i++) {
      const key = Math.min(side - 1, Math.floor(x[i] * side)) + side * Math.min(side - 1, Math.floor(y[i] * side));
      const cell = cells.get(key);
      if (cell) { cell.x += x[i]; cell.y += y[i]; cell.rows.push(i); } else cells.set(key, { x: x[i], y: y[i], rows: [i] });
    }
    for (const cell of [...cells.values()].sort((a, b) => b.rows.length - a.rows.length)) {
      const mx = cell.x / cell.rows.length, my = cell.y / cell.rows.length;
      let best = -1, least = Infinity;
      for (const i of cell.rows) {
        const far = (x[i] - mx) ** 2 + (y[i] - my) ** 2;
        if (!taken[i] && far < least) { best = i; least = far; }
      }
      if (best >= 0) { taken[best] = 1; order.push(best); }
    }
  }
  for (let i = 0; i < n; i++) if (!taken[i]) order.push(i);
  return order;
}

// Rows whose boxes do not overlap, taken in order; places in pixels.
function fitting(order, x, y, wide, high, box) {
  const grid = new Map(), placed = [];
  for (const row of order) {
    const px = x[row] * wide, py = y[row] * high, cx = Math.floor(px / box), cy = Math.floor(py / box);
    let free = true;
    for (let i = cx - 1; free && i <= cx + 1; i++) {
      for (let j = cy - 1; free && j <= cy + 1; j++) {
        const other = grid.get(i * 1e6 + j);
        if (other !== undefined && Math.abs(x[other] * wide - px) < box && Math.abs(y[other] * high - py) < box) free = false;
      }
    }
    if (!free) continue;
    grid.set(cx * 1e6 + cy, row);
    placed.push(row);
  }
  return placed;
}

class Pictures {
  constructor(panel) { this.panel = panel; }

  load(x, y, n, first) {
    Object.assign(this, { x, y, n, first, order: null, levels: new Map() });
    clearTimeout(this.timer);
  }

  forget() { this.levels.clear(); } // the stage has another size

  // Half octaves of zoom: pictures of one level fit at every larger zoom.
  get level() { return Math.floor(2 * Math.log2(this.panel.view.zoom) + 1e-6); }

  at(level) {
    const zoom = 2 ** (level / 2), { width, height } = this.panel;
    const wide = width * 0.96 * zoom, high = height * 0.96 * zoom;
    const apart = Math.sqrt((wide * high) / Math.max(this.n, 1));
    const side = Math.max(width < 500 ? 30 : 38, Math.min(88, Math.round(0.62 * apart)));
    return { wide, high, side, box: side * (side < 60 ? 1.75 : 1.1) };
  }

  // What is shown now: this level's pictures, or those of a smaller zoom until the view rests.
  get shown() {
    const now = this.level;
    for (let level = now; level >= now - 8; level--) if (this.levels.has(level)) return this.levels.get(level);
    return { rows: [], side: 38 };
  }

  visible() {
    const { panel } = this, { rows, side } = this.shown, reach = side / 2;
    return rows.filter((row) => {
      const [px, py] = panel.screen(this.x[row], this.y[row]);
      return px > -reach && py > -reach && px < panel.width + reach && py < panel.height + reach;
    });
  }

  // The view has changed: once it rests, what fits is found and fetched.
  soon() {
    clearTimeout(this.timer);
    if (state.pictures) this.timer = setTimeout(() => this.settle(), PICTURE_MS);
  }

  settle() {
    if (!this.panel.width || !this.x) return;
    const level = this.level;
    this.order ??= this.first === undefined ? spread(this.x, this.y, this.n)
      : [this.first, ...spread(this.x, this.y, this.n).filter((row) => row !== this.first)];
    if (!this.levels.has(level)) {
      const { wide, high, side, box } = this.at(level);
      this.levels.set(level, { rows: fitting(this.order, this.x, this.y, wide, high, box), side });
    }
    this.panel.draw();
    fetchPictures(this.visible());
  }

  // Every picture that is here: its row, its middle on the screen and its side.
  places() {
    if (!state.pictures || !this.x) return [];
    const { side } = this.shown;
    return this.visible().filter((row) => state.tiles.has(row))
      .map((row) => ({ row, side, at: this.panel.screen(this.x[row], this.y[row]) }));
  }

  // Those that no name stands on.
  drawn() { return this.places().filter((place) => !this.panel.plates.some((plate) => under(plate, place))); }

  // The picture under a place of the screen, or -1.
  under(px, py) {
    const found = this.drawn().find(({ side, at: [x, y] }) => Math.abs(px - x) < side / 2 && Math.abs(py - y) < side / 2);
    return found ? found.row : -1;
  }

  render(pen) {
    const { codes } = state.map;
    for (const { row, side, at } of this.drawn()) {
      pen.globalAlpha = state.count && !state.selected[row] ? 0.25 : 1;
      const ink = state.inks[Math.min(codes[row], SHADES - 1)];
      stamp(pen, state.tiles.get(row).as(side, ink), at);
    }
    pen.globalAlpha = 1;
  }
}

async function fetchPictures(rows) {
  const { ticket } = state.map, wanted = rows.filter((row) => !state.tiles.has(row) && !state.asked.has(row));
  for (let start = 0; start < wanted.length; start += BATCH) {
    const some = wanted.slice(start, start + BATCH);
    some.forEach((row) => state.asked.add(row));
    try {
      const found = await server.pictures({ ticket, rows: some });
      if (state.map.ticket !== ticket || !found) return;
      await Promise.all(some.map((row, i) => found[i] && tileOf(found[i]).then((tile) => state.tiles.set(row, tile))));
    } catch { return; } finally { some.forEach((row) => state.asked.delete(row)); }
    while (state.tiles.size > HELD) state.tiles.delete(state.tiles.keys().next().value);
    everywhere((panel) => panel.draw());
  }
}

// A picture cut to a square with round corners and a rim, drawn once for each size and colour.
async function tileOf(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  let drawn = null, key = '';
  const as = (side, ink) => {
    if (key === `${side} ${ink} ${ratio()}`) return drawn;
    key = `${side} ${ink} ${ratio()}`;
    drawn = sprite(side, side, (pen) => {
      const cut = Math.min(image.width, image.height);
      pen.roundRect(1, 1, side - 2, side - 2, 6);
      pen.save();
      pen.clip();
      pen.drawImage(image, (image.width - cut) / 2, (image.height - cut) / 2, cut, cut, 0, 0, side, side);
      pen.restore();
      pen.lineWidth = 2;
      pen.strokeStyle = ink;
      pen.stroke();
    });
    return drawn;
  };
  return { as };
}

// Something drawn once and then copied: paths and text are dear, copies are not.
function sprite(width, height, paint) {
  const made = make('canvas'), pen = made.getContext('2d', { willReadFrequently: true });
  made.width = Math.ceil(width * ratio());
  made.height = Math.ceil(height * ratio());
  pen.scale(ratio(), ratio());
  pen.beginPath();
  paint(pen);
  return made;
}

// Copy a sprite around a place, on whole pixels.
function stamp(pen, drawn, [x, y]) {
  const r = ratio(), w = drawn.width / r, h = drawn.height / r;
  pen.drawImage(drawn, Math.round((x - w / 2) * r) / r, Math.round((y - h / 2) * r) / r, w, h);
}
