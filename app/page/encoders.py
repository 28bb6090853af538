"""The choice of an encoder, the same in every tab; one that is not ready yet is offered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import gradio as gr
from gradio.events import Dependency

from app.page.errors import user_errors
from app.page.events import PRIVATE, QUIET
from app.page.files import taken_as
from app.page.jobs import PROGRESS
from app.page.lines import PREPARE
from app.page.state import Opening, Page, compared, first_encoder, offered_choices
from app.page.visitor import visitor_of
from app.views.encoders import button_words, offer_html

Role = Literal["first", "left", "right", "beside", "apart"]
"""What is chosen: the encoder that the page's address names; either of two that are compared; one
beside it or, as the empty text, none; one that has nothing to do with these."""

_CONTROL = "random"
"""The encoder that has learned nothing: what it shows too is no merit of another."""
_AT_ONCE = 16  # visitors who wait for what one of them prepares


@dataclass(frozen=True)
class EncoderChoice:
    """The choice, and what follows from it."""

    dropdown: gr.Dropdown
    renewed: Dependency
    """The event after which it has the encoders of another gallery: connect what clears or repeats
    the tab's work to its ``success``."""
    ready: gr.State
    """Changes when an encoder was chosen that describes the gallery, or has come to describe it:
    connect the tab's work to its ``change``."""
    unready: gr.State
    """Changes when one was chosen that does not: what the tab shows is another's."""


def encoder_choice(
    page: Page,
    *,
    label: str = "Encoder",
    value: str | None = None,
    role: Role = "first",
    elem_id: str | None = None,
) -> EncoderChoice:
    """A choice among all encoders, those of the gallery that is looked at first.

    Args:
        page: the page.
        label: what it is called.
        value: the encoder chosen at first; the page's where it is not given.
        role: what it stands for.
        elem_id: identity of the dropdown.
    """
    none = role == "beside"
    usual = "" if none else value or page.encoder
    chosen = gr.Dropdown(
        offered_choices(page.encoders, none=none),
        value=usual,
        label=label,
        filterable=False,
        elem_id=elem_id,
    )
    chosen = taken_as(chosen, _of_any_gallery)
    if role == "first":
        page.linked.append(chosen)
    else:
        page.others.append((chosen, _opening(page, role)))
    number = len(page.linked) + len(page.others)
    control = gr.Button(
        "Random weights, as a control",
        size="sm",
        visible=none,
        elem_id=f"{elem_id}-control" if none else None,
        elem_classes="ws-control",
    )
    offered = _Offered.lay(number)
    handlers = _Handlers(page, chosen, offered, gr.State(0), gr.State(0), role)
    return EncoderChoice(chosen, handlers.connect(control), handlers.ready, handlers.unready)


def _opening(page: Page, role: Role) -> Opening:
    """What a choice that the address does not name offers when the page opens."""

    def opened(encoders: Sequence[str], wanted: str) -> gr.Dropdown:
        choices = offered_choices(encoders, none=role == "beside")
        if role in ("left", "right") and encoders:
            pair = compared(page, encoders, left=wanted)
            return gr.Dropdown(choices, value=pair[role == "right"])
        return gr.Dropdown(choices)

    return opened


def _of_any_gallery(name: object) -> str:
    """An encoder as it came: one of the gallery before may still be on its way, and is renewed."""
    return name if isinstance(name, str) else ""


@dataclass(frozen=True)
class _Offered:
    """What is shown below the choice of an encoder that is not ready."""

    column: gr.Column
    words: gr.HTML
    prepare: gr.Button
    stop: gr.Button

    @classmethod
    def lay(cls, number: int) -> _Offered:
        with gr.Column(
            visible=False, elem_classes="ws-offer", elem_id=f"ws-offer-{number}"
        ) as column:
            words = gr.HTML()
            prepare = gr.Button("Prepare it", variant="primary", elem_classes="ws-prepare")
            stop = gr.Button("Stop", elem_classes="ws-stop")
        return cls(column, words, prepare, stop)


@dataclass(frozen=True)
class _Handlers:
    """What happens when an encoder is chosen."""

    page: Page
    chosen: gr.Dropdown
    offered: _Offered
    ready: gr.State
    unready: gr.State
    role: Role

    @property
    def none(self) -> bool:
        """Whether none may be chosen."""
        return self.role == "beside"

    def connect(self, control: gr.Button) -> Dependency:
        page, offered = self.page, self.offered
        given = [page.gallery, self.chosen]
        shown = [offered.column, offered.words, offered.prepare]
        look: dict[str, Any] = {
            "fn": self.choose,
            "inputs": [*given, self.ready, self.unready],
            "outputs": [*shown, self.ready, self.unready],
            **QUIET,
        }
        self.chosen.input(trigger_mode="always_last", **look)
        if self.none:
            control.click(lambda: _CONTROL, None, self.chosen, **QUIET).success(**look)
        ran = offered.prepare.click(
            self.prepare,
            [*given, page.prepared],
            page.prepared,
            show_progress_on=offered.words,
            concurrency_id=PREPARE,
            concurrency_limit=_AT_ONCE,
            **PRIVATE,
        )
        ran.success(**look)  # by then another one may be chosen
        ran.failure(self.offer, given, shown, **QUIET)
        offered.stop.click(self.stop, None, None, queue=False, **QUIET)
        page.prepared.change(self.relabel, given, [self.chosen, *shown], **QUIET)
        last = gr.State(page.start)
        renewal = [self.chosen, last, *shown]
        return page.gallery.change(self.renew, [*given, last], renewal, **QUIET)

    def choose(
        self, name: str, encoder: str, count: int, others: int, request: gr.Request
    ) -> list[Any]:
        """After a choice: an offer and one more that is not ready, or one more that is."""
        gallery = self.page.gallery_of(name, request)
        with user_errors():
            ready = not encoder or self.page.session.preparations.ready(gallery, encoder)
        if ready:
            return [*self.hidden(), count + 1, gr.skip()]
        return [*self.offer(name, encoder, request), gr.skip(), others + 1]

    def offer(self, name: str, encoder: str, request: gr.Request) -> list[Any]:
        """What an encoder costs, and the button that prepares it where this server does so."""
        gallery = self.page.gallery_of(name, request)
        with user_errors():
            found = self.page.session.preparations.offer(gallery, encoder)
        button = gr.Button(button_words(found), visible=not found.refusal)
        return [gr.Column(visible=True), offer_html(found), button]

    def prepare(
        self,
        name: str,
        encoder: str,
        prepared: int,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> int:
        """Prepare the chosen encoder; one more that is."""
        again = "prepare it again to go on"
        with self.page.jobs.run(PREPARE, request, progress, again=again) as report:
            self.page.session.preparations.prepare(
                name, encoder, visitor=visitor_of(request), progress=report
            )
        return prepared + 1

    def stop(self, request: gr.Request) -> None:
        """Stop what this visitor prepares or waits for."""
        self.page.jobs.stop(PREPARE, request)

    @staticmethod
    def hidden() -> list[Any]:
        """No offer."""
        return [gr.Column(visible=False), "", gr.skip()]

    def relabel(self, name: str, encoder: str, request: gr.Request) -> list[Any]:
        """The same choice, with what has become ready."""
        found = self._names(name, request)
        offer = self.hidden() if encoder in found else [gr.skip()] * 3
        return [gr.Dropdown(offered_choices(found, none=self.none), value=encoder), *offer]

    def renew(self, name: str, encoder: str, last: str, request: gr.Request) -> list[Any]:
        """The choices in another gallery; as the page opens it is told of the one it has."""
        if name == last:
            return [gr.skip()] * 5
        found = self._names(name, request)
        kept = encoder if encoder in found else self._first(found)
        chosen = gr.Dropdown(offered_choices(found, none=self.none), value=kept)
        return [chosen, name, *self.hidden()]

    def _first(self, found: Sequence[str]) -> str:
        """The encoder that is chosen in another gallery that lacks the one that was."""
        if self.role in ("left", "right"):
            return compared(self.page, found)[self.role == "right"]
        return "" if self.role == "beside" else first_encoder(found)

    def _names(self, name: str, request: gr.Request) -> tuple[str, ...]:
        return self.page.gallery_of(name, request).encoder_names
