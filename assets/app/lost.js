// When the server is gone, Gradio says so and tries again; this adds what a person can do.
{
  const said = "Connection to the server was lost.";
  const advice = " If it runs on this computer, start it again; the page opens anew when it answers.";
  new MutationObserver(() => {
    for (const text of document.querySelectorAll("[data-testid=toast-text]")) {
      if (text.textContent.startsWith(said) && !text.textContent.endsWith(advice)) text.append(advice);
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
}
