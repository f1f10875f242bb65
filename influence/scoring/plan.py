"""Plan which checkpoints of which runs the scores read, before anything is measured.

And say which of them read a model that knew too little.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from influence.errors import InputError, listed
from influence.scores import PRODUCTS, QUANTITIES, REGISTRY
from influence.scoring.spec import ScoreSpec, as_given, epochs_of, window_key, window_of
from influence.trace.trace import EARLY, Checkpoint
from influence.training.history import on_validation
from influence.training.result import RunInfo

PARTS = {"all": slice(None), "last": slice(-1, None), "odd": slice(0, None, 2)}
PARTS["even"] = slice(1, None, 2)
LEARNED = 0.5  # of all that the model gains over guessing: before that, a score reads too early


@dataclass(frozen=True)
class RunPlan:
    """What to measure in one run.

    at: step -> quantities of that checkpoint; over: quantity -> window key -> its steps; whole:
    quantities of the run as a whole.
    """

    at: dict[int, frozenset[str]]
    over: dict[str, dict[str, tuple[int, ...]]]
    whole: frozenset[str]

    @property
    def varied(self) -> frozenset[int]:
        """Return the steps of all windows, whose gradients are needed."""
        return frozenset(s for by in self.over.values() for steps in by.values() for s in steps)


def plan(specs: Sequence[ScoreSpec], runs: tuple[RunInfo, ...]) -> list[RunPlan]:
    """Return what to measure in each run so that `compute` finds everything these scores read.

    Raises InputError with the way out if this training cannot give one of them.
    """
    given = runs[0].given if runs else frozenset()
    read = [spec for spec in specs if not as_given(spec, given)]
    for spec in read:
        _check_weights(spec, runs[0])
    selected = [(spec, select(spec, runs)) for spec in read]
    for spec, pairs in selected:
        for run, chosen in pairs:
            _check_run(spec, run, chosen)
    return [
        _plan_run([(spec, chosen) for spec, pairs in selected for r, chosen in pairs if r is run])
        for run in runs
    ]


def with_logits(plans: Sequence[RunPlan], runs: Sequence[RunInfo]) -> list[RunPlan]:
    """Add the logits at the ends of epochs whose checkpoints are read anyway: they cost nothing."""
    extended = []
    for plan, run in zip(plans, runs, strict=True):
        ends = {c.step for c in run.checkpoints if "epochs" in c.series}
        ends &= {*plan.at, *plan.varied}
        more = {step: plan.at.get(step, frozenset()) | {"logits"} for step in sorted(ends)}
        extended.append(replace(plan, at={**plan.at, **more}))
    return extended


def passes(plans: Sequence[RunPlan]) -> dict[str, int]:
    """Count the forward and backward passes of these plans over the train set."""
    forward = backward = 0
    for plan in plans:
        normed = {step for step, names in plan.at.items() if names - {"logits", "null_logits"}}
        forward += len({*plan.at, *plan.varied})
        backward += len(normed | plan.varied)
    return {"forward": forward, "backward": backward}


def select(spec, runs):
    """Pair every run that counts with the checkpoints that the score reads in it.

    Runs after the first may end early. A mean covers the runs that reach the same epochs as the
    first; a sum covers whatever each run has.
    """
    score = REGISTRY[spec.name]
    used = runs[:1] if score.runs == "first" else runs
    pairs = [(run, _choose_checkpoints(spec, run.checkpoints)) for run in used]
    _check_window(spec, pairs[0][1], runs[0].checkpoints)
    if score.combine == "sum":
        return [(run, chosen) for run, chosen in pairs if chosen]
    epochs = [checkpoint.epoch for checkpoint in pairs[0][1]]
    return [(run, chosen) for run, chosen in pairs if [c.epoch for c in chosen] == epochs]


def check_null(spec, run, chosen, steps) -> None:
    """Raise InputError unless the null model was measured at the steps of all `chosen`."""
    beyond = [checkpoint.epoch for checkpoint in chosen if checkpoint.step not in steps]
    if beyond:
        end = max((c.epoch for c in run.checkpoints if c.step in steps), default=0.0)
        ask = f"ask for {spec.name}@{end:g} or " if end else ""
        raise InputError(
            f"score '{spec}' reads the null model at the end of epoch {beyond[-1]:g}, but its "
            f"training ends after epoch {end:g}; {ask}train with observe_epochs={beyond[-1]:g}"
        )


def _choose_checkpoints(spec, checkpoints) -> tuple[Checkpoint, ...]:
    """Return the checkpoints in a score's window, in order of steps."""
    window, series = window_of(spec), REGISTRY[spec.name].series
    if window.isdigit():
        series = "epochs"
    own = tuple(sorted((c for c in checkpoints if series in c.series), key=lambda c: c.step))
    if window in PARTS:
        return own[PARTS[window]]
    if window == EARLY:
        return tuple(c for c in own if EARLY in c.series)
    first, last = epochs_of(window)
    return tuple(c for c in own if first <= c.epoch <= last)


def _check_window(spec, chosen, checkpoints) -> None:
    """Raise InputError unless the first run reaches the window and has enough checkpoints in it."""
    score, (first, last) = REGISTRY[spec.name], epochs_of(window_of(spec))
    if not score.series:
        return
    end = max((checkpoint.epoch for checkpoint in checkpoints), default=0.0)
    if last > end:
        reads = f"the end of epoch {last}" if first == last else f"epochs {first} to {last}"
        shorter = f"{first}-{int(end)}" if first < int(end) else f"{int(end)}"
        ask = f"ask for {spec.name}@{shorter} or " if end >= 1 else ""
        raise InputError(
            f"score '{spec}' reads {reads}, but this training run ends after epoch {end:g}; "
            f"{ask}train with epochs={last}"
        )
    if len(chosen) < score.fewest:
        why = " (the variance of one is 0)" if score.fewest > 1 else ""
        raise InputError(
            f"score '{spec}' needs at least {score.fewest} checkpoint"
            f"{'s' * (score.fewest > 1)} in its window{why}, but this training run has "
            f"{len(chosen)} there; ask for a wider window or train with more checkpoints"
        )


def _check_run(spec, run: RunInfo, chosen) -> None:
    """Raise InputError unless a run has what a score needs besides checkpoints."""
    needs = REGISTRY[spec.name].needs
    if "observations" in needs and not run.observations:
        most = _sparsest_observations(run.checkpoints)
        every = f" between 1 and {most}" if most > 1 else "=1"
        raise InputError(
            f"score '{spec}' needs observations, but this training run holds checkpoints only; "
            f"train again with observe_every{every}"
        )
    if "trail_entropies" in needs and not run.trails:
        raise InputError(
            f"score '{spec}' needs slots, but this training had only texts and labels; "
            "train again with task=nlu on a dataset with domains, intents and slots"
        )
    if "out_of_fold_logits" in needs and not run.out_of_fold:
        raise InputError(
            f"score '{spec}' needs models that have not seen the example, and this training has "
            "none; train again with folds=5"
        )
    if {*needs} & {*PRODUCTS}:
        _check_validation(spec, run)
    if "null_logits" in needs:
        if not run.null:
            raise InputError(f"score '{spec}' needs a null model; train again with null_model=true")
        check_null(spec, run, chosen, run.null)


def _check_validation(spec, run: RunInfo) -> None:
    """Raise InputError unless validation has the examples whose mean gradient a score reads."""
    lacking = [name for name, examples in run.validation.items() if not examples]
    if run.validation and len(lacking) == len(run.validation):
        raise InputError(
            f"score '{spec}' reads the gradients of validation examples, but the validation split "
            "has none; name another with validation_split"
        )
    if lacking and "class_products" in REGISTRY[spec.name].needs:
        raise InputError(
            f"score '{spec}' reads validation examples of the own class, but the validation split "
            f"has none of {listed(lacking)}; ask for value, or name another validation_split"
        )


def _check_weights(spec, run: RunInfo) -> None:
    """Raise InputError if a score reads what needs weights and the run has none."""
    if run.measurable is None:
        return
    for name in REGISTRY[spec.name].needs:
        takes_training = QUANTITIES[name] != "dataset" and name not in run.measurable
        if takes_training and not (name == "observations" and run.observations):
            offered = " and ".join(sorted({*run.measurable, *run.given}))
            raise InputError(
                f"score '{spec}' reads {name}, but the import holds only {offered}; import a "
                "folder of checkpoints, or train"
            )


def _sparsest_observations(checkpoints) -> int:
    """Return the largest observe_every that gives four observations in two epochs, or in fewer."""
    end = min(2.0, max((checkpoint.epoch for checkpoint in checkpoints), default=0.0))
    steps = max((c.step for c in checkpoints if c.epoch <= end), default=0)
    return max(1, steps // 4)


def _plan_run(reads) -> RunPlan:
    """Collect what the (spec, checkpoints) pairs of one run need to have measured."""
    at: dict[int, set[str]] = {}
    over: dict[str, dict[str, tuple[int, ...]]] = {}
    whole: set[str] = set()
    for spec, chosen in reads:
        for name in REGISTRY[spec.name].needs:
            kind, steps = QUANTITIES[name], tuple(checkpoint.step for checkpoint in chosen)
            if kind in ("checkpoint", "null"):
                for step in steps:
                    at.setdefault(step, set()).add(name)
            elif kind == "window":
                over.setdefault(name, {})[window_key(spec)] = steps
            elif kind == "run":
                whole.add(name)
    return RunPlan({step: frozenset(names) for step, names in at.items()}, over, frozenset(whole))


def too_early(specs: Iterable[ScoreSpec], history: pd.DataFrame, guessing: float) -> list[str]:
    """Say which scores read an epoch after which the model knew less than half of what it learned.

    EL2N, GraNd and PVI read the end of epoch 2, as in the paper, whose train set has 550,000 pairs.
    Of 3,000 examples two epochs are less than 200 steps, and what the model knows then says
    nothing. `history`: as `training.history`, of which the first run counts; `guessing`: the
    accuracy of always guessing the most frequent class. Names the first epoch that is late enough.
    """
    known = on_validation(history, "accuracy")
    known = known[known["epoch"] % 1 == 0].astype({"epoch": int}).set_index("epoch")["accuracy"]
    if known.empty or known.iloc[-1] <= guessing:
        return []
    enough = known.index[known - guessing >= LEARNED * (known.iloc[-1] - guessing)].min()
    read: dict[int, dict[str, str]] = {}  # by epoch, what to ask for in place of each score
    for spec in specs:
        _, last = epochs_of(window_of(spec))
        if 0 < last < enough and last in known.index:
            read.setdefault(last, {})[str(spec)] = f"{spec.name}@{enough}"
    return [
        f"{listed(early)} {'reads' if len(early) == 1 else 'read'} the model at the end of epoch "
        f"{epoch}, where its accuracy on validation was {100 * known[epoch]:.1f} %, of "
        f"{100 * known.iloc[-1]:.1f} % at the end: too early to tell examples apart. Train with "
        f"observe_epochs={enough} and ask for {listed(dict.fromkeys(early.values()))}."
        for epoch, early in sorted(read.items())
    ]
