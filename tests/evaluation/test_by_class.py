"""What is said of classes: rare ones have few values of recall, and three seeds often the same."""

import numpy as np
import pandas as pd

from influence.evaluation.by_class import by_class
from influence.evaluation.intervals import Retrainings

REPEATS = 40
SIZES = np.round(np.geomspace(8, 200, 10)).astype(int)  # test examples of each class
NAMES = [f"class {number}" for number in range(len(SIZES))]
SHARES = pd.DataFrame(
    {"group": "class", "label": NAMES, "percent_pruned": 50.0, "kept_share": 0.5}
).assign(before=5 * SIZES)


def recalls(chances: list[np.ndarray], generator: np.random.Generator) -> list[float]:
    """Return the recall of every class under one seed."""
    return [(generator.random(len(own)) < own).mean() for own in chances]


def retrained(generator: np.random.Generator, forgotten: int | None) -> pd.DataFrame:
    """Return three retrainings in full and pruned by two arms, by which one forgets a class."""
    ends = zip(SIZES, generator.uniform(0.5, 3, 10), generator.uniform(0.05, 0.6, 10), strict=True)
    chances = [generator.beta(right, wrong, size) for size, right, wrong in ends]
    full = [recalls(chances, generator) for _ in range(3)]
    rows = []
    for arm in ("random", "vog:easy"):
        for seed in range(3):
            after = recalls(chances, generator)
            if arm == "vog:easy" and forgotten is not None:
                after[forgotten] = 0.0
            rows += [(arm, 0.0, seed, *full[seed]), (arm, 50.0, seed, *after)]
    columns = ["arm", "percent_pruned", "seed", *(f"test/recall/{name}" for name in NAMES)]
    return pd.DataFrame(rows, columns=columns)


def test_a_forgotten_class_is_clear_and_hardly_any_other():
    generator, claimed, found, covered = np.random.default_rng(0), 0, 0, []
    for _ in range(REPEATS):
        table = by_class(
            Retrainings(retrained(generator, forgotten=1)), {"random": SHARES, "vog:easy": SHARES}
        )
        forgotten = (table["arm"] == "vog:easy") & (table["label"] == NAMES[1])
        found += int(table.loc[forgotten, "clear"].all())
        others = table[~forgotten]
        claimed += int(others["clear"].any())
        covered.append(((others["low"] <= 0) & (others["high"] >= 0)).mean())
    assert found > 0.9 * REPEATS
    # Three standard errors of a share of 5 %. Student's interval has no width where seeds agree.
    assert claimed / REPEATS < 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)
    assert np.mean(covered) > 0.95 - 3 * np.std(covered) / np.sqrt(REPEATS)


def test_changes_that_are_the_same_under_every_seed_claim_nothing_by_themselves():
    table = retrained(np.random.default_rng(1), forgotten=None)
    rare = "test/recall/class 0"
    table[rare] = np.where(table["percent_pruned"] > 0, 0.75, 0.875)
    found = by_class(Retrainings(table), {"random": SHARES, "vog:easy": SHARES})
    (row,) = found[(found["arm"] == "random") & (found["label"] == "class 0")].to_dict("records")
    assert row["low"] < -0.125 < row["high"] and not row["clear"]


def test_where_no_recall_varies_there_is_no_interval():
    table = retrained(np.random.default_rng(2), forgotten=None)
    for name in NAMES:
        table[f"test/recall/{name}"] = np.where(table["percent_pruned"] > 0, 0.5, 1.0)
    found = by_class(Retrainings(table), {"random": SHARES, "vog:easy": SHARES})
    assert found[["low", "high"]].isna().all().all() and not found["clear"].any()


def test_other_test_examples_are_covered_where_it_is_known_who_is_right():
    generator, claims, covered = np.random.default_rng(3), {True: 0, False: 0}, []
    rows = np.split(np.arange(SIZES.sum()), SIZES.cumsum()[:-1])
    examples = {f"test/recall/{name}": own for name, own in zip(NAMES, rows, strict=True)}
    for _ in range(REPEATS):
        # The pruned model is good at other examples, but at as many of all that could be drawn.
        chances = {percent: generator.beta(0.6, 0.2, SIZES.sum()) for percent in (0.0, 50.0)}
        ends = [(percent, seed) for percent in chances for seed in range(3)]
        right = np.array([generator.random(SIZES.sum()) < chances[percent] for percent, _ in ends])
        recalls = {name: right[:, own].mean(1) for name, own in examples.items()}
        points = pd.DataFrame(ends, columns=["percent_pruned", "seed"])
        points = points.assign(arm="random", **recalls)
        for correct in (None, right):
            measured = Retrainings(points, correct=correct, examples=examples)
            found = by_class(measured, {"random": SHARES})
            claims[correct is not None] += int(found["clear"].any())
        covered.append(((found["low"] <= 0) & (found["high"] >= 0)).mean())
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / REPEATS)
    assert claims[True] / REPEATS < most < claims[False] / REPEATS
    assert np.mean(covered) > 0.95 - 3 * np.std(covered) / np.sqrt(REPEATS)
