"""A gallery built by a Ray cluster with a worker killed: ``python -m benchmarks.scale.cluster``.

Two nodes (two raylets) on this machine encode a folder's images; half-way a worker that is at work
is killed, and with ``--node`` a whole node later. The gallery must be the one that a single
process of one thread builds, to the last bit; with more threads torch and NumPy sum in another
order.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from benchmarks.scale.table import keep, results, write_page
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.gallery.verify import verify
from core.images.listing import list_images
from core.search.extra_views import with_extra_views
from core.values import Encoder, no_progress

_AT_WORK = b"ray::_write_block"  # what Ray calls a process while it writes a shard
_MEMORY = 100_000_000  # bytes of each node for objects


@dataclass
class Killer:
    """Progress that kills a worker at work as soon as a share of the images is encoded."""

    cluster: Any
    share: float = 0.5
    node: float = 2.0
    """Share at which the second node dies; never above 1."""
    killed: list[int] = field(default_factory=list[int])

    def __call__(self, done: int, total: int, what: str) -> None:
        """Look at how far the workers are."""
        if not what.startswith("reading and encoding") or not done:
            return
        if not self.killed and done >= self.share * total and (pids := workers(self.cluster)):
            os.kill(pids[-1], signal.SIGKILL)
            self.killed.append(pids[-1])
        if self.cluster.worker_nodes and done >= self.node * total:
            second = next(iter(self.cluster.worker_nodes))
            self.cluster.remove_node(second, allow_graceful=False)


@contextlib.contextmanager
def two_nodes() -> Iterator[Any]:
    """A cluster of two nodes of one processor each, at two addresses of this machine's loopback."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    of_a_node = {"num_cpus": 1, "object_store_memory": _MEMORY}
    head = {**of_a_node, "include_dashboard": False, "node_ip_address": "127.0.0.2"}
    kind: Any = importlib.import_module("ray.cluster_utils").Cluster
    cluster = kind(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(**of_a_node, node_ip_address="127.0.0.3")
        yield cluster
    finally:
        cluster.shutdown()


def workers(cluster: Any) -> list[int]:
    """Processes of a cluster's nodes that write a shard now."""
    nodes = [cluster.head_node, *cluster.worker_nodes]
    raylets = {each.process.pid for node in nodes for each in node.all_processes["raylet"]}
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if parent in raylets and (process / "cmdline").read_bytes().startswith(_AT_WORK):
                found.append(int(process.name))
    return found


def differences(one: Path, other: Path, encoders: Sequence[Encoder]) -> list[str]:
    """What two galleries of the same images do not have alike, to the last bit."""
    a, b = Gallery.open(one), Gallery.open(other)
    found = [] if a.records == b.records else ["records"]
    for encoder in encoders:
        for name in ("features", "patches"):
            first, second = (getattr(each, name)(encoder) for each in (a, b))
            same = first is second is None or first.tobytes() == second.tobytes()
            found += [] if same else [f"{name} of {encoder.name}"]
    shown = (_thumbnail(a, sha) == _thumbnail(b, sha) for sha in a.records.texts("sha256"))
    return found if all(shown) else [*found, "thumbnails"]


def _thumbnail(gallery: Gallery, sha256: str) -> bytes:
    """A thumbnail's file, packed or not."""
    shown = gallery.store.shown(sha256)
    return shown if isinstance(shown, bytes) else shown.read_bytes()


def build_both(
    place: Path, source: Source, encoders: Sequence[Encoder], *, config: BuildConfig, node: float
) -> dict[str, float]:
    """Build ``cluster`` and ``alone`` in a folder; the seconds of each way."""
    seconds = dict[str, float]()
    with two_nodes() as cluster:
        killer = Killer(cluster, node=node)
        ways = {
            "two nodes, one worker killed": ("cluster", cluster.address, killer),
            "one process, one thread": ("alone", "", no_progress),
        }
        for way, (name, ray, progress) in ways.items():
            start, how = time.perf_counter(), replace(config, ray=ray)
            update(place / name, source, encoders, config=how, progress=progress)
            seconds[way] = time.perf_counter() - start
            print(f"{seconds[way]:8.0f} s  {way}", flush=True)  # noqa: T201 - what it is for
        assert killer.killed, "no worker was at work when it was to be killed; take more images"
    return seconds


def main() -> None:
    """Build both ways, compare, and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=4_000)
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--shard", type=int, default=BuildConfig().shard)
    parser.add_argument("--out", type=Path, help="keep the cluster's gallery there")
    parser.add_argument("--node", action="store_true", help="kill a node too, at three quarters")
    options = parser.parse_args()
    threadpool_limits(1)  # as a worker of one processor has
    torch.set_num_threads(1)
    files = list_images(options.folder)
    chosen = files[:: max(len(files) // options.images, 1)][: options.images]
    names = tuple(path.relative_to(options.folder).as_posix() for path in chosen)
    encoders = with_extra_views([load_encoder(options.encoder)])
    source, config = Source(options.folder, names), BuildConfig(shard=options.shard)
    place = Path(tempfile.mkdtemp(prefix="wellspring-cluster-"))
    try:
        node = 0.75 if options.node else 2.0
        seconds = build_both(place, source, encoders, config=config, node=node)
        differ = differences(place / "cluster", place / "alone", encoders)
        damages = [damage.file for damage in verify(place / "cluster")]
        if options.out is not None:
            shutil.move(place / "cluster", options.out)
    finally:
        shutil.rmtree(place)
    print(f"differ: {differ or 'nothing'}; damaged: {damages or 'nothing'}")  # noqa: T201 - likewise
    command = f"python -m benchmarks.scale.cluster --images {options.images}"
    command += f" --encoder {options.encoder}" + " --node" * options.node
    found = {"command": command, "images": len(names), "nodes": 2, "seconds": seconds}
    runs = results().get("cluster", {})
    keep(cluster={**runs, options.encoder: {**found, "differ": differ, "damaged": damages}})
    write_page()


if __name__ == "__main__":
    main()
