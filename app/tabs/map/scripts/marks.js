// What is drawn over the points: lines, pictures, names, the visitor's image, the marked one, the pointer's.

function renderMarks(panel) {
  const pen = panel.marks.getContext('2d', { willReadFrequently: true }), { map, look } = state, { you } = panel;
  pen.setTransform(ratio(), 0, 0, ratio(), 0, 0);
  pen.clearRect(0, 0, panel.width, panel.height);
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
  panel.pictures.render(pen);
  renderNames(panel, pen);
  if (map.marked) marked(panel, pen);
  if (you) star(panel, pen);
  if (state.hover >= 0) ring(pen, panel.of(state.hover), 9, look.text, 2);
  if (panel.path) path(panel, pen);
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
  tell(panel, pen, [x, y], 'Your image', 15);
}

function tell(panel, pen, [x, y], text, far) {
  pen.font = '600 13px system-ui, sans-serif';
  const left = x > panel.width - 130;
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
