"""Groups of a column and a second baseline, through main."""

import numpy as np
import pandas as pd
import pytest

from influence.config.steps import SampleStep
from influence.errors import InputError
from influence.sampling.result import Sample
from influence.sampling.step import check_sample
from tests.helpers import tiny
from tests.helpers.mains import ODD
from tests.helpers.runs import logged, of_step, table
from tests.helpers.tables import load

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


def test_every_value_of_a_group_has_its_share_and_its_accuracy(grouped):
    found = table(grouped.runs[0], "by_class")
    own = found[found["group"] == "speaker"]
    assert set(own["label"]) == {"ann", "bob", "missing"}
    assert own["kept_share"].between(0.2, 0.8).all() and own["recall_before"].between(0, 1).all()
    assert set(found["group"]) == {"speaker", "class", *ODD}
    (sample,) = [run for run in of_step(grouped.runs, "sample") if "el2n" in run.info.run_name]
    assert (logged(sample, "plots") / "shares_by_speaker.png").is_file()


def test_the_accuracy_of_a_group_is_that_of_its_examples(grouped):
    (curve,) = [run for run in of_step(grouped.runs, "evaluate") if run.info.run_name == "random"]
    points = pd.read_csv(logged(curve, "curve") / "points.csv")
    names = [f"test/group/speaker={value}" for value in ("ann", "bob", "missing")]
    weights = np.bincount(np.resize([0, 1, 2], tiny.SIZES["test"])) / tiny.SIZES["test"]
    assert np.allclose(points[names].to_numpy() @ weights, points["test/accuracy"])


def test_random_at_equal_steps_stands_beside_random(grouped):
    points = table(grouped.runs[0], "points")
    half = points[points["percent_pruned"] == 50].groupby("arm")["steps"].max()
    full = points.loc[points["percent_pruned"] == 0, "steps"].max()
    assert half["random at equal steps"] == full > half["random"] == half["el2n:easy"]
    summary = (logged(grouped.runs[0], "") / "summary.md").read_text()
    assert "Trained for as many steps as the full train set" in summary
    page = (logged(grouped.runs[0], "") / "report.html").read_text()
    assert "random at equal steps" in page and "by speaker" in page
    assert "1 comparison" in grouped.runs[0].data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [("speeker", "'speeker', which train lacks; it has id"), ("text", "values in train; name")],
)
def test_groups_that_cannot_be_used_say_why(grouped, groups, said):
    config = grouped.config
    read = load(config.dataset)
    with pytest.raises(InputError, match=said):
        check_sample(SampleStep(groups=groups), read)


def test_a_sample_remembers_its_groups(grouped):
    (sample,) = [run for run in of_step(grouped.runs, "sample") if "el2n" in run.info.run_name]
    assert Sample(logged(sample, "sample")).groups == ["speaker", *ODD]
