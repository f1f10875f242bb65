"""The search on a landscape with a known answer: alone, resumed, with many workers, some killed."""

import itertools
import multiprocessing
import os
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from optuna.trial import TrialState

from influence.errors import InputError
from influence.searching import attempt, trials
from influence.searching import explore as search
from influence.searching import study as search_study
from tests.helpers import landscapes
from tests.helpers.landscapes import FULL, accuracy, config, done, open_study, space

ROOT = Path(__file__).parent.parent.parent


def at_once(candidate, number):
    return done(accuracy(candidate, number))


def explore(study, chosen, submit=at_once, of=None):
    return search.explore(study, of or space(), chosen, FULL, submit)


def states(study) -> Counter:
    return Counter(trial.state for trial in search_study.trials_of(study))


def counted(study) -> int:
    return states(study)["complete"] + states(study)["pruned"]


@pytest.fixture(scope="module", params=["prune", "frontier"])
def searched(request, tmp_path_factory) -> SimpleNamespace:
    """A study of 40 trials by one worker, for each goal.

    The seed is one with which the sampler of a frontier comes upon the answer: about every third.
    """
    chosen = config(goal=request.param, seed=3)
    study = open_study(tmp_path_factory.mktemp("searched"), chosen)
    return SimpleNamespace(
        config=chosen,
        study=study,
        before=search_study.importances(study),
        ended=list(explore(study, chosen)),
    )


def test_the_known_answer_is_found(searched):
    assert len(searched.ended) == counted(searched.study) == 40
    best = trials.recommend(searched.ended, searched.config.tolerance)
    # 0.99 points may go: a tenth of a point per percent beyond 60.
    assert str(best.candidate) == "vog:linear:dataset 65 %"
    if searched.config.goal == "frontier":
        far = [trial for trial in trials.front(searched.ended) if trial.percent > 40]
        assert {str(trial.candidate.arm) for trial in far} == {"vog:linear:dataset"}


def test_the_most_efficient_percent_is_found(tmp_path):
    def submit(candidate, number):
        rate = -1e-4  # gained per percent
        if str(candidate.arm) == "vog:linear:dataset":
            rate = 2e-4 - 1e-7 * (candidate.percent - 70) ** 2
        return done(FULL[number] + rate * candidate.percent)

    chosen = config(goal="efficiency")
    ended = list(explore(open_study(tmp_path, chosen), chosen, submit))
    best = trials.recommend(ended, chosen.tolerance, chosen.goal)
    assert len(ended) == 40 and str(best.candidate) == "vog:linear:dataset 70 %"


def test_nothing_is_tried_twice(searched):
    said = [str(trials.pack(trial.candidate)) for trial in searched.ended]
    assert len(said) == len(set(said))


def test_hopeless_trials_stop_early(searched):
    seeds = {state: set() for state in ("pruned", "complete")}
    for trial in searched.ended:
        seeds[trial.state].add(len(trial.values))
    assert seeds == {"pruned": {1}, "complete": {3}}


def test_importances_need_trials(searched):
    assert searched.before.empty
    found = search_study.importances(searched.study)
    assert found["importance"].between(0, 1).all()
    assert {"rule", "percent_pruned", "score"} <= set(found["parameter"])


def test_random_wins_where_nothing_beats_it(tmp_path):
    chosen = config(rules="random,stratified,hard", trials=20)
    narrow = space(named=("random", "stratified", "hard"))
    study = open_study(tmp_path, chosen, narrow)
    ended = list(explore(study, chosen, of=narrow))
    assert str(trials.recommend(ended, chosen.tolerance).candidate) == "random 45 %"


def test_nothing_is_recommended_where_nothing_holds(tmp_path):
    chosen = config(trials=12)
    ended = list(explore(open_study(tmp_path, chosen), chosen, lambda c, n: done(0.1)))
    assert trials.recommend(ended, chosen.tolerance) is None
    assert {trial.state for trial in ended} == {"pruned"}


def test_where_only_little_can_be_tried_it_is_tried_again_until_the_study_is_complete(tmp_path):
    chosen = config(trials=8)
    narrow = space(named=("random",), lowest=50, highest=60)
    study = open_study(tmp_path, chosen, narrow)
    assert len(list(explore(study, chosen, of=narrow))) == 8


def test_alone_a_study_is_the_same_every_time(tmp_path):
    chosen = config(trials=14)
    first, second = (
        [
            (str(trials.pack(trial.candidate)), trial.state)
            for trial in explore(open_study(tmp_path / name, chosen), chosen)
        ]
        for name in ("first", "second")
    )
    assert first == second


def test_another_seed_is_another_study(tmp_path):
    chosen = config(trials=14)
    other = config(trials=14, seed=1)
    first = list(explore(open_study(tmp_path / "first", chosen), chosen))
    second = list(explore(open_study(tmp_path / "second", other), other))
    assert [str(t.candidate) for t in first] != [str(t.candidate) for t in second]


def test_a_study_stopped_half_way_goes_on_and_ends_with_as_many_trials(tmp_path):
    chosen = config(trials=20)
    begun = explore(open_study(tmp_path, chosen), chosen)
    for _ in range(7):
        next(begun)
    begun.close()
    study = open_study(tmp_path, chosen)
    assert counted(study) == 7
    assert len(list(explore(study, chosen))) == 13
    assert counted(study) == 20
    assert list(explore(study, chosen)) == []


def die_at(write: int, directory: Path, chosen, of) -> None:
    """Search, and end this process without a word instead of writing so often to the storage."""
    count, storage = itertools.count(1), search_study.PatientStorage

    def counting(plain):
        def counted(*arguments, **named):
            if next(count) > write:
                os._exit(9)
            return plain(*arguments, **named)

        return counted

    for name in vars(storage):
        if name.startswith(("set_", "create_new_trial")):
            setattr(storage, name, counting(getattr(storage, name)))
    list(explore(open_study(directory, chosen, of), chosen, of=of))


@pytest.mark.parametrize("goal", ["prune", "frontier"])
def test_a_study_that_was_killed_ends_as_if_it_had_not_been(tmp_path, goal):
    chosen, few = (
        config(trials=10, goal=goal),
        space(named=("random", "stratified"), lowest=40, highest=65),
    )
    whole = open_study(tmp_path / "whole", chosen, few)
    list(explore(whole, chosen, of=few))
    assert any("given_up" in t.user_attrs for t in whole.optuna.get_trials())  # these are tried too
    context, killed = multiprocessing.get_context("fork"), 0
    for write in itertools.count(3, 5):  # each time it comes somewhat further than before
        process = context.Process(target=die_at, args=(write, tmp_path / "half", chosen, few))
        process.start()
        process.join()
        killed += process.exitcode == 9
        if process.exitcode == 0:
            break
    assert killed > 5
    studies = (whole, open_study(tmp_path / "half", chosen, few))
    one, other = (
        [replace(t, started=0, ended=0) for t in search_study.trials_of(s)] for s in studies
    )
    assert one == other


def test_a_larger_number_of_trials_adds_to_a_finished_study(tmp_path):
    study = open_study(tmp_path, config())
    assert len(list(explore(study, config(trials=12)))) == 12
    assert len(list(explore(study, config(trials=15)))) == 3


def test_a_trial_that_was_interrupted_is_taken_up_again(tmp_path):
    chosen = config(trials=12)

    def interrupted(candidate, number):
        if str(candidate.arm) == "stratified":
            raise KeyboardInterrupt
        return done(accuracy(candidate, number))

    study = open_study(tmp_path, chosen)
    other = open_study(tmp_path, chosen)
    with pytest.raises(KeyboardInterrupt):
        list(explore(study, chosen, interrupted))
    assert other.attended is not None and states(study)["failed"] == 1
    list(explore(study, chosen))
    again = [t for t in search_study.trials_of(study) if str(t.candidate.arm) == "stratified"]
    assert [trial.state for trial in again] == ["failed", "pruned"]
    assert counted(study) == 12


def test_the_trials_of_a_worker_run_at_once(tmp_path):
    chosen, widest, running, changed = config(trials=12), 0, 0, threading.Condition()

    def slow(candidate, number):
        nonlocal widest, running
        with changed:
            running += 1
            widest = max(widest, running)
            changed.notify_all()
            changed.wait_for(lambda: widest > 1, timeout=30)
            running -= 1
        return accuracy(candidate, number)

    with ThreadPoolExecutor(3) as pool:
        study = open_study(tmp_path, chosen)
        submit = lambda candidate, number: pool.submit(slow, candidate, number)  # noqa: E731
        ended = list(search.explore(study, space(), chosen, FULL, submit, 3))
    assert len(ended) == counted(study) == 12
    assert 1 < widest <= 3


@pytest.mark.slow
def test_four_workers_two_of_them_killed_lose_no_trial_and_count_none_twice(tmp_path):
    with landscapes.workers(tmp_path, 30, 0.05) as workers:
        for worker in workers[:2]:
            assert worker.stdout.readline()  # it has ended a trial and is at the next
            os.kill(worker.pid, signal.SIGKILL)
        assert [worker.wait(timeout=120) for worker in workers[2:]] == [0, 0]
    study = open_study(tmp_path, config(trials=30))
    assert counted(study) == 30
    assert not study.optuna.get_trials(states=(TrialState.RUNNING,))
    made = Counter((tmp_path / "made").read_text().splitlines())
    assert set(made.values()) == {1}


def test_a_trial_whose_worker_died_before_its_first_beat_is_taken_up_again(tmp_path):
    chosen = config(trials=12)
    study = open_study(tmp_path, chosen)
    other = open_study(tmp_path, chosen)
    with search_study.quietly():
        lost = study.optuna.ask()  # and never heard of again
    ended = list(explore(study, chosen))
    assert counted(study) == len(ended) == 12
    assert other.attended is not None and lost.number not in {trial.number for trial in ended}
    assert not study.optuna.get_trials(states=(TrialState.RUNNING,))


@pytest.mark.parametrize("seen", [True, False])
def test_a_trial_that_others_have_ended_meanwhile_is_let_go(tmp_path, monkeypatch, seen):
    if not seen:  # it was ended between the look and the word
        monkeypatch.setattr(attempt, "is_running", lambda *_: True)
    chosen, study = config(trials=8), open_study(tmp_path, config(trials=8))

    def taken(candidate, number):
        (mine,) = study.optuna.get_trials(states=(TrialState.RUNNING,))
        if mine.number == 2:
            study.optuna.tell(mine.number, state=TrialState.FAIL)
        return at_once(candidate, number)

    assert 2 not in {trial.number for trial in explore(study, chosen, taken)}
    assert counted(study) == 8


def test_a_claim_holds_until_it_is_of_no_use(tmp_path):
    study = open_study(tmp_path, config())
    assert search_study.claim(study, "run", "a", lambda run: True) == "a"
    assert search_study.claim(study, "run", "b", lambda run: True) == "a"
    assert search_study.claim(study, "run", "b", lambda run: run != "a") == "b"


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("sqlite:////nowhere/at/all/studies.db", "unable to open database file"),
        ("postgresql://me:secret@127.0.0.1:1/studies", "storage postgresql://me:"),
        ("not a url", "no SQLAlchemy URL"),
    ],
)
def test_an_unreachable_storage_is_one_sentence_without_its_password(tmp_path, storage, said):
    with pytest.raises(InputError) as error:
        search_study.open_storage(search_study.Meeting(storage, 4, tmp_path, True))
    message = str(error.value)
    assert said in message and "secret" not in message and "\n" not in message


def test_the_landscape_is_what_the_tests_say():
    found = {str(c): accuracy(c, 0) for c in _candidates(landscapes.LIMITS)}
    assert found == {"vog:linear:dataset 65 %": FULL[0] - 0.005, "random 65 %": FULL[0] - 0.025}


def _candidates(arms):
    from influence.sampling.arms import parse_arm
    from influence.searching.space import Candidate

    return [Candidate(parse_arm(arm), 65, 1, {}) for arm in arms]
