// The list of matches: one is chosen, by a click or by the arrow keys.
// Runs as the body of a function of (element, trigger, props, server, upload, watch).

const rows = () => [...element.querySelectorAll('[data-row]')].filter((row) => row.offsetParent);
let told = 0;

function choose(row, quick) {
  for (const each of rows()) {
    const own = each === row;
    each.setAttribute('aria-selected', String(own));
    each.tabIndex = own ? 0 : -1;
  }
  row.focus({ preventScroll: true });
  const still = quick || matchMedia('(prefers-reduced-motion: reduce)').matches;
  row.scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: still ? 'auto' : 'smooth' });
  if (!quick && element.querySelector('.ws-list.closest')) unfold(still);
  clearTimeout(told); // keys that are held down ask for the last one alone
  told = setTimeout(() => trigger('select', { row: Number(row.dataset.row) }), quick ? 120 : 0);
}

// Reasons of an image that is no source are folded until one is chosen, and then stand where the eye is.
function unfold(still) {
  const why = document.querySelector('#ws-why');
  why?.querySelector(':scope > button:not(.open)')?.click();
  const below = why ? why.getBoundingClientRect().top - window.innerHeight * 0.45 : 0;
  if (below > 0) window.scrollBy({ top: below, behavior: still ? 'auto' : 'smooth' });
}

// The slider: only what scores so little less than the best that a source is among them so often.
element.addEventListener('input', (event) => {
  const slider = event.target.closest('[data-sets]');
  if (!slider) return;
  const [often, most] = JSON.parse(slider.dataset.sets)[Number(slider.value) - 1] ?? ['', Infinity];
  const all = [...element.querySelectorAll('[data-row]')], more = element.querySelector('[data-more]');
  for (const row of all) row.classList.toggle('beyond', Number(row.dataset.gap) > most);
  const count = all.filter((row) => !row.classList.contains('beyond')).length;
  if (often && more) more.click();
  let title = null, left = false;
  for (const each of [...element.querySelectorAll('.ws-list > li'), null]) {
    if (each?.dataset.row) left ||= !each.classList.contains('beyond');
    else {
      title?.classList.toggle('beyond', !left);
      [title, left] = [each, false];
    }
  }
  const short = count === all.length && `All ${count} that are listed are too few for that.`;
  element.querySelector('.ws-often output').textContent = often ? `in ${often} of cases` : 'as often as you choose';
  element.querySelector('.ws-listed').textContent = often && (short || `${count} ${count === 1 ? 'is' : 'are'} listed.`);
  slider.setAttribute('aria-valuetext', often ? `${often} of cases` : 'not chosen');
});

element.addEventListener('click', (event) => {
  const more = event.target.closest('[data-more]');
  if (more) {
    element.querySelector('.ws-list').classList.add('all');
    more.hidden = true;
    return;
  }
  const row = event.target.closest('[data-row]');
  if (row) choose(row, false);
});
element.addEventListener('keydown', (event) => {
  const found = rows(), at = found.indexOf(document.activeElement);
  if (at < 0) return;
  const steps = { ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1, Home: 0, End: found.length - 1 };
  if (event.key === 'Enter' || event.key === ' ') choose(found[at], false);
  else if (event.key in steps) {
    const next = found[Math.min(Math.max(steps[event.key], 0), found.length - 1)];
    if (next !== found[at]) choose(next, true);
  } else return;
  event.preventDefault();
});
