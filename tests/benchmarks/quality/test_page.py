from benchmarks.quality import gallery_size, page, robustness, study, tables

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
    monkeypatch.setattr(page, "RESULTS", tmp_path)
    encoder = type("Encoder", (), {"identity": "now", "name": "moco"})
    monkeypatch.setattr(page, "load_encoder", lambda _: encoder)
    bench = type("Bench", (), {"size": 1_234})
    found = study.Study(tmp_path, bench, (encoder,), tmp_path, lambda *_: None)
    cells = [{**CELL, **NUMBERS, "half": half} for half in ("tune", "untouched", "both")]
    study.store("defaults", found, cells=cells, differences=[])
    (tmp_path / "reading.md").write_text("## Reading\n\nWhat it says.\n")
    page.write(tmp_path / "docs")
    text = (tmp_path / "docs" / "results.md").read_text()
    assert "| moco/default | .500 [.400, 1.000] |" in text
    assert "among 1,234 images with moco `now`" in text
    assert "older" not in text
    assert "## Robustness" not in text
    assert text.endswith("What it says.\n")
    encoder.identity = "later"
    page.write(tmp_path / "docs")
    text = (tmp_path / "docs" / "results.md").read_text()
    heading, note, *_ = text[text.index("## As it ships") :].split("\n\n")
    assert note == "**Measured with older weights than those that ship: moco.**"
    stored = study.stored("defaults")
    assert stored is not None
    study.write("defaults", {"older": "No palette was scored.", **stored})
    page.write(tmp_path / "docs")
    text = (tmp_path / "docs" / "results.md").read_text()
    assert f"{heading}\n\n{note} No palette was scored.\n\n" in text


def test_the_curve_of_the_gallery_size_is_drawn(tmp_path):
    cells = [
        {**CELL, **NUMBERS, "half": "both", "source": source, "column": f"moco/{size}"}
        for source in ("consingan_lsun", "nano_banana", "all")
        for size in (1_000, 55_000)
    ]
    parts = gallery_size.section({"cells": cells, "images": 55_000}, tmp_path)
    assert "| moco | .500 | .500 |" in parts[-1]
    assert len(list(tmp_path.glob("*.svg"))) == 3


def test_degradations_have_a_row_each_and_those_with_a_bar_stand_out(tmp_path):
    """A strength that was not measured stays empty."""
    cells = [
        {
            **CELL,
            **NUMBERS,
            "half": half,
            "source": robustness.GENERATORS,
            "column": "moco/frame/0.1",
        }
        for half in ("both", "untouched")
    ]
    text = "\n".join(robustness.section({"cells": cells, "per_exemplar": 2}, tmp_path))
    assert "| frame 0.1 | .500 [.400, 1.000] | .500 [.400, 1.000] |" in text
    assert "| **frame 0.05** |  |  |" in text
    assert "at least 0.97 of single-image generators" in text
