"""The files of a training: what each holds, who writes it and who reads it.

A run is written by several jobs, each of which leaves its folder whole or not at all; the manifest
of the step comes last and lists them.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from influence.data.result import TOKENIZER
from influence.runtime import store
from influence.trace.trace import Checkpoint

RUN = "run.json"  # facts and history of a run, written last
NULL = "null.json"  # step -> the logits that the null model gives: for its one input these are all
OBSERVATIONS = "observations.npy"  # bool (observations, examples): who was classified correctly
# Of a run that was made elsewhere and left no weights.
GIVEN_LOGITS, GIVEN_SCORES = "logits.safetensors", "scores.safetensors"
OUT_OF_FOLD = "out_of_fold.npy"  # logits (examples, classes) of models that have not seen them
# Of a probe: the frozen vectors of both splits, float32, and the weights of a head at each step.
VECTORS, HEADS, SECONDS = "vectors", "heads.safetensors", "seconds.json"
STACK = "stack"  # the folder of a voice-assistant stack


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


def is_run(run: Path) -> bool:
    """Tell whether a run is there."""
    return (run / RUN).exists()


def read_run(run: Path) -> dict[str, Any]:
    """Return what was noted of a run: `RunFacts`, observations and null."""
    return json.loads((run / RUN).read_text(encoding="utf-8"))


def read_observations(run: Path) -> np.ndarray:
    """Return who was classified correctly, bool (observations, examples): a map of the file."""
    return np.load(run / OBSERVATIONS, mmap_mode="r")


def read_null(run: Path) -> dict[int, np.ndarray]:
    """Return the logits (classes,) of the null model by step, {} where there is none."""
    by_step = json.loads((run / NULL).read_text(encoding="utf-8"))
    return {int(step): np.array(row, dtype=np.float32) for step, row in by_step.items()}


def write_given(
    run: Path, logits: Mapping[int, np.ndarray], scores: Mapping[str, np.ndarray]
) -> None:
    """Leave what an import holds in place of weights: logits by step, scores by name."""
    save_file({str(step): values for step, values in logits.items()}, run / GIVEN_LOGITS)
    save_file(dict(scores), run / GIVEN_SCORES)


def read_given_logits(run: Path, steps: Iterable[int], rows: slice) -> dict[int, np.ndarray]:
    """Return the logits (rows, classes) that an import left in place of weights, by step."""
    with safe_open(run / GIVEN_LOGITS, framework="np") as file:
        return {step: file.get_slice(str(step))[rows] for step in steps}


def read_given_scores(run: Path) -> dict[str, np.ndarray]:
    """Return the scores (examples,) that came with an import, by name; {} where none did."""
    return load_file(run / GIVEN_SCORES) if (run / GIVEN_SCORES).exists() else {}


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


def read_heads(run: Path, steps: Iterable[int]) -> dict[int, dict[str, np.ndarray]]:
    """Return the weights of the heads of a probe, by step and name."""
    wanted: dict[int, dict[str, np.ndarray]] = {step: {} for step in steps}
    with safe_open(run / HEADS, framework="np") as file:
        for key in file.keys():  # noqa: SIM118
            step, name = key.split("/")
            if int(step) in wanted:
                wanted[int(step)][name] = file.get_tensor(key)
    return wanted


def write_out_of_fold(logits: np.ndarray, directory: Path) -> None:
    """Leave `out_of_fold.npy`: (examples, classes)."""
    np.save(directory / OUT_OF_FOLD, logits)


def read_out_of_fold(directory: Path) -> np.ndarray:
    """Return logits (examples, classes) of models that have not seen them: a map of the file."""
    return np.load(directory / OUT_OF_FOLD, mmap_mode="r")
