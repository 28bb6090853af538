"""What the first visitor would wait for is done when the server starts: weights, gallery, null."""

from __future__ import annotations

import logging
import threading

from huggingface_hub.utils import build_hf_headers
from PIL import Image

from app.page.state import first_encoder
from core.service import Choice, Session
from core.values import WellspringError

_log = logging.getLogger(__name__)


class Warming(threading.Thread):
    """The work that opens what the page opens with."""

    why: str = "the encoder and the gallery are being opened"
    """Why the server is not ready; the empty text once it is."""


def warm_up(session: Session, *, gallery: str, encoder: str | None) -> Warming:
    """Open what the page opens with, beside the start of the server; failures wait for a visitor.

    Where a GPU is lent nothing is encoded: it is lent to visitors alone.

    Args:
        session: the server's.
        gallery: the gallery that the page opens with.
        encoder: the encoder chosen at first; the program's default where none is given.
    """

    def work() -> None:
        try:
            names = session.gallery(gallery).encoder_names
            choice = Choice(first_encoder(names, encoder), gallery=gallery)
            workspace = session.workspace(choice)
            if not session.on_zerogpu:
                session.attribute(Image.new("RGB", (256, 256), "gray"), choice, top=1)
            thread.why = ""
            build_hf_headers(token=False)  # once, this asks the Hub for a list of agents
            _log.info("ready with %s", workspace.encoder.name)
        except WellspringError as error:
            thread.why = "the encoder or the gallery cannot be opened; the log says more"
            _log.warning("nothing was opened ahead: %s", error)

    thread = Warming(target=work, name="warm-up", daemon=True)
    thread.start()
    return thread
