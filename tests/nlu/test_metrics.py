from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from influence.nlu import metrics
from influence.nlu.metrics import Parses

RATES = ["dcer", "icer", "semer", "f_semer", "irer", "unrecoverable", "defect"]
MILK, BREAD, NOON = ("Item", "milk"), ("Item", "bread"), ("Time", "noon")
Slots = tuple[tuple[str, str], ...]


def parses(*utterances: tuple[str, str, Slots], confidence: float = 1.0) -> Parses:
    domains, intents, slots = zip(*utterances, strict=True)
    confidences = np.full(len(utterances), confidence)
    return Parses(np.array(domains), np.array(intents), slots, confidences)


def one(gold: Slots, predicted: Slots, domain: str = "Shop", intent: str = "Add") -> dict:
    """The outcome of one utterance of Shop, Add with these slots."""
    rows = metrics.outcomes(parses(("Shop", "Add", gold)), parses((domain, intent, predicted)), 0.5)
    return rows.iloc[0].to_dict()


def slot_errors(gold: Slots, predicted: Slots) -> tuple[int, int]:
    found = one(gold, predicted)
    assert found["any_error"] == (found["missed_slots"] + found["spurious_slots"] > 0)
    return found["missed_slots"], found["spurious_slots"]


def made_up(utterances: int, seed: int, share: float = 0.3) -> pd.DataFrame:
    """Outcomes at random, consistent in themselves."""
    rng = np.random.default_rng(seed)
    domain = rng.random(utterances) < share / 3
    intent = domain | (rng.random(utterances) < share / 2)
    gold, predicted = rng.integers(0, 4, (2, utterances))
    shared = np.where(domain, 0, (np.minimum(gold, predicted) * rng.random(utterances)).round())
    missed, spurious = gold - shared.astype(int), predicted - shared.astype(int)
    wrong = intent | (missed + spurious > 0)
    unsure = rng.random(utterances) < share / 3
    columns = [domain, intent, gold, predicted, missed, spurious, wrong, unsure, wrong | unsure]
    return pd.DataFrame(dict(zip(metrics.SUMMED, columns, strict=True)))


def frames(utterances: int, seeds: int, share: float, start: int = 0) -> list[pd.DataFrame]:
    return [made_up(utterances, start + seed, share) for seed in range(seeds)]


def repeated(rows: dict, utterances: int) -> pd.DataFrame:
    return pd.DataFrame([rows] * utterances)


# Outcomes


def test_a_perfect_stack_has_no_error_anywhere():
    gold = parses(("Shop", "Add", (MILK, BREAD)), ("Shop", "Clear", ()), ("Clock", "Set", (NOON,)))
    rows = metrics.outcomes(gold, gold, 0.5)
    assert list(rows) == list(metrics.SUMMED)
    assert rows["gold_slots"].tolist() == rows["predicted_slots"].tolist() == [2, 0, 1]
    assert rows.drop(columns=["gold_slots", "predicted_slots"]).to_numpy().sum() == 0
    assert metrics.rates(rows) == dict.fromkeys(RATES, 0.0)


def test_in_a_wrong_domain_intent_and_slots_are_wrong_although_names_and_words_agree():
    assert one((MILK, BREAD), (MILK,), domain="Music") == {
        **dict(domain_error=True, intent_error=True, gold_slots=2, predicted_slots=1),
        **dict(missed_slots=2, spurious_slots=1, any_error=True, unrecoverable=False, defect=True),
    }


def test_a_wrong_intent_leaves_the_slots_right():
    assert one((MILK,), (MILK,), intent="Clear") == {
        **dict(domain_error=False, intent_error=True, gold_slots=1, predicted_slots=1),
        **dict(missed_slots=0, spurious_slots=0, any_error=True, unrecoverable=False, defect=True),
    }


@pytest.mark.parametrize(
    ("gold", "predicted", "missed", "spurious"),
    [
        pytest.param((), (), 0, 0, id="no slots at all"),
        pytest.param((MILK, NOON), (NOON, MILK), 0, 0, id="another order"),
        pytest.param((MILK,), (("Song", "milk"),), 1, 1, id="swapped label"),
        pytest.param((MILK, NOON), (("Item", "noon"), ("Time", "milk")), 2, 2, id="both swapped"),
        pytest.param((MILK,), (("Item", "some milk"),), 1, 1, id="wrong words"),
        pytest.param((MILK,), (MILK, MILK), 0, 1, id="predicted twice"),
        pytest.param((MILK, MILK), (MILK,), 1, 0, id="said twice, predicted once"),
        pytest.param((MILK, MILK), (MILK, MILK), 0, 0, id="said and predicted twice"),
        pytest.param((MILK,), (MILK, NOON), 0, 1, id="spurious"),
        pytest.param((), (NOON,), 0, 1, id="spurious where there are none"),
        pytest.param((MILK, NOON), (MILK,), 1, 0, id="missed"),
        pytest.param((MILK,), (), 1, 0, id="all missed"),
    ],
)
def test_a_slot_is_right_with_the_same_label_and_words(gold, predicted, missed, spurious):
    assert slot_errors(gold, predicted) == (missed, spurious)


def test_an_unsure_stack_is_a_defect_without_being_an_error():
    gold = parses(("Shop", "Add", ()), ("Shop", "Add", ()))
    predicted = Parses(gold.domains, gold.intents, gold.slots, np.array([0.49, 0.5]))
    rows = metrics.outcomes(gold, predicted, 0.5)
    assert rows["unrecoverable"].tolist() == rows["defect"].tolist() == [True, False]
    assert not rows["any_error"].any()


def test_predictions_for_fewer_utterances_than_gold_are_refused():
    two, single = parses(("Shop", "Add", ()), ("Shop", "Add", ())), parses(("Shop", "Add", ()))
    with pytest.raises(ValueError):
        metrics.outcomes(two, single, 0.5)


# Rates


def four_utterances() -> pd.DataFrame:
    gold = parses(
        ("Shop", "Add", (MILK, BREAD)),
        ("Shop", "Add", (MILK,)),
        ("Shop", "Clear", ()),
        ("Clock", "Set", (NOON,)),
    )
    predicted = parses(
        ("Shop", "Add", (MILK, ("Song", "bread"))),  # one substituted
        ("Shop", "Add", (MILK, NOON, NOON)),  # two inserted
        ("Shop", "Add", ()),  # wrong intent
        ("Shop", "Add", (NOON, BREAD)),  # wrong domain
    )
    return metrics.outcomes(gold, predicted, 0.5)


def test_the_rates_of_four_utterances_worked_out_by_hand():
    found = metrics.rates(four_utterances())
    assert list(found) == RATES
    assert found["dcer"] == 1 / 4 and found["icer"] == 2 / 4 and found["irer"] == 1
    assert found["unrecoverable"] == 0 and found["defect"] == 1
    # Gold as reference: 2 intents + 2 of 4 slots, of 4 + 4. Predictions: 2 + (1 + 2 + 2), of 4 + 7.
    assert found["semer"] == pytest.approx(4 / 8)
    # Harmonic mean of 1 / 2 and 7 / 11: 2 / (2 + 11 / 7) = 14 / 25.
    assert found["f_semer"] == pytest.approx(14 / 25)


def test_a_substitution_counts_once_in_each_reference():
    found = metrics.rates(repeated(one((MILK,), (NOON,)), 3))
    assert found["semer"] == found["f_semer"] == pytest.approx(3 / (3 + 3))


def test_insertions_alone_are_seen_by_irer_but_by_neither_semer():
    found = metrics.rates(repeated(one((), (NOON,)), 3))
    assert found["semer"] == found["f_semer"] == 0 and found["irer"] == 1


def test_insertions_raise_f_semer_but_not_semer_where_there_are_deletions():
    deletion, both = one((MILK,), ()), one((MILK,), (NOON, NOON))
    kept = one((MILK,), (MILK,))
    few = metrics.rates(pd.DataFrame([deletion, one((MILK,), (NOON,)), kept]))
    many = metrics.rates(pd.DataFrame([deletion, both, kept]))
    assert few["semer"] == many["semer"] == pytest.approx(2 / 6)
    # Predictions as reference: 1 of 3 + 2, then 2 of 3 + 3.
    assert few["f_semer"] == pytest.approx(2 / (6 / 2 + 5 / 1))
    assert many["f_semer"] == pytest.approx(2 / (6 / 2 + 6 / 2))


def test_rates_of_a_part_and_the_rest_make_the_rates_of_the_whole():
    rows = made_up(300, 0)
    part, rest = rows[:100], rows[100:]
    found, a, b = metrics.rates(rows), metrics.rates(part), metrics.rates(rest)
    for name in ("dcer", "icer", "irer", "unrecoverable", "defect"):
        assert found[name] == pytest.approx((a[name] + 2 * b[name]) / 3)
        assert 0 < found[name] < 1
    slots = part["gold_slots"].sum() + 100, rest["gold_slots"].sum() + 200
    assert found["semer"] == pytest.approx(np.average([a["semer"], b["semer"]], weights=slots))


def test_no_utterances_have_no_rates():
    found = metrics.rates(made_up(3, 0)[:0])
    assert np.isnan(list(found.values())).all()


# The tail


def test_the_tail_takes_the_rarest_groups_up_to_its_share():
    groups = ["a"] * 5 + ["b"] * 2 + ["c"] * 2 + ["d"]
    assert metrics.tail(groups, 0.3).tolist() == [False] * 5 + [True] * 2 + [False] * 2 + [True]
    assert set(np.array(groups)[metrics.tail(groups, 0.5)]) == {"b", "c", "d"}
    assert set(np.array(groups)[metrics.tail(groups, 0.49)]) == {"b", "d"}
    assert metrics.tail(groups, 1.0).all()


def test_a_group_that_would_exceed_the_share_ends_the_tail():
    # a is 1 of 12; with c it would be 5 of 12, more than a third.
    groups = np.array(["a"] + ["c"] * 4 + ["d"] * 7)
    assert set(groups[metrics.tail(groups, 1 / 3)]) == {"a"}


def test_ties_go_by_name_and_not_by_place():
    groups = np.array(["z", "y", "x", "w"])
    chosen = metrics.tail(groups, 0.5)
    assert chosen.tolist() == [False, False, True, True]
    assert (metrics.tail(groups[::-1], 0.5) == chosen[::-1]).all()


def test_a_tail_is_never_empty_but_where_there_is_no_traffic():
    assert metrics.tail(["a", "b", "a"], 0.1).tolist() == [False, True, False]
    assert metrics.tail(["a"], 0.4).tolist() == [True]
    assert metrics.tail([], 0.4).tolist() == []


def test_a_group_of_just_the_share_is_in_the_tail():
    for percent in range(1, 50):
        groups = [("Shop", "Add")] * percent + [("Shop", "Clear")] * (100 - percent)
        assert metrics.tail(groups, float(f"0.{percent:02}")).sum() == percent


# Changes


def test_relative_changes():
    assert metrics.relative_change(0.1, 0.15) == pytest.approx(0.5)
    assert metrics.relative_change(0.2, 0.1) == pytest.approx(-0.5)
    assert metrics.relative_change(0.2, 0.0) == -1
    assert metrics.relative_change(0.0, 0.0) == 0
    assert metrics.relative_change(0.0, 0.1) == float("inf")


def test_efficiency_is_the_change_of_the_error_per_share_pruned():
    # The paper's DCER with dataset-normalised VoG: 2.94 % more errors for 52 % less data.
    assert metrics.efficiency(0.0294, 0.52) == pytest.approx(0.05654, abs=1e-5)
    assert metrics.efficiency(-0.1, 0.5) == -0.2
    assert metrics.efficiency(0.0, 0.5) == 0
    assert metrics.efficiency(float("inf"), 0.5) == float("inf")
    assert np.isnan(metrics.efficiency(0.1, 0.0)) and np.isnan(metrics.efficiency(0.0, 0.0))


# The bootstrap


def direct(before: Sequence[pd.DataFrame], after: Sequence[pd.DataFrame], metric: str) -> float:
    means = [np.mean([metrics.rates(r)[metric] for r in stack]) for stack in (before, after)]
    return metrics.relative_change(*means)


def slow_bootstrap(before, after, metric: str, seed: int, resamples: int) -> list[float]:
    """The change in every resample, one after the other."""
    rng = np.random.default_rng(seed)
    seeds = rng.integers(len(before), size=(resamples, len(before)))
    changes = []
    for drawn_seeds in seeds:
        drawn = rng.integers(len(before[0]), size=len(before[0]))
        stacks = [[stack[i].iloc[drawn] for i in drawn_seeds] for stack in (before, after)]
        changes.append(direct(*stacks, metric))
    return changes


@pytest.mark.parametrize("metric", RATES)
def test_the_bootstrap_agrees_with_a_loop_over_resamples(metric):
    before, after = frames(31, 3, 0.3), frames(31, 3, 0.6, start=10)
    low, high = np.quantile(
        slow_bootstrap(before, after, metric, 5, 40), [0.1, 0.9], method="inverted_cdf"
    )
    found = metrics.bootstrap_change(before, after, metric, 5, resamples=40, level=0.8)
    assert found == pytest.approx((direct(before, after, metric), low, high))
    assert low < high


@pytest.mark.parametrize("metric", RATES)
def test_the_interval_brackets_the_direct_change(metric):
    before, after = frames(200, 2, 0.3), frames(200, 2, 0.6, start=10)
    change, low, high = metrics.bootstrap_change(before, after, metric, 0)
    assert change == pytest.approx(direct(before, after, metric))
    assert low < change < high


def test_the_size_of_a_block_changes_nothing():
    before, after = frames(31, 2, 0.3), frames(31, 2, 0.6, start=10)
    found = metrics.bootstrap_change(before, after, "f_semer", 5, 40)
    for block in (1, *(31 * resamples + more for resamples in range(1, 8) for more in (-1, 0, 1))):
        blocks = metrics.bootstrap_change(before, after, "f_semer", 5, 40, block=block)
        assert blocks == found, block


def test_a_seed_fixes_the_draws_and_another_draws_anew():
    before, after = frames(100, 2, 0.3), frames(100, 2, 0.6, start=10)
    found = [metrics.bootstrap_change(before, after, "irer", seed) for seed in (1, 1, 2)]
    assert found[0] == found[1] != found[2]
    assert found[0][0] == found[2][0]


def test_equal_utterances_leave_no_uncertainty():
    before = [repeated(one((MILK, NOON), (MILK,)), 20)] * 2
    after = [repeated(one((MILK, NOON), ()), 20)] * 2
    # SEMER (gold) from 1 / 3 to 2 / 3.
    found = metrics.bootstrap_change(before, after, "semer", 0, 50)
    assert found == pytest.approx((1, 1, 1))


def test_two_equal_stacks_do_not_differ_in_any_resample_because_draws_are_paired():
    stack = frames(50, 3, 0.3)
    assert metrics.bootstrap_change(stack, stack, "f_semer", 0) == (0, 0, 0)


def test_seeds_are_drawn_too():
    # All utterances are alike, so what spreads is the seeds alone: 1 of 4, 2 of 4 or their mean.
    good, bad = one((MILK, BREAD, NOON), (MILK, BREAD)), one((MILK, BREAD, NOON), (MILK,))
    before = [repeated(good, 10)] * 2
    after = [repeated(good, 10), repeated(bad, 10)]
    found = metrics.bootstrap_change(before, after, "semer", 0, 200)
    assert found == pytest.approx((0.5, 0, 1))


def test_permuting_utterances_changes_nothing_but_noise():
    before, after = frames(200, 2, 0.3), frames(200, 2, 0.6, start=10)
    order = np.random.default_rng(0).permutation(200)
    first = metrics.bootstrap_change(before, after, "f_semer", 0)
    second = metrics.bootstrap_change(
        [rows.iloc[order] for rows in before], [rows.iloc[order] for rows in after], "f_semer", 0
    )
    assert second[0] == pytest.approx(first[0])
    assert second == pytest.approx(first, abs=0.1 * (first[2] - first[1]))


def test_a_rate_that_rises_from_zero_has_infinite_ends_and_no_warning():
    clean, failed = one((), ()), one((), (), intent="Clear")
    before = [pd.DataFrame([clean] * 5)]
    after = [pd.DataFrame([clean] * 4 + [failed])]
    # A third of the resamples leaves the failed utterance out: no change from 0.
    found = metrics.bootstrap_change(before, after, "icer", 0, 200)
    assert found == (float("inf"), 0, float("inf"))


def test_frames_that_do_not_pair_are_refused():
    with pytest.raises(ValueError):
        metrics.bootstrap_change(frames(10, 2, 0.3), frames(10, 3, 0.3), "irer", 0)
    with pytest.raises(ValueError):
        metrics.bootstrap_change(frames(10, 2, 0.3), frames(9, 2, 0.3), "irer", 0)


# By domain


def test_the_table_of_domains_worked_out_by_hand():
    wrong, right = one((), (), intent="Clear"), one((), ())
    before = [pd.DataFrame([wrong, right, right]), pd.DataFrame([right, right, right])]
    after = [pd.DataFrame([wrong, right, wrong]), pd.DataFrame([wrong, wrong, wrong])]
    domains = np.array(["Shop", "Shop", "Clock"])
    found = metrics.per_domain(
        domains, before, after, {"Shop": 0.8, "Clock": 0.2}, {"Shop": 1.0}
    ).set_index("domain")
    assert found.index.tolist() == ["Clock", "Shop"]
    assert found["utterances"].tolist() == [1, 2]
    assert found["icer_before"].tolist() == [0, 0.25]
    assert found["icer_after"].tolist() == [1, 0.75]
    assert found["icer_change"].tolist() == [float("inf"), 2]
    assert found["dcer_change"].tolist() == [0, 0]
    assert found["share_after"].tolist() == [0, 1]
    assert found["share_change"].tolist() == pytest.approx([-1, 0.25])


def test_domains_add_up_to_the_whole():
    before, after = frames(300, 2, 0.3), frames(300, 2, 0.6, start=10)
    domains = np.random.default_rng(0).choice(["Shop", "Clock", "Music"], 300)
    shares = dict.fromkeys(["Shop", "Clock", "Music"], 1 / 3)
    found = metrics.per_domain(domains, before, after, shares, shares)
    assert found["utterances"].sum() == 300
    for name in ("dcer", "icer", "irer", "unrecoverable", "defect"):
        for when, stack in (("before", before), ("after", after)):
            whole = np.mean([metrics.rates(rows)[name] for rows in stack])
            parts = np.average(found[f"{name}_{when}"], weights=found["utterances"])
            assert parts == pytest.approx(whole)


def test_one_domain_is_the_whole():
    before, after = frames(50, 2, 0.3), frames(50, 2, 0.6, start=10)
    found = metrics.per_domain(np.array(["Shop"] * 50), before, after, {}, {}).iloc[0]
    for name in RATES:
        assert found[f"{name}_change"] == pytest.approx(direct(before, after, name))


# Whatever is said and predicted


SLOT = st.tuples(st.sampled_from(["Item", "Time"]), st.sampled_from(["milk", "noon"]))
MEANINGS = st.tuples(
    st.sampled_from(["Shop", "Clock"]),
    st.sampled_from(["Add", "Set"]),
    st.lists(SLOT, max_size=4).map(tuple),
)


def unmatched(some: Slots, others: Slots) -> int:
    """Slots of some that find no partner of their own among the others, one after the other."""
    left = list(others)
    lonely = 0
    for slot in some:
        if slot in left:
            left.remove(slot)
        else:
            lonely += 1
    return lonely


@given(
    st.lists(st.tuples(MEANINGS, MEANINGS, st.floats(0, 1)), min_size=1, max_size=8),
    st.floats(0, 1),
)
def test_outcomes_and_rates_are_those_of_a_count_by_hand(utterances, threshold):
    said, heard, confidences = zip(*utterances, strict=True)
    gold, guess = parses(*said), parses(*heard)
    predicted = Parses(guess.domains, guess.intents, guess.slots, np.array(confidences))
    found = metrics.outcomes(gold, predicted, threshold)
    count = Counter()
    for (domain, intent, slots), (domain2, intent2, slots2), confidence in utterances:
        wrong = domain != domain2
        missed = len(slots) if wrong else unmatched(slots, slots2)
        spurious = len(slots2) if wrong else unmatched(slots2, slots)
        error = wrong or intent != intent2 or missed + spurious > 0
        count += Counter(
            dcer=wrong,
            icer=wrong or intent != intent2,
            irer=error,
            unrecoverable=confidence < threshold,
            defect=error or confidence < threshold,
            missed=missed,
            spurious=spurious,
            gold=len(slots),
            predicted=len(slots2),
        )
    rates, total = metrics.rates(found), len(utterances)
    for name in ("dcer", "icer", "irer", "unrecoverable", "defect"):
        assert rates[name] == pytest.approx(count[name] / total)
    semer = (count["icer"] + count["missed"]) / (total + count["gold"])
    reverse = (count["icer"] + count["spurious"]) / (total + count["predicted"])
    assert rates["semer"] == pytest.approx(semer)
    harmonic = 2 / (1 / semer + 1 / reverse) if semer and reverse else 0
    assert rates["f_semer"] == pytest.approx(harmonic)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=60), st.integers(0, 100))
def test_the_tail_is_as_long_as_it_may_be_and_no_longer(groups, percent):
    chosen = metrics.tail(groups, percent / 100)
    sizes = Counter(groups)
    inside = {group for group, rare in zip(groups, chosen, strict=True) if rare}
    assert chosen.sum() == sum(sizes[group] for group in inside)  # whole groups
    rarest = sorted(sizes, key=lambda group: (sizes[group], group))
    assert inside == set(rarest[: len(inside)])
    assert len(inside) == 1 or 100 * chosen.sum() <= percent * len(groups)
    if len(inside) < len(rarest):
        assert 100 * (chosen.sum() + sizes[rarest[len(inside)]]) > percent * len(groups)


# Agreement with seqeval


def slots_of(tags: list[str]) -> Slots:
    """Slots of BIO tags over words that are all different, so that equal words are one place."""
    found: list[list[str]] = []
    last = ""
    for place, tag in enumerate(tags):
        label = tag[2:]
        if label and (tag[0] == "B" or label != last):
            found.append([label, str(place)])
        elif label:
            found[-1][1] += f" {place}"
        last = label
    return tuple((label, words) for label, words in found)


def random_tags(rng: np.random.Generator) -> list[str]:
    return rng.choice(["O", "B-Item", "I-Item", "B-Time", "I-Time"], rng.integers(1, 9)).tolist()


def varied(tags: list[str], rng: np.random.Generator) -> list[str]:
    others = rng.choice(["O", "B-Item", "I-Item", "B-Time", "I-Time"], len(tags))
    return np.where(rng.random(len(tags)) < 0.3, others, tags).tolist()


@pytest.mark.parametrize("seed", range(5))
def test_seqeval_finds_the_same_precision_and_recall_where_words_tell_the_place(seed):
    pytest.importorskip("seqeval")
    from seqeval.metrics import precision_score, recall_score
    from seqeval.scheme import IOB2

    rng = np.random.default_rng(seed)
    gold = [random_tags(rng) for _ in range(60)]
    predicted = [varied(tags, rng) for tags in gold]
    found = metrics.outcomes(
        parses(*(("Shop", "Add", slots_of(tags)) for tags in gold)),
        parses(*(("Shop", "Add", slots_of(tags)) for tags in predicted)),
        0.5,
    ).sum()
    precision = 1 - found["spurious_slots"] / found["predicted_slots"]
    recall = 1 - found["missed_slots"] / found["gold_slots"]
    assert precision == pytest.approx(precision_score(gold, predicted, mode=None, scheme=IOB2))
    assert recall == pytest.approx(recall_score(gold, predicted, mode=None, scheme=IOB2))
    assert 0 < recall < 1 and precision != recall
