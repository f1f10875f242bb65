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


@pytest.mark.parametrize(("given", "parallel"), [(0, "true"), (1, "false")])
def test_where_jobs_are_threads_the_one_that_makes_the_tokens_has_all_cores(
    monkeypatch, given, parallel
):
    def chosen() -> str:
        return os.environ["TOKENIZERS_PARALLELISM"]

    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: workers.Threads(count))
    config = ExecutionConfig(workers=2, threads=given, device="cpu")
    with cluster.engine(config) as engine:
        assert engine.submit(chosen).result() == parallel
    assert chosen() == "false"


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
