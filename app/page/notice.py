"""What the page says when it opens of encoders that the server's owner named and are not ready."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import Context

from app.page.events import QUIET
from app.page.state import encoder_choices, first_encoder
from app.views.encoders import notice_html
from core.service import Session


def create(session: Session, gallery: str) -> None:
    """The notice inside the current Blocks; nothing where the settings name no encoder.

    Args:
        session: opens the gallery.
        gallery: the gallery that the server was started with.
    """
    if not session.server.encoders or Context.root_block is None:
        return

    def said() -> Any:
        found = session.gallery(gallery)
        first = encoder_choices([first_encoder(found.encoder_names)])[0][0]
        words = notice_html(session.preparations.status(found), first=first)
        return gr.HTML(words, visible=bool(words))

    shown = gr.HTML(visible=False, elem_id="ws-notice")
    Context.root_block.load(said, None, shown, **QUIET)
