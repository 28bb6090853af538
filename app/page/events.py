"""What the events of all tabs share: their options, and the one image that all tabs ask about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.events import Dependency

from app.page.errors import user_error, user_errors
from app.page.pictures import example_picture, example_pictures
from app.page.state import WELCOME, Page, PageQuery
from app.page.visitor import visitor_of

_T = TypeVar("_T")

Given = dict[Component, Any]
"""Values of components, by component."""

PRIVATE: dict[str, Any] = {"api_visibility": "private"}
"""Options of an event that is of the page only."""

QUIET: dict[str, Any] = {**PRIVATE, "show_progress": "hidden", "show_progress_on": []}
"""The same, for work that is done at once.

Its progress is shown on nothing: hidden alone, Gradio would keep it for every output, and bring all
that it ever kept up to date with each event of the page, until a click took seconds.
"""

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


def chosen_of(things: Sequence[_T] | None, event: gr.SelectData) -> _T:
    """Which of some things was selected.

    Raises:
        gr.Error: when there are not so many.
    """
    place = chosen(event)
    if things is None or not 0 <= place < len(things):
        raise user_error("what was selected is not there any more; reload the page")
    return things[place]


def sent(event: gr.EventData) -> Mapping[str, Any]:
    """What a script of the page says with an event, not to be trusted; nothing of another form."""
    return event._data if isinstance(event._data, Mapping) else {}


def row_of(event: gr.EventData) -> int:
    """The row that a script of the page says was chosen; -1 where it says no such."""
    row = sent(event).get("row")
    return row if type(row) is int and row >= 0 else -1


def in_row(rows: Sequence[_T] | None, event: gr.EventData) -> _T | None:
    """What stands in the row that was chosen; nothing where there is no such row."""
    row = row_of(event)
    return None if rows is None or not 0 <= row < len(rows) else rows[row]


def bring_into_view(after: Any, elem_id: str, *, wide: bool = False) -> None:
    """Scroll to a component after an event, as far as it is out of sight.

    What listens to one event runs in the order in which it was connected, and the page waits for
    each: this comes before work that takes long.

    Args:
        after: the event.
        elem_id: identity of the component.
        wide: whether on a page of two columns too.
    """
    call = f"window.wellspring.show('{elem_id}', {str(wide).lower()})"
    after(None, None, None, js=f"() => {call}", **QUIET)


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


def renew_examples(page: Page, renewed: Dependency, examples: gr.Gallery) -> None:
    """Show the examples of another gallery, or of one whose images have changed.

    Args:
        page: the page.
        renewed: the event after which the tab has the encoders of another gallery.
        examples: where they are shown.
    """

    def examples_of(name: str, request: gr.Request) -> gr.Gallery:
        with user_errors():
            shown = example_pictures(page.session, name, visitor=visitor_of(request))
        return gr.Gallery(shown, selected_index=None)

    for other in (renewed.success, page.changed.change):
        other(examples_of, page.gallery, examples, **QUIET)


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
    here = _Here(page, name, image, encoder, second, gr.State(0), gr.State(None))
    image.change(here.tell, {page.asked, *here.taken}, [page.asked, *here.arrives], **QUIET)
    if encoder is not None:
        encoder.input(here.told, {image, encoder}, page.asked, **QUIET)
    for told in (image.upload, image.clear):
        told(lambda: 0, None, page.example, **QUIET)
    gr.on(
        [page.tab.change, page.asked.change],
        here.take,
        {page.tab, page.asked, page.gallery, *here.taken},
        [*here.taken, page.asked, page.example],
        **LAST,
    )
    return here.count


@dataclass(frozen=True)
class _Here:
    """A tab that tells the others of its image, and takes theirs."""

    page: Page
    name: str
    image: gr.Image
    encoder: gr.Dropdown | None
    second: gr.Dropdown | None
    count: gr.State
    """Counts the images that were taken over."""
    came: gr.State
    """The image that was taken over and is on its way to the page."""

    @property
    def arrives(self) -> list[Any]:
        """What is set where an image is taken over."""
        return [self.image, self.count, self.came]

    @property
    def taken(self) -> list[Any]:
        """The same, and the encoders."""
        return [*self.arrives, *filter(None, (self.encoder, self.second))]

    def take(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """The image that another tab asks about, where this one is open."""
        asked: PageQuery | None = given[self.page.asked]
        if asked is None or asked.by == self.name or asked.image == given[self.image]:
            return {self.came: gr.skip()}
        if given[self.page.tab] != self.name:
            return {self.came: gr.skip()}
        if asked.by == WELCOME and given[self.image]:  # chosen while the example was on its way
            return {self.page.asked: self.told(given), self.page.example: 0}
        with user_errors():
            name, visitor = given[self.page.gallery], visitor_of(request)
            names = self.page.session.gallery(name, visitor=visitor).encoder_names
        return {**self._arrival(given, asked, asked.image), **self._encoders(given, asked, names)}

    def told(self, given: Given) -> PageQuery:
        """What is asked about in this tab."""
        return PageQuery(given[self.image], given[self.encoder] if self.encoder else "", self.name)

    def tell(self, given: Given) -> dict[Any, Any]:
        """Tell of the visitor's image; one taken over that arrives after it makes way for it."""
        file, asked = given[self.image], given[self.page.asked]
        if not file or file != given[self.came]:
            return {self.page.asked: self.told(given)}
        if asked is not None and asked.by == self.name and asked.image != file:
            return self._arrival(given, asked, None)
        return {self.came: None}

    def _arrival(self, given: Given, asked: PageQuery, came: str | None) -> dict[Any, Any]:
        return {self.image: asked.image, self.count: given[self.count] + 1, self.came: came}

    def _encoders(self, given: Given, asked: PageQuery, names: Sequence[str]) -> dict[Any, Any]:
        """The encoder that it is asked with, where the gallery has it."""
        if self.encoder is None:
            return {}
        old = given[self.encoder]
        coder = asked.encoder if asked.encoder in names else old
        if self.second is None:
            return {self.encoder: coder}
        other = old if given[self.second] == coder else given[self.second]
        return {self.encoder: coder, self.second: other}
