// The next steps after an answer: to another tab, and there to what it is about.
{
  const tab = (name) => [...document.querySelectorAll("[role=tab]")].find((each) => each.textContent.trim() === name);
  const open = (name) => {
    const found = tab(name);
    if (found && found.offsetParent) return found.click();
    for (const each of document.querySelectorAll("#ws-tabs .overflow-dropdown button")) {
      if (each.textContent.trim() === name) each.click(); // narrow pages keep the last tabs in a menu
    }
  };
  // A frame after a tab is first there, Gradio sets all that it shows once more: what was changed before is undone.
  const settled = (then) => requestAnimationFrame(() => requestAnimationFrame(then));
  const soon = (find, then, left = 60) => {
    if (find()) settled(() => { const found = find(); if (found) then(found); });
    else if (left) setTimeout(() => soon(find, then, left - 1), 50);
  };
  // "Attribute/Reverse": a tab, and the part of it where one is named.
  const go = (where) => {
    const [name, part] = (where || "").split("/");
    if (name) open(name);
    const found = () => [...document.querySelectorAll("#ws-switch [role=tab]")].find((each) => each.textContent.trim() === part && each.offsetParent);
    if (part) soon(found, (each) => each.click());
  };
  // From a case that a table's row opened, a button, Escape and the browser's Back lead to that row again.
  let row = null;
  const opened = (from) => {
    row = from;
    document.documentElement.classList.toggle("ws-opened", row !== null);
  };
  const parts = () => [...document.querySelectorAll("#ws-switch [role=tab]")].filter((each) => each.offsetParent);
  const left = (table, place) => {
    opened({ table, place, part: parts().find((each) => each.ariaSelected === "true")?.textContent.trim() });
    history.pushState({ ...history.state, opened: true }, "");
  };
  const back = () => {
    const from = row;
    opened(null);
    if (!from) return;
    parts().find((each) => each.textContent.trim() === from.part)?.click();
    soon(() => document.querySelector(`#${from.table} tr[data-row="${from.place}"] [data-open]`), (found) => {
      found.focus();
      found.scrollIntoView({ block: "center" });
    });
  };
  window.addEventListener("popstate", back);
  const leave = () => (history.state?.opened ? history.back() : back());
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !row || event.defaultPrevented || event.target.matches("input, textarea")) return;
    leave();
  });
  document.addEventListener("click", (event) => { // who goes elsewhere by hand is not led back
    if (event.target.closest("[data-back]")) leave();
    else if (event.isTrusted && event.target.closest("[role=tab], #ws-run-test, #ws-query, #ws-examples")) opened(null);
  });
  Object.assign(window.wellspring, { open, soon, go, left });
  const fill = (field, text) => {
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, text);
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  };
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-go]");
    if (!button) return;
    if (button.dataset.go === "test") {
      open("Test");
      return;
    }
    if (button.dataset.go === "tab") {
      open(button.dataset.name);
      return;
    }
    open("Gallery");
    soon(() => document.querySelector("#ws-gallery-building > button"), (label) => {
      if (!label.classList.contains("open")) label.click();
    });
    if (button.dataset.go !== "dataset") return;
    soon(() => document.querySelector("#ws-gallery-kind input[value=Dataset]"), (radio) => {
      radio.click();
      soon(() => document.querySelector("#ws-gallery-dataset :is(input, textarea)"), (field) => {
        if (field.tagName === "TEXTAREA") {
          field.value = button.dataset.name;
          field.dispatchEvent(new Event("input", { bubbles: true }));
          field.focus();
        } else fill(field, button.dataset.name);
      });
    });
  });
}
