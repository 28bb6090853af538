"""Makes the embedded gallery small to ship: features in 8 bits, one generation, nothing derived."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import typer

from core.build import narrow
from core.session import EMBEDDED
from core.store import Store


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
    return {part.name: _size(part) for part in sorted(folder.iterdir())}


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=EMBEDDED, help="folder of the gallery")
    sizes = pack(parser.parse_args(arguments).gallery)
    typer.echo("\n".join(f"{size:>12,} {part}" for part, size in sizes.items()))
    typer.echo(f"{sum(sizes.values()):>12,} bytes in all")


if __name__ == "__main__":
    main()
