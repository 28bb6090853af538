import numpy as np

from benchmarks.quality import strongest


def test_a_dimension_is_named_by_the_factor_that_explains_it():
    rng = np.random.default_rng(0)
    colour, shape = rng.integers(3, size=300), rng.integers(3, size=300)
    embeddings = rng.normal(size=(300, 25)) * 0.1
    embeddings[:, 4] = np.array([1.0, 0.2, -1.0])[colour] + 0.1 * rng.normal(size=300)
    factors = {"colour": [["red", "blue", "teal"][c] for c in colour], "shape": shape.tolist()}
    rows = strongest.strongest(embeddings, factors, span=slice(3, 25), least=0.5)
    assert (rows[1].number, rows[1].name) == (4, "colour: red / teal")
    assert rows[1].share > 0.9
    assert rows[1].energy == max(row.energy for row in rows)
    assert rows[0].name == "—"
    assert set(colour[rows[1].most]) == {0}
    assert len(rows) == strongest.COUNT


def test_one_of_twenty_directions_would_have_a_name_by_chance():
    rng = np.random.default_rng(1)
    factors = {"colour": rng.choice(["red", "blue", "teal"], size=300).tolist()}
    turned = [rng.normal(size=(300, 40)) for _ in range(5)]
    least = strongest.by_chance(turned, factors, span=slice(0, 40))
    assert 0 < least < 0.05
    codes = strongest.factor_codes(factors)
    shares = np.concatenate([strongest.explained_variance(t, codes).max(1) for t in turned])
    assert np.mean(shares > least) == 0.05
