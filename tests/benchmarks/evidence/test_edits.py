"""Edits count every generated image once, with all the sources that its pairs name."""

from __future__ import annotations

from pathlib import Path

from benchmarks.evidence.edits import made_of
from core.measures.retrieval import Pair


def test_roles_of_one_image_are_put_together_again():
    pairs = [
        Pair("splice_dogs: structure", "g", ("a.png",), "made/1.png", ("b.png",)),
        Pair("splice_dogs: appearance", "g", ("b.png",), "made/1.png", ("a.png",)),
        Pair("ddpm_inversion", "g", ("c.png",), "made/2.png"),
    ]
    mixed, edited = made_of(pairs, Path("data"))
    assert (mixed.set, edited.set) == ("splice", "ddpm")
    assert mixed.generated == Path("data/made/1.png")
    assert mixed.roles == {"structure": "a.png", "appearance": "b.png"}
    assert edited.roles == {"source": "c.png"}
