"""Colours as sRGB: what a file states of its own is applied, once and where it changes anything."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from core.images.spaces import CodePoints, profile_of, profile_of_gamma

logger = logging.getLogger(__name__)
MAX_PROFILE = 4_000_000
"""Largest profile that is looked at, bytes; those of printing presses take up to 3 MB."""
TOO_LARGE = "its colour profile is too large and was ignored"
UNFIT = "its colour profile does not fit its pixels and was ignored"
DAMAGED = "its colour profile is damaged and was ignored"
UNKNOWN = "its colours are stated in a way that is not known, and were taken for sRGB"
HDR = "its high dynamic range was brought down to that of a usual picture"

_LEVELS = 2  # a profile that changes no colour by more is that of sRGB, whatever it is called
_MODES = {b"GRAY": "L", b"RGB ": "RGB", b"CMYK": "CMYK", b"Lab ": "LAB"}  # ICC.1:2022, 7.2.6
_STEPS = 9  # of the cube of colours that is tried, along each side


@dataclass(frozen=True)
class _Way:
    """How pixels under a profile come to sRGB."""

    mode: str
    """The mode that the transform takes."""
    transform: ImageCms.ImageCmsTransform | None
    """``None`` where the colours are those of sRGB already, or the profile is of no use."""
    note: str | None = None


def flat_srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """A new RGB image in sRGB, transparency laid on white, and what is unusual of its colours.

    Args:
        image: of mode L, LA, RGB, RGBA, CMYK or LAB. What states its colours is in ``info``, the
            first of these counts: ``code_points``, ``icc_profile``, ``srgb``, and ``gamma`` with
            ``chromaticity``, as Pillow has them of PNG.
    """
    if image.mode not in ("LA", "RGBA"):
        return _srgb(image)
    rgb, note = _srgb(image.convert(image.mode[:-1]))
    return on_white(rgb, image.getchannel("A")), note


def on_white(rgb: Image.Image, alpha: Image.Image) -> Image.Image:
    """An RGB image laid on white where it is transparent."""
    white = Image.new("RGB", rgb.size, "white")
    white.paste(rgb, mask=alpha)
    return white


def _srgb(image: Image.Image) -> tuple[Image.Image, str | None]:
    """As :func:`flat_srgb`, of an image without transparency."""
    way = _way_of(image)
    if image.mode == "LAB" and way.transform is None:
        way = replace(way, mode="LAB", transform=_from_lab())
    if way.transform is None:
        return image.convert("RGB"), way.note
    given = image if image.mode == way.mode else image.convert(way.mode)
    done = ImageCms.applyTransform(given, way.transform)
    assert done is not None
    return done, way.note


def _way_of(image: Image.Image) -> _Way:
    """The way to sRGB; whatever is wrong with what states the colours becomes a note."""
    info = image.info
    points, profile = info.get("code_points"), info.get("icc_profile")
    if isinstance(points, CodePoints):
        return _by_code_points(points, image.mode)
    if "icc_profile" not in info:
        return _by_gamma(info, image.mode)
    if profile and len(profile) > MAX_PROFILE:
        return _Way("RGB", None, TOO_LARGE)
    try:
        return way_of(profile, image.mode)
    except Exception:  # a broken profile may raise anything, and the pixels are sound
        logger.debug("a colour profile was ignored", exc_info=True)
        return _Way("RGB", None, DAMAGED)


def _by_code_points(points: CodePoints, mode: str) -> _Way:
    if not points.known:
        return _Way("RGB", None, UNKNOWN)
    way = way_of(profile_of(points), mode)
    return replace(way, note=HDR) if points.is_hdr else way


def _by_gamma(info: Mapping[Any, Any], mode: str) -> _Way:
    if "gamma" not in info or "srgb" in info:
        return _Way("RGB", None)
    try:
        profile = profile_of_gamma(info["gamma"], info.get("chromaticity"))
    except ValueError:
        return _Way("RGB", None, UNKNOWN)
    return _Way("RGB", None) if profile is None else way_of(profile, mode)


@lru_cache(maxsize=16)
def way_of(profile: bytes, mode: str) -> _Way:
    """The way from a profile and a mode without transparency; raises whatever Pillow raises.

    Lists of processing elements (``mpet``) are refused: they may be so long that a colour takes
    seconds, and nothing but HDR profiles has them.
    """
    if b"mpet" in profile:
        raise ValueError("the profile holds processing elements")
    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    wanted = _MODES.get(profile[16:20])
    if wanted is None or mode not in ({wanted, "L"} if wanted == "RGB" else {wanted}):
        return _Way("RGB", None, UNFIT)
    transform = _to_srgb(opened, wanted)
    return _Way(wanted, transform if _changes(transform, wanted) else None)


@cache
def _from_lab() -> ImageCms.ImageCmsTransform:
    return _to_srgb(ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")), "LAB")


def _to_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    return ImageCms.buildTransform(
        profile,
        ImageCms.createProfile("sRGB"),
        mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )


def _changes(transform: ImageCms.ImageCmsTransform, mode: str) -> bool:
    """Whether a transform changes any colour of a small cube, or any grey, visibly."""
    if mode not in ("L", "RGB"):
        return True
    steps = np.linspace(0, 255, _STEPS if mode == "RGB" else 256).astype(np.uint8)
    axes = [steps] * 3 if mode == "RGB" else [steps]
    cube = np.stack(np.meshgrid(*axes), axis=-1).reshape(len(steps), -1, len(axes))
    before = Image.fromarray(cube if mode == "RGB" else cube[..., 0])
    after = ImageCms.applyTransform(before, transform)
    assert after is not None
    difference = np.asarray(after, np.int16) - np.asarray(before.convert("RGB"), np.int16)
    return bool(np.abs(difference).max() > _LEVELS)
