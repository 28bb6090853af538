import numpy as np

from benchmarks.quality import strongest


def test_a_dimension_is_named_by_the_factor_that_explains_it():
    rng = np.random.default_rng(0)
    colour, shape = rng.integers(3, size=300), rng.integers(3, size=300)
    embeddings = rng.normal(size=(300, 25)) * 0.1
    embeddings[:, 4] = np.array([1.0, 0.2, -1.0])[colour] + 0.1 * rng.normal(size=300)
    factors = {"colour": [["red", "blue", "teal"][c] for c in colour], "shape": shape.tolist()}
    rows = strongest.strongest(embeddings, factors)
    assert (rows[0].number, rows[0].name) == (4, "colour: red / teal")
    assert rows[0].share > 0.9
    assert rows[1].name == "—"
    assert set(colour[rows[0].most]) == {0}
    assert len(rows) == strongest.COUNT
