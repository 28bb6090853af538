"""The public endpoints that are not of one tab; their components are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import gradio as gr

from app.common import HEADS, Page, encoder_choices, require, spoken, taken_as, unopened
from core.config import NullConfig
from core.report.report import answer_object
from core.service.session import Choice, Session, encoder_infos

_TOP = 24


def publish(page: Page) -> None:
    """Add ``/attribute`` and ``/encoders`` to the current Blocks."""
    service = Service(page.session, page.start)
    with gr.Group(visible=False):
        image = taken_as(gr.Image(type="filepath", label="image"), unopened)
        encoder = gr.Dropdown(encoder_choices(page.encoders), value=page.encoder, label="encoder")
        head = gr.Dropdown(HEADS, value="default", label="head")
        top = gr.Number(_TOP, precision=0, minimum=1, maximum=200, label="top")
        prior = gr.Number(NullConfig().prior, label="prior")
        by = gr.Textbox("", label="by")
        answer, encoders = gr.JSON(label="answer"), gr.JSON(label="encoders")
        gr.Button().click(
            service.attribute,
            [image, encoder, head, top, prior, by],
            answer,
            api_name="attribute",
            concurrency_id="encoder",
        )
        gr.Button().click(service.encoders, None, encoders, api_name="encoders")


class Service:
    """What the endpoints do, on the gallery that the server was started with."""

    def __init__(self, session: Session, gallery: str) -> None:
        self.session, self.gallery = session, gallery

    def attribute(
        self,
        image: str,
        encoder: str,
        head: str,
        top: int,
        prior: float = NullConfig().prior,
        by: str = "",
    ) -> dict[str, object]:
        """Candidate sources of an image among the images of the gallery.

        Args:
            image: the image file; JPEG, PNG, WebP, GIF, BMP or TIFF.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            top: number of matches, 1 to 200.
            prior: probability of a source before the image is seen, between 0 and 1.
            by: creator, licence, source or any column of the gallery's metadata to sum the shares
                of influence by; none where it is empty.

        Returns:
            The query's file name, the answer in one sentence, matches (best first: id, file,
            score, cosine, group), groups (p_value, confidence, influence), none (the share
            ascribed to no image of the gallery), p_value, named (whether the first group is well
            ahead of the others), prior, shares (where ``by`` is given: influence by its values),
            and the identities of what was used.
            The object is that of ``attribute --json``, but for ``file``, which is ``path`` there.
        """
        require(image, top=top)
        if not 0 < prior < 1:
            raise gr.Error(f"prior must lie between 0 and 1, got {prior}", print_exception=False)
        choice = Choice(encoder, head, self.gallery)
        with spoken():
            answer = self.session.attribute(image, choice, top=top, prior=prior)
            shares = self.session.shares(answer, choice, columns=[by]) if by else None
        return _for_clients(answer_object(Path(image).name, answer, shares=shares))

    def encoders(self) -> list[dict[str, object]]:
        """All encoders, with their licences.

        Returns:
            A list of objects: name, title, method (how it was trained), kind (bundled, hub,
            upstream or baseline), licence (of the weights), needs_network (whether the first use
            fetches them) and ready (whether the gallery has features of it, so that ``attribute``
            takes it).
        """
        ready = self.session.gallery(self.gallery).encoder_names
        return [{**vars(info), "ready": info.name in ready} for info in encoder_infos()]


def _for_clients(found: dict[str, object]) -> dict[str, object]:
    """An answer without keys called ``path``: Gradio's clients take those for files to fetch."""
    matches = cast("list[dict[str, object]]", found["matches"])
    renamed = [{"file" if k == "path" else k: v for k, v in match.items()} for match in matches]
    return {**found, "matches": renamed}
