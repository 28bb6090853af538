// "Copy answer" and "Copy link": what is copied is said where it was asked, to screen readers too.
{
  const written = async (text) => {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const field = document.createElement("textarea"); // a page that is not served securely has no clipboard
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) throw new Error("not allowed");
  };
  const own = "Copied. The link opens this gallery with these settings; your picture is not in it.";
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const answer = button.closest(".ws-answer"), told = answer.querySelector(".ws-copied");
    const link = button.dataset.copy === "link";
    const example = new URL(window.location).searchParams.has("example");
    try {
      await written(link ? window.location.href : answer.querySelector("[data-text]").dataset.text);
      told.textContent = link && !example ? own : "Copied.";
    } catch {
      told.textContent = "This browser does not let the page copy; select the text instead.";
    }
    setTimeout(() => { told.textContent = ""; }, 8000);
  });
}
