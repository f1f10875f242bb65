"""Choose which training examples a text classifier really needs.

    prune      arrays of scores and labels in, the rows to keep out; no disk, no model
    train      fine-tune a classifier, keep its checkpoints       -> Training
    score      one number per example and score                   -> Scores
    sample     choose the examples to keep                        -> Sample
    evaluate   retrain on each subset: the pruned-accuracy curve  -> Curve
    search     how much can be pruned, by which score and rule    -> Recommendation
    recommend  the same for the price of about ten trainings      -> Answer
    compare    the whole flow: curves against random pruning      -> Comparison

Each step reads what the one before returned, or a path to it:

    training = influence.train("path/to/folder", model="distilbert/distilbert-base-uncased")
    scores   = influence.score(training, "vog,el2n,aum")
    sample   = influence.sample(scores, "aum:ccs_clean", fractions=[0.3, 0.5])
    curve    = influence.evaluate(sample, seeds=3)

Also: `study` runs a study file, `load` reopens a finished step, `scores` has every score as a
function of arrays, `KeepCheckpoints` is a callback for transformers' Trainer, `InputError` is what
bad input raises. `help(influence.train)` lists the parameters of a step.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from influence.flow import (
        compare,
        evaluate,
        load,
        prune,
        recommend,
        sample,
        score,
        search,
        study,
        train,
    )

__version__ = "0.1.0"
__all__ = [
    "prune",
    "train",
    "score",
    "sample",
    "evaluate",
    "search",
    "recommend",
    "compare",
    "study",
    "load",
]
ELSEWHERE = {"KeepCheckpoints": "influence.callback", "InputError": "influence.errors"}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that importing this package costs nothing."""
    if name in __all__:
        value = getattr(import_module("influence.flow"), name)
    elif name in ELSEWHERE:
        value = getattr(import_module(ELSEWHERE[name]), name)
    elif name == "scores":
        return import_module("influence.scores")
    else:
        raise AttributeError(f"module 'influence' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, *ELSEWHERE, "scores", "__all__", "__doc__", "__file__", "__version__"]
