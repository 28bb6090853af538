"""What tests do with a page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, Request

FILE = "#ws-query input[type=file]"


def give(page: Page, file: Path) -> None:
    page.set_input_files(FILE, file)
    page.wait_for_selector(".ws-answer")
    page.wait_for_selector(".ws-pair img", state="attached")


def contrast(page: Page, text: str, ground: str, *, what: str = "color") -> float:
    """Contrast (WCAG 2.1) of two computed colours, in the theme in which it is lower."""
    for each in (text, ground):
        page.locator(each).first.wait_for(state="attached")
    return page.evaluate(
        """([text, ground, what]) => {
          const canvas = document.createElement('canvas').getContext('2d');
          const luminance = (selector, what) => {
            canvas.fillStyle = getComputedStyle(document.querySelector(selector))[what];
            canvas.fillRect(0, 0, 1, 1);
            const linear = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3)
              .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
          };
          const still = document.createElement('style');
          still.textContent = '*, ::before, ::after { transition: none !important; }';
          document.head.append(still);
          const found = [0, 1].map(() => {
            document.body.classList.toggle('dark');
            const pair = [luminance(text, what), luminance(ground, 'backgroundColor')];
            return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
          });
          still.remove();
          return Math.min(...found);
        }""",
        [text, ground, what],
    )


def watched(page: Page) -> Callable[[], None]:
    """What waits until a page asks nothing any more: one that is left before tells an error."""
    asking: set[Request] = set()
    page.on("request", lambda each: asking.add(each) if "/queue/" in each.url else None)
    page.on("requestfinished", lambda each: asking.discard(each))
    page.on("requestfailed", lambda each: asking.discard(each))

    def rest() -> None:
        quiet = 0
        while quiet < 3:  # what follows an event is asked for once that has ended
            page.wait_for_timeout(100)
            quiet = 0 if asking else quiet + 1

    return rest
