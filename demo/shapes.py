"""The objects of the world, each seeded: vessels, fruit, books, knots, crystals."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from demo.meshes import (
    Curve,
    Part,
    Surface,
    grounded,
    lathe,
    moved,
    rotation,
    rounded_box,
    smooth_curve,
    surface,
    tiles,
    tube,
)


def vessel(outside: Curve, *, wall: float, ribs: int = 0, depth: float = 0.0) -> Part:
    """A hollow vessel with a rounded lip, from its outer curve (foot first)."""
    outer = smooth_curve([(0.0, 0.0), *outside], 64)
    inner = outer - [wall, 0.0]
    inner = inner[(inner[:, 0] > 0.02) & (inner[:, 1] > wall)][::-1]
    lip = [(outer[-1, 0] - wall / 2, outer[-1, 1] + wall / 2)]
    profile = np.concatenate([outer, lip, inner, [(0.0, inner[-1, 1])]])
    return lathe(profile, ribs=ribs, depth=depth)


def stem(rng: np.random.Generator, at: float, length: float = 0.16) -> Part:
    """A short bent stalk that starts on the axis at height ``at``."""
    t = np.linspace(0, 1, 12)
    bend, angle = rng.uniform(0.04, 0.09), rng.uniform(0, 2 * np.pi)
    along = bend * t**2
    path = np.stack([along * np.cos(angle), along * np.sin(angle), at + length * t], axis=1)
    radius = np.interp(t, [0, 0.9, 0.97, 1], [0.017, 0.022, 0.02, 0.001])
    return Part(tube(path, radius, closed=False), "stem")


def sphere(_rng: np.random.Generator) -> tuple[Part, ...]:
    """A ball."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 64)
    profile = 0.42 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    profile[[0, -1], 0] = 0.0
    return (lathe(profile),)


def vase(rng: np.random.Generator) -> tuple[Part, ...]:
    """A bellied vase with a foot, a neck and a flaring lip."""
    foot, belly = rng.uniform(0.16, 0.24), rng.uniform(0.3, 0.44)
    neck, lip = rng.uniform(0.1, 0.18), rng.uniform(0.17, 0.28)
    middle, throat = rng.uniform(0.36, 0.62), rng.uniform(0.86, 0.98)
    curve = [(foot, 0.0), (foot * 1.03, 0.04), (belly, middle), (neck, throat), (lip, 1.15)]
    ribs, depth = _flutes(rng)
    return (vessel(curve, wall=0.035, ribs=ribs, depth=depth),)


def _flutes(rng: np.random.Generator) -> tuple[int, float]:
    return (int(rng.integers(10, 20)), 0.07) if rng.random() < 0.3 else (0, 0.0)


def bowl(rng: np.random.Generator) -> tuple[Part, ...]:
    """An open bowl on a small foot."""
    foot, rim, height = rng.uniform(0.17, 0.24), rng.uniform(0.5, 0.62), rng.uniform(0.36, 0.5)
    full = rng.uniform(0.72, 0.95) * rim
    curve = [(foot, 0.0), (foot, 0.05), (full, 0.5 * height), (rim, height)]
    ribs, depth = _flutes(rng)
    return (vessel(curve, wall=0.04, ribs=ribs, depth=depth),)


def bottle(rng: np.random.Generator) -> tuple[Part, ...]:
    """A bottle with a shoulder and a narrow neck."""
    body, neck = rng.uniform(0.2, 0.32), rng.uniform(0.07, 0.1)
    shoulder, top = rng.uniform(0.5, 0.72), rng.uniform(1.15, 1.35)
    low = [(body * 0.94, 0.0), (body, 0.05), (body * rng.uniform(0.92, 1.08), shoulder)]
    high = [(neck, shoulder + 0.25), (neck, top - 0.08), (neck * 1.35, top - 0.06)]
    return (vessel([*low, *high, (neck * 1.35, top)], wall=0.03),)


def goblet(rng: np.random.Generator) -> tuple[Part, ...]:
    """A cup on a slender stem and a round foot."""
    foot, cup, rim = rng.uniform(0.22, 0.3), rng.uniform(0.27, 0.36), rng.uniform(0.24, 0.36)
    rise = rng.uniform(0.34, 0.46)
    low = [(foot, 0.0), (foot * 0.97, 0.03), (0.06, 0.08), (0.045, rise * 0.6), (0.06, rise)]
    outer = smooth_curve([(0.0, 0.0), *low, (cup, rise + 0.24), (rim, rise + 0.58)], 72)
    inside = [(rim - 0.03, rise + 0.58), (cup - 0.03, rise + 0.25), (0.08, rise + 0.06)]
    inner = smooth_curve([*inside, (0.0, rise + 0.04)], 40)
    return (lathe(np.concatenate([outer, inner])),)


def pear(rng: np.random.Generator) -> tuple[Part, ...]:
    """A pear with its stalk."""
    belly, neck = rng.uniform(0.3, 0.36), rng.uniform(0.14, 0.19)
    waist = rng.uniform(0.58, 0.66)
    low = [(0.0, 0.04), (0.1, 0.0), (belly * 0.86, 0.12), (belly, 0.3)]
    high = [(neck * 1.25, waist), (neck, waist + 0.12), (neck * 0.6, waist + 0.24)]
    body = lathe(smooth_curve([*low, *high, (0.0, waist + 0.25)]))
    return (body, stem(rng, waist + 0.23))


def apple(rng: np.random.Generator) -> tuple[Part, ...]:
    """An apple, dimpled above and below, with its stalk."""
    wide, high = rng.uniform(0.36, 0.42), rng.uniform(0.58, 0.68)
    low = [(0.0, 0.07), (0.09, 0.015), (0.2, 0.0), (wide * 0.82, 0.14 * high), (wide, 0.55 * high)]
    top = [(wide * 0.8, 0.9 * high), (wide * 0.45, high), (0.1, high * 0.93), (0.0, high * 0.78)]
    body = lathe(smooth_curve([*low, *top]))
    return (body, stem(rng, high * 0.76, 0.26))


def pumpkin(rng: np.random.Generator) -> tuple[Part, ...]:
    """A ribbed pumpkin with its stalk."""
    wide, high = rng.uniform(0.44, 0.54), rng.uniform(0.48, 0.62)
    low = [(0.0, 0.06), (0.14, 0.0), (wide * 0.82, 0.13 * high), (wide, 0.5 * high)]
    top = [(wide * 0.8, 0.88 * high), (0.18, high), (0.06, high * 0.93), (0.0, high * 0.88)]
    body = lathe(smooth_curve([*low, *top]), ribs=int(rng.integers(8, 13)), depth=0.13)
    return (body, stem(rng, high * 0.86, 0.22))


def cone(rng: np.random.Generator) -> tuple[Part, ...]:
    """A cone with a softened base and tip."""
    base, high = rng.uniform(0.3, 0.42), rng.uniform(0.85, 1.15)
    edge = [(0.0, 0.0), (base * 0.93, 0.0), (base, 0.015), (base * 0.985, 0.05)]
    profile = [*edge, (base * 0.5, 0.05 + (high - 0.05) * 0.5), (0.02, high - 0.015), (0.0, high)]
    return (lathe(smooth_curve(profile, 96)),)


def torus(rng: np.random.Generator) -> tuple[Part, ...]:
    """A ring, lying or standing."""
    thick = rng.uniform(0.11, 0.18)
    angle = np.linspace(0, 2 * np.pi, 129)[:-1]
    path = (0.52 - thick) * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=1)
    ring = Part(tube(path, np.full(128, thick), closed=True))
    turn = rotation(2, rng.uniform(-0.7, 0.7)) @ rotation(0, np.pi / 2)
    return (moved(ring, turn=turn) if rng.random() < 0.6 else ring,)


def knot(rng: np.random.Generator) -> tuple[Part, ...]:
    """A torus knot, standing."""
    p, q = ((2, 3), (3, 2), (2, 5))[int(rng.integers(3))]
    t = np.linspace(0, 2 * np.pi, 361)[:-1]
    wide = 1 + 0.42 * np.cos(q * t)
    path = np.stack([wide * np.cos(p * t), wide * np.sin(p * t), 0.42 * np.sin(q * t)], axis=1)
    thick = rng.uniform(0.07, 0.085) if q < 5 else 0.055
    body = Part(tube(0.36 * path, np.full(360, thick), closed=True))
    turn = rotation(2, rng.uniform(-0.6, 0.6)) @ rotation(0, np.pi / 2 - rng.uniform(0, 0.5))
    return (moved(body, turn=turn),)


def books(rng: np.random.Generator) -> tuple[Part, ...]:
    """Two to four books, each turned a little."""
    parts: list[Part] = []
    height = 0.0
    for _ in range(int(rng.integers(2, 5))):
        long, wide, thick = rng.uniform(0.8, 1.0), rng.uniform(0.58, 0.72), rng.uniform(0.1, 0.2)
        turn = rotation(2, rng.uniform(-0.35, 0.35))
        parts += [moved(p, turn=turn, shift=(0, 0, height)) for p in _book(long, wide, thick)]
        height += thick + 0.004
    return tuple(parts)


def _book(long: float, wide: float, thick: float) -> list[Part]:
    """Two boards, a spine and the pages between them, lying."""
    board, lip = 0.022, 0.025
    cover = Part(rounded_box((long, wide, board), 0.008))
    spine = Part(rounded_box((long, board, thick), 0.01))
    leaves = (long - 2 * lip, wide - lip - board, thick - 2 * board - 0.002)
    pages = Part(rounded_box(leaves, 0.004), "pages")
    return [
        moved(cover, shift=(0, 0, board / 2)),
        moved(cover, shift=(0, 0, thick - board / 2)),
        moved(spine, shift=(0, -wide / 2 - board / 2 + 0.004, thick / 2)),
        moved(pages, shift=(0, 0.0, thick / 2)),
    ]


def blocks(rng: np.random.Generator) -> tuple[Part, ...]:
    """A tower of three or four blocks."""
    parts: list[Part] = []
    height, side = 0.0, rng.uniform(0.38, 0.46)
    for _ in range(int(rng.integers(3, 5))):
        tall = side * rng.uniform(0.6, 1.0)
        block = Part(rounded_box((side, side * rng.uniform(0.8, 1.0), tall), 0.035))
        sway = rng.uniform(-0.04, 0.04, size=2)
        turn = rotation(2, rng.uniform(-0.8, 0.8))
        parts.append(moved(block, turn=turn, shift=(sway[0], sway[1], height + tall / 2)))
        height += tall + 0.003
        side *= rng.uniform(0.72, 0.95)
    return tuple(parts)


def crystal(rng: np.random.Generator) -> tuple[Part, ...]:
    """A cluster of pointed prisms."""
    parts = [Part(_prism(rng, rng.uniform(0.2, 0.26), rng.uniform(0.95, 1.15)))]
    count = int(rng.integers(2, 5))
    for k in range(count):
        angle = 2 * np.pi * (k + rng.uniform(-0.25, 0.25)) / count
        small = Part(_prism(rng, rng.uniform(0.11, 0.17), rng.uniform(0.4, 0.7)))
        lean = rotation(2, angle) @ rotation(1, rng.uniform(0.3, 0.55))
        parts.append(moved(small, turn=lean, shift=(0.2 * np.cos(angle), 0.2 * np.sin(angle), 0.0)))
    return tuple(parts)


def _prism(rng: np.random.Generator, radius: float, height: float) -> Surface:
    """A six-sided prism that ends in a point, slightly uneven."""
    angle = 2 * np.pi * (np.arange(6) + rng.uniform(-0.12, 0.12, 6)) / 6
    ring = radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    shoulder = height * rng.uniform(0.66, 0.76) + rng.uniform(-0.04, 0.04, 6)
    low = np.column_stack([0.9 * ring, np.zeros(6)])
    high = np.column_stack([ring, shoulder])
    tip = [[*rng.uniform(-0.25, 0.25, 2) * radius, height]]
    vertices = np.concatenate([low, high, [[0, 0, 0]], tip])
    i = np.arange(6)
    j = (i + 1) % 6
    walls = [np.stack(f, 1) for f in ((i, j, j + 6), (i, j + 6, i + 6))]
    ends = [np.stack(f, 1) for f in ((j, i, 0 * i + 12), (i + 6, j + 6, 0 * i + 13))]
    uv = np.column_stack([np.arctan2(vertices[:, 1], vertices[:, 0]) / 7 + 0.5, vertices[:, 2] / 2])
    faces = np.concatenate([*walls, *ends])
    return surface(vertices, uv, faces, repeats=(tiles(7 * radius), tiles(2.0)), flat=True)


BUILDERS: dict[str, Callable[[np.random.Generator], tuple[Part, ...]]] = {
    build.__name__: build
    for build in (
        *(sphere, vase, bowl, bottle, goblet, pear, apple),
        *(pumpkin, cone, torus, knot, books, blocks, crystal),
    )
}


def build(kind: str, rng: np.random.Generator) -> tuple[Part, ...]:
    """An object about one unit high that stands on z = 0.

    Args:
        kind: One of :data:`BUILDERS`.
        rng: Decides its proportions.

    Raises:
        ValueError: For an unknown kind.
    """
    if kind not in BUILDERS:
        raise ValueError(f"unknown object {kind!r}; known: {', '.join(BUILDERS)}")
    return grounded(BUILDERS[kind](rng))
