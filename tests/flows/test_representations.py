"""Arms that compare examples find the representations that they read, without being asked to."""

from pathlib import Path

import numpy as np
import pytest

from influence import pipeline
from influence.config.steps import MainStep, SearchStep
from influence.scoring.result import Scores
from tests.helpers import tiny

pytestmark = pytest.mark.slow


def given(root: Path) -> dict:
    here = {"workers": 1, "threads": 1, "track": False, "null_model": False, "seeds": 1}
    dataset = str(tiny.write(root / "talk", tiny.frames()))
    return tiny.FAST | here | {"dataset": dataset, "workdir": str(root / "work")}


@pytest.mark.parametrize("rescore", [False, True])
def test_a_comparison_keeps_what_its_arms_read(tmp_path, rescore):
    arms = "el2n:d2,dedup,dual:adaptive"
    config = MainStep(**given(tmp_path), arms=arms, fractions="0.3,0.5", draws=1, rescore=rescore)
    result = pipeline.compare(config)
    assert set(result.samples) == {"random", *arms.split(",")}
    assert result.scores.representations is not None
    assert {"el2n", "dual", "confidence"} <= set(result.scores.names)
    for curve in result.curves.values():
        assert np.isfinite(curve.summary["mean"]).all()


def test_a_search_that_trains_keeps_what_its_rules_read(tmp_path):
    own = {"rules": "dedup,random", "score": "el2n", "trials": 2, "test_seeds": 1}
    (found,) = pipeline.search(SearchStep(**given(tmp_path), **own)).values()
    (scores,) = (tmp_path / "work").glob("score-*")
    assert Scores(scores).representations is not None and found.directory.is_dir()
