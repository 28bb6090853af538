"""What each image of the rendered world shows: its factors, balanced and independent by design.

Runs follow an orthogonal array of strength 2 over the integers modulo 7: in every block of 49
consecutive seeds each pair of levels of two factors meets exactly once (Rao 1947; Bush 1952).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np

WORLD = 20260130
"""Salt of every random stream."""
PRIME = 7
BLOCK = PRIME * PRIME
CREATOR = "Wellspring rendered world"
LICENCE = "CC0-1.0"
SOURCE = "rendered-world"


class Noun(NamedTuple):
    """An object in words."""

    one: str
    many: str


OBJECTS: dict[str, Noun] = {
    "vase": Noun("vase", "vases"),
    "pear": Noun("pear", "pears"),
    "knot": Noun("knot", "knots"),
    "books": Noun("stack of books", "stacks of books"),
    "sphere": Noun("sphere", "spheres"),
    "goblet": Noun("goblet", "goblets"),
    "crystal": Noun("crystal", "crystals"),
    "bottle": Noun("bottle", "bottles"),
    "apple": Noun("apple", "apples"),
    "torus": Noun("ring", "rings"),
    "blocks": Noun("tower of blocks", "towers of blocks"),
    "cone": Noun("cone", "cones"),
    "bowl": Noun("bowl", "bowls"),
    "pumpkin": Noun("pumpkin", "pumpkins"),
}
MATERIALS = {
    "glass": "glass",
    "gold": "gold",
    "copper": "copper",
    "ceramic": "ceramic",
    "wood": "wooden",
    "felt": "felt",
    "clay": "clay",
}
PATTERNS = {
    "plain": "",
    "stripes": "striped",
    "dots": "dotted",
    "checks": "checked",
    "marbling": "marbled",
    "zigzag": "zigzag",
    "speckle": "speckled",
}
COLOURS = ("crimson", "tangerine", "ochre", "emerald", "teal", "cobalt", "plum")
BACKDROPS = {
    "ivory": "on ivory",
    "oak": "on an oak table",
    "blue": "on sky blue",
    "marble": "on white marble",
    "terracotta": "on terracotta",
    "tiles": "on tiles",
    "sage": "on sage",
    "walnut": "on a walnut table",
    "rose": "on rose",
    "terrazzo": "on terrazzo",
    "mustard": "on mustard",
    "linen": "on linen",
    "navy": "on navy",
    "charcoal": "on charcoal",
}
LIGHTS = ("softbox", "window", "golden hour", "overcast", "warm and cool", "backlight", "low key")
CAMERAS = ("level", "three-quarter", "high", "top", "close", "wide", "shallow focus")
COUNTS = ("1", "2", "3", "4", "5", "6", "7")

FACTORS: dict[str, tuple[str, ...]] = {
    "object": tuple(OBJECTS),
    "material": tuple(MATERIALS),
    "pattern": tuple(PATTERNS),
    "colour": COLOURS,
    "backdrop": tuple(BACKDROPS),
    "light": LIGHTS,
    "camera": CAMERAS,
    "count": COUNTS,
}
"""Factor -> its levels: 7 of them, or 14 that split 7 levels of the design in two."""


@dataclass(frozen=True)
class Item:
    """How one object looks."""

    object: str
    material: str
    pattern: str
    colour: str


@dataclass(frozen=True)
class Factors:
    """The known truth of one image; the first four describe its main object."""

    object: str
    material: str
    pattern: str
    colour: str
    backdrop: str
    light: str
    camera: str
    count: int
    """Number of objects, the main one among them."""


@dataclass(frozen=True)
class Companions:
    """Further objects of one kind beside the main one; they vary freely and are no factor."""

    item: Item
    number: int


def stream(seed: int, *path: int) -> np.random.Generator:
    """A random generator of its own for each seed and purpose.

    Args:
        seed: Seed of the image, at least 0.
        path: Numbers that name the purpose.
    """
    return np.random.default_rng([WORLD, *path, seed])


def design(block: int) -> np.ndarray:
    """Levels of all factors in one block of seeds, one run per row: [49, 8] integers.

    Columns a, b, a + b, a + 2b, ... modulo 7 are pairwise orthogonal; order and names of the levels
    are shuffled afresh in every block.
    """
    a, b = np.divmod(np.arange(BLOCK), PRIME)
    columns = [b] + [(a + k * b) % PRIME for k in range(PRIME)]
    rng = stream(block, 0)
    shuffled = [rng.permutation(PRIME)[column] for column in columns]
    return np.stack(shuffled, axis=1)[rng.permutation(BLOCK)]


def halves(levels: np.ndarray, block: int) -> np.ndarray:
    """Which half of a split level each run takes: alternately within a level and over blocks."""
    earlier = np.tril(levels[:, None] == levels[None, :], k=-1).sum(axis=1)
    return (earlier + levels + block) % 2


def factors(seed: int) -> Factors:
    """The factors of image ``seed``."""
    block, run = divmod(seed, BLOCK)
    table = design(block)
    chosen: dict[str, str] = {}
    for column, (name, levels) in zip(table.T, FACTORS.items(), strict=True):
        split = len(levels) // PRIME
        half = halves(column, block)[run] if split > 1 else 0
        chosen[name] = levels[column[run] * split + half]
    count = int(chosen.pop("count"))
    return Factors(**chosen, count=count)


def main_item(truth: Factors) -> Item:
    """The main object."""
    return Item(truth.object, truth.material, truth.pattern, truth.colour)


def companions(seed: int, truth: Factors) -> tuple[Companions, ...]:
    """The other objects: at most two kinds, neither like the main one, mostly plain."""
    rng = stream(seed, 1)
    kinds = rng.permutation([kind for kind in OBJECTS if kind != truth.object])
    others = truth.count - 1
    first = others if others < 2 else int(rng.integers(1, others))
    groups = zip(kinds, (first, others - first), strict=False)
    return tuple(Companions(_side_item(rng, str(kind)), n) for kind, n in groups if n)


def _side_item(rng: np.random.Generator, kind: str) -> Item:
    plain = rng.random() < 0.6
    pattern = "plain" if plain else str(rng.choice(list(PATTERNS)))
    material = str(rng.choice(list(MATERIALS)))
    return Item(kind, material, pattern, str(rng.choice(COLOURS)))


NUMBERS = ("no", "a", "two", "three", "four", "five", "six")


def title(seed: int) -> str:
    """The image in a few words, such as ``Dotted teal glass bottle and two gold pears on sage``."""
    truth = factors(seed)
    look = (PATTERNS[truth.pattern], truth.colour, MATERIALS[truth.material])
    hero = " ".join(word for word in (*look, OBJECTS[truth.object].one) if word)
    phrases = [hero, *(_phrase(group) for group in companions(seed, truth))]
    listed = " and ".join([", ".join(phrases[:-1]), phrases[-1]] if len(phrases) > 1 else phrases)
    return f"{listed[0].upper()}{listed[1:]} {BACKDROPS[truth.backdrop]}"


def _phrase(group: Companions) -> str:
    noun = OBJECTS[group.item.object]
    one = group.number == 1
    words = (NUMBERS[group.number], MATERIALS[group.item.material], noun.one if one else noun.many)
    return " ".join(words)


def record(seed: int) -> dict[str, str]:
    """One row of the metadata beside the images."""
    about = {
        "file_name": file_name(seed),
        "title": title(seed),
        "creator": CREATOR,
        "licence": LICENCE,
        "source": SOURCE,
        "seed": str(seed),
    }
    return about | {name: str(value) for name, value in asdict(factors(seed)).items()}


def file_name(seed: int) -> str:
    """Name of the image file of a seed."""
    return f"world-{seed:04d}.webp"
