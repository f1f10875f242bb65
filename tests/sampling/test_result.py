"""A sample is opened as a record: what stays at each fraction, and what it does not hold."""

import pickle
import subprocess
import sys

import numpy as np
import pytest

from influence.config.steps import SampleStep
from influence.errors import InputError
from influence.sampling.arms import parse_arm
from influence.sampling.result import Sample
from influence.sampling.step import fill, sample
from tests.helpers import finished

LABELS = np.repeat([0, 1], [8, 2])
ORDERS = [np.arange(10), np.arange(10)[::-1].copy()]


@pytest.fixture(scope="module")
def opened(tmp_path_factory) -> Sample:
    root = tmp_path_factory.mktemp("sample")
    scores = finished.scores(
        finished.labelled(root / "scores", LABELS, ("often", "<rare>")), {"el2n": np.arange(10.0)}
    )
    config = SampleStep(fractions="0.3,0.5")
    list(fill(config, scores, parse_arm("el2n:easy"), ORDERS, root / "sample"))
    return finished.sample(root / "sample", [30.0, 50.0], seed=0, min_per_class=1)


def test_what_stays_is_a_prefix_of_the_order(opened):
    assert opened.kept(0.3).tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert opened.kept(0.5, draw=1).tolist() == [9, 8, 7, 6, 5]
    assert opened.ids(0.5, draw=1).tolist() == ["0009", "0008", "0007", "0006", "0005"]
    assert len(opened.kept(0)) == 10 and opened.draws == 2 and opened.scores == ("el2n",)


def test_what_it_does_not_hold_is_refused(opened):
    for ask in (opened.kept, opened.ids, opened.subset):
        with pytest.raises(InputError, match="holds the fractions 0.3, 0.5, not 0.4"):
            ask(0.4)
        with pytest.raises(InputError, match="holds the draws 0 to 1, not 2"):
            ask(0.3, 2)


def test_what_is_no_fraction_is_refused_in_one_sentence(opened):
    """In a process of its own: here the annotations are checked first, as nobody else does."""
    program = f"""import influence
sample = influence.load({str(opened.directory)!r})
for ask in (sample.kept, sample.ids, sample.subset):
    for fraction in ("0.3", None, [0.3]):
        try:
            ask(fraction)
        except influence.InputError as error:
            print(str(error).removeprefix(str(sample.directory)))"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    wrong = ("'0.3'", "None", "[0.3]")
    sentences = [f" holds the fractions 0.3, 0.5, not {value}" for value in wrong]
    assert done.stdout.splitlines() == 3 * sentences, done.stderr


def test_it_travels_as_its_directory(opened):
    assert opened.class_shares is not None  # read, and not to be carried along
    data = pickle.dumps(opened)
    assert len(data) < 500 and pickle.loads(data) == opened


def test_a_notebook_shows_what_stays(opened):
    table = opened.summary.set_index("percent_pruned")
    assert table.loc[50.0].tolist() == [5, 0]  # the first draw keeps none of the rare class
    shown = opened._repr_html_()
    assert "<code>el2n:easy</code>" in shown and "<td>50</td>" in shown
    assert "el2n:easy, 30, 50 % pruned" in repr(opened)


def test_only_scores_of_the_train_set_are_pruned(tmp_path):
    at = finished.labelled(tmp_path, LABELS, ("often", "rare"))
    scores = finished.scores(at, {"el2n": np.arange(10.0)}, split="test")
    with pytest.raises(InputError, match="scores of the test split, but only train is pruned"):
        list(sample(SampleStep(arm="el2n:easy", workdir=str(tmp_path)), scores))
