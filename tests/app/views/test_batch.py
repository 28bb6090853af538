from __future__ import annotations

import csv
import io
import re
from dataclasses import replace

from markupsafe import escape

from app.views.batch import Row, judge, table_csv, table_html
from app.views.templates import breakable
from core.values import Answer
from tests.app.made import answer, group, record, untold


def found(p_value: float, *, named: bool = True) -> Answer:
    one, other = group(1, influence=0.9, title="Hills"), group(2, influence=0.0, title="Lake")
    return answer(one, other, none=0.1, named=named, p_value=p_value)


def none() -> Answer:
    weak = group(1, influence=0.0, confidence=0.3)
    return answer(weak, none=1.0, named=False, p_value=0.5)


def cells(rows: list[Row]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table_csv(rows))))


def test_a_source_that_does_not_stand_out_among_many_is_not_named():
    """A batch named whatever an image alone would name: one in twenty without any source."""
    alone = [Row("a.png", answer=found(0.04))]
    among = [*alone, *(Row(f"{i}.png", answer=found(0.9)) for i in range(9))]
    assert (cells(alone)[0]["named"], cells(alone)[0]["best_source"]) == ("yes", "Hills")
    first = cells(among)[0]
    assert (first["named"], first["outcome"], first["p_adjusted"]) == ("no", "named", "0.4")
    assert "Not among 10 images" in table_html(among, total=10)


def test_one_certain_source_among_two_hundred_is_certain_by_itself():
    """In a batch of 200 it read as nothing: no name stood in the table or in the CSV."""
    certain = [Row("a.png", answer=found(1 / 801))]
    among = [*certain, *(Row(f"{i}.png", answer=none()) for i in range(199))]
    html = table_html(among, total=200)
    row = html.partition('data-row="0"')[2].partition("</tr>")[0]
    for words in ("Hills", "Candidate source, very likely", "90 %", "p 0.25", "Not among 200"):
        assert words in row, words
    first = cells(among)[0]
    assert (first["best_source"], first["named"]) == ("Hills", "no")
    assert html.count(">None stands out<") == 199


def test_a_table_says_with_what_it_was_made_and_that_it_was_stopped():
    """Its settings could be changed beside it, and it looked like an answer to the new ones."""
    rows = [Row("a.png", answer=none())]
    html = table_html(rows, total=3, by="By <MoCo>.", stopped=True)
    assert "By &lt;MoCo&gt;." in html
    assert ">1 of 3 images, then stopped<" in html
    assert ">1 of 3 images<" in table_html(rows, total=3)


def test_rows_carry_what_they_are_sorted_and_filtered_by():
    rows = [
        Row("b.png", answer=found(0.004), picture="data:image/webp;base64,AA=="),
        Row("a.png", answer=found(0.004, named=False)),
        Row("c.png", answer=none()),
        Row("d.png", problem="broken"),
    ]
    html = table_html(rows, total=4)
    assert re.findall(r'<tr[^>]* data-kind="([a-z ]+)"', html) == [
        "named",
        "one of",
        "none",
        "refused",
    ]
    assert re.findall(r'data-row="(\d)"', html) == ["0", "1", "2"]  # a refusal opens nothing
    assert html.count("data-open") == 3
    assert html.count('aria-sort="none"') == 6
    assert html.count("broken") == 1
    assert html.count("data:image/webp") == 1
    for label in ("All 4", "Named 1", "One of several 1", "None 1", "Refused 1"):
        assert f">{label}<" in html


def test_what_is_cut_in_a_row_is_told_whole_by_its_title():
    """A row was as tall as its longest title."""
    long = 'The "long" title of a picture, ' * 9
    one = group(1, influence=0.9, title=long)
    rows = [Row("a-name.png", answer=answer(one, none=0.1, p_value=0.004))]
    html = table_html(rows, total=1)
    whole = f'<span class="ws-brief" title="{escape(long)}">{escape(long)}</span>'
    assert whole in html
    assert '<span class="ws-brief" title="a-name.png">a-<wbr>name.<wbr>png</span>' in html


def test_creator_and_licence_stand_with_a_source_only():
    made = {"title": "Hills", "creator": "Ada", "licence": "CC0"}
    one = group(1, influence=0.9)
    one = replace(one, best=replace(one.best, image=record(1, **made)))
    rows = [Row("a.png", answer=answer(one, none=0.1, p_value=0.004))]
    assert "Ada, CC0" in table_html(rows, total=1)
    assert (cells(rows)[0]["creator"], cells(rows)[0]["licence"]) == ("Ada", "CC0")
    weak = replace(one, influence=0.0)
    rows = [Row("a.png", answer=answer(weak, none=1.0, named=False, p_value=0.9))]
    assert "Ada" not in table_html(rows, total=1)
    assert cells(rows)[0]["creator"] == ""


def test_an_answer_that_cannot_choose_lists_its_candidates():
    rows = [Row("a.png", answer=found(0.004, named=False))]
    assert "One of these, very likely: Hills; Lake" in table_html(rows, total=1)
    assert (cells(rows)[0]["named"], cells(rows)[0]["best_source"]) == ("no", "Hills; Lake")


def test_none_has_its_best_confidence():
    rows = [Row("a.png", answer=none()), Row("b.png", problem="broken")]
    html = table_html(rows, total=2)
    assert "30 %" in html
    assert "None stands out" in html
    assert cells(rows)[0]["confidence"] == "0.300000"
    assert [judged is None for judged in judge(rows)] == [False, True]


def test_file_names_are_broken_between_words_and_escaped():
    assert breakable("a-b_<c>.png") == "a-<wbr>b_<wbr>&lt;c&gt;.<wbr>png"


def test_a_gallery_that_cannot_tell_has_no_number_in_the_table():
    """The table gave confidences of over 99 % and p-values beside "too few different images"."""
    rows = [
        Row(name, answer=untold(group(1, influence=0.0, title="Hills")))
        for name in ("a.png", "b.png")
    ]
    html = table_html(rows, total=2)
    assert "too few different images" in html
    assert "%" not in html
    body = html.split("<tbody>")[1]
    assert not any(char.isdigit() for char in re.sub(r"<[^>]*>", "", body))
    for row in cells(rows):
        assert (row["confidence"], row["p_value"], row["p_adjusted"]) == ("", "", "")
        assert (row["named"], row["best_source"]) == ("no", "")


def test_the_very_file_is_named_in_a_batch_whatever_its_p_value():
    """That an image is in the gallery is a fact; the adjustment for many images took its name."""
    there = answer(group(1, influence=1.0, title="Hills"), none=0.0, p_value=0.4, identical=1)
    (row,) = cells([Row("a.png", answer=there)])
    assert (row["named"], row["best_source"]) == ("yes", "Hills")
    bare = untold(group(1, influence=0.0, title="Hills"), identical=1)
    (row,) = cells([Row("a.png", answer=Answer(**{**vars(bare), "named": True}))])
    assert (row["named"], row["best_source"], row["p_value"]) == ("yes", "Hills", "")
