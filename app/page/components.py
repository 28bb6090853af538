"""Components that several tabs have."""

from __future__ import annotations

import gradio as gr

from app.page.events import QUIET
from app.page.files import taken_as, unopened, uploads
from app.page.pictures import Pictures, example_pictures
from app.page.state import Page
from app.page.theme import SCRIPTS


def thumbnails(
    label: str, *, columns: int, elem_id: str, value: Pictures | None = None
) -> gr.Gallery:
    """A gallery of thumbnails that are chosen by a click or a key."""
    return gr.Gallery(
        value,
        label=label,
        columns=columns,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="ws-thumbnails",
    )


def image_given(
    label: str, *, elem_id: str, placeholder: str, height: int, show_label: bool = False
) -> gr.Image:
    """An image of the visitor's own: dropped, chosen or pasted."""
    image = gr.Image(
        type="filepath",
        sources=["upload", "clipboard"],
        label=label,
        show_label=show_label,
        placeholder=placeholder,
        height=height,
        buttons=[],
        alt_text="The image that was given",
        elem_id=elem_id,
    )
    return taken_as(image, unopened)


def query_given(page: Page, *, image_id: str, examples_id: str) -> tuple[gr.Image, gr.Gallery]:
    """The image to be asked about, and the examples to start from."""
    return query_image(image_id), query_examples(page, examples_id)


def query_image(elem_id: str) -> gr.Image:
    """The image to be asked about."""
    words = "Drop an image here\nor click to choose one"
    return image_given("Image", elem_id=elem_id, placeholder=words, height=300)


def query_examples(page: Page, elem_id: str) -> gr.Gallery:
    """Examples to start from."""
    return thumbnails(
        "Or start from one of these",
        columns=6,
        elem_id=elem_id,
        value=example_pictures(page.session, page.start),
    )


def files_given(label: str, *, elem_id: str, height: int, show_label: bool = True) -> gr.File:
    """Many images of the visitor's own."""
    files = gr.File(
        file_count="multiple", label=label, show_label=show_label, height=height, elem_id=elem_id
    )
    return taken_as(files, uploads)


def scripted(
    script: str, *, elem_id: str, value: str | None = None, min_height: int | None = None
) -> gr.HTML:
    """What the page draws, with a script that answers clicks and keys there.

    Args:
        script: the script's file.
        elem_id: identity of the component.
        value: what is shown at first.
        min_height: its least height, pixels.
    """
    return gr.HTML(
        value,
        js_on_load=(SCRIPTS / script).read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
        min_height=min_height,
    )


def file_button(label: str, *, elem_id: str, visible: bool = True) -> gr.DownloadButton:
    """A small button that downloads a file."""
    return gr.DownloadButton(label, size="sm", min_width=0, visible=visible, elem_id=elem_id)


def stop_button(page: Page, tab: str, *, elem_id: str, on_result: bool = False) -> gr.Button:
    """A button that stops the jobs of a tab; the style sheet shows it while one runs.

    Args:
        page: the page.
        tab: name of the tab.
        elem_id: identity of the button.
        on_result: whether it lies on the result, and not beside the button that starts it.
    """

    def stop(request: gr.Request) -> None:
        page.jobs.stop(tab, request)

    if on_result:
        found = gr.Button("Stop", size="sm", min_width=0, elem_id=elem_id, elem_classes="ws-stop")
    else:
        found = gr.Button("Stop", min_width=80, elem_id=elem_id, elem_classes="ws-stop-beside")
    found.click(stop, None, None, queue=False, **QUIET)
    return found


def run_row(page: Page, tab: str, label: str, *, elem_id: str, stop_id: str) -> gr.Button:
    """The button that starts the work of a tab, with the one that stops it beside it.

    Beside the result both stay in view, however long what stands above them is.

    Args:
        page: the page.
        tab: name of the tab.
        label: what the button says.
        elem_id: identity of the button.
        stop_id: identity of the stop button.
    """
    with gr.Row(elem_classes="ws-run-row"):
        run = gr.Button(label, variant="primary", elem_id=elem_id, scale=3, min_width=160)
        stop_button(page, tab, elem_id=stop_id)
    return run
