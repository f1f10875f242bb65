"""The verdict says what is clearly better, worse or undecided, and never more."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from influence.evaluation import verdict as verdicts
from influence.evaluation.by_class import by_class, warnings
from influence.evaluation.intervals import Retrainings
from influence.evaluation.verdict import compare, decided, untrained
from influence.sampling.arms import AT_EQUAL_STEPS

SEEDS = (0, 1, 2, 3, 4)
NOISE = np.array([0.0, 0.002, -0.002, 0.001, -0.001])


def verdict(table: pd.DataFrame) -> str:
    return verdicts.verdict(Retrainings(table))


def equal_steps(table: pd.DataFrame) -> list[str]:
    return verdicts.equal_steps(Retrainings(table))


def points(percents=(30, 50), full=0.9, seeds=SEEDS, **arms):
    """Random at `random`, each other arm at its own accuracy; a little noise of each seed's own."""
    rows = []
    for place, (arm, values) in enumerate(arms.items()):
        for percent, value in zip((0, *percents), (full, *values), strict=True):
            for number, seed in enumerate(seeds):
                shift = (1 if arm == "random" else 2 + place % 3) if percent else 0
                noise = NOISE[(number + shift) % 5]
                rows.append((arm.replace("__", ":"), percent, seed, value + noise))
    table = pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", "test/accuracy"])
    return table.assign(steps=100 - table["percent_pruned"])


def test_what_is_better_is_named_with_its_gain():
    said = verdict(points(random=(0.85, 0.80), vog__easy=(0.85, 0.86), el2n__easy=(0.90, 0.80)))
    assert said.startswith(
        "vog:easy is clearly better than random pruning at 50 % pruned, by +6.0 ±"
    )
    assert "(2 of 4 comparisons are clearly better)" in said
    assert "random pruning already loses accuracy at 30 % (−5.0 ±" in said


def test_a_winner_that_loses_elsewhere_is_not_praised_alone():
    said = verdict(points(random=(0.85, 0.80), vog__easy=(0.89, 0.50), el2n__easy=(0.84, 0.79)))
    assert said.startswith("vog:easy is clearly better than random pruning at 30 % pruned, by +4.0")
    assert "; clearly worse: el2n:easy from 30 %, vog:easy from 50 %;" in said


def test_what_a_winner_does_to_the_full_train_set_is_said():
    said = verdict(points(random=(0.85, 0.70), aum__clean=(0.93, 0.85)))
    assert "at 50 % pruned, by +15.0 ±" in said
    assert "; aum:clean gains accuracy at 30 % (+3.0 ±" in said
    assert said.endswith("against the full train set).") and "random pruning already loses" in said
    kept = verdict(points(random=(0.85, 0.80), vog__easy=(0.90, 0.85)))
    assert "; vog:easy shows no clear loss up to 30 % (" in kept


def test_what_is_worse_is_named_from_where_on():
    said = verdict(points(random=(0.90, 0.85), vog__easy=(0.90, 0.70), el2n__easy=(0.80, 0.70)))
    assert "No arm is clearly better than random pruning (4 comparisons, 5 seeds)" in said
    assert "clearly worse: el2n:easy from 30 %, vog:easy from 50 %" in said
    assert "random pruning shows no clear loss up to 30 %" in said


def test_what_is_undecided_is_called_neither():
    table = points(random=(0.90, 0.90), vog__easy=(0.901, 0.899))
    said = verdict(table)
    assert said.startswith("No arm is clearly better than random pruning") and "worse" not in said
    assert "no clear loss up to 50 %" in said


def test_many_comparisons_need_more_than_one():
    # A gain that one comparison shows may be chance where it is the largest of 20.
    one = points((50,), random=(0.9,), a0__easy=(0.903,))
    others = {f"a{n}__easy": (0.9,) for n in range(1, 20)}
    many = points((50,), random=(0.9,), a0__easy=(0.903,), **others)
    assert "a0:easy is clearly better" in verdict(one)
    assert "No arm is clearly better" in verdict(many)


def test_a_loss_in_between_is_not_skipped():
    said = verdict(points((30, 50, 70), random=(0.9, 0.8, 0.9)))
    assert "no clear loss up to 30 %" in said


def test_one_seed_says_nothing_and_random_alone_is_no_comparison():
    assert "One seed" in verdict(points(random=(0.9, 0.8), vog__easy=(0.95, 0.95), seeds=(0,)))
    assert verdict(points(random=(0.9, 0.9))).startswith("Only random pruning was tried;")


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
    return by_class(Retrainings(table), shares)


def test_classes_have_what_stayed_of_them_and_their_recall(classes):
    rare = classes.set_index(["arm", "label"]).loc[("vog:easy", "rare")]
    assert (rare["kept_share"], rare["percent_pruned"]) == (0.1, 50)
    assert rare["recall_change"] == pytest.approx(-0.7) and rare["recall_before"] == 0.9
    assert rare["low"] < -0.7 < rare["high"] < 0 and rare["clear"]
    assert not classes[classes["arm"] == "random"]["clear"].any()


def test_a_class_that_pays_is_named(classes):
    (said,) = warnings(classes)
    assert said == (
        "At 50 % pruned, vog:easy prunes 90 % of class 'rare', whose recall falls from 90 to 20 %"
        "; min_per_class=21 would keep its share"
    )


def test_without_recalls_there_is_no_table_and_no_warning():
    found = by_class(
        Retrainings(points(random=(0.9, 0.9))),
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
    assert "neither better nor worse (" in said
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
    found = by_class(Retrainings(table), {"random": shares, "vog:easy": shares})
    assert set(found["group"]) == {"source"} and set(found["label"]) == {"web=1"}
    (said,) = warnings(found)
    assert said == (
        "At 50 % pruned, vog:easy prunes 80 % of source 'web=1', whose accuracy falls from 90 to "
        "30 %"
    )


def test_a_column_may_be_called_like_a_column_and_its_value():
    table = points((50,), random=(0.9,))
    columns = ["group", "label", "percent_pruned", "kept_share", "before"]
    rows = [("city=Rome", "yes", 0.4), ("city", "Rome", 0.5), ("city", "Rome=no", 0.6)]
    shares = pd.DataFrame([(*row[:2], 50.0, row[2], 60) for row in rows], columns=columns)
    for group, label, _ in rows:
        table[f"test/group/{group}={label}"] = 0.9
    found = by_class(Retrainings(table), {"random": shares})
    assert list(zip(found["group"], found["label"], found["kept_share"], strict=True)) == rows


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
    assert "5 seeds are too few to measure what random pruning loses at 50 %" in said


def test_a_clear_loss_after_an_unclear_one_is_named():
    table = points(random=(0.85, 0.60))
    wide = table["test/accuracy"] + 0.2 * (table["seed"] - 2) * (table["percent_pruned"] == 30)
    said = verdict(table.assign(**{"test/accuracy": wide}))
    assert "random pruning loses accuracy at 50 % (−30.0 ±" in said


# Whatever the points


ARMS = ("random", "a:easy", "b:hard", AT_EQUAL_STEPS)
VALUES = st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.5, 0.9, 0.1]))


@st.composite
def curves(draw) -> pd.DataFrame:
    """Points as the steps leave them: every arm under the same seeds at 0 % and other fractions."""
    seeds = range(draw(st.integers(1, 4)))
    percents = draw(st.lists(st.sampled_from([0.5, 30.0, 50.0, 99.0]), unique=True, max_size=3))
    arms = ["random", *draw(st.lists(st.sampled_from(ARMS[1:]), unique=True))]
    rows = []
    for seed in seeds:
        full = [draw(VALUES) for _ in range(3)]
        rows += [(arm, 0.0, seed, *full) for arm in arms]
    rows += [
        (arm, percent, seed, draw(VALUES), draw(VALUES), draw(VALUES))
        for arm in arms
        for percent in percents
        for seed in seeds
    ]
    metrics = ["test/accuracy", "test/recall/x", "test/group/source=a=b"]
    return pd.DataFrame(rows, columns=["arm", "percent_pruned", "seed", *metrics]).assign(steps=90)


SLOW = settings(max_examples=settings().max_examples // 3)  # some milliseconds per table


@SLOW
@given(curves(), st.floats(0, 1))
def test_any_comparison_says_only_what_its_table_shows(points, guessing):
    shares = pd.DataFrame(
        [("class", "x", percent, 0.1, 40) for percent in (0.5, 30.0, 50.0, 99.0)],
        columns=["group", "label", "percent_pruned", "kept_share", "before"],
    )
    found = compare(Retrainings(points), dict.fromkeys(ARMS, shares), guessing)
    assert all("nan" not in sentence and sentence for sentence in found.said + found.notes)
    said = found.said[0].partition("had not converged: ")[2] or found.said[0]
    if points["seed"].nunique() < 2:
        assert said.lower().startswith("one seed")
        return
    chosen = points[points["arm"] != AT_EQUAL_STEPS]
    tried = Retrainings(chosen).to_random.table
    pairs = chosen[(chosen["arm"] != "random") & (chosen["percent_pruned"] > 0)]
    assert len(tried) == len(pairs.groupby(["arm", "percent_pruned"]))
    clear = tried[tried["clear"]]
    better, worse = clear[clear["difference"] > 0], clear[clear["difference"] < 0]
    if not len(tried):
        assert said.lower().startswith("only random pruning was tried")
    elif len(better):
        arm, percent = re.match(r"(\S+) is clearly better .*? at (\S+) %", said).groups()
        (own,) = better[(better["arm"] == arm) & (better["percent_pruned"] == float(percent))].index
        assert better.loc[own, "difference"] == better["difference"].max()
    else:
        assert said.lower().startswith("no arm is clearly better")
    named = {arm for arm in ("a:easy", "b:hard") if f"{arm} from" in said}
    assert named == set(worse["arm"])


@SLOW
@given(curves())
def test_the_table_of_classes_is_that_of_a_loop(points):
    shares = pd.DataFrame(
        [("class", "x", 30.0, 0.25, 40)],
        columns=["group", "label", "percent_pruned", "kept_share", "before"],
    )
    found = by_class(Retrainings(points), dict.fromkeys(ARMS, shares))
    pruned = points[points["percent_pruned"] > 0]
    assert len(found) == 2 * len(pruned.groupby(["arm", "percent_pruned"]))
    for _, row in found.iterrows():
        name = "test/recall/x" if row["group"] == "class" else "test/group/source=a=b"
        own = points[points["arm"] == row["arm"]].set_index("seed")
        before = own[own["percent_pruned"] == 0][name]
        after = own[own["percent_pruned"] == row["percent_pruned"]][name]
        assert (row["group"], row["label"]) in (("class", "x"), ("source", "a=b"))
        assert row["recall_before"] == pytest.approx(before.mean())
        assert row["recall_change"] == pytest.approx((after - before).mean(), abs=1e-12)
        known = row["group"] == "class" and row["percent_pruned"] == 30
        assert row["kept_share"] == 0.25 if known else np.isnan(row["kept_share"])


def test_what_is_clear_or_cannot_matter_is_decided():
    gain = points((50,), random=(0.80,), a__easy=(0.86,))
    nothing = points((50,), random=(0.80,), a__easy=(0.80,))
    open_still = points((50,), random=(0.80,), a__easy=(0.807,))
    open_still["test/accuracy"] += (
        np.where(open_still["arm"] == "random", 0, 1) * 8 * NOISE[open_still["seed"]]
    )
    assert decided(Retrainings(gain)) and decided(Retrainings(nothing))
    assert not decided(Retrainings(open_still))
    assert not decided(Retrainings(points((50,), random=(0.8,), a__easy=(0.86,), seeds=(0,))))


def test_each_look_allows_for_the_false_claims_of_all():
    table = points((50,), random=(0.80,), a__easy=(0.803,))
    one, three = (Retrainings(table, looks=looks).to_random.table["p"] for looks in (1, 3))
    assert three.tolist() == pytest.approx((3 * one).tolist())
    assert decided(Retrainings(table)) and not decided(Retrainings(table, looks=3))


def test_what_these_seeds_could_have_shown_is_said_with_what_half_of_it_takes():
    table = points((50,), random=(0.80,), a__easy=(0.80,), b__easy=(0.80,), seeds=(0, 1, 2))
    (said,) = verdicts.power(Retrainings(table))
    shown, needed = re.search(r"to (\S+) \(b:easy .* seeds=(\d+)\.", said).groups()
    # A gain of that size is then found clear, half of it is not.
    size = float(shown) / 100
    clear = points((50,), random=(0.80,), a__easy=(0.80,), b__easy=(0.80 + size,), seeds=(0, 1, 2))
    assert Retrainings(clear).to_random.table["clear"].tolist() == [False, True]
    half = points((50,), random=(0.8,), a__easy=(0.8,), b__easy=(0.8 + size / 2,), seeds=(0, 1, 2))
    assert not Retrainings(half).to_random.table["clear"].any()
    assert 3 < int(needed) <= 15


def test_what_could_have_been_shown_is_said_of_the_narrowest_and_the_widest_interval():
    table = points((50, 90), random=(0.80, 0.6), a__easy=(0.80, 0.6), seeds=(0, 1, 2, 3))
    wide = (table["arm"] != "random") & (table["percent_pruned"] == 90)
    table.loc[wide, "test/accuracy"] += np.array([-0.05, 0.05, -0.05, 0.05])
    compared = Retrainings(table).to_random
    narrow, last = (100 * compared.detectable(4, place) for place in compared.by_width)
    (said,) = verdicts.power(Retrainings(table))
    assert f"of {narrow:.1f} points (a:easy at 50 % pruned) to {last:.1f} (a:easy at 90 %);" in said
    assert narrow < last / 2
    half = int(re.search(r"takes seeds=(\d+)", said)[1])
    shown = [compared.detectable(count, compared.by_width[1]) for count in (half - 1, half)]
    assert shown[1] <= last / 200 < shown[0]


def test_few_test_examples_limit_what_seeds_can_show():
    table = points((50,), random=(0.5,), a__easy=(0.5,))
    generator = np.random.default_rng(0)
    right = {"random": generator.random(40) < 0.5, "a:easy": generator.random(40) < 0.5}
    correct = np.stack([right[arm] for arm in table["arm"]])  # whatever the seed
    (said,) = verdicts.power(Retrainings(table, correct=correct))
    assert "half of that takes more test examples" in said
    plain, known = (Retrainings(table, correct=c).to_random.table for c in (None, correct))
    assert (known["high"] - known["low"]).item() > 5 * (plain["high"] - plain["low"]).item()


def test_what_is_behind_a_verdict_is_said_with_what_random_loses():
    table = points((30, 50, 70), random=(0.9, 0.8, 0.7))
    said, curve = verdicts.background(Retrainings(table), verdicts.Flaws(0.031, 0.08))
    assert said == (
        "About 3.1 % of the train labels look wrong and 8.0 % of the train texts repeat another."
    )
    assert re.fullmatch(
        "Random pruning changes accuracy by .0.0 ± 0.3 points at 30 %, −10.0 ± 0.3 points at 50 % "
        "and −20.0 ± 0.4 points at 70 % pruned.",
        curve,
    )
    (alone,) = verdicts.background(
        Retrainings(table[table["percent_pruned"] == 0]), verdicts.Flaws(0.0, 0.0)
    )
    assert alone.endswith("repeat another.")
    more, _ = verdicts.background(Retrainings(table), verdicts.Flaws(0.0, 0.08, 0.2))
    assert "8.0 % of the train texts repeat another (20.0 % with those that differ in one" in more


def test_labels_that_nobody_judged_are_not_called_clean():
    table = points((50,), random=(0.8,), aum__ccs_clean=(0.8,))
    said, _ = verdicts.background(Retrainings(table), verdicts.Flaws(None, 0.08))
    assert said == "8.0 % of the train texts repeat another."


def reason(table: pd.DataFrame, suspected: float) -> list[str]:
    return verdicts.background(Retrainings(table), verdicts.Flaws(suspected, 0.0))[2:]


def test_where_many_labels_look_wrong_and_no_arm_prunes_those_first_it_is_said():
    table = points((50,), random=(0.8,), aum__ccs=(0.8,))
    (advice,) = reason(table, 0.05)
    assert advice == "No arm here prunes what looks mislabeled first; aum:ccs_clean and clean do."
    for arm in ("clean", "aum:ccs_clean", "el2n:ccs_clean:class"):
        cleaned = table.assign(arm=table["arm"].replace("aum:ccs", arm))
        assert reason(cleaned, 0.2) == []
    assert reason(table, 0.51) == [
        "A model to which so many labels look wrong has not learned them, or cannot tell which are "
        "wrong: clean and ccs_clean then keep random examples."
    ]


def test_the_reason_for_a_verdict_is_in_the_labels_where_they_tell_it():
    lead = points((50,), random=(0.8,), aum__ccs_clean=(0.9,), clean=(0.9,))
    (wrong,) = reason(lead, 0.07)
    assert "wrong labels cost accuracy, and aum:ccs_clean and clean prune them first" in wrong
    none = points((50,), random=(0.8,), aum__ccs_clean=(0.8,))
    (clean,) = reason(none, 0.01)
    assert "how many examples stay matters more than which: pruning at random" in clean
    # No advice that the measurements speak against, and none without intervals.
    assert reason(lead, 0.01) == []
    assert reason(points((50,), random=(0.8,), aum__ccs_clean=(0.8,), seeds=(0,)), 0.01) == []
