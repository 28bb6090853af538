// The map of a gallery as a component: what is drawn, selected and listed beside it.

const root = element.querySelector('.ws-map');
const card = element.querySelector('.ws-map-card');
const legend = element.querySelector('.ws-map-legend');
const listed = element.querySelector('.ws-map-regions');
const clear = element.querySelector('[data-clear]');
const state = {
  map: null, panels: [], selected: null, count: 0, mode: 'move', hover: -1,
  cards: new Map(), tiles: new Map(), asked: new Set(), pictures: true, names: true,
};
const everywhere = (work) => state.panels.forEach(work);

function choose(rows, add) {
  if (!state.map) return;
  if (!add) state.selected.fill(0);
  for (const row of rows) state.selected[row] = 1;
  const chosen = [];
  state.selected.forEach((on, row) => { if (on) chosen.push(row); });
  state.map.chosen = chosen;
  state.count = chosen.length;
  clear.hidden = state.count === 0;
  everywhere((panel) => panel.paint());
  trigger('select', { ticket: state.map.ticket, rows: chosen });
}

// The legend: a button a group, which selects the group; then every other mark and line.
function list() {
  const keys = state.map.legend.map(({ name, count, shade, mark }, code) => {
    const button = make('button', 'ws-map-key');
    button.type = 'button';
    const dot = make('i', mark || '');
    dot.style.background = `var(--ws-map-${Math.min(shade, SHADES - 1)})`;
    button.append(dot, make('span', '', name), make('b', '', count.toLocaleString('en')));
    button.addEventListener('click', (event) => choose(state.map.members[code], event.shiftKey));
    return button;
  });
  for (const [mark, words] of state.map.marks) {
    const entry = make('span', 'ws-map-key still');
    entry.append(make('i', mark), make('span', '', words));
    keys.push(entry);
  }
  legend.replaceChildren(...keys);
}

// The regions of the first map in words, each a button that selects its images.
function listRegions() {
  const { regions } = state.panels[0], { names, of } = regions[0];
  listed.parentElement.hidden = !names.length;
  listed.replaceChildren(...names.map(({ label, words }) => {
    const item = make('li'), button = make('button', 'ws-map-region', words);
    button.type = 'button';
    button.addEventListener('click', (event) => {
      const rows = [];
      of.forEach((region, row) => { if (region === label) rows.push(row); });
      choose(rows, event.shiftKey);
      everywhere((panel) => panel.reveal(rows));
    });
    item.append(button);
    return item;
  }));
}

function colours() {
  const shades = Array.from({ length: SHADES }, (_, i) => style(`--ws-map-${i}`));
  state.inks = shades;
  state.shades = new Float32Array(shades.map(rgb).flat());
  const of = { rim: '--ws-map-rim', link: '--ws-map-link', you: '--ws-map-you', ground: '--ws-map-ground', lasso: '--ws-map-lasso', ring: '--ws-ring', text: '--body-text-color', line: '--border-color-primary' };
  state.look = Object.fromEntries(Object.entries(of).map(([name, variable]) => [name, style(variable)]));
  Object.assign(state.look, { names: new Map(), diamonds: new Map() });
  everywhere((panel) => panel.paint());
}

function draw() {
  const value = props.value;
  if (!value || !value.panels) { root.classList.remove('drawn'); return; }
  const same = state.map && state.map.ticket === value.ticket;
  const seen = same ? state.map.marked?.id : null, chosen = same ? String(state.map.chosen) : '';
  const groups = new Uint16Array(bytes(value.groups).buffer);
  const members = value.legend.map(() => []);
  groups.forEach((group, row) => members[group].push(row));
  const codes = Uint8Array.from(groups, (group) => value.legend[group].shade);
  state.map = { ...value, codes, members };
  if (!same) {
    for (const held of [state.cards, state.tiles, state.asked]) held.clear();
    state.selected = new Uint8Array(groups.length);
  }
  state.cards.clear(); // their words follow the colouring
  state.selected.fill(0);
  for (const row of value.chosen) state.selected[row] = 1;
  state.count = value.chosen.length;
  clear.hidden = state.count === 0;
  root.classList.add('drawn');
  const host = element.querySelector('.ws-map-panels');
  while (state.panels.length > value.panels.length) state.panels.pop().host.remove();
  while (state.panels.length < value.panels.length) state.panels.push(new Panel(host));
  host.classList.toggle('pair', value.panels.length > 1);
  colours();
  state.panels.forEach((panel, i) => panel.show(value.panels[i], same && panel.view, seen));
  if (same && String(value.chosen) !== chosen) everywhere((panel) => panel.reveal(value.chosen));
  list();
  listRegions();
}

const toggle = (button, on) => button.setAttribute('aria-pressed', String(on));
element.querySelectorAll('[data-mode]').forEach((button) => button.addEventListener('click', () => {
  state.mode = root.dataset.mode = button.dataset.mode;
  element.querySelectorAll('[data-mode]').forEach((each) => toggle(each, each === button));
}));
element.querySelectorAll('[data-zoom]').forEach((button) => button.addEventListener('click', () => {
  const by = Number(button.dataset.zoom);
  everywhere((panel) => (by ? panel.zoom(by) : panel.whole()));
}));
element.querySelectorAll('[data-show]').forEach((button) => button.addEventListener('click', () => {
  const what = button.dataset.show;
  state[what] = !state[what];
  toggle(button, state[what]);
  everywhere((panel) => panel.changed());
}));
clear.addEventListener('click', () => choose([], false));

// Pictures of the list below ring their points.
const chosenOf = (event) => event.target.closest?.('#ws-map-chosen button');
const ringed = (event) => {
  const button = state.map && chosenOf(event);
  if (!button) return;
  const place = [...button.closest('#ws-map-chosen').querySelectorAll('button:has(img)')].indexOf(button);
  if (place >= 0 && place < state.map.chosen.length) hover(state.map.chosen[place]);
};
for (const kind of ['pointerover', 'focusin']) document.addEventListener(kind, ringed);
for (const kind of ['pointerout', 'focusout']) document.addEventListener(kind, (event) => { if (chosenOf(event)) hover(-1); });
new MutationObserver(() => { if (state.map) colours(); })
  .observe(document.body, { attributes: true, attributeFilter: ['class'] });
watch('value', draw);
draw();
