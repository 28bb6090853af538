"""Makes the builtin gallery small to ship: features in 8 bits, one generation, what takes long.

What else follows from the features is computed again in a second; groups, nulls and maps take
longer and are small. They are kept under the version of the code that computes them, so after a
change of that code ``python -m demo.pack --artefacts`` makes them anew.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import typer

from core.encoders.load import load_encoder
from core.gallery.gallery import SHIPPED, Gallery
from core.gallery.remove import narrow
from core.gallery.store import Store
from core.service.heads import choose_head
from core.service.workspace import Workspace

ENCODERS = ("lite0", "moco", "dino")
"""Encoders whose nulls and maps are shipped."""

_SHIPPED = ("groups", "null", "map")


def pack(folder: Path) -> dict[str, int]:
    """Narrow a gallery and remove what can be computed again; bytes by part of the folder.

    Raises:
        GalleryError: When there is no gallery, or it is in use.
    """
    narrow(folder)
    store = Store(folder)
    current = store.generation(store.header().generation)
    for old in current.parent.iterdir():
        if old != current:
            shutil.rmtree(old)
    keep_artefacts(folder)
    return {part.name: _size(part) for part in sorted(folder.iterdir())}


def keep_artefacts(folder: Path) -> None:
    """Have the nulls and maps of the shipped encoders beside a gallery's features, and no more.

    Raises:
        GalleryError: When there is no gallery.
    """
    gallery = Gallery.open(folder)
    gallery.artefacts.keep_only()
    for name in sorted({*ENCODERS} & {*gallery.encoder_names}):
        encoder = load_encoder(name)
        Workspace(gallery, encoder, choose_head(gallery, encoder, "default")).layout()
    gallery.artefacts.keep_only(*_SHIPPED)


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=SHIPPED, help="folder of the gallery")
    parser.add_argument("--artefacts", action="store_true", help="only nulls and maps, anew")
    options = parser.parse_args(arguments)
    if options.artefacts:
        keep_artefacts(options.gallery)
        return
    sizes = pack(options.gallery)
    typer.echo("\n".join(f"{size:>12,} {part}" for part, size in sizes.items()))
    typer.echo(f"{sum(sizes.values()):>12,} bytes in all")


if __name__ == "__main__":
    main()
