"""The directory of finished scores: one number per example and score, and what they show."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.data.result import Result
from influence.data.storage import Saved
from influence.errors import InputError
from influence.scoring import label_errors
from influence.scoring.spec import hardness, parse_spec
from influence.trace.neighbors import Representations
from influence.trace.trace import Trace, load_trace
from influence.training.result import Training

SCORES = "scores.parquet"  # id, label, one column per score
CORRELATIONS, STABILITY = "correlations.csv", "stability.csv"
EXAMPLES = "examples.json"
MAP = "map.parquet"
REPRESENTATIONS = "representations.npy"  # float16
LABEL_ERRORS, LABEL_ISSUES = "label_errors.csv", "label_issues.json"
CARTOGRAPHY, AUM = "export/cartography", "export/aum"  # files of other tools
FACTS = ("self_check_error", "precision", "as_fp32", "suspected")  # of the pass, in the manifest
SHOWN = 3  # examples that a notebook shows


def values_file(directory: Path, name: str) -> Path:
    """Return the path of the values of one score."""
    return directory / f"{name}.npy"


def trace_file(directory: Path, start: int) -> Path:
    """Return the path of the trace of the shard that begins at row `start`."""
    return directory / f"trace/{start:010d}.safetensors"


def read_traces(directory: Path) -> Iterator[Trace]:
    """Yield the traces of the shards, in row order."""
    for path in sorted(trace_file(directory, 0).parent.iterdir()):
        yield load_trace(path)


def label_errors_of(source: Saved, split: str) -> np.ndarray | None:
    """Return which labels of a split are known to be wrong, None if no errors are known."""
    known = [name for name in ("mislabeled",) if name in source.columns(split)]
    return label_errors.flags(source.read(split, known)) if known else None


def described(
    training: Training,
    scores: Sequence[str],
    split: str,
    measured: Mapping[str, Any],
    passes: Mapping[str, int],
) -> dict[str, Any]:
    """Return the manifest entries that only scores have.

    `measured`: seconds, precision, self_check_error and as_fp32 of the pass, and suspected, the
    share of labels that look wrong; `passes`: its numbers of forward and backward passes over the
    split.
    """
    out_of_fold = split == "train" and bool(training.folds)
    costs = {"runs": training.costs, "folds": training.folds, "seconds": measured["seconds"]}
    return {
        **training.handed_on,
        "scores": list(scores),
        "split": split,
        "doubt": "out-of-fold" if out_of_fold else "training",
        **{name: measured[name] for name in FACTS},
        "cost": {**costs, **passes},
    }


class Scores(Result):
    """Finished scores: one number per example and score, with comparisons and label errors."""

    step = "score"

    @property
    def names(self) -> list[str]:
        """The names of its scores, each name[@window]."""
        return self._manifest["scores"]

    @property
    def split(self) -> str:
        """The split that was scored; only train can be pruned."""
        return self._manifest["split"]

    @property
    def cost(self) -> dict[str, Any]:
        """The cost of training and scoring: runs, folds, seconds, forward and backward passes."""
        return self._manifest["cost"]

    @property
    def suspected(self) -> float | None:
        """The share of the labels that look wrong, see `label_errors.share_wrong`.

        None where the scores read too few logits to tell.
        """
        return self._manifest["suspected"]

    @property
    def precision(self) -> str:
        """The precision of the pass, fp32 or bf16."""
        return self._manifest["precision"]

    @property
    def as_fp32(self) -> dict[str, float]:
        """Spearman's correlation of each quantity with its fp32 values, {} for a pass in fp32."""
        return self._manifest["as_fp32"]

    @property
    def self_check_error(self) -> float:
        """The largest relative difference between the pass and plain autograd."""
        return self._manifest["self_check_error"]

    @property
    def doubts_out_of_fold(self) -> bool:
        """Whether doubts about labels come from models that have not seen the examples."""
        return self._manifest["doubt"] != "training"

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per example: id, label (class number), and one column per score."""
        return pd.read_parquet(self.directory / SCORES)

    @property
    def labels(self) -> np.ndarray:
        """The class number of every example (examples,)."""
        return self.data.array(self.split, "label")

    def values(self, name: str) -> np.ndarray:
        """Return one score of every example (examples,), without reading the others."""
        return np.load(values_file(self.directory, name))

    def hardness(self, name: str) -> np.ndarray:
        """Return one score of every example (examples,), signed so that high means hard."""
        return hardness(parse_spec(name), self.values(name))

    @cached_property
    def correlations(self) -> pd.DataFrame:
        """Spearman's correlation of every score with every other."""
        return pd.read_csv(self.directory / CORRELATIONS, index_col=0)

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How far each score agrees with itself across seeds and epochs, see stability.COLUMNS."""
        return pd.read_csv(self.directory / STABILITY)

    @cached_property
    def examples(self) -> pd.DataFrame:
        """The extreme examples: score, end (hardest, easiest, suspected), value, label, texts, id.

        `predicted` is the class predicted for a suspected example; `mislabeled` tells whether the
        label is known to be wrong, where that is known.
        """
        return pd.DataFrame(json.loads((self.directory / EXAMPLES).read_text(encoding="utf-8")))

    @cached_property
    def map(self) -> pd.DataFrame | None:
        """Principal components of up to 2,000 examples: id, row, component_0 and so on.

        None for a training without weights.
        """
        path = self.directory / MAP
        return pd.read_parquet(path) if path.exists() else None

    @cached_property
    def representations(self) -> Representations | None:
        """The encoder's vector of every example, read when used; None where it was not kept."""
        path = self.directory / REPRESENTATIONS
        if not path.exists():
            return None
        return Representations(np.load(path, mmap_mode="r"), self.labels)

    @property
    def mislabeled(self) -> np.ndarray | None:
        """Which labels are known to be wrong, bool (examples,); None if no errors are known."""
        return label_errors_of(self.data, self.split)

    @cached_property
    def label_errors(self) -> pd.DataFrame | None:
        """How well each score detects the known label errors; None if no errors are known.

        Columns: score, auroc, average_precision, precision, chance.
        """
        path = self.directory / LABEL_ERRORS
        return pd.read_csv(path) if path.exists() else None

    @cached_property
    def label_issues(self) -> dict[str, Any] | None:
        """The labels that cleanlab flags: found (a count), ids, and precision and recall if known.

        None without folds, or where cleanlab was not installed.
        """
        path = self.directory / LABEL_ISSUES
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def _facts(self) -> list[str]:
        count = len(self.names)
        examples = f"{self.data.count(self.split):,} examples"
        split = [] if self.split == "train" else [f"split {self.split}"]
        return [f"{count} score{'s' * (count != 1)} of {examples}", *split]

    def _tables(self) -> list[pd.DataFrame]:
        columns = ("score", "value", "label", "text", "text_pair")
        first = (self.examples["score"] == self.names[0]) & (self.examples["end"] == "hardest")
        hardest = self.examples[first].filter(columns).head(SHOWN)
        return [self.table.head(), hardest]


def open_scores(directory: Path) -> Scores:
    """Open the scores of a train set; raises InputError for scores of another split."""
    scores = Scores(directory)
    if scores.split != "train":
        raise InputError(
            f"{directory} holds scores of the {scores.split} split, but only train is pruned; "
            "score again with split=train"
        )
    return scores
