"""Verdicts on trials, from cases worked out by hand."""

import math

import pytest

from influence.sampling.arms import parse_arm
from influence.searching import trials
from influence.searching.space import Candidate
from influence.searching.trials import Trial, front, is_hopeless, next_percent, noise, recommend

BESIDE = ((0, 40, 0.0), (1, 35, -0.05), (2, 70, -0.05))


def trial(number, arm, percent, *differences, state="complete", min_per_class=1):
    candidate = Candidate(parse_arm(arm), percent, min_per_class, {})
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


def test_the_most_efficient_trial_loses_least_per_percent():
    known = [
        trial(0, "random", 50, -0.01),
        trial(1, "vog:easy", 20, -0.006),
        trial(2, "el2n:easy", 80, -0.014),
        trial(3, "pvi:easy", 90, -0.05),
    ]
    assert recommend(known, 0.02, "efficiency") is known[2]
    assert recommend(known, 0.01, "efficiency") is known[0]


def test_what_few_percent_gained_by_luck_is_not_efficient():
    # The spread of 0.02 is that of both: 0.0001 - 0.02 / sqrt(2) / 5 is below 0 - 0.014 / 80.
    lucky = trial(0, "vog:easy", 5, 0.0205, -0.0195)
    steady = trial(1, "random", 80, 0.0141, -0.0141)
    assert lucky.difference / lucky.percent > steady.difference / steady.percent
    assert recommend([lucky, steady], 0.02, "efficiency") is steady


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


def test_what_cannot_become_more_efficient_is_hopeless():
    known = [trial(0, "random", 50, 0.0)]
    arguments = (known, "efficiency", 0.1, 0.01)  # the best gains -0.01 / 50 at its cautious end
    assert is_hopeless(10, [-0.0221], *arguments)
    assert not is_hopeless(10, [-0.0219], *arguments)
    assert is_hopeless(90, [-0.0381], *arguments)
    assert not is_hopeless(90, [-0.0379], *arguments)


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
    held, other = trial(0, "vog:easy", 40, 0.0), trial(1, "vog:easy", 60, -0.5, min_per_class=4)
    assert next_percent(held, [held, other], "prune", 0.01, 95) == 70


def test_a_frontier_is_filled_between_its_members():
    known = [trial(0, "vog:easy", 40, 0.0), trial(1, "random", 80, -0.3)]
    assert next_percent(known[0], known, "frontier", 0.0, 95) == 60
    assert next_percent(known[1], known, "frontier", 0.0, 95) == 90
    beaten = trial(2, "el2n:easy", 30, -0.1)
    assert next_percent(beaten, [*known, beaten], "frontier", 0.0, 95) is None


def test_efficiency_is_looked_for_in_the_wider_gap_beside_the_best():
    best, low, high = (trial(n, "vog:easy", p, d) for n, p, d in BESIDE)
    assert next_percent(best, [best], "efficiency", 0.1, 95) == 70
    assert next_percent(high, [best, high], "efficiency", 0.1, 95) == 20
    assert next_percent(low, [best, low, high], "efficiency", 0.1, 95) == 55
    near = trial(3, "vog:easy", 45, -0.05)
    assert next_percent(near, [best, low, near], "efficiency", 0.1, 95) is None
    other = trial(4, "random", 60, 0.5)
    assert next_percent(best, [best, other], "efficiency", 0.1, 95) is None


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
