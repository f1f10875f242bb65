"""Neighbours inside a class are those of a loop over all pairs."""

import numpy as np
import pytest

from influence.trace import neighbors
from influence.trace.neighbors import NEAREST, Representations


def made(examples=60, classes=3, width=6, seed=0, copies=True):
    """Vectors of some classes, up to a fifth of them copies of others."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, examples)
    vectors = generator.normal(size=(examples, width)) + 3 * labels[:, None]
    copied = generator.integers(0, examples, examples // 5 if copies else 0)
    vectors[: len(copied)], labels[: len(copied)] = vectors[copied], labels[copied]
    return vectors, labels


def directions(vectors, labels) -> tuple[np.ndarray, np.ndarray]:
    """Each vector of length 1 less the mean of its class: its direction and its length."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    less = np.array([unit[i] - unit[labels == labels[i]].mean(0) for i in range(len(unit))])
    lengths = np.linalg.norm(less, axis=1)
    return less / lengths[:, None], lengths


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_repeats_are_those_of_a_loop_over_all_pairs(block, monkeypatch):
    monkeypatch.setattr(neighbors, "BLOCK", block)
    vectors, labels = made()
    unit, lengths = directions(vectors, labels)
    found = Representations(vectors, labels).repeats
    copies = 0
    for row, value in enumerate(found):
        mates = [i for i in range(len(labels)) if labels[i] == labels[row] and i != row]
        farther = [i for i in mates if lengths[i] > lengths[row] + 1e-6]
        alike = [i for i in mates if abs(lengths[i] - lengths[row]) <= 1e-6]
        if alike:  # copies: one of them counts as the farthest, which one may be rounding
            copies += value > 1 - 1e-5
            continue
        expected = max((unit[row] @ unit[i] for i in farther), default=-np.inf)
        assert value == pytest.approx(expected, abs=1e-5)
    _, groups = np.unique(np.round(vectors, 9), axis=0, return_inverse=True)
    assert copies == len(groups) - len(set(groups.tolist())) > 3


def test_the_nearest_are_those_of_a_loop_over_all_pairs():
    vectors, labels = made(classes=2)
    unit, _ = directions(vectors, labels)
    rows, similarities = Representations(vectors, labels).nearest
    assert rows.shape == similarities.shape == (len(labels), NEAREST)
    for row in range(len(labels)):
        mates = [i for i in range(len(labels)) if labels[i] == labels[row] and i != row]
        expected = sorted((unit[row] @ unit[i] for i in mates), reverse=True)[:NEAREST]
        np.testing.assert_allclose(similarities[row], expected, atol=1e-5)
        assert row not in rows[row] and len(set(rows[row].tolist())) == NEAREST
        np.testing.assert_allclose([unit[row] @ unit[i] for i in rows[row]], expected, atol=1e-5)


def test_a_small_class_has_itself_in_place_of_neighbours_that_it_lacks():
    labels = np.array([0, 0, 1])
    rows, similarities = Representations(np.eye(3), labels).nearest
    assert rows[:2, 0].tolist() == [1, 0]
    np.testing.assert_allclose(similarities[:2, 0], -1, rtol=1e-5)
    assert (rows[:, 1:] == np.arange(3)[:, None]).all() and np.isneginf(similarities[:, 1:]).all()
    assert rows[2].tolist() == [2] * NEAREST and np.isneginf(similarities[2]).all()


def test_a_class_at_one_point_repeats_itself():
    vectors = np.tile([0.3, 0.4, 0.5], (4, 1)).astype(np.float16)
    known = Representations(vectors, np.zeros(4, dtype=int))
    assert known.repeats.tolist() == [-np.inf, 1, 1, 1]
    np.testing.assert_allclose(known.nearest[1][:, :3], 1)


def test_the_length_of_a_vector_does_not_count():
    vectors, labels = made(copies=False)
    scaled = vectors * np.random.default_rng(1).uniform(0.5, 9, (len(vectors), 1))
    found, other = (Representations(one, labels).repeats for one in (vectors, scaled))
    np.testing.assert_allclose(found, other, atol=1e-5)


def test_vectors_of_half_precision_have_nearly_the_same_neighbours():
    vectors, labels = made(examples=200, copies=False)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    whole, half = (Representations(one, labels).nearest[1] for one in (unit, unit.astype("f2")))
    np.testing.assert_allclose(half, whole, atol=0.02)
