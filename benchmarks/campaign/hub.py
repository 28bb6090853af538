"""A server on this machine that stands for the Hugging Face Hub and keeps what it was sent."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

PARQUET = "refs/convert/parquet"
"""The branch on which the Hub keeps every public dataset as Parquet."""

_SHA = "0123456789abcdef" * 2 + "01234567"
_PARQUET_SHA = "fedcba9876543210" * 2 + "fedcba98"


def dataset(
    name: str, rows: Sequence[Mapping[str, Any]], *, split: str = "train"
) -> dict[str, bytes]:
    """Files of a public dataset by their names in a hub: its own, and the table that the Hub makes.

    Args:
        name: ``user/name``.
        rows: images as objects with ``bytes`` or ``path``, or ``None``; other values are texts.
        split: name of the split.
    """
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    kinds = {key: not isinstance(value, str) for row in rows for key, value in row.items()}
    columns = {
        key: pa.array([row.get(key) for row in rows], kind if is_image else pa.string())
        for key, is_image in kinds.items()
    }
    texts = {"_type": "Value", "dtype": "string"}
    told = {key: {"_type": "Image"} if is_image else texts for key, is_image in kinds.items()}
    features = {"huggingface": json.dumps({"info": {"features": told}})}
    pq.write_table(pa.table(columns).replace_schema_metadata(features), buffer := io.BytesIO())
    own = f"main/data/{split}-00000-of-00001.parquet"
    made = f"{PARQUET}/default/{split}/0000.parquet"
    table, card = buffer.getvalue(), b"---\nlicense: mit\n---\n"
    files = {own: table, made: table, "main/README.md": card}
    return {f"datasets/{name}@{path}": data for path, data in files.items()}


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    headers: Mapping[str, str]
    """By their names in small letters."""
    is_head: bool = False
    """Whether no body was asked for."""


@dataclass
class Hub:
    """What the Hub has, and all that it was asked."""

    address: str
    files: Mapping[str, bytes]
    """By ``datasets/user/name@main/path``, or ``user/name@main/path`` of a model."""
    asked: list[Asked] = field(default_factory=list[Asked])

    def found(self, repo: str, revision: str) -> dict[str, bytes]:
        """Files of a repository by their paths in it; none where there is no such revision."""
        branch = {_SHA: "main", _PARQUET_SHA: PARQUET}.get(revision, revision)
        head = f"{repo}@{branch}/"
        files = self.files.items()
        return {name.removeprefix(head): data for name, data in files if name.startswith(head)}

    def with_secret(self, secret: str) -> list[str]:
        """Paths of the requests that held a secret anywhere."""
        return [each.path for each in self.asked if secret in f"{each.path} {each.headers}"]


@contextlib.contextmanager
def standing_in(files: Mapping[str, bytes]) -> Iterator[Hub]:
    """Run one with some files."""
    hub = Hub("", files)
    handler = type("Bound", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True).start()
        hub.address = f"http://127.0.0.1:{running.server_port}"
        yield hub
        running.shutdown()


def settings(address: str, cache: Path) -> dict[str, str]:
    """What makes the Hub's clients in a process ask here, by its names in their modules.

    They read ``HF_ENDPOINT`` once, as they are imported.
    """
    constants = "huggingface_hub.constants"
    return {
        f"{constants}.ENDPOINT": address,
        f"{constants}.HUGGINGFACE_CO_URL_TEMPLATE": (
            address + "/{repo_id}/resolve/{revision}/{filename}"
        ),
        f"{constants}.HF_HUB_CACHE": str(cache),
        "datasets.config.HF_ENDPOINT": address,
    }


def point_at(address: str, cache: Path) -> None:
    """Make the Hub's clients in this process ask here from now on."""
    for name, value in settings(address, cache).items():
        module, _, attribute = name.rpartition(".")
        setattr(importlib.import_module(module), attribute, value)


class _Handler(BaseHTTPRequestHandler):
    """The routes of the Hub by which files are listed and read."""

    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_GET(self) -> None:
        self._keep()
        path = unquote(urlsplit(self.path).path).strip("/")
        if path.startswith("api/"):
            self._tell(path.removeprefix("api/"))
        elif "/resolve/" in path:
            self._give(*path.split("/resolve/", 1))
        else:
            self._missing("RepoNotFound")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        """Which of some paths there are."""
        self._keep()
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        form = json.loads(sent) if sent.startswith("{") else parse_qs(sent)
        path = unquote(urlsplit(self.path).path).strip("/").removeprefix("api/")
        repo, _, revision = path.partition("/paths-info/")
        found = self.hub.found(repo, revision)
        entries = _entries(found, "", deep=True)
        self._json([each for each in entries if each["path"] in form.get("paths", [])])

    def _keep(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.asked.append(Asked(self.path, headers, self.command == "HEAD"))

    def _tell(self, path: str) -> None:
        """What the repository is, or what lies in a folder of it."""
        repo, tree, rest = path.partition("/tree/")
        if not tree:
            repo, _, rest = path.partition("/revision/")
            rest = rest or "main"
        special = [each for each in (PARQUET,) if f"{rest}/".startswith(f"{each}/")]
        revision = special[0] if special else rest.partition("/")[0]
        found = self.hub.found(repo, revision)
        if not found:
            self._missing("RevisionNotFound" if self.hub.found(repo, "main") else "RepoNotFound")
        elif tree:
            deep = "recursive=true" in urlsplit(self.path).query.lower()
            folder = rest.removeprefix(revision).strip("/")
            self._json(_entries(found, folder, deep=deep))
        else:
            sha = _PARQUET_SHA if revision in (PARQUET, _PARQUET_SHA) else _SHA
            siblings = [{"rfilename": name} for name in found]
            name = repo.removeprefix("datasets/").removeprefix("models/")
            self._json({"id": name, "sha": sha, "private": False, "siblings": siblings})

    def _give(self, repo: str, rest: str) -> None:
        """A file, or the part of it that is asked for."""
        revision = PARQUET if rest.startswith(f"{PARQUET}/") else rest.partition("/")[0]
        name = rest.removeprefix(revision).strip("/")
        found = self.hub.found(repo, revision)
        if name not in found:
            self._missing("EntryNotFound" if found else "RepoNotFound")
            return
        data, status, more = found[name], 200, {"ETag": f'"{_digest(found[name])}"'}
        more["X-Repo-Commit"] = _PARQUET_SHA if revision in (PARQUET, _PARQUET_SHA) else _SHA
        first, _, last = self.headers.get("Range", "").removeprefix("bytes=").partition("-")
        if first.isdigit():
            end = min(int(last) if last.isdigit() else len(data) - 1, len(data) - 1)
            more["Content-Range"] = f"bytes {first}-{end}/{len(data)}"
            data, status = data[int(first) : end + 1], 206
        self._answer(status, data, more)

    def _json(self, value: Any) -> None:
        self._answer(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _missing(self, code: str) -> None:
        self._answer(404, b"", {"X-Error-Code": code, "X-Error-Message": code})

    def _answer(self, status: int, data: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data)

    def log_message(self, format: str, *_: object) -> None:
        pass


def _entries(found: Mapping[str, bytes], folder: str, *, deep: bool) -> list[dict[str, Any]]:
    """Files and folders below a folder, as the Hub lists them."""
    head = f"{folder}/" if folder else ""
    inside = {name: data for name, data in found.items() if name.startswith(head)}
    listed = dict[str, dict[str, Any]]()
    for name, data in inside.items():
        parts = name.removeprefix(head).split("/")
        for count in range(1, len(parts)):
            path = head + "/".join(parts[:count])
            if deep or count == 1:
                listed[path] = {"type": "directory", "path": path, "oid": _digest(path.encode())}
        if deep or len(parts) == 1:
            listed[name] = {"type": "file", "path": name, "oid": _digest(data), "size": len(data)}
    return list(listed.values())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:40]
