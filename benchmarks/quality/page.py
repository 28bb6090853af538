"""docs/results.md and its plots, written from the stored measurements."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.quality import (
    axes,
    combining,
    defaults,
    finished,
    gallery_size,
    heads,
    known_pairs,
    levels,
    plots,
    rivals,
    robustness,
    roles,
    scoring,
    settings,
    starts,
    trained,
    transfers,
)
from benchmarks.quality.plots import Point
from benchmarks.quality.study import RESULTS, stored
from core.encoders.load import load_encoder
from core.encoders.registry import BUNDLED, encoder_infos

DOCS = Path(__file__).parents[2] / "docs"

_CHANCE, _TWENTIETHS = 4_096, 20


def write(folder: Path) -> None:
    """Write ``results.md`` and ``plots`` below the folder from the stored measurements."""
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    sections = {
        "defaults": defaults.section,
        "roles": roles.section,
        "trained": trained.section,
        "rivals": rivals.section,
        "rivals_roles": rivals.section,
        "known_pairs": known_pairs.section,
        "levels": levels.section,
        "levels_roles": levels.section,
        "starts": starts.section,
        "starts_roles": starts.section,
        "combining": combining.section,
        "settings": settings.section,
        "scoring": scoring.section,
        "heads": heads.section,
        "maps": finished.maps,
        "choices": finished.choices,
        "axes": axes.section,
        "gallery_size": gallery_size.section,
        "robustness": robustness.section,
        "transfers": transfers.section,
        "proxies": finished.proxies,
        "defaults_first": finished.before,
    }
    parts = [_HEADER]
    for name, section in sections.items():
        found = stored(name)
        if found is not None:
            heading, *rest = section(found, folder / "plots")
            parts += [heading, *_older(found), *rest, _provenance(name, found)]
    parts += _training(folder / "plots")
    reading = RESULTS / "reading.md"
    if reading.is_file():
        parts.append(reading.read_text(encoding="utf-8").strip())
    (folder / "results.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


_HEADER = """# Results

Written by `make results` from the measurements in benchmarks/results; `make measure` makes them
(docs/data.md says what from). Brackets are 95 % percentile bootstraps that resample whole sets of
exemplars. The pairs are split by a hash of the exemplar: settings were chosen on the *tune* half,
the *untouched* half only reports. They are a validation set of ours: nothing here compares with
published figures of other benchmarks."""


def _provenance(name: str, found: Mapping[str, Any]) -> str:
    """What measured a part, and on what."""
    module = name.removesuffix("_roles")  # the same measurement, of the pairs with roles
    note = f"Measured with `benchmarks/quality/{module}.py`"
    if name in finished.FINISHED:
        note = "Measured with `{}` at commit {}".format(*finished.FINISHED[name])
    if "gallery_images" not in found:
        return f"{note}."
    names = ", ".join(f"{name} `{identity}`" for name, identity in found["encoders"].items())
    return f"{note} among {found['gallery_images']:,} images with {names}."


def _older(found: Mapping[str, Any]) -> list[str]:
    """A line on what a part was measured with, where that is not what ships."""
    shipped = {info.name for info in encoder_infos()}
    old = [
        name
        for name, identity in found.get("encoders", {}).items()
        if name in shipped and load_encoder(name).identity != identity
    ]
    lines = (
        [f"**Measured with older weights than those that ship: {', '.join(old)}.**"] if old else []
    )
    lines += [found["older"]] if "older" in found else []
    return [" ".join(lines)] if lines else []


def _training(folder: Path) -> list[str]:
    """The losses of the bundled encoders, by twentieths of their runs."""
    series: dict[str, list[Point]] = {}
    for name in ("moco", "dino"):
        with (BUNDLED / name / "training.csv").open(encoding="utf-8", newline="") as file:
            losses = np.array([float(row["loss"]) for row in csv.DictReader(file)])
        blocks = np.array_split(losses / np.log(_CHANCE), _TWENTIETHS)
        series[name] = [Point(b.mean(), *np.quantile(b, [0.1, 0.9])) for b in blocks]
    places = [f"{5 * i + 5}" if i % 4 == 3 else "" for i in range(_TWENTIETHS)]
    title, file = "Loss, as a share of that of chance", folder / "training-loss.svg"
    drawn = plots.lines(file, title, series, places=places, unit="% of the training")
    return [
        "## Training of the bundled encoders",
        f"Loss over ln {_CHANCE:,}, which is what a uniform guess has among the queue's images and "
        "among the prototypes alike: mean of each twentieth of the steps, with the middle 80 %. "
        "assets/README.md has the recipe.",
        drawn,
    ]
