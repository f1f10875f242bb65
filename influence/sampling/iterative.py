"""Iterative pruning: score again what is left before each part goes; then one sample of it all."""

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np

from influence.config.parameters import SampleConfig, SampleStep, fractions
from influence.data.storage import open_saved
from influence.runtime import store
from influence.runtime.step import Record, Steps, Task, perform
from influence.sampling import arms, order
from influence.sampling.step import CODE, described, fill, subset_of


def iterations(config: SampleConfig, scored: Path) -> list[float]:
    """Return the fraction of what is left that each iteration prunes, to reach all `fractions`."""
    examples = open_saved(scored / "data").count("train")
    left = [order.kept_count(examples, fraction) for fraction in fractions(config.fractions)]
    return [1 - after / before for before, after in zip([examples, *left], left, strict=False)]


def subset(sampled: Path) -> Path:
    """Return the dataset that a sample of one fraction leaves, of its draws the first."""
    (percent,) = store.read_manifest(sampled, "sample")["percents"]
    return subset_of(sampled, percent)


def join(config: SampleStep, scored: Path, iterated: Sequence[Path]) -> Steps:
    """Make one sample of the train set in `scored` of iterations, each of what the one before left.

    `iterated`: sample directories with one fraction each. The result is as that of `sample`, with
    one draw: what an earlier iteration pruned is pruned first.
    """
    manifest = store.read_manifest(scored, "score")
    arm = arms.parse_arm(config.arm)
    inputs = {"scores": manifest["fingerprint"]} | {
        f"iteration {number}": store.read_manifest(path, "sample")["fingerprint"]
        for number, path in enumerate(iterated)
    }
    parameters = {**config.parameters(SampleConfig), "arm": str(arm), "seed": config.seed}
    task = Task("sample", parameters, inputs, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        orders = [_joined(scored, iterated)]
        yield from fill(config, scored, orders, directory, manifest["task"])
        return described(config, arm, orders, manifest)

    return (yield from perform(task, config.workdir, work))


def _joined(scored: Path, iterated: Sequence[Path]) -> np.ndarray:
    """Return the rows of the train set, those kept longest first."""
    kept, gone = np.array([], dtype=str), []
    for path in iterated:
        ids = open_saved(path / "data").array("train", "id").astype(str)
        ordered = ids[np.load(path / "order.npy")[0]]
        count = open_saved(subset(path)).count("train")
        kept, gone = ordered[:count], [ordered[count:], *gone]
    everyone = open_saved(scored / "data").array("train", "id")
    place = dict(zip(everyone, range(len(everyone)), strict=True))
    return np.array([place[name] for name in np.concatenate([kept, *gone])])
