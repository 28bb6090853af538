"""The materials of objects, tables and studio sweeps, as Mitsuba describes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mitsuba as mi
import numpy as np

from demo.tables import TABLES
from demo.textures import SIZE, dip_mask, grain, linear, mix, noise, pattern_mask, soft
from demo.world import Item

Bsdf = dict[str, Any]
"""A material as Mitsuba describes it."""


PALETTE = {
    "crimson": linear("b5213f"),
    "tangerine": linear("ea722b"),
    "ochre": linear("dda62f"),
    "emerald": linear("1d8c5a"),
    "teal": linear("1f8f9b"),
    "cobalt": linear("2450bd"),
    "plum": linear("81408f"),
}


IVORY = linear("f2ebdc")


INK = linear("2a2d40")


SWEEPS = {
    "ivory": linear("e9e0cf"),
    "blue": linear("9fc3dd"),
    "terracotta": linear("c9775a"),
    "sage": linear("a3b899"),
    "rose": linear("e3b4b4"),
    "mustard": linear("dcb45a"),
    "navy": linear("34476e"),
    "charcoal": linear("55565c"),
}


WALLS = tuple(linear(code) for code in ("d9d2c5", "b7c4c9", "cfae98", "a9b3a0", "8f9bb0", "d8c0b8"))


def texture(pixels: np.ndarray) -> Bsdf:
    """A bitmap texture over the unit square, from values [h, w] or linear RGB [h, w, 3]."""
    values = np.clip(pixels if pixels.ndim == 3 else pixels[..., None], 0, 1)
    bitmap = mi.Bitmap(np.ascontiguousarray(values, dtype=np.float32))
    return {"type": "bitmap", "bitmap": bitmap, "raw": True}


def rgb(colour: np.ndarray) -> Bsdf:
    """A uniform colour [3], linear."""
    return {"type": "rgb", "value": [float(channel) for channel in colour]}


def tone(colour: str, rng: np.random.Generator) -> np.ndarray:
    """A colour of the palette [3], a little lighter or darker from object to object."""
    return np.clip(PALETTE[colour] * rng.uniform(0.85, 1.15) + rng.uniform(0, 0.015, 3), 0, 0.9)


def object_material(item: Item, repeats: tuple[int, int], rng: np.random.Generator) -> Bsdf:
    """The material of an object's body.

    Args:
        item: Its material, pattern and colour.
        repeats: How often a motif fits along u and v.
        rng: Decides the details.
    """
    mask = pattern_mask(item.pattern, repeats, rng)
    paint = tone(item.colour, rng)
    return MATERIALS[item.material](mask, paint, rng)


def _second(paint: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A tone to set beside the paint: mostly ivory, else ink or a pale shade of the paint."""
    return (IVORY, IVORY, IVORY, INK, 0.5 * paint + 0.5 * IVORY)[int(rng.integers(5))]


def glaze(colours: Bsdf) -> Bsdf:
    """A glossy coat over the given colours."""
    return {"type": "plastic", "diffuse_reflectance": colours, "int_ior": 1.5, "nonlinear": True}


def _ceramic(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    pooled = 1 + 0.07 * noise(rng, SIZE, cells=(3, 3))[..., None]
    return glaze(texture(mix(paint, _second(paint, rng), mask) * pooled))


def _clay(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    grains = 1 - 0.35 * soft(noise(rng, SIZE, cells=(40, 40), slope=3) - 1.4, 0.5)[..., None]
    earthy = 0.75 * paint + 0.25 * linear("a8674a")
    body: Bsdf = {
        "type": "diffuse",
        "reflectance": texture(mix(earthy, 0.85 * IVORY, mask) * grains),
    }
    rings = 0.5 + 0.12 * noise(rng, SIZE, cells=(1.5, 26), slope=3)
    return {"type": "bumpmap", "relief": texture(rings), "scale": 0.05, "nested": body}


def _felt(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    fibres = noise(rng, SIZE, cells=(30, 30), slope=1.2)
    dyed = mix(paint, _second(paint, rng), soft(mask - 0.5 + 0.06 * fibres, 0.4))
    body: Bsdf = {
        "type": "principled",
        "base_color": texture(dyed * (1 + 0.08 * fibres[..., None])),
        "roughness": 0.95,
        "specular": 0.1,
        "sheen": 1.0,
        "sheen_tint": 0.6,
    }
    return {
        "type": "bumpmap",
        "relief": texture(0.5 + 0.12 * fibres),
        "scale": 0.018,
        "nested": body,
    }


WOODS = (("c99a66", "a8743f"), ("9a6a43", "6f4528"), ("dbb98a", "c2955c"), ("7a4a32", "54301f"))


def _wood(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    light, dark = (linear(code) for code in WOODS[int(rng.integers(len(WOODS)))])
    rings = grain(rng, SIZE, cells=(1.5, 3), bands=9)
    painted = mask if mask.any() else dip_mask(rng)
    stained = paint * (0.8 + 0.3 * (1 - rings[..., None]))
    colours = texture(mix(mix(light, dark, rings), stained, painted))
    return {"type": "roughplastic", "diffuse_reflectance": colours, "alpha": 0.18}


def _metal(name: str, mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    alpha = float(rng.choice([0.06, 0.12, 0.2]))
    bare: Bsdf = {"type": "roughconductor", "material": name, "alpha": alpha}
    painted = mask if mask.any() else dip_mask(rng)
    return {
        "type": "blendbsdf",
        "weight": texture(painted),
        "bare": bare,
        "enamel": glaze(rgb(paint)),
    }


def _gold(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    return _metal("Au", mask, paint, rng)


def _copper(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    return _metal("Cu", mask, paint, rng)


def _glass(mask: np.ndarray, paint: np.ndarray, rng: np.random.Generator) -> Bsdf:
    tint = (paint / paint.max()) ** rng.uniform(0.28, 0.4)
    clear: Bsdf = {"type": "dielectric", "int_ior": 1.48, "specular_transmittance": rgb(tint)}
    if not mask.any():
        return clear
    enamel = {"type": "twosided", "paint": {"type": "diffuse", "reflectance": rgb(IVORY * 0.9)}}
    return {"type": "blendbsdf", "weight": texture(0.92 * mask), "clear": clear, "enamel": enamel}


MATERIALS: dict[str, Callable[[np.ndarray, np.ndarray, np.random.Generator], Bsdf]] = {
    "glass": _glass,
    "gold": _gold,
    "copper": _copper,
    "ceramic": _ceramic,
    "wood": _wood,
    "felt": _felt,
    "clay": _clay,
}


def paper() -> Bsdf:
    """The pages of a book: many thin lines."""
    lines = 0.9 + 0.1 * np.sin(np.arange(SIZE) * 2 * np.pi / 6)[:, None] * np.ones(SIZE)
    return {"type": "diffuse", "reflectance": texture(IVORY * 0.92 * lines[..., None])}


def stalk() -> Bsdf:
    """The dark wood of a stalk."""
    return {"type": "roughplastic", "diffuse_reflectance": rgb(linear("4a3322")), "alpha": 0.25}


def sweep(name: str) -> Bsdf:
    """Matte paper in one of the colours of ``SWEEPS``."""
    paper_sheet = {"type": "diffuse", "reflectance": rgb(SWEEPS[name])}
    return {"type": "twosided", "paper": paper_sheet}


def plaster(rng: np.random.Generator) -> Bsdf:
    """A painted wall."""
    colour = WALLS[int(rng.integers(len(WALLS)))]
    cloudy = 1 + 0.04 * noise(rng, 256, cells=(5, 5))
    return {
        "type": "twosided",
        "wall": {"type": "diffuse", "reflectance": texture(colour * cloudy[..., None])},
    }


def table(name: str, rng: np.random.Generator) -> Bsdf:
    """The top of a table.

    Args:
        name: One of :data:`TABLES`.
        rng: Decides planks, veins and chips.
    """
    pixels, alpha = TABLES[name](rng)
    coat = {"type": "roughplastic", "diffuse_reflectance": texture(pixels), "alpha": alpha}
    if name == "linen":
        coat = {"type": "diffuse", "reflectance": texture(pixels)}
    return {"type": "twosided", "top": coat}
