"""A train set of several parts, as large as they are outside of tests, goes the whole way."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from entrypoints import main
from influence.config.steps import MainStep
from influence.data import storage
from influence.data.dataset import digest_of
from influence.runtime import store
from influence.sampling.result import Sample
from tests.helpers.tables import load

pytestmark = pytest.mark.slow
ROWS, KEPT = 70_000, 21_000  # five parts, the last of them not full; two of them
LATE = 40_000  # the row from which on there are tags


def write(directory: Path) -> Path:
    """Leave a dataset whose texts say their label, with a column that begins with empty parts."""
    directory.mkdir()
    generator = np.random.default_rng(0)
    for split, rows in {"train": ROWS, "validation": 200, "test": 300}.items():
        good = generator.integers(0, 2, rows)
        texts = [f"number {row} is {('bad', 'good')[label]}" for row, label in enumerate(good)]
        tags = [[f"tag {row % 7}"] if row >= LATE else None for row in range(rows)]
        frame = pd.DataFrame({"text": texts, "label": good, "tags": tags})
        frame.to_parquet(directory / f"{split}.parquet")
    return directory


@pytest.mark.long
def test_main_prunes_seventy_thousand_rows_and_draws_the_curve(tmp_path, capsys):
    work = tmp_path / "work"
    main.main(
        MainStep(
            dataset=str(write(tmp_path / "many")),
            workdir=str(work),
            track=False,
            workers=1,
            threads=1,
            model="tiny",
            layers=1,
            max_length=8,
            vocabulary=500,
            epochs=1,
            batch_size=512,
            budget="epochs",
            seeds=1,
            score="loss",
            null_model=False,
            observe_every=0,
            checkpoints=1,
            arms="loss:easy",
            fractions="0.7",
        )
    )
    assert "| `loss:easy` | " in capsys.readouterr().out
    samples = {store.read_manifest(path, "sample")["arm"]: path for path in work.glob("sample-*")}
    assert set(samples) == {"loss:easy", "random"}
    (scored,) = work.glob("score-*")
    scores = pd.read_parquet(scored / "scores.parquet")
    assert len(scores) == ROWS and np.array_equal(np.load(scored / "loss.npy"), scores["loss"])
    for arm, path in samples.items():
        whole = storage.open_saved(path / "data")
        train = pq.read_table(path / "data/train.parquet")
        kept = pd.read_parquet(path / "kept.parquet")
        ids = kept.loc[kept["draw"] == 0, "id"]
        rows = np.flatnonzero(pd.Index(train["id"].to_pandas()).isin(ids))
        assert len(rows) == len(ids) == KEPT and (kept["percent_pruned"] == 70).all()
        assert set(rows) == set(np.load(path / "order.npy")[0, :KEPT])
        subset = storage.open_saved(Sample(path).subset(0.7))
        assert pq.read_table(subset.directory / "train.parquet").equals(train.take(rows))
        splits = whole.dataset().splits | {"train": whole.read("train").iloc[rows]}
        assert subset.digest == digest_of(splits, whole.label_names)
        assert load(str(subset.directory)).digest == subset.digest
        if arm == "loss:easy":
            lost = scores["loss"].to_numpy()
            labels = train["label"].to_numpy()[rows]
            # The last example of a class stays whatever its loss.
            others = rows[np.bincount(labels)[labels] > 1]
            assert len(others) >= KEPT - 1
            assert lost[others].min() >= np.delete(lost, rows).max()
    curves = pd.concat(pd.read_csv(path / "points.csv") for path in work.glob("evaluate-*"))
    points = curves.sort_values(["arm", "percent_pruned"])[["arm", "percent_pruned", "kept"]]
    assert points.values.tolist() == [
        ["loss:easy", 0, ROWS],
        ["loss:easy", 70, KEPT],
        ["random", 0, ROWS],
        ["random", 70, KEPT],
    ]
    assert (curves.loc[curves["percent_pruned"] == 0, "test/accuracy"] > 0.95).all()
    assert curves["steps"].tolist() == [-(-count // 512) for count in curves["kept"]]
