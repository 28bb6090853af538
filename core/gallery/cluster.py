"""Encoding images on a Ray cluster, whose workers write the shards that one process would write."""

from __future__ import annotations

import contextlib
import copy
import functools
import hashlib
import importlib
import os
import platform
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from core.encoders.network import NetworkEncoder, best_device
from core.gallery.shards import Item, Shard, ShardWriter
from core.images.files import new_folder
from core.values import Encoder, GalleryError, Progress, WellspringError, first_line

_RETRIES = 3  # times that a shard is tried again whose worker or machine died
_LOOK = 0.5  # seconds between two looks at what is done
_ANSWER = 10  # seconds that a cluster has to answer
_AHEAD = 2  # shards handed out for every processor
_STORE = 100_000_000  # bytes of Ray's own memory for objects: only the encoders lie in it
_GOES_ON = "what was finished is kept, and the same command goes on with it"


class ClusterWriter(ShardWriter):
    """Writes shards as :class:`ShardWriter` does, each by a worker of the cluster that is free.

    The gallery and the images must lie at the same paths on every machine. A shard is named by what
    it holds, and appears whole or not at all: one that is written twice, since its worker was taken
    for dead, is there once. A build that was begun in one process goes on here, and the other way
    round.
    """

    def write(self, items: Sequence[Item], keys: Sequence[str], progress: Progress) -> None:
        """Have every item read once and encoded under the encoders of the given keys.

        What no worker could read is tried here, so that what is left out is what one process
        leaves out.

        Raises:
            Cancelled: when ``progress`` asked for it; whole shards are kept.
            GalleryError: when Ray is not installed, its cluster is away or does not see the files,
                a worker died time and again, or an encoder gives values that are not finite.
        """
        for key in keys:
            self._settle_patch_head(key, items, progress)
        self.folder.mkdir(parents=True, exist_ok=True)
        size, placed = self.config.shard, [_placed(item) for item in items]
        blocks = [tuple(placed[start : start + size]) for start in range(0, len(items), size)]
        unread: set[str] = set()
        with connected(self.config.ray) as ray:
            done = 0
            progress(0, len(items), "waiting for the workers of the cluster")
            for block, notes in _each(ray, self, blocks, tuple(keys), progress=progress):
                self.notes.update(notes)
                read = {record.sha256 for record in self._written(block, keys).records}
                unread |= {item.sha256 for item in block} - read
                done += len(block)
                progress(done, len(items), "reading and encoding images")
        if rest := [item for item in items if item.sha256 in unread]:
            super().write(rest, keys, progress)

    def _written(self, block: Sequence[Item], keys: Sequence[str]) -> Shard:
        """The shard that a worker says it has written."""
        try:
            return self._whole(self.folder / shard_name(block, keys))
        except (GalleryError, OSError) as error:
            raise GalleryError(
                "what a worker of the cluster wrote is not in the gallery's folder here: the "
                "folder has to be the same one, at the same path, on every machine"
            ) from error

    def write_block(self, block: Sequence[Item], keys: Sequence[str]) -> Mapping[str, Any]:
        """Write one shard, on a worker, unless it is there.

        Returns:
            What was unusual about contents that were read, by their hash.

        Raises:
            GalleryError: when this machine does not see the gallery or any of the images.
        """
        target = self.folder / shard_name(block, keys)
        if target.is_dir():
            return {}
        self._require_files(block)
        with new_folder(target, durable=True) as partial:
            for _ in self.fill(partial, block, keys):
                pass
        return self.notes

    def _require_files(self, block: Sequence[Item]) -> None:
        files = [each.path for item in block for each in (item, *item.copies)]
        if not self.folder.is_dir() or not any(map(Path.is_file, files)):
            lacks = "images" if self.folder.is_dir() else "gallery's folder"
            raise GalleryError(
                f"the worker {platform.node()} of the cluster does not see the {lacks}: gallery "
                "and images have to lie at the same paths on every machine"
            )


def _placed(item: Item) -> Item:
    """An item whose files are named as every process finds them."""
    copies = tuple(_placed(each) for each in item.copies)
    return replace(item, path=item.path.absolute(), copies=copies)


def shard_name(block: Sequence[Item], keys: Sequence[str]) -> str:
    """A shard's name by what it holds: contents in their order, and the encoders."""
    held = "|".join([*sorted(keys), *(item.sha256 for item in block)])
    number = int(hashlib.sha256(held.encode()).hexdigest()[:15], 16)
    return f"shard-{number:019d}"  # a number, as all shards have


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """Ray's library, connected to a cluster, which is left at the end.

    Args:
        address: ``local`` for a cluster of this machine alone, which ends with the block; ``auto``
            for the one that this machine is part of; or its HOST:PORT.

    Raises:
        GalleryError: when Ray is not installed, or the cluster does not answer.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent to anybody
    try:
        ray: Any = importlib.import_module("ray")
    except ImportError as error:
        raise GalleryError(
            "building on a cluster needs one more package: pip install ray==2.60.0; without "
            "--ray this machine builds alone"
        ) from error
    if ray.is_initialized():  # by whoever calls
        yield ray
        return
    own = {"include_dashboard": False, "object_store_memory": _STORE}
    quiet = {"log_to_driver": False, "logging_level": "ERROR"}
    try:
        _probe(address)  # Ray itself would try for minutes
        ray.init(address=address, **quiet, **(own if address == "local" else {}))
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise GalleryError(
            f"no Ray cluster answers at {address!r} ({first_line(error, most=200)}); `ray status` "
            "tells whether it runs, and --ray local takes this machine alone"
        ) from error
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Ray tells of dead workers on what is results
            yield ray
    finally:
        ray.shutdown()


def _probe(address: str) -> None:
    """Refuse an address of a host and a port at which nothing listens.

    Raises:
        OSError: when there is nothing.
        ValueError: when it is no such address.
    """
    host, colon, port = address.rpartition(":")
    if colon:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER).close()


def _each(
    ray: Any,
    writer: ClusterWriter,
    blocks: Sequence[tuple[Item, ...]],
    keys: tuple[str, ...],
    *,
    progress: Progress,
) -> Iterator[tuple[tuple[Item, ...], Mapping[str, Any]]]:
    """Every block when its shard is written, with what was unusual about its contents.

    What is under way when the caller stops is not cancelled: it ends with the connection, and Ray
    2.60 aborts the whole process when a task that it cancels answers nevertheless.
    """
    cpus, gpus = share(node["Resources"] for node in ray.nodes() if node["Alive"])
    sent = [ray.put(_sent(writer, cpus=cpus))]
    task = ray.remote(num_cpus=cpus, num_gpus=gpus, max_calls=0, max_retries=_RETRIES)(_write_block)
    task = task.options(retry_exceptions=[OSError])
    pending: dict[Any, tuple[Item, ...]] = {}
    waiting, written = iter(blocks), 0
    total = sum(map(len, blocks))
    while True:
        room = _AHEAD * int(ray.cluster_resources().get("CPU", 1)) + 1 - len(pending)
        for _, block in zip(range(room), waiting, strict=False):
            pending[task.remote(sent, block, keys, gpus=gpus)] = block
        if not pending:
            return
        done, _ = ray.wait([*pending], timeout=_LOOK)
        progress(written, total, "reading and encoding images")
        for ref in done:
            notes = _result(ray, ref, pending[ref])
            block = pending.pop(ref)
            written += len(block)
            yield block, notes


def share(nodes: Iterator[Mapping[str, float]]) -> tuple[int, int]:
    """Processors and GPUs that one worker takes: a GPU with its share of processors, where any is.

    Args:
        nodes: resources of every machine, as Ray names them.
    """
    ratios = [node.get("CPU", 1) / node["GPU"] for node in nodes if node.get("GPU")]
    return (max(1, int(min(ratios))), 1) if ratios else (1, 0)


def _sent(writer: ClusterWriter, *, cpus: int) -> ClusterWriter:
    """The writer as workers get it: encoders of the CPU, a thread for each of their processors."""
    sent = copy.copy(writer)
    sent.encoders = {key: on_device(each, "cpu") for key, each in writer.encoders.items()}
    sent.config = replace(writer.config, workers=max(cpus, writer.config.workers))
    return sent


def on_device(encoder: Encoder, device: str) -> Encoder:
    """An encoder of the same weights on a device; itself where it is there."""
    if isinstance(encoder, NetworkEncoder) and encoder.device != torch.device(device):
        return NetworkEncoder(encoder.name, copy.deepcopy(encoder.backbone), device=device)
    return encoder


def _write_block(
    sent: list[Any], block: tuple[Item, ...], keys: tuple[str, ...], *, gpus: int
) -> Mapping[str, Any]:
    """What a worker does: its encoders are loaded once."""
    writer = copy.copy(_received(sent[0], best_device() if gpus else "cpu"))
    writer.notes, writer.unread = {}, {}
    return writer.write_block(block, keys)


@functools.lru_cache(1)
def _received(ref: Any, device: str) -> ClusterWriter:
    writer: ClusterWriter = importlib.import_module("ray").get(ref)
    writer.encoders = {key: on_device(each, device) for key, each in writer.encoders.items()}
    return writer


def _result(ray: Any, ref: Any, block: Sequence[Item]) -> Mapping[str, Any]:
    """What a task gave.

    Raises:
        WellspringError: what the worker raised, or of Ray's own making.
    """
    try:
        return ray.get(ref)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, WellspringError | OSError):
            raise error.cause from error
        raise
    except ray.exceptions.RayError as error:
        raise GalleryError(
            f"workers of the cluster died {_RETRIES + 1} times over {len(block)} images, "
            f"{block[0].name!r} first ({first_line(error, most=200)}); {_GOES_ON}"
        ) from error
