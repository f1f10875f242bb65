"""Packages that break where they are imported are one sentence and a command; bugs stay bugs."""

import importlib
import os
import py_compile
import subprocess
import sys
from pathlib import Path

import pytest

from influence import __main__ as command
from influence.errors import InputError
from influence.jobs.processes import Processes
from influence.runtime import packages
from tests.helpers import project

ROOT = Path(__file__).parent.parent.parent


def install(at: Path, name: str, code: str, needs: str = "") -> None:
    """Put a package of version 9.9 into a directory, as pip leaves it."""
    (at / name).mkdir(parents=True)
    (at / name / "__init__.py").write_text(code)
    (at / f"{name}-9.9.dist-info").mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", "Version: 9.9"]
    lines += [f"Requires-Dist: {needs}"] if needs else []
    (at / f"{name}-9.9.dist-info/METADATA").write_text("\n".join(lines) + "\n")


@pytest.fixture
def here(monkeypatch, tmp_path):
    """A directory of packages; this test is a part of the project that imports them."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(packages, "OURS", {*packages.OURS, "tests"})
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("fake")]:
        del sys.modules[name]


def said(name: str) -> str:
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        importlib.import_module(name)
    return packages.unusable(caught.value)


PIP = f"{sys.executable} -m pip"
AGAIN = f"reinstall it: {PIP} install -c {ROOT}/constraints.txt --force-reinstall"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise RuntimeError('operator fake::nms does not exist')", "RuntimeError: operator fake"),
        ("raise ValueError('numpy.dtype size changed, may indicate')", "ValueError: numpy.dtype s"),
        ("raise OSError('libfake.so.12: cannot open shared object')", "OSError: libfake.so.12: ca"),
        ("raise ImportError('fake>=3 is required, but found 2.\\nTry: x')", "ImportError: fake>=3"),
        ("import json\njson.gone", "AttributeError: module 'json' has no attribute 'gone'"),
        ("import fake_gone", "ModuleNotFoundError: No module named 'fake_gone'"),
        ("from json import gone", "ImportError: cannot import name 'gone' from 'json'"),
        ("def run():\n    1 / 0\nrun()", "ZeroDivisionError: division by zero"),
        ("this is no Python", "SyntaxError: invalid syntax"),
    ],
)
def test_a_package_that_breaks_while_it_is_imported_is_named_with_reason_and_command(
    here, code, reason
):
    install(here, "fake", code)
    found = said("fake")
    assert found.startswith(f"fake 9.9 cannot be imported ({reason}")
    assert found.endswith(f"; {AGAIN} fake") and "\n" not in found


def test_what_a_package_imports_only_because_it_is_there_may_go(here):
    install(here, "fake_model", "import fake_vision", needs='fake_vision; extra == "vision"')
    install(here, "fake_vision", "raise RuntimeError('operator does not exist')")
    assert said("fake_model") == (
        "fake_vision 9.9 cannot be imported (RuntimeError: operator does not exist); it is not "
        "needed here, but fake_model imports it because it is installed: "
        f"{PIP} uninstall fake_vision, or install a compatible version"
    )


def test_what_a_package_needs_is_installed_again(here):
    install(here, "fake_model", "import fake_tokens", needs="fake-tokens (>=1)")
    install(here, "fake_tokens", "raise RuntimeError('other version')")
    assert said("fake_model") == (
        f"fake_tokens 9.9 cannot be imported (RuntimeError: other version); {AGAIN} fake_tokens"
    )


def test_what_goes_is_what_was_imported_for_nothing_and_not_what_that_needs(here):
    install(here, "fake_model", "def load():\n    import fake_fast\nload()")
    install(here, "fake_fast", "import fake_kernel", needs="fake_kernel")
    install(here, "fake_kernel", "raise RuntimeError('other CUDA')")
    assert said("fake_model") == (
        "fake_kernel 9.9 cannot be imported (RuntimeError: other CUDA); this is for fake_fast, "
        "which is not needed here, but fake_model imports it because it is installed: "
        f"{PIP} uninstall fake_fast, or install a compatible version"
    )


def test_the_cause_is_told_and_not_what_was_made_of_it(here):
    code = (
        "try:\n    import fake_vision\nexcept Exception as e:\n    raise ImportError('no') from e"
    )
    install(here, "fake_model", code)
    install(here, "fake_vision", "raise RuntimeError('operator does not exist')")
    assert said("fake_model").startswith("fake_vision 9.9 cannot be imported (RuntimeError: op")
    code = "try:\n    import fake_gone\nexcept ImportError:\n    raise RuntimeError('too old')"
    install(here, "fake_old", code)
    assert said("fake_old").startswith("fake_old 9.9 cannot be imported (RuntimeError: too old)")


def test_a_directory_that_no_package_brought_is_told(here):
    (here / "fake").mkdir()
    (here / "fake/__init__.py").write_text("from json import gone")
    reason = "ImportError: cannot import name 'gone' from 'json'"
    found = said("fake")
    assert found.startswith(f"fake ({here}/fake/__init__.py) cannot be imported ({reason}")
    assert found.endswith("no installed package has it: remove it from the path, or rename it")


def test_a_package_that_is_not_installed_is_told(here):
    with pytest.raises(ImportError) as caught:
        importlib.import_module("fake_gone")
    assert packages.unusable(caught.value) == (
        f"the module 'fake_gone' is not installed for {sys.executable}; install what this project "
        f"needs: {PIP} install -c {ROOT}/constraints.txt -e {ROOT}"
    )


def test_an_installed_wheel_is_completed_by_its_name(here, monkeypatch):
    checkout = f"{PIP} install -c {ROOT}/constraints.txt -e '{ROOT}[ray]'"
    assert packages.installation("ray") == checkout
    monkeypatch.setattr(packages, "ROOT", here)  # as site-packages: without a project
    assert packages.installation("ray") == f"{PIP} install 'influence-sampling[ray]'"
    assert said("fake_gone").endswith(f"project needs: {PIP} install influence-sampling")


def test_a_name_that_a_package_does_not_have_is_told(here):
    install(here, "fake", "")
    with pytest.raises(ImportError) as caught:
        from fake import gone  # noqa: F401  # pyright: ignore[reportMissingImports]
    found = packages.unusable(caught.value)
    assert found.startswith("fake 9.9 is incompatible (ImportError: cannot import name 'gone' from")
    assert found.endswith(f"{AGAIN} fake")


def test_what_a_package_misses_later_is_told(here):
    install(here, "fake", "def load():\n    raise ImportError('Load needs the fast library.')")
    import fake  # pyright: ignore[reportMissingImports]

    with pytest.raises(ImportError) as caught:
        fake.load()
    assert packages.unusable(caught.value) == (
        "fake 9.9 lacks a package that it needs here (ImportError: Load needs the fast "
        "library); install it"
    )


def test_a_module_that_python_was_built_without_is_told(here, monkeypatch):
    monkeypatch.setitem(sys.modules, "lzma", None)
    monkeypatch.setitem(sys.modules, "_lzma", None)
    install(here, "fake", "import _lzma")
    assert said("fake") == (
        f"the Python of {sys.executable} has no module '_lzma', which fake 9.9 needs; use a "
        "Python that was built with it"
    )


# Files in the way, settings and damage


SHADOWS = {
    "a script of that name": "import fake as f\nf.Frame",
    "names that are not there": "",
    "something that fails": "1 / 0",
    "no Python": "this is no Python",
    "NUL bytes": "\0\0\0",
}


@pytest.mark.parametrize("code", SHADOWS.values(), ids=SHADOWS)
@pytest.mark.parametrize("use", ["from fake import Frame", "import fake\nfake.Frame"])
def test_a_file_in_the_way_of_a_package_is_named_and_not_the_package(here, monkeypatch, code, use):
    install(here / "installed", "fake", "Frame = 1")
    (here / "shadow").mkdir()
    (here / "shadow/fake.py").write_text(code)
    monkeypatch.syspath_prepend(here / "installed")
    exec(use, {"__name__": "tests.code"})
    del sys.modules["fake"]
    monkeypatch.syspath_prepend(here / "shadow")
    right = (
        f"fake is imported from {here}/shadow/fake.py, not from the installed 9.9: rename it or "
    )
    for place, way_out in (
        (f"{here}/shadow", "remove it from PYTHONPATH"),
        ("", "start the command in another directory"),
    ):
        monkeypatch.setenv("PYTHONPATH", place)
        with pytest.raises(Exception) as caught:  # noqa: B017, PT011
            exec(compile(use, __file__, "exec"), {"__name__": "tests.code"})
        assert packages.unusable(caught.value) == right + way_out
        sys.modules.pop("fake", None)


def test_a_file_in_the_way_is_named_whoever_imports_it(here, monkeypatch):
    install(here / "installed", "fake", "from fake.parts import Frame")
    install(here / "installed", "fake_model", "import fake.parts", needs="fake")
    (here / "shadow").mkdir()
    (here / "shadow/fake.py").write_text("x = 1")
    monkeypatch.syspath_prepend(here / "installed")
    monkeypatch.syspath_prepend(here / "shadow")
    assert said("fake_model").startswith(
        f"fake is imported from {here}/shadow/fake.py, not from the"
    )


def test_a_file_in_the_way_of_a_module_of_python_is_named(here, monkeypatch):
    monkeypatch.setattr(packages, "_is_standard", lambda module: module in ("wave", "json"))
    (here / "wave.py").write_text("x = 1")
    monkeypatch.delitem(sys.modules, "wave", raising=False)
    with pytest.raises(ImportError) as caught:
        exec("from wave import Wave_read", {"__name__": "tests.code"})
    assert packages.unusable(caught.value).startswith(
        f"wave is imported from {here}/wave.py, not from Python itself: rename it or "
    )
    del sys.modules["wave"]


def test_a_package_that_is_developed_elsewhere_is_in_nobody_s_way(here, monkeypatch):
    install(here / "installed", "fake", "")
    (here / "installed/fake/__init__.py").unlink()
    (here / "installed/fake").rmdir()
    (here / "source/fake").mkdir(parents=True)
    (here / "source/fake/__init__.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(here / "installed")
    monkeypatch.syspath_prepend(here / "source")
    assert said("fake").startswith("fake 9.9 cannot be imported (ZeroDivisionError: division by ze")


def test_a_setting_that_a_package_cannot_read_is_named_without_its_value(here, monkeypatch):
    monkeypatch.setenv("FAKE_LEVEL", "quiet")
    monkeypatch.setenv("FAKE_OTHER", "loud")
    install(here, "fake", "raise ValueError(\"Unknown level: 'QUIET'\")")
    assert said("fake") == (
        "fake 9.9 cannot be imported (ValueError: Unknown level: 'QUIET'); correct or unset "
        "FAKE_LEVEL in the environment"
    )
    monkeypatch.setenv("FAKE_LEVEL", "normal")
    assert said("fake").endswith(f"{AGAIN} fake")


@pytest.mark.parametrize(
    "use",
    ["import fake.part", "from fake import part", "from fake.part import x", "import fake_on"],
)
def test_a_file_of_nul_bytes_is_named_by_its_package(here, use):
    install(here, "fake", "")
    install(here, "fake_on", "from fake import part", needs="fake")
    (here / "fake/part.py").write_bytes(bytes(100))
    with pytest.raises(SyntaxError) as caught:
        exec(compile(use, __file__, "exec"), {"__name__": "tests.code"})
    assert packages.unusable(caught.value) == (
        "fake 9.9 cannot be imported (SyntaxError: source code string cannot contain null bytes); "
        f"{AGAIN} fake"
    )


def test_a_compiled_file_that_was_cut_off_is_named_by_its_package(here):
    install(here, "fake", "x = 1")
    path = Path(py_compile.compile(str(here / "fake/__init__.py")))
    path.write_bytes(path.read_bytes()[:20])
    assert said("fake").startswith("fake 9.9 cannot be imported (EOFError: marshal data too short)")


def test_a_script_that_a_package_runs_is_no_import_that_failed(here):
    code = "def run():\n    exec(compile('1 / 0', 'env.py', 'exec'), {'__name__': 'env_py'})"
    install(here, "fake", code)
    import fake  # pyright: ignore[reportMissingImports]

    with pytest.raises(ZeroDivisionError) as caught:
        fake.run()
    assert packages.unusable(caught.value) == ""


# Bugs


def fails(here: Path, code: str) -> str:
    """What is said of code of ours, run when the fake package is there."""
    install(
        here, "fake", "def call(function):\n    function()\ndef own():\n    raise KeyError('x')"
    )
    install(here, "fake_broken", "raise RuntimeError('broken')")
    with pytest.raises(Exception) as caught:  # noqa: B017, PT011
        exec(compile(code, __file__, "exec"), {"__name__": "tests.code"})
    return packages.unusable(caught.value)


@pytest.mark.parametrize(
    "code",
    [
        "import json\njson.gone",
        "import influence.gone",
        "from influence import gone",
        "from influence.errors import gone",
        "import fake\nfake.gone",
        "import fake\nfake.own()",
        "import fake\nfake.call(lambda: [][1])",
        "import fake\nfake.call(1)",
        "try:\n    import fake_broken\nexcept RuntimeError:\n    [][1]",
        "try:\n    import fake_gone\nexcept ImportError:\n    [][1]",
        "compile('this is no Python', '<text>', 'exec')",
        "from influence.errors import InputError\nraise InputError('bad')",
        "from influence.errors import InputError\n"
        "try:\n    import fake_gone\nexcept ImportError:\n    raise InputError('extra') from None",
    ],
)
def test_a_bug_of_ours_is_none_of_a_package(here, code):
    assert fails(here, code) == ""


def test_a_file_of_ours_that_is_no_python_is_a_bug(here, monkeypatch):
    monkeypatch.setattr(packages, "OURS", {*packages.OURS, "fake_own"})
    install(here, "fake_own", "this is no Python")
    assert said("fake_own") == ""


def test_input_is_not_blamed_for_a_package_that_broke(here):
    wrapped = "from influence.errors import InputError\ntry:\n    import fake_broken\n"
    wrapped += "except RuntimeError:\n    raise InputError('unknown model') from None"
    assert fails(here, wrapped).startswith("fake_broken 9.9 cannot be imported (RuntimeError: bro")


# Processes


def do(name: str) -> None:
    """A job of a worker."""
    importlib.import_module(name)


def ready(threads: int) -> None:
    """Prepare nothing."""


def test_a_worker_tells_of_a_broken_package(here):
    install(here, "fake", "raise RuntimeError('operator does not exist')")
    pool = Processes(2, ready, 1)
    try:
        with pytest.raises(InputError, match="fake 9.9 cannot be imported .RuntimeError: operator"):
            pool.submit(do, "fake").result()
        with pytest.raises(KeyError):
            pool.submit(dict().__getitem__, "fake").result()
    finally:
        pool.close(now=True)


def started(at: Path, step: str, **given) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", f"entrypoints.{step}", *project.flags(given)]
    path = os.pathsep.join([str(at), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": path, "MLFLOW_DISABLE_TELEMETRY": "true"}
    return subprocess.run(command, cwd=at, env=environment, capture_output=True, text=True)


def test_a_command_says_one_sentence_of_a_vision_library_for_another_torch(tmp_path):
    install(
        tmp_path, "torchvision", "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    given = {"dataset": "assistant:600", "model": "tiny", "workdir": tmp_path / "w", "track": False}
    done = started(tmp_path, "train", **given)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1] == (
        "influence: torchvision 9.9 cannot be imported (RuntimeError: operator torchvision::nms "
        "does not exist); it is not needed here, but transformers imports it because it is "
        f"installed: {PIP} uninstall torchvision, or install a compatible version"
    )
    assert "Traceback" not in done.stderr


def test_a_command_says_one_sentence_where_nothing_is_installed(tmp_path):
    bare = [sys.executable, "-S", "-m", "entrypoints.train"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
    done = subprocess.run(bare, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert " is not installed for " in done.stderr and "pip install" in done.stderr


def test_a_command_blames_the_package_and_not_the_model(here, monkeypatch, capsys):
    install(here, "fake", "raise RuntimeError('operator does not exist')")

    def main(config) -> None:
        try:
            importlib.import_module("fake")
        except RuntimeError as error:
            raise InputError(f"unknown model: {error}") from None

    monkeypatch.setattr(sys, "argv", ["train"])
    with pytest.raises(SystemExit) as caught:
        command.run("train", main)
    assert caught.value.code == 2
    said = capsys.readouterr().err
    assert said.startswith("influence: fake 9.9 cannot be imported") and "unknown model" not in said
