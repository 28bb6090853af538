"""What an answer's p-values, names and confidences are worth: ``python -m benchmarks.evidence``.

Every query of known origin is ranked with its source in the gallery and with it taken out. Medians
are over draws of one query per cluster: queries made from one image are not independent.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.evidence.bars import (
    Bar,
    Judged,
    Setting,
    absent_bars,
    calibration_bars,
    fitted,
    power_bars,
)
from benchmarks.evidence.law import law_bars
from benchmarks.evidence.plots import curves, plot
from benchmarks.evidence.ranked import Ranked, Subset, World, kept, ranked, resaves
from benchmarks.evidence.several import several, ten_copies
from benchmarks.quality.study import RESULTS, write
from core.config import NullConfig
from core.encoders.load import load_encoder
from core.images.decode import load_image
from core.measures.evaluate import Bench
from core.search.edges import EDGES

Without = Callable[[int], np.ndarray]
"""Rows that a query is ranked without, by its place."""

console = Console()


def main() -> None:
    """Rank, judge, print, and write the numbers and the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="moco")
    parser.add_argument("--held-out", type=int, default=4_000, help="photos asked without source")
    parser.add_argument("--small", type=int, default=1_000, help="images of the small gallery")
    parser.add_argument("--copies", type=int, default=3, help="copies planted of every exemplar")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ["WELLSPRING_DATA"])
    cache = Path(os.environ.get("WELLSPRING_CACHE", Path.home() / ".cache" / "wellspring"))
    encoder = load_encoder(options.encoder)
    bench = Bench(data / "pairs.json", options.gallery, [encoder], cache=cache)
    world = World(bench, encoder, data=data, cache=cache / "evidence" / encoder.identity)
    settings: dict[str, Setting] = {}
    whole = world.subset(np.arange(len(world.features)))
    for name, gallery in _galleries(world, whole, small=options.small, copies=options.copies):
        held = None if gallery is whole else _outside(world, whole, gallery, options.held_out)
        settings[name] = judge(world, gallery, data=data, outside=held, held_out=options.held_out)
    bars = [
        replace(bar, gallery=name)
        for name, setting in settings.items()
        for bar in report(setting, draws=options.draws)
    ]
    bars += law_bars(settings, draws=options.draws)
    null = fitted(settings["all"].null)
    bars += [*several(world, whole, null), *ten_copies(world, whole, small=options.small)]
    drawn = curves(settings["all"])
    write("evidence", {"bars": [asdict(bar) for bar in bars], **drawn})
    plot(drawn, RESULTS)
    show(bars)


def _galleries(
    world: World, whole: Subset, *, small: int, copies: int
) -> Iterator[tuple[str, Subset]]:
    """The whole world, a small one with all exemplars, and that one with copies of these."""
    yield "all", whole
    rows = np.sort(np.random.default_rng(0).permutation(world.real)[:small])
    rows = np.concatenate([rows, whole.rows[world.real :]])
    yield "small", world.subset(rows)
    made = {
        f"{i}-{k}": copy
        for i, row in enumerate(whole.rows[world.real :])
        for k, copy in enumerate(resaves(load_image(world.paths[row], fit=256).image, copies))
    }
    planted = np.array(list(world.add("planted", made).values()))
    yield "small, copies planted", world.subset(np.concatenate([rows, planted]))


def _outside(world: World, whole: Subset, gallery: Subset, count: int) -> np.ndarray:
    """Photos that are not in a gallery, nor near-duplicates of any there; one of a group."""
    inside = gallery.rows[gallery.rows < world.real]
    held = [row for row in _one_per_group(whole.groups[: world.real]) if row not in set(inside)]
    apart = ~np.isin(whole.groups[held], whole.groups[inside])
    return np.array(held)[apart][:count]


def judge(
    world: World, gallery: Subset, *, data: Path, outside: np.ndarray | None, held_out: int
) -> Setting:
    """All queries ranked in a gallery.

    Args:
        world: what is asked.
        gallery: where it is looked for.
        data: folder of the generated images without a source.
        outside: photos that are not there; without them, images of the gallery that the null does
            not use are asked, each without its own group.
        held_out: most of these.
    """
    rows, groups = gallery.rows, gallery.groups
    exemplar = np.flatnonzero(rows >= world.real)
    pairs = world.bench.all_pairs
    asked = np.array([world.bench.row[pair.generated] for pair in pairs])
    place_of = {name: exemplar[i] for i, name in enumerate(world.bench.exemplars)}
    right = [groups[[place_of[name] for name in pair.exemplars]] for pair in pairs]
    images = world.bench.images
    vectors = world.head(images.features(world.encoder)[asked], role="query")
    patches = images.patches(world.encoder)[asked]  # pyright: ignore[reportOptionalSubscript]
    edges = images.features(EDGES)[asked]
    none = np.empty(0, np.int64)

    def found(
        name: str, vectors: np.ndarray, local: np.ndarray, edges: np.ndarray, without: Without
    ) -> Ranked:
        return kept(
            world.cache / "ranked",
            name,
            (gallery.identity, vectors, [without(i) for i in range(len(vectors))]),
            lambda: ranked(gallery, vectors, local, edges, without=without, what=name),
        )

    def photos(name: str, chosen: np.ndarray, without: Without) -> Ranked:
        asked = world.head(world.features[chosen], role="query")
        return found(name, asked, world.patches[chosen], world.edges[chosen], without)

    drawn = _one_per_group(groups[rows < world.real])
    drawn, rest = np.split(drawn, [min(NullConfig().queries, len(drawn))])
    null = photos("null", rows[drawn], lambda i: np.flatnonzero(groups == groups[drawn[i]]))
    if outside is None:
        rest = rest[:held_out]
        held = photos("held out", rows[rest], lambda i: np.flatnonzero(groups == groups[rest[i]]))
        outside = rows[rest]
    else:
        held = photos("held out", outside, lambda _: none)
    made = world.synthetic(data / "synthetic")
    asked_made = world.head(made.features(world.encoder), role="query")
    local = np.asarray(made.patches(world.encoder))
    lines = made.features(EDGES)
    generated = found("synthetic", asked_made, local, lines, lambda _: none)
    names = [record.path for record in made.records]
    present = found("present", vectors, patches, edges, lambda _: none)
    return Setting(
        null=null.scores,
        held_out=Judged(held.scores, [str(row) for row in outside]),
        synthetic={
            kind: Judged(generated.scores[chosen], [_cluster(names[i]) for i in chosen])
            for kind in ("stable_diffusion", "style_transfer", "gpt4o")
            if len(chosen := np.flatnonzero([n.startswith(kind) for n in names]))
        },
        pairs=pairs,
        present=present.scores,
        right=np.array([g in r for g, r in zip(present.groups[:, 0], right, strict=True)]),
        absent=found("absent", vectors, patches, edges, lambda _: exemplar).scores,
    )


def _one_per_group(groups: np.ndarray) -> np.ndarray:
    """Rows in random order, one of every group, so that no two share a near-duplicate."""
    return np.random.default_rng(0).permutation(np.unique(groups, return_index=True)[1])


def _cluster(path: str) -> str:
    """Artist prompt of a Stable Diffusion image, content of a style transfer, else the image."""
    folder, _, name = path.rpartition("/")
    stem = PurePosixPath(name).stem
    if folder.endswith("stable_diffusion"):
        return stem.rpartition("_")[0]
    return stem.partition("-")[0] if folder.endswith("style_transfer") else stem


def report(setting: Setting, *, draws: int) -> list[Bar]:
    """Every bar of one gallery."""
    config = NullConfig()
    return [
        *absent_bars(setting, draws=draws),
        *power_bars(setting),
        *calibration_bars(setting, config, draws=draws),
        *calibration_bars(setting.half("untouched"), config, draws=draws, what=", untouched half"),
    ]


def show(bars: Sequence[Bar]) -> None:
    """A table of the bars."""
    table = Table("gallery", "bar", "what", "found", "wanted", "holds")
    for bar in bars:
        table.add_row(bar.gallery, bar.bar, bar.what, bar.found, bar.wanted, str(bar.holds))
    console.print(table)


if __name__ == "__main__":
    main()
