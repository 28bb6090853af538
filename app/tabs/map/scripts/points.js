// Points and their density, drawn by the processor: the points in view into a buffer of pixels, below them one
// image of the density that is stretched. Where no graphics card draws, WebGL would be read back for each frame.

const SHADES = 12; // colours of groups; the last one is for all others
const GRID = 256; // cells of a side on which density is taken
const BESIDE = 0.06; // by which that grid is larger than the map on each side, as a share of the map
const BLUR = 4; // radius of each of three box blurs, cells
const BANDS = 7; // steps of density
const APART = 7; // pixels between points from which on all are drawn; nearer ones are drawn as a sample
const EDGE = 16; // pixels around the buffer, so that discs at the rim need no clipping
const PARTS = 4; // places within a pixel at which a disc may lie, each way
const MUTED = 0.24, CHOSEN = 0.95; // opacity of points beside a selection, and of it
const LARGER = 1.35; // a chosen point

// What one panel's canvas shows below its marks.
class Points {
  cut = new Map();

  // Gallery points in a drawn order of which every beginning is a fair sample, then the examples.
  load(x, y, n) {
    this.given = [x, y, n];
    const rows = Uint32Array.from({ length: n }, (_, i) => i);
    let seed = 1;
    for (let i = n - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((seed / 4294967296) * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    this.rows = rows;
    this.x = Float32Array.from(rows, (row) => x[row]);
    this.y = Float32Array.from(rows, (row) => y[row]);
  }

  // Colour and emphasis of every point, and the cloud behind them.
  paint(looks) {
    this.looks = looks;
    const { codes, selected, any, shades } = looks, [x, y, n] = this.given;
    const packed = Array.from({ length: SHADES }, (_, i) => [0, 1, 2].reduce((sum, k) => sum | (255 * shades[3 * i + k]) << (8 * k), 0));
    this.inks = Uint32Array.from(this.rows, (row) => packed[Math.min(codes[row], SHADES - 1)]);
    this.on = Uint8Array.from(this.rows, (row) => (any && selected[row] ? 1 : 0));
    if (this.clouded?.codes === codes && this.clouded.shades === shades && this.clouded.x === x) return;
    this.clouded = { codes, shades, x };
    this.cloud = make('canvas');
    this.cloud.width = this.cloud.height = GRID;
    this.cloud.getContext('2d').putImageData(cloudOf(x, y, n, codes, shades), 0, 0);
  }

  // spot: where the map lies on the canvas, in its pixels; level: what is drawn at this zoom.
  render(pen, spot, level) {
    const { any } = this.looks, { left, bottom, wide, high } = spot, n = this.rows.length, size = level.size * ratio();
    const buffer = this.sized(pen.canvas);
    buffer.pixels.fill(0);
    if (any) {
      this.scatter(buffer, spot, level.drawn, size, MUTED, 0);
      this.scatter(buffer, spot, n, LARGER * size, CHOSEN, 1);
    } else this.scatter(buffer, spot, level.drawn, size, level.ink, 0);
    pen.putImageData(buffer.image, -EDGE, -EDGE);
    if (level.cloud > 0.02) {
      pen.globalCompositeOperation = 'destination-over';
      pen.globalAlpha = level.cloud * (any ? 0.3 : 1);
      const dx = BESIDE * wide, dy = BESIDE * high;
      pen.drawImage(this.cloud, left - dx, bottom - high - dy, wide + 2 * dx, high + 2 * dy);
      pen.globalAlpha = 1;
      pen.globalCompositeOperation = 'source-over';
    }
  }

  sized({ width, height }) {
    const wide = width + 2 * EDGE, high = height + 2 * EDGE;
    if (this.buffer?.wide !== wide || this.buffer.high !== high) {
      const image = new ImageData(wide, high);
      this.buffer = { image, wide, high, pixels: new Uint32Array(image.data.buffer) };
    }
    return this.buffer;
  }

  // Made once for each size in quarters of a pixel, and each opacity in 32 steps.
  discs(across, ink, stride) {
    const size = Math.round(4 * across) / 4, alpha = Math.round(32 * ink) / 32, key = `${size} ${alpha} ${stride}`;
    if (this.cut.size > 99) this.cut.clear();
    if (!this.cut.has(key)) this.cut.set(key, discsOf(size, alpha, stride));
    return this.cut.get(key);
  }

  // Discs of the first points that are chosen, or are not, as far as they are in view.
  scatter({ pixels, wide, high }, spot, count, size, ink, chosen) {
    const { x, y, inks, on } = this, { discs, reach } = this.discs(size + 2, ink, wide);
    const right = wide - reach - 1, low = high - reach - 1;
    for (let k = 0; k < count; k++) {
      const px = EDGE + spot.left + x[k] * spot.wide, py = EDGE + spot.bottom - y[k] * spot.high;
      if (px < reach || py < reach || px > right || py > low || on[k] !== chosen) continue;
      const column = px | 0, row = py | 0, start = row * wide + column, colour = inks[k];
      const disc = discs[((PARTS * (py - row)) | 0) * PARTS + ((PARTS * (px - column)) | 0)];
      for (let m = 0; m < disc.length; m += 2) {
        const at = start + disc[m], under = pixels[at];
        pixels[at] = under ? over(under, colour, disc[m + 1]) : colour | (disc[m + 1] << 24);
      }
    }
  }
}

// A disc for each place within a pixel: pairs of an offset in the buffer and an opacity of 255.
function discsOf(across, ink, stride) {
  const reach = Math.ceil(across / 2) + 1, discs = [];
  for (let part = 0; part < PARTS * PARTS; part++) {
    const cx = ((part % PARTS) + 0.5) / PARTS, cy = (Math.floor(part / PARTS) + 0.5) / PARTS, disc = [];
    for (let j = -reach; j <= reach; j++) {
      for (let i = -reach; i <= reach; i++) {
        const far = Math.hypot(i + 0.5 - cx, j + 0.5 - cy);
        const alpha = Math.round(255 * ink * Math.max(0, Math.min(1, across / 2 - far)));
        if (alpha) disc.push(j * stride + i, alpha);
      }
    }
    discs.push(Int32Array.from(disc));
  }
  return { discs, reach };
}

// A colour of some opacity over a pixel, neither multiplied by it.
function over(under, colour, alpha) {
  const below = under >>> 24, both = alpha + below - ((alpha * below + 127) / 255 | 0);
  if ((under & 0xffffff) === colour) return colour | (both << 24);
  const share = alpha / both;
  const mix = (shift) => { const old = (under >> shift) & 255; return (old + (((colour >> shift) & 255) - old) * share) << shift; };
  return mix(0) | mix(8) | mix(16) | (both << 24);
}

// What is drawn when points lie so many pixels apart on average: density from afar, then all points.
function levelOf(apart, n, wide, high) {
  const share = Math.max(0, Math.min(1, (34 - apart) / 28));
  return {
    cloud: n > state.map.dense ? 0.7 * share : 0,
    size: Math.max(n < 2000 ? 4.5 : 1.6, Math.min(9, 0.28 * apart)),
    ink: Math.max(0.3, Math.min(0.9, apart / 24)),
    drawn: Math.min(n, Math.ceil((wide * high) / (APART * APART))),
  };
}

const cellOf = (v) => Math.max(0, Math.min(GRID - 1, Math.floor(((v + BESIDE) / (1 + 2 * BESIDE)) * GRID)));

// Density of the gallery's points as an image: its steps are opacity, its colour that of the groups there.
function cloudOf(x, y, n, codes, shades) {
  const cells = GRID * GRID, fields = new Map(), total = new Float32Array(cells);
  for (let i = 0; i < n; i++) {
    const shade = Math.min(codes[i], SHADES - 1);
    if (!fields.has(shade)) fields.set(shade, new Float32Array(cells));
    fields.get(shade)[cellOf(x[i]) + GRID * (GRID - 1 - cellOf(y[i]))]++;
  }
  for (const field of fields.values()) {
    for (let round = 0; round < 3; round++) { blur(field, 1, GRID); blur(field, GRID, 1); }
    for (let c = 0; c < cells; c++) total[c] += field[c];
  }
  const image = new ImageData(GRID, GRID), most = total.reduce((a, b) => Math.max(a, b), 1e-9);
  for (let c = 0; c < cells; c++) {
    const mix = [0, 0, 0];
    let sum = 1e-12;
    for (const [shade, field] of fields) {
      const weight = (field[c] / Math.max(total[c], 1e-12)) ** 2; // the largest group gives the colour
      sum += weight;
      for (let k = 0; k < 3; k++) mix[k] += weight * shades[3 * shade + k];
    }
    const t = BANDS * Math.sqrt(total[c] / most), rise = Math.max(0, (t % 1) - 0.7) / 0.3;
    const alpha = Math.min(1, (Math.floor(t) + rise) / BANDS);
    for (let k = 0; k < 3; k++) image.data[4 * c + k] = 255 * (mix[k] / sum);
    image.data[4 * c + 3] = 255 * alpha;
  }
  return image;
}

// Running means along lines of a grid, in place.
function blur(field, step, stride) {
  const line = new Float32Array(GRID), width = 2 * BLUR + 1;
  for (let row = 0; row < GRID; row++) {
    const start = row * stride;
    let sum = 0;
    for (let i = 0; i < GRID; i++) line[i] = field[start + i * step];
    for (let i = -BLUR; i < GRID; i++) {
      sum += (line[i + BLUR] ?? 0) - (line[i - BLUR - 1] ?? 0);
      if (i >= 0) field[start + i * step] = sum / width;
    }
  }
}
