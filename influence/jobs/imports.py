"""What jobs import of other packages, for the server that worker processes are forked from.

Importing this module never fails: the job that needs a broken package says so in its sentence.
"""

import contextlib
import importlib

for _name in (
    "torch",
    "pandas",
    "pyarrow.parquet",
    "scipy.stats",
    "sklearn.metrics",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.bert.modeling_bert",
    "transformers.models.bert.tokenization_bert",
):
    with contextlib.suppress(Exception):
        importlib.import_module(_name)
