"""The components of the Gallery tab: its pictures first, and beside them what else can be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.components import stop_button, thumbnails
from app.page.encoders import encoder_choice
from app.page.files import one_upload, taken_as, uploads
from app.page.state import HEADS, Page, encoder_choices
from app.tabs.gallery import shelf_layout
from app.views.templates import render
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
    building: gr.Markdown
    """Where the progress of a build is shown, beside its button."""
    status: gr.Markdown
    account: gr.DownloadButton
    steps: gr.HTML
    """What to do next, after a build."""
    title: gr.Markdown
    facts: gr.HTML
    locked: gr.Markdown
    shelf: shelf_layout.Shelf
    changes: gr.Accordion
    name: gr.Textbox
    rename: gr.Button
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
    with gr.Row(elem_classes="ws-columns"):
        with gr.Column(scale=8, min_width=320, elem_classes="ws-stage"):
            stage = _lay_stage(page)
        with gr.Column(scale=4, min_width=300, elem_classes="ws-side"):
            side = _lay_side(page)
    return Tab(**stage, **side)


def build_choices() -> list[tuple[str, str]]:
    """Encoders that a gallery can be built with: those that are here, with others' licences."""
    infos = [info for info in encoder_infos() if info.here]
    titles = encoder_choices([info.name for info in infos])
    return [
        (title if info.kind in ("bundled", "baseline") else f"{title} · {info.licence}", name)
        for (title, name), info in zip(titles, infos, strict=True)
    ]


def _lay_stage(page: Page) -> dict[str, Any]:
    """The gallery that is open: what was done to it last, and its pictures."""
    status = gr.Markdown(elem_id="ws-gallery-status", elem_classes="ws-status")
    stop_button(page, "gallery", elem_id="ws-gallery-stop", on_result=True)
    account = gr.DownloadButton(
        "Every file and row, as a table", size="sm", visible=False, elem_id="ws-gallery-account"
    )
    steps = gr.HTML(render("next_steps"), visible=False, elem_id="ws-gallery-steps")
    title = gr.Markdown(elem_id="ws-gallery-title")
    locked = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-locked")
    return {
        "status": status,
        "account": account,
        "steps": steps,
        "title": title,
        "locked": locked,
        "shelf": shelf_layout.lay(page),
    }


def _lay_side(page: Page) -> dict[str, Any]:
    """What else can be done: open and build galleries, change, describe and check this one."""
    opened = gr.Dropdown(
        [], value=None, label="Open a gallery", filterable=False, elem_id="ws-gallery-open"
    )
    with gr.Accordion("Build one of your own", open=False, elem_id="ws-gallery-building"):
        building = _lay_building(page)
    with gr.Accordion("Change it", open=False, elem_id="ws-gallery-changes") as changes:
        changing = _lay_changes()
    with gr.Accordion("About it", open=False, elem_id="ws-gallery-about"):
        facts = gr.HTML(elem_id="ws-gallery-facts", min_height=180)
        fill_in = gr.Button(
            "Make a metadata table to fill in", size="sm", elem_id="ws-gallery-fill-in"
        )
        template = gr.DownloadButton(
            "metadata.csv with these images",
            size="sm",
            visible=False,
            elem_id="ws-gallery-template",
        )
    with gr.Accordion("Check it", open=False, elem_id="ws-gallery-checks"):
        checks = _lay_checks(page)
    return {
        "opened": opened,
        **building,
        "changes": changes,
        **changing,
        "facts": facts,
        "fill_in": fill_in,
        "template": template,
        **checks,
    }


def _lay_building(page: Page) -> dict[str, Any]:
    hosted = page.session.server.hosted
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
        max_length=200,
        visible=False,
        elem_id="ws-gallery-dataset",
    )
    encoders = gr.CheckboxGroup(
        build_choices(),
        value=_FIRST_ENCODERS,
        label="Encoders",
        info="Others can be prepared for the gallery in any tab, once it is built.",
        elem_id="ws-gallery-coders",
    )
    encoders = taken_as(encoders, _names)
    with gr.Column(elem_id="ws-gallery-run"):
        with gr.Row():
            build = gr.Button("Build", variant="primary", elem_id="ws-gallery-build")
            stop_button(page, "gallery", elem_id="ws-gallery-stop-build", on_result=True)
        building = gr.Markdown(elem_id="ws-gallery-built", elem_classes="ws-status")
    return {
        "kind": kind,
        "archive": archive,
        "folder": folder,
        "dataset": dataset,
        "encoders": encoders,
        "build": build,
        "building": building,
    }


def _names(payload: Sequence[object] | None) -> list[str]:
    """Names as they came: which encoders are here may have changed since the page was made."""
    return [name for name in payload or () if isinstance(name, str)]


def _dataset_info(page: Page) -> str:
    server = page.session.server
    most = f"Its first {server.max_images:,} images are taken." if server.hosted else ""
    return f"An image dataset, as user/name. {most}".strip()


def _lay_changes() -> dict[str, Any]:
    name = gr.Textbox(
        label="Its name", max_lines=1, max_length=120, submit_btn=False, elem_id="ws-gallery-name"
    )
    rename = gr.Button("Rename", size="sm", elem_id="ws-gallery-rename")
    added = gr.File(
        file_count="multiple", label="Images to add", height=120, elem_id="ws-gallery-added"
    )
    added = taken_as(added, uploads)
    add = gr.Button("Add them", size="sm", elem_id="ws-gallery-add")
    refresh = gr.Button(
        "Look for new images in its folder", size="sm", elem_id="ws-gallery-refresh"
    )
    prune = gr.Button("Drop what is gone", size="sm", elem_id="ws-gallery-prune")
    return {
        "name": name,
        "rename": rename,
        "added": added,
        "add": add,
        "refresh": refresh,
        "prune": prune,
    }


def _lay_checks(page: Page) -> dict[str, Any]:
    verify = gr.Button("Check every file", size="sm", elem_id="ws-gallery-verify")
    health = gr.Markdown(elem_id="ws-gallery-health")
    encoder = encoder_choice(
        page, label="Encoder that is looked at", role="apart", elem_id="ws-gallery-encoder"
    ).dropdown
    find = gr.Button("Find near-duplicates", size="sm", elem_id="ws-gallery-find")
    twins_words = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-twins-words")
    twins = thumbnails("Near-duplicates", columns=4, elem_id="ws-gallery-twins")
    twins.visible = False
    head = gr.Dropdown(_KINDS, value="whiten", label="Kind of head", filterable=False)
    fit = gr.Button("Fit to this gallery", size="sm", elem_id="ws-gallery-fit")
    fitted = gr.Markdown(elem_classes="ws-note", elem_id="ws-gallery-fitted")
    return {
        "verify": verify,
        "health": health,
        "encoder": encoder,
        "find": find,
        "twins_words": twins_words,
        "twins": twins,
        "head": head,
        "fit": fit,
        "fitted": fitted,
    }
