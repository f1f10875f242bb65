"""A trial that a worker is running: its values so far, its heartbeat, and how it is given back."""

import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
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
class Taken:
    """A trial that this worker is running."""

    trial: optuna.Trial


@dataclass
class Attempt(Taken):
    """The trial of a candidate, under one seed after another."""

    candidate: Candidate
    values: list[float] = field(default_factory=list)
    differences: list[float] = field(default_factory=list)

    def add(self, value: float, full: Sequence[float]) -> bool:
        """Record the metric under the next seed; tell whether the trial was still ours."""
        self.differences.append(value - full[len(self.values)])
        self.values.append(value)
        try:
            self.trial.set_user_attr("values", self.values)
            self.trial.set_user_attr("differences", self.differences)
        except UpdateFinishedTrialError:  # we missed too many heartbeats
            return False
        return True


@contextmanager
def alive(study: Study, grace: int, attempts: Mapping[int, Taken]) -> Iterator[None]:
    """Send a heartbeat for each of these trials, four times in `grace` seconds."""
    over = threading.Event()

    def keep_beating() -> None:
        while not over.wait(max(1, grace // 4)):
            for attempt in list(attempts.values()):
                # If the storage is away for a moment, the next beat may reach it.
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
    """Record a heartbeat of a trial; the first one, with its number, also records the worker."""
    storage: Any = study.optuna._storage
    storage.record_heartbeat(trial_id)
    if first is not None:
        storage.set_trial_user_attr(trial_id, FIRST_BEAT, [first, study.entropy])


def give_first_beats(study: Study) -> None:
    """Beat once for trials that never had a heartbeat, so that they can become stale.

    The storage would list a trial as running for ever if its worker was killed between taking it
    and the first beat. On this machine, a lock covers both.
    """

    def silent() -> list[FrozenTrial]:
        running = study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        # A retried trial keeps the attributes of its first attempt, including that number.
        return [t for t in running if t.user_attrs.get(FIRST_BEAT, [None])[0] != t.number]

    if not silent():
        return
    with locked(study.locks):
        for trial in silent():
            beat(study, trial._trial_id, first=trial.number)


def hand_back(study: Study, trial: optuna.Trial) -> None:
    """Leave a trial to other workers: it failed here and is queued to be retried."""
    with quietly():
        if unless_ended(study, trial, lambda: study.optuna.tell(trial, state=TrialState.FAIL)):
            retry()(study.optuna, study.optuna.get_trials()[trial.number])


def unless_ended(study: Study, trial: optuna.Trial, end: Callable[[], object]) -> bool:
    """Call `end`, which ends a trial; tell whether it was still running, and so ours to end.

    Another worker may end it even between the check and the call: while the storage is away, a
    call can wait for longer than the grace.
    """
    if not is_running(study, trial):
        return False
    try:
        end()
    except UpdateFinishedTrialError:
        return False
    except ValueError:  # raised by tell in its place
        if is_running(study, trial):
            raise
        return False
    return True


def is_running(study: Study, trial: optuna.Trial) -> bool:
    """Tell whether no worker has ended a trial."""
    return study.optuna.get_trials(deepcopy=False)[trial.number].state == TrialState.RUNNING
