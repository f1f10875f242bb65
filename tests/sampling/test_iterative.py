"""Iterative pruning: what is left is scored again before more of it goes."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from entrypoints import main
from influence.config.steps import MainStep
from influence.data import storage
from influence.runtime import store
from tests.helpers import tiny
from tests.helpers.runs import launch, of_step

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
]


@pytest.fixture(scope="module")
def study(tracking_store, tmp_path_factory) -> SimpleNamespace:
    """The same arms once and in turns, on a dataset with wrong labels."""
    root = tmp_path_factory.mktemp("rounds")
    dataset = str(tiny.write(root / "data", tiny.frames()))
    made = {}
    for rescore in (False, True):
        config = MainStep(
            dataset=dataset,
            workdir=str(root / f"work-{rescore}"),
            label_noise=0.2,
            score="el2n",
            arms="el2n:hard,stratified",
            fractions="0.2,0.35,0.5",
            seeds=1,
            null_model=False,
            workers=1,
            threads=1,
            rescore=rescore,
            **tiny.FAST,
        )
        runs = launch(main, config)
        samples = [path for path in Path(config.workdir).glob("sample-*") if _whole(path)]
        by_arm = {store.read_manifest(path, "sample")["arm"]: path for path in samples}
        made[rescore] = SimpleNamespace(runs=runs, samples=by_arm, work=Path(config.workdir))
    return SimpleNamespace(**{"once": made[False], "turns": made[True]})


def _whole(path: Path) -> bool:
    return len(store.read_manifest(path, "sample")["percents"]) == 3


def kept(path: Path, percent: float) -> set[str]:
    table = pd.read_parquet(path / "kept.parquet")
    return set(table.loc[table["percent_pruned"] == percent, "id"])


def test_turns_keep_as_many_and_each_keeps_some_of_what_the_one_before_kept(study):
    once, turns = study.once.samples["el2n:hard"], study.turns.samples["el2n:hard"]
    for percent in (20, 35, 50):
        assert len(kept(turns, percent)) == len(kept(once, percent))
    assert kept(turns, 50) < kept(turns, 35) < kept(turns, 20)
    order = np.load(turns / "order.npy")
    assert order.shape == (1, 121) and sorted(order[0]) == list(range(121))


def test_the_first_turn_is_that_of_pruning_once_and_later_ones_are_not(study):
    once, turns = study.once.samples["el2n:hard"], study.turns.samples["el2n:hard"]
    assert kept(turns, 20) == kept(once, 20)
    assert kept(turns, 50) != kept(once, 50)


def test_a_turn_scores_what_the_one_before_left_and_nothing_else(study):
    sizes = sorted(
        len(pd.read_parquet(path / "scores.parquet")) for path in study.turns.work.glob("score-*")
    )
    assert sizes == [79, 97, 121]
    left = {
        len(storage.open_saved(path / "data").dataset().train)
        for path in study.turns.work.glob("score-*")
    }
    assert left == {79, 97, 121}


def test_arms_without_scores_and_the_full_train_set_are_the_same_either_way(study):
    for arm in ("random", "stratified"):
        tables = [
            pd.read_parquet(one.samples[arm] / "kept.parquet") for one in (study.once, study.turns)
        ]
        pd.testing.assert_frame_equal(*tables)


def test_every_turn_is_a_run_of_its_own(study):
    names = [run.info.run_name for run in of_step(study.turns.runs, "sample")]
    assert [f"iteration {number} of el2n:hard" for number in (1, 2, 3)] == sorted(
        name for name in names if name.startswith("iteration")
    )
