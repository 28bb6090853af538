// Names of regions: few from afar, more from near, each where no other stands. Of three places near its
// region's middle a name takes the one under which fewest pictures lie, and those make way for it.

const NEARER = 2.6; // zoom from which on the smaller regions are named
const PAD = 7;

const TALL = 22; // pixels of a name's plate

// Where names stand now: their plates, none over another or over the rim.
function placedNames(panel, pen) {
  const plates = panel.you ? [besideStar(panel)] : [];
  if (!state.names || !panel.regions) return plates;
  const { names } = panel.regions[panel.view.zoom < NEARER ? 0 : 1];
  const pictures = panel.pictures.places();
  for (const { text, at } of names) {
    const [x, middle] = panel.screen(...at), drawn = nameOf(pen, text), half = drawn.width / ratio() / 2;
    const free = [0, -TALL, TALL].map((down) => ({ x, y: middle + down, half, drawn })).filter((plate) => (
      x >= half && x + half <= panel.width && plate.y >= 12 && plate.y <= panel.height - 12
      && !plates.some((other) => Math.abs(other.x - x) < other.half + half + 4 && Math.abs(other.y - plate.y) < TALL + 4)
    ));
    if (!free.length) continue;
    const hidden = free.map((plate) => pictures.filter((place) => under(plate, place)).length);
    plates.push(free[hidden.indexOf(Math.min(...hidden))]);
  }
  return plates;
}

// Where the words beside the star stand, which need no plate.
function besideStar(panel) {
  const [x, y] = panel.screen(...panel.you.at), half = 42;
  return { x: x + (tellsLeft(panel, x) ? -1 : 1) * (STAR + half), y, half };
}

// Whether a picture, by its middle and side, lies under a plate.
function under({ x, y, half }, { at: [px, py], side }) {
  return Math.abs(px - x) < half + side / 2 && Math.abs(py - y) < (TALL + side) / 2;
}

// A name on its plate, drawn once for each look.
function nameOf(pen, text) {
  const key = `${text} ${ratio()}`, { look } = state, font = '600 12px system-ui, sans-serif';
  if (!look.names.has(key)) {
    pen.font = font;
    const width = pen.measureText(text).width + 2 * PAD;
    look.names.set(key, sprite(width, TALL, (own) => {
      own.roundRect(0.5, 0.5, width - 1, TALL - 1, 10.5);
      own.globalAlpha = 0.9;
      own.fillStyle = look.ground;
      own.fill();
      own.globalAlpha = 1;
      own.strokeStyle = look.line;
      own.stroke();
      own.font = font;
      own.fillStyle = look.text;
      own.textAlign = 'center';
      own.textBaseline = 'middle';
      own.fillText(text, width / 2, 11.5);
    }));
  }
  return look.names.get(key);
}
