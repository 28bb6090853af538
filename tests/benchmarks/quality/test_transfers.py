from __future__ import annotations

from benchmarks.quality.transfers import SHARED, chosen, named

NAMES = [
    named(f"{c}-{t}.png") for c in ("cat1", "cat2", "dog1") for t in ("clock1", "clock2", "oven1")
]


def test_right_answers_share_one_thing_and_nothing_else():
    asked = ("cat1", "clock1")
    right = {what: [n for n in NAMES if same(asked, n)] for what, same in SHARED.items()}
    assert right == {
        "one content": [("cat1", "oven1")],
        "one texture": [("dog1", "clock1")],
        "textures of a kind": [("dog1", "clock2")],
    }


def test_queries_without_a_right_answer_are_not_asked():
    asked = chosen(NAMES, SHARED["textures of a kind"])
    assert asked == chosen(NAMES, SHARED["textures of a kind"])
    assert {NAMES[query][1] for query, _ in asked} == {"clock1", "clock2"}
    assert all(0 < len(right) <= 3 and query not in right for query, right in asked)
