"""A gallery with a real network and head: queries find themselves, parts sum to the cosine."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from PIL import Image, ImageOps

from core.config import (
    HeadConfig,
    NullConfig,
    ProjectionConfig,
    ScoreConfig,
)
from core.encoders.backbones import BackboneConfig, build
from core.encoders.baselines import BASELINES
from core.encoders.network import NetworkEncoder
from core.encoders.read_image import ReadImage
from core.explain.projection import Map, fit_map
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.opting import opt_out
from core.gallery.source import Source
from core.measures.disentangle import stage
from core.search.extra_views import with_extra_views
from core.search.prepare import fitted_head
from core.search.ranking import SAME_FILE
from core.service.disentanglement import sample
from core.service.explaining import explain
from core.service.guests import with_guest
from core.service.workspace import Workspace
from core.values import Encoded, FilterError, GalleryError, Grid

COUNT = 12
RESNET = BackboneConfig(input_size=64)
VIT = BackboneConfig("vit_tiny_patch16_224", input_size=48, stages=(1, 11), patch_stage=1)


def _image(seed):
    noise = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), np.uint8)
    return Image.fromarray(noise).resize((70, 60), Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def encoders():
    networks = {"resnet": build(RESNET, seed=0), "vit": build(VIT, seed=0)}
    made = {name: NetworkEncoder(name, network) for name, network in networks.items()}
    return made | {"histogram": BASELINES["histogram"]()}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory, encoders):
    folder = tmp_path_factory.mktemp("world")
    for i in range(COUNT):
        (folder / f"set{i % 2}").mkdir(exist_ok=True)
        _image(i).save(folder / f"set{i % 2}" / f"{i:02d}.png")
    rows = [f"set{i % 2}/{i:02d}.png,{'red' if i % 3 else 'blue'},{i % 2}" for i in range(COUNT)]
    (folder / "metadata.csv").write_text("\n".join(["file_name,colour,shape", *rows]))
    update(folder / "gallery", Source(folder), with_extra_views(list(encoders.values())))
    return Gallery.open(folder / "gallery")


def _workspace(gallery, encoder, **settings):
    head = fitted_head(gallery, encoder, config=HeadConfig(k=8, shrinkage=0.1))
    return Workspace(gallery, encoder, head, **settings)


@pytest.fixture(scope="module", params=["resnet", "vit"])
def workspace(request, gallery, encoders):
    return _workspace(gallery, encoders[request.param])


def _record(gallery, number):
    return next(r for r in gallery.records if r.path.endswith(f"/{number:02d}.png"))


def _pixels(workspace, row):
    return Image.open(workspace.gallery.root / workspace.gallery.records[row].path).convert("RGB")


@pytest.mark.slow
def test_a_gallery_image_finds_itself_first(workspace):
    for row in (0, 5, COUNT - 1):
        found = workspace.attribute(workspace.query(_pixels(workspace, row)), top=4)
        assert found.matches[0].image == workspace.gallery.records[row]
        assert found.matches[0].cosine > 0.999
        assert len(found.matches) == 4
        # A dozen images are too few to tell a source from chance: no number is given.
        assert {g.influence for g in found.groups} == {None}


@pytest.mark.slow
def test_the_answer_names_encoder_head_and_gallery(workspace):
    found = workspace.attribute(workspace.query(_image(99)), top=3)
    assert found.encoder == f"{workspace.encoder.name}@{workspace.encoder.identity}"
    assert found.head == f"{workspace.head.name}@{workspace.head.identity}"
    assert found.gallery == f"gallery@{workspace.gallery.identity}"
    assert found.null_id == workspace.null.identity


@pytest.mark.parametrize("seed", [3, 50])
@pytest.mark.slow
def test_every_split_of_the_cosine_sums_to_it(workspace, seed):
    """The queries: an image of the gallery, and one unlike all."""
    image = _image(seed)
    query = workspace.query(image)
    for match in workspace.attribute(query, top=3).matches:
        row = workspace.gallery.row_of[match.image.id]
        source = _pixels(workspace, row)
        found = explain(
            workspace,
            query,
            image_id=match.image.id,
            source=ReadImage(source),
            top=workspace.head.dim,
        )
        assert found.cosine == pytest.approx(match.cosine, abs=1e-5)
        assert found.grid == Grid(10, 10)
        assert found.query_parts.shape == found.source_parts.shape == (100,)
        assert found.query_parts.sum() == pytest.approx(found.cosine, abs=1e-4)
        # The gallery keeps features in float16, so its side is exact to their digits only.
        assert found.source_parts.sum() == pytest.approx(found.cosine, abs=2e-3)
        assert sum(c.value for c in found.contributions) == pytest.approx(found.cosine, abs=1e-5)
        spans = [dims for _, dims in workspace.head.spans]
        assert len(found.level_parts) == len(spans) > 1
        for level, dims in zip(found.level_parts, spans, strict=True):
            own = workspace.vectors[row][dims] @ query.embedding[dims]
            assert level.query.sum() == pytest.approx(own, abs=1e-4)
            assert level.source.sum() == pytest.approx(own, abs=2e-3)
        cosine = workspace.collection.views[1].vectors[row] @ query.vectors[1]
        (edges,) = found.cell_parts
        assert (edges.view, edges.grid) == ("edges", Grid(5, 5))
        assert edges.parts.sum() == pytest.approx(cosine, abs=1e-5)


@pytest.mark.slow
def test_an_inverted_image_is_found_by_its_edges(gallery, encoders):
    """A whole inversion leaves an embedding of colours nothing to go by."""
    encoder, places = encoders["resnet"], {}
    for edges in (True, False):
        workspace = _workspace(
            gallery, encoder, score=ScoreConfig().without(*([] if edges else ["edges"]))
        )
        assert ("edges" in [view.name for view in workspace.collection.views]) == edges
        ranks = []
        for row, record in enumerate(gallery.records):
            inverted = ImageOps.invert(_pixels(workspace, row))
            query = workspace.query(inverted)
            matches = workspace.attribute(query, top=COUNT).matches
            ranks.append([match.image for match in matches].index(record))
        found = explain(workspace, query, image_id=record.id, source=ReadImage(inverted))
        assert [cells.view for cells in found.cell_parts] == ["edges"] * edges
        places[edges] = ranks
    assert places[True].count(0) > places[False].count(0), places


def test_an_image_of_the_gallery_is_known_by_its_bytes(gallery, encoders):
    """With the domains centred apart it found others first, and its parts summed to no cosine."""
    encoder = encoders["resnet"]
    features = np.asarray(gallery.features(encoder), np.float32)
    shifted = features + 3 * features.std(0) * np.sign(features[3] - features[4])
    config = HeadConfig(k=8, shrinkage=0.1, per_domain=True)
    head = fitted_head(gallery, encoder, config=config, synthetic=shifted)
    workspace = Workspace(gallery, encoder, head, null=NullConfig(queries=2))
    image, record = _image(3), _record(gallery, 3)
    known = workspace.query(gallery.root / record.path)
    assert workspace.attribute(known, top=1).matches[0].image == record
    unknown = workspace.query(image)
    assert np.abs(unknown.embedding - known.embedding).max() > 0.1
    for query in (known, unknown):
        found = explain(workspace, query, image_id=record.id, source=ReadImage(image))
        assert found.query_parts.sum() == pytest.approx(found.cosine, abs=1e-4)


class Angles:
    """An encoder that reads the number of an image in its first pixel, and looks up its angle."""

    name, dim, identity = "angles", 2, "0" * 16

    def __init__(self, angles):
        self.angles = np.array(angles)

    def encode(self, images):
        angles = self.angles[[image.getpixel((0, 0))[0] for image in images]]
        return Encoded(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32))


@pytest.mark.parametrize("search", ["exact", "hnsw"])
@pytest.mark.slow
def test_an_image_of_the_gallery_leads_though_another_scores_higher(tmp_path, search):
    """Local scaling put another image before a hub's own: it has a dozen near neighbours."""
    angles = [0.0, *[0.3] * 12, -0.2]
    encoder = Angles(angles)
    for number in range(len(angles)):
        image = _image(number)
        image.putpixel((0, 0), (number, 0, 0))
        image.save(tmp_path / f"{number:02d}.png")
    update(tmp_path / "gallery", Source(tmp_path), [encoder])
    gallery = Gallery.open(tmp_path / "gallery")
    head = fitted_head(gallery, encoder, config=HeadConfig(kind="identity"))
    workspace = Workspace(gallery, encoder, head, score=ScoreConfig(search=search))
    with Image.open(tmp_path / "00.png") as opened:
        image = opened.convert("RGB")
    unknown = workspace.query(image)
    assert workspace.collection.rank(unknown, k=14).rows[0] == 13  # the control
    known = workspace.query(tmp_path / "00.png")
    for k in (1, 3, 14):
        ranking = workspace.collection.rank(known, k=k)
        assert ranking.rows[0] == 0
        assert len(ranking.rows) == len(set(ranking.rows.tolist())) == k
        assert (np.diff(ranking.scores) <= 0).all()
    found = workspace.attribute(known, top=3)
    assert found.matches[0].image == gallery.records[0]
    assert found.groups[0].best.image == gallery.records[0]
    assert found.matches[0].cosine == pytest.approx(1, abs=1e-3)


@pytest.mark.slow
def test_regions_are_those_of_the_local_score(workspace):
    image = _pixels(workspace, 4)
    query = workspace.query(image)
    record = workspace.gallery.records[4]
    found = explain(workspace, query, image_id=record.id, source=ReadImage(image)).regions
    assert found.query_heat.sum() == pytest.approx(found.source_heat.sum())
    assert found.query_heat.sum() > 0.8  # it is the image itself, less what is flat in it


def test_an_image_that_is_not_there_cannot_be_explained(workspace):
    query = workspace.query(_image(0))
    with pytest.raises(GalleryError, match="12345"):
        explain(workspace, query, image_id=12345, source=ReadImage(_image(0)))


def test_an_encoder_without_space_has_no_regions(gallery, encoders):
    workspace = _workspace(gallery, encoders["histogram"])
    query = workspace.query(_image(2))
    found = explain(workspace, query, image_id=gallery.records[2].id, source=ReadImage(_image(2)))
    assert (found.grid, found.query_parts, found.source_parts, found.regions) == (None,) * 4
    assert query.patches is None
    assert sum(c.value for c in found.contributions) == pytest.approx(found.cosine, abs=1e-5)


def test_exciting_images_are_the_ends_of_a_dimension(workspace):
    most, least = workspace.exciting(2, count=3)
    values = {
        record.id: workspace.vectors[row, 2] for row, record in enumerate(workspace.gallery.records)
    }
    ordered = sorted(values, key=lambda i: -values[i])
    assert [record.id for record in most] == ordered[:3]
    assert [record.id for record in least] == ordered[::-1][:3]


@pytest.mark.slow
def test_the_null_is_kept_and_keyed_by_the_scoring(gallery, encoders):
    encoder = encoders["resnet"]
    calls = []

    def progress(done, total, what):
        calls.append(what)

    fresh = NullConfig(queries=7)
    first = _workspace(gallery, encoder, null=fresh, progress=progress)
    assert len(first.null.margins) == 7
    assert calls
    calls.clear()
    again = _workspace(gallery, encoder, null=fresh, progress=progress)
    assert again.null.identity == first.null.identity
    assert not calls
    changes = {"queries": 6, "folds": 3, "alone": 0, "seed": 1}
    assert changes.keys() == {each.name for each in fields(NullConfig)}
    for name, value in changes.items():
        config = replace(fresh, **{name: value})
        _workspace(gallery, encoder, null=config, progress=progress)
        assert calls, name
        calls.clear()
    other = _workspace(gallery, encoder, null=fresh, score=ScoreConfig().without("patches"))
    assert other.null.identity != first.null.identity


@pytest.mark.slow
def test_damaged_nulls_and_clusters_are_found_again(gallery, encoders):
    """A null out of order or of NaN gave p-values without meaning, clusters rows beyond the end."""
    encoder, few = encoders["histogram"], NullConfig(queries=6)
    whole = _workspace(gallery, encoder, null=few)
    layout = Map(np.zeros((COUNT, 2), np.float32), np.arange(1), np.zeros((1, 8), np.float32), 1)
    labels = whole.clusters(layout, kind="density").tolist()
    kept = gallery.artefacts.folder
    for values in (whole.null.margins[::-1], whole.null.margins[:3], [np.nan] * 6):
        for path in kept.glob("null-*/margins.npy"):
            np.save(path, np.array(values))
        assert _workspace(gallery, encoder, null=few).null.identity == whole.null.identity
    for path in kept.glob("clusters-*/labels.npy"):
        np.save(path, np.full(COUNT, 10**6))
    assert whole.clusters(layout, kind="density").tolist() == labels


def test_the_map_is_fitted_once_per_settings(gallery, encoders, monkeypatch):
    calls = []

    def fit(embeddings, *, config, strata, progress):
        calls.append(list(strata))
        points = np.zeros((len(embeddings), 2), np.float32)
        return Map(points, np.arange(3), np.asarray(embeddings[:3]), config.neighbours)

    fit.__module__ = fit_map.__module__
    monkeypatch.setattr("core.service.kept.fit_map", fit)
    workspace = _workspace(gallery, encoders["histogram"])
    config = ProjectionConfig(neighbours=4)
    first, again = workspace.layout(config=config), workspace.layout(config=config)
    assert calls == [[record.path[:4] for record in gallery.records]]
    np.testing.assert_allclose(again.anchors, first.anchors, atol=1e-6)
    workspace.layout(config=ProjectionConfig(neighbours=5))
    assert len(calls) == 2
    for path in gallery.artefacts.folder.glob("map-*/map.npz"):  # it broke who placed an image
        replace(first, fitted=np.arange(0), anchors=first.anchors[:0]).save(path)
    assert len(workspace.layout(config=config).fitted) == 3


@pytest.mark.filterwarnings("ignore:Using the fractional value")  # a dozen images are few
def test_measures_use_the_factors_of_the_metadata(workspace):
    rows = sample(workspace, [], [])
    found = stage(rows.after, factors=rows.factors, what="after the head")
    assert found.label_free.images == COUNT
    assert found.by_factor is not None


@pytest.mark.slow
def test_a_graph_is_kept_and_ranks_like_the_exact_search(gallery, encoders):
    encoder = encoders["histogram"]
    exact = _workspace(gallery, encoder)
    walked = _workspace(gallery, encoder, score=ScoreConfig(search="hnsw"))
    (graph,) = gallery.artefacts.folder.glob("walk-*/walk.npz")
    again = _workspace(gallery, encoder, score=ScoreConfig(search="hnsw"))
    query = exact.query(_pixels(exact, 3))
    wanted = exact.collection.rank(query, k=5).rows.tolist()
    for found in (walked, again):
        assert found.collection.rank(query, k=5).rows.tolist() == wanted
    graph.write_bytes(b"damaged")
    mended = _workspace(gallery, encoder, score=ScoreConfig(search="hnsw"))
    assert (
        mended.collection.rank(query, k=5).rows.tolist()
        == exact.collection.rank(query, k=5).rows.tolist()
    )


def _pasted(one, two):
    """The left half of one image and the right half of another."""
    made = one.resize((70, 60))
    made.paste(two.resize((70, 60)).crop((35, 0, 70, 60)), (35, 0))
    return made


@pytest.mark.slow
def test_ten_copies_of_a_source_move_its_share_by_two_points_at_most(tmp_path, encoders):
    """Copies were queries of the null and each other's neighbours, and filled the first places."""
    encoder, count = encoders["resnet"], 40
    (tmp_path / "images").mkdir()
    for i in range(count):
        _image(500 + i).save(tmp_path / "images" / f"{i:02d}.png")
    update(tmp_path / "plain", Source(tmp_path / "images"), [encoder])
    plain = Gallery.open(tmp_path / "plain")
    for k in range(10):
        size = (70 - 2 * k, 60 - 2 * k)
        _image(500).resize(size).save(tmp_path / "images" / f"copy{k}.jpg", quality=95 - 3 * k)
    heads = {encoder.identity: plain.patch_head(encoder)}
    update(tmp_path / "more", Source(tmp_path / "images"), [encoder], patch_heads=heads)  # pyright: ignore[reportArgumentType]
    fitted = fitted_head(plain, encoder, config=HeadConfig(k=16, shrinkage=0.1))
    head = replace(fitted, seen=None)  # as if it came from elsewhere, alike for both
    spaces = [Workspace(g, encoder, head) for g in (plain, Gallery.open(tmp_path / "more"))]
    assert len(spaces[0].null.margins) == len(spaces[1].null.margins) == count
    # A group's score is that of its best image, so that copies lift it a little where it is near.
    gap = np.abs(spaces[0].null.margins - spaces[1].null.margins)
    assert np.mean(gap <= 0.02) >= 0.9
    assert gap.max() <= 0.05
    shares = []
    for other in range(1, 12):
        image = _pasted(_image(500), _image(500 + other))
        answers = [space.attribute(space.query(image), top=3) for space in spaces]
        found = [
            sum(g.influence for g in a.groups if g.best.image.path.startswith(("00.", "copy")))
            for a in answers
        ]
        shares.append(found)
    moved = np.abs(np.subtract(*np.transpose(shares)))
    # With 40 null images a p-value may step over the level, where a second source has its share.
    assert np.sum(moved > 0.02) <= 1
    assert np.mean(shares) > 0.2


@pytest.mark.slow
def test_what_was_unusual_about_a_file_is_told_with_its_answer(gallery, encoders, tmp_path):
    workspace = _workspace(gallery, encoders["histogram"])
    _image(3).save(tmp_path / "query.jpg")
    whole = (tmp_path / "query.jpg").read_bytes()
    for data, notes in ((whole, ()), (whole[:-2], ("its end marker is missing",))):
        query = workspace.query(data)
        assert query.notes == notes
        assert workspace.attribute(query, top=3).notes == notes
    assert workspace.query(_image(3)).notes == ()


@pytest.mark.slow
def test_a_filter_ranks_who_passes_and_explains_the_score_that_ranks(gallery, encoders):
    workspace = _workspace(gallery, encoders["resnet"])
    query = workspace.query(_pasted(_image(4), _image(9)))
    whole = workspace.attribute(query, top=COUNT)
    assert whole.scope is None
    found = workspace.attribute(query, top=COUNT, where="colour = red and path contains set1")
    records = [match.image for match in found.matches]
    assert {r.id for r in records} == {
        r.id for r in gallery.records if r.extra["colour"] == "red" and r.path.startswith("set1")
    }
    assert (found.scope.passing, found.scope.images) == (len(records), COUNT)
    assert found.scope.words == "colour red and “set1” in path"
    scores = {match.image.id: match.score for match in whole.matches}
    for match in found.matches:
        assert match.score == pytest.approx(scores[match.image.id], abs=1e-5)
    last = found.matches[-1]
    source = _pixels(workspace, gallery.row_of[last.image.id])
    parts = explain(
        workspace, query, image_id=last.image.id, source=ReadImage(source), where=found.scope.where
    )
    assert sum(p.value for p in parts.score_parts) == pytest.approx(last.score, abs=1e-4)
    assert (found.scale, found.surroundings) == (whole.scale, whole.surroundings)
    with pytest.raises(FilterError, match="no image has a column 'licence'"):
        workspace.attribute(query, top=3, where="licence = CC0")


@pytest.mark.slow
def test_a_copy_that_passes_is_the_very_same_file_and_one_that_does_not_is_told(tmp_path, encoders):
    for i in range(COUNT):
        _image(i).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "03.png").read_bytes())
    update(tmp_path / "gallery", Source(tmp_path), [encoders["histogram"]])
    workspace = _workspace(Gallery.open(tmp_path / "gallery"), encoders["histogram"])
    query = workspace.query(tmp_path / "03.png")
    found = workspace.attribute(query, top=3, where="path contains copy")
    assert found.matches[0].image.path == "copy.png"
    assert found.identical == found.matches[0].image.id
    parts = workspace.score_parts(query, found.matches[0].image.id, where="path contains copy")
    assert sum(part.value for part in parts) == pytest.approx(found.matches[0].score, abs=1e-4)
    assert parts[-1].name == SAME_FILE
    with pytest.raises(GalleryError, match="no image of the gallery has the id 99999"):
        workspace.score_parts(query, 99_999)
    gone = workspace.attribute(query, top=3, where="path != copy.png and path != 03.png")
    assert gone.identical is None
    assert "03.png" not in [match.image.path for match in gone.matches]


@pytest.mark.slow
def test_who_is_opted_out_stays_out_whatever_the_filter(tmp_path, encoders):
    for i in range(COUNT):
        _image(i).save(tmp_path / f"{i:02d}.png")
    update(tmp_path / "gallery", Source(tmp_path), [encoders["histogram"]])
    gallery = Gallery.open(tmp_path / "gallery")
    opt_out(tmp_path / "gallery", [gallery.records[3].id])
    workspace = _workspace(Gallery.open(tmp_path / "gallery"), encoders["histogram"])
    found = workspace.attribute(workspace.query(_image(3)), top=COUNT, where="path is filled")
    assert len(found.matches) == found.scope.passing == found.scope.images == COUNT - 1
    with pytest.raises(FilterError, match="none of the 11 images"):
        workspace.attribute(workspace.query(_image(3)), top=3, where="path = 03.png")


def test_a_filter_over_more_images_sees_these_too(gallery, encoders):
    """What was remembered of a filter in the gallery is not taken for one with a guest in it."""
    workspace = _workspace(gallery, encoders["histogram"])
    query = workspace.query(_image(77))
    before = workspace.attribute(query, top=COUNT, where="path is filled").scope
    record = replace(gallery.records[0], id=999, path="guest.png", extra={})
    fuller = with_guest(workspace, query, record=record)
    found = fuller.attribute(query, top=3, where="path is filled")
    assert (before.passing, found.scope.passing, found.scope.images) == (
        COUNT,
        COUNT + 1,
        COUNT + 1,
    )
    assert found.matches[0].image.id == 999
