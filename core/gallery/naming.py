"""Which file a name means that somebody wrote: ways to match, the surest first."""

from __future__ import annotations

import contextlib
import posixpath
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

EXACT, OTHERWISE = "the exact path", "the path written otherwise"
NAME_ALONE = "the name alone"
WAYS = (EXACT, OTHERWISE, "upper and lower case", "the end of the path", NAME_ALONE)
"""By what a text may name a file, the surest first; each is tried on what is left."""


def matchers(files: Mapping[str, str]) -> list[Callable[[str], str | None]]:
    """For every one of :data:`WAYS`, the file that a text names by it."""
    plain = _unique((plain_path(name), file) for name, file in files.items())
    folded = _unique((plain_path(name).casefold(), file) for name, file in files.items())
    bases = _unique((name.rpartition("/")[2], file) for name, file in folded.items())
    stems = _unique((PurePosixPath(name).stem, file) for name, file in bases.items())

    def by_end(text: str) -> str | None:
        parts = plain_path(_address(text)).casefold().split("/")
        ends = ("/".join(parts[start:]) for start in range(len(parts) - 1))
        return next((folded[end] for end in ends if folded.get(end)), None)

    def by_name(text: str) -> str | None:
        base = plain_path(_address(text)).casefold().rpartition("/")[2]
        if base in bases:
            return bases[base]
        return stems.get(base) or stems.get(PurePosixPath(base).stem)

    return [
        files.get,
        lambda text: plain.get(plain_path(text)),
        lambda text: folded.get(plain_path(text).casefold()),
        by_end,
        by_name,
    ]


def _unique(pairs: Iterable[tuple[str, str | None]]) -> dict[str, str | None]:
    """Files by a key; ``None`` where several share it."""
    found: dict[str, str | None] = {}
    for key, file in pairs:
        found[key] = None if key in found else file
    return found


def plain_path(text: str) -> str:
    """A path with forward slashes, without ``.``, ``..`` and empty parts, in composed Unicode."""
    parts = unicodedata.normalize("NFC", text).replace("\\", "/").split("/")
    path = "/".join(part for each in parts if (part := each.strip()) not in ("", "."))
    return posixpath.normpath(path) if ".." in path else path


def _address(text: str) -> str:
    """The path of a web address or a file's; any other text as it is."""
    if "://" not in text:
        return text
    with contextlib.suppress(ValueError):  # such as of a host in half a bracket
        return unquote(urlsplit(text).path)
    return text
