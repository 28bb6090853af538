"""Draws the packages and their imports as they are: ``make architecture``."""

from __future__ import annotations

import ast
import sys
from collections import Counter
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

ROOT = Path(__file__).parents[1]
FLOORS = [
    ["app"],
    ["core.cli", "core.report", "core.training"],
    ["core.service"],
    ["core.measures", "core.explain"],
    ["core.evidence"],
    ["core.search"],
    ["core.gallery"],
    ["core.encoders", "core.heads"],
    ["core.images"],
]
"""Packages from what people use down to files; settings and values lie below all of them."""
_WIDTH, _HEIGHT = 2.6, 0.62


def package_of(module: str) -> str:
    """The package that a module is drawn in."""
    parts = module.split(".")
    return "app" if parts[0] == "app" else ".".join(parts[:2])


def modules() -> dict[str, Path]:
    """Every module of app and core by its dotted name."""
    found = {}
    for path in [*ROOT.glob("app/**/*.py"), *ROOT.glob("core/**/*.py")]:
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str, path: Path, known: dict[str, Path]) -> set[str]:
    """The modules of ours that a module imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & known.keys()
            found |= inner or ({node.module} & known.keys())
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & known.keys()
    return found - {module}


def draw(axes: Axes, sizes: Counter[str], arrows: Counter[tuple[str, str]]) -> None:
    """Boxes floor by floor, and an arrow for every two packages, as wide as there are imports."""
    places: dict[str, tuple[float, float]] = {}
    for floor, names in enumerate(FLOORS):
        for place, name in enumerate(names):
            x = (place - (len(names) - 1) / 2) * (_WIDTH + 1.0)
            places[name] = (x, -1.25 * floor)
    for (one, two), count in sorted(arrows.items()):
        if one in places and two in places:
            (x1, y1), (x2, y2) = places[one], places[two]
            bend = 0.0 if abs(y1 - y2) < 1.3 else 0.25 * (1 if x1 + x2 >= 0 else -1)
            style = f"arc3,rad={bend}"
            width = 0.4 + 0.12 * count
            start, end = (x1, y1 - _HEIGHT / 2), (x2, y2 + _HEIGHT / 2)
            arrow = FancyArrowPatch(
                start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=9,
                linewidth=width, color="#5b7f6a", alpha=0.55, zorder=1,
            )  # fmt: skip
            arrow.set_gid(f"{one} to {two}")
            axes.add_patch(arrow)
    for name, (x, y) in places.items():
        corner = (x - _WIDTH / 2, y - _HEIGHT / 2)
        box = FancyBboxPatch(
            corner, _WIDTH, _HEIGHT, boxstyle="round,pad=0.04", facecolor="#eef4f0",
            edgecolor="#2f5d45", linewidth=1.2, zorder=2,
        )  # fmt: skip
        axes.add_patch(box)
        axes.text(x, y + 0.1, name, ha="center", va="center", fontsize=11, zorder=3)
        axes.text(
            x, y - 0.16, f"{sizes[name]} modules", ha="center", va="center", fontsize=8,
            color="#567", zorder=3,
        )  # fmt: skip


def arrows_of(pairs: list[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """How many imports lead from one package to another."""
    arrows = Counter((package_of(one), package_of(two)) for one, two in pairs)
    return Counter({pair: n for pair, n in arrows.items() if pair[0] != pair[1]})


def imports_of_all(known: dict[str, Path]) -> list[tuple[str, str]]:
    """Every import of one module of ours by another."""
    return [(name, other) for name, path in known.items() for other in imports(name, path, known)]


def main() -> None:
    """Measure and draw; print the numbers."""
    known = modules()
    sizes = Counter(package_of(name) for name in known)
    pairs = imports_of_all(known)
    arrows = arrows_of(pairs)
    mpl.rcParams["svg.hashsalt"] = "wellspring"
    figure, axes = plt.subplots(figsize=(9.5, 11))
    draw(axes, sizes, arrows)
    axes.set(xlim=(-5.6, 5.6), ylim=(-1.25 * len(FLOORS) + 0.5, 0.8))
    axes.axis("off")
    figure.savefig(ROOT / "docs" / "architecture.svg", metadata={"Date": None}, bbox_inches="tight")
    core = [pair for pair in pairs if pair[0].startswith("core") and pair[1].startswith("core")]
    across = sum(package_of(one) != package_of(two) for one, two in core)
    sys.stdout.write(
        f"core: {sum(n.startswith('core') for n in known)} modules, {len(core)} imports, "
        f"{across} of them between packages\n"
    )


if __name__ == "__main__":
    main()
