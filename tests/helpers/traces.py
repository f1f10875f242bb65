"""Random measurements of made-up trainings, for the tests of everything that reads a trace."""

import numpy as np

from influence.scores import REGISTRY
from influence.scoring.plan import plan
from influence.scoring.spec import ScoreSpec
from influence.trace.trace import EARLY, Checkpoint, RunTrace, Trace
from influence.training.result import RunInfo

SPECS = [ScoreSpec(name) for name in REGISTRY]
EXAMPLES, CLASSES = 30, 4


def make_checkpoints(epochs, steps=10, per_epoch=3, spread=True, early=9):
    """Checkpoints at `per_epoch` steps of each epoch, the last of them at its end.

    `early`: the epoch after which the model learns by heart.
    """
    rows = []
    for number in range(1, epochs * per_epoch + 1):
        series = {"spread"} if spread else set()
        series |= {"epochs"} if number % per_epoch == 0 else set()
        if series:
            series |= {EARLY} if number <= early * per_epoch else set()
            rate = 0.1 / number
            step = number * steps
            rows.append(Checkpoint(step, number / per_epoch, frozenset(series), rate))
    return tuple(rows)


def make_infos(epochs=(4, 2), observations=True, null=9):
    """What runs that train for so many epochs offer; those after the first have no spread.

    `null`: epochs of their null models, at most those of the runs.
    """
    return tuple(
        make_info(seed, make_checkpoints(number, spread=seed == 0), observations, null)
        for seed, number in enumerate(epochs)
    )


def make_info(seed, checkpoints, observations=True, null=9):
    """What a run with these checkpoints offers."""
    ends = (c.step for c in checkpoints if "epochs" in c.series and c.epoch <= null)
    return RunInfo(seed, checkpoints, observations, tuple(ends), trails=True, out_of_fold=True)


def measure(plans, infos, examples=EXAMPLES, seed=0) -> Trace:
    """Random measurements of what the plans ask for, and of nothing else."""
    generator = np.random.default_rng(seed)
    shapes = {"logits": (examples, CLASSES), "null_logits": (CLASSES,)}
    runs = []
    for info, planned in zip(infos, plans, strict=True):
        at = {}
        for step, names in planned.at.items():
            for name in sorted(names):
                values = generator.normal(size=shapes.get(name, (examples,))).astype(np.float32)
                at.setdefault(name, {})[step] = values if "logits" in name else np.abs(values)
        over = {
            name: {key: generator.random(examples).astype(np.float32) for key in keys}
            for name, keys in sorted(planned.over.items())
        }
        whole = {name: generator.random((7, examples)) < 0.4 for name in sorted(planned.whole)}
        runs.append(RunTrace(info.seed, info.checkpoints, at, over, whole))
    ids = np.array([f"id-{i}" for i in range(examples)])
    labels, entropies = generator.integers(0, CLASSES, examples), generator.random(examples)
    out_of_fold = generator.normal(size=(examples, CLASSES)).astype(np.float32)
    return Trace(ids, labels, tuple(runs), entropies.astype(np.float32), out_of_fold)


def make_trace(specs=SPECS, epochs=(4, 2), **kwargs) -> Trace:
    """A random trace that holds exactly what `specs` read."""
    infos = make_infos(epochs)
    return measure(plan(specs, infos), infos, **kwargs)


def arrays(trace):
    """Every array in a trace."""
    for run in trace.runs:
        yield from (v for steps in (*run.at.values(), *run.over.values()) for v in steps.values())
        yield from run.whole.values()
    yield from (trace.ids, trace.labels, trace.trail_entropies, trace.out_of_fold_logits)


def named(run):
    """Every array of a run with its name."""
    for quantity, by in (*run.at.items(), *run.over.items()):
        yield from ((f"{quantity}/{key}", values) for key, values in by.items())
    yield from run.whole.items()
