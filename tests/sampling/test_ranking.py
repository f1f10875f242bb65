"""The arithmetic of orders, against sorting and counting in plain Python."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence.sampling.ranking import (
    by_group,
    descending,
    fractional_places,
    largest,
    places,
    to_unit,
)

VALUES = st.one_of(
    st.floats(allow_nan=False), st.sampled_from([0.0, -0.0, 1.0, np.inf, -np.inf, 5e-324])
)
GROUPS = st.lists(st.integers(0, 5), min_size=1, max_size=40).map(np.array)
SEEDS = st.integers(0, 1000)


@given(st.lists(VALUES, min_size=1, max_size=40), SEEDS)
def test_descending_sorts_all_and_repeats_itself_under_a_seed(values, seed):
    array = np.array(values)
    ranked, again = (descending(array, np.random.default_rng(seed)) for _ in range(2))
    assert sorted(ranked) == list(range(len(values))) and ranked.tolist() == again.tolist()
    assert array[ranked].tolist() == sorted(values, reverse=True)


@given(
    st.one_of(
        st.lists(VALUES, max_size=40).map(np.array),
        st.lists(st.integers(-3, 3), max_size=40).map(lambda some: np.array(some, dtype=np.int64)),
        st.lists(st.sampled_from([-(2**62), 0, 2**62]), max_size=9).map(np.array),
    ),
    SEEDS,
)
def test_equal_priorities_are_in_the_order_of_lots(priority, seed):
    lots = np.random.default_rng(seed).permutation(len(priority))
    expected = sorted(range(len(priority)), key=lambda i: (-priority[i].item(), lots[i]))
    assert descending(priority, np.random.default_rng(seed)).tolist() == expected


@given(st.lists(VALUES, min_size=2, max_size=40), st.data())
def test_the_largest_are_the_first_of_all_in_order(values, data):
    array, count = np.array(values), data.draw(st.integers(0, len(values) - 1))
    found = largest(array, count, np.random.default_rng(0))
    assert len(set(found)) == count
    assert array[found].tolist() == sorted(values, reverse=True)[:count]


@given(GROUPS)
def test_positions_by_group_keep_their_order(groups):
    positions, counts = by_group(groups)
    expected = [i for group in range(groups.max() + 1) for i in np.flatnonzero(groups == group)]
    assert positions.tolist() == expected
    assert counts.tolist() == [Counter(groups.tolist())[g] for g in range(groups.max() + 1)]


@given(GROUPS, SEEDS)
def test_places_number_the_examples_of_every_group(groups, seed):
    found = places(groups, np.random.default_rng(seed))
    shares = fractional_places(groups, np.random.default_rng(seed))
    for group in set(groups.tolist()):
        own, size = found[groups == group], int((groups == group).sum())
        assert sorted(own) == list(range(size))
        assert shares[groups == group] == pytest.approx((own + 0.5) / size)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20))
def test_the_unit_interval_is_reached_at_both_ends_and_kept_in_order(values):
    array = np.array(values)
    unit = to_unit(array, array.min(), array.max())
    assert unit[array.argmin()] == 0 and unit.min() >= 0 and unit.max() <= 1
    assert unit[array.argmax()] == 1 or not unit.any()
    assert (np.diff(unit[np.argsort(array, kind="stable")]) >= 0).all()
