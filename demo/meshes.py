"""Triangle meshes of seeded shapes: surfaces of revolution, tubes and rounded boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

Role = Literal["body", "pages", "stem"]
"""What a part is made of: the object's own material, paper, or dark wood."""


Curve = Sequence[tuple[float, float]]


AROUND = 96


TILE = 0.22
"""Length that one repeat of a pattern covers on an object of height 1."""


@dataclass(frozen=True)
class Surface:
    """A triangle mesh whose texture coordinates cover the unit square once."""

    vertices: np.ndarray
    """[v, 3] float; z is up."""
    normals: np.ndarray
    """[v, 3] float, outward and of unit length."""
    uv: np.ndarray
    """[v, 2] float."""
    faces: np.ndarray
    """[f, 3] integers, anticlockwise seen from outside."""
    repeats: tuple[int, int]
    """How often a pattern fits along u and v."""


@dataclass(frozen=True)
class Part:
    """A surface and what it is made of."""

    surface: Surface
    role: Role = "body"


def rotation(axis: int, angle: float) -> np.ndarray:
    """Matrix [3, 3] of a turn by ``angle`` radians about a coordinate axis."""
    i, j = ((1, 2), (2, 0), (0, 1))[axis]
    matrix = np.eye(3)
    matrix[i, i] = matrix[j, j] = np.cos(angle)
    matrix[j, i], matrix[i, j] = np.sin(angle), -np.sin(angle)
    return matrix


def moved(
    part: Part,
    *,
    turn: np.ndarray | None = None,
    scale: float = 1.0,
    shift: Sequence[float] = (0.0, 0.0, 0.0),
) -> Part:
    """The part turned, then scaled, then shifted."""
    matrix = np.eye(3) if turn is None else turn
    old = part.surface
    vertices = scale * old.vertices @ matrix.T + np.asarray(shift)
    surface = replace(old, vertices=vertices, normals=old.normals @ matrix.T)
    return replace(part, surface=surface)


def grounded(parts: Sequence[Part]) -> tuple[Part, ...]:
    """The parts shifted together to stand on z = 0 above the origin."""
    points = np.concatenate([part.surface.vertices for part in parts])
    low, high = points.min(axis=0), points.max(axis=0)
    middle = (low + high) / 2
    shift = (-middle[0], -middle[1], -low[2])
    return tuple(moved(part, shift=shift) for part in parts)


def surface(
    vertices: np.ndarray,
    uv: np.ndarray,
    faces: np.ndarray,
    *,
    repeats: tuple[int, int],
    flat: bool = False,
) -> Surface:
    """A closed mesh, turned inside out where its faces look inward.

    Args:
        vertices: [v, 3].
        uv: [v, 2].
        faces: [f, 3].
        repeats: How often a pattern fits along u and v.
        flat: Whether every face keeps an edge of its own.
    """
    corners = vertices[faces]
    if np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) < 0:
        faces = faces[:, ::-1]
    if flat:
        vertices, uv = vertices[faces].reshape(-1, 3), uv[faces].reshape(-1, 2)
        faces = np.arange(len(vertices)).reshape(-1, 3)
    return Surface(vertices, _normals(vertices, faces, weld=not flat), uv, faces, repeats)


def _normals(vertices: np.ndarray, faces: np.ndarray, *, weld: bool) -> np.ndarray:
    """Area-weighted vertex normals; with ``weld``, vertices at one place share theirs."""
    corners = vertices[faces]
    face = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    owner = np.arange(len(vertices))
    if weld:
        owner = np.unique(vertices.round(5), axis=0, return_inverse=True)[1].ravel()
    total = np.zeros((len(vertices), 3))
    np.add.at(total, owner[faces].ravel(), np.repeat(face, 3, axis=0))
    total /= np.linalg.norm(total, axis=1, keepdims=True) + 1e-12
    return total[owner]


def grid_mesh(points: np.ndarray, *, repeats: tuple[int, int]) -> Surface:
    """A surface over a grid of points [m, s, 3]; u runs along the rows, v across them."""
    rows, columns = points.shape[:2]
    v, u = np.meshgrid(np.linspace(0, 1, rows), np.linspace(0, 1, columns), indexing="ij")
    corner = np.arange(rows * columns).reshape(rows, columns)
    a, b = corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel()
    c, d = corner[1:, 1:].ravel(), corner[1:, :-1].ravel()
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    uv = np.stack([u.ravel(), v.ravel()], axis=1)
    return surface(points.reshape(-1, 3), uv, faces, repeats=repeats)


def tiles(length: float) -> int:
    """Whole pattern repeats that fit a length."""
    return max(1, round(length / TILE))


def smooth_curve(points: Curve, samples: int = 72) -> np.ndarray:
    """A curve [samples, 2] through (radius, height) points without overshoot, evenly spaced."""
    knots = np.asarray(points, dtype=float)
    length = np.r_[0, np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))]
    fine = PchipInterpolator(length, knots)(np.linspace(0, length[-1], 8 * samples))
    run = np.r_[0, np.cumsum(np.linalg.norm(np.diff(fine, axis=0), axis=1))]
    even = np.linspace(0, run[-1], samples)
    return np.stack([np.interp(even, run, fine[:, i]) for i in range(2)], axis=1)


def lathe(profile: np.ndarray, *, ribs: int = 0, depth: float = 0.0) -> Part:
    """The surface that a profile [m, 2] of (radius, height) sweeps about the z axis.

    Args:
        profile: From the axis at the bottom, outward, back to the axis.
        ribs: Number of flutes around.
        depth: Depth of a flute as a share of the radius.
    """
    angle = np.linspace(0, 2 * np.pi, AROUND + 1)
    angle[-1] = 0.0
    wave = 1 - depth * (1 - np.abs(np.cos(ribs * angle / 2)) ** 0.7)
    radius = profile[:, :1] * wave
    height = np.broadcast_to(profile[:, 1:], radius.shape)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), height], axis=2)
    length = np.linalg.norm(np.diff(profile, axis=0), axis=1).sum()
    repeats = (tiles(2 * np.pi * float(profile[:, 0].max()) * 0.8), tiles(float(length)))
    return Part(grid_mesh(points, repeats=repeats))


def tube(path: np.ndarray, radius: np.ndarray, *, closed: bool) -> Surface:
    """A round tube about a curved path [m, 3] with a radius [m] at each point.

    The cross-section follows the Frenet frame, so the path must bend everywhere.
    """
    step = (lambda x: np.roll(x, -1, 0) - np.roll(x, 1, 0)) if closed else _slope
    tangent = _unit(step(path))
    normal = _unit(step(tangent))
    binormal = np.cross(tangent, normal)
    angle = np.linspace(0, 2 * np.pi, 33)[None, :, None]
    ring = np.cos(angle) * normal[:, None] + np.sin(angle) * binormal[:, None]
    points = path[:, None] + radius[:, None, None] * ring
    if closed:
        points = np.concatenate([points, points[:1]])
    length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
    around = tiles(2 * np.pi * float(radius.max()))
    return grid_mesh(points, repeats=(around, tiles(length)))


def _slope(values: np.ndarray) -> np.ndarray:
    return np.gradient(values, axis=0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def rounded_box(size: Sequence[float], radius: float) -> Surface:
    """A box of the given side lengths with rounded edges, centred on the origin."""
    half = np.asarray(size) / 2
    line = np.r_[-1, np.linspace(-1, 1, 14)[1:-1], 1]
    line = np.sign(line) * np.abs(line) ** 0.35
    s, t = np.meshgrid(line, line, indexing="ij")
    sides = [_side(axis, sign, s, t) for axis in range(3) for sign in (-1.0, 1.0)]
    cube = np.concatenate([side.reshape(-1, 3) for side in sides]) * half
    core = np.clip(cube, radius - half, half - radius)
    vertices = core + radius * _unit(cube - core)
    n = len(line)
    corner = np.arange(n * n).reshape(n, n)
    a, b = corner[:-1, :-1].ravel(), corner[:-1, 1:].ravel()
    c, d = corner[1:, 1:].ravel(), corner[1:, :-1].ravel()
    out = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    faces = [out[:, ::-1] + k * n * n if k % 2 else out + k * n * n for k in range(6)]
    uv = np.tile(np.stack([s.ravel(), t.ravel()], axis=1) / 2 + 0.5, (6, 1))
    repeats = (tiles(size[0]), tiles(size[1]))
    return surface(vertices, uv, np.concatenate(faces), repeats=repeats)


def _side(axis: int, sign: float, s: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Points of one side of the cube [-1, 1]^3, with t upward on the four walls."""
    first, second = ((1, 2), (0, 2), (0, 1))[axis]
    points = np.empty((*s.shape, 3))
    points[..., axis] = sign
    points[..., first] = s if axis != 1 else -s
    points[..., second] = t
    return points
