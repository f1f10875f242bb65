"""Where artifacts lie: addresses are always resolved by MLflow itself.

The UI looks where MLflow resolves an address. MLflow decodes even a plain path, so `/50%23` means
`/50#`, but only an address with a scheme ends at a # or a ?.
"""

import os
from pathlib import Path

from influence.errors import InputError, first_line


def directory(uri: str) -> Path | None:
    """Return the directory of an address, None if it is not on this machine."""
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository

    repository = _repository(uri)
    is_local = isinstance(repository, LocalArtifactRepository)
    return Path(repository.artifact_dir).absolute() if is_local else None


def fetch(uri: str, folder: str) -> Path:
    """Return a folder at an address: in place, or a copy on this machine."""
    return Path(_repository(uri).download_artifacts(folder))


def check(uri: str) -> None:
    """Raise InputError if no artifacts can be written: before the work rather than after it."""
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
            f"({first_line(error)}); fix that, choose an experiment elsewhere with "
            "MLFLOW_EXPERIMENT_NAME, or log nothing with --track False"
        ) from None


def _repository(uri: str):
    """Return MLflow's own repository of the artifacts at an address."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(uri)
