// A column that stays in view while the page scrolls, and is taller than the window, is seen to its end.
{
  const reach = () => {
    for (const each of document.querySelectorAll(".ws-side, .ws-found-why")) {
      const stays = getComputedStyle(each).position === "sticky";
      each.style.top = stays ? `${Math.min(16, window.innerHeight - each.offsetHeight - 16)}px` : "";
    }
  };
  let asked = false;
  window.addEventListener("scroll", () => {
    if (!asked) requestAnimationFrame(() => { asked = false; reach(); });
    asked = true;
  }, { passive: true });
}
// Where the page is one column, an answer that arrives below the screen is brought into view.
window.wellspring.show = (id, wide) => {
  if (!window.wellspring.acted) return; // a page that just opened stays at its top
  if (!wide && !window.matchMedia("(max-width: 899px)").matches) return;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const shown = document.getElementById(id);
    if (!shown || shown.querySelector(".ws-empty")) return;
    const top = shown.getBoundingClientRect().top;
    if (top >= 0 && top < window.innerHeight / 2) return;
    const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    shown.scrollIntoView({ behavior: still ? "auto" : "smooth", block: "start" });
  }));
};
