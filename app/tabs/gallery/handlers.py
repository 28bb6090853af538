"""The handlers of the Gallery tab: each calls the session, makes a view and returns it."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.errors import user_error, user_errors
from app.page.files import downloadable
from app.page.jobs import PROGRESS, visitor_of
from app.page.pictures import Pictures, pictures, serve_thumbnails
from app.page.state import HEADS, Page, encoder_choices
from app.tabs.gallery.layout import DATASET, FOLDER, ZIP, Tab
from app.views import gallery as views
from core.report import account_csv, template_csv
from core.service import BUILTIN, Change, Choice
from core.values import ImageRecord, Progress

_LEAF = 48  # thumbnails on a page of the gallery
_GROUPS = 30  # groups of near-duplicates shown
_AGAIN = "build again with the same source and encoders to go on"
_LOCKED = (
    "The gallery that comes with the program is read-only, so that every visitor finds it the "
    "same. To add or remove images, build one of your own."
)


class Handlers:
    """What the tab's buttons do."""

    def __init__(self, page: Page, tab: Tab) -> None:
        self.page, self.session, self.tab = page, page.session, tab
        self.library = page.session.library

    def show(self, name: str, request: gr.Request) -> dict[Any, Any]:
        """A gallery's numbers and first images."""
        tab, visitor = self.tab, visitor_of(request)
        with user_errors():
            gallery = self.session.gallery(name, visitor=visitor)
            found = self.library.facts(gallery)
        locked = name == BUILTIN
        coders = [title for title, _ in encoder_choices(gallery.encoder_names)]
        facts = views.Facts(
            gallery.name, gallery.records, tuple(coders), found.storage, found.examples
        )
        shelf, words = self._leaf(name, "", 1, visitor)
        return {
            tab.opened: gr.Dropdown(self._galleries(name), value=name),
            tab.title: views.title(self._title(name, gallery.name)),
            tab.facts: views.facts_html(facts),
            tab.locked: gr.Markdown(_LOCKED if locked else "", visible=locked),
            tab.changes: gr.Column(visible=not locked),
            tab.added: gr.File(None, visible=found.keeps_images),
            tab.add: gr.Button(visible=found.keeps_images),
            tab.refresh: gr.Button(visible=not self.session.server.hosted),
            tab.prune: gr.Button(visible=not self.session.server.hosted),
            tab.template: gr.DownloadButton(visible=False),
            tab.shelf: gr.Gallery(shelf, selected_index=None),
            tab.shelf_words: words,
            tab.chosen: gr.Dropdown([], value=[]),
        }

    def fill_in(self, name: str, request: gr.Request) -> Any:
        """A table of metadata to fill in, with the gallery's images."""
        with user_errors():
            gallery = self.session.gallery(name, visitor=visitor_of(request))
        table = template_csv(gallery.records).encode()
        path = downloadable(table, self.tab.template, name="metadata.csv")
        return gr.DownloadButton(value=path, visible=True)

    def cleared(self) -> tuple[Any, ...]:
        """No results: what was found of another gallery, or of this one before a change."""
        return gr.Gallery(None, visible=False), "", "", ""

    def open(self, name: str, request: gr.Request) -> tuple[str, str, Any]:
        """Another gallery for every tab."""
        with user_errors():
            self.session.gallery(name, visitor=visitor_of(request))
        self._serve(name)
        return name, "", gr.DownloadButton(visible=False)

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
            return dict(zip((name, tab.status, tab.account), opened, strict=True))
        with self._job(request, progress, again=_AGAIN) as report:
            report(0, 1, "Opening the encoders")
            built, change = self.library.build(
                source, given[tab.encoders], visitor=visitor_of(request), progress=report
            )
        self._serve(built)
        return {name: built, **self._said(change)}

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
            raise user_error("choose images first: click them above")
        visitor = visitor_of(request)
        return self._change(
            lambda _: self.library.remove(name, ids, visitor=visitor), request, progress
        )

    def browse(self, name: str, search: str, leaf: int | None, request: gr.Request) -> Any:
        """A page of the gallery's images."""
        with user_errors():
            shown, words = self._leaf(name, search, leaf or 1, visitor_of(request))
        return gr.Gallery(shown, selected_index=None), words

    def pick(
        self,
        name: str,
        search: str,
        leaf: int | None,
        chosen: list[int],
        event: gr.SelectData,
        request: gr.Request,
    ) -> tuple[Any, Any]:
        """Choose the image that was clicked, or let it go when it was chosen before."""
        with user_errors():
            records = self.session.gallery(name, visitor=visitor_of(request)).records
        place = (max(leaf or 1, 1) - 1) * _LEAF + int(event.index)
        record = _found(records, search)[place]
        ids = [each for each in chosen if each != record.id]
        ids += [record.id] if len(ids) == len(chosen) else []
        listed = [each for each in records if each.id in set(ids)]
        options = views.choices(listed)
        return gr.Dropdown(options, value=ids), gr.Gallery(selected_index=None)

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
            text = account_csv(change).encode()
            path = downloadable(text, tab.account, name="account.csv")
            button = gr.DownloadButton(value=path, visible=True)
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

    def _leaf(self, name: str, search: str, leaf: int, visitor: str) -> tuple[Pictures, str]:
        records = _found(self.session.gallery(name, visitor=visitor).records, search)
        first = (max(leaf, 1) - 1) * _LEAF
        shown = pictures(self.session, name, records[first : first + _LEAF], visitor=visitor)
        return shown, views.leaf_words(len(records), first=first, shown=len(shown))

    def _galleries(self, name: str) -> list[tuple[str, str]]:
        """Galleries to open: the built-in one, the one at the start, those kept, this one."""
        names = dict.fromkeys([BUILTIN, self.page.start, *map(str, self.library.kept()), name])
        return [(self._title(each, Path(each).name), each) for each in names]

    def _title(self, name: str, own: str) -> str:
        if name == BUILTIN:
            return "The gallery that comes with the program"
        return "Your gallery" if self.session.server.hosted else own


def _found(records: tuple[ImageRecord, ...], search: str) -> list[ImageRecord]:
    """Images whose title or path holds the text."""
    text = search.strip().lower()
    return [each for each in records if text in f"{each.title}\n{each.path}".lower()]
