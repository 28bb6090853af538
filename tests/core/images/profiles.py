"""ICC profiles written from their definitions, and the colours that they mean, in numpy alone."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

D50 = np.array([0.9642, 1.0, 0.8249])
_D65_WHITE = (0.3127, 0.3290)
_D50_WHITE = (0.3457, 0.3585)
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def _xyz(xy: tuple[float, float]) -> np.ndarray:
    x, y = xy
    return np.array([x / y, 1, (1 - x - y) / y])


def _adapted(white: tuple[float, float]) -> np.ndarray:
    """Bradford's matrix from a white to D50."""
    gains = (_BRADFORD @ D50) / (_BRADFORD @ _xyz(white))
    return np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD


@dataclass(frozen=True)
class Space:
    """An RGB space: primaries, white and the exponent of its curve."""

    primaries: tuple[tuple[float, float], ...]
    white: tuple[float, float] = _D65_WHITE
    gamma: float = 2.2

    @property
    def to_d50(self) -> np.ndarray:
        """Matrix from linear RGB to XYZ under D50."""
        columns = np.stack([_xyz(xy) for xy in self.primaries], axis=1)
        scaled = columns * np.linalg.solve(columns, _xyz(self.white))
        return _adapted(self.white) @ scaled


_REC709 = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
SPACES = {
    "Display P3": Space(((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))),
    "Adobe RGB": Space(((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)), gamma=563 / 256),
    "ProPhoto": Space(
        ((0.7347, 0.2653), (0.1596, 0.8404), (0.0366, 0.0001)), _D50_WHITE, gamma=1.8
    ),
    "Rec. 2020": Space(((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)), gamma=2.4),
    "linear sRGB": Space(_REC709, gamma=1.0),
}
SRGB = Space(_REC709)


def linear(levels: np.ndarray) -> np.ndarray:
    """Levels of sRGB 0..255 to linear light, IEC 61966-2-1."""
    value = np.asarray(levels, float) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def levels(light: np.ndarray) -> np.ndarray:
    """Linear light to levels of sRGB, clipped."""
    value = np.clip(light, 0, 1)
    return 255 * np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def into(space: Space, pixels: np.ndarray) -> np.ndarray:
    """8-bit sRGB pixels as 8-bit pixels of another space."""
    light = linear(pixels) @ (np.linalg.inv(space.to_d50) @ SRGB.to_d50).T
    return np.rint(255 * np.clip(light, 0, 1) ** (1 / space.gamma)).astype(np.uint8)


def out_of(space: Space, pixels: np.ndarray) -> np.ndarray:
    """What 8-bit pixels of a space are in sRGB, levels."""
    light = (pixels / 255) ** space.gamma
    return levels(light @ (np.linalg.inv(SRGB.to_d50) @ space.to_d50).T)


def from_lab(lab: np.ndarray) -> np.ndarray:
    """CIELAB under D50 to levels of sRGB."""
    y = (lab[..., 0] + 16) / 116
    xyz = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    delta = 6 / 29
    cubes = np.where(xyz > delta, xyz**3, 3 * delta**2 * (xyz - 4 / 29))
    return levels((cubes * D50) @ np.linalg.inv(SRGB.to_d50).T)


def _numbers(values: np.ndarray) -> bytes:
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))


def _profile(space: bytes, connection: bytes, tags: dict[bytes, bytes], *, version: int) -> bytes:
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    text = b"desc" + bytes(4) + struct.pack(">I", 5) + b"made\0" + bytes(78)
    if version == 4:
        text = b"mluc" + bytes(4) + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", 2, 28)
        text += "m".encode("utf-16-be") + bytes(2)
    tags = {b"desc": text, b"wtpt": b"XYZ " + bytes(4) + _numbers(D50), **tags}
    place, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", place + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI", place + len(body), bytes(4), version << 24) + kind + space
    head += connection + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += _numbers(D50)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def _curve(gamma: float, *, version: int) -> bytes:
    if version == 4:
        return b"para" + bytes(8) + _numbers(np.array([gamma]))
    if gamma == 1:
        return b"curv" + bytes(8)
    return b"curv" + bytes(4) + struct.pack(">IHH", 1, round(gamma * 256), 0)


def rgb_profile(space: Space, *, version: int = 2) -> bytes:
    """Three primaries and one curve."""
    tags: dict[bytes, bytes] = {}
    for name, column in zip(b"rgb", space.to_d50.T, strict=True):
        tags[bytes([name]) + b"XYZ"] = b"XYZ " + bytes(4) + _numbers(column)
        tags[bytes([name]) + b"TRC"] = _curve(space.gamma, version=version)
    return _profile(b"RGB ", b"XYZ ", tags, version=version)


def srgb_profile() -> bytes:
    """SRGB with its own curve, as a table of 1,024 values."""
    curve = np.rint(linear(np.linspace(0, 255, 1024)) * 65535).astype(">u2").tobytes()
    one = b"curv" + bytes(4) + struct.pack(">I", 1024) + curve
    tags: dict[bytes, bytes] = {}
    for name, column in zip(b"rgb", SRGB.to_d50.T, strict=True):
        tags[bytes([name]) + b"XYZ"] = b"XYZ " + bytes(4) + _numbers(column)
        tags[bytes([name]) + b"TRC"] = one
    return _profile(b"RGB ", b"XYZ ", tags, version=2)


def grey_profile(gamma: float, *, version: int = 2) -> bytes:
    """A grey curve."""
    return _profile(b"GRAY", b"XYZ ", {b"kTRC": _curve(gamma, version=version)}, version=version)


INK_STEPS = 4
"""Values of each ink in the table of :func:`cmyk_profile`: 0, 85, 170 and 255."""


def ink_lab(inks: np.ndarray) -> np.ndarray:
    """CIELAB of inks 0..1, a made-up press: each ink darkens and colours."""
    c, m, y, k = np.moveaxis(np.asarray(inks, float), -1, 0)
    light = 100 * (1 - 0.4 * c) * (1 - 0.5 * m) * (1 - 0.1 * y) * (1 - k)
    a = (60 * m - 35 * c) * (1 - k)
    b = (70 * y - 45 * c) * (1 - k)
    return np.stack([light, a, b], axis=-1)


def cmyk_profile() -> bytes:
    """A table (mft1) from inks to CIELAB, at four values of each."""
    steps = np.linspace(0, 1, INK_STEPS)
    inks = np.stack(np.meshgrid(*[steps] * 4, indexing="ij"), axis=-1)
    lab = ink_lab(inks) * [2.55, 1, 1] + [0, 128, 128]
    straight = bytes(range(256))
    head = b"mft1" + bytes(4) + bytes([4, 3, INK_STEPS, 0]) + _numbers(np.eye(3).ravel())
    table = head + straight * 4 + np.rint(lab).astype(np.uint8).tobytes() + straight * 3
    return _profile(b"CMYK", b"Lab ", {b"A2B0": table}, version=2)
