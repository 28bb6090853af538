// Gradio names some buttons by words that are not on them. A person who speaks to the page says what
// is read there, so such names give way to the visible text; looked at once a frame at most.
{
  let asked = false;
  const rename = () => {
    asked = false;
    for (const button of document.querySelectorAll("button[aria-label]")) {
      const text = button.innerText.trim();
      if (/\p{L}/u.test(text) && !button.ariaLabel.includes(text)) button.removeAttribute("aria-label");
    }
  };
  new MutationObserver(() => {
    if (!asked) requestAnimationFrame(rename);
    asked = true;
  }).observe(document.documentElement, { childList: true, subtree: true });
}
