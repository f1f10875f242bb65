"""A recommendation says what the test says and no more; its cost is counted by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from influence.config.steps import SearchStep
from influence.data.storage import open_saved
from influence.runtime import store
from influence.sampling.arms import parse_arm
from influence.searching import result
from influence.searching.recommendation import FULL, flat, recommendation, verdict
from influence.searching.result import Recommendation
from influence.searching.space import Candidate
from influence.searching.trials import Trial
from tests.helpers import finished

CONFIG = SearchStep(tolerance=0.01, seeds=2, test_seeds=3)


def share(percent):
    return 1 - percent / 100


def subset(candidate, number):
    """Say that a score keeps the same examples by all of its rules."""
    return candidate.arm.scores, candidate.percent, number


def trial(number, arm, percent, *differences, state="complete"):
    candidate = Candidate(parse_arm(arm), percent, 1, {})
    return Trial(number, state, candidate, tuple(differences), tuple(differences), 0, 1)


def points(**arms):
    rows = [
        {"arm": arm, "seed": 1000 + n, "kept": kept, "percent_pruned": p, "test/accuracy": value}
        for arm, (p, kept, values) in arms.items()
        for n, value in enumerate(values)
    ]
    return pd.DataFrame(rows)


def recommended(full, random, pruned, arm="vog:easy"):
    ended = [trial(0, arm, 50, 0.0, 0.0)]
    rows = {FULL: (0, 100, full), "random": (50, 50, random), arm: (50, 50, pruned)}
    return recommendation(CONFIG, share, ended, subset, points(**rows))


ALIKE = (0.90, 0.91, 0.92)


def shifted(values, by, spread=0.0005):
    return tuple(value + by + spread * (n - 1) for n, value in enumerate(values))


@pytest.mark.parametrize(
    ("random", "pruned", "said"),
    [
        (shifted(ALIKE, -0.1, 0.0), shifted(ALIKE, 0), "within the tolerance; +10.0"),
        (shifted(ALIKE, -0.1, 0.0), shifted(ALIKE, 0), "better than random pruning."),
        (shifted(ALIKE, 0.1, 0.0), shifted(ALIKE, 0), "worse than random pruning."),
        (ALIKE, shifted(ALIKE, 0), "indistinguishable from random pruning."),
        (ALIKE, shifted(ALIKE, -0.2), "−20.0 ± 0.1 points of accuracy against the full"),
        (ALIKE, shifted(ALIKE, -0.2), "beyond the tolerance after all"),
        (ALIKE, shifted(ALIKE, -0.005, 0.05), "leaves open whether it is within 1"),
    ],
)
def test_the_verdict_claims_no_more_than_the_interval_allows(random, pruned, said):
    assert said in recommended(ALIKE, random, pruned).verdict


def test_one_seed_decides_nothing():
    found = recommended(ALIKE[:1], (0.1,), (0.9,)).verdict
    assert "leaves open" in found and "indistinguishable" in found and "±" not in found


def test_random_is_not_compared_with_itself():
    ended = [trial(0, "random", 50, 0.0, 0.0)]
    rows = points(**{FULL: (0, 100, ALIKE), "random": (50, 50, ALIKE)})
    found = recommendation(CONFIG, share, ended, subset, rows)
    assert found.verdict.endswith("no score did better than pruning at random.")
    assert "random" in found.test and "recommended_minus_random" not in found.test


def test_where_nothing_holds_everything_is_kept():
    ended = [trial(0, "vog:easy", 50, -0.5, -0.5)]
    found = recommendation(CONFIG, share, ended, subset, points(**{FULL: (0, 100, ALIKE)}))
    assert found.verdict.startswith("Keep everything: no candidate stayed within 1 point of")
    assert (found.trial, found.percent_pruned, found.kept) == (None, 0, 100)
    assert found.cost["break_even"] == math.inf
    assert "random" not in found.test


def test_the_cost_counts_steps_in_trainings_on_everything():
    # Full: 2 seeds to choose and 3 to report; 50 % twice in the trial, 3 + 3 times in the test.
    cost = recommended(ALIKE, ALIKE, ALIKE).cost
    assert cost["retrainings"] == 2 + 2 + 9
    assert cost["full_trainings"] == pytest.approx(5 + 0.5 * 8)
    assert cost["break_even"] == pytest.approx(9 / 0.5)


def test_with_equal_steps_nothing_is_saved():
    rows = {FULL: (0, 100, ALIKE), "random": (50, 50, ALIKE), "vog:easy": (50, 50, ALIKE)}
    ended = [trial(0, "vog:easy", 50, 0.0, 0.0)]
    cost = recommendation(CONFIG, lambda percent: 1.0, ended, subset, points(**rows)).cost
    assert cost["break_even"] == math.inf and cost["full_trainings"] == cost["retrainings"]


def test_a_candidate_tried_twice_is_retrained_once():
    ended = [trial(0, "vog:easy", 50, 0.0, 0.0), trial(1, "vog:easy", 50, 0.0, state="pruned")]
    rows = {FULL: (0, 100, ALIKE), "random": (50, 50, ALIKE), "vog:easy": (50, 50, ALIKE)}
    cost = recommendation(CONFIG, share, ended, subset, points(**rows)).cost
    assert cost["retrainings"] == 2 + 2 + 9


def test_two_candidates_that_keep_the_same_examples_are_retrained_once():
    ended = [trial(0, "vog:easy", 50, 0.0, 0.0), trial(1, "vog:hard", 50, 0.0, 0.0)]
    ended.append(trial(2, "el2n:hard", 50, 0.0, state="pruned"))
    rows = {FULL: (0, 100, ALIKE), "random": (50, 50, ALIKE), "vog:easy": (50, 50, ALIKE)}
    cost = recommendation(CONFIG, share, ended, subset, points(**rows)).cost
    assert cost["retrainings"] == 2 + 2 + 1 + 9


def test_differences_are_paired_by_seed():
    found = recommended((0.8, 0.9, 1.0), (0.7, 0.8, 0.9), (0.79, 0.89, 0.99)).test
    assert found["recommended_minus_full"]["mean"] == pytest.approx(-0.01)
    assert found["recommended_minus_random"]["mean"] == pytest.approx(0.09)
    # Seeds that agree by chance are no evidence that all do.
    assert all(np.isnan(found["recommended_minus_full"][end]) for end in ("low", "high"))


def test_differences_share_what_they_vary_by_and_the_error_of_the_test_split():
    full, random, pruned = (0.90, 0.91, 0.92), (0.80, 0.83, 0.80), (0.89, 0.90, 0.912)
    seeds = recommended(full, random, pruned).test["recommended_minus_full"]
    student = np.subtract(pruned, full)
    alone = 4.303 * student.std(ddof=1) / np.sqrt(3)
    assert (seeds["high"] - seeds["low"]) / 2 > 2 * alone  # random's differences vary more
    draw = np.random.default_rng(0)
    correct = np.stack([draw.random(200) < value for value in (*full, *random, *pruned)])
    ended = [trial(0, "vog:easy", 50, 0.0, 0.0)]
    rows = {FULL: (0, 100, full), "random": (50, 50, random), "vog:easy": (50, 50, pruned)}
    found = recommendation(CONFIG, share, ended, subset, points(**rows), correct).test
    wide = found["recommended_minus_full"]
    assert wide["mean"] == seeds["mean"]
    assert wide["high"] - wide["low"] > 1.2 * (seeds["high"] - seeds["low"])


def test_every_number_has_a_name_as_a_metric():
    named = flat(recommended(ALIKE, ALIKE, ALIKE))
    assert named["search/percent_pruned"] == 50
    assert {"test/full", "test/random_low", "test/recommended_minus_random_high"} <= set(named)


@pytest.mark.parametrize("arm", ["vog:easy", "random"])
def test_where_nothing_is_pruned_nothing_differs(arm):
    ended = [trial(0, arm, 0, 0.0, 0.0)]
    rows = {FULL: (0, 100, ALIKE), "random": (0, 100, ALIKE), arm: (0, 100, ALIKE)}
    found = recommendation(CONFIG, share, ended, subset, points(**rows))
    assert found.test["recommended_minus_full"] == {"mean": 0.0, "low": 0.0, "high": 0.0}
    assert "+0.0 ± 0.0 points" in found.verdict


def test_a_verdict_is_one_sentence():
    assert verdict(recommended(ALIKE, ALIKE, ALIKE)).count(". ") == 0


def test_sigma_is_the_relative_change_of_the_error_per_share_pruned():
    ended = [trial(0, "vog:easy", 50, 0.0, 0.0)]
    values = {FULL: (0.8, 1.0), "random": (0.8, 0.9), "vog:easy": (0.8, 0.98)}
    rows = {arm: (0 if arm == FULL else 50, 50, those) for arm, those in values.items()}
    found = recommendation(CONFIG, share, ended, subset, points(**rows))
    assert found.sigma == pytest.approx(0.1 / 0.5)  # the error rises from 0.10 to 0.11


def test_what_was_written_is_what_a_notebook_shows(tmp_path):
    at = finished.labelled(tmp_path / "scores", np.array([0, 1, 0]), ("a", "b"))
    scores = finished.scores(at, {"vog": np.arange(3.0)})
    pruned = shifted(ALIKE, -0.01)
    outcome, directory = recommended(ALIKE, ALIKE, pruned), tmp_path / "search"
    tables = {result.TRIALS: pd.DataFrame({"number": [0]}), result.POINTS: pd.DataFrame({"x": [1]})}
    result.write_subset(scores, np.array([0, 2]), directory)
    also = {"study": "one", "command": "train"}
    facts = result.write(outcome, also, tables, scores, directory)
    store.finish(directory, "search", {"fingerprint": "search", **facts})
    read = Recommendation(directory)
    assert read.outcome == outcome and (read.study, read.command) == ("one", "train")
    assert open_saved(read.subset).count("train") == 2 and read.trials["number"].tolist() == [0]
    shown = read._repr_html_()
    assert outcome.verdict in shown and shown.count("<tr>") == len(outcome.test)
    assert "50 % by vog:easy" in repr(read)
