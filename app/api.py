"""The public endpoints, on the gallery that the server was started with."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error
from app.page.files import taken_as, unopened
from app.page.image_forms import image_schema
from app.page.jobs import PROGRESS
from app.page.lines import ANSWER, MEASURE
from app.page.state import HEADS, Page, offered_choices
from app.views.objects import (
    comparison_object,
    for_clients,
    measures_object,
    place_object,
    trial_for_clients,
)
from core.config import AnswerConfig
from core.service import DEPTHS, WAYS, Choice, encoder_infos, selftest
from core.values import Progress

_TOP, _NEAREST, _MOST = 24, 8, 200  # matches by default, nearest by default, matches at most


def publish(page: Page) -> None:
    """Add every endpoint to the current Blocks; their components are never shown."""
    api = Endpoints(page)
    heavy: dict[str, Any] = {"concurrency_id": ANSWER}
    with gr.Group(visible=False):
        image = taken_as(gr.Image(type="filepath", label="image"), unopened, schema=image_schema)
        first, second = _embedding(page), _embedding(page, prefix="other_")
        prior, by = gr.Number(AnswerConfig().prior, label="prior"), gr.Textbox("", label="by")
        where = gr.Textbox(None, label="where")
        top, nearest = (
            gr.Number(usual, precision=0, minimum=1, maximum=_MOST, label="top")
            for usual in (_TOP, _NEAREST)
        )
        asked = [image, *first, top, prior, by, where]
        gr.Button().click(
            api.attribute, asked, gr.JSON(label="answer"), api_name="attribute", **heavy
        )
        both = [image, *first, *second, where]
        gr.Button().click(
            api.compare, both, gr.JSON(label="comparison"), api_name="compare", **heavy
        )
        gr.Button().click(
            api.factors,
            first,
            gr.JSON(label="measures"),
            api_name="factors",
            concurrency_id=MEASURE,
        )
        near = [image, *first, nearest]
        gr.Button().click(api.project, near, gr.JSON(label="place"), api_name="project", **heavy)
        way = gr.Dropdown(list(WAYS), value=next(iter(WAYS)), label="way")
        far = gr.Number(0.5, label="far")
        seed = gr.Number(0, precision=0, minimum=0, maximum=2**32 - 1, label="seed")
        tried = [image, *first, way, far, seed]
        gr.Button().click(api.selftest, tried, gr.JSON(label="trial"), api_name="selftest", **heavy)
        gr.Button().click(api.encoders, None, gr.JSON(label="encoders"), api_name="encoders")


def _embedding(page: Page, *, prefix: str = "") -> list[gr.Dropdown]:
    """Encoder and head."""
    names = offered_choices(page.encoders)
    return [
        gr.Dropdown(names, value=page.encoder, label=f"{prefix}encoder"),
        gr.Dropdown(HEADS, value="default", label=f"{prefix}head"),
    ]


class Endpoints:
    """What the endpoints do.

    Each is long work of its caller: it ends with the caller's page, or when a hosted server's
    seconds are spent.
    """

    def __init__(self, page: Page) -> None:
        self.jobs, self.session, self.gallery = page.jobs, page.session, page.start

    def _run(
        self, request: gr.Request | None, progress: gr.Progress
    ) -> AbstractContextManager[Progress]:
        """Progress for a call, and its errors in words."""
        return self.jobs.run("api", request, progress, again="ask again")

    def attribute(  # noqa: PLR0913, D417 - Gradio gives the last two
        self,
        image: str,
        encoder: str,
        head: str,
        top: int,
        prior: float = AnswerConfig().prior,
        by: str = "",
        where: str | None = None,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, object]:
        """Candidate sources of an image among the images of the gallery.

        Args:
            image: an uploaded file, an https address, a data URI, or a file's bytes in base64.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            top: number of matches, 1 to 200.
            prior: probability of a source before the image is seen, between 0 and 1.
            by: creator, licence, source or any column of the gallery's metadata to sum the shares
                of influence by; none where it is empty.
            where: which images of the gallery may be sources, such as "licence = CC0 and creator
                != Ann": columns compared by =, !=, contains, is filled or is not filled, joined by
                and; all where it is left out. An empty text is no filter, and refused.

        Returns:
            The query's file name, the answer in one sentence, matches (best first: id, file,
            score, cosine, group), groups (p_value, confidence, influence, and of a source
            score_parts, which sum to the score of its best image), roles (where one group stands
            out in structure and another in appearance: the ids of both, and their p-values), none
            (the share ascribed to no image of the gallery), p_value, named (whether the first
            group is well ahead of the others), prior, shares (where ``by`` is given: influence by
            its values), scope (where ``where`` is given: how many images passed, of how many, and
            whether one that did not is a likely source), and the identities of what was used. In a
            gallery with too few different images to tell a source from chance, the numbers of
            evidence are null.
            The object is that of ``attribute --json``, but for ``file``, which is ``path`` there.
        """
        _require(image, top=top)
        if not 0 < prior < 1:
            raise user_error(f"prior must lie between 0 and 1, got {prior}")
        choice = Choice(encoder, head, self.gallery, where=where)
        with self._run(request, progress) as report:
            answer = self.session.attribute(image, choice, top=top, prior=prior, progress=report)
            shares = self.session.shares(answer, choice, columns=[by]) if by else None
            parts = self.session.score_parts(image, answer, choice)
        return for_clients(Path(image).name, answer, shares=shares, score_parts=parts)

    def encoders(self) -> list[dict[str, object]]:
        """All encoders, with their licences.

        Returns:
            A list of objects: name, title, method (how it was trained), kind (bundled, hub,
            upstream or baseline), licence (of the weights), needs_network (whether the first use
            on a new machine fetches them), here (whether they are on this one) and ready (whether
            the gallery has features of it, so that ``attribute`` takes it).
        """
        ready = self.session.gallery(self.gallery).encoder_names
        return [{**vars(info), "ready": info.name in ready} for info in encoder_infos()]

    def compare(  # noqa: PLR0913, D417 - Gradio gives the last two
        self,
        image: str,
        encoder: str,
        head: str,
        other_encoder: str,
        other_head: str,
        where: str | None = None,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, object]:
        """Compare two ways to search a gallery for the sources of one image.

        Args:
            image: an uploaded file, an https address, a data URI, or a file's bytes in base64.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            other_encoder: the encoder of the second way.
            other_head: the head of the second way.
            where: which images may be sources, both ways, as of ``attribute``.

        Returns:
            first and second: each the answer in one sentence, its matches (best first: id, file,
            score, cosine, group), groups (p_value, confidence, influence), none, p_value, and the
            identities of what was used; overlaps (share of the first k that both have, by k),
            rank_biased_overlap, spearman (of the common images; null for fewer than three), and
            common, only_first and only_second, lists of ids.
        """
        _require(image)
        with self._run(request, progress) as report:
            first, second = (
                self.session.attribute(image, choice, top=DEPTHS[-1], progress=report)
                for choice in (
                    Choice(encoder, head, self.gallery, where=where),
                    Choice(other_encoder, other_head, self.gallery, where=where),
                )
            )
        return comparison_object(Path(image).name, first, second)

    def factors(  # noqa: D417 - Gradio gives the last two
        self,
        encoder: str,
        head: str,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, object]:
        """Disentanglement of a gallery's embeddings, before and after the head.

        Args:
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.

        Returns:
            images, examples and pairs that were looked at; measures (a list of name, title,
            before, after, before_interval and after_interval (95 %; null where there is none),
            change, meaning, and better: higher, lower, nearer (to ideal) or neither); and before
            and after, each with levels (the measures of each level alone, by name),
            dimensions (numbers of the leading ones), real, synthetic and cross
            (their correlations; null where there are none), factors, factor_dimensions and
            importance (a row for each factor, a column for each of these dimensions; null where
            fewer than two factors are known).
        """
        with self._run(request, progress) as report:
            found = self.session.disentanglement(
                Choice(encoder, head, self.gallery), progress=report
            )
        return measures_object(found)

    def project(  # noqa: D417 - Gradio gives the last two
        self,
        image: str,
        encoder: str,
        head: str,
        top: int,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, object]:
        """Where an image lies on the gallery's 2-D map, and the gallery images nearest to it.

        Args:
            image: an uploaded file, an https address, a data URI, or a file's bytes in base64.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            top: number of nearest gallery images, 1 to 200.

        Returns:
            The coordinates x and y, as ``project`` of the command line prints them, and nearest
            (best first: id, file, cosine).
        """
        _require(image, top=top)
        with self._run(request, progress) as report:
            found = self.session.project(
                image, Choice(encoder, head, self.gallery), top=top, progress=report
            )
        return place_object(found)

    def selftest(  # noqa: PLR0913, D417 - Gradio gives the last two
        self,
        image: str,
        encoder: str,
        head: str,
        way: str,
        far: float = 0.5,
        seed: int = 0,
        request: gr.Request | None = None,
        progress: gr.Progress = PROGRESS,
    ) -> dict[str, object]:
        """Make a variation of an image and trace it, with the image in the gallery and without.

        Args:
            image: an uploaded file, an https address, a data URI, or a file's bytes in base64.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            way: patches, style, inversion, blend, paste or composite.
            far: how far the variation goes from the image, from 0 to 1.
            seed: seed of the variation, from 0 to 4294967295.

        Returns:
            way, far, original (the id that the image has in the answers), partner (the id of the
            gallery image that took part, if one did), first (whether the image comes first), found
            (whether it is among the sources), false (whether another is where it is not there),
            taken_out (ids of what the gallery held of it, which is in neither answer), and present
            and absent: the answers with and without it, as of ``attribute``.
        """
        _require(image)
        if not 0 <= far <= 1:
            raise user_error(f"far must lie between 0 and 1, got {far}")
        choice, name = Choice(encoder, head, self.gallery), Path(image).name
        with self._run(request, progress) as report:
            test = selftest(self.session, image, choice, name=name, progress=report)
            trial = test.run(way, far=far, seed=seed, progress=report)
        return trial_for_clients(name, trial)


def _require(image: str | None, *, top: int = 1) -> None:
    """Refuse a call of an endpoint without an image, or for a number of matches out of range.

    Raises:
        gr.Error: in words for the caller.
    """
    if not image:
        raise user_error("no image was given; send an image file")
    if not 1 <= top <= _MOST:
        raise user_error(f"top must be in 1..{_MOST}, got {top}")
