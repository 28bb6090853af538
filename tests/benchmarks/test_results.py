import numpy as np
import pytest

from benchmarks import axes, chart, contact_sheet, results, study, tables

CELL = {"half": "untouched", "source": "all", "column": "moco/default", "measure": "R@1"}
NUMBERS = {"mean": 0.5, "low": 0.4, "high": 1.0, "queries": 10, "clusters": 4}


def test_a_grid_shows_means_with_intervals_and_counts():
    other = {**CELL, **NUMBERS, "column": "phash/default", "mean": -0.25}
    text = tables.grid(
        [{**CELL, **NUMBERS}, other], across=["all", "none"], half="untouched", measure="R@1"
    )
    assert text.splitlines() == [
        "|  | all | none |",
        "|---|---|---|",
        "| moco/default | .500 [.400, 1.000] |  |",
        "| phash/default | -.250 [.400, 1.000] |  |",
        "| queries (exemplar sets) | 10 (4) |  |",
    ]


def test_the_page_is_written_from_what_is_stored(tmp_path, monkeypatch):
    """Parts that were not measured are left out, and other weights than today's are named."""
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    monkeypatch.setattr(results, "RESULTS", tmp_path)
    encoder = type("Encoder", (), {"identity": "now", "name": "moco"})
    monkeypatch.setattr(results, "load_encoder", lambda _: encoder)
    bench = type("Bench", (), {"size": 1_234})
    found = study.Study(tmp_path, bench, (encoder,), tmp_path, lambda *_: None)
    cells = [{**CELL, **NUMBERS, "half": half} for half in ("tune", "untouched", "both")]
    study.store("defaults", found, cells=cells, differences=[])
    (tmp_path / "reading.md").write_text("## Reading\n\nWhat it says.\n")
    results.write(tmp_path / "docs")
    page = (tmp_path / "docs" / "results.md").read_text()
    assert "| moco/default | .500 [.400, 1.000] |" in page
    assert "among 1,234 images with moco `now`" in page
    assert "not the weights" not in page
    assert "## Robustness" not in page
    assert page.endswith("What it says.\n")
    encoder.identity = "later"
    results.write(tmp_path / "docs")
    assert "not the weights that ship now: moco" in (tmp_path / "docs" / "results.md").read_text()


def test_the_curve_of_the_gallery_size_is_drawn(tmp_path):
    cells = [
        {**CELL, **NUMBERS, "half": "both", "source": source, "column": f"moco/{size}"}
        for source in ("consingan_lsun", "nano_banana", "all")
        for size in (1_000, 55_000)
    ]
    parts = results._gallery_size({"cells": cells, "images": 55_000}, tmp_path)
    assert "| moco | .500 | .500 |" in parts[-1]
    assert len(list(tmp_path.glob("*.svg"))) == 3


def test_a_line_stands_where_its_values_are():
    points = [chart.Point(0.0, 0, 0), chart.Point(1.0, 1, 1)]
    drawn = chart.lines("a < b", {"one": points}, places=["x", "y"], unit="z")
    assert "a &lt; b" in drawn
    line = drawn.split("<polyline points=")[1].split('"')[1]
    (x0, y0), (x1, y1) = ([float(v) for v in point.split(",")] for point in line.split())
    assert x0 < x1
    assert y0 == pytest.approx(280)
    assert y1 == pytest.approx(34)
    with pytest.raises(ValueError, match="one has 2 points for 1 places"):
        chart.lines("", {"one": points}, places=["x"], unit="")


def test_matched_dimensions_ignore_order_and_sign_but_not_rotation():
    rng = np.random.default_rng(0)
    rows = rng.laplace(size=(2_000, 6))
    shuffled = rows[:, rng.permutation(6)] * np.array([1, -1, 1, -1, 1, -1])
    np.testing.assert_allclose(axes.matched_correlation(rows, shuffled), 1, atol=1e-12)
    turned = rows @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    assert axes.matched_correlation(rows, turned).mean() < 0.9


def test_a_dimension_is_named_by_the_factor_that_explains_it():
    rng = np.random.default_rng(0)
    colour, shape = rng.integers(3, size=300), rng.integers(3, size=300)
    embeddings = rng.normal(size=(300, 25)) * 0.1
    embeddings[:, 4] = np.array([1.0, 0.2, -1.0])[colour] + 0.1 * rng.normal(size=300)
    factors = {"colour": [["red", "blue", "teal"][c] for c in colour], "shape": shape.tolist()}
    rows = contact_sheet.strongest(embeddings, factors)
    assert (rows[0].number, rows[0].name) == (4, "colour: red / teal")
    assert rows[0].share > 0.9
    assert rows[1].name == "—"
    assert set(colour[rows[0].most]) == {0}
    assert len(rows) == contact_sheet.COUNT


def test_chance_explains_nothing():
    rng = np.random.default_rng(0)
    shares = [
        contact_sheet.explained(rng.normal(size=60), rng.integers(12, size=60)) for _ in range(50)
    ]
    assert np.mean(shares) < 0.06
    assert contact_sheet.explained(np.ones(4), [0, 0, 1, 1]) == 0
