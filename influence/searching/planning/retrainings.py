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
SEALED = "sealed"  # attribute of a trial: the metric on test, which no plan reads
PAUSE = 0.5  # seconds between looks at a study whose last retrainings other workers run

Running = Sequence[tuple[Cell, int]]
Plan = Callable[[list[Measured], Running], tuple[Cell, int] | None]
# The metric of a cell under seed number 0, 1, ..., and the same on test or None.
Submit = Callable[[Cell, int], Future[tuple[float, float | None]]]


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
                    taken, (value, sealed) = futures.pop(future), future.result()
                    if _tell(study, taken, value, sealed):
                        yield Measured(taken.cell, taken.number, value)
                    del running[taken.trial.number]
        finally:
            _give_up(study, [taken.trial for taken in running.values()])


def measured(study: Study) -> list[Measured]:
    """Return what all workers have measured, in the order in which it was planned."""
    return _known(study, lambda trial: trial.values[0])


def sealed(study: Study) -> list[Measured]:
    """Return what the same retrainings reach on test: for reports, once all is decided."""
    return _known(study, lambda trial: trial.user_attrs.get(SEALED))


def _known(study: Study, value: Callable) -> list[Measured]:
    """Return the retrainings that ended, each once, with a value of their trial, None left out."""
    known = {}
    for trial in _trials(study, TrialState.COMPLETE):
        if (own := value(trial)) is not None:
            known.setdefault(_read(trial.user_attrs), own)
    return [Measured(cell, number, own) for (cell, number), own in known.items()]


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


def _tell(study: Study, taken: Retraining, value: float, sealed: float | None) -> bool:
    """End a trial; tell whether it was still this worker's."""

    def end() -> None:
        if sealed is not None:
            taken.trial.set_user_attr(SEALED, sealed)
        study.optuna.tell(taken.trial, value)

    with quietly():
        return unless_ended(study, taken.trial, end)


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
