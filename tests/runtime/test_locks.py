"""A held file ends with its process, and keeps others out until then."""

import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from influence.errors import InputError
from influence.runtime.locks import Attendance, held, is_alive, locked

HOLDING = """
import sys
from pathlib import Path
from influence.runtime.locks import Attendance, locked
holding = Attendance(Path(sys.argv[1]))
with locked(Path(sys.argv[1]).parent / "directory"):
    print(holding.is_alone(), flush=True)
    sys.stdin.read()
"""


def _hold(directory, seconds, log):
    with locked(directory), open(log, "a") as file:
        file.write("in ")
        file.flush()
        time.sleep(seconds)
        file.write("out ")


def test_two_processes_do_not_hold_one_directory(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_hold, args=(tmp_path / "d", 0.2, tmp_path / "log"))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert (tmp_path / "log").read_text() == "in out in out "


def test_attendance_is_seen_by_others_and_ends_with_the_process(tmp_path):
    line = [sys.executable, "-c", HOLDING, str(tmp_path / "here")]
    pipe = subprocess.PIPE
    with subprocess.Popen(line, stdin=pipe, stdout=pipe, text=True) as other:
        assert other.stdout and other.stdout.readline() == "True\n"
        mine = Attendance(tmp_path / "here")
        assert not mine.is_alone()
        assert is_alive(tmp_path / "directory/.lock")
        other.kill()
        other.wait()
    with locked(tmp_path / "directory"):
        assert mine.is_alone()
    assert [*(tmp_path / "here").iterdir()] == [mine.file]
    mine.leave()
    assert not any((tmp_path / "here").iterdir())


def test_two_in_one_process_see_each_other(tmp_path):
    one, two = Attendance(tmp_path), Attendance(tmp_path)
    assert not one.is_alone() and not two.is_alone()
    two.leave()
    assert one.is_alone()


def test_a_lock_file_stays_and_has_the_permissions_of_any_other(tmp_path):
    (tmp_path / "usual").touch()
    with held(tmp_path / "a/lock"):
        assert is_alive(tmp_path / "a/lock")
    assert not is_alive(tmp_path / "a/lock")
    assert os.stat(tmp_path / "a/lock").st_mode == os.stat(tmp_path / "usual").st_mode


def test_a_directory_that_cannot_be_made_is_said_in_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    said = "file/x cannot be written .*; choose another workdir"
    with pytest.raises(InputError, match=said), locked(tmp_path / "file/x"):
        pass
