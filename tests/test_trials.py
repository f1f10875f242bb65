"""Verdicts on trials, from cases worked out by hand."""

import math

import pytest

from influence import trials
from influence.sampling import parse_arm
from influence.space import Candidate
from influence.trials import Trial, front, is_hopeless, next_percent, noise, recommend


def trial(number, arm, percent, *differences, state="complete", floor=1):
    candidate = Candidate(parse_arm(arm), percent, floor, {})
    values = tuple(0.9 + difference for difference in differences)
    return Trial(number, state, candidate, values, differences, 0, 1)


def test_the_recommended_trial_prunes_most_within_the_tolerance():
    known = [
        trial(0, "random", 30, 0.0, 0.0),
        trial(1, "vog:easy", 50, -0.01, -0.01),
        trial(2, "el2n:easy", 60, -0.02, -0.01),
        trial(3, "pvi:easy", 70, 0.0, state="pruned"),
        trial(4, "forgetting:easy", 50, -0.005, -0.01),
    ]
    assert recommend(known, 0.01) is known[4]  # 50 % like trial 1, and more accurate
    assert recommend(known, 0.02) is known[2]
    assert recommend(known[1:2], 0.001) is None
    assert recommend([], 0.1) is None


def test_among_equals_the_oldest_is_recommended():
    known = [trial(3, "vog:easy", 50, 0.0), trial(1, "random", 50, 0.0)]
    assert recommend(known, 0.0) is known[1]


def test_a_loss_of_exactly_the_tolerance_holds():
    assert trial(0, "random", 10, 0.89 - 0.9, 0.91 - 0.92).holds(0.01)


def test_the_front_holds_what_nothing_beats_in_both():
    known = [
        trial(0, "random", 50, -0.02),
        trial(1, "vog:easy", 50, -0.01),
        trial(2, "el2n:easy", 30, 0.01),
        trial(3, "pvi:easy", 20, 0.01),
        trial(4, "drop", 90, -0.2),
        trial(5, "stratified", 95, 0.5, state="pruned"),
    ]
    assert [t.number for t in front(known)] == [2, 1, 4]


def test_noise_pools_the_spread_of_differences_and_twice_that_of_the_full_train_set():
    # Two values 0.1 apart have variance 0.005; of the full train set's it counts twice.
    full, other = [0.8, 0.9], trial(0, "random", 10, 0.0, 0.1)
    assert noise(full, []) == pytest.approx(math.sqrt(0.01))
    assert noise(full, [other]) == pytest.approx(math.sqrt((0.01 + 0.005) / 2))
    assert noise([0.8], [trial(0, "random", 10, 0.1)]) == math.inf


def test_what_two_standard_errors_cannot_bring_back_is_hopeless():
    arguments = ([], "prune", 0.01, 0.01)
    assert is_hopeless(50, [-0.031], *arguments)
    assert not is_hopeless(50, [-0.029], *arguments)
    assert is_hopeless(50, [-0.025, -0.025], *arguments)  # the error shrinks with the seeds
    assert not is_hopeless(50, [-0.9], [], "prune", 0.01, math.inf)


def test_to_prune_less_than_what_holds_is_hopeless():
    known = [trial(0, "random", 50, 0.0)]
    assert is_hopeless(45, [0.1], known, "prune", 0.01, 0.01)
    assert not is_hopeless(50, [0.1], known, "prune", 0.01, 0.01)


def test_on_a_frontier_what_is_beaten_in_both_is_hopeless():
    known = [trial(0, "random", 50, -0.01)]
    assert is_hopeless(45, [-0.031], known, "frontier", 0.0, 0.01)
    assert not is_hopeless(45, [-0.029], known, "frontier", 0.0, 0.01)
    assert not is_hopeless(55, [-0.9], known, "frontier", 0.0, 0.01)


def test_bisection_goes_half_way_to_where_a_candidate_fails():
    held, failed = trial(0, "vog:easy", 40, 0.0), trial(1, "vog:easy", 80, -0.5)
    other = trial(2, "el2n:easy", 50, -0.5)
    assert next_percent(held, [held, failed, other], "prune", 0.01, 95) == 60
    assert next_percent(failed, [held, failed], "prune", 0.01, 95) == 60
    assert next_percent(held, [held], "prune", 0.01, 95) == 70
    assert next_percent(held, [held], "prune", 0.01, 40) is None


def test_bisection_ends_beside_a_failure():
    held, failed = trial(0, "vog:easy", 40, 0.0), trial(1, "vog:easy", 45, -0.5)
    assert next_percent(failed, [held, failed], "prune", 0.01, 95) is None


def test_bisection_only_asks_for_more_than_what_holds_already():
    best, held = trial(0, "random", 70, 0.0), trial(1, "vog:easy", 40, 0.0)
    assert next_percent(held, [best, held], "prune", 0.01, 95) == 75
    failed = trial(2, "vog:easy", 75, -0.5)
    assert next_percent(failed, [best, held, failed], "prune", 0.01, 95) is None
    assert next_percent(failed, [best, failed], "prune", 0.01, 95) is None


def test_another_floor_is_another_candidate():
    held, other = trial(0, "vog:easy", 40, 0.0), trial(1, "vog:easy", 60, -0.5, floor=4)
    assert next_percent(held, [held, other], "prune", 0.01, 95) == 70


def test_a_frontier_is_filled_between_its_members():
    known = [trial(0, "vog:easy", 40, 0.0), trial(1, "random", 80, -0.3)]
    assert next_percent(known[0], known, "frontier", 0.0, 95) == 60
    assert next_percent(known[1], known, "frontier", 0.0, 95) == 90
    beaten = trial(2, "el2n:easy", 30, -0.1)
    assert next_percent(beaten, [*known, beaten], "frontier", 0.0, 95) is None


def test_the_table_has_a_row_for_every_trial_and_its_parts():
    lost = Trial(2, "failed", None, (), (), 0, 0)
    some = [trial(0, "el2n@2:easy:class", 30, -0.02, 0.0), trial(1, "random", 50, -0.5), lost]
    table = trials.table(some, 0.01)
    first = table.iloc[0]
    assert (first["arm"], first["score"], first["rule"]) == ("el2n@2:easy:class", "el2n", "easy")
    assert first["difference"] == pytest.approx(-0.01) and first["mean"] == pytest.approx(0.89)
    assert table["feasible"].tolist() == [True, False, False]
    assert table["on_front"].tolist() == [True, True, False]
    assert table["seeds"].tolist() == [2, 1, 0]


def test_a_packed_candidate_comes_back():
    candidate = Candidate(parse_arm("vog:linear:dataset"), 35, 4, {"epsilon": 0.2})
    assert trials.unpack(trials.pack(candidate)) == candidate
