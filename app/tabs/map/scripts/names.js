// Names of regions: few from afar, more from near, each where no other stands.

const NEARER = 2.6; // zoom from which on the smaller regions are named
const PAD = 7;

function renderNames(panel, pen) {
  if (!state.names || !panel.regions) return;
  const { names } = panel.regions[panel.view.zoom < NEARER ? 0 : 1], boxes = [];
  pen.font = '600 12px system-ui, sans-serif';
  pen.textAlign = 'center';
  pen.textBaseline = 'middle';
  for (const { text, at } of names) {
    const [x, y] = panel.screen(...at), half = (widthOf(pen, text) + 2 * PAD) / 2;
    if (x - half < 0 || y < 12 || x + half > panel.width || y > panel.height - 12) continue;
    if (boxes.some((box) => Math.abs(box.x - x) < box.half + half + 4 && Math.abs(box.y - y) < 26)) continue;
    boxes.push({ x, y, half });
    pen.globalAlpha = 0.88;
    pen.fillStyle = state.look.ground;
    pen.beginPath();
    pen.roundRect(x - half, y - 11, 2 * half, 22, 11);
    pen.fill();
    pen.globalAlpha = 1;
    pen.lineWidth = 1;
    pen.strokeStyle = state.look.line;
    pen.stroke();
    pen.fillStyle = state.look.text;
    pen.fillText(text, x, y + 0.5);
  }
  pen.textBaseline = 'alphabetic';
}

const widths = new Map();
function widthOf(pen, text) {
  if (!widths.has(text)) widths.set(text, pen.measureText(text).width);
  return widths.get(text);
}
