"""What a finished training holds: checkpoints, what was observed, the dataset as it was used.

A run is written by several jobs, each of which leaves its folder whole or not at all; the manifest
of the step comes last and lists them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from influence.config.parameters import FitConfig, TrainConfig, restored
from influence.data.dataset import Dataset
from influence.data.result import TOKENIZER, Result
from influence.data.splits import validated
from influence.runtime import store
from influence.scores import QUANTITIES
from influence.trace.trace import EARLY, Checkpoint

RUN = "run.json"  # facts and history of a run, written last
NULL = "null.json"  # step -> the logits that the null model gives: for its one input these are all
OBSERVATIONS = "observations.npy"  # bool (observations, examples): who was classified correctly
# Of a run that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"
OUT_OF_FOLD = "out_of_fold.npy"  # logits (examples, classes) of models that have not seen them
# Of a probe: the frozen vectors of both splits, float32, and the weights of a head at each step.
VECTORS, HEADS, SECONDS = "vectors", "heads.safetensors", "seconds.json"
PROBED = frozenset(name for name, kind in QUANTITIES.items() if kind not in ("run", "dataset"))
STACK = "stack"
# Epochs beyond those of the least loss on validation in which few examples are learned by heart.
PATIENCE = 1.5
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


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """What is noted of one run, as JSON holds it.

    checkpoints: as `listed` gives them; history: pairs of a step and its metrics; recall: of every
    class on validation, empty where no model was there to be validated; weights: whether there are
    checkpoints to open; heads: whether there are those of a probe; given: the scores that came with
    an import.
    """

    seed: int
    checkpoints: list[dict[str, Any]]
    history: list[Sequence[Any]]
    recall: dict[str, float]
    epochs: float
    seconds: float = 0.0
    weights: bool = True
    heads: bool = False
    given: list[str] = field(default_factory=list)


def run_folder(directory: Path, run: int) -> Path:
    """Return where a run lies in the directory of a training."""
    return directory / f"runs/{run}"


def checkpoint_folder(run: Path, step: int) -> Path:
    """Return where a checkpoint lies in the folder of its run."""
    return run / f"step-{step:06d}"


def listed(checkpoint: Checkpoint) -> dict[str, Any]:
    """Return a checkpoint as JSON lists it."""
    return {**asdict(checkpoint), "series": sorted(checkpoint.series)}


def write_tokenizer(tokenizer, directory: Path) -> None:
    """Leave `tokenizer/`."""
    with store.replacing(directory / TOKENIZER) as temporary:
        tokenizer.save_pretrained(temporary)


def write_checkpoint(model: Any, step: int, run: Path, directory: Path) -> None:
    """Leave a checkpoint in the folder of its run, the tokenizer in `directory` beside it as links.

    So `transformers.pipeline("text-classification", folder)` opens it.
    """
    at = checkpoint_folder(run, step)
    from influence.models import classifier  # torch, which plans and records do without

    classifier.save(model, at)
    for file in (directory / TOKENIZER).iterdir():
        store.link(file, at / file.name)


def write_run(
    run: Path, facts: RunFacts, observations: np.ndarray, null: Mapping[int, Sequence[float]]
) -> None:
    """Leave what a run holds beside its checkpoints, the facts last.

    `observations`: bool (observations, examples); `null`: step -> logits of the null model.
    """
    np.save(run / OBSERVATIONS, observations)
    store.write_json(run / NULL, null)
    more = {"observations": bool(len(observations)), "null": sorted(null)}
    store.write_json(run / RUN, asdict(facts) | more)


def write_given(
    run: Path, logits: Mapping[int, np.ndarray], scores: Mapping[str, np.ndarray]
) -> None:
    """Leave what an import holds in place of weights: logits by step, scores by name."""
    save_file({str(step): values for step, values in logits.items()}, run / GIVEN_LOGITS)
    save_file(dict(scores), run / GIVEN_SCORES)


def read_vectors(directory: Path, split: str) -> np.ndarray:
    """Return the frozen vectors (examples, width) that a probe reads: a map of the file."""
    return np.load(directory / VECTORS / f"{split}.npy", mmap_mode="r")


def write_vectors(directory: Path, splits: Mapping[str, np.ndarray], seconds: float) -> None:
    """Leave the frozen vectors (examples, width) of these splits, and how long they took."""
    with store.replacing(directory / VECTORS) as at:
        at.mkdir()
        for split, vectors in splits.items():
            np.save(at / f"{split}.npy", vectors)
        store.write_json(at / SECONDS, seconds)


def seconds_of_vectors(directory: Path) -> float:
    """Return how long the frozen vectors took, -1 where there are none."""
    at = directory / VECTORS / SECONDS
    return json.loads(at.read_text(encoding="utf-8")) if at.exists() else -1.0


def write_heads(run: Path, heads: Mapping[int, Mapping[str, np.ndarray]]) -> None:
    """Leave the weights of the heads of a probe, by step and name."""
    every = {f"{step}/{name}": w for step, head in heads.items() for name, w in head.items()}
    save_file(every, run / HEADS)


def write_out_of_fold(logits: np.ndarray, directory: Path) -> None:
    """Leave `out_of_fold.npy`: (examples, classes)."""
    np.save(directory / OUT_OF_FOLD, logits)


def is_run(run: Path) -> bool:
    """Tell whether a run is there."""
    return (run / RUN).exists()


def read_run(run: Path) -> dict[str, Any]:
    """Return what was noted of a run: `RunFacts`, observations and null."""
    return json.loads((run / RUN).read_text(encoding="utf-8"))


def described(
    config: TrainConfig, dataset: Dataset, task: str, runs: Sequence[dict], folds: dict[str, float]
) -> dict[str, Any]:
    """Return what the manifest of a training says beside what all manifests say.

    `runs`: as `read_run` gives them; `folds`: count, epochs and seconds, {} where there are none.
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


def on_validation(history: pd.DataFrame, measure: str) -> pd.DataFrame:
    """Return a measure of the first run on validation: columns step, epoch and `measure`.

    In the order of the steps, at the ends of its epochs; empty where it was not measured or the
    epochs are not known. `measure`: accuracy or loss; `history`: see `Training.history`.
    """
    column = f"validation/{measure}"
    if not {column, "epoch"} <= set(history):
        return pd.DataFrame(columns=["step", "epoch", measure], dtype=float)
    first = history.loc[history["run"] == 0, ["step", "epoch", column]].dropna()
    return first.sort_values("step").rename(columns={column: measure})


def by_heart(history: pd.DataFrame) -> float:
    """Return the epoch after which a model learns single examples by heart, wrong labels too.

    Before that it learns what examples have in common (Arpit et al. 2017,
    https://arxiv.org/abs/1706.05394), and its loss on validation falls. It is PATIENCE times the
    epoch of the least such loss of the first run, infinite where none was measured. `history`: see
    `Training.history`.
    """
    known = on_validation(history, "loss").set_index("epoch")["loss"]
    return PATIENCE * float(known.idxmin()) if len(known) else float("inf")


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
        return checkpoint_folder(self._run(run), step)

    @property
    def last_checkpoint(self) -> Path:
        """The folder of the first run's last checkpoint."""
        return self.checkpoint(self.runs[0].checkpoints[-1].step)

    @property
    def stack(self) -> Path | None:
        """The folder of the voice-assistant stack (task nlu), None where none was kept."""
        at = self.directory / STACK
        return at if at.is_dir() else None

    @cached_property
    def history(self) -> pd.DataFrame:
        """The loss curve: run, step and, where they were measured there, epoch and metrics."""
        rows = [
            {"run": number, "step": step, **metrics}
            for number in range(len(self._manifest["runs"]))
            for step, metrics in read_run(self._run(number))["history"]
        ]
        return pd.DataFrame(rows)

    def observations(self, run: int = 0) -> np.ndarray:
        """Return who was classified correctly at each observation, bool (observations, examples).

        A map of the file: what is not looked at is not read.
        """
        return np.load(self._run(run) / OBSERVATIONS, mmap_mode="r")

    def null_logits(self, run: int = 0) -> dict[int, np.ndarray]:
        """Return the logits (classes,) of the null model by step, {} where there is none."""
        by_step = json.loads((self._run(run) / NULL).read_text(encoding="utf-8"))
        return {int(step): np.array(row, dtype=np.float32) for step, row in by_step.items()}

    @property
    def out_of_fold_logits(self) -> np.ndarray | None:
        """Logits (examples, classes) of models that have not seen the example, None without folds.

        A map of the file.
        """
        return np.load(self.directory / OUT_OF_FOLD, mmap_mode="r") if self.folds else None

    def given_logits(
        self, steps: Iterable[int], rows: slice, run: int = 0
    ) -> dict[int, np.ndarray]:
        """Return the logits (rows, classes) that an import left in place of weights, by step."""
        with safe_open(self._run(run) / GIVEN_LOGITS, framework="np") as file:
            return {step: file.get_slice(str(step))[rows] for step in steps}

    def vectors(self, split: str) -> np.ndarray:
        """Return the frozen vectors (examples, width) that a probe reads: a map of the file."""
        return read_vectors(self.directory, split)

    def heads(self, steps: Iterable[int], run: int = 0) -> dict[int, dict[str, np.ndarray]]:
        """Return the weights of the heads of a probe, by step and name."""
        wanted: dict[int, dict[str, np.ndarray]] = {step: {} for step in steps}
        with safe_open(self._run(run) / HEADS, framework="np") as file:
            for key in file.keys():  # noqa: SIM118
                step, name = key.split("/")
                if int(step) in wanted:
                    wanted[int(step)][name] = file.get_tensor(key)
        return wanted

    @property
    def given_scores(self) -> dict[str, np.ndarray]:
        """Scores (examples,) that came with an import, by name."""
        path = self._run(0) / GIVEN_SCORES
        return load_file(path) if path.exists() else {}

    def _run(self, number: int) -> Path:
        return run_folder(self.directory, number)

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
