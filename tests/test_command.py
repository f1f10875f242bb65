"""The command `influence`, as a user types it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import influence
from influence import __main__ as command
from influence.config.commands import COMMANDS
from influence.config.parser import parse_command
from influence.errors import InputError
from tests.helpers import tiny

ROOT = Path(__file__).parent.parent


@pytest.fixture
def typed(monkeypatch, capsys):
    """Run a command line in this process; return its exit status and what it wrote."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["influence", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


@pytest.mark.parametrize("arguments", [(), ("--help",), ("-h",), ("help",)])
def test_help_is_one_screen_with_the_flow_and_an_example(typed, arguments):
    status, said, _ = typed(*arguments)
    lines = said.splitlines()
    assert status == 0 and len(lines) <= 30 and max(map(len, lines)) <= 80
    assert all(re.search(rf"^  {name} ", said, re.MULTILINE) for name in COMMANDS)
    assert "influence compare path/to/folder" in said


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_has_its_groups_and_fits_80_columns(typed, name):
    status, said, _ = typed(name, "--help")
    kind = COMMANDS[name]
    groups = dict.fromkeys(kind.group(field.name) for field in kind.fields[1:])
    assert status == 0 and said.startswith(f"usage: influence {name} ")
    assert max(map(len, said.splitlines())) <= 80
    assert all(f"\n{group}:\n" in said for group in groups)
    assert list(groups)[-1] == "execution"
    flags = set(re.findall(r"^  --(\w+)", said, re.MULTILINE))
    assert flags == {field.name for field in kind.fields[1:]}


def test_help_takes_the_name_of_a_command(typed):
    assert typed("help", "compare") == typed("compare", "--help")


def test_version(typed):
    assert typed("--version") == (0, f"influence {influence.__version__}\n", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tran",), "there is no command 'tran'; did you mean train?"),
        (("xyz",), "there is no command 'xyz'; there is compare, train"),
        (("compare", "--epoch", "3"), "compare has no parameter 'epoch'; did you mean epochs?"),
        (("compare", "--arm", "x"), "compare has no parameter 'arm'; did you mean arms?\n"),
        (("compare", "--text", "x"), "no parameter 'text'; did you mean text_column?\n"),
        (("help", "tran"), "there is no command 'tran'; did you mean train?"),
        (("compare",), "compare needs dataset: hub id, folder of "),
        (("train", "--epochs", "5"), "train needs dataset: hub id, folder of "),
        (("compare", "here", "--arms", ","), "arms lists no arm; write score:rule[:normalize]"),
        (("compare", "--study", "x"), "compare has no parameter 'study'"),
        (("train", "a", "b"), "train does not take 'b'"),
        (("train", "a", "--dataset", "b"), "dataset is given twice, as 'a' and as 'b'"),
        (("train", "a", "--epochs"), "argument --epochs: expected one argument"),
        (("score",), "score needs training: "),
        (("study",), "study needs study: study file that sets other parameters, such as "),
        (("sample", "nowhere", "--track", "false"), "there is no directory"),
        (("search", "here", "--epochs", "5"), "epochs=5 cannot be followed"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_status_2(typed, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    status, out, error = typed(*arguments)
    assert (status, out) == (2, "") and said in error
    assert error.startswith("influence: ") and error.count("\n") == 1


@pytest.mark.parametrize("name", COMMANDS)
def test_the_input_needs_no_flag_and_may_follow_the_parameters(name):
    first = COMMANDS[name].given[0]
    for arguments in (["here"], ["--seed", "3", "here"], [f"--{first}", "here"]):
        if "--seed" in arguments and name in ("score", "evaluate"):
            continue
        assert getattr(parse_command(COMMANDS[name], arguments), first) == "here"
    with pytest.raises(InputError, match="twice"):
        parse_command(COMMANDS[name], ["here", f"--{first}", "there"])


def test_each_step_prints_what_the_next_one_reads(typed, tmp_path, capsys):
    here = ("--workdir", tmp_path, "--workers", 1, "--threads", 1, "--track", "false")
    fast = [part for name, value in tiny.FAST.items() for part in (f"--{name}", str(value))]
    status, training, _ = typed("train", tiny.write(tmp_path / "a", tiny.frames()), *fast, *here)
    assert status == 0 and Path(training.strip()).is_dir()
    status, scores, _ = typed("score", training.strip(), "--score", "el2n", *here)
    status, sample, _ = typed("sample", scores.strip(), "--arm", "el2n:easy", *here)
    assert status == 0 and influence.load(sample.strip()).arm == "el2n:easy"


def test_it_runs_as_a_module_from_anywhere(tmp_path):
    line = [sys.executable, "-m", "influence", "--version"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
