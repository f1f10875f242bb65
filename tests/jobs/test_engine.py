"""Workers end with what they work for."""

import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
import time
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest

from influence.config.parameters import ExecutionConfig
from influence.errors import InputError, Terminated
from influence.jobs import engine as cluster
from influence.jobs.gpus import Gpus, Threads, stopping
from influence.jobs.workers import CHANCES


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

    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: Threads(count))
    config = ExecutionConfig(workers=2, threads=given, device="cpu")
    with cluster.engine(config) as engine:
        assert engine.submit(chosen).result() == parallel
    assert chosen() == "false"


def test_a_job_that_costs_every_worker_its_life_is_given_up(tmp_path):
    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with cluster.engine(config) as engine, pytest.raises(BrokenProcessPool):
        engine.submit(_die, tmp_path).result()
    assert len([*tmp_path.iterdir()]) == CHANCES


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
    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: Threads(count))
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


def test_processes_do_jobs_before_they_are_asked_for_and_one_that_is_lost_again(tmp_path, capfd):
    with cluster.engine(ExecutionConfig(workers=2, threads=1, device="cpu")) as engine:
        jobs = [(tmp_path, number) for number in range(6)]
        engine.begin(_lose_the_third_once, jobs)
        while len(list(tmp_path.glob("done-*"))) < 6:  # though nobody has asked for one
            time.sleep(0.01)
        assert list(engine.run(_lose_the_third_once, jobs, "jobs")) == [(n, n**2) for n in range(6)]
    assert capfd.readouterr().err.count("its job is repeated") == 1


def test_workers_have_the_environment_of_the_command_that_starts_them(monkeypatch):
    # They are forks of a server that may have started before the variable was set.
    for value in ("first", "second"):
        monkeypatch.setenv("INFLUENCE_TRIED", value)
        with cluster.engine(ExecutionConfig(workers=2, threads=1, device="cpu")) as engine:
            jobs = [("INFLUENCE_TRIED",)] * 2
            assert list(engine.run(os.getenv, jobs, "jobs")) == [(0, value), (1, value)]


def test_processes_begin_nothing_more_once_they_are_closed(tmp_path):
    with cluster.engine(ExecutionConfig(workers=2, threads=1, device="cpu")) as engine:
        some = [(tmp_path / f"begun {n}", tmp_path / f"ended {n}") for n in range(6)]
        engine.begin(_last_a_moment, some)
        while not list(tmp_path.glob("begun *")):
            time.sleep(0.01)
    assert 0 < len(list(tmp_path.glob("ended *"))) < 6  # what was begun was not cut off
    assert len(list(tmp_path.glob("ended *"))) == len(list(tmp_path.glob("begun *")))


def test_threads_that_train_end_at_once_when_interrupted(monkeypatch):
    monkeypatch.setattr(cluster, "_pool", lambda device, count, threads: Threads(count))
    ended = []

    def job() -> None:
        stopping.wait(60)
        ended.append(stopping.is_set())

    config = ExecutionConfig(workers=2, threads=1, device="cpu")
    with pytest.raises(KeyboardInterrupt), cluster.engine(config) as engine:
        running = [engine.submit(job) for _ in range(5)]
        raise KeyboardInterrupt
    assert ended == [True] * len(ended) and any(one.cancelled() for one in running)
    with cluster.engine(config):  # another command of this process
        assert not stopping.is_set()


def test_threads_share_what_is_held_for_a_few_kinds_of_jobs():
    made = []

    def load(name: str) -> str:
        made.append(name)
        return name.upper()

    pool = Threads(2)
    names = ["a", "b", "a", "b", "c", "a"]
    assert [pool.submit(cluster.hold, load, name).result() for name in names] == list("ABABCA")
    assert made == ["a", "b", "c"]
    cluster.let_go()
    pool.close(now=False)


@pytest.fixture
def gpus(monkeypatch):
    """Pretend two GPUs, each with a process of three threads."""

    def pool(device: str, count: int, threads: int) -> Gpus:
        return Gpus(2, count, cluster._prepare, threads)

    monkeypatch.setattr(cluster, "_pool", pool)
    return ExecutionConfig(workers=3, threads=1, device="cpu")


def test_each_gpu_has_a_process_with_threads(gpus, tmp_path):
    with cluster.engine(gpus) as engine:
        assert engine.workers == 6
        jobs = [(tmp_path, number) for number in range(12)]
        engine.begin(_where, jobs[6:])
        found = list(engine.run(_where, jobs, "jobs"))
    assert [position for position, _ in found] == list(range(12))
    assert {gpu for _, (gpu, *_) in found} == {"0", "1"}
    assert len({process for _, (_, process, _) in found}) == 2
    assert len({(process, thread) for _, (_, process, thread) in found}) == 6


def test_the_jobs_of_a_lost_gpu_process_are_repeated(gpus, tmp_path, capfd):
    with cluster.engine(gpus) as engine:
        jobs = [(tmp_path, number) for number in range(8)]
        found = dict(engine.run(_lose_the_third_once, jobs, "jobs"))
    assert found == {number: number**2 for number in range(8)}
    assert "a GPU's process was lost" in capfd.readouterr().err


def test_an_error_on_a_gpu_is_that_of_the_job(gpus, tmp_path):
    with pytest.raises(InputError, match="no such thing"), cluster.engine(gpus) as engine:
        list(engine.run(_refuse, [(1,), (2,)], "jobs"))


def test_gpu_processes_end_when_interrupted(gpus, tmp_path):
    begun = tmp_path / "begun"
    with pytest.raises(KeyboardInterrupt), cluster.engine(gpus) as engine:
        engine.submit(_last_an_hour, begun)
        while not begun.exists():
            time.sleep(0.05)
        raise KeyboardInterrupt
    assert not multiprocessing.active_children()


def _where(meeting, number: int) -> tuple[str, int, int]:
    """Wait until six jobs are under way, and say where this one is."""
    (meeting / str(number)).touch()
    while len(list(meeting.iterdir())) < 6:
        time.sleep(0.01)
    return os.environ["CUDA_VISIBLE_DEVICES"], os.getpid(), threading.get_ident()


def _refuse(number: int) -> None:
    raise InputError("no such thing")
