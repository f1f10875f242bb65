"""Where artifacts are: what MLflow makes of an address, and nothing of our own.

Only MLflow's reading of an address is the place where the UI looks. It decodes even a plain path,
so that `/50%23` lies in `/50#`, but cuts only an address with a scheme at a # or a ?.
"""

import os
from pathlib import Path

from influence.errors import InputError, first_line


def directory(uri: str) -> Path | None:
    """Return the directory that an address means, None where that is not on this machine."""
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    repository = _repository(uri)
    is_local = isinstance(repository, LocalArtifactRepository)
    return Path(repository.artifact_dir).absolute() if is_local else None


def fetch(uri: str, folder: str) -> Path:
    """Return a folder at an address: where it lies, or a copy on this machine."""
    return Path(_repository(uri).download_artifacts(folder))


def check(uri: str) -> None:
    """Raise InputError where no artifacts can be written: before the work, not after it."""
    from mlflow.exceptions import MlflowException

    root = None
    try:
        if root := directory(uri):
            root.mkdir(parents=True, exist_ok=True)
            if not os.access(root, os.W_OK):
                raise PermissionError("no permission to write there")
    except (MlflowException, ImportError, OSError) as error:
        raise InputError(
            f"the artifacts of this run belong in {root or uri}, which cannot be used "
            f"({first_line(error)}); mend that, choose an experiment elsewhere with "
            "MLFLOW_EXPERIMENT_NAME, or log nothing with --track False"
        ) from None


def _repository(uri: str):
    """Return what MLflow itself reads and writes the artifacts at an address with."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)
