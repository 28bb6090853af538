"""The handlers of the Gallery tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.events import Given
from app.page.files import offered
from app.page.jobs import PROGRESS
from app.page.pictures import pictures, serve_thumbnails
from app.page.state import HEADS, Page, encoder_choices
from app.page.visitor import visitor_of
from app.tabs.gallery.layout import DATASET, FOLDER, ZIP, Tab
from app.tabs.gallery.shelf_handlers import ShelfHandlers
from app.views import gallery as views
from core.report import account_csv, template_csv
from core.service import BUILTIN, Change, Choice, Gallery
from core.values import Progress

_GROUPS = 30  # groups of near-duplicates shown
_AGAIN = "build again with the same source and encoders to go on"
_LOCKED = (
    "The gallery that comes with the program is read-only, so that every visitor finds it the "
    "same. To add images, opt some out or remove them, build one of your own."
)


class Handlers:
    """What the tab's buttons do."""

    def __init__(self, page: Page, tab: Tab, shelf: ShelfHandlers) -> None:
        self.page, self.session, self.tab = page, page.session, tab
        self.pictures = shelf
        self.library = page.session.library

    def show(self, name: str, request: gr.Request) -> dict[Any, Any]:
        """A gallery's pictures, and what is told of it."""
        tab, visitor = self.tab, visitor_of(request)
        with user_errors():
            gallery = self.session.gallery(name, visitor=visitor)
            keeps_images = gallery.keeps_images
        locked, hosted = name == BUILTIN, self.session.server.hosted
        return {
            **self._told(gallery, name),
            tab.changes: gr.Accordion(visible=not locked),
            tab.added: gr.File(None, visible=keeps_images),
            tab.add: gr.Button(visible=keeps_images),
            tab.refresh: gr.Button(visible=not hosted),
            tab.prune: gr.Button(visible=not hosted),
            tab.template: gr.DownloadButton(visible=False),
            **self.pictures.fresh(gallery, name),
        }

    def again(self, given: Given, request: gr.Request) -> dict[Any, Any]:
        """The same gallery after a change."""
        name = given[self.page.gallery]
        told = self._told(self.page.gallery_of(name, request), name)
        return {**told, self.tab.added: gr.File(None), **self.pictures.again(given, request)}

    def _told(self, gallery: Gallery, name: str) -> dict[Any, Any]:
        tab, locked = self.tab, name == BUILTIN
        found = self.library.facts(gallery)
        coders = [title for title, _ in encoder_choices(gallery.encoder_names)]
        facts = views.Facts(
            gallery.name,
            gallery.records,
            tuple(coders),
            found.storage,
            found.examples,
            len(gallery.opted_out),
        )
        title = self._title(name, gallery)
        return {
            tab.opened: gr.Dropdown(self._galleries(name, title), value=name),
            tab.title: views.title(title, facts),
            tab.facts: views.facts_html(facts),
            tab.locked: gr.Markdown(_LOCKED if locked else "", visible=locked),
            tab.name: title,
        }

    def rename(self, name: str, title: str, request: gr.Request) -> tuple[Any, Any, Any]:
        """Another name to show the gallery by."""
        with user_errors():
            self.library.rename(name, title, visitor=visitor_of(request))
        told = self._told(self.page.gallery_of(name, request), name)
        return "Renamed.", told[self.tab.opened], told[self.tab.title]

    def finish(self, name: str, request: gr.Request, progress: gr.Progress = PROGRESS) -> Any:
        """Compute what answers need after a change; what was said of the change stays."""
        if name == BUILTIN:
            return gr.skip()
        with self._job(request, progress, again="the next answer computes the rest") as report:
            report(0, 1, "Computing what answers need")
            self.library.finish(name, visitor=visitor_of(request), progress=report)
        return gr.skip()

    def fill_in(self, name: str, request: gr.Request) -> Any:
        """A table of metadata to fill in, with the gallery's images."""
        table = template_csv(self.page.gallery_of(name, request).records).encode()
        return offered(table, self.tab.template, name="metadata.csv")

    def cleared(self) -> tuple[Any, ...]:
        """No results: what was found of another gallery, or of this one before a change."""
        return gr.Gallery(None, visible=False), "", "", ""

    def open(self, name: str, request: gr.Request) -> tuple[Any, ...]:
        """Another gallery for every tab."""
        self.page.gallery_of(name, request)
        self._serve(name)
        return name, "", gr.DownloadButton(visible=False), gr.HTML(visible=False)

    @staticmethod
    def kinds(kind: str) -> list[Any]:
        """The input of the chosen kind of source."""
        shown = (ZIP, FOLDER, DATASET)
        makers = (gr.File, gr.Textbox, gr.Textbox)
        return [make(visible=kind == each) for make, each in zip(makers, shown, strict=True)]

    def build(
        self, given: dict[Any, Any], request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        """Build a gallery, or open one that a folder holds already; then every tab looks at it."""
        tab, name = self.tab, self.page.gallery
        source = self._source(given)
        if given[tab.kind] == FOLDER and (Path(source) / "gallery.json").is_file():
            opened = self.open(str(Path(source).absolute()), request)
            return dict(zip((name, tab.status, tab.account, tab.steps), opened, strict=True))
        with self._job(request, progress, again=_AGAIN) as report:
            report(0, 1, "Opening the encoders")
            built, change = self.library.build(
                source, given[tab.encoders], visitor=visitor_of(request), progress=report
            )
        self._serve(built)
        return {name: built, **self._said(change), tab.steps: gr.HTML(visible=True)}

    def add(
        self,
        name: str,
        files: list[str],
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        """Add uploaded images to the gallery."""
        paths, visitor = [Path(file) for file in files], visitor_of(request)
        return self._change(
            lambda report: self.library.add(name, paths, visitor=visitor, progress=report),
            request,
            progress,
        )

    def refresh(
        self, name: str, _chosen: object, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        """Add what is new in the folder that the gallery was built from."""
        return self._refresh(name, request, progress, prune=False)

    def prune(
        self, name: str, _chosen: object, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> dict[Any, Any]:
        """The same, and drop images whose files are no longer there."""
        return self._refresh(name, request, progress, prune=True)

    def remove(
        self,
        name: str,
        ids: list[int],
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> dict[Any, Any]:
        """Take the chosen images out of the gallery."""
        if not ids:
            raise user_error("choose images first: click them")
        visitor = visitor_of(request)
        return self._change(
            lambda report: self.library.remove(name, ids, visitor=visitor, progress=report),
            request,
            progress,
        )

    def duplicates(
        self, name: str, encoder: str, request: gr.Request, progress: gr.Progress = PROGRESS
    ) -> tuple[Any, Any]:
        """Near-duplicates, group by group."""
        visitor = visitor_of(request)
        with self._job(request, progress) as report:
            report(0, 1, "Comparing the images")
            workspace = self.session.workspace(
                Choice(encoder, gallery=name), visitor=visitor, progress=report
            )
            groups = workspace.duplicates()
            shown = [record for group in groups[:_GROUPS] for record in group]
            files = pictures(self.session, name, shown, visitor=visitor)
        captions = views.duplicate_captions(groups[:_GROUPS])
        items = [(file, caption) for (file, _), caption in zip(files, captions, strict=True)]
        words = views.duplicate_words(groups, shown=_GROUPS)
        return gr.Gallery(items, selected_index=None, visible=bool(items)), words

    def fit(
        self,
        name: str,
        encoder: str,
        kind: str,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str:
        """Fit a head to the gallery and make everything that follows from it."""
        started = time.perf_counter()
        with self._job(request, progress) as report:
            report(0, 1, "Fitting the head")
            workspace = self.session.workspace(
                Choice(encoder, kind, name), visitor=visitor_of(request), progress=report
            )
        titles = {each: label for label, each in HEADS}
        return views.head_words(
            titles[kind],
            title=encoder_choices([encoder])[0][0],
            dimensions=workspace.head.dim,
            seconds=time.perf_counter() - started,
        )

    def verify(self, name: str, request: gr.Request, progress: gr.Progress = PROGRESS) -> str:
        """Look at every file of the gallery."""
        with self._job(request, progress) as report:
            gallery = self.session.gallery(name, visitor=visitor_of(request))
            found = self.library.verify(gallery, progress=report)
        return views.damage_words(found)

    def _job(
        self, request: gr.Request, progress: gr.Progress, **options: str
    ) -> AbstractContextManager[Progress]:
        """Long work on a gallery, which the tab's button stops."""
        return self.page.jobs.run("gallery", request, progress, **options)

    def _refresh(
        self, name: str, request: gr.Request, progress: gr.Progress, *, prune: bool
    ) -> dict[Any, Any]:
        visitor, refresh = visitor_of(request), self.library.refresh
        return self._change(
            lambda report: refresh(name, prune=prune, visitor=visitor, progress=report),
            request,
            progress,
        )

    def _change(self, work: Any, request: gr.Request, progress: gr.Progress) -> dict[Any, Any]:
        with self._job(request, progress) as report:
            report(0, 1, "Changing the gallery")
            change = work(report)
        return {**self._said(change), self.tab.added: gr.File(None)}

    def _said(self, change: Change) -> dict[Any, Any]:
        """What a change did, with all of it as a table where a source was read."""
        tab = self.tab
        button = gr.DownloadButton(visible=False)
        if change.account:
            button = offered(account_csv(change).encode(), tab.account, name="account.csv")
        return {tab.status: views.change_words(change), tab.account: button}

    def _source(self, given: dict[Any, Any]) -> str | Path:
        """What to build from.

        Raises:
            gr.Error: when nothing was given.
        """
        tab, kind = self.tab, given[self.tab.kind]
        if kind == ZIP and given[tab.archive]:
            return Path(given[tab.archive])
        if kind == DATASET and given[tab.dataset].strip():
            return f"hf:{given[tab.dataset].strip().removeprefix('hf:')}"
        if kind == FOLDER and not self.session.server.hosted and given[tab.folder].strip():
            return given[tab.folder].strip()
        raise user_error("nothing to build from: give a zip, a folder or a dataset first")

    def _serve(self, name: str) -> None:
        """Thumbnails as static files, unless they are a visitor's own."""
        if not self.session.server.hosted:
            serve_thumbnails(self.session, name)

    def _galleries(self, name: str, title: str) -> list[tuple[str, str]]:
        """Galleries to open: the built-in one, the one at the start, those kept, this one."""
        others = [BUILTIN, self.page.start, *map(str, self.library.kept())]
        named = {each: self._named(each, self.library.title(each)) for each in others}
        return [(called, each) for each, called in {**named, name: title}.items()]

    def _title(self, name: str, gallery: Gallery) -> str:
        return self._named(name, gallery.name)

    def _named(self, name: str, own: str) -> str:
        if name == BUILTIN:
            return "The gallery that comes with the program"
        return "Your gallery" if self.session.server.hosted and own == name else own
