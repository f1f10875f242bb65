"""The record of a finished training: checkpoints, what was observed, the dataset as it was used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence.config.parameters import FitConfig, TrainConfig, restored
from influence.data.dataset import Dataset
from influence.data.result import TOKENIZER, Result
from influence.data.splits import validated
from influence.scores import QUANTITIES
from influence.trace.trace import EARLY, Checkpoint
from influence.training import run_files
from influence.training.history import by_heart

PROBED = frozenset(name for name, kind in QUANTITIES.items() if kind not in ("run", "dataset"))
COSTS = ("seed", "epochs", "seconds", "null", "heads")  # of a run
KEPT = (*COSTS, "checkpoints", "observations", "weights", "given")  # of a run, in the manifest


@dataclass(frozen=True)
class RunInfo:
    """What one finished training run offers beside its checkpoints.

    observations: whether it was observed; null: the steps at which its null model was read, ()
    where there is none; trails: whether its dataset has slots; out_of_fold: whether there are
    predictions by models that have not seen the example; measurable: the quantities that a run
    without weights has nevertheless, None for one with weights, which has all; given: scores
    computed elsewhere; validation: the number of validation examples of each class of train.
    """

    seed: int
    checkpoints: tuple[Checkpoint, ...]
    observations: bool
    null: tuple[int, ...]
    trails: bool = False
    out_of_fold: bool = False
    measurable: frozenset[str] | None = None
    given: frozenset[str] = frozenset()
    validation: Mapping[str, int] = field(default_factory=dict)

    @property
    def represented(self) -> bool:
        """Whether there is an encoder's vector of every example: not where an import left none."""
        return self.measurable is None or self.measurable == PROBED


def described(
    config: TrainConfig, dataset: Dataset, task: str, runs: Sequence[dict], folds: dict[str, float]
) -> dict[str, Any]:
    """Return what the manifest of a training says beside what all manifests say.

    `runs`: as `run_files.read_run` gives them; `folds`: count, epochs and seconds, {} where there
    are none.
    """
    return {
        "dataset": {"name": dataset.name, "digest": dataset.digest},
        "label_names": dataset.label_names,
        "recall": runs[0]["recall"],
        "task": task,
        "fit": config.parameters(FitConfig),
        "runs": [{name: run[name] for name in KEPT} for run in runs],
        "folds": folds,
    }


class Training(Result):
    """A finished training: checkpoints, observations, and the dataset that it was trained on.

    Runs are counted from 0, one per training seed; the first is trained to the end and keeps the
    checkpoints spread over it.
    """

    step = "train"

    @cached_property
    def config(self) -> TrainConfig:
        """How the training was done.

        Raises InputError if another version of this package wrote it.
        """
        return restored(TrainConfig, self.parameters, f"training {self.fingerprint} was done")

    @cached_property
    def runs(self) -> tuple[RunInfo, ...]:
        """What each run offers to scores, one per training seed."""
        return tuple(
            RunInfo(
                run["seed"],
                tuple(
                    Checkpoint(**{**entry, "series": self._series(entry)})
                    for entry in run["checkpoints"]
                ),
                run["observations"],
                tuple(run["null"]),
                self.task == "nlu",
                bool(self.folds),
                _measurable(run),
                frozenset(run["given"]),
                self._validated,
            )
            for run in self._manifest["runs"]
        )

    def _series(self, entry: Mapping[str, Any]) -> frozenset[str]:
        """Return the series of a checkpoint, EARLY among them where it belongs there."""
        early = {EARLY} if entry["epoch"] <= self._by_heart else set()
        return frozenset({*entry["series"], *early})

    @cached_property
    def _by_heart(self) -> float:
        """The epoch after which the first run learns single examples by heart."""
        return by_heart(self.history)

    @cached_property
    def _validated(self) -> dict[str, int]:
        labels = (self.data.read(split, ["label"])["label"] for split in ("train", "validation"))
        return validated(*labels, self.data.label_names)

    @property
    def folds(self) -> dict[str, float]:
        """Count, epochs and seconds of the out-of-fold models, empty where there are none."""
        return self._manifest["folds"]

    @property
    def has_weights(self) -> bool:
        """Tell whether there are checkpoints, and not only what others left of a training."""
        return all(run["weights"] for run in self._manifest["runs"])

    @property
    def is_probe(self) -> bool:
        """Tell whether a head on frozen vectors was trained in place of the model."""
        return any(run["heads"] for run in self._manifest["runs"])

    @property
    def costs(self) -> list[dict[str, Any]]:
        """Seed, epochs, seconds, null-model steps of each run, and whether it is of heads alone."""
        return [{name: run[name] for name in COSTS} for run in self._manifest["runs"]]

    @cached_property
    def tokenizer(self):
        """The tokenizer of the model, as transformers opens it."""
        from influence.models import tokenizers

        return tokenizers.open_tokenizer(self.directory / TOKENIZER)

    def checkpoint(self, step: int, run: int = 0) -> Path:
        """Return the folder of one checkpoint, which transformers opens."""
        return run_files.checkpoint_folder(self._run(run), step)

    @property
    def last_checkpoint(self) -> Path:
        """The folder of the first run's last checkpoint."""
        return self.checkpoint(self.runs[0].checkpoints[-1].step)

    @property
    def stack(self) -> Path | None:
        """The folder of the voice-assistant stack (task nlu), None where none was kept."""
        at = self.directory / run_files.STACK
        return at if at.is_dir() else None

    @cached_property
    def history(self) -> pd.DataFrame:
        """The loss curve: run, step and, where they were measured there, epoch and metrics."""
        rows = [
            {"run": number, "step": step, **metrics}
            for number in range(len(self._manifest["runs"]))
            for step, metrics in run_files.read_run(self._run(number))["history"]
        ]
        return pd.DataFrame(rows)

    def observations(self, run: int = 0) -> np.ndarray:
        """Return who was classified correctly at each observation, bool (observations, examples).

        A map of the file: what is not looked at is not read.
        """
        return run_files.read_observations(self._run(run))

    def null_logits(self, run: int = 0) -> dict[int, np.ndarray]:
        """Return the logits (classes,) of the null model by step, {} where there is none."""
        return run_files.read_null(self._run(run))

    @property
    def out_of_fold_logits(self) -> np.ndarray | None:
        """Logits (examples, classes) of models that have not seen the example, None without folds.

        A map of the file.
        """
        return run_files.read_out_of_fold(self.directory) if self.folds else None

    def given_logits(
        self, steps: Iterable[int], rows: slice, run: int = 0
    ) -> dict[int, np.ndarray]:
        """Return the logits (rows, classes) that an import left in place of weights, by step."""
        return run_files.read_given_logits(self._run(run), steps, rows)

    def vectors(self, split: str) -> np.ndarray:
        """Return the frozen vectors (examples, width) that a probe reads: a map of the file."""
        return run_files.read_vectors(self.directory, split)

    def heads(self, steps: Iterable[int], run: int = 0) -> dict[int, dict[str, np.ndarray]]:
        """Return the weights of the heads of a probe, by step and name."""
        return run_files.read_heads(self._run(run), steps)

    @property
    def given_scores(self) -> dict[str, np.ndarray]:
        """Scores (examples,) that came with an import, by name."""
        return run_files.read_given_scores(self._run(0))

    def _run(self, number: int) -> Path:
        return run_files.run_folder(self.directory, number)

    def _facts(self) -> list[str]:
        examples, checkpoints = self.data.count("train"), len(self.runs[0].checkpoints)
        runs = [f"{len(self.runs)} runs"] if len(self.runs) > 1 else []
        return [self.fit.model, f"{examples:,} examples", f"{checkpoints} checkpoints", *runs]

    def _tables(self) -> list[pd.DataFrame]:
        facts = {"model": self.fit.model, "dataset": self.dataset_name}
        facts["checkpoints"] = str(len(self.runs[0].checkpoints))
        if "validation/accuracy" in self.history:
            last = self.history["validation/accuracy"].dropna().iloc[-1]
            facts["validation accuracy"] = f"{last:.4f}"
        return [pd.DataFrame([facts])]


def _measurable(run: Mapping[str, Any]) -> frozenset[str] | None:
    """Return the quantities that a run without weights has, None for one with weights."""
    if run["weights"]:
        return None
    if run["heads"]:
        return PROBED
    return frozenset({"logits"} if run["checkpoints"] else ())
