// What is drawn over the points: examples, lines, pictures, names, the visitor's image, the marked one, the pointer's.

function renderMarks(panel, level) {
  const { map, look } = state, { pen, you } = panel;
  renderExamples(panel, level);
  pen.lineWidth = 1;
  pen.strokeStyle = look.link;
  for (const [query, row] of map.links) {
    const from = map.n + query;
    if (!state.count || state.selected[from] || state.hover === from) line(pen, panel.of(from), panel.of(row));
  }
  if (you) {
    pen.strokeStyle = look.you;
    pen.lineWidth = 1.5;
    for (const row of you.near) line(pen, panel.screen(...you.at), panel.of(row));
  }
  panel.plates = placedNames(panel, pen);
  panel.pictures.render(pen);
  for (const { drawn, x, y } of panel.plates) if (drawn) stamp(pen, drawn, [x, y]);
  if (map.marked) marked(panel, pen);
  if (you) star(panel, pen);
  if (state.hover >= 0) ring(pen, panel.of(state.hover), 9, look.text, 2);
  if (panel.path) path(panel, pen);
}

// Generated examples: a diamond each, drawn once for each size and colour.
function renderExamples(panel, { size }) {
  const { map, count, selected, look, inks } = state, { pen } = panel;
  for (let row = map.n; row < panel.x.length; row++) {
    const ink = inks[Math.min(map.codes[row], SHADES - 1)];
    const side = 2 * Math.round(Math.max(5, 1.05 * size + 1) * (count && selected[row] ? LARGER : 1));
    const key = `${side} ${ink} ${ratio()}`;
    if (!look.diamonds.has(key)) look.diamonds.set(key, diamond(side, ink));
    pen.globalAlpha = count && !selected[row] ? MUTED : CHOSEN;
    stamp(pen, look.diamonds.get(key), panel.of(row));
  }
  pen.globalAlpha = 1;
}

function diamond(side, ink) {
  return sprite(side, side, (pen) => {
    for (const [colour, far] of [[state.look.rim, side / 2], [ink, side / 2 - 2.5]]) {
      pen.beginPath();
      for (const [x, y] of [[0, -far], [far, 0], [0, far], [-far, 0]]) pen.lineTo(side / 2 + x, side / 2 + y);
      pen.fillStyle = colour;
      pen.fill();
    }
  });
}

function line(pen, [ax, ay], [bx, by]) {
  pen.beginPath();
  pen.moveTo(ax, ay);
  pen.lineTo(bx, by);
  pen.stroke();
}

function ring(pen, [x, y], radius, colour, width) {
  pen.lineWidth = width;
  pen.strokeStyle = colour;
  pen.beginPath();
  pen.arc(x, y, radius, 0, 7);
  pen.stroke();
}

function marked(panel, pen) {
  const { row, label } = state.map.marked, at = panel.of(row), { look } = state;
  if (panel.you) {
    pen.strokeStyle = look.you;
    pen.lineWidth = 3;
    line(pen, panel.screen(...panel.you.at), at);
  }
  ring(pen, at, 13, look.ground, 6);
  ring(pen, at, 13, look.you, 3);
  const near = panel.you ? panel.screen(...panel.you.at)[1] - at[1] : 99;
  const aside = Math.abs(near) < 20 ? (near > 0 ? -1 : 1) * 20 : 0; // clear of the star's words
  tell(panel, pen, [at[0], at[1] + aside], label, 20);
}

function star(panel, pen) {
  const [x, y] = panel.screen(...panel.you.at), { look } = state;
  pen.beginPath();
  for (let k = 0; k < 10; k++) {
    const far = k % 2 ? 5 : 12, turn = (k * Math.PI) / 5;
    pen.lineTo(x + far * Math.sin(turn), y - far * Math.cos(turn));
  }
  pen.closePath();
  pen.strokeStyle = look.ground;
  pen.lineWidth = 4;
  pen.stroke();
  pen.fillStyle = look.you;
  pen.fill();
  tell(panel, pen, [x, y], 'Your image', STAR);
}

const STAR = 15; // pixels from the star's middle to its words
const tellsLeft = (panel, x) => x > panel.width - 130;

function tell(panel, pen, [x, y], text, far) {
  pen.font = '600 13px system-ui, sans-serif';
  const left = tellsLeft(panel, x);
  pen.textAlign = left ? 'right' : 'left';
  pen.strokeStyle = state.look.ground;
  pen.fillStyle = state.look.you;
  pen.lineWidth = 4;
  pen.strokeText(text, x + (left ? -far : far), y + 4);
  pen.fillText(text, x + (left ? -far : far), y + 4);
}

function path(panel, pen) {
  pen.beginPath();
  for (const [x, y] of panel.path) pen.lineTo(...panel.screen(x, y));
  pen.closePath();
  pen.fillStyle = state.look.lasso;
  pen.fill();
  pen.lineWidth = 1.5;
  pen.strokeStyle = state.look.ring;
  pen.stroke();
}
