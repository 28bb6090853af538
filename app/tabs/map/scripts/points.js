// Points and their density: two WebGL calls a panel, so that 50,000 points stay fluid.

const SHADES = 12; // colours of groups; the last one is for all others
const GRID = 256; // cells of a side on which density is taken
const BLUR = 4; // radius of each of three box blurs, cells
const BANDS = 7; // steps of density
const APART = 7; // pixels between points from which on all are drawn; nearer ones are drawn as a sample

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
  float alpha = paint.a * clamp(px * 0.5 - far, 0.0, 1.0);
  if (alpha <= 0.0) discard;
  float edge = shape > 0.5 ? clamp(far - px * 0.5 + 3.0, 0.0, 1.0) : 0.0;
  gl_FragColor = vec4(mix(paint.rgb, rim, edge) * alpha, alpha);
}`;
const CLOUD_VERTEX = `
attribute vec2 corner; uniform vec4 view; varying vec2 uv;
void main() { uv = corner; gl_Position = vec4(corner * view.xy + view.zw, 0.0, 1.0); }`;
const CLOUD_FRAGMENT = `
precision mediump float;
varying vec2 uv; uniform sampler2D cloud; uniform float strength;
void main() {
  gl_FragColor = texture2D(cloud, uv) * strength;
}`;

function program(gl, sources) {
  const made = gl.createProgram();
  [gl.VERTEX_SHADER, gl.FRAGMENT_SHADER].forEach((kind, i) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, sources[i]);
    gl.compileShader(shader);
    gl.attachShader(made, shader);
  });
  gl.linkProgram(made);
  const places = {};
  for (let i = 0; i < gl.getProgramParameter(made, gl.ACTIVE_UNIFORMS); i++) {
    const { name } = gl.getActiveUniform(made, i);
    places[name.replace('[0]', '')] = gl.getUniformLocation(made, name);
  }
  return { made, places };
}

// What one panel's canvas shows below its marks.
class Points {
  constructor(canvas) {
    this.canvas = canvas;
    this.gl = canvas.getContext('webgl', { antialias: false });
    if (!this.gl) return;
    this.prepare();
    canvas.addEventListener('webglcontextlost', (event) => event.preventDefault());
    canvas.addEventListener('webglcontextrestored', () => {
      this.prepare();
      if (this.given) { this.load(...this.given); this.paint(this.looks); }
      this.onrestored?.();
    });
  }

  prepare() {
    const gl = this.gl;
    this.dots = program(gl, [VERTEX, FRAGMENT]);
    this.cloud = program(gl, [CLOUD_VERTEX, CLOUD_FRAGMENT]);
    [this.at, this.look, this.corners] = [gl.createBuffer(), gl.createBuffer(), gl.createBuffer()];
    gl.bindBuffer(gl.ARRAY_BUFFER, this.corners);
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([0, 0, 1, 0, 0, 1, 1, 1]), gl.STATIC_DRAW);
    this.texture = gl.createTexture();
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  }

  // Gallery points in a drawn order of which every beginning is a fair sample, then the examples.
  load(x, y, n) {
    this.given = [x, y, n];
    if (!this.gl) return;
    const rows = Uint32Array.from(x, (_, i) => i);
    let seed = 1;
    for (let i = n - 1; i > 0; i--) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const j = Math.floor((seed / 4294967296) * (i + 1));
      [rows[i], rows[j]] = [rows[j], rows[i]];
    }
    const at = new Float32Array(2 * x.length);
    rows.forEach((row, k) => { at[2 * k] = x[row]; at[2 * k + 1] = y[row]; });
    this.rows = rows;
    this.fill(this.at, at);
  }

  fill(buffer, data) {
    this.gl.bindBuffer(this.gl.ARRAY_BUFFER, buffer);
    this.gl.bufferData(this.gl.ARRAY_BUFFER, data, this.gl.STATIC_DRAW);
  }

  // Colour, shape and emphasis of every point, and the cloud behind them.
  paint(looks) {
    this.looks = looks;
    if (!this.gl || !this.rows) return;
    const { codes, selected, any, shades } = looks, [x, y, n] = this.given;
    const look = new Uint8Array(4 * codes.length);
    this.rows.forEach((row, k) => {
      look[4 * k] = Math.min(codes[row], SHADES - 1);
      look[4 * k + 1] = row >= n ? 1 : 0;
      look[4 * k + 2] = any && selected[row] ? 1 : 0;
      look[4 * k + 3] = any && !selected[row] ? 1 : 0;
    });
    this.fill(this.look, look);
    if (this.clouded?.codes === codes && this.clouded.shades === shades && this.clouded.x === x) return;
    this.clouded = { codes, shades, x };
    const gl = this.gl;
    gl.bindTexture(gl.TEXTURE_2D, this.texture);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, GRID, GRID, 0, gl.RGBA, gl.UNSIGNED_BYTE, cloudOf(x, y, n, codes, shades));
    for (const way of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, way, gl.LINEAR);
    for (const way of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, way, gl.CLAMP_TO_EDGE);
  }

  bind(buffer, where, name, size, kind) {
    const gl = this.gl, place = gl.getAttribLocation(where.made, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, kind, false, 0, 0);
  }

  // view: scale and shift of both axes; level: what is drawn at this zoom; looks as for paint.
  render(view, level, ratio, rim) {
    const gl = this.gl, { dots, cloud } = this, [x, , n] = this.given;
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    if (level.cloud > 0.02) {
      gl.useProgram(cloud.made);
      this.bind(this.corners, cloud, 'corner', 2, gl.FLOAT);
      gl.uniform4f(cloud.places.view, ...view);
      gl.uniform1f(cloud.places.strength, level.cloud * (this.looks.any ? 0.3 : 1));
      gl.drawArrays(gl.TRIANGLE_STRIP, 0, 4);
    }
    gl.useProgram(dots.made);
    this.bind(this.at, dots, 'at', 2, gl.FLOAT);
    this.bind(this.look, dots, 'look', 4, gl.UNSIGNED_BYTE);
    gl.uniform4f(dots.places.view, ...view);
    gl.uniform1f(dots.places.size, level.size * ratio);
    gl.uniform1f(dots.places.ink, level.ink);
    gl.uniform3fv(dots.places.shades, this.looks.shades);
    gl.uniform3fv(dots.places.rim, rim);
    const drawn = this.looks.any ? n : Math.min(n, level.drawn);
    gl.drawArrays(gl.POINTS, 0, drawn);
    if (x.length > n) gl.drawArrays(gl.POINTS, n, x.length - n);
  }
}

// What is drawn when points lie so many pixels apart on average: density from afar, then all points.
function levelOf(apart, n, wide, high) {
  const share = Math.max(0, Math.min(1, (34 - apart) / 28));
  return {
    cloud: n > state.map.dense ? 0.7 * share : 0,
    size: Math.max(n < 2000 ? 4.5 : 1.6, Math.min(9, 0.28 * apart)),
    ink: Math.max(0.3, Math.min(0.9, apart / 24)),
    drawn: Math.ceil((wide * high) / (APART * APART)),
  };
}

// Density of the gallery's points as an image: its steps are opacity, its colour that of the groups there.
function cloudOf(x, y, n, codes, shades) {
  const cells = GRID * GRID, fields = new Map(), total = new Float32Array(cells);
  for (let i = 0; i < n; i++) {
    const shade = Math.min(codes[i], SHADES - 1);
    if (!fields.has(shade)) fields.set(shade, new Float32Array(cells));
    const c = Math.min(GRID - 1, Math.floor(x[i] * GRID)) + GRID * Math.min(GRID - 1, Math.floor(y[i] * GRID));
    fields.get(shade)[c]++;
  }
  for (const field of fields.values()) {
    for (let round = 0; round < 3; round++) { blur(field, 1, GRID); blur(field, GRID, 1); }
    for (let c = 0; c < cells; c++) total[c] += field[c];
  }
  const image = new Uint8Array(4 * cells), most = total.reduce((a, b) => Math.max(a, b), 1e-9);
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
    for (let k = 0; k < 3; k++) image[4 * c + k] = 255 * alpha * (mix[k] / sum);
    image[4 * c + 3] = 255 * alpha;
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
