"""Random views against literal transforms of one image at a time."""

from __future__ import annotations

import colorsys
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.training.augment import (
    _blur,
    _jitter_colours,
    _random_crops,
    random_views,
)
from core.training.config import ViewConfig

LUMA = torch.tensor([0.299, 0.587, 0.114])
STILL = ViewConfig(
    size=32,
    scale=(1.0, 1.0),
    ratio=(1.0, 1.0),
    jitter_probability=0.0,
    grey_probability=0.0,
    flip_probability=0.0,
    blur_probability=0.0,
)


def _generator(seed=0):
    return torch.Generator().manual_seed(seed)


def _luminance(views):
    return torch.einsum("bchw,c->bhw", views, LUMA)


def test_no_change_returns_the_images(images):
    found = random_views(images, STILL, generator=_generator())
    torch.testing.assert_close(found, images.float() / 255, atol=1e-5, rtol=0)


def test_one_state_gives_one_set_of_views(images):
    config = ViewConfig(size=24)
    one, two = (random_views(images, config, generator=_generator(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, random_views(images, config, generator=_generator(4)))
    generator = _generator(3)
    first = random_views(images, config, generator=generator)
    second = random_views(images, config, generator=generator)
    assert torch.equal(first, one)
    assert not torch.equal(second, one)


def test_views_are_in_the_unit_interval_and_of_the_size(images):
    wild = ViewConfig(size=40, jitter=0.9, hue=0.5, grey_probability=0.3, blur_probability=0.9)
    found = random_views(images, wild, generator=_generator())
    assert found.shape == (16, 3, 40, 40)
    assert found.dtype == torch.float32
    assert 0 <= float(found.min()) < 0.05
    assert 0.95 < float(found.max()) <= 1
    assert found.isfinite().all()


def test_autocast_does_not_round_the_pixels(images):
    config = ViewConfig(size=24)
    plain = random_views(images, config, generator=_generator())
    with torch.autocast("cpu", torch.bfloat16):
        cast = random_views(images, config, generator=_generator())
    assert torch.equal(cast, plain)


def test_a_mirror_is_the_image_from_right_to_left(images):
    always = replace(STILL, flip_probability=1.0)
    found = random_views(images, always, generator=_generator())
    torch.testing.assert_close(found, images.float().flip(3) / 255, atol=1e-5, rtol=0)
    half = random_views(images, replace(STILL, flip_probability=0.5), generator=_generator())
    flipped = [
        bool((view - image).abs().max() < 1e-4) for view, image in zip(half, found, strict=True)
    ]
    assert 2 < sum(flipped) < 14


def test_crops_stay_inside_the_image_and_have_the_area():
    """On a ramp of coordinates every view is a ramp whose ends tell the crop."""
    side = 64
    across = (torch.arange(side) + 0.5) / side
    ramp = torch.stack([across.expand(side, side), across[:, None].expand(side, side)])
    images = torch.cat([ramp, ramp[:1]])[None].expand(400, 3, side, side)
    config = ViewConfig(size=16, scale=(0.2, 0.5), flip_probability=0.0)
    found = _random_crops(images.contiguous(), config, _generator())
    step = (found[..., 8] - found[..., 7])[:, 0, 8], (found[..., 8, :] - found[..., 7, :])[:, 1, 8]
    width, height = (16 * s for s in step)
    area = width * height
    assert 0.19 < float(area.min()) < 0.25
    assert 0.45 < float(area.max()) < 0.52
    ratio = width / height
    assert 0.74 < float(ratio.min()) < 0.8
    assert 1.25 < float(ratio.max()) < 1.35
    left, right = found[:, 0, 8, 0] - width / 32, found[:, 0, 8, -1] + width / 32
    assert float(left.min()) > -0.02
    assert float(right.max()) < 1.02
    assert float(left.min()) < 0.05
    assert float(right.max()) > 0.95


def test_grey_is_the_luminance_of_every_pixel(images):
    always = replace(STILL, grey_probability=1.0)
    views = images.float() / 255
    found = _jitter_colours(views, always, _generator())
    wanted = _luminance(views)[:, None].expand_as(views)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)


def test_hue_is_a_rotation_in_yiq_image_by_image(images):
    """Literal: the angles are found from one image and applied to every pixel of it."""
    config = replace(STILL, jitter_probability=1.0, jitter=0.0, hue=0.1)
    views = images.float() / 255
    found = _jitter_colours(views, config, _generator())
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    angles = []
    for before, after in zip(views.numpy(), found.numpy(), strict=True):
        one, two = (np.einsum("ij,jhw->ihw", yiq, image) for image in (before, after))
        np.testing.assert_allclose(two[0], one[0], atol=1e-4)
        ratio = (two[1] + 1j * two[2]) / (one[1] + 1j * one[2])
        np.testing.assert_allclose(ratio, ratio[0, 0], atol=5e-3)
        assert abs(ratio[0, 0]) == pytest.approx(1, abs=1e-3)
        angles.append(np.angle(ratio[0, 0]))
    assert max(map(abs, angles)) <= 0.1 * 2 * math.pi + 1e-3
    assert np.std(angles) > 0.1


def test_a_third_of_the_circle_turns_red_towards_green_or_blue():
    config = replace(STILL, jitter_probability=1.0, jitter=0.0, hue=0.34)
    red = torch.tensor([0.7, 0.3, 0.3])[None, :, None, None].expand(64, 3, 2, 2).contiguous()
    found = _jitter_colours(red, config, _generator())[:, :, 0, 0]
    hues = [colorsys.rgb_to_hsv(*map(float, colour.clamp(0, 1)))[0] for colour in found]
    assert any(0.2 < hue < 0.45 for hue in hues)
    assert any(0.55 < hue < 0.8 for hue in hues)


def test_contrast_and_hue_and_saturation_keep_the_mean_luminance(images):
    """Only brightness changes it, by its own gain: the same for all else that is drawn."""
    views = images.float() / 255
    config = replace(STILL, jitter_probability=1.0, jitter=0.4, hue=0.1)
    found = _jitter_colours(views, config, _generator())
    gains = _luminance(found).mean((1, 2)) / _luminance(views).mean((1, 2))
    assert (gains >= 0.6 - 1e-4).all()
    assert (gains <= 1.4 + 1e-4).all()
    generator = _generator()
    torch.rand(16, generator=generator)  # which views are jittered
    drawn = 0.6 + 0.8 * torch.rand(16, generator=generator)
    torch.testing.assert_close(gains, drawn, atol=1e-3, rtol=0)


def test_jitter_is_literal_gain_contrast_and_saturation(images):
    views = images.float() / 255
    config = replace(STILL, jitter_probability=1.0, jitter=0.3, hue=0.0)
    found = _jitter_colours(views, config, _generator(5))
    generator = _generator(5)
    torch.rand(16, generator=generator)
    gain, contrast, saturation = (0.7 + 0.6 * torch.rand(16, generator=generator) for _ in range(3))
    for i, view in enumerate(views):
        grey = (view * LUMA[:, None, None]).sum(0)
        wanted = gain[i] * (contrast[i] * view + (1 - contrast[i]) * grey.mean())
        luma = (wanted * LUMA[:, None, None]).sum(0)
        wanted = luma + saturation[i] * (wanted - luma)
        torch.testing.assert_close(found[i], wanted, atol=1e-3, rtol=0)


def test_views_that_are_not_jittered_stay(images):
    views = images.float() / 255
    config = replace(STILL, jitter_probability=0.5, jitter=0.5)
    change = (_jitter_colours(views, config, _generator()) - views).abs().amax((1, 2, 3))
    assert 2 < int((change < 1e-5).sum()) < 14


def test_blur_is_a_gaussian_of_each_image_alone():
    sigma = 1.0
    config = replace(STILL, blur_probability=1.0, blur_sigma=(sigma, sigma))
    point = torch.zeros(2, 3, 15, 15)
    point[0, 1, 7, 7] = 1
    found = _blur(point, config, _generator())
    steps = torch.arange(-3, 4).float()
    line = torch.exp(-0.5 * steps**2)
    line /= line.sum()
    wanted = F.pad(line[:, None] * line[None], [4] * 4)
    torch.testing.assert_close(found[0, 1], wanted)
    assert float(found[0, [0, 2]].abs().max()) == float(found[1].abs().max()) == 0


def test_blur_leaves_the_others_and_flat_images_alone(images):
    views = images.float() / 255
    found = _blur(views, replace(STILL, blur_probability=0.5), _generator())
    same = [torch.equal(a, b) for a, b in zip(views, found, strict=True)]
    assert 2 < sum(same) < 14
    flat = torch.full((4, 3, 16, 16), 0.3)
    always = replace(STILL, blur_probability=1.0)
    torch.testing.assert_close(_blur(flat, always, _generator()), flat)


def test_views_of_one_image_do_not_depend_on_the_pixels_of_the_others(images):
    config = ViewConfig(size=24, blur_probability=1.0)
    other = images.clone()
    other[1:] = 255 - other[1:]
    one, two = (random_views(x, config, generator=_generator()) for x in (images, other))
    torch.testing.assert_close(one[0], two[0])
    assert (one[1] - two[1]).abs().max() > 0.1
