"""The components of the Gallery tab."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.components import stop_button, thumbnails
from app.page.encoders import encoder_choice
from app.page.files import one_upload, taken_as, uploads
from app.page.state import HEADS, Page, encoder_choices
from core.service import encoder_infos

ZIP, FOLDER, DATASET = "Zip", "Folder", "Dataset"
"""What a gallery can be built from."""

_FIRST_ENCODERS = ["lite0", "moco", "dino"]
_KINDS = [head for head in HEADS if head[1] != "default"]


@dataclass(frozen=True)
class Tab:
    """The tab's components."""

    opened: gr.Dropdown
    kind: gr.Radio
    archive: gr.File
    folder: gr.Textbox
    dataset: gr.Textbox
    encoders: gr.CheckboxGroup
    build: gr.Button
    status: gr.Markdown
    account: gr.DownloadButton
    title: gr.Markdown
    facts: gr.HTML
    locked: gr.Markdown
    search: gr.Textbox
    leaf: gr.Number
    shelf_words: gr.Markdown
    shelf: gr.Gallery
    changes: gr.Column
    chosen: gr.Dropdown
    remove: gr.Button
    added: gr.File
    add: gr.Button
    refresh: gr.Button
    prune: gr.Button
    fill_in: gr.Button
    template: gr.DownloadButton
    find: gr.Button
    twins_words: gr.Markdown
    twins: gr.Gallery
    encoder: gr.Dropdown
    head: gr.Dropdown
    fit: gr.Button
    fitted: gr.Markdown
    verify: gr.Button
    health: gr.Markdown


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
    archive = taken_as(archive, one_upload)
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
        stop_button(page, "gallery", elem_id="ws-gallery-stop")
    return {
        "opened": opened,
        "kind": kind,
        "archive": archive,
        "folder": folder,
        "dataset": dataset,
        "encoders": encoders,
        "build": build,
    }


def _dataset_info(page: Page) -> str:
    server = page.session.server
    most = f"Its first {server.max_images:,} images are taken." if server.hosted else ""
    return f"An image dataset, as user/name. {most}".strip()


def _lay_stage(page: Page) -> dict[str, Any]:
    status = gr.Markdown(elem_id="ws-gallery-status", elem_classes="ws-status")
    account = gr.DownloadButton(
        "Every file and row, as a table", size="sm", visible=False, elem_id="ws-gallery-account"
    )
    title = gr.Markdown(elem_id="ws-gallery-title")
    facts = gr.HTML(elem_id="ws-gallery-facts", min_height=180)
    locked = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-locked")
    with gr.Accordion("Images", open=False), gr.Column():
        images = _lay_images()
    with gr.Group(elem_id="ws-gallery-encoder"):
        encoder = encoder_choice(page, label="Encoder that is looked at", role="apart").dropdown
    with gr.Accordion("Near-duplicates", open=False):
        find = gr.Button("Find near-duplicates", elem_id="ws-gallery-find")
        twins_words = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-twins-words")
        twins = thumbnails("Near-duplicates", columns=8, elem_id="ws-gallery-twins")
        twins.visible = False
    with gr.Accordion("Head", open=False):
        head = gr.Dropdown(_KINDS, value="whiten", label="Kind", filterable=False)
        fit = gr.Button("Fit to this gallery", elem_id="ws-gallery-fit")
        fitted = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-fitted")
    with gr.Accordion("Health", open=False):
        verify = gr.Button("Check every file", elem_id="ws-gallery-verify")
        health = gr.Markdown(elem_id="ws-gallery-health")
    return {
        "status": status,
        "account": account,
        "title": title,
        "facts": facts,
        "locked": locked,
        **images,
        "find": find,
        "twins_words": twins_words,
        "twins": twins,
        "encoder": encoder,
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
        added = taken_as(added, uploads)
        with gr.Row():
            add = gr.Button("Add them", elem_id="ws-gallery-add")
            refresh = gr.Button("Look for new images in its folder", elem_id="ws-gallery-refresh")
            prune = gr.Button("Drop what is gone", elem_id="ws-gallery-prune")
    fill_in = gr.Button("Make a metadata table to fill in", size="sm", elem_id="ws-gallery-fill-in")
    template = gr.DownloadButton(
        "metadata.csv with these images", size="sm", visible=False, elem_id="ws-gallery-template"
    )
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
        "prune": prune,
        "fill_in": fill_in,
        "template": template,
    }
