// Words of Gradio's that give way to better ones; looked at once a frame at most.
{
  const lost = "Connection to the server was lost.";
  const advice = " If it runs on this computer, start it again; the page opens anew when it answers.";

  // Some buttons are named by words that are not on them. A person who speaks to the page says what
  // is read there.
  const rename = () => {
    for (const button of document.querySelectorAll("button[aria-label]")) {
      const text = button.innerText.trim();
      if (/\p{L}/u.test(text) && !button.ariaLabel.includes(text)) button.removeAttribute("aria-label");
    }
  };

  // Where files are given, the button that adds more is within another one, which does nothing and has no
  // name in any language.
  const unnest = () => {
    for (const outer of document.querySelectorAll(".icon-button:has(button.upload-container):not([role])")) {
      outer.setAttribute("role", "group");
      outer.tabIndex = -1;
      outer.removeAttribute("aria-haspopup");
      for (const each of [outer, outer.querySelector("button.upload-container")]) each.ariaLabel = each.title = "Add files";
    }
  };

  // When the server is gone, Gradio says so and tries again; this adds what a person can do.
  const advise = () => {
    for (const text of document.querySelectorAll("[data-testid=toast-text]")) {
      if (text.textContent.startsWith(lost) && !text.textContent.endsWith(advice)) text.append(advice);
    }
  };

  // A failure is told in a sentence; the same words stand within another one on the command line.
  const sentence = (text) => {
    const words = text?.data?.trim();
    if (!words) return;
    const end = /[.!?:]$|https?:\/\/\S*$/.test(words) ? "" : ".";
    const told = `${words[0].toUpperCase()}${words.slice(1)}${end}`;
    if (text.data !== told) text.data = told;
  };

  // Gradio calls every failure an error, whatever title the server gives it: it reads another field.
  const titles = { Stopped: "Stopped", "This is a fault": "Fault", "": "That did not work" };
  const entitle = () => {
    for (const toast of document.querySelectorAll(".toast-body.error")) {
      const texts = [...toast.querySelectorAll("[data-testid=toast-text]")].map((each) => each.textContent.trim());
      const alike = Object.keys(titles).find((start) => texts.every((text) => text.startsWith(start)));
      for (const text of toast.querySelectorAll("[data-testid=toast-text]")) sentence(text.firstChild);
      const title = toast.querySelector(".toast-title").firstChild;
      if (title.data.trim() !== titles[alike]) title.data = `${titles[alike]} `;
    }
  };

  // What failed in one part of the page is not told above another one. That the server is gone is.
  document.addEventListener("click", (event) => {
    if (!event.isTrusted || !event.target.closest("[role=tab]")) return;
    for (const toast of document.querySelectorAll(".toast-body.error")) {
      const texts = [...toast.querySelectorAll("[data-testid=toast-text]")].map((each) => each.textContent);
      if (!texts.some((text) => text.startsWith(lost))) toast.querySelector("[data-testid=toast-close]").click();
    }
  });

  let asked = false;
  const look = () => {
    asked = false;
    rename();
    unnest();
    advise();
    entitle();
  };
  new MutationObserver(() => {
    if (!asked) requestAnimationFrame(look);
    asked = true;
  }).observe(document.documentElement, { childList: true, subtree: true });
}
