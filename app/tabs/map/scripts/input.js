// Pointer, wheel and keys of a panel, and the card beside the pointer.

const HOVER_MS = 70;

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
  else if (event.key === '0') panel.whole();
  else if (event.key === 'Escape') choose([], false);
  else return;
  event.preventDefault();
}

// What lies under the pointer: ringed at once, on every map, its card a moment later.
function point(panel, spot, event) {
  const found = panel.nearest(...spot);
  if (found === state.hover) return found >= 0 && place(event);
  hover(found);
  if (found < 0) return hide();
  place(event);
  state.timer = setTimeout(() => describe(found), HOVER_MS);
}

function hover(row) {
  state.hover = row;
  root.classList.toggle('over', row >= 0);
  clearTimeout(state.timer);
  everywhere((each) => each.draw());
}

function hide() {
  card.hidden = true;
  if (state.hover >= 0) hover(-1);
  root.classList.remove('over');
  clearTimeout(state.timer);
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
