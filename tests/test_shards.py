"""A pass that was cut off goes on from the shards that it finished."""

import numpy as np
import pytest

from influence import cluster, steps
from influence.config import ScoreStep, TrainStep
from influence.steps import shards
from tests import tiny


class Killed(Exception):
    pass


def finish(generator):
    while True:
        try:
            next(generator)
        except StopIteration as end:
            return end.value


@pytest.fixture
def work(tmp_path):
    directory = tiny.write(tmp_path / "talk", tiny.frames())
    here = {"workdir": str(tmp_path / "work"), "workers": 1, "threads": 1, "track": False}
    train = TrainStep(dataset=str(directory), **here, **tiny.FAST)
    score = ScoreStep(training="from train", score="vog,el2n", shard_size=40, **here)
    with cluster.engine(train) as engine:
        yield score, finish(steps.train(train, engine)), engine


def test_a_pass_that_was_cut_off_goes_on_from_its_last_shard(work, monkeypatch, tmp_path):
    config, training, engine = work
    whole = finish(
        steps.score(
            config.__class__(**{**config.knobs(), "workdir": str(tmp_path / "other")}),
            training,
            engine,
        )
    )
    measured, measure = [], shards.Meter.measure

    def until_the_third(self, tokens, labels, rows, batch_tokens):
        if len(rows) == 40 and rows[0] == 80 and not measured.count("killed"):
            measured.append("killed")
            raise Killed
        measured.append(int(rows[0]))
        return measure(self, tokens, labels, rows, batch_tokens)

    monkeypatch.setattr(shards.Meter, "measure", until_the_third)
    with pytest.raises(Killed):
        finish(steps.score(config, training, engine))
    again = finish(steps.score(config, training, engine))
    # The first 0 of each attempt is the self-check; the shards at 0 and 40 are not measured again.
    assert measured == [0, 0, 40, "killed", 0, 80, 120]
    for name in ("vog", "el2n"):
        np.testing.assert_array_equal(
            np.load(whole / f"{name}.npy"), np.load(again / f"{name}.npy")
        )
    assert not list(again.glob("shards*"))


def test_a_pass_that_differs_from_plain_autograd_gives_no_scores(work, monkeypatch):
    config, training, engine = work
    monkeypatch.setattr(shards, "self_check", lambda *arguments: 0.5)
    with pytest.raises(RuntimeError, match="no score was written"):
        finish(steps.score(config, training, engine))
