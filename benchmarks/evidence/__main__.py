"""What an answer's p-values, names and confidences are worth: ``python -m benchmarks.evidence``.

Galleries are built and asked as the program builds and asks them: with all exemplars of the known
pairs and without any. Photographs that are asked are in no gallery, nor are near-duplicates of
them. Medians are over draws of one query per cluster: queries made from one image are not
independent.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import numpy as np
import torch
from rich.table import Table
from threadpoolctl import threadpool_limits

from benchmarks.evidence.answer_sets import set_bars
from benchmarks.evidence.bars import (
    Bar,
    Judged,
    Setting,
    absent_bars,
    calibration_bars,
    power_bars,
)
from benchmarks.evidence.edits import edit_bars
from benchmarks.evidence.galleries import Builder, ask
from benchmarks.evidence.law import law_bars
from benchmarks.evidence.nominal import GALLERIES, SIZES, nominal_bars
from benchmarks.evidence.plots import curves, plot
from benchmarks.evidence.roles import PHOTOS, measure_roles, section
from benchmarks.evidence.several import several, ten_copies
from benchmarks.evidence.tiny import tiny_bars
from benchmarks.pages import write_table
from benchmarks.quality.study import RESULTS, stored, write
from core.cli.console import results
from core.encoders.backbones import build
from core.encoders.load import load_encoder
from core.encoders.network import NetworkEncoder
from core.encoders.registry import NETWORKS, is_here
from core.gallery.gallery import Gallery
from core.images.listing import list_images
from core.measures.pairs import read_pairs
from core.measures.retrieval import Pair
from core.values import Encoder

T = TypeVar("T")

NOMINAL = ("lite0", "moco", "dino", "random", "dino-vits16")

Files = Mapping[str, Path]
"""Images by the names that they have in galleries."""


def main() -> None:
    """Build, ask, judge, print, and write the numbers and the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--only", nargs="*", choices=PARTS, default=list(PARTS), help="parts")
    parser.add_argument("--each", type=int, help="images of every set of pairs or kind at most")
    parser.add_argument("--held-out", type=int, default=4_000, help="photos asked without source")
    parser.add_argument("--small", type=int, default=1_000, help="images of the small gallery")
    parser.add_argument("--copies", type=int, default=3, help="copies planted of every exemplar")
    parser.add_argument("--composites", type=int, default=60, help="of every kind")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument(
        "--nominal", nargs="*", default=NOMINAL, help="encoders that are tried under all heads"
    )
    parser.add_argument(
        "--sizes", nargs="*", type=int, default=SIZES, help="galleries that --nominal tries"
    )
    parser.add_argument(
        "--galleries", type=int, default=GALLERIES, help="of one size, that --nominal tries at most"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1, user_api="blas")  # as while serving, see docs/decisions/006-threads.md
    cache = Path(os.environ.get("WELLSPRING_CACHE", Path.home() / ".cache" / "wellspring"))
    world = World.of(
        Path(os.environ["WELLSPRING_DATA"]),
        options.gallery,
        Builder(cache / "evidence"),
        encoder=load_encoder(options.encoder),
        held_out=options.held_out,
        each=options.each,
    )
    found = stored("evidence") or {}
    for part in options.only:
        for key, value in PARTS[part](world, options).items():
            found[key] = [asdict(bar) for bar in value] if key in PARTS else value
            if key in PARTS:
                show(value)
        write("evidence", found)
    if "answers" in options.only:
        plot(found, RESULTS)


def _answers(world: World, options: argparse.Namespace) -> dict[str, Any]:
    """False attributions, power, confidence and its law in three galleries; and the curves."""
    settings: dict[str, Setting] = {}
    for name, photos, planted in _galleries(world, small=options.small, copies=options.copies):
        settings[name] = judge(world, photos, planted)
    bars = [
        replace(bar, gallery=name)
        for name, setting in settings.items()
        for bar in report(setting, draws=options.draws)
    ]
    bars += law_bars(settings, draws=options.draws)
    return {"answers": bars, **curves(settings["all"])}


def _edits(world: World, options: argparse.Namespace) -> dict[str, Any]:
    return {
        "edits": edit_bars(
            world.builder, world.photos, world.data, world.encoder, draws=options.draws
        )
    }


def _several(world: World, options: argparse.Namespace) -> dict[str, Any]:
    asked = world.builder.workspace({**world.photos, **world.exemplars}, world.encoder)
    bars = several(asked, world.photos, each=options.composites)
    some = _some(world.photos, options.small, seed=1)
    return {"several": [*bars, *ten_copies(world.builder, some, world.encoder)]}


def _nominal(world: World, options: argparse.Namespace) -> dict[str, Any]:
    """Bars by encoder, those of encoders that are not asked for kept."""
    found = (stored("evidence") or {}).get("nominal", [])
    for name in options.nominal:
        encoder = _encoder(name)
        bars = nominal_bars(
            world.builder, world.apart, [encoder], sizes=options.sizes, most=options.galleries
        )
        found = [bar for bar in found if not bar["what"].startswith(f"{encoder.name},")]
        found += [asdict(bar) for bar in bars]
    return {"nominal": [Bar(**bar) for bar in found]}


def _tiny(world: World, options: argparse.Namespace) -> dict[str, Any]:
    """Galleries of few images: photographs and some of the exemplars."""
    kinds = {kind: files for kind, files in _synthetic(world).items() if files}
    asked = {"photographs": world.held_out, **kinds}
    return {
        "tiny": tiny_bars(
            world.builder,
            world.photos,
            world.pairs,
            world.data,
            world.encoder,
            without={name: list(files.values()) for name, files in asked.items()},
        )
    }


def _sets(world: World, options: argparse.Namespace) -> dict[str, Any]:
    """How many images a list takes, in photographs and the exemplars of all known pairs."""
    del options
    return {"sets": set_bars(world.builder, world.photos, world.pairs, world.data, world.encoder)}


def _roles(world: World, options: argparse.Namespace) -> dict[str, Any]:
    """Who is named as the source of structure and of appearance; writes its place of the page."""
    del options
    found = measure_roles(
        world.builder,
        _some(world.photos, PHOTOS, seed=0),
        {
            "photographs": world.held_out,
            **{
                kind: dict(_drawn([*files.items()], 200))
                for kind, files in _synthetic(world).items()
            },
        },
        world.pairs,
        world.data,
        world.encoder,
    )
    write_table(
        RESULTS.parents[1] / "docs" / "evidence.md",
        section(found),
        command="python -m benchmarks.evidence --only roles",
    )
    return {"named roles": found}


def _encoder(name: str) -> Encoder:
    """An encoder; one of the hub whose weights are not here has random ones in its layout."""
    if name not in NETWORKS or is_here(NETWORKS[name]):
        return load_encoder(name)
    network = build(NETWORKS[name].config, seed=0).eval()
    return NetworkEncoder(f"{name} with random weights", network)


PARTS: Mapping[str, Callable[[World, argparse.Namespace], dict[str, Any]]] = {
    "answers": _answers,
    "edits": _edits,
    "several": _several,
    "nominal": _nominal,
    "tiny": _tiny,
    "sets": _sets,
    "roles": _roles,
}
"""What is measured, each part by itself."""


@dataclass(frozen=True)
class World:
    """Photographs, exemplars and what is made from these."""

    builder: Builder
    encoder: Encoder
    pairs: Sequence[Pair]
    data: Path
    exemplars: Files
    photos: Files
    """Photographs of the galleries: none is a near-duplicate of an exemplar or a held-out one."""
    held_out: Files
    """Photographs that are in no gallery, one of every group of near-duplicates."""
    apart: Files
    """Photographs of either kind, one of every group."""
    each: int | None = None
    """Images that are asked of every set of pairs or kind at most, drawn at random."""

    @classmethod
    def of(
        cls,
        data: Path,
        gallery: Path,
        builder: Builder,
        *,
        encoder: Encoder,
        held_out: int,
        each: int | None = None,
    ) -> World:
        """Split photographs by their groups in one gallery of all of them and of the exemplars."""
        known = read_pairs(data / "pairs.json")
        sets = {s: [p for p in known if p.source == s] for s in {p.source for p in known}}
        pairs = [pair for source in sorted(sets) for pair in _drawn(sets[source], each)]
        exemplars = {name: data / name for pair in pairs for name in pair.exemplars}
        photos = _photos(gallery)
        everything = builder.workspace({**photos, **exemplars}, encoder)
        names = np.array([record.path for record in everything.gallery.records])
        groups = np.asarray(everything.collection.groups)
        free = ~np.isin(groups, groups[np.isin(names, list(exemplars))])
        apart = _one_per_group(groups)
        apart = apart[free[apart]]
        held = apart[: min(held_out, len(apart) // 2)]
        rest = names[free & ~np.isin(groups, groups[held])]
        return cls(
            builder,
            encoder,
            pairs,
            data,
            exemplars,
            photos={name: photos[name] for name in rest},
            held_out={name: photos[name] for name in names[held]},
            apart={name: photos[name] for name in names[apart]},
            each=each,
        )


def _drawn(items: Sequence[T], count: int | None) -> list[T]:
    """All items, or some of them drawn at random, in their order."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(items))[:count])
    return [items[i] for i in chosen]


def _photos(gallery: Path) -> Files:
    """Images of a built gallery, or of a folder."""
    if (gallery / "gallery.json").is_file():
        opened = Gallery.open(gallery, read_only=True)
        return {f"photos/{r.path}": opened.root / r.path for r in opened.records}
    return {f"photos/{p.relative_to(gallery).as_posix()}": p for p in list_images(gallery)}


def _one_per_group(groups: np.ndarray) -> np.ndarray:
    """Rows in random order, one of every group, so that no two share a near-duplicate."""
    return np.random.default_rng(0).permutation(np.unique(groups, return_index=True)[1])


def _galleries(world: World, *, small: int, copies: int) -> Iterator[tuple[str, Files, Files]]:
    """All photographs, some of them, and those with copies of the exemplars."""
    some = _some(world.photos, small, seed=0)
    yield "all", world.photos, {}
    yield "small", some, {}
    yield "small, copies planted", some, world.builder.resaved(world.exemplars, copies)


def _some(photos: Files, count: int, *, seed: int) -> Files:
    names = list(photos)
    chosen = np.sort(np.random.default_rng(seed).permutation(len(names))[:count])
    return {names[i]: photos[names[i]] for i in chosen}


def judge(world: World, photos: Files, planted: Files) -> Setting:
    """Everything asked of photographs with the exemplars, and of the photographs alone.

    Args:
        world: what is asked.
        photos: the photographs.
        planted: copies of the exemplars.
    """
    builder, encoder, pairs = world.builder, world.encoder, world.pairs
    asked = builder.workspace({**photos, **world.exemplars, **planted}, encoder)
    alone = builder.workspace(photos, encoder)
    generated = [world.data / pair.generated for pair in pairs]
    kinds = _synthetic(world)
    held_out, names = list(world.held_out.values()), list(world.held_out)
    return Setting(
        held_out=Judged(ask(asked, held_out, what="held-out photos"), names),
        of_their_kind=Judged(ask(alone, held_out, what="the same, of photographs alone"), names),
        synthetic={
            kind: Judged(ask(asked, list(files.values()), what=kind), [*map(_cluster, files)])
            for kind, files in kinds.items()
            if files
        },
        pairs=pairs,
        present=ask(
            asked,
            generated,
            what="generated images with their sources",
            right=[pair.exemplars for pair in pairs],
        ),
        absent=ask(alone, generated, what="generated images without their sources"),
    )


def _synthetic(world: World) -> dict[str, Files]:
    """Generated images whose sources are unknown, by their kind."""
    folder = world.data / "synthetic"
    made = {path.relative_to(folder).as_posix(): path for path in list_images(folder)}
    return {
        kind: dict(_drawn([i for i in made.items() if i[0].startswith(kind)], world.each))
        for kind in ("stable_diffusion", "style_transfer", "gpt4o")
    }


def _cluster(path: str) -> str:
    """Artist prompt of a Stable Diffusion image, content of a style transfer, else the image."""
    folder, _, name = path.rpartition("/")
    stem = PurePosixPath(name).stem
    if folder.endswith("stable_diffusion"):
        return stem.rpartition("_")[0]
    return stem.partition("-")[0] if folder.endswith("style_transfer") else stem


def report(setting: Setting, *, draws: int) -> list[Bar]:
    """Every bar of one gallery."""
    return [
        *absent_bars(setting, draws=draws),
        *power_bars(setting),
        *calibration_bars(setting, draws=draws),
        *calibration_bars(setting.half("untouched"), draws=draws, what=", untouched half"),
    ]


def show(bars: Sequence[Bar]) -> None:
    """A table of the bars."""
    table = Table("gallery", "bar", "what", "found", "wanted", "holds")
    for bar in bars:
        table.add_row(bar.gallery, bar.bar, bar.what, bar.found, bar.wanted, str(bar.holds))
    results.print(table)


if __name__ == "__main__":
    main()
