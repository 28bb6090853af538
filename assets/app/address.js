// Keeps the page's address up to date, without a new entry in the browser's history.
const kept = (act) => { // a browser may forbid it
  try { return act(window.sessionStorage); } catch { return null; }
};
window.wellspring = {
  before: kept((store) => store.getItem("wellspring-page")) ?? "", // this page's number before it was loaded anew
  note: (name) => void kept((store) => store.setItem("wellspring-page", name)),
  usual: { tab: "attribute", part: "one", gallery: "builtin", example: "0" },
  acted: false, // opening the page fires events too; an address is rewritten by acts alone
  write(key, value) {
    if (!this.acted) return;
    const address = new URL(window.location);
    const text = String(value ?? "");
    if (!text || text === this.usual[key]) address.searchParams.delete(key);
    else address.searchParams.set(key, text);
    window.history.replaceState(window.history.state, "", address);
  },
  forget() { // a gallery that is not there, and the example in it
    const address = new URL(window.location);
    for (const key of ["gallery", "example"]) address.searchParams.delete(key);
    window.history.replaceState(window.history.state, "", address);
  },
};
for (const act of ["pointerdown", "keydown", "drop", "paste"]) {
  window.addEventListener(act, () => { window.wellspring.acted = true; }, { capture: true, once: true });
}
