"""Check array shapes and types of every call while tests run; give tests a tracking store."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import pytest
from jaxtyping import install_import_hook

SHAPED = ("scores", "specs", "planning", "ranking", "rules", "sampling", "slots", "gradients")
install_import_hook([f"influence.{module}" for module in SHAPED], "beartype.beartype")


@pytest.fixture(scope="session")
def tracking_store(tmp_path_factory):
    """An MLflow store of these tests alone, made once: it takes longer than most tests."""
    import mlflow

    from influence.tracking import EXPERIMENT

    root = tmp_path_factory.mktemp("store")
    mlflow.set_tracking_uri(f"sqlite:///{root}/mlflow.db")
    # Without a place of its own, what is logged would go under the working directory.
    mlflow.create_experiment(EXPERIMENT, artifact_location=(root / "artifacts").as_uri())
    yield mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(None)
