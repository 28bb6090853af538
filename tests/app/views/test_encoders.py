from __future__ import annotations

from dataclasses import replace

import pytest

from app.views.encoders import button_words, cost_words, notice_html, offer_html, time_words
from core.service import Offer, Preparation

OFFER = Offer(
    title="MoCo v3 <b>",
    licence="CC BY-NC 4.0",
    host="example.org",
    megabytes=337,
    at_least=True,
    images=800,
    described=0,
    seconds=73.0,
)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "a few seconds"),
        (12, "about 10 s"),
        (73, "about 70 s"),
        (97, "about 2 minutes"),
        (400, "about 7 minutes"),
        (1_000, "about 15 minutes"),
        (7_300, "about 2 hours"),
    ],
)
def test_times_are_no_finer_than_they_are_known(seconds: float, words: str):
    assert time_words(seconds) == words


def test_cost_and_licence_are_told():
    html = offer_html(OFFER)
    assert cost_words(OFFER) == (
        "337 MB or more to fetch from example.org, about 70 s for 800 images here"
    )
    assert "CC BY-NC 4.0, not for commercial use" in html
    assert "<b>" not in html
    here = replace(OFFER, host="", megabytes=0)
    assert cost_words(here).startswith("nothing to fetch, ")


def test_a_server_that_does_not_fetch_says_so_and_names_no_cost():
    html = offer_html(replace(OFFER, refusal="Its owner can."))
    assert "Its owner can." in html
    assert "MB" not in html


def test_what_was_done_what_runs_and_what_failed():
    begun = replace(OFFER, described=64)
    assert "64 of 800 images are described already" in offer_html(begun)
    assert button_words(begun) == "Go on"
    failed = replace(OFFER, failure="HTTP 403")
    assert "It did not work: HTTP 403" in offer_html(failed)
    assert button_words(failed) == "Try again"
    running = replace(failed, told=(3, 9, "reading"))
    assert "at this moment: reading (33%)" in offer_html(running)
    assert "HTTP 403" not in offer_html(running)
    assert button_words(running) == "Wait for it"
    assert button_words(OFFER) == "Prepare it"


def test_the_notice_names_only_what_is_not_ready():
    ready = Preparation("a", "A", ready=True)
    assert notice_html([ready], first="Lite") == ""
    preparations = [
        ready,
        Preparation("b", "B", ready=False, failure="HTTP 403"),
        Preparation("c", "C", ready=False, told=(3, 9, "reading")),
        Preparation("d", "D", ready=False),
    ]
    html = notice_html(preparations, first="Lite")
    for words in ("B could not be prepared: HTTP 403", "C is being prepared: reading (33%)"):
        assert words in html
    assert "D waits" in html
    assert "Meanwhile Lite answers" in html
    assert "A " not in html
