"""References to runs lead into their artifacts and nowhere else."""

from pathlib import Path

import mlflow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from influence.errors import InputError
from influence.tracking import operations
from influence.tracking import run as tracking

# MLflow's own use of pandas and SQLAlchemy draws warnings that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


@pytest.fixture(scope="module")
def artifacts(tracking_store) -> Path:
    """The artifacts of a run, beside which lies what is no part of it."""
    # Not by `set_experiment`, which would send the runs of all later tests there.
    number = mlflow.get_experiment_by_name("influence").experiment_id
    with mlflow.start_run(experiment_id=number) as run:
        mlflow.log_text("x", "training/deep/a.txt")
    found = Path(tracking.Run(run.info.run_id).where(""))
    for place in (found.parent, found.parent.parent):
        (place / "secret").mkdir(exist_ok=True)
    return found


def resolve(artifacts: Path, folder: str) -> Path | None:
    """Return where a folder of the run is, None for bad input."""
    try:
        return tracking.resolve(f"runs:/{artifacts.parent.name}/{folder}")
    except InputError:
        return None


def test_a_folder_of_a_run_is_found_where_it_lies(artifacts):
    assert resolve(artifacts, "training") == artifacts / "training"
    assert resolve(artifacts, "training/deep") == artifacts / "training/deep"
    assert resolve(artifacts, "nothing") is None


PARTS = st.sampled_from(
    [
        "..",
        ".",
        "%2e%2e",
        "%2E.",
        "%252e%252e",
        "training",
        "deep",
        "secret",
        "",
        "?x",
        "#",
        "\\..",
        "\0",
    ]
)


@given(st.one_of(st.text(max_size=9), st.lists(PARTS, max_size=7).map("/".join)))
@example("../secret")
@example("training/../../secret")
@example("%2e%2e/secret")
@example("training/%2e%2e/%2e%2e/%2e%2e/secret")
def test_no_reference_leads_outside_of_the_artifacts_of_its_run(artifacts, folder):
    found = resolve(artifacts, folder)
    assert found is None or found.resolve().is_relative_to(artifacts.resolve())


def test_all_runs_are_found_whatever_the_size_of_a_page(tracking_store):
    client = operations.client()
    experiment = client.create_experiment("pages")
    made = {client.create_run(experiment).info.run_id for _ in range(6)}
    for page in range(1, 8):
        found = [run.info.run_id for run in operations.search(experiment, "", page)]
        assert len(found) == 6 and set(found) == made
    none = operations.search(experiment, "attributes.status = 'FAILED'", 1)
    assert list(none) == []
