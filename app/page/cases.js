// A table of cases: sorted by its headings, filtered by outcome and by words; a row opens its case.
// Runs as the body of a function of (element, trigger, props, server, upload, watch).

// Order and filters outlive the element, which goes with its part of the tab and comes anew.
const tables = (window.wellspring.tables ??= {});
const wanted = (tables[element.closest('[id^=ws-]')?.id] ??= { by: -1, down: false, kind: '', text: '' });
let typing = false;
const all = (selector) => [...element.querySelectorAll(selector)];
const key = (row) => row.cells[wanted.by]?.dataset.key ?? '';

function compare(one, other) {
  const a = key(one), b = key(other);
  if (a === '' || b === '') return (a === '') - (b === ''); // what is not known comes last
  const order = isNaN(a) || isNaN(b) ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
  return wanted.down ? -order : order;
}

function sort() {
  const body = element.querySelector('tbody');
  if (!body || wanted.by < 0) return;
  body.append(...[...body.rows].sort(compare));
  for (const button of all('[data-by]')) {
    const own = Number(button.dataset.by) === wanted.by;
    button.parentElement.setAttribute('aria-sort', own ? (wanted.down ? 'descending' : 'ascending') : 'none');
  }
}

function filter() {
  const words = wanted.text.toLowerCase().split(/\s+/).filter(Boolean);
  const rows = all('tbody tr');
  for (const row of rows) {
    const text = row.textContent.toLowerCase();
    row.hidden = (wanted.kind && row.dataset.kind !== wanted.kind) || !words.every((word) => text.includes(word));
  }
  for (const button of all('.ws-filter [data-kind]')) {
    button.setAttribute('aria-pressed', String(button.dataset.kind === wanted.kind));
  }
  const told = element.querySelector('[data-told]');
  const count = rows.filter((row) => !row.hidden).length;
  if (!told) return;
  told.textContent = `${count || 'None'} of ${rows.length} rows shown`;
  told.classList.toggle('ws-unseen', count > 0); // an empty table says so to everybody
}

// A table that has just come is put into the order, and behind the filters, of the one before.
function renew() {
  const table = element.querySelector('table.ws-cases');
  if (!table || table.dataset.ready) return;
  table.dataset.ready = 'yes';
  const search = element.querySelector('[data-search]');
  if (wanted.kind && !element.querySelector(`.ws-filter [data-kind="${wanted.kind}"]`)) wanted.kind = '';
  if (search) {
    search.value = wanted.text;
    if (typing) search.focus({ preventScroll: true });
  }
  sort();
  if (wanted.kind || wanted.text) filter();
}

element.addEventListener('click', (event) => {
  const head = event.target.closest('[data-by]'), kind = event.target.closest('.ws-filter [data-kind]');
  const row = event.target.closest('tr[data-row]');
  if (head) {
    const by = Number(head.dataset.by);
    wanted.down = by === wanted.by && !wanted.down;
    wanted.by = by;
    sort();
  } else if (kind) {
    wanted.kind = kind.dataset.kind;
    filter();
  } else if (row && String(getSelection()) === '') {
    window.wellspring.left(element.closest('[id^=ws-]')?.id, row.dataset.row);
    trigger('select', { row: Number(row.dataset.row) });
  }
});
element.addEventListener('input', (event) => {
  if (!event.target.matches('[data-search]')) return;
  wanted.text = event.target.value;
  filter();
});
element.addEventListener('focusin', (event) => { typing = event.target.matches('[data-search]'); });
element.addEventListener('focusout', (event) => { if (event.target.isConnected) typing = false; });
element.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || !event.target.matches('[data-open]')) return;
  const open = all('[data-open]').filter((button) => button.offsetParent);
  open[open.indexOf(event.target) + step]?.focus();
  event.preventDefault();
});
new MutationObserver(renew).observe(element, { childList: true, subtree: true });
renew();
