"""Check array shapes and types of every call while tests run."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from jaxtyping import install_import_hook

SHAPED = ("scores", "specs", "planning", "ranking", "rules", "sampling", "gradients")
install_import_hook([f"influence.{module}" for module in SHAPED], "beartype.beartype")
