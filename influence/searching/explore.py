"""The search itself: a study of candidates, shared by any number of workers through its storage.

Every measurement comes through `submit`: a search knows nothing about models, and sees only
validation metrics.
"""

import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import replace
from itertools import takewhile
from typing import Any

import optuna
from optuna.trial import TrialState

from influence.config.parameters import SearchConfig
from influence.runtime.locks import locked
from influence.searching.attempt import (
    FIRST_BEAT,
    Attempt,
    alive,
    beat,
    give_first_beats,
    hand_back,
    unless_ended,
)
from influence.searching.space import STEP, Candidate, Space, answers, suggest
from influence.searching.study import (
    FINISHED,
    RETRIES,
    Study,
    count_finished,
    quietly,
    trial_of,
    trials_of,
)
from influence.searching.trials import (
    ROUNDING,
    Trial,
    is_hopeless,
    next_percent,
    noise,
    pack,
    recommend,
    unpack,
)

REPEATS = 5  # candidates in a row; the last is accepted even if it was tried before
TAKEN_UP = "taken_up"  # attribute of a trial
REPEATED = "tried before"
PAUSE = 0.5  # seconds between checks of a study whose last trials other workers run
Submit = Callable[[Candidate, int], Future]  # the validation metric under seed number 0, 1, ...


def explore(
    study: Study, space: Space, config: SearchConfig, full: Sequence[float], submit: Submit, slots=1
) -> Iterator[Trial]:
    """Yield this worker's trials as they end, until the study as a whole has `config.trials`.

    `full`: the validation metric of the full train set under each of the `config.seeds` seeds. A
    trial gets one seed at a time and is pruned once it is hopeless; `slots` trials run at once. If
    a worker is silent for `config.grace` seconds, another one retries its trial under a new number;
    a worker that is alone resumes the trials left behind, as if it had never stopped.
    """
    attempts: dict[int, Attempt] = {}
    futures: dict[Future, Attempt] = {}

    def begin(attempt: Attempt) -> None:
        attempts[attempt.trial.number] = attempt
        futures[submit(attempt.candidate, len(attempt.values))] = attempt

    with alive(study, config.grace, attempts):
        try:
            for attempt in _left_behind(study, space, config) if study.alone else ():
                begin(attempt)
            while futures or count_finished(study) < config.trials:
                while len(futures) < slots and (attempt := _ask(study, space, config)):
                    begin(attempt)
                if not futures:
                    time.sleep(PAUSE)
                    continue
                for future in wait(futures, return_when=FIRST_COMPLETED).done:
                    attempt = futures.pop(future)
                    if not attempt.add(future.result(), full):
                        del attempts[attempt.trial.number]
                        continue
                    if (state := _verdict(study, attempt, config, full)) is None:
                        begin(attempt)
                        continue
                    del attempts[attempt.trial.number]
                    if not _tell(study, attempt, state, config):
                        continue
                    trial = trial_of(study, attempt.trial.number)
                    _queue_next(study, trial, space, config)
                    yield trial
        finally:
            for attempt in () if study.alone else attempts.values():
                hand_back(study, attempt.trial)


def _ask(study: Study, space: Space, config: SearchConfig) -> Attempt | None:
    """Take a place in the study and ask for a candidate; None if all places are taken."""
    give_first_beats(study)
    with quietly():
        optuna.storages.fail_stale_trials(study.optuna)
    while trial := _take_place(study, config):
        with suppress(optuna.exceptions.UpdateFinishedTrialError):  # silent too long
            if attempt := _propose(study, space, config, trial):
                return attempt
    return None


def _propose(
    study: Study, space: Space, config: SearchConfig, trial: optuna.Trial
) -> Attempt | None:
    """Draw a candidate for a trial; None if the trial is given up.

    A candidate that was tried before, or is being tried now, would add no information: the trial is
    given up, and the next one is drawn at random, since the sampler has settled on this one.
    """
    known, repeats = trials_of(study), _repeats(study, trial)
    asker = _Asker(study, config, trial, settled=repeats > 0)
    with quietly():
        candidate = suggest(space, asker, _lowest(study, trial, known, config))
    if repeats < REPEATS - 1 and pack(candidate) in _candidates(study, trial):
        _give_up(study, trial, REPEATED)
        return None
    trial.set_user_attr("candidate", pack(candidate))
    return Attempt(trial, candidate)


class _Asker:
    """A trial whose every parameter is drawn under a seed of its own.

    A draw then does not depend on those before it: a trial that was interrupted between two of its
    parameters draws the remaining ones as it would have without the interruption.
    """

    def __init__(
        self, study: Study, config: SearchConfig, trial: optuna.Trial, settled: bool
    ) -> None:
        self.trial, self.settled = trial, settled
        self.study, self.seed = study, f"{config.seed} {study.entropy} {trial.number}"
        self._seeded("").relative_params  # noqa: B018  drawn together, now

    def suggest_categorical(self, name: str, choices: Sequence[Any], /) -> Any:
        return self._seeded(name).suggest_categorical(name, choices)

    def suggest_int(self, name: str, low: int, high: int, /, *, step: int = 1) -> int:
        return self._seeded(name).suggest_int(name, low, high, step=step)

    def suggest_float(self, name: str, low: float, high: float, /, *, log: bool = False) -> float:
        return self._seeded(name).suggest_float(name, low, high, log=log)

    def _seeded(self, name: str) -> optuna.Trial:
        kind = optuna.samplers.RandomSampler if self.settled else optuna.samplers.TPESampler
        self.study.optuna.sampler = kind(seed=zlib.crc32(f"{self.seed} {name}".encode()))
        return self.trial


def _left_behind(study: Study, space: Space, config: SearchConfig) -> Iterator[Attempt]:
    """Yield the trials that a killed worker left running, under their old numbers.

    The candidate that follows from its last finished trial is queued first, in case the worker was
    killed before it did so.
    """
    finished = [trial for trial in trials_of(study) if trial.state != "failed"]
    if finished:
        _queue_next(study, max(finished, key=lambda trial: trial.ended), space, config)
    for frozen in study.optuna.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with quietly(), locked(study.locks):
            trial = optuna.Trial(study.optuna, frozen._trial_id)
            beat(study, frozen._trial_id, first=frozen.number)
        times = frozen.user_attrs.get(TAKEN_UP, 0)
        trial.set_user_attr(TAKEN_UP, times + 1)
        packed = frozen.user_attrs.get("candidate")
        if times >= RETRIES:
            hand_back(study, trial)
        elif packed:
            yield Attempt(trial, unpack(packed))
        elif attempt := _propose(study, space, config, trial):
            yield attempt


def _repeats(study: Study, trial: optuna.Trial) -> int:
    """Return how many trials in a row, just before this one, this worker gave up as repeats."""
    everyone = study.optuna.get_trials(deepcopy=False)
    own = [t for t in everyone if t.user_attrs.get(FIRST_BEAT, [0, None])[1] == study.entropy]
    begun = [t for t in own if t.datetime_start and t.number != trial.number]
    begun.sort(key=lambda one: (one.datetime_start, one.number), reverse=True)
    return sum(takewhile(bool, (t.user_attrs.get("given_up") == REPEATED for t in begun)))


def _candidates(study: Study, besides: optuna.Trial) -> list[dict]:
    """Return all candidates that were tried or are being tried in other trials, packed."""
    tried = (*FINISHED, TrialState.RUNNING)
    others = study.optuna.get_trials(deepcopy=False, states=tried)
    packed = (t.user_attrs.get("candidate") for t in others if t.number != besides.number)
    return [candidate for candidate in packed if candidate]


def _lowest(study: Study, trial: optuna.Trial, known: list[Trial], config: SearchConfig) -> int:
    """Return the smallest percent worth asking for; what is queued keeps its own."""
    queued = study.optuna.get_trials(deepcopy=False)[trial.number].system_attrs
    held = recommend(known, config.tolerance) if config.goal == "prune" else None
    return held.percent + STEP if held and "fixed_params" not in queued else 0


def _take_place(study: Study, config: SearchConfig) -> optuna.Trial | None:
    """Return a new or queued trial unless all trials of the study are finished or running.

    Places go by trial number, which the storage assigns one by one: a worker that sees as many
    active trials as there are places before its own steps back, so that workers that ask at the
    same time never run too many.
    """
    everyone = study.optuna.get_trials(deepcopy=False)
    taken = [t for t in everyone if t.state not in (TrialState.FAIL, TrialState.WAITING)]
    if len(taken) >= config.trials:
        return None
    # SQLite locks no rows: two workers would get the same queued trial.
    with locked(study.locks), quietly():
        trial = study.optuna.ask()
        beat(study, trial._trial_id, first=trial.number)
    living = [t for t in study.optuna.get_trials(deepcopy=False) if t.state != TrialState.FAIL]
    if sum(t.number < trial.number for t in living) >= config.trials:
        _give_up(study, trial, "other workers took the last places")
        return None
    return trial


def _give_up(study: Study, trial: optuna.Trial, reason: str) -> None:
    """End a trial that will not be run; no list shows it."""
    trial.set_user_attr("given_up", reason)
    study.optuna.tell(trial, state=TrialState.FAIL)


def _verdict(
    study: Study, attempt: Attempt, config: SearchConfig, full: Sequence[float]
) -> TrialState | None:
    """Return the state in which an attempt ends, None if it should continue."""
    if len(attempt.values) >= config.seeds:
        return TrialState.COMPLETE
    known = trials_of(study)
    known = [trial for trial in known if trial.state != "failed"]
    hopeless = is_hopeless(
        attempt.candidate.percent,
        attempt.differences,
        known,
        config.goal,
        config.tolerance,
        noise(full, known),
    )
    return TrialState.PRUNED if hopeless else None


def _tell(study: Study, attempt: Attempt, state: TrialState, config: SearchConfig) -> bool:
    """End a trial with everything the sampler learns from; tell whether it was still ours to end.

    It is not if this worker was silent for so long (asleep, perhaps) that another one retried it.
    """
    trial, percent = attempt.trial, attempt.candidate.percent
    difference = sum(attempt.differences) / len(attempt.differences)
    worth = {"prune": [percent], "efficiency": [difference / percent]}
    values = worth.get(config.goal, [difference, percent])

    def say_all() -> None:
        if config.goal in worth:
            with quietly():
                trial.report(values[0], len(attempt.values))
            trial.set_constraint("tolerance", -config.tolerance - difference - ROUNDING)
        if state == TrialState.PRUNED:
            study.optuna.tell(trial, state=state)
        else:
            study.optuna.tell(trial, values)

    return unless_ended(study, trial, say_all)


def _queue_next(study: Study, trial: Trial, space: Space, config: SearchConfig) -> None:
    """Queue the candidate of a trial at another percent where that may improve the result.

    The sampler proposes candidates; bisection finds how much each of them can prune.
    """
    percent = next_percent(
        trial, trials_of(study), config.goal, config.tolerance, space.highest, space.lowest
    )
    if percent is not None and trial.candidate is not None:
        parameters = answers(replace(trial.candidate, percent=percent))
        study.optuna.enqueue_trial(parameters, skip_if_exists=True)
