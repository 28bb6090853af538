from __future__ import annotations

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from core.cli import console
from core.gallery.artefacts import Artefacts, Codec, Key
from core.gallery.gallery import Gallery
from tests.core.cli.calls import call, failed, said
from tests.core.cli.processes import process

ROOT = Path(__file__).parents[3]

NUMBER = {"type": "number"}
SHARE = {"type": "number", "minimum": 0, "maximum": 1}
NAMED = {"type": "string", "pattern": r"^.+@[0-9a-f]{16}$"}


def an_object(**properties: object) -> dict[str, Any]:
    """All of these properties and no other."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


MATCH = an_object(
    id={"type": "integer", "minimum": 0},
    path={"type": "string", "pattern": "^[^/]"},
    there={"type": "boolean"},
    score=NUMBER,
    points={"type": ["integer", "null"], "minimum": 0, "maximum": 100},
    cosine={"type": "number", "minimum": -1, "maximum": 1},
    group={"type": "integer"},
)
COSINE = {"type": "number", "minimum": -1.001, "maximum": 1.001}
SURROUNDINGS = {
    "type": ["object", "null"],
    "properties": {
        "images": {"type": "integer"},
        "holds": {"type": "string"},
        "nearest": COSINE,
        "usual": COSINE,
        "nearer": {"type": "number", "minimum": 0, "maximum": 1},
    },
    "additionalProperties": False,
}


SCOPE = {
    "anyOf": [
        {"type": "null"},
        an_object(
            where={"type": "string"},
            words={"type": "string"},
            passing={"type": "integer", "minimum": 1},
            images={"type": "integer", "minimum": 1},
            outside={"type": "boolean"},
        ),
    ]
}


ROLES = {
    "anyOf": [
        {"type": "null"},
        an_object(
            structure={"type": "integer"},
            appearance={"type": "integer"},
            structure_p_value=SHARE,
            appearance_p_value=SHARE,
        ),
    ]
}
PARTS = {
    "type": "array",
    "items": an_object(name={"type": "string", "minLength": 1}, value={"type": "number"}),
    "minItems": 1,
}


def an_answer(number: dict[str, Any]) -> dict[str, Any]:
    """An answer whose numbers of evidence are of this kind."""
    group = an_object(
        id={"type": "integer"},
        members={"type": "array", "items": {"type": "integer"}, "minItems": 1},
        best={"type": "integer"},
        p_value=number,
        confidence=number,
        influence=number,
        strength={"type": number["type"], "minimum": 0},
        aspects={"type": "object", "additionalProperties": number},
    )
    group["properties"]["score_parts"] = PARTS  # of what is told of alone
    return an_object(
        query={"type": "string"},
        answer={"type": "string", "minLength": 10},
        notes={"type": "array", "items": {"type": "string"}},
        matches={"type": "array", "items": MATCH, "minItems": 1},
        groups={"type": "array", "items": group, "minItems": 1},
        none=number,
        surroundings=SURROUNDINGS,
        scope=SCOPE,
        roles=ROLES,
        p_value=number,
        named={"type": "boolean"},
        identical={"type": ["integer", "null"]},
        lead_p_value=number,
        prior=SHARE,
        null={"type": "string", "pattern": "^[0-9a-f]{16}$"},
        encoder=NAMED,
        head=NAMED,
        gallery=NAMED,
    )


ANSWER = an_answer(SHARE)
UNTOLD = an_answer({"type": "null"})
"""What a gallery answers that has too few different images to tell a source from chance."""
NAMES = {"type": "array", "items": {"type": "string"}}
TABLE = an_object(
    name={"type": "string"},
    rows={"type": "integer", "minimum": 0},
    matched={"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
    unmatched={"type": "array", "items": {"type": "array", "minItems": 2, "maxItems": 2}},
    repeated={"type": "integer", "minimum": 0},
    notes=NAMES,
)
CHANGE = an_object(
    images={"type": "integer"},
    added={"type": "integer"},
    removed={"type": "integer"},
    skipped={
        "type": "array",
        "items": an_object(path={"type": "string"}, reason={"type": "string", "minLength": 1}),
    },
    kept_out=NAMES,
    moved={"type": "integer", "minimum": 0},
    gone=NAMES,
    notes={"type": "object", "additionalProperties": NAMES},
    recall={"type": "object", "additionalProperties": {"type": "number"}},
    opted_out={"type": "integer", "minimum": 0},
    account={
        "anyOf": [
            {"type": "null"},
            an_object(
                images={"type": "integer", "minimum": 0},
                bare=NAMES,
                left_out=NAMES,
                other_tables=NAMES,
                tables={"type": "array", "items": TABLE},
                filled={"type": "object", "additionalProperties": {"type": "integer"}},
                unread={"type": "object", "additionalProperties": NAMES},
                links=NAMES,
            ),
        ]
    },
)


def pairs_of(number: dict[str, object]) -> dict[str, Any]:
    """Pairs of a reverse look-up whose p-values are of this kind."""
    finding = an_object(
        generated={"type": "string"},
        source={"type": "string"},
        image_id={"type": ["integer", "null"]},
        score={"type": ["number", "null"]},
        p_value=number,
        confidence=number,
        aspects={"type": "object", "additionalProperties": SHARE},
        p_adjusted=number,
        named={"type": "boolean"},
    )
    refused = an_object(path={"type": "string"}, error={"type": "string", "minLength": 1})
    found = an_object(fdr=SHARE, pairs={"type": "array", "items": finding})
    refusals = {"type": "array", "items": refused, "minItems": 1}
    return found | {"properties": {**found["properties"], "refused": refusals}}


REVERSE, UNTOLD_REVERSE = pairs_of(SHARE), pairs_of({"type": "null"})


# What is done


@pytest.mark.slow
def test_removing_leaves_nothing_to_the_first_reader(photos, tmp_path, monkeypatch) -> None:
    """Whoever asked first after ``remove`` waited for the groups and the null of every encoder."""
    folder = tmp_path / "g"
    said(call("index", photos, "--out", folder, "--encoder", "thumbnail", "--json"), CHANGE)
    assert said(call("remove", 0, "--gallery", folder, "--json"), CHANGE)["images"] == 11

    def read_only(self: Artefacts, key: Key, _compute: object, *, codec: Codec[object]) -> object:
        return codec.load(self.folder / str(key))

    monkeypatch.setattr(Artefacts, "get", read_only)
    answer = said(call("attribute", photos / "05.png", "--gallery", folder, "--json"))
    assert answer["matches"][0]["path"] == "05.png"


@pytest.mark.slow
def test_index_attribute_add_remove_verify(photos, tmp_path, write_image) -> None:
    (photos / "broken.png").write_bytes(b"x")
    folder = tmp_path / "g"
    arguments = ("index", photos, "--out", folder, "--encoder", "thumbnail", "--encoder", "phash")
    result = call(*arguments, "--json")
    change = said(result, CHANGE)
    assert (change["images"], change["added"], change["removed"]) == (12, 12, 0)
    assert [s["path"] for s in change["skipped"]] == ["broken.png"]
    assert "left out 'broken.png'" in result.stderr
    assert said(call(*arguments, "--json"), CHANGE)["added"] == 0

    write_image(photos / "new.png", 50)
    change = said(call("add", photos, "--gallery", folder, "--json"), CHANGE)
    assert (change["images"], change["added"]) == (13, 1)
    assert Gallery.open(folder).encoder_names == ("phash", "thumbnail")

    change = said(call("remove", 0, 2, "--gallery", folder, "--json"), CHANGE)
    assert (change["images"], change["removed"]) == (11, 2)
    change = said(
        call("remove", "02.png", photos / "05.png", "--gallery", folder, "--json"), CHANGE
    )
    assert (change["images"], change["removed"]) == (9, 2)
    first, second = Gallery.open(folder).records[:2]
    opted = {"images": 9, "opted_out": [first.id, second.id]}
    out = ("opt-out", first.id, second.path, "--gallery", folder)
    assert said(call(*out, "--json")) == opted
    assert said(call("opt-out", "--gallery", folder, "--json")) == opted
    assert "2 of 9 images" in call("opt-out", "--gallery", folder).stderr
    assert {first.id, second.id}.isdisjoint(Gallery.open(folder).row_of)
    back = said(call("opt-in", first.id, "--gallery", folder, "--json"))
    assert back == {"images": 9, "opted_out": [second.id]}
    assert said(call("verify", folder, "--json")) == []
    result = call("verify", folder)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "all files are whole" in result.stderr


@pytest.mark.slow
def test_a_gallery_of_a_network_has_edges_and_a_palette_too(photos, tmp_path) -> None:
    call("index", photos, "--out", tmp_path / "g", "--encoder", "random")
    assert Gallery.open(tmp_path / "g").encoder_names == ("random", "edges", "palette")
    asked = ("attribute", photos / "01.png", "--gallery", tmp_path / "g", "--top", 3, "--json")
    flags = ((), ("--leave-out", "edges"), ("--leave-out", "palette"))
    found = [said(call(*asked, *flag), UNTOLD) for flag in flags]
    assert len({answer["encoder"] for answer in found}) == 1
    assert found[0]["encoder"].startswith("random@")
    assert len({answer["null"] for answer in found}) == 3
    assert "no view 'colour'; there are edges" in call(*asked, "--leave-out", "colour").output


@pytest.mark.parametrize("head", ["default", "whiten"])
@pytest.mark.slow
def test_attribute_for_machines(large, photos, head: str) -> None:
    options = ("--gallery", large, "--encoder", "thumbnail", "--head", head, "--top", 4, "--json")
    for name in ("01.png", "trip/03.png"):
        found = said(call("attribute", photos / name, *options), ANSWER)
        assert found["query"] == str(photos / name)
        assert found["matches"][0]["path"] == name
        assert len(found["matches"]) == 4
        scores = [match["score"] for match in found["matches"]]
        assert scores == sorted(scores, reverse=True)
        assert sum(g["influence"] for g in found["groups"]) + found["none"] == pytest.approx(1)
        shown = {m["group"] for m in found["matches"]}
        unseen = {g["id"] for g in found["groups"]} - shown
        assert len(shown) + len(unseen) == len(found["groups"])
        assert len(unseen) <= 1  # the group that explains most of what the source leaves
        assert found["p_value"] == min(g["p_value"] for g in found["groups"])
    several = call("attribute", photos / "01.png", photos / "02.png", *options)
    batch: dict[str, Any] = ANSWER | an_object(**ANSWER["properties"], p_adjusted=SHARE)
    several = said(several, {"type": "array", "items": batch})
    assert all(answer["p_adjusted"] >= answer["p_value"] for answer in several)
    assert [a["matches"][0]["path"] for a in several] == ["01.png", "02.png"]


@pytest.mark.slow
def test_the_schema_can_fail(large, photos) -> None:
    result = call(
        "attribute", photos / "01.png", "--gallery", large, "--encoder", "thumbnail", "--json"
    )
    for key, value in [("none", 1.5), ("encoder", "thumbnail"), ("matches", []), ("more", 1)]:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(json.loads(result.stdout) | {key: value}, ANSWER)


@pytest.mark.slow
def test_a_gallery_that_cannot_tell_gives_no_number(folder, photos, tmp_path, write_image) -> None:
    """Confidences of over 99 % and p-values stood beside "too few different images"."""
    write_image(tmp_path / "other.png", 900)
    names = [tmp_path / f"report{ending}" for ending in (".html", ".json", ".csv")]
    options = ("--gallery", folder, "--encoder", "thumbnail", "--by", "source", "--top", 3)
    asked = ("attribute", tmp_path / "other.png", photos / "01.png", *options)
    reports = [word for name in names for word in ("--report", name)]
    result = call(*asked, *reports)
    assert result.exit_code == 0
    assert "too few different images" in result.stdout
    assert "%" not in result.stdout
    assert "none of these" not in result.stdout
    page, value, table = (name.read_text() for name in names)
    assert "too few different images" in page
    assert "%" not in page.split("<main>")[1].split("What this shows")[0]
    for query in json.loads(value)["queries"]:
        jsonschema.validate({key: query[key] for key in UNTOLD["properties"]}, UNTOLD)
    for row in csv.DictReader(table.splitlines()):
        numbers = ("p_value", "confidence", "influence", "none", "lead_p_value", "best_p_value")
        assert [row[name] for name in (*numbers, "p_adjusted")] == [""] * 7
    other, same = said(call(*asked, "--json"))
    for answer in (other, same):
        jsonschema.validate(answer | {"shares": None}, UNTOLD | {"additionalProperties": True})
    assert (other["named"], other["identical"]) == (False, None)
    assert (same["named"], same["identical"]) == (True, same["matches"][0]["id"])
    assert same["answer"] == "Candidate source: 01.png, the very same file."


@pytest.mark.slow
def test_reverse_look_up_in_a_gallery_that_cannot_tell_names_no_pair(folder, photos) -> None:
    """Pairs had p-values that no gallery of that size can give."""
    options = ("--gallery", folder, "--encoder", "thumbnail", "--head", "center")
    asked = ("reverse", photos / "trip", *options, "--source", 1, "--upload", photos / "02.png")
    pairs = said(call(*asked, "--json"), UNTOLD_REVERSE)["pairs"]
    assert len(pairs) == 8
    assert not any(pair["named"] for pair in pairs)
    result = call(*asked)
    assert "too few different images" in result.stdout
    assert "named" not in result.stdout


@pytest.mark.slow
def test_attribute_for_people(folder, photos) -> None:
    result = call("attribute", photos / "01.png", "--gallery", folder, "--encoder", "thumbnail")
    assert result.exit_code == 0
    assert str(photos / "01.png") in result.stdout
    (number,) = (r.id for r in Gallery.open(folder).records if r.path == "01.png")
    cells = [line.replace("│", "|").split("|") for line in result.stdout.splitlines()]
    assert ["1", str(number), "01.png"] in [[cell.strip() for cell in row[1:4]] for row in cells]


@pytest.mark.slow
def test_reports_are_written_and_can_be_made_again(folder, photos, tmp_path) -> None:
    names = [tmp_path / f"report{ending}" for ending in (".html", ".json", ".csv")]
    options = ("--gallery", folder, "--encoder", "thumbnail", "--top", 3, "--leave-out", "patches")
    asked = ("attribute", photos / "01.png", photos / "02.png", *options)
    reports = [word for name in names for word in ("--report", name)]
    assert call(*asked, *reports).exit_code == 0
    page, value, table = (name.read_text() for name in names)
    assert page.count("data:image/") >= 4  # two queries and their first candidates
    assert "01.png" in page
    assert len(table.splitlines()) == 7
    found = json.loads(value)
    assert "patches" not in found["settings"]["views"] and "edges" in found["settings"]["views"]
    words = shlex.split(found["command"])
    assert words[:4] == ["python", "-m", "core", "attribute"]
    again = said(call(*words[3:], "--json"))
    for query, answer in zip(found["queries"], again, strict=True):
        assert {key: query[key] for key in answer} == answer


@pytest.mark.slow
def test_reverse_names_the_images_made_from_a_source(photos, tmp_path, write_image) -> None:
    for seed in range(100, 150):
        write_image(photos / f"{seed}.png", seed)
    folder, made = tmp_path / "g", tmp_path / "made"
    assert call("index", photos, "--out", folder, "--encoder", "thumbnail").exit_code == 0
    write_image(made / "a.png", 101)
    write_image(made / "b.png", 900)
    (made / "c.png").write_bytes(b"x")
    options = ("--gallery", folder, "--encoder", "thumbnail", "--head", "center", "--fdr", 0.1)
    (number,) = (r.id for r in Gallery.open(folder).records if r.path == "101.png")
    result = call("reverse", made, *options, "--source", number, "--json")
    found = said(result, REVERSE)
    assert [(p["generated"], p["named"]) for p in found["pairs"]] == [
        (str(made / "a.png"), True),
        (str(made / "b.png"), False),
    ]
    assert "c.png" in result.stderr
    assert [each["path"] for each in found["refused"]] == [str(made / "c.png")]
    mine = write_image(tmp_path / "mine.png", 900)
    pairs = said(call("reverse", made, *options, "--upload", mine, "--json"), REVERSE)["pairs"]
    assert [p["generated"] for p in pairs if p["named"]] == [str(made / "b.png")]
    result = call("reverse", made, *options, "--upload", mine)
    assert "1 of 2 pairs are named at a false-discovery rate of 0.1" in result.stdout


@pytest.mark.slow
def test_a_blocked_image_is_kept_out(folder, photos) -> None:
    gone = Gallery.open(folder).records[3]
    change = said(call("remove", gone.id, "--gallery", folder, "--tombstone", "--json"), CHANGE)
    assert (change["images"], change["removed"]) == (11, 1)
    shutil.copy(photos / gone.path, photos / "copy.png")
    result = call("add", photos, "--gallery", folder)
    assert result.exit_code == 0
    assert "2 kept out for good" in result.stderr
    assert "kept out 'copy.png'" in result.stderr
    change = said(
        call("index", photos, "--out", folder, "--encoder", "thumbnail", "--json"), CHANGE
    )
    assert sorted(change["kept_out"]) == sorted([gone.path, "copy.png"])
    assert change["images"] == 11


@pytest.mark.slow
def test_names_of_files_are_no_markup_and_need_be_no_text(photos, tmp_path) -> None:
    """Brackets in a name ended in a traceback of the terminal's library."""
    (tmp_path / "[").mkdir()
    (photos / "[").mkdir()
    for name in (b"[/bold].png", b"[red].png", b"\xff.png"):
        shutil.copy(photos / "01.png", os.fsencode(tmp_path) + b"/" + name)
    folder = tmp_path / "[" / "odd]"
    (photos / "[" / "x].png").write_bytes(b"broken")
    shutil.copy(photos / "02.png", photos / "[" / "b].png")
    result = call("index", photos, "--out", folder, "--encoder", "thumbnail")
    assert "[/x].png" in result.stderr
    assert str(folder) in result.stderr
    for name in ("[/bold].png", "[red].png", "\udcff.png"):
        for flags in ((), ("--json",)):
            result = call(
                "attribute",
                tmp_path / name,
                *("--gallery", folder, "--encoder", "thumbnail", "--top", 13, *flags),
            )
            assert result.exit_code == 0
            assert "[/b].png" in result.stdout
    failed(call("verify", tmp_path / "[bold]"), r"\[bold\] is not a gallery")


@pytest.mark.slow
def test_a_cluster_is_not_taken_for_granted(photos, tmp_path, monkeypatch) -> None:
    """Without Ray the command says what to install; what it had begun is nobody's gallery."""
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["index", photos, "--out", tmp_path / "g", "--encoder", "thumbnail"]
    failed(call(*words, "--ray", "auto"), r"pip install ray==2\.60\.0; without --ray")
    assert call(*words).exit_code == 0


def test_a_zip_is_indexed(photos, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in photos.glob("*.png"):
            archive.write(path, path.name)
    result = call(
        "index", tmp_path / "a.zip", "--out", tmp_path / "g", "--encoder", "phash", "--json"
    )
    assert said(result, CHANGE)["images"] == 8
    assert call("verify", tmp_path / "g").exit_code == 0


def test_encoders_are_listed(tmp_path) -> None:
    found = said(call("encoders", "--json"))
    assert {"moco", "dino", "thumbnail"} <= {encoder["name"] for encoder in found}
    assert all(
        set(encoder) == {"name", "title", "method", "kind", "licence", "needs_network", "here"}
        for encoder in found
    )
    assert "thumbnail" in call("encoders").stdout


@pytest.mark.slow
def test_a_gallery_is_described_by_one_more_encoder(folder, photos) -> None:
    refused = call("attribute", photos / "01.png", "--gallery", folder, "--encoder", "random")
    assert refused.exit_code == 1
    done = call("prepare", "random", "--gallery", folder, "--json")
    assert json.loads(done.stdout) == {"encoders": ["random", "thumbnail"]}
    more = ("--gallery", folder, "--encoder", "random", "--json")
    answer = json.loads(call("attribute", photos / "01.png", *more).stdout)
    assert answer["matches"][0]["path"] == "01.png"
    assert Gallery.open(folder).encoder_names == ("thumbnail",)
    failed(call("prepare", "typo", "--gallery", folder), "no encoder is called 'typo'")


@pytest.mark.slow
def test_a_head_is_fitted_and_used(folder, photos, tmp_path) -> None:
    options = ("--encoder", "thumbnail", "--kind", "whiten", "--k", 4, "--out", tmp_path / "head")
    result = call("fit-head", folder, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "whiten-4" in result.stderr
    found = call(
        "attribute",
        photos / "01.png",
        *("--gallery", folder, "--encoder", "thumbnail", "--head", tmp_path / "head", "--json"),
    )
    assert said(found, UNTOLD)["head"].startswith("whiten-4@")


@pytest.fixture
def pairs(photos, tmp_path) -> Path:
    rows = [
        {"source": "s", "generator": "g", "exemplars": [f"photos/{n}"], "generated": f"photos/{n}"}
        for n in ("01.png", "02.png")
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(rows))
    return tmp_path / "pairs.json"


@pytest.mark.slow
def test_a_head_is_centred_by_domain_and_told_to_machines(folder, photos, tmp_path) -> None:
    """Heads for two domains could not be fitted on the command line."""
    arguments = ("fit-head", folder, "--kind", "center", "--out", tmp_path / "h", "--json")
    found = said(call(*arguments, "--synthetic", photos / "trip", "--per-domain"))
    assert found["name"].endswith("-per-domain")
    assert found["identity"] == json.loads((tmp_path / "h" / "head.json").read_text())["identity"]
    assert said(call(*arguments))["name"] != found["name"]


@pytest.mark.slow
def test_an_encoder_that_the_gallery_has_is_used_where_none_is_named(folder, photos) -> None:
    """Without --encoder, a gallery of another encoder than moco was refused."""
    for search in ("exact", "hnsw"):
        arguments = ("--gallery", folder, "--search", search, "--json")
        found = said(call("attribute", photos / "01.png", *arguments), UNTOLD)
        assert found["encoder"].startswith("thumbnail@")
        assert found["matches"][0]["path"] == "01.png"
    assert said(call("project", folder, "--json"))["points"]


@pytest.mark.slow
def test_an_empty_gallery_is_said_to_be(folder, photos) -> None:
    """It was said to lack the encoder, or to be damaged."""
    assert call("remove", *range(12), "--gallery", folder).exit_code == 0
    failed(call("attribute", photos / "01.png", "--gallery", folder), "holds no images")


@pytest.mark.slow
def test_pairs_are_evaluated(folder, photos, pairs, tmp_path) -> None:
    options = ("--pairs", pairs, "--gallery", folder, "--encoder", "thumbnail")
    result = call("evaluate", *options, "--json", tmp_path / "out.json")
    assert result.exit_code == 0, result.stderr
    found = json.loads((tmp_path / "out.json").read_text())
    first = {cell["measure"]: cell["mean"] for cell in found["table"] if cell["source"] == "all"}
    assert [*first] == ["R@1", "R@5", "R@10", "mAP", "uAP"]
    failed(call("evaluate", *options, "--without", photos), "'photos' holds no image without a so")
    (tmp_path / "none").mkdir()
    failed(call("evaluate", *options, "--without", tmp_path / "none"), "can be read in 'none'")
    without = tmp_path / "without"
    without.mkdir()
    shutil.copy(photos / "05.png", without)
    for path in photos.glob("0*.png"):  # of other bytes, each of which finds itself
        Image.open(path).save(without / f"{path.stem}.bmp")
    result = call(*("evaluate", *options, "--without", without, "--json", tmp_path / "more.json"))
    assert result.exit_code == 0, result.stderr
    kept = len([*without.glob("*.bmp")])
    assert "left out '05.png': it has a source: the same file is in the gallery" in result.stderr
    assert f"{kept} images without a source are asked beside the pairs" in result.stderr
    told = json.loads((tmp_path / "more.json").read_text())
    assert (found["without"], told["without"]) == (0, kept)
    table = told["table"]
    more = {cell["measure"]: cell["mean"] for cell in table if cell["source"] == "all"}
    assert more["mAP"] == first["mAP"]
    assert more["uAP"] < first["uAP"]
    assert (found["split"], len(found["queries"])) == ("all", 2)
    assert found["gallery_images"] >= 12
    (tmp_path / "taken.json").mkdir()
    result = call("evaluate", *options, "--json", tmp_path / "taken.json")
    assert result.exit_code == 1
    assert "Is a directory" in result.stderr


# What fails, with status 1


@pytest.mark.slow
def test_failures_say_what_is_wrong(folder, photos, tmp_path) -> None:
    gallery, plain = ("--gallery", folder), ("--encoder", "thumbnail")
    text = tmp_path / "text.jpg"
    text.write_text("text")
    (tmp_path / "empty").mkdir()
    good = photos / "01.png"
    for arguments, what in [
        (("attribute", tmp_path / "gone.png", *gallery, *plain), "cannot be read"),
        (("attribute", text, *gallery, *plain), "not an image"),
        (("attribute", photos, *gallery, *plain), "not a regular file|cannot be read"),
        (("attribute", good, "--gallery", photos, *plain), "not a gallery"),
        (("attribute", good, *gallery, "--encoder", "phash"), "no features of encoder 'phash'"),
        (("attribute", good, *gallery, "--encoder", "bad"), "bad"),
        (("attribute", good, *gallery, *plain, "--head", "bad"), "neither a folder with a head"),
        (("index", tmp_path / "nowhere", "--out", tmp_path / "h", *plain), "neither a folder"),
        (("index", "x" * 5000, "--out", tmp_path / "h", *plain), "File name too long"),
        (("index", text, "--out", tmp_path / "h", *plain), "not a zip"),
        (("index", tmp_path / "empty", "--out", tmp_path / "h", *plain), "no image"),
        (("index", photos, "--out", photos, *plain), "not empty and not a gallery"),
        (("index", photos, "--out", tmp_path / "h", "--encoder", "bad"), "sscd-r50, thumbnail, "),
        (("prepare", "thumbnail", *gallery), "'thumbnail' is no network; networks are: lite0"),
        (("add", tmp_path / "nowhere", *gallery), "not a folder of images"),
        (("add", photos, "--gallery", tmp_path / "nowhere"), "not a gallery"),
        (("remove", 99, *gallery), "id 99"),
        (("remove", 1, "gone.png", 99, *gallery), "the path 'gone.png', or the id 99; nothing was"),
        (("reverse", photos, "--source", 99, *gallery, *plain), "id 99"),
        (("reverse", tmp_path / "nowhere", "--source", 1, *gallery, *plain), "nowhere"),
        (("verify", photos), "not a gallery"),
        (("fit-head", folder, *plain, "--kind", "center", "--out", text), "cannot be written"),
        (("evaluate", "--pairs", text, *gallery, *plain), "text.jpg"),
    ]:
        failed(call(*arguments), what)
    assert call("verify", folder).exit_code == 0
    assert len(Gallery.open(folder)) == 12


@pytest.mark.slow
def test_the_shipped_gallery_is_changed_on_request_only(folder, photos, monkeypatch) -> None:
    """Commands that change a gallery changed the one that comes with the program, unasked."""
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", folder)
    plain = ("--encoder", "thumbnail")
    (photos / "01.png").unlink()
    for arguments in [
        ("index", photos, "--out", folder, *plain),
        ("add", photos, "--gallery", folder),
        ("remove", 0, "--gallery", folder),
    ]:
        failed(call(*arguments), "comes with the program")
    assert len(Gallery.open(folder)) == 12
    assert call("remove", 0, "--gallery", folder, "--shipped").exit_code == 0
    assert len(Gallery.open(folder)) == 11


def test_verify_names_what_is_damaged(folder) -> None:
    gallery = Gallery.open(folder)
    lost = gallery.store.thumbnail(gallery.records[0].sha256)
    lost.unlink()
    (features,) = gallery.folder.glob("*/features.npy")
    features.write_bytes(b"x")
    result = call("verify", folder, "--json")
    assert result.exit_code == 1
    assert sorted(Path(d["file"]).name for d in json.loads(result.stdout)) == sorted(
        ["features.npy", lost.name]
    )
    assert lost.name in result.stderr
    failed(call("verify", folder), "features.npy")


@pytest.mark.parametrize("name", ["gallery.json", "generations/1/manifest.parquet"])
@pytest.mark.slow
def test_a_damaged_gallery_is_said_to_be(folder, photos, name: str) -> None:
    (folder / name).write_bytes(b"x")
    for arguments in [
        ("attribute", photos / "01.png", "--gallery", folder, "--encoder", "thumbnail"),
        ("add", photos, "--gallery", folder),
        ("remove", 1, "--gallery", folder),
        ("verify", folder),
    ]:
        failed(call(*arguments), "damaged|changed since")


@pytest.mark.slow
def test_a_full_disk_is_said_to_be(folder, photos, monkeypatch, write_image) -> None:
    write_image(photos / "new.png", 70)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("core.gallery.store.os.fsync", full)
        failed(call("add", photos, "--gallery", folder), "No space left on device")
    assert call("verify", folder).exit_code == 0
    assert said(call("add", photos, "--gallery", folder, "--json"))["added"] == 1


def test_an_interrupt_says_that_the_work_goes_on(monkeypatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.cli.galleries.verify", interrupted)
    failed(call("verify", "g"), "what was finished is kept", code=130)


def test_an_interrupt_while_libraries_are_loaded_shows_no_traceback(tmp_path) -> None:
    """The first seconds of every command are that."""
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    ended = process("verify", "g", PYTHONPATH=os.pathsep.join(map(str, (tmp_path, ROOT))))
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, b"", b"")


# Wrong use, with status 2


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["bad"], "No such command"),
        (["attribute"], "Missing argument"),
        (["attribute", "a.png", "--top", "0"], "greater than or equal to 1"),
        (["attribute", "a.png", "--top", "many"], "valid integer"),
        (["attribute", "a.png", "--bad"], "No such option"),
        (["index", "photos"], "Missing option '--out'"),
        (["index", "photos", "--out", "g", "--device", "bad"], "not a device"),
        (["index", "photos", "--out", "g", "--device", "cuda:99"], "not a device"),
        (["attribute", "a.png", "--report", "r.pdf"], "ends in .html, .json, .csv"),
        (["reverse", "made"], "name a source"),
        (["reverse", "made", "--source", "1", "--fdr", "1.5"], "between 0 and 1"),
        (["remove", "--gallery", "g"], "Missing argument"),
        (["evaluate", "--pairs", "p", "--gallery", "g", "--split", "bad"], "tune"),
        (["train", "moco", "p", "--out", "r", "--steps", "0"], "steps must be positive"),
        (["train", "moco", "p", "--out", "r", "--batch", "1"], "batch must exceed 1"),
        (["train", "moco", "p", "--out", "r", "--infomax", "nan"], "infomax must be a number"),
        (["train", "moco", "p", "--out", "r", "--size", "0"], "greater than or equal to 8"),
        (["train", "moco", "p", "--out", "r", "--view", "1"], "at least 8 pixels"),
        (["train", "moco", "p", "--out", "r", "--minutes", "nan"], "minutes must be positive"),
        (["train", "moco", "p", "--out", "r", "--minutes", "-3"], "minutes must be positive"),
        (["attribute", "a.png", "--search", "bad"], "exact"),
        (["fit-head", "g", "--kind", "center", "--out", "h", "--per-domain"], "used together"),
        (["fit-head", "g", "--kind", "bad", "--out", "h"], "'identity', 'center'"),
        (["fit-head", "g", "--kind", "whiten", "--k", "0", "--out", "h"], "k must be positive"),
        (["fit-head", "g", "--kind", "whiten", "--shrinkage", "nan", "--out", "h"], "shrinkage"),
        (["fit-head", "g", "--kind", "whiten", "--shrinkage", "1", "--out", "h"], "in .0, 1"),
        (
            ["fit-head", "g", "--kind", "ridge", "--pairs", "p", "--shrinkage", "0", "--out", "h"],
            "the kind 'ridge' must be in .1e-06, 1., got 0.0",
        ),
    ],
)
@pytest.mark.slow
def test_wrong_use_says_what_is_right(arguments: list[str], what: str) -> None:
    failed(call(*arguments), what, code=2)


def test_without_a_command_there_is_help() -> None:
    result = call()
    assert result.exit_code == 2
    assert "attribute" in result.output


# The streams of a real process


@pytest.mark.slow
def test_a_process_keeps_results_and_messages_apart(folder, photos) -> None:
    command = [sys.executable, "-m", "core", "attribute", str(photos / "01.png"), "--json"]
    command += ["--gallery", str(folder), "--encoder", "thumbnail"]
    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=100)
    assert done.returncode == 0, done.stderr
    jsonschema.validate(json.loads(done.stdout), UNTOLD)
    assert "Traceback" not in done.stderr


def test_results_are_ascii_whatever_the_names(capsys) -> None:
    console.print_json({"path": "größe 🎨 \udcff"})
    printed = capsys.readouterr().out
    assert printed.isascii()
    assert json.loads(printed) == {"path": "größe 🎨 \udcff"}


@pytest.mark.slow
def test_the_self_test_traces_variations_of_images(large, photos, tmp_path) -> None:
    files = [tmp_path / f"{seed}.png" for seed in (901, 902)]
    for seed, file in enumerate(files, 901):
        cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((64, 64), Image.Resampling.BICUBIC).save(file)
    options = ("--gallery", large, "--encoder", "thumbnail", "--way", "blend", "--far", 0.1)
    trials = said(call("selftest", *files, *options, "--json"))
    assert [trial["query"] for trial in trials] == [str(file) for file in files]
    assert all(trial["way"] == "blend" for trial in trials)
    assert all(trial["partner"] is not None for trial in trials)
    shown = call("selftest", files[0], *options)
    assert "of 1 variations are traced" in shown.stdout
    held = call("selftest", photos / "01.png", *options)
    assert "The gallery holds this picture, as " in " ".join(held.stdout.split())
    for wrong in (("--way", "copying"), ("--far", 2)):
        assert call("selftest", files[0], *wrong).exit_code == 2
