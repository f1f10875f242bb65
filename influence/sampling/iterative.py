"""Iterative pruning: score again what is left before each part goes; then one sample of it all."""

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from influence.config.lists import fractions
from influence.config.parameters import SampleConfig
from influence.config.steps import SampleStep
from influence.runtime.step import Record, Steps, Task, perform
from influence.sampling.arms import parse_arm
from influence.sampling.order import kept_count
from influence.sampling.result import Sample
from influence.sampling.step import CODE, fill
from influence.scoring.result import Scores


def iterations(config: SampleConfig, scores: Scores) -> list[float]:
    """Return the fraction of what is left that each iteration prunes, to reach all `fractions`."""
    examples = scores.data.count("train")
    left = [kept_count(examples, fraction) for fraction in fractions(config.fractions)]
    return [1 - after / before for before, after in zip([examples, *left], left, strict=False)]


def subset(sample: Sample) -> Path:
    """Return the dataset that a sample of one fraction leaves, of its draws the first."""
    (fraction,) = sample.fractions
    return sample.subset(fraction)


def join(config: SampleStep, scores: Scores, iterated: Sequence[Sample]) -> Steps:
    """Make one sample of the train set in `scores` of iterations.

    `iterated`: samples of one fraction each, every one of what the one before left. The result is
    as that of `sample`, with one draw: what an earlier iteration pruned is pruned first.
    """
    arm = parse_arm(config.arm)
    inputs = {f"iteration {number}": one.fingerprint for number, one in enumerate(iterated)}
    parameters = {**config.parameters(SampleConfig), "arm": str(arm), "seed": config.seed}
    task = Task("sample", parameters, {"scores": scores.fingerprint} | inputs, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return (yield from fill(config, scores, arm, [_joined(scores, iterated)], directory))

    return (yield from perform(task, config.workdir, work))


def _joined(scores: Scores, iterated: Sequence[Sample]) -> np.ndarray:
    """Return the rows of the train set, those kept longest first."""
    kept, gone = np.array([], dtype=str), []
    for sample in iterated:
        (fraction,) = sample.fractions
        ordered = sample.ids(0).astype(str)
        count = len(sample.kept(fraction))
        kept, gone = ordered[:count], [ordered[count:], *gone]
    everyone = scores.data.array("train", "id")
    place = dict(zip(everyone, range(len(everyone)), strict=True))
    return np.array([place[name] for name in np.concatenate([kept, *gone])])
