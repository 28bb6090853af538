"""What visitors have a hosted server fetch: from the Hub alone, never with the owner's token."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import huggingface_hub

from benchmarks.campaign import corpus
from benchmarks.campaign.children import ended, outcome
from benchmarks.campaign.hosted import TOKEN, Hosted, Told, Visitor
from benchmarks.campaign.hub import Hub, dataset, point_at
from benchmarks.campaign.table import Row
from core.encoders.backbones.hub import HubFile
from core.encoders.registry import NETWORKS

ENCODER = "dino-vits16"
"""An encoder that the server's owner named, so that visitors may have it fetched."""
_ELSEWHERE = "http://169.254.169.254/latest/meta-data.png"
_NUMBER = 7_777_777  # of the visitor


def files(secret: Path) -> dict[str, bytes]:
    """What the hub has: datasets that are plain and that lead elsewhere, a private one, weights.

    Args:
        secret: a file of the server.
    """
    picture = {"bytes": corpus.image_bytes(5)}
    columns = {
        "plain": {"image": picture, "title": "one"},
        "private-column": {"image": picture, "other": {"path": _PRIVATE}},
        "address-column": {"image": picture, "other": {"path": _ELSEWHERE}},
        "file-column": {"image": picture, "other": {"path": str(secret)}},
        "address-image": {"image": {"path": _ELSEWHERE}},
        "file-image": {"image": {"path": str(secret)}},
        "address-card": {"image": picture},
    }
    found = {"datasets/owner/private@main/x.png": corpus.image_bytes(6)}
    for name, row in columns.items():
        found |= dataset(f"stranger/{name}", [row] * 3)
    card = f"---\nconfigs:\n- config_name: default\n  data_files: '{_ELSEWHERE}'\n---\n"
    found["datasets/stranger/address-card@main/README.md"] = card.encode()
    return found | {_weights(): b"no weights"}


_PRIVATE = "hf://datasets/owner/private/x.png"
_BUILT = ("plain", "private-column", "address-column", "file-column", "address-card")
_REFUSED = ("address-image", "file-image")


def fetched(server: Hosted, hub: Hub) -> Row:
    """Have a visitor start everything that fetches, and see what the hub was asked, and how."""
    faults: list[str] = []
    with Visitor(server, _NUMBER) as visitor:
        visitor.enter()
        for way, told, fine in _ways(visitor, hub):
            if told.is_fault or (told.status == httpx.codes.OK) != fine:
                faults.append(f"{way}: {told.status} {told.value!r:.200}")
    for file in ("0000.parquet", "model.safetensors"):  # else nothing was tried
        if not any(each.path.endswith(file) for each in hub.asked):
            faults.append(f"the hub was not asked for any {file}")
    faults += [f"{path} was asked for with the server's token" for path in hub.with_secret(TOKEN)]
    faults += [f"the server {what}" for what in server.met()]
    tried = len(hub.asked)
    if not _sees_tokens(hub):
        faults.append("the hub that stands in sees no token where one is sent")
    what = "visitors: what they have the server fetch"
    return Row(what, max(tried, len(faults)), tuple(faults), "from the Hub alone, without a token")


def _ways(visitor: Visitor, hub: Hub) -> Iterator[tuple[str, Told, bool]]:
    """All that a visitor can start, what came of it, and whether something had to come."""
    for name in (*_BUILT, *_REFUSED):
        yield f"a dataset, {name}", visitor.build_from(f"stranger/{name}"), name in _BUILT
    yield "a private dataset", visitor.build_from("owner/private"), False
    prepare = visitor.server.handler("app.prepare")
    values = [ENCODER if kind == "Dropdown" else None for kind in prepare.inputs]
    yield "an encoder", visitor.handler(prepare.number, values), False
    for address in (f"{hub.address}/x.png", _ELSEWHERE):
        yield "an address", visitor.handler("attribute.fetched", [address]), False


def _weights() -> str:
    source = NETWORKS[ENCODER].source
    assert isinstance(source, HubFile)
    return f"{source.repo}@{source.revision}/{source.name}"


def _sees_tokens(hub: Hub) -> bool:
    """Whether it sees the token of a call that sends one, as the owner's own would."""

    def call() -> None:
        os.environ["HF_TOKEN"] = TOKEN
        point_at(hub.address, Path("/nonexistent"))
        outcome(lambda: huggingface_hub.HfApi().dataset_info("owner/private"))

    ended(call)
    return bool(hub.with_secret(TOKEN))
