"""Workers end with what they work for."""

import dataclasses
import multiprocessing
import os
import signal
import sys
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest

from influence.config.parameters import ExecutionConfig
from influence.errors import InputError, Terminated
from influence.runtime import engine as cluster
from influence.runtime import workers


@pytest.mark.parametrize("reason", [KeyboardInterrupt, Terminated])
def test_who_interrupts_does_not_wait_for_running_jobs(tmp_path, reason):
    begun = tmp_path / "begun"
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with pytest.raises(reason), cluster.engine(config) as engine:
        engine.submit(_last_an_hour, begun)
        while not begun.exists():
            time.sleep(0.05)
        raise reason
    assert not multiprocessing.active_children()


def test_any_other_error_waits_for_them(tmp_path):
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with pytest.raises(ValueError), cluster.engine(config) as engine:
        engine.submit(_last_a_moment, begun, ended)
        while not begun.exists():
            time.sleep(0.05)
        raise ValueError
    assert ended.exists()


def test_a_lost_worker_s_job_is_done_again_and_none_twice(tmp_path, capfd):
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with cluster.engine(config) as engine:
        jobs = [(tmp_path, number) for number in range(6)]
        found = dict(engine.run(_lose_the_third_once, jobs, "jobs"))
        alone = engine.submit(_lose_the_third_once, tmp_path, 7).result()
    assert found == {number: number**2 for number in range(6)} and alone == 49
    assert capfd.readouterr().err.count("a worker process was lost") == 1
    begun = sorted(path.name for path in tmp_path.iterdir())
    assert begun.count("lost") == 1 and {f"done-{number}" for number in range(6)} < set(begun)


def test_results_come_in_the_order_of_jobs_whoever_is_the_quickest(tmp_path):
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with cluster.engine(config) as engine:
        jobs = [(tmp_path, number) for number in range(4)]
        found = list(engine.run(_end_the_first_last, jobs, "jobs"))
    assert found == [(number, number**2) for number in range(4)]


def test_a_job_that_costs_every_worker_its_life_is_given_up(tmp_path):
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with cluster.engine(config) as engine, pytest.raises(BrokenProcessPool):
        engine.submit(_die, tmp_path).result()
    assert len([*tmp_path.iterdir()]) == workers.CHANCES


def test_an_error_of_a_job_is_its_own_and_drops_the_others(tmp_path):
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with cluster.engine(config) as engine, pytest.raises(InputError, match="number 2"):
        list(engine.run(_refuse_the_third, [(tmp_path, number) for number in range(50)], "jobs"))
    assert len([*tmp_path.iterdir()]) < 10


def test_without_ray_a_cluster_is_answered_in_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"optional extra: .*\[ray\]"), cluster.engine(ON_RAY):
        raise AssertionError("no engine")


@pytest.mark.ray
def test_jobs_on_ray_lose_no_worker_s_job_and_raise_their_own_errors(tmp_path):
    pytest.importorskip("ray")
    with cluster.engine(ON_RAY) as engine:
        assert engine.workers == 2
        jobs = [(tmp_path, number) for number in range(6)]
        found = dict(engine.run(_lose_the_third_once, jobs, "jobs"))
        assert found == {number: number**2 for number in range(6)}
        assert (tmp_path / "lost").exists()
        with pytest.raises(InputError) as raised:
            list(engine.run(_refuse_the_third, jobs, "jobs"))
        assert str(raised.value) == "number 2"


@pytest.mark.ray
def test_workers_of_a_cluster_tell_whether_they_have_a_device():
    pytest.importorskip("ray")
    absent = dataclasses.replace(ON_RAY, device="cuda:99")
    with pytest.raises(InputError, match="'cuda:99' is not there"), cluster.engine(absent):
        raise AssertionError("no engine")


def test_only_workers_elsewhere_are_asked_what_they_have():
    there: Future = Future()
    there.set_result("theirs")
    elsewhere = SimpleNamespace(local=False, submit=lambda function, *arguments: there)
    assert cluster.Engine("cpu", elsewhere).ask(len, "four") == "theirs"
    local = SimpleNamespace(local=True)
    assert [cluster.Engine("cpu", pool).ask(len, "four") for pool in (local, None)] == [4, 4]


ON_RAY = ExecutionConfig(cluster="auto", workers=2, threads=1, device="cpu")


def _lose_the_third_once(root, number):
    if number == 2 and not (root / "lost").exists():
        (root / "lost").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (root / f"done-{number}").touch()
    return number**2


def _end_the_first_last(root, number):
    while number == 0 and not all((root / str(other)).exists() for other in (1, 2, 3)):
        time.sleep(0.01)
    (root / str(number)).touch()
    return number**2


def _refuse_the_third(root, number):
    (root / str(number)).touch()
    if number == 2:
        raise InputError("number 2")


def _die(root):
    (root / str(time.monotonic_ns())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _last_an_hour(begun):
    begun.touch()
    time.sleep(3600)


def _last_a_moment(begun, ended):
    begun.touch()
    time.sleep(0.5)
    ended.touch()


def test_threads_do_the_jobs_of_a_gpu_and_those_begun_before_they_are_asked_for(monkeypatch):
    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: workers.Threads(count))
    done: list[int] = []

    def job(number: int) -> int:
        time.sleep(0.02 * (number % 3))
        done.append(number)
        return number**2

    with cluster.engine(ExecutionConfig(workers=3, threads=1, device="cpu")) as engine:
        jobs = [(number,) for number in range(7)]
        engine.begin(job, jobs)
        while len(done) < 7:  # though nobody has asked for one
            time.sleep(0.01)
        assert list(engine.run(job, jobs, "jobs")) == [(n, n**2) for n in range(7)]
        assert list(engine.run(job, [(7,)], "one")) == [(0, 49)]
    assert sorted(done) == list(range(8))  # none twice


def test_processes_get_no_job_before_it_is_asked_for(tmp_path):
    with cluster.engine(ExecutionConfig(workers=2, threads=1, device="cpu")) as engine:
        engine.begin(_lose_the_third_once, [(tmp_path, 1)])
        assert not engine.begun


def test_threads_that_train_end_at_once_when_interrupted(monkeypatch):
    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: workers.Threads(count))
    ended = []

    def job() -> None:
        workers.stopping.wait(60)
        ended.append(workers.stopping.is_set())

    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with pytest.raises(KeyboardInterrupt), cluster.engine(config) as engine:
        running = [engine.submit(job) for _ in range(5)]
        raise KeyboardInterrupt
    assert ended == [True] * len(ended) and any(one.cancelled() for one in running)
    with cluster.engine(config):  # another command of this process
        assert not workers.stopping.is_set()


def test_threads_share_what_is_held_for_a_few_kinds_of_jobs():
    made = []

    def load(name: str) -> str:
        made.append(name)
        return name.upper()

    pool = workers.Threads(2)
    names = ["a", "b", "a", "b", "c", "a"]
    assert [pool.submit(cluster.hold, load, name).result() for name in names] == list("ABABCA")
    assert made == ["a", "b", "c"]
    cluster.let_go()
    pool.close(now=False)
