"""Known pairs as people write them: a JSON list, with names that are matched to files."""

from __future__ import annotations

import logging
import os
import stat
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from core.gallery.naming import EXACT, NAME_ALONE, OTHERWISE, WAYS, matchers
from core.gallery.tables import decoded
from core.images.files import parse_json
from core.images.listing import list_images
from core.measures.retrieval import OVERALL, Pair, Split
from core.values import GalleryError

logger = logging.getLogger(__name__)

_FORM = 'a JSON list of {"source", "generator", "exemplars": [...], "generated"}, see docs/cli.md'
_NAMED = 10  # names that an error tells


def read_pairs(path: Path, *, split: Split = "all") -> list[Pair]:
    """The pairs of a JSON list of ``{source, generator, exemplars, generated}``.

    A row may also have ``roles``, one for each exemplar, such as ``["content", "style"]``: it is
    then as many pairs, each with the exemplar of one role, of the source ``SOURCE: ROLE``.

    Names that are no exact paths are matched as those of tables of metadata are (see
    :mod:`core.gallery.naming`), but never by the name alone, and counted in a warning.

    Raises:
        GalleryError: when the file is not such a list, lists none, or names files that are not
            there or lie outside of its folder.
    """
    pairs = _listed(path)
    for pair in pairs:
        if pair.source == OVERALL:
            raise GalleryError(
                f"{path.name}: no source may be called {OVERALL!r}, the name of all pairs together"
            )
        if not pair.exemplars:
            raise GalleryError(f"{path.name}: {pair.generated} has no exemplars")
    files = _found(path, dict.fromkeys(name for pair in pairs for name in pair.names))
    pairs = [
        replace(
            pair,
            exemplars=tuple(dict.fromkeys(files[name] for name in pair.exemplars)),
            generated=files[pair.generated],
            others=tuple(files[name] for name in pair.others),
        )
        for pair in pairs
    ]
    return [pair for pair in pairs if split in ("all", pair.half)]


def _listed(path: Path) -> list[Pair]:
    """The pairs of a file, with names as they are written."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would wait for its writer
            raise GalleryError(f"{path.name} is not a regular file; name {_FORM}")
        text, notes = decoded(path.read_bytes())
        pairs = [pair for row in parse_json(text) for pair in _by_role(row)]
    except FileNotFoundError as error:
        raise GalleryError(f"{str(path)!r} is not there; name {_FORM}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {str(error)[:200]}"  # not the bytes of a file that is none
        raise GalleryError(f"{path.name} is not a list of pairs ({why}); name {_FORM}") from error
    if not pairs:
        raise GalleryError(f"{path.name} lists no pairs; name {_FORM}")
    for note in notes:
        logger.warning("%s: %s", path.name, note)
    return pairs


def _found(pairs: Path, names: Collection[str]) -> dict[str, str]:
    """Files of the names of a file of pairs, as paths relative to its folder.

    Raises:
        GalleryError: when some are not there, or lie elsewhere; names them.
    """
    root = Path(os.path.abspath(pairs.parent))  # noqa: PTH100 - links are kept
    found = {name: hit for name in names if (hit := _at(pairs, root, name))}
    left = [name for name in names if name not in found]
    found |= _matched(root, left) if left else {}
    if lost := [name for name in left if name not in found]:
        some, more = ", ".join(lost[:_NAMED]), f" nor are {len(lost) - _NAMED:,} more"
        raise GalleryError(
            f"{pairs.name}: {some} is not there{more if len(lost) > _NAMED else ''}; paths are "
            "relative to the folder of the file of pairs"
        )
    if ways := Counter(way for _, way in found.values() if way != EXACT):
        how = ", ".join(f"{count:,} by {way}" for way, count in ways.items())
        logger.warning("%s: of %s names of files, %s", pairs.name, f"{len(names):,}", how)
    return {name: file for name, (file, _) in found.items()}


def _at(pairs: Path, root: Path, name: str) -> tuple[str, str] | None:
    """The file that a name leads to as it stands, and whether that is its exact path.

    Raises:
        GalleryError: when it lies elsewhere.
    """
    file = Path(os.path.normpath(root / name))
    if not file.is_file():
        return None
    if not file.is_relative_to(root):
        raise GalleryError(
            f"{pairs.name}: {name} lies outside of its folder; put the file of pairs into a folder "
            "that holds all images that it names"
        )
    path = file.relative_to(root).as_posix()
    return path, EXACT if path == name else OTHERWISE


def _matched(root: Path, names: Collection[str]) -> dict[str, tuple[str, str]]:
    """Images of a folder that names mean, each with the way it was found; not by the name alone."""
    files = [file.relative_to(root).as_posix() for file in list_images(root)]
    ways = dict(zip(WAYS, matchers({file: file for file in files}), strict=True))
    del ways[NAME_ALONE]  # the image and its source may share it
    found: dict[str, tuple[str, str]] = {}
    for name in names:
        hits = ((file, way) for way, matcher in ways.items() if (file := matcher(name)))
        if hit := next(hits, None):
            found[name] = hit
    return found


def _pair(row: Mapping[str, Any]) -> Pair:
    """One checked row of a pairs file; an exemplar named twice is one right answer."""
    source, generator, generated = row["source"], row["generator"], row["generated"]
    exemplars = row["exemplars"]
    if not isinstance(exemplars, list):
        raise TypeError(f"exemplars must be a list, got {exemplars!r}")
    if not all(isinstance(text, str) for text in (source, generator, generated, *exemplars)):
        raise TypeError(f"names must be texts, got {dict(row)}")
    return Pair(source, generator, tuple(dict.fromkeys(exemplars)), generated)


def _by_role(row: Mapping[str, Any]) -> list[Pair]:
    """The pairs of a row: one for each role, or one where it names none."""
    whole, roles = _pair(row), row.get("roles") or []
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise TypeError(f"roles must be texts, got {roles!r}")
    if not roles:
        return [whole]
    if len(roles) != len(whole.exemplars):
        raise ValueError(f"{whole.generated} has {len(whole.exemplars)} exemplars: {roles}")
    return [
        replace(
            whole,
            source=f"{whole.source}: {role}",
            exemplars=(own,),
            others=tuple(name for name in whole.exemplars if name != own),
        )
        for role, own in zip(roles, whole.exemplars, strict=True)
    ]
