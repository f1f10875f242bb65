"""The wheel: what it holds, and that it runs where there is no repository."""

import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (find_spec("hatchling") and find_spec("pip")), reason="hatchling is not installed"
    ),
]
ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    at = tmp_path_factory.mktemp("wheel")
    how = ("--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(at))
    line = [sys.executable, "-m", "pip", "wheel", *how, str(ROOT)]
    subprocess.run(line, check=True, capture_output=True)
    (built,) = at.glob("*.whl")
    return built


def test_a_wheel_holds_the_package_with_its_data_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"influence"}
    kept = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("influence/**/*.*")}
    assert {name for name in kept if "__pycache__" not in name} <= set(names)
    assert {"influence/py.typed", "influence/report/report.html", "influence/__init__.pyi"} <= {
        *names
    }


def test_an_installed_wheel_has_the_command(wheel, tmp_path):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path)
        (entry,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "influence = influence.__main__:main" in archive.read(entry).decode()
    line = [sys.executable, "-m", "influence", "--help"]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "usage: influence COMMAND" in done.stdout
