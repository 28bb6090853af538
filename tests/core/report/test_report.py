"""Reports hold the whole answer, ask the network for nothing, and take no text for markup."""

from __future__ import annotations

import csv
import hashlib
import html.parser
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from core.config import ScoreConfig
from core.gallery.tables import read_table
from core.measures.dimensions import Dimensions
from core.report import (
    answer_object,
    attribute_command,
    csv_text,
    report_csv,
    report_html,
    report_json,
)
from core.report.cases import MEANING, Case, Run, query_digest, versions, without_images
from core.report.files import write_report
from core.service.choice import Choice
from core.values import (
    Answer,
    Contribution,
    Explanation,
    Grid,
    Group,
    ImageRecord,
    Match,
    RegionMatch,
    Roles,
    ScorePart,
    WellspringError,
)

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&\u202e"
RUN = Run("python -m core attribute q.png", "2026-01-01T00:00:00+00:00", {"prior": "0.5"})


def record(number: int, **fields: str) -> ImageRecord:
    return ImageRecord(number, f"{number}.png", f"{number:064x}", "0" * 16, 64, 48, **fields)


def regions() -> RegionMatch:
    heat = np.array([0.5, 0.0, 0.25, 0.25])
    pairs, strengths = np.array([[0, 3], [2, 1]]), np.array([0.9, 0.4])
    return RegionMatch(Grid(2, 2), Grid(2, 2), heat, heat[::-1].copy(), pairs, strengths)


def case(**fields: str) -> Case:
    images = [record(7, **fields), record(9)]
    matches = tuple(Match(image, 0.5 / (i + 1), 1.25, i) for i, image in enumerate(images))
    groups = (
        Group(0, (7, 8), matches[0], 0.0123456789, 0.91, 0.75),
        Group(1, (9,), matches[1], 0.5, 0.2, 0.0),
    )
    answer = Answer(
        matches, groups, 0.25, 0.0123456789, "null0",
        "moco@1", "whiten@2", "mine@3", named=True, null_size=800,
    )  # fmt: skip
    parts = (Contribution(4, 0.3, 0.6, 0.5, 0.6), Contribution(2, -0.1, -0.2))
    found = Explanation(images[0], 0.5, parts, Grid(2, 2), None, None, regions())
    picture = Image.new("RGB", (64, 48), (200, 30, 30))
    return Case("q.png", "ab" * 32, answer, (found,), picture, {7: picture})


class Page(html.parser.HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    @property
    def addresses(self) -> list[str]:
        return [value for _, found in self.tags for name, value in found.items()
                if name in ("href", "src", "xlink:href") and value]  # fmt: skip


def test_a_page_says_what_the_answer_says():
    page = Page(report_html([case(creator="Ada", licence="CC0")], RUN))
    text = " ".join(" ".join(page.words).split())
    for word in ("q.png", "ab" * 32, "Candidate source, very likely: 7.png.",
                 "Ada", "CC0", "p-value 0.012", "91 %", "75 %", "25 %", "0.250", "About 1 in 81",
                 "moco@1", "whiten@2",
                 "mine@3", "null0", RUN.command, "on 1 January 2026, 00:00 UTC", MEANING,
                 "Prior 50 %", "numpy", "Equal numbers mark places"):  # fmt: skip
        assert word in text, word
    assert ("time", {"datetime": RUN.time}) in page.tags
    for word in (RUN.time, "copied", "Warm", "yes", "4: +0.300"):  # the page says none of it
        assert word not in text, word
    assert sum(tag == "text" for tag, _ in page.tags) == 4
    assert sum(tag == "line" for tag, _ in page.tags) == 2
    assert sum(tag == "image" and "href" in found for tag, found in page.tags) == 2


def test_a_page_calls_images_sources_only_where_some_stand_out():
    """Where why none does could not be measured, they were called candidate sources."""
    found = case()
    groups = tuple(replace(g, influence=0.0, confidence=0.1) for g in found.answer.groups)
    none = replace(found.answer, groups=groups, none=1.0, p_value=0.4, named=False)
    assert "<h3>Candidate sources</h3>" in report_html([found], RUN)
    html = report_html([replace(found, answer=none)], RUN)
    assert "<h3>Closest images</h3>" in html
    assert "<th>Source</th>" not in html


def test_a_page_of_several_begins_with_a_summary_that_leads_to_each():
    """A batch was told one image after the other, without a picture or a way to any of them."""
    none = replace(case().answer, named=False, p_value=0.6)
    none = replace(none, groups=tuple(replace(g, influence=0.0) for g in none.groups))
    cases = [
        replace(case(creator="Ada"), p_adjusted=0.0247),
        replace(case(), query="r.png", answer=none, p_adjusted=0.6),
    ]
    page = Page(report_html(cases, replace(RUN, refused={"bad.png": "no image"})))
    text = " ".join(" ".join(page.words).split())
    assert "3 images: 1 with a named source, 1 without a source, 1 left out." in text
    links = [found["href"] for tag, found in page.tags if tag == "a"]
    assert links == ["#image-1", "#image-2", "#left-out", "#meaning", "#again"]
    assert {link[1:] for link in links if link} <= {found.get("id") for _, found in page.tags}
    images = [found for tag, found in page.tags if tag == "img"]
    assert len(images) == 2 * (2 + 2)  # query and source in the summary, and in the section
    summary = text.partition("p among all")[2].partition("Also:")[0]
    assert "Candidate source, very likely 91 %" in summary, "it named the candidate once more"
    assert "0.025" in text


def test_candidates_stand_in_the_order_of_the_list_and_p_values_are_one():
    """The report had another second candidate than the page, and 0.0012 below a p ≤ 0.0013."""
    images = [record(number) for number in range(5)]
    matches = tuple(Match(image, 0.9 - image.id / 10, 1.0, image.id) for image in images)
    groups = tuple(
        Group(i, (i,), matches[i], p, c, share)
        for i, p, c, share in ((0, 1 / 801, 0.99, 0.9), (3, 0.1, 0.2, 0.0), (4, 0.2, 0.1, 0.0),
                               (1, 0.4, 0.1, 0.0), (2, 0.5, 0.1, 0.0))
    )  # fmt: skip
    first = case()
    answer = replace(first.answer, matches=matches, groups=groups, p_value=1 / 801)
    page = report_html([replace(first, answer=answer)], RUN)
    table = page.partition("<tbody>")[2].partition("</tbody>")[0]
    assert re.findall(r"<span>(\d)\.png", table) == ["0", "1", "2"]
    assert "0.0012" not in page and page.count("≤ 0.0013") == 3


def test_a_page_of_several_folds_their_matches_and_says_once_what_they_rest_on():
    one, several = (Page(report_html([case()] * count, RUN)) for count in (1, 11))
    folded = [found for tag, found in several.tags if tag == "details"]
    assert len(folded) == 11 and not any("open" in found for found in folded)
    assert ("details", {"open": None}) in one.tags
    assert "".join(several.words).count("mine@3") == 1


def test_a_page_of_one_image_needs_no_summary():
    page = report_html([case()], RUN)
    assert "Summary" not in page
    assert "@media print" in page


def test_a_page_asks_the_network_for_nothing():
    page = Page(report_html([case(url="https://example.org/a?b=1&c=2")], RUN))
    links = [found["href"] for tag, found in page.tags if tag == "a"]
    assert links == ["https://example.org/a?b=1&c=2"]
    others = [address for address in page.addresses if address not in links]
    assert others
    assert all(address.startswith("data:image/jpeg;base64,") for address in others)
    assert not {tag for tag, _ in page.tags} & {
        "script",
        "link",
        "iframe",
        "object",
        "form",
        "base",
    }
    (policy,) = [f["content"] for tag, f in page.tags if f.get("http-equiv")]
    assert policy is not None
    assert "default-src 'none'" in policy


@pytest.mark.parametrize(
    "url",
    ["javascript:alert(1)", "data:text/html,x", "//evil.example/x", "file:///etc/passwd",
     "JaVaScRiPt:alert(1)", " javascript:alert(1)", "http://", "http://[", "ftp://a/b"],
)  # fmt: skip
def test_only_web_addresses_become_links(url):
    page = Page(report_html([case(url=url)], RUN))
    assert not [tag for tag, _ in page.tags if tag == "a"]


def test_hostile_texts_stay_texts():
    fields = dict.fromkeys(("title", "creator", "licence", "source"), HOSTILE)
    hostile = case(**fields, url=f"https://example.org/{HOSTILE}")
    hostile = replace(hostile, query=HOSTILE, explanations=hostile.explanations)
    run = replace(RUN, command=HOSTILE, settings={HOSTILE: HOSTILE})
    made = report_html([hostile], run)
    page = Page(made)
    assert {tag for tag, _ in page.tags} == {tag for tag, _ in Page(
        report_html([case(url="https://example.org")], RUN)).tags}  # fmt: skip
    assert not [name for _, found in page.tags for name in found if name.startswith("on")]
    assert "<script>alert(1)</script>" in "".join(page.words)
    assert "\u202e" not in made


def test_without_images_there_are_frames_only():
    page = Page(report_html([without_images(case())], RUN))
    assert page.addresses == []
    assert sum(tag == "line" for tag, _ in page.tags) == 2


PARTS = {
    0: (ScorePart("parts", 1.5), ScorePart("how common it is", -0.5), ScorePart("edges", 0.25))
}


def test_a_page_and_json_tell_the_parts_of_a_source_s_score():
    """Only the app told by which levels a source was found, and by how much."""
    assert "What makes their scores" not in report_html([case()], RUN)
    found = replace(case(), score_parts=PARTS)
    text = " ".join(" ".join(Page(report_html([found], RUN)).words).split())
    told = text.partition("What makes their scores")[2]
    assert "Image Parts How common it is Edges Score 7.png +1.500 -0.500 +0.250 1.250" in told
    groups = json.loads(report_json([found], RUN))["queries"][0]["groups"]
    assert sum(part["value"] for part in groups[0]["score_parts"]) == 1.25
    assert groups[0]["score_parts"][0] == {"name": "parts", "value": 1.5}
    assert "score_parts" not in groups[1], "it is no source"


def test_reports_tell_who_gave_structure_and_appearance():
    found = case()
    others = [replace(found.answer.groups[1], id=i, members=(i,)) for i in (2, 3, 4)]
    groups = [*found.answer.groups, *others]
    places = [replace(g, best=replace(g.best, image=record(g.id), group=g.id)) for g in groups]
    roles = Roles(0, 4, 0.01, 0.08)
    told = replace(found, answer=replace(found.answer, groups=tuple(places), roles=roles))
    text = " ".join(" ".join(Page(report_html([told], RUN)).words).split())
    assert "Its structure is nearest to 0.png, its appearance to 4.png: of images" in text
    table = text.partition("Candidate sources")[2].partition("Matches")[0]
    assert "4.png" in table and "3.png" not in table, "it is shown, unlike others of no influence"
    query = json.loads(report_json([told], RUN))["queries"][0]
    assert query["roles"] == vars(roles)
    (first, second) = csv.DictReader(io.StringIO(report_csv([told], RUN)))
    assert (first["role"], second["role"]) == ("structure", "")
    assert json.loads(report_json([found], RUN))["queries"][0]["roles"] is None


def test_explanations_without_space_have_no_drawing():
    plain = case()
    plain = replace(plain, explanations=(replace(plain.explanations[0], regions=None),))
    assert not [tag for tag, _ in Page(report_html([plain], RUN)).tags if tag == "svg"]


def test_reports_are_the_same_every_time():
    for make in (report_html, report_json, report_csv):
        assert make([case()], RUN) == make([case()], RUN)
        assert make([case()], RUN) != make([case()], replace(RUN, time="2027-01-01T00:00:00+00:00"))


def test_json_holds_the_whole_answer():
    found = json.loads(report_json([replace(case(creator="Ada"), p_adjusted=0.02)], RUN))
    assert (found["command"], found["time"], found["meaning"]) == (RUN.command, RUN.time, MEANING)
    assert found["versions"] == dict(versions())
    assert found["settings"] == {"prior": "0.5"}
    (query,) = found["queries"]
    wanted = answer_object("q.png", case().answer, p_adjusted=0.02)
    assert {key: query[key] for key in wanted} == json.loads(json.dumps(wanted))
    assert query["sha256"] == "ab" * 32
    assert query["images"][0] | {"creator": "Ada", "id": 7} == query["images"][0]
    (reason,) = query["explanations"]
    assert (reason["image"], reason["cosine"]) == (7, 0.5)
    assert reason["dimensions"][0] == {
        "dimension": 4, "value": 0.3, "share": 0.6, "query": 0.5, "source": 0.6,
    }  # fmt: skip
    assert reason["regions"]["query_heat"] == [[0.5, 0.0], [0.25, 0.25]]
    assert reason["regions"]["links"][0] == {
        "query": [0.25, 0.25], "source": [0.75, 0.75], "strength": 0.9,
    }  # fmt: skip


def test_unstable_dimensions_are_marked_and_are_not_on_the_page():
    stability = np.full(5, 0.9)
    stability[2] = 0.5
    judged = Dimensions(stability, ("colour",), np.full((5, 1), 0.6))
    found = replace(case(), dimensions=judged)
    first, second = json.loads(report_json([found], RUN))["queries"][0]["explanations"][0][
        "dimensions"
    ]
    assert (first["stable"], first["stability"], first["follows"]) == (True, 0.9, "colour")
    assert (second["stable"], second["dimension"]) == (False, 2)
    page = report_html([found], RUN)
    assert "that come back when the head is fitted again: 4: +0.300 (follows colour)." in page
    assert "2: -0.100" not in page and "unstable" not in page


def test_csv_has_a_row_for_every_match():
    rows = list(csv.DictReader(io.StringIO(report_csv([case(), case()], RUN))))
    assert [row["rank"] for row in rows] == ["1", "2", "1", "2"]
    assert (rows[0]["p_value"], rows[0]["influence"]) == ("0.0123456789", "0.75")
    assert rows[0]["group_members"] == "2"
    assert rows[0]["command"] == RUN.command
    assert report_csv([], RUN) == "query\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\uff1d1"])
def test_csv_holds_no_formulas(text):
    (row, _) = csv.DictReader(io.StringIO(report_csv([case(title=text)], RUN)))
    assert row["title"] == "'" + text.replace("\t=", "\t'=")
    assert row["score"] == "1.25"


@pytest.mark.parametrize("text", ["a;=1+1;b", "a;@x", "a\n=1", "a\r\n+1", "a\t-1"])
def test_no_other_way_to_part_cells_makes_a_formula(text, tmp_path):
    """Where spreadsheets part cells at semicolons, whatever is quoted, the middle was one."""
    made = csv_text(["file_name", text], [["a.png", text]])
    cells = [cell for line in made.splitlines() for cell in re.split("[;\t,]", line)]
    assert not any(cell.lstrip('"')[:1] in tuple("=+-@") for cell in cells if cell)
    (tmp_path / "metadata.csv").write_text(made, newline="")
    assert read_table(tmp_path / "metadata.csv").rows == ({"file_name": "a.png", text: text},)


def test_the_hash_is_of_the_bytes(tmp_path):
    (tmp_path / "a.png").write_bytes(b"bytes")
    wanted = hashlib.sha256(b"bytes").hexdigest()
    assert query_digest(b"bytes") == query_digest(tmp_path / "a.png") == wanted
    assert query_digest(str(tmp_path / "a.png")) == wanted
    one, two = Image.new("RGB", (2, 2)), Image.new("RGB", (2, 2), "red")
    assert query_digest(one) != query_digest(two)


def test_the_command_names_everything_that_was_chosen():
    score = ScoreConfig().without("patches")
    choice = Choice("dino", "whiten", "a gallery", score)
    assert attribute_command(["-q.png", "it's.png"], choice, top=3) == (
        "python -m core attribute --gallery 'a gallery' --encoder dino --head whiten "
        "--leave-out patches --top 3 -- -q.png 'it'\"'\"'s.png'"
    )


@pytest.mark.parametrize("ending", [".html", ".JSON", ".csv"])
def test_the_ending_names_the_kind(tmp_path, ending):
    odd = replace(case(title="größe 🎨"), query="\udcff.png")
    write_report(tmp_path / f"r{ending}", [odd], RUN)
    text = (tmp_path / f"r{ending}").read_text(encoding="utf-8")
    assert re.match({".html": "<!DOCTYPE", ".JSON": "{", ".csv": "query,"}[ending], text)
    assert [path.name for path in tmp_path.iterdir()] == [f"r{ending}"]


def test_other_endings_are_refused(tmp_path):
    with pytest.raises(WellspringError, match=r"'r\.pdf' does not"):
        write_report(tmp_path / "r.pdf", [case()], RUN)
    assert list(tmp_path.iterdir()) == []
