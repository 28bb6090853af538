// Where the page is one column, an answer that arrives below the screen is brought into view.
window.wellspring.show = (id) => {
  if (!window.wellspring.acted) return; // a page that just opened stays at its top
  if (!window.matchMedia("(max-width: 899px)").matches) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const shown = document.getElementById(id);
    if (!shown || shown.querySelector(".ws-empty")) return;
    const top = shown.getBoundingClientRect().top;
    if (top >= 0 && top < window.innerHeight / 2) return;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    shown.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }));
};
