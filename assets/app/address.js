// Keeps the page's address up to date, without a new entry in the browser's history.
window.wellspring = {
  usual: { tab: "attribute", gallery: "embedded", example: "0" },
  write(key, value) {
    const address = new URL(window.location);
    const text = String(value ?? "");
    if (!text || text === this.usual[key]) address.searchParams.delete(key);
    else address.searchParams.set(key, text);
    window.history.replaceState(window.history.state, "", address);
  },
};
