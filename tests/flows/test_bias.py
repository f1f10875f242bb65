"""Groups of a column and a second baseline, through main."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from entrypoints import main
from influence.config.parameters import MainStep, SampleStep
from influence.errors import InputError
from influence.runtime import store
from influence.steps import check_sample
from tests.flows.test_end_to_end import launch, logged, of_step
from tests.helpers import tiny
from tests.helpers.tables import load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
SPEAKERS = ("ann", "bob", None)


@pytest.fixture(scope="module")
def compared(tracking_store, tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("bias")
    splits = tiny.frames()
    for rows in splits.values():
        rows["speaker"] = np.resize(np.array(SPEAKERS, dtype=object), len(rows))
    config = MainStep(
        dataset=str(tiny.write(root / "data", splits)),
        workdir=str(root / "work"),
        groups="speaker",
        equal_steps=True,
        score="el2n",
        arms="el2n:easy",
        fractions="0.5",
        seeds=2,
        workers=1,
        threads=1,
        **tiny.FAST,
    )
    return SimpleNamespace(config=config, runs=launch(main, config))


def table(run, name: str) -> pd.DataFrame:
    shown = json.loads((logged(run, "") / f"{name}.json").read_text())
    return pd.DataFrame(shown["data"], columns=shown["columns"])


def test_every_value_of_a_group_has_its_share_and_its_accuracy(compared):
    found = table(compared.runs[0], "by_class")
    own = found[found["group"] == "speaker"]
    assert set(own["label"]) == {"ann", "bob", "missing"}
    assert own["kept_share"].between(0.2, 0.8).all() and own["recall_before"].between(0, 1).all()
    assert set(found["group"]) == {"speaker", "class"}
    (sample,) = [run for run in of_step(compared.runs, "sample") if "el2n" in run.info.run_name]
    assert (logged(sample, "plots") / "shares_by_speaker.png").is_file()


def test_the_accuracy_of_a_group_is_that_of_its_examples(compared):
    (curve,) = [run for run in of_step(compared.runs, "evaluate") if run.info.run_name == "random"]
    points = pd.read_csv(logged(curve, "curve") / "points.csv")
    names = [f"test/group/speaker={value}" for value in ("ann", "bob", "missing")]
    weights = np.bincount(np.resize([0, 1, 2], tiny.SIZES["test"])) / tiny.SIZES["test"]
    assert np.allclose(points[names].to_numpy() @ weights, points["test/accuracy"])


def test_random_at_equal_steps_stands_beside_random(compared):
    points = table(compared.runs[0], "points")
    half = points[points["percent_pruned"] == 50].groupby("arm")["steps"].max()
    full = points.loc[points["percent_pruned"] == 0, "steps"].max()
    assert half["random at equal steps"] == full > half["random"] == half["el2n:easy"]
    summary = (logged(compared.runs[0], "") / "summary.md").read_text()
    assert "Trained for as many steps as the full train set" in summary
    page = (logged(compared.runs[0], "") / "report.html").read_text()
    assert "random at equal steps" in page and "by speaker" in page
    assert "1 comparison" in compared.runs[0].data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [("speeker", "'speeker', which train lacks; it has 'id'"), ("text", "values in train; name")],
)
def test_groups_that_cannot_be_used_say_why(compared, groups, said):
    config = compared.config
    read = load(config.dataset)
    with pytest.raises(InputError, match=said):
        check_sample(SampleStep(groups=groups), read)


def test_a_sample_remembers_its_groups(compared):
    (sample,) = [run for run in of_step(compared.runs, "sample") if "el2n" in run.info.run_name]
    assert store.read_manifest(logged(sample, "sample"), "sample")["groups"] == ["speaker"]
