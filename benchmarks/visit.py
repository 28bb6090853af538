"""A first visit, timed: server start, first paint, first answer; then eight visitors at once.

python -m benchmarks.visit
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from gradio_client import Client, handle_file
from playwright.sync_api import sync_playwright

from core.console import say
from core.examples import read_examples
from core.session import EMBEDDED

_VISITORS = 8
_WAIT = 120


def main() -> None:
    """Start the app as a user would, visit it, and print what a visitor waits for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=7877)
    port = parser.parse_args().port
    url = f"http://127.0.0.1:{port}/"
    with _served(url, port) as process:
        _browse(url)
        say(f"resident memory: {_resident(process.pid) / 1e6:,.0f} MB after the first visitor")
        _crowd(url)
        say(f"resident memory: {_resident(process.pid) / 1e6:,.0f} MB after {_VISITORS} more")


@contextmanager
def _served(url: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
    began = time.monotonic()
    command = [sys.executable, "app.py", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while not _answers(url):
                if process.poll() is not None or time.monotonic() - began > _WAIT:
                    raise SystemExit("the app did not start")
                time.sleep(0.1)
            say(f"server: {time.monotonic() - began:.1f} s from the command to a served page")
            yield process
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _browse(url: str) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(1e3 * _WAIT)
        for visit in ("first", "second"):
            began = time.monotonic()
            page.goto(url)
            page.wait_for_selector("#ws-examples img")
            painted = time.monotonic()
            page.locator("#ws-examples button").first.click()
            page.wait_for_selector(".ws-answer h2")
            answered = time.monotonic()
            say(f"{visit} visit: page {painted - began:.1f} s, answer {answered - painted:.1f} s")
        browser.close()


def _crowd(url: str) -> None:
    """Each visitor asks for another example, all at once and then alone: the answers must agree."""
    files = [example.file for example in read_examples(EMBEDDED)[:_VISITORS]]
    clients = [Client(url, verbose=False) for _ in files]

    def ask(client: Client, file: Path) -> tuple[str, float]:
        began = time.monotonic()
        found = client.predict(handle_file(file), api_name="/attribute")
        return found["answer"], time.monotonic() - began

    with ThreadPoolExecutor(_VISITORS) as pool:
        together = list(pool.map(ask, clients, files))
    alone = [ask(client, file) for client, file in zip(clients, files, strict=True)]
    same = sum(one[0] == two[0] for one, two in zip(together, alone, strict=True))
    say(
        f"{_VISITORS} visitors at once: slowest {max(t for _, t in together):.1f} s, alone "
        f"{max(t for _, t in alone):.1f} s; {same} of {_VISITORS} answers as when alone, "
        f"{len({answer for answer, _ in together})} different"
    )


def _resident(pid: int) -> int:
    """Resident memory of a process, bytes (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


if __name__ == "__main__":
    main()
