// Names of regions: few from afar, more from near, each where no other stands.

const NEARER = 2.6; // zoom from which on the smaller regions are named
const PAD = 7;

function renderNames(panel, pen) {
  if (!state.names || !panel.regions) return;
  const { names } = panel.regions[panel.view.zoom < NEARER ? 0 : 1], boxes = [];
  for (const { text, at } of names) {
    const [x, y] = panel.screen(...at), drawn = nameOf(pen, text), half = drawn.width / ratio() / 2;
    if (x - half < 0 || y < 12 || x + half > panel.width || y > panel.height - 12) continue;
    if (boxes.some((box) => Math.abs(box.x - x) < box.half + half + 4 && Math.abs(box.y - y) < 26)) continue;
    boxes.push({ x, y, half });
    stamp(pen, drawn, [x, y]);
  }
}

// A name on its plate, drawn once for each look.
function nameOf(pen, text) {
  const key = `${text} ${ratio()}`, { look } = state, font = '600 12px system-ui, sans-serif';
  if (!look.names.has(key)) {
    pen.font = font;
    const width = pen.measureText(text).width + 2 * PAD;
    look.names.set(key, sprite(width, 22, (own) => {
      own.roundRect(0.5, 0.5, width - 1, 21, 10.5);
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
