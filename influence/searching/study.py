"""A study of candidates in its storage: how workers open or join it, and what it holds.

Trials and their states are read here; `explore` decides what is tried next.
"""

import math
import os
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import optuna
import pandas as pd
from optuna.trial import FrozenTrial, TrialState

from influence.config.steps import RecommendStep, SearchStep
from influence.errors import InputError, first_line
from influence.runtime.locks import Attendance, locked
from influence.searching.storage import PatientStorage
from influence.searching.trials import Trial, unpack

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
RETRIES = 3  # of a trial whose worker was lost; one that kills every worker is given up
AXES = {
    "prune": ("percent pruned",),
    "efficiency": ("difference to the full train set per percent pruned",),
    "frontier": ("difference to the full train set", "percent pruned"),
}
QUEUED = "queued"  # attribute of a study whose queue has been filled


@dataclass
class Study:
    """An open study, and what distinguishes this worker from others."""

    optuna: optuna.Study
    name: str
    entropy: int  # 0 where this worker is alone: a study is then the same every time
    locks: Path
    attended: Attendance | None  # presence of this worker, where all workers are on this machine

    @property
    def alone(self) -> bool:
        """Tell whether no other worker has this study open, as far as can be known."""
        with locked(self.locks):
            return self.attended is not None and self.attended.is_alone()


@contextmanager
def quietly() -> Iterator[None]:
    """Silence warnings about experimental features: tests cover those used here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        warnings.filterwarnings("ignore", "Heartbeat of storage")
        # A retried trial keeps the ranges of its first attempt, and its last report.
        warnings.filterwarnings("ignore", "The reported value is ignored")
        warnings.filterwarnings("ignore", "Inconsistent parameter values")
        yield


class Meeting(NamedTuple):
    """Where the workers of a study meet."""

    url: str  # of the database, as SQLAlchemy has it
    grace: int  # seconds without a sign of life after which a worker counts as lost
    locks: Path  # a directory on this machine in which workers wait for each other
    shared: bool  # whether they may be on other machines


def meeting(config: SearchStep | RecommendStep) -> Meeting:
    """Return where the workers of a study meet: in the workdir unless a storage is named."""
    locks = Path(config.workdir).absolute() / "studies"
    url = config.storage or f"sqlite:///{locks / 'studies.db'}"
    return Meeting(url, config.grace, locks, bool(config.storage))


def open_storage(at: Meeting) -> PatientStorage:
    """Open the database of studies, created if missing.

    Raises InputError if the database cannot be reached.
    """
    from sqlalchemy.exc import SQLAlchemyError

    try:
        with locked(at.locks), quietly():
            return PatientStorage(
                at.url,
                engine_kwargs={"pool_pre_ping": True},  # notices a restart of the server
                heartbeat_interval=max(1, at.grace // 4),
                grace_period=at.grace,
                heartbeat_stale_trial_callback=retry(),
            )
    except InputError:
        raise
    except (SQLAlchemyError, ImportError, OSError, RuntimeError, ValueError) as error:
        reason = first_line(getattr(error, "orig", None) or error)
        raise InputError(f"storage {_safe(at.url)} cannot be used: {reason}") from None


def open_study(
    at: Meeting, name: str, axes: Sequence[str], queue: Sequence[Mapping[str, Any]] = ()
) -> Study:
    """Create the study `name`, with `queue` as its first trials, or join it.

    axes: the names of the values that are maximised.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    kept = open_storage(at)
    with locked(at.locks), quietly():
        there = name in optuna.get_all_study_names(kept)
        attended = None if at.shared else Attendance(at.locks / f"{name}.workers")
        alone = attended is not None and attended.is_alone()
        opened = optuna.create_study(
            storage=kept,
            study_name=name,
            directions=["maximize"] * len(axes),
            load_if_exists=True,
        )
        if QUEUED not in opened.user_attrs:  # set last: its maker may have been killed
            opened.set_metric_names([*axes])
            for parameters in queue:
                opened.enqueue_trial(dict(parameters), skip_if_exists=True)
            opened.set_user_attr(QUEUED, True)
        fresh = not opened.get_trials(deepcopy=False, states=FINISHED)
        others = bool(opened.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        same = alone or (at.shared and not (there and (fresh or others)))
    study = Study(opened, name, 0 if same else os.getpid(), at.locks, attended)
    if attended is not None:
        weakref.finalize(study, attended.leave)
    return study


def trials_of(study: Study) -> list[Trial]:
    """Return every trial that has ended, of any worker."""
    ended = study.optuna.get_trials(deepcopy=False, states=tuple(STATES))
    return [_record(frozen) for frozen in ended if "given_up" not in frozen.user_attrs]


def trial_of(study: Study, number: int) -> Trial:
    """Return an ended trial by its number."""
    return _record(study.optuna.get_trials(deepcopy=False)[number])


def count_finished(study: Study) -> int:
    """Return the number of trials that count: complete and pruned ones."""
    return len(study.optuna.get_trials(deepcopy=False, states=FINISHED))


def claim(study: Study, key: str, value: str, usable: Callable[[str], bool]) -> str:
    """Return what the study stores under `key`; if that is unusable, store and return `value`."""
    with locked(study.locks):
        there = study.optuna.user_attrs.get(key, "")
        if not there or not usable(there):
            study.optuna.set_user_attr(key, value)
            return value
        return there


def importances(study: Study) -> pd.DataFrame:
    """Return parameter and importance (0..1, the largest first) for the difference to full.

    Computed for the parameters that every trial has (rule, percent_pruned) and, together with
    these, for each one that only trials with a score have. A trial stopped early counts with the
    seeds it ran; the table is empty while there are too few trials (PED-ANOVA, Watanabe et al.
    2023, https://arxiv.org/abs/2304.10255).
    """
    ended = [t for t in study.optuna.get_trials(states=FINISHED) if "differences" in t.user_attrs]
    everywhere = ["rule", "percent_pruned"]
    shares = _importances(ended, everywhere)
    for name in ("score", "normalize", "min_per_class"):
        having = [trial for trial in ended if name in trial.params]
        shares |= {name: _importances(having, [*everywhere, name]).get(name, math.nan)}
    rows = [(name, value) for name, value in shares.items() if value == value]
    rows.sort(key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=["parameter", "importance"])


def retry():
    """Return the callback that queues a trial again after its worker was lost."""
    with quietly():
        return optuna.storages.RetryHeartbeatStaleTrialCallback(max_retry=RETRIES)


def _safe(url: str) -> str:
    """Return a URL without its password."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        return "(no SQLAlchemy URL such as sqlite:///studies.db)"


def _record(frozen: FrozenTrial) -> Trial:
    packed: dict[str, Any] = frozen.user_attrs.get("candidate", {})
    started, ended = (
        int(moment.timestamp() * 1000) if moment else 0
        for moment in (frozen.datetime_start, frozen.datetime_complete)
    )
    return Trial(
        frozen.number,
        STATES[frozen.state],
        unpack(packed) if packed else None,
        tuple(frozen.user_attrs.get("values", ())),
        tuple(frozen.user_attrs.get("differences", ())),
        started,
        ended,
    )


def _importances(ended: list[FrozenTrial], parameters: list[str]) -> dict[str, float]:
    """Attribute the loss of accuracy in a temporary study in which every trial is complete."""
    losses = optuna.create_study(direction="minimize")
    ranges = {name: _widest(ended, name) for name in parameters}
    for trial in ended:
        chosen = {name: trial.params[name] for name in parameters}
        loss = -sum(trial.user_attrs["differences"]) / len(trial.user_attrs["differences"])
        losses.add_trial(optuna.create_trial(params=chosen, distributions=ranges, value=loss))
    evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    try:
        with quietly():
            warnings.filterwarnings("error", "The number of trials is too small")
            warnings.filterwarnings("ignore", "Some regimes")
            return optuna.importance.get_param_importances(
                losses, evaluator=evaluator, params=parameters
            )
    except (ValueError, RuntimeError, UserWarning):  # too few trials, or all of them alike
        return {}


def _widest(ended: list[FrozenTrial], name: str) -> Any:
    """Return the widest range that a parameter had; its lower end rises during a search."""
    ranges = [trial.distributions[name] for trial in ended]
    return min(ranges, key=lambda one: getattr(one, "low", 0), default=None)
