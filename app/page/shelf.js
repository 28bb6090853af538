// The shelf of a gallery: pictures are chosen one by one, and pages are turned.
// Runs as the body of a function of (element, trigger, props, server, upload, watch).

element.addEventListener('click', (event) => {
  const leaf = event.target.closest('[data-leaf]');
  if (leaf) return trigger('select', { leaf: Number(leaf.dataset.leaf) });
  const picture = event.target.closest('[data-id]');
  if (!picture) return;
  const shelf = picture.closest('.ws-shelf');
  const chosen = new Set(shelf.dataset.chosen.split(' ').filter(Boolean));
  const on = !chosen.delete(picture.dataset.id);
  if (on) chosen.add(picture.dataset.id);
  picture.setAttribute('aria-pressed', String(on));
  shelf.dataset.chosen = [...chosen].join(' ');
  trigger('select', { chosen: [...chosen].map(Number) });
});
element.addEventListener('keydown', (event) => {
  const pictures = [...element.querySelectorAll('[data-id]')], at = pictures.indexOf(document.activeElement);
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (at < 0 || !step) return;
  pictures[Math.min(Math.max(at + step, 0), pictures.length - 1)].focus();
  event.preventDefault();
});
