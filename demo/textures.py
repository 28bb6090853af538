"""Procedural textures as arrays: patterns of objects, noise and wood grain."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import fft

SIZE = 384
"""Side of an object's texture in pixels."""


def linear(code: str) -> np.ndarray:
    """Linear RGB [3] of a hexadecimal sRGB colour such as ``b3223b`` (IEC 61966-2-1)."""
    srgb = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def mix(low: np.ndarray, high: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Two colours [3] or textures [h, w, 3] blended by weights [h, w] in [0, 1]."""
    share = weight[..., None]
    return low * (1 - share) + high * share


def noise(
    rng: np.random.Generator, size: int, *, cells: tuple[float, float], slope: float = 2.0
) -> np.ndarray:
    """Periodic fractal noise [size, size] of mean 0 and deviation 1, by spectral synthesis.

    Args:
        rng: Decides the phases.
        size: Side in pixels.
        cells: Coarsest features along u and v.
        slope: Fall of the amplitude with frequency.
    """
    fu = np.arange(size // 2 + 1, dtype=np.float32)[None, :] / cells[0]
    fv = fft.fftfreq(size, 1 / size).astype(np.float32)[:, None] / cells[1]
    radius = np.hypot(fu, fv)
    gain = np.where(radius > 0, (1 + radius**2) ** (-slope / 2) * np.minimum(radius, 1) ** 2, 0.0)
    white = rng.standard_normal((size, size), dtype=np.float32)
    field = np.asarray(fft.irfft2(fft.rfft2(white) * gain, s=white.shape))
    return (field - field.mean()) / field.std()


def soft(values: np.ndarray, width: float) -> np.ndarray:
    """A step at 0 with an edge of the given width."""
    return np.clip(values / width + 0.5, 0, 1)


def triangle(phase: np.ndarray) -> np.ndarray:
    """A triangle wave of period 1 between 0 and 1."""
    return np.abs(2 * (phase % 1) - 1)


def pattern_mask(pattern: str, repeats: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where the second tone shows: [SIZE, SIZE] in [0, 1].

    Args:
        pattern: One of ``world.PATTERNS``.
        repeats: How often a motif fits along u and v.
        rng: Decides phases, duty and direction.

    Raises:
        ValueError: For an unknown pattern.
    """
    axis = (np.arange(SIZE) + 0.5) / SIZE
    u, v = np.meshgrid(axis * repeats[0], axis * repeats[1])
    edge = 3.0 * max(repeats) / SIZE
    if pattern not in MASKS:
        raise ValueError(f"unknown pattern {pattern!r}; known: {', '.join(MASKS)}")
    return MASKS[pattern](u, v, edge, rng)


def _plain(u: np.ndarray, _v: np.ndarray, _edge: float, _rng: np.random.Generator) -> np.ndarray:
    return np.zeros_like(u)


def _stripes(u: np.ndarray, v: np.ndarray, edge: float, rng: np.random.Generator) -> np.ndarray:
    lean = int(rng.integers(-1, 2))
    return soft(triangle(v + lean * u) - rng.uniform(0.4, 0.62), 2 * edge)


def _dots(u: np.ndarray, v: np.ndarray, edge: float, rng: np.random.Generator) -> np.ndarray:
    row = np.floor(v)
    x, y = (u + 0.5 * (row % 2)) % 1 - 0.5, v % 1 - 0.5
    return soft(rng.uniform(0.24, 0.34) - np.hypot(x, y), edge)


def _checks(u: np.ndarray, v: np.ndarray, edge: float, _rng: np.random.Generator) -> np.ndarray:
    wave = np.sin(np.pi * u * 2) * np.sin(np.pi * v)
    return soft(wave, 4 * edge)


def _zigzag(u: np.ndarray, v: np.ndarray, edge: float, rng: np.random.Generator) -> np.ndarray:
    return soft(triangle(v + 0.5 * triangle(u)) - rng.uniform(0.42, 0.58), 2.5 * edge)


def _marbling(u: np.ndarray, v: np.ndarray, _edge: float, rng: np.random.Generator) -> np.ndarray:
    repeats = (max(1.0, u.max() / 3), max(1.0, v.max() / 3))
    warp = noise(rng, SIZE, cells=repeats, slope=2.6)
    return soft(np.sin(2 * np.pi * (np.round(v.max() / 3) * v / v.max() + 0.55 * warp)) - 0.2, 0.7)


def _speckle(u: np.ndarray, v: np.ndarray, _edge: float, rng: np.random.Generator) -> np.ndarray:
    fine = noise(rng, SIZE, cells=(2.2 * u.max(), 2.2 * v.max()), slope=4.0)
    return soft(fine - 1.05, 0.5)


MASKS: dict[str, Callable[[np.ndarray, np.ndarray, float, np.random.Generator], np.ndarray]] = {
    "plain": _plain,
    "stripes": _stripes,
    "dots": _dots,
    "checks": _checks,
    "marbling": _marbling,
    "zigzag": _zigzag,
    "speckle": _speckle,
}


def dip_mask(rng: np.random.Generator) -> np.ndarray:
    """The lower part of an object, as if dipped in glaze: [SIZE, SIZE] in [0, 1]."""
    v = (np.arange(SIZE) + 0.5)[:, None] / SIZE
    wobble = 0.012 * noise(rng, SIZE, cells=(3, 3))[:1]
    return soft(rng.uniform(0.3, 0.42) + wobble - v, 0.01)


def grain(
    rng: np.random.Generator, size: int, *, cells: tuple[float, float], bands: float
) -> np.ndarray:
    """Weight of the dark wood [size, size]: wavy growth rings along u, with fine pores."""
    slow = noise(rng, size, cells=cells, slope=3)
    v = np.arange(size)[:, None] / size
    rings = triangle(np.round(bands) * v + 0.45 * slow) ** 1.5
    pores = noise(rng, size, cells=(cells[0] * 3, cells[1] * 40), slope=1.5)
    return np.clip(0.75 * rings + 0.12 * pores, 0, 1)
