"""One image that cannot be taken costs the answers to no other."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from core.service.reverse import adjust
from tests.core.cli.calls import call, failed
from tests.core.cli.processes import process


def refused(result: Any, name: Path, *, times: int = 1) -> Any:
    """The JSON of a command that left out an image, said so once and failed."""
    assert result.exit_code == 1
    assert result.stderr.count(f"left out {str(name)!r}") == times, result.stderr
    return json.loads(result.stdout)


@pytest.mark.slow
def test_attribute_goes_on_and_reports_hold_the_others(large, photos, broken, tmp_path) -> None:
    names = [tmp_path / f"report{ending}" for ending in (".html", ".json", ".csv")]
    asked = ("attribute", photos / "01.png", broken, photos / "02.png", "--gallery", large)
    reports = [word for name in names for word in ("--report", name)]
    first, error, last = refused(call(*asked, "--json", *reports), broken)
    assert error == {"query": str(broken), "error": error["error"]}
    assert "not an image" in error["error"]
    assert [a["matches"][0]["path"] for a in (first, last)] == ["01.png", "02.png"]
    levels = adjust([first["p_value"], last["p_value"]]).tolist()
    assert [first["p_adjusted"], last["p_adjusted"]] == levels
    page, value, table = (name.read_text() for name in names)
    assert "Left out" in page
    assert broken.name in page
    report = json.loads(value)
    assert report["refused"] == [error]
    assert broken.name not in report["command"]
    assert len({row["query"] for row in csv.DictReader(table.splitlines())}) == 2

    people = call(*asked)
    assert people.exit_code == 1
    assert people.stderr.count("broken.jpg' is not an image") == 1
    assert all(str(photos / name) in people.stdout for name in ("01.png", "02.png"))


@pytest.mark.slow
def test_the_parts_of_every_source_sum_to_its_score(large, photos) -> None:
    """They stood in no answer of the command line."""
    asked = ("attribute", photos / "01.png", "--gallery", large, "--json")
    for more in ((), ("--where", "path contains 0")):
        found = json.loads(call(*asked, *more).stdout)
        scores = {match["id"]: match["score"] for match in found["matches"]}
        sources = [group for group in found["groups"] if group["influence"]]
        assert sources
        for group in sources:
            total = sum(part["value"] for part in group["score_parts"])
            assert total == pytest.approx(scores[group["best"]], abs=1e-6)
        others = [group for group in found["groups"] if not group["influence"]]
        assert not any("score_parts" in group for group in others)


@pytest.mark.slow
def test_what_is_no_image_s_fault_stops(folder, photos, broken) -> None:
    failed(call("attribute", broken, "--gallery", folder), "error: 'broken.jpg' is not an image")
    asked = ("attribute", photos / "01.png", photos / "02.png", "--gallery", folder)
    failed(call(*asked, "--encoder", "phash"), "no features of encoder")


def test_only_refused_images_give_no_report(folder, broken, tmp_path) -> None:
    asked = ("attribute", broken, tmp_path / "gone.png", "--gallery", folder, "--json")
    found = refused(call(*asked, "--report", tmp_path / "r.html"), broken)
    assert [set(each) for each in found] == [{"query", "error"}] * 2
    assert not (tmp_path / "r.html").exists()


@pytest.mark.slow
def test_reverse_goes_on_with_the_other_sources(large, photos, broken) -> None:
    asked = ("reverse", photos / "trip", "--gallery", large, "--json", "--upload", broken)
    for others in (("--source", 1), ("--upload", photos / "02.png")):
        found = refused(call(*asked, *others), broken)
        assert len(found["pairs"]) == 4
        assert [each["path"] for each in found["refused"]] == [str(broken)]
    failed(call(*asked), "not an image")
    failed(call(*asked, "--upload", broken), "none of the uploads")


@pytest.mark.slow
def test_the_self_test_goes_on(large, photos, broken, tmp_path, write_image) -> None:
    mine = [write_image(tmp_path / f"{seed}.png", seed) for seed in (901, 902)]
    known = photos / "01.png"  # which the gallery holds already: it is taken out for the test
    asked = ("--gallery", large, "--way", "blend", "--far", 0.1, "--json")
    found = refused(call("selftest", mine[0], broken, known, mine[1], *asked), broken)
    assert [each["query"] for each in found] == list(map(str, (mine[0], broken, known, mine[1])))
    assert ["error" in each for each in found] == [False, True, False, False]
    assert [len(each["taken_out"]) > 0 for each in found if "error" not in each] == [0, 1, 0]
    (alone,) = json.loads(call("selftest", mine[1], *asked, "--seed", 3).stdout)
    assert found[3]["present"]["matches"] == alone["present"]["matches"]  # seeds go by the place
    failed(call("selftest", broken, *asked), "not an image")


@pytest.mark.slow
def test_the_map_places_the_other_images(folder, photos, broken) -> None:
    asked = ("project", folder, "--image", photos / "01.png", "--image", broken)
    first, second = refused(call(*asked), broken)["placed"]
    assert set(first) == {"path", "xy"}
    assert second["path"] == str(broken)
    assert "not an image" in second["error"]
    failed(call("project", folder, "--image", broken), "not an image")


@pytest.mark.slow
def test_evaluate_goes_on_with_the_pairs_that_can_be_read(folder, photos, broken, tmp_path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    names = ("photos/01.png", "photos/02.png", "broken.jpg", "empty.png")
    rows = [{"source": "s", "generator": "g", "exemplars": [n], "generated": n} for n in names]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    asked = ("evaluate", "--pairs", tmp_path / "pairs.json", "--gallery", folder)
    result = call(*asked, "--encoder", "thumbnail", "--json", tmp_path / "out.json")
    assert result.exit_code == 1
    assert [result.stderr.count(f"left out '{name}'") for name in names] == [0, 0, 1, 1]
    found = json.loads((tmp_path / "out.json").read_text())
    assert [query["generated"] for query in found["queries"]] == list(names[:2])


@pytest.mark.slow
def test_a_process_says_a_refusal_once(folder, photos, broken) -> None:
    """What the core had logged was said by the command again."""
    shutil.copy(broken, photos / "broken.jpg")
    done: subprocess.CompletedProcess[bytes] = process("add", photos, "--gallery", folder)
    assert done.stderr.count(b"left out 'broken.jpg'") == 1, done.stderr
    assert done.returncode == 0


@pytest.mark.slow
def test_a_filter_is_told_and_kept_in_the_command_of_the_report(large, photos, tmp_path) -> None:
    asked = ("attribute", photos / "01.png", "--gallery", large, "--where", "path contains 1")
    found = json.loads(call(*asked, "--json", "--report", tmp_path / "r.json").stdout)
    paths = [match["path"] for match in found["matches"]]
    assert paths[0] == "01.png"
    assert all("1" in path for path in paths)
    assert 0 < found["scope"]["passing"] < found["scope"]["images"]
    assert "--where 'path contains 1'" in json.loads((tmp_path / "r.json").read_text())["command"]
    people = " ".join(call(*asked).stdout.split())
    assert "images with “1” in path: 01.png, the very same file" in people
    assert "No other image was looked at." in people
    failed(call(*asked[:-1], "creator = Ann"), "no image has a column 'creator'; there are: path")
    failed(call(*asked[:-1], "path = nowhere"), "none of the")


@pytest.mark.parametrize("where", ["", " "])
@pytest.mark.slow
def test_an_empty_filter_is_refused(folder, photos, where) -> None:
    """It was none: a script whose variable was empty was answered about all images."""
    asked = ("attribute", photos / "01.png", "--gallery", folder)
    failed(call(*asked, "--where", where), "an empty filter; write for example `path is filled`")
    failed(call(*asked, "--encoder", where), f"no encoder is called {where!r}")
    assert call(*asked).exit_code == 0
