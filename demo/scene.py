"""From a seed to a Mitsuba scene: the objects placed, framed and lit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mitsuba as mi
import numpy as np

from demo import materials, shapes
from demo.meshes import Part, Surface, grid_mesh, moved, rotation
from demo.world import Factors, Item, companions, factors, main_item, stream

Description = dict[str, Any]
"""A scene or a part of one, as Mitsuba describes it."""

Transform = mi.ScalarTransform4f
WALL = 3.4
"""Where the wall stands behind the objects."""
REACH = 14.0
"""Half the width of the floor."""
TABLE_TILE = 4.5
"""Length that a table's texture covers."""


INTEGRATOR: Description = {
    "type": "path",
    "max_depth": 12,
    "rr_depth": 4,
    "hide_emitters": True,
    "block_size": 32,
}
"""The path tracer; a fixed block size keeps its noise the same for any number of threads."""


@dataclass(frozen=True)
class View:
    """How a camera looks at the group."""

    elevation: float
    """Degrees above the table."""
    fov: float
    """Field of view in degrees."""
    fill: float
    """Share of the frame that the group takes."""
    blur: float = 0.0
    """Radius of the lens as a share of the distance; 0 is a pinhole."""
    hero: bool = False
    """Whether the main object alone is framed."""


VIEWS = {
    "level": View(9, 28, 0.82),
    "three-quarter": View(27, 30, 0.84),
    "high": View(46, 30, 0.84),
    "top": View(70, 30, 0.82),
    "close": View(20, 32, 0.9, hero=True),
    "wide": View(19, 42, 0.64),
    "shallow focus": View(15, 30, 0.86, blur=0.022),
}


@dataclass(frozen=True)
class Placed:
    """An object in its place."""

    item: Item
    parts: tuple[Part, ...]

    @property
    def points(self) -> np.ndarray:
        """All vertices: [v, 3]."""
        return np.concatenate([part.surface.vertices for part in self.parts])

    @property
    def radius(self) -> float:
        """Radius of its footprint about its centre."""
        flat = self.points[:, :2]
        return float(np.linalg.norm(flat - flat.mean(axis=0), axis=1).max())


def arrange(seed: int, truth: Factors) -> list[Placed]:
    """The objects of an image, the main one first, none touching another."""
    rng = stream(seed, 2)
    hero = Placed(main_item(truth), shapes.build(truth.object, rng))
    group = [hero]
    for kind in companions(seed, truth):
        for _ in range(kind.number):
            scale = rng.uniform(0.5, 0.85)
            turn = rotation(2, rng.uniform(-1, 1))
            parts = shapes.build(kind.item.object, rng)
            loose = tuple(moved(part, turn=turn, scale=scale) for part in parts)
            group.append(_beside(group, Placed(kind.item, loose), rng))
    return group


def _beside(group: Sequence[Placed], new: Placed, rng: np.random.Generator) -> Placed:
    """The new object moved to a free place near the group, the closest of many tries."""
    centres = np.array([_centre(other) for other in group])
    reach = np.array([other.radius for other in group]) + new.radius
    angle = rng.uniform(0, 2 * np.pi, 300)
    out = reach[0] * rng.uniform(1.05, 1.9, 300) + np.linspace(0, 1.6, 300)
    tries = centres[0] + np.stack([out * np.cos(angle), 0.8 * out * np.sin(angle)], axis=1)
    gaps = np.linalg.norm(tries[:, None] - centres[None], axis=2) - reach - 0.03
    height = new.points[:, 2].max() / group[0].points[:, 2].max()
    lane = np.abs(tries[:, 0]) < 0.85 * reach[0]
    hides = lane & (tries[:, 1] < 0) & (height > 0.4)
    hidden = lane & (tries[:, 1] > 0) & (height < 0.8)
    cost = np.linalg.norm(tries - centres.mean(axis=0), axis=1) + rng.uniform(0, 0.3, 300)
    best = tries[np.argmin(cost + 100 * (gaps.min(axis=1) < 0) + 10 * hides + 0.5 * hidden)]
    shift = (float(best[0]), float(best[1]), 0.0)
    return Placed(new.item, tuple(moved(part, shift=shift) for part in new.parts))


def _centre(placed: Placed) -> np.ndarray:
    return placed.points[:, :2].mean(axis=0)


def scene(seed: int, size: int = 256) -> Description:
    """Everything Mitsuba needs to render one image of the world.

    Args:
        seed: Number of the image, at least 0.
        size: Side of the image in pixels.

    Returns:
        A dictionary for ``mi.load_dict``; the same seed always gives the same scene.
    """
    truth = factors(seed)
    group = arrange(seed, truth)
    rng = stream(seed, 3)
    view = VIEWS[truth.camera]
    framed = group[0].points if view.hero else np.concatenate([one.points for one in group])
    meshes = {f"object-{i}": mesh for i, mesh in enumerate(_meshes(group, rng))}
    return {
        "type": "scene",
        "integrator": INTEGRATOR,
        "sensor": _camera(view, framed, rng) | _film(size),
        **meshes,
        **_backdrop(truth.backdrop, rng),
        **LIGHTS[truth.light](rng),
    }


def _film(size: int) -> Description:
    film = {"type": "hdrfilm", "width": size, "height": size, "rfilter": {"type": "gaussian"}}
    return {"film": film | {"pixel_format": "rgb"}, "sampler": {"type": "multijitter"}}


def _meshes(group: Sequence[Placed], rng: np.random.Generator) -> list[mi.Mesh]:
    meshes: list[mi.Mesh] = []
    for placed in group:
        repeats = placed.parts[0].surface.repeats
        known = {
            "body": mi.load_dict(materials.object_material(placed.item, repeats, rng)),
            "pages": mi.load_dict(materials.paper()),
            "stem": mi.load_dict(materials.stalk()),
        }
        meshes += [mesh(part.surface, known[part.role]) for part in placed.parts]
    return meshes


def mesh(surface: Surface, dressing: mi.Object) -> mi.Mesh:
    """A Mitsuba mesh of a surface and its material, or the light that it gives."""
    props = mi.Properties()
    props["dressing"] = dressing
    made = mi.Mesh(
        "mesh",
        len(surface.vertices),
        len(surface.faces),
        props=props,
        has_vertex_normals=True,
        has_vertex_texcoords=True,
    )
    params = mi.traverse(made)
    params["vertex_positions"] = surface.vertices.astype(np.float32).ravel()
    params["vertex_normals"] = surface.normals.astype(np.float32).ravel()
    params["vertex_texcoords"] = surface.uv.astype(np.float32).ravel()
    params["faces"] = surface.faces.astype(np.uint32).ravel()
    params.update()
    return made


def _camera(view: View, points: np.ndarray, rng: np.random.Generator) -> Description:
    """A camera that holds all points [v, 3] within its share of the frame."""
    azimuth, elevation = rng.uniform(-0.35, 0.35), np.radians(view.elevation + rng.uniform(-3, 3))
    toward = np.array([np.sin(azimuth), -np.cos(azimuth), 0]) * np.cos(elevation)
    toward[2] = np.sin(elevation)
    right = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    basis = np.stack([right, np.cross(toward, right), toward])
    target, distance = frame(points @ basis.T, np.tan(np.radians(view.fov / 2)) * view.fill)
    target[:2] += rng.uniform(-0.02, 0.02, 2) * distance
    origin = (target + np.array([0, 0, distance])) @ basis
    pose = Transform().look_at(
        origin=origin.tolist(), target=(target @ basis).tolist(), up=[0, 0, 1]
    )
    lens: Description = {"type": "perspective", "fov": view.fov, "to_world": pose}
    if view.blur:
        lens |= {"type": "thinlens", "aperture_radius": view.blur * distance}
        lens |= {"focus_distance": float(distance)}
    return lens


def frame(points: np.ndarray, slope: float) -> tuple[np.ndarray, float]:
    """Target [3] and distance from which all points fit into a square frame.

    Args:
        points: [v, 3] in the camera's basis: right, up, and toward the camera.
        slope: Half the used width of the frame at distance 1.
    """
    target = (points.min(axis=0) + points.max(axis=0)) / 2
    distance = 0.0
    for _ in range(4):
        offset = points - target
        distance = float((np.abs(offset[:, :2]) / slope + offset[:, 2:]).max())
        seen = offset[:, :2] / (distance - offset[:, 2:])
        target[:2] += (seen.min(axis=0) + seen.max(axis=0)) / 2 * distance
    offset = points - target
    return target, float((np.abs(offset[:, :2]) / slope + offset[:, 2:]).max())


def _backdrop(name: str, rng: np.random.Generator) -> Description:
    if name in materials.SWEEPS:
        return {"sweep": mesh(_sweep(), mi.load_dict(materials.sweep(name)))}
    if name == "linen":
        return {"sweep": mesh(_sweep(), mi.load_dict(_tiled(materials.table(name, rng))))}
    floor = Transform().scale([REACH, REACH, 1])
    wall = Transform().translate([0, WALL, 0]) @ Transform().rotate([1, 0, 0], 90)
    wall = wall @ Transform().scale([REACH, REACH, 1])
    return {
        "table": {
            "type": "rectangle",
            "to_world": floor,
            "top": _tiled(materials.table(name, rng)),
        },
        "wall": {"type": "rectangle", "to_world": wall, "paint": materials.plaster(rng)},
    }


def _tiled(material: Description) -> Description:
    """The material with its textures repeated over the whole floor."""
    for value in material.values():
        if isinstance(value, dict):
            repeat = 2 * REACH / TABLE_TILE
            if value.get("type") == "bitmap":
                value["to_uv"] = Transform().scale([repeat, repeat, 1])
            else:
                _tiled(value)
    return material


def _sweep() -> Surface:
    """A sheet that runs along the floor and bends up into a wall."""
    bend = 2.2
    angle = np.linspace(0, np.pi / 2, 40)
    y = np.r_[-REACH, WALL - bend + bend * np.sin(angle), WALL]
    z = np.r_[0, bend - bend * np.cos(angle), REACH]
    x = np.array([-REACH, REACH])
    points = np.stack(np.broadcast_arrays(x[None, :], y[:, None], z[:, None]), axis=2)
    sheet = grid_mesh(points.copy(), repeats=(1, 1))
    run = np.r_[0, np.cumsum(np.hypot(np.diff(y), np.diff(z)))] / (2 * REACH)
    uv = sheet.uv.copy()
    uv[:, 1] = np.repeat(run, 2)
    return Surface(sheet.vertices, sheet.normals, uv, sheet.faces, sheet.repeats)


WARM = np.array([1.0, 0.72, 0.45])
COOL = np.array([0.62, 0.8, 1.0])
WHITE = np.array([1.0, 0.97, 0.93])


def panel(at: Sequence[float], size: tuple[float, float], radiance: np.ndarray) -> Description:
    """A rectangular light at a place, turned to the objects."""
    pose = Transform().look_at(origin=list(at), target=[0, 0, 0.3], up=[0, 0.01, 1])
    return {
        "type": "rectangle",
        "to_world": pose @ Transform().scale([size[0] / 2, size[1] / 2, 1]),
        "light": {"type": "area", "radiance": materials.rgb(radiance)},
    }


def panels(lights: Sequence[tuple[Sequence[float], tuple[float, float], np.ndarray]]) -> mi.Mesh:
    """Several panels of light as one emitter, each with its place, size and radiance.

    Mitsuba keeps no order among several emitters of a scene, and with the order the noise changes.
    """
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    vertices, normals = [], []
    for at, size, _ in lights:
        facing = np.array([0, 0, 0.3]) - at
        facing /= np.linalg.norm(facing)
        right = np.cross([0, 0, 1], facing)
        right /= np.linalg.norm(right)
        vertices.append(at + corners * size @ np.stack([right, np.cross(facing, right)]))
        normals.append(np.tile(facing, (4, 1)))
    count = len(lights)
    strip = np.repeat(np.arange(count), 4)[:, None] * [1, 0] + np.tile(corners + 0.5, (count, 1))
    uv = strip / [count, 1]
    quads = 4 * np.arange(count)[:, None, None] + np.array([[0, 1, 2], [0, 2, 3]])
    whole = np.concatenate(vertices), np.concatenate(normals), uv, quads.reshape(-1, 3)
    pixels = np.array([[radiance for *_, radiance in lights]], dtype=np.float32)
    colours = {"type": "bitmap", "bitmap": mi.Bitmap(pixels), "raw": True, "filter_type": "nearest"}
    return mesh(Surface(*whole, (1, 1)), mi.load_dict({"type": "area", "radiance": colours}))


def sky(zenith: np.ndarray, horizon: np.ndarray) -> Description:
    """Light from all around that shades from horizon to zenith."""
    height = np.cos((np.arange(32) + 0.5) / 32 * np.pi)[:, None, None]
    pixels = horizon + (zenith - horizon) * np.clip(height, 0, 1) ** 0.7
    pixels = np.broadcast_to(pixels, (32, 64, 3)).astype(np.float32)
    bitmap = mi.Bitmap(np.ascontiguousarray(pixels))
    return {"type": "envmap", "bitmap": bitmap, "to_world": Transform().rotate([1, 0, 0], 90)}


def _side(rng: np.random.Generator) -> float:
    return float(rng.choice([-1.0, 1.0]))


def _softbox(rng: np.random.Generator) -> Description:
    at = (_side(rng) * rng.uniform(2.0, 3.0), -1.6, rng.uniform(3.4, 4.2))
    return {"key": panel(at, (2.4, 2.4), 9 * WHITE), "sky": sky(0.45 * WHITE, 0.3 * WHITE)}


def _window(rng: np.random.Generator) -> Description:
    side, low = _side(rng), rng.uniform(0.7, 1.3)
    panes = [
        ((side * 3.2, -1.3 + 1.05 * column, low + 1.05 * row), (0.9, 0.9), 14 * COOL**0.4)
        for row in range(3)
        for column in range(2)
    ]
    return {"panes": panels(panes), "sky": sky(0.16 * WARM**0.5, 0.1 * WARM**0.5)}


def _golden_hour(rng: np.random.Generator) -> Description:
    at = (_side(rng) * 5.0, rng.uniform(-3.0, -1.2), rng.uniform(2.0, 2.8))
    return {"key": panel(at, (1.0, 1.0), 75 * WARM), "sky": sky(0.5 * COOL, 0.35 * WARM)}


def _overcast(_rng: np.random.Generator) -> Description:
    return {"sky": sky(1.3 * COOL**0.3, 0.45 * WHITE)}


def _warm_and_cool(rng: np.random.Generator) -> Description:
    side = _side(rng)
    key = ((side * 2.8, -1.4, 2.8), (1.6, 1.6), 14 * WARM)
    fill = ((-side * 3.0, -0.6, 2.2), (1.6, 2.2), 7 * np.array([0.35, 0.6, 1.0]))
    return {"panels": panels([key, fill]), "sky": sky(0.15 * WHITE, 0.12 * WHITE)}


def _backlight(rng: np.random.Generator) -> Description:
    at = (_side(rng) * rng.uniform(0.8, 1.8), 2.6, rng.uniform(3.6, 4.2))
    return {"key": panel(at, (2.0, 1.4), 18 * WARM**0.35), "sky": sky(0.5 * COOL, 0.4 * WHITE)}


def _low_key(rng: np.random.Generator) -> Description:
    at = (_side(rng) * rng.uniform(1.8, 2.4), -1.2, rng.uniform(1.8, 2.4))
    return {"key": panel(at, (0.6, 0.6), 40 * WARM**0.7), "sky": sky(0.07 * COOL, 0.05 * COOL)}


LIGHTS: dict[str, Callable[[np.random.Generator], Description]] = {
    "softbox": _softbox,
    "window": _window,
    "golden hour": _golden_hour,
    "overcast": _overcast,
    "warm and cool": _warm_and_cool,
    "backlight": _backlight,
    "low key": _low_key,
}
