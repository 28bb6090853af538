"""Publish the app as a Space: ``python -m app.page.publish user/name [--confirm]``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.utils import filter_repo_objects

ROOT = Path(__file__).parents[2]

INCLUDED = [
    "README.md",
    "LICENSE",
    "CITATION.cff",
    "pyproject.toml",
    "requirements.txt",
    "app.py",
    "app/*",
    "core/*",
    "assets/*",
    "docs/*",
]
"""What a Space needs."""

EXCLUDED = ["*__pycache__*", "*.pyc", "core/training/*", "assets/gallery/lock", "*/work/*", "*.tmp"]
"""What it does not, among that."""

NEEDED = ["README.md", "requirements.txt", "app.py", "assets/gallery/gallery.json"]
"""Without these there is no app."""

MAX_FILE, MAX_ALL = 100_000_000, 1_000_000_000
"""Sizes that a Space takes, bytes: one file, and all."""


class PublishError(Exception):
    """Why nothing may be uploaded; written for the person who publishes."""


def listing(root: Path) -> dict[str, int]:
    """Size of every file that goes up, by its path in the Space.

    Raises:
        PublishError: when something is missing or too large.
    """
    tops = {pattern.partition("/")[0] for pattern in INCLUDED}
    found = [path for top in tops for path in (root / top, *(root / top).rglob("*"))]
    paths = sorted(path.relative_to(root).as_posix() for path in found if _may_go(path, root))
    chosen = filter_repo_objects(paths, allow_patterns=INCLUDED, ignore_patterns=EXCLUDED)
    sizes = {path: (root / path).stat().st_size for path in chosen}
    missing = [path for path in NEEDED if path not in sizes]
    if not any(path.startswith("assets/encoders/") for path in sizes):
        missing.append("assets/encoders")
    if missing:
        raise PublishError(f"missing: {', '.join(missing)}")
    large = [path for path, size in sizes.items() if size > MAX_FILE]
    if large or sum(sizes.values()) > MAX_ALL:
        raise PublishError(
            f"too large: {', '.join(large) or 'all files together'}; a file may have "
            f"{MAX_FILE:,} bytes, all together {MAX_ALL:,}"
        )
    return sizes


def _may_go(path: Path, root: Path) -> bool:
    """Regular files outside hidden folders; a link could lead anywhere."""
    parts = path.relative_to(root).parts
    hidden = any(part.startswith(".") for part in parts)
    return not hidden and path.is_file() and not path.is_symlink()


def upload(root: Path, space: str, sizes: Mapping[str, int], *, api: HfApi) -> str:
    """Make the Space where there is none, and make its files those listed; returns its address."""
    api.create_repo(space, repo_type="space", space_sdk="gradio", exist_ok=True)
    api.upload_folder(
        repo_id=space,
        repo_type="space",
        folder_path=root,
        allow_patterns=list(sizes),
        delete_patterns="*",
        commit_message="Wellspring",
    )
    return f"https://huggingface.co/spaces/{space}"


def main(arguments: list[str] | None = None) -> int:
    """List what would go up; with ``--confirm``, upload it."""
    parser = argparse.ArgumentParser(prog="python -m app.page.publish", description=__doc__)
    parser.add_argument("space", help="user/name of the Space")
    parser.add_argument("--confirm", action="store_true", help="upload, instead of listing only")
    args = parser.parse_args(arguments)
    say = sys.stdout.write
    try:
        sizes = listing(ROOT)
    except PublishError as error:
        sys.stderr.write(f"nothing was uploaded; {error}\n")
        return 1
    for path, size in sizes.items():
        say(f"{size:>12,}  {path}\n")
    say(f"{sum(sizes.values()):>12,}  bytes in {len(sizes)} files\n")
    if not args.confirm:
        say(f"Nothing was uploaded. With CONFIRM=1 they go to {args.space}.\n")
        return 0
    say(f"{upload(ROOT, args.space, sizes, api=HfApi())}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
