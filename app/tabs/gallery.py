"""The Gallery tab: open, build and change galleries; their numbers, duplicates and health."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import Context
from gradio.data_classes import FileData, ListFiles

from app.common import (
    HEADS,
    Page,
    encoder_choices,
    encoder_dropdown,
    taken_as,
    thumbnails,
    uploaded,
)
from app.stops import stop_button
from app.tabs.gallery_desk import DATASET, FOLDER, ZIP, Desk, Tab
from core.service.session import encoder_infos

_PRIVATE: dict[str, Any] = {"api_visibility": "private"}
_QUIET: dict[str, Any] = {**_PRIVATE, "show_progress": "hidden"}
_FIRST_ENCODERS = ["moco", "dino"]
_KINDS = [head for head in HEADS if head[1] != "default"]


def create(page: Page) -> None:
    """Lay out the tab inside the current Blocks and connect its events."""
    _connect(page, Desk(page, lay(page)))


def lay(page: Page) -> Tab:
    """The tab's components, in their places."""
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=4, min_width=300, elem_classes="ws-side"):
            side = _lay_side(page)
        with gr.Column(scale=7, min_width=320, elem_classes="ws-stage"):
            stage = _lay_stage(page)
    return Tab(**side, **stage)


def _lay_side(page: Page) -> dict[str, Any]:
    hosted = page.session.server.hosted
    opened = gr.Dropdown(
        [], value=None, label="Open a gallery", filterable=False, elem_id="ws-gallery-open"
    )
    gr.Markdown("### Build one of your own")
    kinds = [ZIP, DATASET] if hosted else [ZIP, FOLDER, DATASET]
    kind = gr.Radio(kinds, value=ZIP, show_label=False, container=False, elem_id="ws-gallery-kind")
    archive = gr.File(
        file_types=[".zip"], label="Zip of images", height=140, elem_id="ws-gallery-zip"
    )
    archive = taken_as(archive, _one)
    folder = gr.Textbox(
        label="Folder on this computer",
        info="A folder of images, or a gallery that was built before.",
        visible=False,
        elem_id="ws-gallery-folder",
    )
    dataset = gr.Textbox(
        label="Dataset on the Hugging Face Hub",
        info=_dataset_info(page),
        placeholder="user/name",
        visible=False,
        elem_id="ws-gallery-dataset",
    )
    names = [info.name for info in encoder_infos() if not info.needs_network]
    encoders = gr.CheckboxGroup(
        encoder_choices(names), value=_FIRST_ENCODERS, label="Encoders", elem_id="ws-gallery-coders"
    )
    with gr.Row():
        build = gr.Button(
            "Build", variant="primary", min_width=120, scale=2, elem_id="ws-gallery-build"
        )
        stop = stop_button("ws-gallery-stop", beside=True)
    return {
        "opened": opened,
        "kind": kind,
        "archive": archive,
        "folder": folder,
        "dataset": dataset,
        "encoders": encoders,
        "build": build,
        "stop": stop,
    }


def _dataset_info(page: Page) -> str:
    server = page.session.server
    most = f"Its first {server.max_images:,} images are taken." if server.hosted else ""
    return f"An image dataset, as user/name. {most}".strip()


def _lay_stage(page: Page) -> dict[str, Any]:
    status = gr.Markdown(elem_id="ws-gallery-status", elem_classes="ws-status")
    title = gr.Markdown(elem_id="ws-gallery-title")
    facts = gr.HTML(elem_id="ws-gallery-facts", min_height=180)
    locked = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-locked")
    with gr.Accordion("Images", open=False), gr.Column():
        images = _lay_images()
    with gr.Accordion("Near-duplicates", open=False):
        find = gr.Button("Find near-duplicates", elem_id="ws-gallery-find")
        twins_words = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-twins-words")
        twins = thumbnails("Near-duplicates", columns=8, elem_id="ws-gallery-twins")
        twins.visible = False
    with gr.Accordion("Head", open=False):
        with gr.Row():
            encoder, renewed = encoder_dropdown(page, linked=False)
            head = gr.Dropdown(_KINDS, value="whiten", label="Kind", filterable=False)
        fit = gr.Button("Fit to this gallery", elem_id="ws-gallery-fit")
        fitted = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-fitted")
    with gr.Accordion("Health", open=False):
        verify = gr.Button("Check every file", elem_id="ws-gallery-verify")
        health = gr.Markdown(elem_id="ws-gallery-health")
    return {
        "status": status,
        "title": title,
        "facts": facts,
        "locked": locked,
        **images,
        "find": find,
        "twins_words": twins_words,
        "twins": twins,
        "encoder": encoder,
        "renewed": renewed,
        "head": head,
        "fit": fit,
        "fitted": fitted,
        "verify": verify,
        "health": health,
    }


def _lay_images() -> dict[str, Any]:
    with gr.Row():
        search = gr.Textbox(label="Find by name", elem_id="ws-gallery-search")
        leaf = gr.Number(1, label="Page", precision=0, minimum=1, elem_id="ws-gallery-leaf")
    shelf_words = gr.Markdown(elem_classes="ws-note")
    shelf = thumbnails("Images of the gallery", columns=8, elem_id="ws-gallery-shelf")
    with gr.Column(elem_id="ws-gallery-changes") as changes:
        chosen = gr.Dropdown(
            [], multiselect=True, label="Chosen images", elem_id="ws-gallery-chosen"
        )
        remove = gr.Button("Remove the chosen images", variant="stop", elem_id="ws-gallery-remove")
        added = gr.File(
            file_count="multiple", label="Images to add", height=120, elem_id="ws-gallery-added"
        )
        added = taken_as(added, _several)
        with gr.Row():
            add = gr.Button("Add them", elem_id="ws-gallery-add")
            refresh = gr.Button("Look for new images in its folder", elem_id="ws-gallery-refresh")
    return {
        "search": search,
        "leaf": leaf,
        "shelf_words": shelf_words,
        "shelf": shelf,
        "changes": changes,
        "chosen": chosen,
        "remove": remove,
        "added": added,
        "add": add,
        "refresh": refresh,
    }


def _one(payload: ListFiles | FileData | None) -> str | None:
    found = _several(payload)
    return found[0] if found else None


def _several(payload: ListFiles | FileData | None) -> list[str]:
    """Paths of uploaded files, refused where they name any other file of the server."""
    files = [payload] if isinstance(payload, FileData) else payload or ()
    return [uploaded(file.path) for file in files]


def _connect(page: Page, desk: Desk) -> None:
    tab, name = desk.tab, page.gallery
    about = [tab.opened, tab.title, tab.facts, tab.locked, tab.changes, tab.added, tab.add]
    about += [tab.refresh, tab.shelf, tab.shelf_words, tab.chosen]
    results = [tab.twins, tab.twins_words, tab.fitted, tab.health]
    heavy: dict[str, Any] = {
        "concurrency_id": "encoder",
        "show_progress_on": tab.status,
        **_PRIVATE,
    }
    show: dict[str, Any] = {"fn": desk.show, "inputs": name, "outputs": about, **_QUIET}
    page.gallery.change(**show)
    page.gallery.change(desk.cleared, None, results, **_QUIET)
    if Context.root_block is not None:
        Context.root_block.load(**show)
    tab.opened.input(desk.open, tab.opened, [name, tab.status], **_QUIET)
    inputs = [tab.archive, tab.folder, tab.dataset]
    tab.kind.change(desk.kinds, tab.kind, inputs, **_QUIET)
    given = {tab.kind, *inputs, tab.encoders}
    tab.build.click(desk.build, given, [name, tab.status], **heavy)
    tab.stop.click(desk.stops.stop_asked, None, None, queue=False, **_QUIET)
    shelf = [tab.shelf, tab.shelf_words]
    tab.search.input(lambda: 1, None, tab.leaf, **_QUIET)
    gr.on(
        [tab.search.input, tab.leaf.input],
        desk.browse,
        [name, tab.search, tab.leaf],
        shelf,
        trigger_mode="always_last",
        **_QUIET,
    )
    picking = [name, tab.search, tab.leaf, tab.chosen]
    tab.shelf.select(desk.pick, picking, [tab.chosen, tab.shelf], **_QUIET)
    for button, work, more in (
        (tab.add, desk.add, tab.added),
        (tab.remove, desk.remove, tab.chosen),
        (tab.refresh, desk.refresh, tab.chosen),
    ):
        done = button.click(work, [name, more], [tab.status, tab.added], **heavy)
        done.success(**show).success(desk.cleared, None, results, **_QUIET)
    choice = [name, tab.encoder]
    on_twins = {**heavy, "show_progress_on": tab.twins_words}
    tab.find.click(desk.duplicates, choice, [tab.twins, tab.twins_words], **on_twins)
    on_fitted = {**heavy, "show_progress_on": tab.fitted}
    tab.fit.click(desk.fit, [*choice, tab.head], tab.fitted, **on_fitted)
    on_health = {**heavy, "show_progress_on": tab.health}
    tab.verify.click(desk.verify, name, tab.health, **on_health)
    desk.stops.stop_when_left()
