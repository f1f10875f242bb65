"""The verdict says what is clearly better, worse or undecided, and never more."""

import numpy as np
import pandas as pd
import pytest

from influence.conclusions import by_class, equal_steps, untrained, verdict, warnings
from influence.evaluation import AT_EQUAL_STEPS

SEEDS = (0, 1, 2, 3, 4)
NOISE = np.array([0.0, 0.002, -0.002, 0.001, -0.001])


def points(percents=(30, 50), full=0.9, seeds=SEEDS, **arms):
    """Random at `random`, each other arm at its own accuracy; a little noise of each seed's own."""
    rows = []
    for place, (arm, values) in enumerate(arms.items()):
        for percent, value in zip((0, *percents), (full, *values), strict=True):
            for number, seed in enumerate(seeds):
                shift = (1 if arm == "random" else 2 + place % 3) if percent else 0
                noise = NOISE[(number + shift) % 5]
                rows.append((arm.replace("__", ":"), percent, seed, value + noise))
    return pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", "test/accuracy"])


def test_what_is_better_is_named_with_its_gain():
    said = verdict(points(random=(0.85, 0.80), vog__easy=(0.85, 0.86), el2n__easy=(0.90, 0.80)))
    assert said.startswith(
        "vog:easy is clearly better than random pruning at 50 % pruned, by +6.0 ±"
    )
    assert "and so are 1 more of 4 comparisons" in said
    assert "random pruning loses already at 30 % (−5.0 ±" in said


def test_what_is_worse_is_named_from_where_on():
    said = verdict(points(random=(0.90, 0.85), vog__easy=(0.90, 0.70), el2n__easy=(0.80, 0.70)))
    assert "No arm is clearly better than random pruning (4 comparisons, 5 seeds)" in said
    assert "clearly worse are el2n:easy from 30 %, vog:easy from 50 %" in said
    assert "random pruning shows no clear loss up to 30 %" in said


def test_what_is_undecided_is_called_neither():
    table = points(random=(0.90, 0.90), vog__easy=(0.901, 0.899))
    said = verdict(table)
    assert said.startswith("No arm is clearly better than random pruning") and "worse" not in said
    assert "no clear loss up to 50 %" in said


def test_many_comparisons_need_more_than_one():
    # The 95 % interval of one comparison leaves out 0, that of 20 at once does not.
    one = points((50,), random=(0.9,), a__easy=(0.904,))
    many = points((50,), random=(0.9,), **{f"a{n}__easy": (0.904,) for n in range(20)})
    assert "a:easy is clearly better" in verdict(one)
    assert "No arm is clearly better" in verdict(many)


def test_a_loss_in_between_is_not_skipped():
    said = verdict(points((30, 50, 70), random=(0.9, 0.8, 0.9)))
    assert "no clear loss up to 30 %" in said


def test_one_seed_says_nothing_and_random_alone_is_no_comparison():
    assert "One seed" in verdict(points(random=(0.9, 0.8), vog__easy=(0.95, 0.95), seeds=(0,)))
    assert verdict(points(random=(0.9, 0.9))).startswith("Nothing but random pruning was tried;")


@pytest.fixture
def classes():
    table = points((50,), random=(0.9,), vog__easy=(0.7,))
    fallen = (table["arm"] == "vog:easy") & (table["percent_pruned"] > 0)
    noise = NOISE[table["seed"]]
    table["test/recall/rare"] = np.where(fallen, 0.2, 0.9) + noise * (table["percent_pruned"] > 0)
    table["test/recall/often"] = 0.9 + noise * (table["percent_pruned"] > 0)
    shares = {
        arm: pd.DataFrame(
            {
                "group": "class",
                "label": ["rare", "often"],
                "percent_pruned": 50.0,
                "kept_share": kept,
                "before": [41, 200],
            }
        )
        for arm, kept in (("random", [0.5, 0.5]), ("vog:easy", [0.1, 0.6]))
    }
    return by_class(table, shares)


def test_classes_have_what_stayed_of_them_and_their_recall(classes):
    rare = classes.set_index(["arm", "label"]).loc[("vog:easy", "rare")]
    assert (rare["kept_share"], rare["percent_pruned"]) == (0.1, 50)
    assert rare["recall_change"] == pytest.approx(-0.7) and rare["recall_before"] == 0.9
    assert rare["low"] < -0.7 < rare["high"] < 0 and rare["clear"]
    assert not classes[classes["arm"] == "random"]["clear"].any()


def test_a_class_that_pays_is_named(classes):
    (said,) = warnings(classes)
    assert said == (
        "vog:easy prunes 90 % of class 'rare' at 50 % pruned, and its recall falls from 90 to 20 %"
        "; floor=21 would keep its share"
    )


def test_without_recalls_there_is_no_table_and_no_warning():
    found = by_class(
        points(random=(0.9, 0.9)),
        {
            "random": pd.DataFrame(
                [("class", "a", 30.0, 0.7, 10)],
                columns=["group", "label", "percent_pruned", "kept_share", "before"],
            )
        },
    )
    assert not len(found) and warnings(found) == []


def with_equal_steps(*values) -> pd.DataFrame:
    table = points(random=(0.85, 0.80), steps=values)
    return table.assign(arm=table["arm"].replace("steps", AT_EQUAL_STEPS))


def test_what_random_gains_by_training_longer_is_said():
    (said,) = equal_steps(with_equal_steps(0.86, 0.87))
    assert "random pruning is +7.0 ±" in said and "points better at 50 % pruned" in said
    (said,) = equal_steps(with_equal_steps(0.85, 0.70))
    assert "random pruning is −10.0 ±" in said and "points worse at 50 % pruned" in said


def test_what_random_does_not_gain_by_training_longer_is_said_too():
    (said,) = equal_steps(with_equal_steps(0.85, 0.80))
    assert "neither better nor worse than at equal epochs" in said
    assert equal_steps(points(random=(0.85, 0.80))) == []


def test_random_at_equal_steps_is_no_arm_of_the_verdict():
    plain, more = points(random=(0.85, 0.80)), with_equal_steps(0.9, 0.9)
    assert verdict(more) == verdict(plain)


def test_groups_of_another_column_are_judged_like_classes():
    table = points((50,), random=(0.9,), vog__easy=(0.7,))
    fallen = (table["arm"] == "vog:easy") & (table["percent_pruned"] > 0)
    noise = NOISE[table["seed"]] * (table["percent_pruned"] > 0)
    table["test/group/source=web=1"] = np.where(fallen, 0.3, 0.9) + noise
    columns = ["group", "label", "percent_pruned", "kept_share", "before"]
    shares = pd.DataFrame([("source", "web=1", 50.0, 0.2, 60)], columns=columns)
    found = by_class(table, {"random": shares, "vog:easy": shares})
    assert set(found["group"]) == {"source"} and set(found["label"]) == {"web=1"}
    (said,) = warnings(found)
    assert said == (
        "vog:easy prunes 80 % of source 'web=1' at 50 % pruned, and its accuracy falls from 90 to "
        "30 %"
    )


def test_a_model_that_learned_nothing_is_told_apart_from_pruning_that_does_no_harm():
    table = points(random=(0.5, 0.5), full=0.501, vog__easy=(0.5, 0.5))
    (said,) = untrained(table, guessing=0.5)
    assert "not clearly better (50.1 ± 0.2 %) than always guessing" in said and "(50.0 %)" in said
    assert untrained(table, guessing=0.4) == []
    assert untrained(points(seeds=(0,), random=(0.5, 0.5), full=0.5), guessing=0.5) == []


def test_an_interval_that_tells_nothing_is_called_unclear():
    table = points(random=(0.85, 0.80))
    wide = table["test/accuracy"] + 0.2 * (table["seed"] - 2) * (table["percent_pruned"] > 0)
    said = verdict(table.assign(**{"test/accuracy": wide}))
    assert "what random pruning loses is unclear from 5 seeds at 50 %" in said


def test_a_clear_loss_after_an_unclear_one_is_named():
    table = points(random=(0.85, 0.60))
    wide = table["test/accuracy"] + 0.2 * (table["seed"] - 2) * (table["percent_pruned"] == 30)
    said = verdict(table.assign(**{"test/accuracy": wide}))
    assert "random pruning loses at 50 % (−30.0 ±" in said
