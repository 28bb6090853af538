// What is dropped or pasted anywhere on the page goes to the open tab; a drop that misses never leaves the page.
{
  const takes = (input, file) => !input.accept || input.accept.split(",").some((kind) =>
    kind.endsWith("/*") ? file.type.startsWith(kind.slice(0, -1)) : file.name.toLowerCase().endsWith(kind.trim()));
  const place = (files) => [...document.querySelectorAll(".block input[type=file]")].find((input) =>
    input.closest(".block").offsetParent && (files.length === 1 || input.multiple) && takes(input, files[0]));
  const give = (input, files) => {
    const held = new DataTransfer();
    for (const file of files) held.items.add(file);
    input.files = held.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  };
  let told;
  const say = (words) => { // for as long as it takes to read
    told?.remove();
    told = Object.assign(document.createElement("p"), { className: "ws-dropped-nowhere", textContent: words });
    told.setAttribute("role", "status");
    document.body.append(told);
    setTimeout((old) => old.remove(), 6000, told);
  };
  const build = (fold, files) => { // a gallery of a zip: open what builds it, with the zip in place
    const label = fold.querySelector(":scope > button");
    if (!label.classList.contains("open")) label.click();
    const zip = () => document.querySelector("#ws-gallery-zip input[type=file]");
    window.wellspring.soon(() => zip() ?? document.querySelector("#ws-gallery-kind input[value=Zip]"), (found) => {
      if (found.type === "radio") found.click();
      window.wellspring.soon(zip, (input) => give(input, files));
    });
    fold.scrollIntoView({ block: "nearest" });
  };
  const take = (files) => {
    const input = place(files);
    if (input) return give(input, files);
    const building = document.querySelector("#ws-gallery-building");
    if (files.length === 1 && building?.offsetParent && /\.zip$/i.test(files[0].name)) return build(building, files);
    const several = document.querySelector(".ws-switch")?.offsetParent;
    if (!several || (files.length === 1 && !/\.zip$/i.test(files[0].name))) return say(`Nothing on this part of the page takes ${files[0].name}.`);
    window.wellspring.open("Several");
    window.wellspring.soon(() => place(files), (found) => give(found, files));
  };
  const mark = (on) => document.body.classList.toggle("ws-dropping", on);
  const carries = (event) => event.dataTransfer?.types.includes("Files");
  window.addEventListener("dragover", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    mark(true);
  });
  window.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });
  window.addEventListener("drop", () => mark(false), { capture: true }); // also where a field of its own takes it
  window.addEventListener("drop", (event) => {
    if (!carries(event) || event.defaultPrevented) return;
    event.preventDefault();
    take([...event.dataTransfer.files]);
  });
  window.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length || event.defaultPrevented) return;
    event.preventDefault();
    take(files);
  });
}
