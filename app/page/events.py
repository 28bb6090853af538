"""What the events of all tabs share: their options, and the one image that all tabs ask about."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.components import Component

from app.page.errors import user_errors
from app.page.pictures import example_picture
from app.page.state import Asked, Page
from app.page.visitor import visitor_of

Given = dict[Component, Any]
"""Values of components, by component."""

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Options of an event that is of the page only."""

QUIET: dict[str, Any] = {**PRIVATE, "show_progress": "hidden"}
"""The same, for work that is done at once."""

LAST: dict[str, Any] = {**QUIET, "trigger_mode": "always_last"}
"""The same, for work that follows what components hold: once more after whatever came meanwhile."""

EACH: dict[str, Any] = {**QUIET, "trigger_mode": "multiple", "concurrency_limit": 1}
"""The same, for work that follows what an event says: each event is answered, in their order.

While one runs, Gradio drops others that come (``once``), or runs the first one's data again for
them (``always_last``): of two quick choices the page would show the second, and the server hold the
first.
"""


def chosen(event: gr.SelectData) -> int:
    """Place of what was selected."""
    return int(event.index)


def choose_example(page: Page, examples: gr.Gallery, image: gr.Image) -> Any:
    """Ask about the example that is selected, as often as one is; of quick choices about the last.

    Which it was is kept on the server, where selections come in their order: what they give reaches
    the page in another one now and then.

    Returns:
        The event after which the example is the query.
    """

    def select(event: gr.SelectData) -> tuple[int, gr.Gallery]:
        return chosen(event) + 1, gr.Gallery(selected_index=None)

    def put(name: str, number: int, request: gr.Request) -> tuple[Any, Any]:
        with user_errors():
            file = example_picture(page.session, name, number, visitor=visitor_of(request))
        return (number, file) if file else (gr.skip(), gr.skip())

    place = gr.State(0)
    selected = examples.select(select, None, [place, examples], **EACH)
    return selected.success(put, [page.gallery, place], [page.example, image], **LAST)


def follow_query(
    page: Page,
    name: str,
    image: gr.Image,
    encoder: gr.Dropdown | None,
    *,
    second: gr.Dropdown | None = None,
) -> gr.State:
    """Ask about one image in every tab: tell the others of this tab's, take theirs when it is open.

    Args:
        page: the page.
        name: the tab.
        image: its query.
        encoder: what it is asked with; ``None`` where the tab keeps encoders of its own.
        second: a second encoder; it changes places where it would be the same.

    Returns:
        A state that changes when an image was taken over: connect the tab's work to its ``change``.
    """

    def take(given: dict[Any, Any], request: gr.Request) -> list[Any]:
        asked: Asked | None = given[page.asked]
        known = asked is not None and (asked.by == name or asked.image == given[image])
        if asked is None or known or given[page.tab] != name:
            return [gr.skip() for _ in taken]
        with user_errors():
            gallery = page.session.gallery(given[page.gallery], visitor=visitor_of(request))
        if encoder is None:
            return [asked.image, given[count] + 1]
        old = given[encoder]
        coder = asked.encoder if asked.encoder in gallery.encoder_names else old
        others = [old if given[other] == coder else given[other] for other in taken[3:]]
        return [asked.image, given[count] + 1, coder, *others]

    count = gr.State(0)
    taken: list[Any] = [image, count]
    if encoder is None:
        image.change(lambda file: Asked(file, "", name), image, page.asked, **QUIET)
    else:
        taken += [encoder, *([] if second is None else [second])]
        for told in (image.change, encoder.input):
            told(
                lambda file, coder: Asked(file, coder, name), [image, encoder], page.asked, **QUIET
            )
    for told in (image.upload, image.clear):
        told(lambda: 0, None, page.example, **QUIET)
    gr.on(
        [page.tab.change, page.asked.change],
        take,
        {page.tab, page.asked, page.gallery, *taken},
        taken,
        trigger_mode="always_last",
        **QUIET,
    )
    return count
