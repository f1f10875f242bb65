"""Workers end with what they work for."""

import multiprocessing
import time

import pytest

from influence import cluster
from influence.config import ExecutionConfig
from influence.errors import Terminated


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


def _last_an_hour(begun):
    begun.touch()
    time.sleep(3600)


def _last_a_moment(begun, ended):
    begun.touch()
    time.sleep(0.5)
    ended.touch()
