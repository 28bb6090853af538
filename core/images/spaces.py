"""Spaces of colours that are stated by numbers, as ICC profiles: code points, gamma, primaries."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

_Curve = Callable[[Float[np.ndarray, " n"]], Float[np.ndarray, " n"]]
_XY = tuple[float, float]

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
_BT709 = ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65)
_SMPTE = ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65)
_PRIMARIES: dict[int, tuple[_XY, ...]] = {
    1: _BT709,
    2: _BT709,  # unspecified
    4: ((0.67, 0.33), (0.21, 0.71), (0.14, 0.08), _C),
    5: ((0.64, 0.33), (0.29, 0.60), (0.15, 0.06), _D65),
    6: _SMPTE,
    7: _SMPTE,
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}  # red, green, blue, white: ITU-T H.273, table 2
_WHITE = 203  # cd/m2 of a white that is not a highlight: ITU-R BT.2408
_PEAK = 1_000  # cd/m2 that become the brightest level
_KNEE = 0.5  # of that white; darker light stays as it is
_D50 = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
_STEPS = np.arange(256) / 255  # levels that pixels may have
_USUAL_GAMMA = (2.2 * 0.95, 2.2 * 1.05)  # stands for sRGB: libpng's PNG_GAMMA_THRESHOLD
_GAMMAS = (0.2, 5.0)  # others are no picture's


@dataclass(frozen=True)
class CodePoints:
    """Colours by the numbers of ITU-T H.273."""

    primaries: int
    transfer: int
    full_range: bool = True
    """Whether black is 0 and white 255; else they are 16 and 235."""

    @property
    def known(self) -> bool:
        """Whether :func:`profile_of` has a profile for them."""
        return self.primaries in _PRIMARIES and self.transfer in _TRANSFERS

    @property
    def is_srgb(self) -> bool:
        """Whether pixels stay as they are."""
        usual = _PRIMARIES.get(self.primaries) is _BT709 and _TRANSFERS.get(self.transfer) is _srgb
        return usual and self.full_range

    @property
    def is_hdr(self) -> bool:
        """Whether light beyond white has levels of its own (PQ and HLG)."""
        return self.transfer in (16, 18)


@lru_cache(maxsize=16)
def profile_of(points: CodePoints) -> bytes:
    """The ICC profile of known code points.

    Curves of television (BT.601, BT.709, BT.2020) are taken for that of sRGB, as screens and
    browsers show such stills. A high dynamic range is brought down: light up to half of white stays
    as it is, brighter light bends towards a peak of 1,000 cd/m2.
    """
    levels = _STEPS if points.full_range else np.clip((_STEPS * 255 - 16) / 219, 0, 1)
    light = _TRANSFERS[points.transfer](levels)
    return _profile(_PRIMARIES[points.primaries], light)


@lru_cache(maxsize=16)
def profile_of_gamma(gamma: float, chromaticity: Sequence[float] | None) -> bytes | None:
    """The ICC profile of the chunks gAMA and cHRM of PNG; ``None`` where they mean sRGB.

    Args:
        gamma: exponent by which light became levels, such as 0.45455; that of sRGB, or one close
            to it, stands for the curve of sRGB.
        chromaticity: x and y of white, red, green and blue; those of sRGB where not given.

    Raises:
        ValueError: when the numbers are those of no space.
    """
    if not (gamma > 0 and _GAMMAS[0] <= 1 / gamma <= _GAMMAS[1]):
        raise ValueError(f"a gamma of {gamma}")
    usual = _USUAL_GAMMA[0] <= 1 / gamma <= _USUAL_GAMMA[1]
    if usual and chromaticity is None:
        return None
    light = _srgb(_STEPS) if usual else _STEPS ** (1 / gamma)
    if chromaticity is None:
        return _profile(_BT709, light)
    pairs = [*zip(chromaticity[::2], chromaticity[1::2], strict=True)]
    if len(pairs) != 4 or min(y for _, y in pairs) <= 0:
        raise ValueError("four pairs, each with some light, are a space")
    white, *primaries = pairs
    return _profile((*primaries, white), light)


def _srgb(levels: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """IEC 61966-2-1."""
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _pq(levels: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """SMPTE ST 2084, of white."""
    root = levels ** (1 / 78.84375)
    light = np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)
    return _brought_down(light ** (1 / 0.1593017578125) * 10_000 / _WHITE)


def _hlg(levels: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """ITU-R BT.2100: the inverse of the camera's curve, then a screen of 1,000 cd/m2, of white."""
    bright = (np.exp((levels - 0.55991073) / 0.17883277) + 0.28466892) / 12
    scene = np.where(levels <= 0.5, levels**2 / 3, bright)
    return _brought_down(scene**1.2 * 1_000 / _WHITE)


def _brought_down(light: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Light, of white, in 0..1: the curve of Reinhard et al. 2002, equation 4, above the knee."""
    over, peak = (np.maximum(light, _KNEE) - _KNEE) / (1 - _KNEE), (_PEAK / _WHITE - _KNEE) / 0.5
    bent = over * (1 + over / peak**2) / (1 + over)
    return np.clip(np.minimum(light, _KNEE) + (1 - _KNEE) * bent, 0, 1)


_TRANSFERS: dict[int, _Curve] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15), _srgb),
    4: lambda levels: levels**2.2,
    5: lambda levels: levels**2.8,
    8: lambda levels: levels,
    16: _pq,
    17: lambda levels: np.minimum(levels**2.6 * 52.37 / 48, 1),
    18: _hlg,
}  # light of levels: ITU-T H.273, table 3


def _profile(space: Sequence[_XY], light: Float[np.ndarray, " 256"]) -> bytes:
    """A profile of three primaries, a white and one curve: ICC.1:2001-04.

    Raises:
        ValueError: when the primaries span no space.
    """
    columns = np.stack([_xyz(xy) for xy in space[:3]], axis=1)
    white = _xyz(space[3])
    try:
        scaled = columns * np.linalg.solve(columns, white)
    except np.linalg.LinAlgError as error:
        raise ValueError("the primaries span no space") from error
    gains = (_BRADFORD @ _D50) / (_BRADFORD @ white)
    to_d50 = np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD @ scaled
    if not np.isfinite(to_d50).all() or np.abs(to_d50).max() > 10:
        raise ValueError("the primaries span no space")
    curve = b"curv" + struct.pack(">II", 0, len(light)) + _words(light)
    tags = [(b"desc", _DESCRIPTION), (b"wtpt", _numbers(_D50))]
    tags += [(bytes([name]) + b"XYZ", _numbers(to_d50[:, i])) for i, name in enumerate(b"rgb")]
    tags += [(bytes([name]) + b"TRC", curve) for name in b"rgb"]
    place, table, body = 132 + 12 * len(tags), b"", b""
    for name, content in tags:
        table += name + struct.pack(">II", place + len(body), len(content))
        body += content
    head = struct.pack(">I4xI", place + len(body), 2 << 24) + b"mntrRGB XYZ " + bytes(12)
    head += b"acsp" + bytes(28) + _numbers(_D50)[8:]
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


_DESCRIPTION = b"desc" + struct.pack(">II", 0, 5) + b"made\0" + bytes(79)


def _xyz(xy: _XY) -> Float[np.ndarray, " 3"]:
    x, y = xy
    return np.array([x / y, 1, (1 - x - y) / y])


def _numbers(values: Float[np.ndarray, " 3"]) -> bytes:
    return b"XYZ " + struct.pack(">4x3i", *(round(float(value) * 65_536) for value in values))


def _words(values: Float[np.ndarray, " 256"]) -> bytes:
    return np.rint(values * 65_535).astype(">u2").tobytes()
