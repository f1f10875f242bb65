"""A trial that a worker is doing: its values so far, its heartbeat, and its return to others."""

import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import FrozenTrial, TrialState

from influence.runtime.locks import locked
from influence.searching.space import Candidate
from influence.searching.study import Study, quietly, retry

FIRST_BEAT = "first_beat"  # attribute of a trial


@dataclass
class Attempt:
    """A trial that this worker is doing."""

    trial: optuna.Trial
    candidate: Candidate
    values: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)

    def add(self, value: float, full: Sequence[float]) -> bool:
        """Note the metric under the next seed; tell whether the trial was still ours."""
        self.differences.append(value - full[len(self.values)])
        self.values.append(value)
        try:
            self.trial.set_user_attr("values", self.values)
            self.trial.set_user_attr("differences", self.differences)
        except UpdateFinishedTrialError:  # we were silent for too long
            return False
        return True


@contextmanager
def alive(study: Study, grace: int, attempts: dict[int, Attempt]) -> Iterator[None]:
    """Say in the storage, four times in `grace` seconds, that these trials are being done."""
    over = threading.Event()

    def keep_beating() -> None:
        while not over.wait(max(1, grace // 4)):
            for attempt in list(attempts.values()):
                # A storage that is away for a moment: the next beat may reach it.
                with warnings.catch_warnings(), _ignoring_storage():
                    beat(study, attempt.trial._trial_id)

    thread = threading.Thread(target=keep_beating, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _ignoring_storage() -> Iterator[None]:
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (SQLAlchemyError, optuna.exceptions.StorageInternalError):
        return


def beat(study: Study, trial_id: int, first: int | None = None) -> None:
    """Say that a trial is being done; at its first beat, with its number, also by whom."""
    storage: Any = study.optuna._storage
    storage.record_heartbeat(trial_id)
    if first is not None:
        storage.set_trial_user_attr(trial_id, FIRST_BEAT, [first, study.entropy])


def give_first_beats(study: Study) -> None:
    """Beat once for trials that never had a beat, so that they can fall silent.

    A worker that is killed between taking a trial and its first beat leaves one that the storage
    would call running for ever. On this machine the lock keeps those two together.
    """

    def silent() -> list[FrozenTrial]:
        running = study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        # A trial that is taken up again has the attributes of its first time, with that number.
        return [t for t in running if t.user_attrs.get(FIRST_BEAT, [None])[0] != t.number]

    if not silent():
        return
    with locked(study.locks):
        for trial in silent():
            beat(study, trial._trial_id, first=trial.number)


def hand_back(study: Study, trial: optuna.Trial) -> None:
    """Leave a trial to others: it failed here, and waits to be taken up again."""
    with quietly():
        if unless_ended(study, trial, lambda: study.optuna.tell(trial, state=TrialState.FAIL)):
            retry()(study.optuna, study.optuna.get_trials()[trial.number])


def unless_ended(study: Study, trial: optuna.Trial, end: Callable[[], object]) -> bool:
    """Call `end`, which ends a trial; tell whether it was still running, and so ours to end.

    Others may end it even between the look and the word: a storage that is away keeps a call
    waiting for longer than the grace.
    """
    if not is_running(study, trial):
        return False
    try:
        end()
    except UpdateFinishedTrialError:
        return False
    except ValueError:  # what tell makes of it
        if is_running(study, trial):
            raise
        return False
    return True


def is_running(study: Study, trial: optuna.Trial) -> bool:
    """Tell whether nobody has ended a trial."""
    return study.optuna.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING
