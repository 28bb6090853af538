import json

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.quality import abc
from core.config import HeadConfig
from core.encoders.baselines import BASELINES
from core.heads.fit import fit_head
from core.values import GalleryError


@pytest.fixture
def clone(tmp_path):
    """Six models with 1 to 6 exemplars and two types of prompt, in the authors' layout."""
    rng = np.random.default_rng(0)
    entries, exemplars, synth = [], [], {"gpt": [], "media": []}
    for model in range(6):
        own = rng.normal(size=(model + 1, 8))
        exemplars.extend(own)
        for rows in synth.values():
            rows.extend(own[rng.integers(model + 1, size=3)] + 0.7 * rng.normal(size=(3, 8)))
        entries.append(
            {
                "exemplar": [f"dataset/exemplar/{model}_{i}.jpg" for i in range(model + 1)],
                "synth": {
                    k: [f"dataset/synth/{k}/{model}_{i}.png" for i in range(3)] for k in synth
                },
                "class_id": str(model),
                "category": None,
            }
        )
    (tmp_path / "dataset" / "json").mkdir(parents=True)
    (tmp_path / "dataset" / "json" / "test_x.json").write_text(json.dumps(entries))
    feats = tmp_path / "feats"
    feats.mkdir()
    laion = torch.tensor(rng.normal(size=(3_000, 8)) + 0.5, dtype=torch.float32)
    torch.save({"feats": laion, "paths": ["a"] * 3_000}, feats / "laion_subset.pth")
    tensors = {k: torch.tensor(np.array(v), dtype=torch.float32) for k, v in synth.items()}
    torch.save(
        {
            "exemplar_tensors": torch.tensor(np.array(exemplars), dtype=torch.float32),
            "exemplar_chunks": [(0, 1)],
            "synth_tensors": tensors,
        },
        feats / "test_x.pth",
    )
    return tmp_path


def literal(gallery, exemplars, queries, chunks):
    """The protocol word for word: one gallery a query, one full sort."""
    found = []
    for query, (start, end) in zip(queries, chunks, strict=True):
        everything = np.concatenate([gallery, exemplars[start:end]])
        matches = np.argsort(-(everything @ query), kind="stable") >= len(gallery)
        places = np.flatnonzero(matches) + 1
        precision = np.sum(np.arange(1, len(places) + 1) / places) / len(places)
        found.append([*(matches[:k].sum() / (end - start) for k in (5, 10, 100)), precision])
    return np.mean(found, axis=0)


@pytest.mark.parametrize("kind", ["identity", "whiten"])
def test_equals_the_literal_protocol(clone, kind):
    test = abc.read_case(clone / "dataset/json/test_x.json")
    features = abc.read_features(clone / "feats", "test_x")
    head = fit_head(features.gallery, config=HeadConfig(kind=kind, k=8))
    scores = abc.evaluate(test, features, head)
    assert list(scores) == ["gpt", "media"]
    for prompts, found in scores.items():
        expected = literal(
            head(features.gallery, role="gallery"),
            head(features.exemplars, role="gallery"),
            head(features.generated[prompts], role="query"),
            [test.chunks[model] for model in test.models[prompts]],
        )
        assert found.queries == 18
        np.testing.assert_allclose([*found.recalls.values(), found.precision], expected, atol=1e-9)
        assert 0 < found.precision < 1


def test_only_the_models_own_exemplars_compete(clone):
    """Exemplars of other models that equal the query would push its own one down."""
    features = abc.read_features(clone / "feats", "test_x")
    head = fit_head(features.gallery, config=HeadConfig(kind="identity"))
    index = abc.distractor_index(head(features.gallery, role="gallery"))
    queries = head(features.generated["gpt"][:3], role="query")  # of the model with one exemplar
    own = head(features.exemplars, role="gallery")
    crowded = np.concatenate([own[:1], np.repeat(queries[:1], len(own) - 1, axis=0)])
    alone, beside = (
        abc.retrieval_scores(index, exemplars, queries, chunks=np.array([[0, 1]] * 3))
        for exemplars in (own, crowded)
    )
    assert alone == beside
    mixed = abc.retrieval_scores(index, crowded, queries, chunks=np.array([[0, 2]] * 3))
    assert mixed != alone


def test_exemplars_and_models_are_read_in_their_order(clone):
    test = abc.read_case(clone / "dataset/json/test_x.json")
    assert test.chunks[:3] == ((0, 1), (1, 3), (3, 6))
    assert test.exemplars[3] == "dataset/exemplar/2_0.jpg"
    assert test.generated["media"][4] == "dataset/synth/media/1_1.png"
    assert test.models["gpt"][:4] == (0, 0, 0, 1)


def test_what_does_not_belong_together_is_refused(clone):
    test = abc.read_case(clone / "dataset/json/test_x.json")
    features = abc.read_features(clone / "feats", "test_x")
    fewer = abc.Features(features.gallery, features.exemplars[1:], features.generated)
    head = fit_head(features.gallery, config=HeadConfig(kind="identity"))
    with pytest.raises(GalleryError, match="of other images"):
        abc.evaluate(test, fewer, head)
    with pytest.raises(GalleryError, match="laion_subset"):
        abc.read_features(clone, "test_x")
    (clone / "bad.json").write_text('{"a": 1}')
    with pytest.raises(GalleryError, match="not a list of models"):
        abc.read_case(clone / "bad.json")


def test_our_encoders_read_the_same_files(clone):
    """The gallery's images and the test's are encoded once; the second call reads them."""
    rng = np.random.default_rng(1)
    test = abc.read_case(clone / "dataset/json/test_x.json")
    laion = [f"dataset/laion_subset/{i:03}.png" for i in range(40)]
    for name in (*test.exemplars, *test.generated["gpt"], *test.generated["media"], *laion):
        path = clone / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (16, 16, 3), np.uint8)).save(path)
    encoder = BASELINES["thumbnail"]()
    features = abc.encode_features(clone, test, encoder, cache=clone / "cache")
    assert features.gallery.shape == (40, 192)
    head = fit_head(features.gallery, config=HeadConfig(kind="center"))
    first = abc.evaluate(test, features, head)
    for path in (clone / "dataset" / "exemplar").iterdir():
        path.unlink()
    again = abc.encode_features(clone, test, encoder, cache=clone / "cache")
    assert abc.evaluate(test, again, head) == first
