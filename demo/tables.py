"""Table tops as textures: planks, veined marble, tiles, terrazzo and linen."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.spatial import KDTree

from demo.textures import grain, linear, mix, noise, soft

FLOOR = 768
"""Side of a table's texture in pixels."""


def _planks(rng: np.random.Generator, light: str, dark: str) -> np.ndarray:
    """Boards along u, each with a shade and grain of its own: [FLOOR, FLOOR, 3]."""
    rings = grain(rng, FLOOR, cells=(2, 10), bands=34)
    board = FLOOR // 8
    boards = np.split(rings, 8)
    rings = np.concatenate([np.roll(one, int(rng.integers(FLOOR)), axis=1) for one in boards])
    shade = np.repeat(rng.uniform(0.82, 1.12, 8), board)
    gap = np.abs((np.arange(FLOOR) % board) - board / 2) > board / 2 - 1.5
    shade = shade * np.where(gap, 0.35, 1.0)
    return mix(linear(light), linear(dark), rings) * shade[:, None, None]


def _oak(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return _planks(rng, "cba373", "a67c4c"), 0.22


def _walnut(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    return _planks(rng, "80583d", "553524"), 0.18


def _marble(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    base = noise(rng, FLOOR, cells=(3, 3), slope=2.4)
    finer = noise(rng, FLOOR, cells=(7, 7), slope=2.2)
    veins = np.exp(-np.abs(base) * 11) + 0.5 * np.exp(-np.abs(finer) * 14)
    cloud = 0.25 * soft(noise(rng, FLOOR, cells=(4, 4)), 4)
    return mix(linear("eeebe6"), linear("85878d"), np.clip(0.75 * veins + cloud, 0, 1)), 0.08


def _tiles(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    count = 10
    glazes = (linear("dfe6e4"), linear("9fbfc4"), linear("e8d9bd"), linear("c7d3b8"))
    first, second = (glazes[i] for i in rng.permutation(len(glazes))[:2])
    cell = np.arange(FLOOR) * count // FLOOR
    checker = (cell[:, None] + cell[None, :]) % 2
    shade = rng.uniform(0.9, 1.06, (count, count))[cell][:, cell]
    pixels = mix(first, second, checker) * shade[..., None]
    inside = np.abs((np.arange(FLOOR) * count / FLOOR) % 1 - 0.5) < 0.475
    grout = 1 - (inside[:, None] & inside[None, :])
    return mix(pixels, linear("b9b2a6"), grout.astype(float)), 0.1


def _terrazzo(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Stone chips: cells of a Voronoi diagram, shrunk by their second neighbour's distance."""
    points = rng.uniform(0, 1, (2600, 2))
    axis = (np.arange(FLOOR) + 0.5) / FLOOR
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    near, owner = map(np.asarray, KDTree(points, boxsize=1).query(grid, k=2))
    gap = (near[:, 1] - near[:, 0]).reshape(FLOOR, FLOOR)
    size = rng.uniform(0.002, 0.016, len(points))[owner[:, 0]].reshape(FLOOR, FLOOR)
    codes = ("c98d6f", "6f7f78", "d9c2a0", "8a8f96", "b76e5a", "4f5a5e")
    chips = np.array([linear(code) for code in codes])[rng.integers(0, len(codes), len(points))]
    colours = chips[owner[:, 0]].reshape(FLOOR, FLOOR, 3)
    return mix(linear("e6e0d6"), colours, soft(gap - size, 0.002)), 0.12


def _linen(rng: np.random.Generator) -> tuple[np.ndarray, float]:
    """Threads over and under, of uneven thickness."""
    phase = np.arange(FLOOR) * 256 / FLOOR * np.pi
    weave = 0.5 + 0.5 * np.sin(phase)[:, None] * np.sin(phase)[None, :]
    warp, weft = (noise(rng, FLOOR, cells=cells) for cells in ((3, 160), (160, 3)))
    dye = (linear("d8cdb9"), linear("b9c3c4"), linear("cdb8a4"))[int(rng.integers(3))]
    return dye * (0.88 + 0.12 * weave + 0.07 * (warp + weft))[..., None], 1.0


TABLES: dict[str, Callable[[np.random.Generator], tuple[np.ndarray, float]]] = {
    "oak": _oak,
    "walnut": _walnut,
    "marble": _marble,
    "tiles": _tiles,
    "terrazzo": _terrazzo,
    "linen": _linen,
}
