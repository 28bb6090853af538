"""A network as an encoder: shapes, identity, independence of the batch, exact parts of regions."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.encoders import network as module
from core.encoders.backbones import (
    Backbone,
    BackboneConfig,
    build,
)
from core.encoders.baselines import BASELINES
from core.encoders.network import GRID, NetworkEncoder, read
from core.values import Encoder

CONFIG = BackboneConfig(input_size=64)
VIT = BackboneConfig("vit_tiny_patch16_224", input_size=48, stages=(1, 11), patch_stage=1)
EFFICIENT = BackboneConfig("tf_efficientnet_lite0", input_size=64, patch_stage=1)


@pytest.fixture(
    scope="module", params=[CONFIG, VIT, EFFICIENT], ids=["resnet", "vit", "efficientnet"]
)
def encoder(request):
    return NetworkEncoder("tiny", build(request.param, seed=0))


def _image(seed, size=(70, 50)):
    noise = np.random.default_rng(seed).integers(0, 256, (9, 9, 3), np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)


def test_shapes_follow_the_images_and_not_their_sizes(encoder):
    assert isinstance(encoder, Encoder)
    encoded = encoder.encode([_image(0), _image(1, (33, 200))])
    assert encoded.features.shape == (2, encoder.dim)
    assert encoded.features.dtype == np.float32
    assert encoded.grid == GRID
    assert encoded.patches is not None
    assert encoded.patches.shape[:2] == (2, GRID.size)
    assert np.isfinite(encoded.features).all()
    assert np.abs(encoded.features[0] - encoded.features[1]).max() > 0.01


def test_patches_are_those_of_the_patch_stage():
    stages = replace(EFFICIENT, patch_stage=0), EFFICIENT, replace(EFFICIENT, patch_stage=2)
    encoders = [NetworkEncoder("tiny", build(config, seed=0)) for config in stages]
    widths = [encoder.read(_image(0)).patches.shape[1] for encoder in encoders]
    assert widths == [40, 112, 320]  # channels of the stages that reduce by 8, 16 and 32
    assert len({encoder.identity for encoder in encoders}) == 3


def test_features_do_not_depend_on_the_batch(encoder):
    images = [_image(seed, (40 + seed, 60)) for seed in range(4)]
    together = encoder.encode(images)
    alone = encoder.encode(images[2:3])
    backwards = encoder.encode(images[::-1])
    np.testing.assert_allclose(alone.features[0], together.features[2], atol=1e-4)
    np.testing.assert_allclose(alone.patches[0], together.patches[2], atol=1e-4)
    np.testing.assert_allclose(backwards.features[::-1], together.features, atol=1e-4)


def test_the_backbone_is_in_evaluation_mode():
    backbone = build(CONFIG, seed=0).train()
    encoder = NetworkEncoder("tiny", backbone)
    before = encoder.encode([_image(0)]).features
    encoder.encode([_image(1)])
    np.testing.assert_array_equal(encoder.encode([_image(0)]).features, before)


def test_region_parts_sum_to_the_weighted_features(encoder):
    image = _image(5)
    features = encoder.encode([image]).features[0]
    weights = np.random.default_rng(0).standard_normal(encoder.dim).astype(np.float32)
    weights /= np.linalg.norm(features)
    parts = encoder.read(image).region_parts(weights)
    assert parts.shape == (GRID.size,)
    assert parts.sum() == pytest.approx(features @ weights, abs=1e-4)


def test_one_pass_gives_features_patches_and_the_parts_of_any_weights(encoder):
    """Every heatmap of an answer passed the network again."""
    image, passes = _image(6), []
    wanted = encoder.encode([image])
    hook = encoder.folded.register_forward_hook(lambda *_: passes.append(1))
    reading = read(encoder, image)
    for seed in range(3):
        weights = np.random.default_rng(seed).standard_normal(encoder.dim).astype(np.float32)
        parts = reading.region_parts(weights)
        assert parts.sum() == pytest.approx(reading.features @ weights, abs=1e-3)
    hook.remove()
    assert len(passes) == 1
    np.testing.assert_array_equal(reading.features, wanted.features[0])
    np.testing.assert_array_equal(reading.patches, wanted.patches[0])
    assert reading.grid == wanted.grid


def test_parts_are_those_of_each_position_where_the_map_has_the_grid():
    """Against the formula in double precision: x w / p on means, (x - mu)^2 w / (p sigma)."""
    encoder = NetworkEncoder("tiny", build(BackboneConfig(input_size=160, stages=(3,)), seed=0))
    reading = encoder.read(_image(7))
    weights = np.random.default_rng(1).standard_normal(encoder.dim)
    positions = reading.maps[0].astype(np.float64).reshape(-1, GRID.size)
    mean, deviation = np.split(weights, 2)
    squared = (positions - positions.mean(1, keepdims=True)) ** 2 + 1e-6
    sigma = np.sqrt(squared.mean(1, keepdims=True))
    wanted = (mean @ positions + deviation @ (squared / sigma)) / GRID.size
    found = reading.region_parts(weights.astype(np.float32))
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_reading_crosses_processes(encoder):
    reading = encoder.read(_image(8))
    again = pickle.loads(pickle.dumps(reading))
    weights = np.ones(encoder.dim, np.float32)
    parts = reading.region_parts(weights)
    np.testing.assert_allclose(again.region_parts(weights), parts, rtol=1e-5)


def test_baselines_are_read_without_space():
    reading = read(BASELINES["histogram"](), _image(0))
    assert reading.features.shape == (512,)
    assert reading.patches is None
    assert reading.region_parts(np.ones(512, np.float32)) is None


def test_region_parts_follow_what_changed():
    """A patch painted onto a flat image takes the parts that its change of the score makes."""
    encoder = NetworkEncoder("tiny", build(BackboneConfig(input_size=160, stages=(1,)), seed=0))
    flat = Image.new("RGB", (160, 160), (120, 120, 120))
    painted = flat.copy()
    painted.paste((250, 20, 20), (112, 16, 144, 48))
    deviations = np.zeros(encoder.dim, np.float32)
    deviations[encoder.dim // 2 :] = 1
    heat = encoder.read(painted).region_parts(deviations).reshape(GRID.rows, GRID.columns)
    assert heat[1:3, 7:9].mean() > 3 * heat[5:, :5].mean()


def test_identity_names_weights_and_pooling_and_not_the_name(monkeypatch):
    one = NetworkEncoder("a", build(CONFIG, seed=0))
    assert NetworkEncoder("b", build(CONFIG, seed=0)).identity == one.identity
    assert NetworkEncoder("a", build(CONFIG, seed=1)).identity != one.identity
    larger = Backbone(BackboneConfig(input_size=96), one.backbone.network)
    assert NetworkEncoder("a", larger).identity != one.identity
    monkeypatch.setattr(module, "POOLING", "another")
    assert NetworkEncoder("a", build(CONFIG, seed=0)).identity != one.identity


def test_identity_changes_with_decoding(monkeypatch):
    one = NetworkEncoder("a", build(CONFIG, seed=0))
    monkeypatch.setattr(module, "DECODING", 0)
    assert NetworkEncoder("a", build(CONFIG, seed=0)).identity != one.identity


def test_pixels_are_squeezed_and_in_the_unit_interval():
    image = _image(2, (64, 32))
    pixels = module.squeezed([image], 64)
    wanted = np.asarray(image.resize((64, 64), Image.Resampling.BICUBIC), np.float32) / 255
    np.testing.assert_allclose(pixels.numpy(), wanted.transpose(2, 0, 1)[None], atol=0.02)
    assert 0 <= float(pixels.min()) <= float(pixels.max()) <= 1


def test_an_encoder_is_sent_without_its_folded_copy(encoder):
    sent = pickle.dumps(encoder)
    assert len(sent) < 1.2 * len(pickle.dumps(encoder.backbone))
    found = pickle.loads(sent)
    image = _image(7)
    assert (found.name, found.identity, found.device) == (
        encoder.name,
        encoder.identity,
        encoder.device,
    )
    np.testing.assert_array_equal(found.encode([image]).features, encoder.encode([image]).features)
