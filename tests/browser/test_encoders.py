"""From the choice of a real encoder to two maps and a comparison, through all that can go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app.ui import build, launch_options
from core.encoders.registry import NETWORKS
from core.service import Session
from tests import checkpoints
from tests.app import small
from tests.checkpoints import DINO, MOCO, Authors

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

Visit = Callable[..., Page]
_WAIT = 120_000  # milliseconds; a busy machine is slow, not broken


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.make(tmp_path_factory.mktemp("encoders"))


@pytest.fixture
def authors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authors]:
    files = {DINO: checkpoints.dino(), MOCO: checkpoints.moco()}
    with checkpoints.published(monkeypatch, tmp_path / "cache", files) as found:
        yield found


@pytest.fixture
def url(browser: Browser, authors: Authors, gallery: Path) -> Iterator[str]:
    blocks = build(Session(), gallery=str(gallery), encoder="random")
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield address
    blocks.close()


def choose(page: Page, label: str, name: str) -> Locator:
    """Choose an encoder in the open tab; the offer that lies there, if one is shown."""
    tab = page.locator("[role=tabpanel]:visible").first
    tab.get_by_label(label, exact=True).click()
    page.get_by_role("option", name=NETWORKS[name].title.partition(" (")[0]).click()
    return tab.locator(".ws-offer:visible")


def test_from_the_choice_to_two_maps_and_a_comparison(visit: Visit, authors: Authors):
    page = visit(theme="dark")
    page.get_by_role("button", name="Settings").click()
    prepare_through_failures(page, authors)
    page.locator("#ws-examples button").first.click()
    expect(page.locator("#ws-candidates [role=option] img").first).to_be_visible(timeout=_WAIT)
    expect(page.locator("#ws-levels")).to_contain_text("Subject")
    two_maps(page)
    page.get_by_role("tab", name="Compare").click()
    expect(choose(page, "Encoder on the left", DINO)).to_have_count(0)
    expect(choose(page, "Encoder on the right", MOCO)).to_have_count(0)
    expect(page.locator("#ws-left button img").first).to_be_visible(timeout=_WAIT)
    expect(page.locator("#ws-right button img").first).to_be_visible()
    page.get_by_role("tab", name="Disentanglement").click()
    expect(choose(page, "Encoder", MOCO)).to_have_count(0)
    expect(page.locator("#ws-overview")).not_to_contain_text("then measure", timeout=_WAIT)
    page.get_by_role("tab", name="Gallery").click()
    page.get_by_role("button", name="Check it").click()
    expect(choose(page, "Encoder that is looked at", MOCO)).to_have_count(0)
    page.locator("#ws-gallery-find").click()
    expect(page.locator("#ws-gallery-twins-words")).to_contain_text("near", timeout=_WAIT)


def prepare_through_failures(page: Page, authors: Authors) -> None:
    """Choose DINO: refused, cut, stopped, and fetched at last from where it was."""
    offer = choose(page, "Encoder", DINO)
    expect(offer).to_contain_text("This gallery is not described by DINO ViT-S/16")
    expect(offer).to_contain_text("87 MB to fetch from 127.0.0.1, a few seconds for 12 images")
    expect(offer).to_contain_text("Apache-2.0")
    assert authors.dino.asked == []

    authors.dino.status = 403
    offer.get_by_role("button", name="Prepare it").click()
    failure = offer.locator(".ws-offer-failure")
    expect(failure).to_contain_text("HTTP 403 Forbidden", timeout=_WAIT)
    expect(failure).to_contain_text("Without them these encoders work")
    authors.dino.status, authors.dino.cut = 200, 3_000_000
    offer.get_by_role("button", name="Try again").click()
    expect(offer.locator(".ws-offer-failure")).to_contain_text("peer closed connection")

    authors.dino.cut, authors.dino.pause = None, 0.5
    offer.get_by_role("button", name="Try again").click()
    expect(offer).to_contain_text("fetching its weights")
    offer.get_by_role("button", name="Stop").click()
    expect(page.get_by_test_id("toast-body").last).to_contain_text("prepare it again to go on")
    authors.dino.pause = 0.0
    offer.locator(".ws-prepare").click()
    expect(offer).to_have_count(0, timeout=_WAIT)
    assert all(asked for asked in authors.dino.asked[2:])  # each went on where the one before was


def two_maps(page: Page) -> None:
    """DINO, which is ready in every tab by now, and MoCo v3 beside it, which is not."""
    page.get_by_role("tab", name="Map").click()
    page.wait_for_selector(".ws-map.drawn", timeout=_WAIT)
    expect(choose(page, "Encoder", DINO)).to_have_count(0)
    expect(page.locator(".ws-map-panel")).to_have_count(1)
    offer = choose(page, "Beside it", MOCO)
    expect(offer).to_contain_text("337 MB or more to fetch")
    expect(offer).to_contain_text("CC BY-NC 4.0, not for commercial use")
    page.set_viewport_size({"width": 390, "height": 900})
    expect(offer.get_by_role("button", name="Prepare it")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.set_viewport_size({"width": 1440, "height": 900})
    offer.get_by_role("button", name="Prepare it").click()
    expect(page.locator(".ws-map-panel")).to_have_count(2, timeout=_WAIT)
    expect(page.locator("#ws-map")).to_contain_text("DINO ViT-S/16")
    expect(page.locator("#ws-map")).to_contain_text("MoCo v3")
