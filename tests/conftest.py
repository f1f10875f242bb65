"""Check array shapes and types of every call while tests run; share what takes long to make.

Property tests try the same examples every time. To look for new ones, take more of them:
`HYPOTHESIS_PROFILE=long python -m pytest tests/runtime/test_store.py`.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as in `influence.runtime.environment`
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from tests.helpers.shapes import unchecked

# Databases and finished files wait for the disk at every commit. Where there is a file system in
# memory with room for them, tests write there: all of them in seven tenths of the time.
MEMORY, ROOM = Path("/dev/shm"), 6 * 2**30
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))

SHAPED = ("scores", "data.tags.slots", "trace", "scoring", "sampling")
install_import_hook([f"influence.{module}" for module in SHAPED], "beartype.beartype")
CHECKED: set[str] = set()  # test functions of which one test has run in this process


# A test without a number of examples of its own takes that of the profile.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=60)
settings.register_profile("long", deadline=None, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(scope="session")
def tracking_store(tmp_path_factory):
    """An MLflow store of these tests alone, made once: it takes longer than most tests."""
    import mlflow

    from influence.tracking.run import EXPERIMENT

    root = tmp_path_factory.mktemp("store")
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    # Without a place of its own, what is logged would go under the working directory.
    mlflow.create_experiment(EXPERIMENT, artifact_location=(root / "artifacts").as_uri())
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(None)


@pytest.fixture(scope="session")
def compared(tracking_store, tmp_path_factory):
    """A finished main, to be read only; see `tests.helpers.mains`."""
    from tests.helpers import mains

    return mains.compared(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="session")
def grouped(tracking_store, tmp_path_factory):
    """A finished main that judges by groups, to be read only; see `tests.helpers.mains`."""
    from tests.helpers import mains

    return mains.grouped(tmp_path_factory.mktemp("grouped"))


@pytest.fixture(autouse=True)
def shapes_checked_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check shapes in the first test of a function; with its other parameters it costs too much."""
    of = f"{request.node.path}::{getattr(request.node, 'originalname', request.node.name)}"
    with nullcontext() if of not in CHECKED else unchecked():
        yield
    CHECKED.add(of)


@pytest.fixture(autouse=True)
def same_torch() -> Iterator[None]:
    """Begin each test with the same random numbers, and end it with one thread.

    A test must not depend on those that its process ran before. And two processes of two threads,
    which a command has asked for, on two cores make the tests after it ten times slower.
    """
    if torch := sys.modules.get("torch"):
        torch.manual_seed(0)
    yield
    torch = sys.modules.get("torch")
    if torch and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def pytest_xdist_auto_num_workers() -> int:
    """Return how many processes share the tests: one more than cores, as some wait at any time.

    With two of them on two cores all tests take a third longer. Each takes a gigabyte.
    """
    return min((os.cpu_count() or 1) + 1, 8)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that read a finished main next to each other, the first of all.

    Several processes get the tests in large pieces, and each makes the mains that its own tests
    read: in the order of the folders they would all make both.
    """
    mains = ("compared", "grouped")

    def place(item: pytest.Item) -> int:
        fixtures = getattr(item, "fixturenames", ())
        return next((at for at, name in enumerate(mains) if name in fixtures), len(mains))

    items.sort(key=place)


def new_experiment(root: Path) -> str:
    """Make an experiment for one test, where no step is finished yet, and return its name."""
    import mlflow

    mlflow.create_experiment(str(root), artifact_location=(root / "artifacts").as_uri())
    return str(root)


@pytest.fixture
def elsewhere(tracking_store, tmp_path, monkeypatch):
    """Let commands log to an experiment of this test alone, which nothing can be linked from."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", new_experiment(tmp_path))
