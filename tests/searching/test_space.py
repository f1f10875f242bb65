"""The space of a search follows from the registries, and what the paper recommends lies in it."""

import numpy as np
import pytest

from influence.config.steps import MainStep, SampleStep, SearchStep
from influence.errors import InputError
from influence.sampling import rules
from influence.sampling.arms import parse_arm
from influence.searching import space
from influence.searching.space import Candidate, answers, build, recommended, suggest
from influence.searching.step import open_scored
from tests.helpers import finished

SCORES = ("vog", "el2n", "el2n@1", "el2n@3", "forgetting", "tracin", "pvi", "aum", "aum@early")
COUNTS = (100, 100, 40)


class Fixed:
    """Answers with given values, else with the last choice or the lowest number; keeps the asks."""

    def __init__(self, **values):
        self.values, self.asked = values, {}

    def suggest_categorical(self, name, choices, /):
        self.asked[name] = tuple(choices)
        return self.values.get(name, choices[-1])

    def suggest_int(self, name, low, high, /, *, step=1):
        self.asked[name] = (low, high, step)
        return self.values.get(name, low)

    def suggest_float(self, name, low, high, /, *, log=False):
        self.asked[name] = (low, high, log)
        return self.values.get(name, low)


def everything(**changes):
    usual = {"scores": SCORES, "named": (), "lowest": 5, "highest": 95, "smallest": COUNTS}
    return build(*(usual | changes).values())


def test_every_rule_is_searched_with_all_its_parameters():
    for name, rule in rules.REGISTRY.items():
        asker = Fixed(rule=name)
        candidate = suggest(everything(), asker)
        assert candidate.arm.rule == name and set(candidate.parameters) == set(rule.parameters)
        assert set(asker.asked["rule"]) == set(rules.REGISTRY)


def test_the_baselines_are_asked_for_no_score():
    for name in ("random", "stratified", "drop"):
        asker = Fixed(rule=name)
        assert suggest(everything(), asker).arm == parse_arm(name)
        assert set(asker.asked) == {"rule", "percent_pruned"}


def test_a_score_with_several_windows_is_asked_for_its_window():
    asker = Fixed(rule="easy", score="el2n", el2n_window="el2n@3", normalize="class")
    assert str(suggest(everything(), asker).arm) == "el2n@3:easy:class"
    assert asker.asked["el2n_window"] == ("el2n", "el2n@1", "el2n@3")
    alone = Fixed(rule="easy", score="vog")
    suggest(everything(), alone)
    assert "vog_window" not in alone.asked


def test_no_percent_below_the_lowest_wanted_is_offered():
    asker = Fixed(rule="random")
    suggest(everything(), asker, 60)
    assert asker.asked["percent_pruned"] == (60, 95, 5)
    suggest(everything(), asker, 100)
    assert asker.asked["percent_pruned"] == (95, 95, 5)


def test_floors_that_the_highest_percent_cannot_keep_are_left_out():
    assert everything(highest=50).minimums == (1, 4, 16)
    assert everything(highest=95).minimums == (1, 4)  # 12 of 240 stay
    assert everything(smallest=(30, 30), highest=99).minimums == (1,)
    assert everything(smallest=(1,) * 40, highest=99).minimums == (0,)


def test_percents_lie_on_the_grid():
    found = everything(lowest=7, highest=93)
    assert (found.lowest, found.highest) == (10, 90)
    assert everything(lowest=0, highest=93).lowest == 5  # to prune nothing is no candidate
    with pytest.raises(InputError, match="no multiple of 5 % between lowest=0 and highest=4"):
        everything(lowest=0, highest=4)
    with pytest.raises(InputError, match="no multiple of 5 % between lowest=46 and highest=49"):
        everything(lowest=46, highest=49)


def test_rules_that_need_a_score_are_left_out_where_there_is_none():
    assert everything(scores=()).rules == ("random", "stratified", "clean", "drop", "dedup")
    with pytest.raises(InputError, match="easy need a score, and there is none"):
        everything(scores=(), named=("easy",))
    with pytest.raises(InputError, match="unknown rule 'soft'; there is adaptive, ccs"):
        everything(named=("soft",))


def made(directory, recall=None, vectors=False, names=("el2n",)):
    """Finished scores of ten examples that hold what is asked for."""
    labels = np.arange(10) % 2
    at = finished.labelled(directory, labels, ("a", "b"))
    if vectors:
        np.save(at / "representations.npy", np.eye(10, dtype=np.float16))
    return finished.scores(at, {name: np.arange(10.0) for name in names}, recall)


def test_rules_that_need_what_scores_lack_are_left_out_unless_they_are_named(tmp_path, capsys):
    usual = {"easy", "hard", "softmax", "linear", "random", "stratified", "ccs", "ccs_class"}
    holds = {
        "recall": ({"recall": (0.5, 0.5)}, {"drop"}),
        "vectors": ({"vectors": True}, {"d2", "dedup"}),
        "confidence": ({"names": ("el2n", "confidence")}, {"adaptive"}),
        "AUM": ({"names": ("el2n", "aum@early")}, {"clean", "ccs_clean"}),
        "nothing": ({}, set()),
    }
    for name, (given, more) in holds.items():
        scores = made(tmp_path / name, **given)
        assert set(open_scored(SearchStep(), scores).space.rules) == usual | more, name
    said = capsys.readouterr().err.splitlines()
    assert "search: left out clean, ccs_clean: the scores lack the score 'aum@early'" in said
    assert sum(line.startswith("search: left out drop: ") for line in said) == len(holds) - 1
    for rule in ("drop", "d2", "dedup", "adaptive", "clean", "ccs_clean"):
        with pytest.raises(InputError, match=f"rule '{rule}' needs the .* does not hold; score ag"):
            open_scored(SearchStep(rules=rule), scores)


def test_recommended_candidates_are_answers_that_give_their_arms_coverage_of_aum_first():
    found = [suggest(everything(), Fixed(**answered)) for answered in recommended(everything())]
    said = [str(candidate) for candidate in found]
    assert said[:3] == [f"aum:ccs_clean {percent} %" for percent in (50, 70, 30)]
    assert "clean 15 %" in said and "random 50 %" in said
    assert len(said) == len(set(said)) == len(space.RECOMMENDED)


def test_what_loses_to_random_is_tried_by_the_sampler_alone():
    """docs/results.md: these fall behind random, and `hard` empties classes."""
    arms = {parse_arm(arm) for arm, _ in space.RECOMMENDED}
    losing = ("el2n:easy", "tracin:easy", "pvi:easy", "el2n:hard", "tracin:hard", "pvi:hard")
    losing += ("vog:easy:class", "vog:hard:class", "forgetting:easy")
    assert not arms & {parse_arm(arm) for arm in losing}
    defaults = {parse_arm(arm) for arm in (*MainStep.arms.split(","), SampleStep.arm)}
    assert parse_arm("aum:ccs_clean") in defaults
    assert defaults <= arms


def test_only_what_the_space_allows_is_recommended():
    narrow = everything(scores=("el2n",), named=("easy", "random"), lowest=30)
    said = [str(suggest(narrow, Fixed(**answered))) for answered in recommended(narrow)]
    assert said == ["random 30 %", "random 50 %"]


@pytest.mark.parametrize("arm", ["vog:easy:class", "el2n@1:linear", "pvi:ccs:dataset", "drop"])
def test_answers_lead_back_to_their_candidate(arm):
    parsed = parse_arm(arm)
    candidate = Candidate(parsed, 45, 1, rules.REGISTRY[parsed.rule].parameters)
    assert suggest(everything(), Fixed(**answers(candidate))) == candidate


def test_another_space_is_described_otherwise():
    described = [
        str(everything(**changes).described())
        for changes in ({}, {"scores": ("vog",)}, {"named": ("easy",)}, {"highest": 90})
    ]
    assert len(set(described)) == 4
