"""What an encoder costs before it can be used, and what became of those named in the settings."""

from __future__ import annotations

from collections.abc import Sequence

from app.views.names import number_of
from app.views.templates import render
from core.service import Offer, Preparation

_NON_COMMERCIAL = "-NC"


def offer_html(offer: Offer) -> str:
    """An encoder that does not describe the gallery yet: licence, cost, and where it stands."""
    return render(
        "offer",
        title=offer.title,
        licence=licence_words(offer.licence),
        cost="" if offer.refusal else cost_words(offer),
        done=done_words(offer),
        running=running_words(offer),
        refusal=offer.refusal,
        failure="" if offer.told else offer.failure,
    )


def button_words(offer: Offer) -> str:
    """What the button says that prepares it."""
    if offer.told:
        return "Wait for it"
    return "Try again" if offer.failure else "Go on" if offer.described else "Prepare it"


def licence_words(licence: str) -> str:
    """A licence, with what is easily overlooked."""
    return f"{licence}, not for commercial use" if _NON_COMMERCIAL in licence else licence


def cost_words(offer: Offer) -> str:
    """What is fetched and how long the rest takes, as one part of a sentence."""
    fetched = "nothing to fetch"
    if offer.host:
        more = " or more" if offer.at_least else ""
        fetched = f"{offer.megabytes:,} MB{more} to fetch from {offer.host}"
    return f"{fetched}, {time_words(offer.seconds)} for {number_of(offer.images, 'image')} here"


def time_words(seconds: float) -> str:
    """A time that was estimated, no finer than it is known."""
    if seconds < 8:
        return "a few seconds"
    if seconds < 95:
        return f"about {max(round(seconds, -1), 10):.0f} s"
    minutes = seconds / 60
    if minutes < 10:
        return f"about {max(round(minutes), 2)} minutes"
    if minutes < 100:
        return f"about {5 * round(minutes / 5)} minutes"
    return f"about {round(minutes / 60)} hours"


def done_words(offer: Offer) -> str:
    """How much of it unfinished work holds."""
    if not offer.described or offer.told:
        return ""
    return f"{offer.described:,} of {number_of(offer.images, 'image')} are described already."


def running_words(offer: Offer) -> str:
    """How far somebody else's work on it is."""
    if offer.told is None:
        return ""
    return f"It is being prepared at this moment: {_far(offer.told)}."


def notice_html(preparations: Sequence[Preparation], *, first: str) -> str:
    """What the settings name and is not ready; empty where all is.

    Args:
        preparations: what became of the encoders named.
        first: title of the encoder that answers meanwhile.
    """
    lines = [_line(each) for each in preparations if not each.ready]
    return render("notice", lines=lines, first=first) if lines else ""


def _line(preparation: Preparation) -> str:
    if preparation.failure:
        return f"{preparation.title} could not be prepared: {preparation.failure}"
    if preparation.told is None:
        return f"{preparation.title} waits to be prepared."
    return f"{preparation.title} is being prepared: {_far(preparation.told)}."


def _far(told: tuple[int, int, str]) -> str:
    """What is done at the moment, and how far it is."""
    done, total, what = told
    return f"{what} ({done / total:.0%})" if total > 1 else what
