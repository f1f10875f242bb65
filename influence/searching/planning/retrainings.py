"""The retrainings behind a recommendation: any number of workers share them through a study.

A trial of the study is one retraining of one cell under one seed. A worker plans the next one from
what all have measured and are measuring; what is planned follows from that alone, so that nothing
of a plan has to be kept.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass

import optuna
from optuna.trial import TrialState

from influence.runtime.locks import locked
from influence.searching.attempt import Taken, alive, beat, give_first_beats, unless_ended
from influence.searching.planning.landscape import Cell, Measured
from influence.searching.study import Study, quietly

CELL = "cell"  # attribute of a trial: arm, percent and the number of the seed
PAUSE = 0.5  # seconds between looks at a study whose last retrainings other workers run

Running = Sequence[tuple[Cell, int]]
Plan = Callable[[list[Measured], Running], tuple[Cell, int] | None]
Submit = Callable[[Cell, int], Future]  # the metric of a cell under seed number 0, 1, ...


@dataclass
class Retraining(Taken):
    """A retraining that this worker runs."""

    cell: Cell
    number: int


def carry_out(
    study: Study, plan: Plan, submit: Submit, grace: int, slots: int = 1
) -> Iterator[Measured]:
    """Yield this worker's retrainings as they end, until `plan` has none left for anybody.

    `slots` run at once. What a worker left behind that was killed, or silent for `grace` seconds,
    is planned anew.
    """
    running: dict[int, Retraining] = {}
    futures: dict[Future, Retraining] = {}
    with alive(study, grace, running):
        if study.alone:
            _give_up(study, _trials(study, TrialState.RUNNING))
        try:
            while True:
                while len(futures) < slots and (taken := _take(study, plan)):
                    running[taken.trial.number] = taken
                    futures[submit(taken.cell, taken.number)] = taken
                if not futures:
                    if not _trials(study, TrialState.RUNNING):
                        return
                    time.sleep(PAUSE)
                    continue
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    taken, value = futures.pop(future), float(future.result())
                    if _tell(study, taken, value):
                        yield Measured(taken.cell, taken.number, value)
                    del running[taken.trial.number]
        finally:
            _give_up(study, [taken.trial for taken in running.values()])


def measured(study: Study) -> list[Measured]:
    """Return what all workers have measured, in the order in which it was planned."""
    known = {}
    for trial in _trials(study, TrialState.COMPLETE):
        cell, number = _read(trial.user_attrs)
        known.setdefault((cell, number), Measured(cell, number, trial.values[0]))
    return list(known.values())


def _take(study: Study, plan: Plan) -> Retraining | None:
    """Plan a retraining and enter it into the study, None if there is none to be done."""
    give_first_beats(study)
    with quietly():
        optuna.storages.fail_stale_trials(study.optuna)
    with locked(study.locks), quietly():
        running = [_read(t.user_attrs) for t in _trials(study, TrialState.RUNNING)]
        if (planned := plan(measured(study), running)) is None:
            return None
        trial = study.optuna.ask()
        cell, number = planned
        trial.set_user_attr(CELL, [*cell, number])
        beat(study, trial._trial_id, first=trial.number)
    return Retraining(trial, cell, number)


def _tell(study: Study, taken: Retraining, value: float) -> bool:
    """End a trial; tell whether it was still this worker's."""
    with quietly():
        return unless_ended(study, taken.trial, lambda: study.optuna.tell(taken.trial, value))


def _give_up(study: Study, trials: Sequence) -> None:
    for trial in trials:
        with quietly():
            study.optuna.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)


def _trials(study: Study, state: TrialState) -> list[optuna.trial.FrozenTrial]:
    """Return the trials in a state that are entered whole."""
    trials = study.optuna.get_trials(deepcopy=False, states=(state,))
    return [trial for trial in trials if CELL in trial.user_attrs]


def _read(attributes: Mapping) -> tuple[Cell, int]:
    arm, percent, number = attributes[CELL]
    return Cell(arm, percent), number
