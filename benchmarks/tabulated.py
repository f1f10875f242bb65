"""Retrain every arm at every percent, setting by setting, and keep accuracy on validation and test.

Run: python -m benchmarks.tabulated path/to/data [--settings NAMES] [--recipe linear]
         [--arms ARMS] [--percents PERCENTS] [--numbers 3] [--workdir work] [--tables DIR]
         [--model FOLDER] [--workers 12]
path/to/data holds a folder for each dataset: massive, hwu64, clinc150, trec, sst2 and snli. What is
to be known of pruning can then be looked up: `benchmarks.answers` says when scores help, and
`benchmarks.replayed` what methods that choose retrainings would recommend. Nothing is chosen here.

DATASETS are sets as people have them; CONDITIONS change one thing of one of them: its labels, its
repeats, its classes, its size or its encoder. An arm as "probe/aum:ccs" is one by the scores of a
probe, "epoch/aum:ccs" by those of a fine-tuning for one epoch, "again/aum:ccs" by those of the same
model, fine-tuned and scored under another seed. Writes
benchmarks/tables/<setting>.csv after every retraining, the first number of all cells and settings
before the second; a retraining that is there is not done again, so that the command goes on where
it was stopped, and several may run at once on settings of their own. A row holds which test
examples its model gets right, for intervals. On a GPU so many WORKERS train side by side; a bare
one has no extra, and finds the encoder in FOLDER.
"""

import argparse
import base64
import csv
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from torch import set_num_threads

import influence
from benchmarks.measuring import as_json, hardware, machine, settings_named
from influence.config.parameters import Budget
from influence.evaluation.retraining import FIRST_SEED, train_and_measure
from influence.models.fit import steps_of
from influence.models.fitting.course import Course, Examples, of_classifier
from influence.models.inputs import cache_of, open_tokens
from influence.models.tokenizers import open_tokenizer
from influence.runtime.devices import device_named
from influence.runtime.step import versions
from influence.sampling.arms import Arm, parse_arm
from influence.scoring.result import Scores
from influence.scoring.step import wanted
from influence.searching.planning.landscape import FULL, RANDOM, Cell
from influence.searching.scored import Scored
from influence.searching.space import Candidate

TABLES = Path(__file__).with_name("tables")
ARMS = (RANDOM, "aum:ccs_clean")
PERCENTS = (20, 30, 40, 50, 60, 70, 80, 90)
COLUMNS = (
    *("arm", "percent_pruned", "number", "kept", "steps"),
    *("validation", "test", "seconds", "right"),
)
# By whose scores an arm is, as it begins: those of the model that is retrained, cheaper ones, or
# those of the same model trained again under another seed.
SCORED: dict[str, dict[str, Any]] = {
    "": {},
    "probe": {"proxy": "probe"},
    "epoch": {"epochs": 1},
    "again": {"seed": 1},
}
# How people fine-tune, each subset until it has converged; and the paper's, at equal epochs.
RECIPES: dict[str, dict[str, Any]] = {
    "linear": {"schedule": "linear", "warmup": 0.1},
    "constant": {"schedule": "constant", "warmup": 0.0},
}
BUDGETS: dict[str, Budget] = {"linear": "auto", "constant": "epochs"}
# Two layers of a pretrained encoder: a retraining is a matter of a minute and a half on one core.
MINILM: dict[str, Any] = {"model": "minilm", "layers": 2, "precision": "bf16"}
MASSIVE = MINILM | {"dataset": "massive", "label_column": "domain"}
# After the usual five epochs accuracy on validation still rises: 81.9 %, after ten 84.7.
INTENTS = MINILM | {"dataset": "massive", "label_column": "label"}
DATASETS: dict[str, dict[str, Any]] = {
    "TREC": MINILM | {"dataset": "trec"},
    "MASSIVE domains": MASSIVE,
    "CLINC150": MINILM | {"dataset": "clinc150", "label_column": "label"},
    "HWU64 intents": MINILM | {"dataset": "hwu64", "label_column": "label"},
    "assistant": {"dataset": "assistant", "model": "tiny"},
    "MASSIVE intents": INTENTS,
    "MASSIVE intents for 10 epochs": INTENTS | {"epochs": 10},
    "SST-2": MINILM | {"dataset": "sst2", "max_train": 10000},
    "SNLI": MINILM | {"dataset": "snli", "max_train": 10000, "max_test": 3000},
}
SOME = MASSIVE | {"max_train": 4000}  # a third of the requests
CONDITIONS: dict[str, dict[str, Any]] = {
    "as it is": SOME,
    "5 % wrong labels": SOME | {"label_noise": 0.05},
    "10 % wrong labels": SOME | {"label_noise": 0.1},
    "20 % wrong labels": SOME | {"label_noise": 0.2},
    "30 % wrong labels": SOME | {"label_noise": 0.3},
    "40 % wrong labels": SOME | {"label_noise": 0.4},
    "half are repeats": SOME | {"repeats": 0.5},
    "20 times imbalanced": SOME | {"imbalance": 20},
    "2000 examples": SOME | {"max_train": 2000},
    "a model from scratch": SOME | {"model": "tiny", "layers": 0},
    "six layers": SOME | {"layers": 0},
    "real label errors": MINILM | {"dataset": "snli", "authors": True, "max_test": 3000},
}
SETTINGS = DATASETS | CONDITIONS


class Row(NamedTuple):
    """One retraining: its accuracy on both splits, in full, and what it cost.

    right: which test examples its model gets right, as `packed` writes them.
    """

    arm: str
    percent_pruned: int
    number: int
    kept: int
    steps: int
    validation: float
    test: float
    seconds: float
    right: str


def main() -> None:
    """Retrain what is missing."""
    asked = _parsed()
    set_num_threads(asked.threads)
    arms, percents = asked.arms.split(","), [int(one) for one in asked.percents.split(",")]
    opened: dict[str, _Setting] = {}
    # On a CPU all trainings share one stream of random numbers: one at a time.
    slots = 1 if asked.device == "cpu" else asked.workers
    with ThreadPoolExecutor(slots) as pool:
        for number, setting in product(range(asked.numbers), asked.settings):
            at = table(setting, asked.recipe, asked.tables)
            there = {(row.arm, row.percent_pruned, row.number) for row in rows_of(at)}
            missing = [cell for cell in cells(arms, percents) if (*cell, number) not in there]
            if missing and setting not in opened:
                opened[setting] = _Setting(setting, asked, at)
            begun = [pool.submit(opened[setting].retrained, cell, number) for cell in missing]
            for done in as_completed(begun):
                _append(at, done.result())
                print(setting, *done.result()[:-1], flush=True)


def cells(arms: Sequence[str], percents: Sequence[int]) -> list[Cell]:
    """Return the full train set, then every arm at each percent."""
    return [FULL, *(Cell(arm, percent) for percent, arm in product(percents, arms))]


def read(setting: str, recipe: str = "linear") -> list[Row]:
    """Return what was retrained of a setting so far."""
    return list(rows_of(table(setting, recipe)))


def table(setting: str, recipe: str, folder: Path = TABLES) -> Path:
    """Return where the retrainings of a setting are written."""
    words = setting.lower().replace("%", "percent").split()
    return folder / f"{'-'.join(words)}{'' if recipe == 'linear' else f'-{recipe}'}.csv"


def made_by(at: Path) -> Path:
    """Return where it is said on which machines and with which versions a table was made."""
    return at.with_suffix(".json")


def sizes_of(at: Path) -> dict[str, int]:
    """Return how many examples validation and test of a table have."""
    return json.loads(made_by(at).read_text(encoding="utf-8"))["examples"]


def packed(right: np.ndarray) -> str:
    """Return booleans (examples,) as text, six of them a character."""
    return base64.b64encode(np.packbits(right).tobytes()).decode()


def unpacked(text: str, examples: int) -> np.ndarray:
    """Return the booleans (examples,) that `packed` wrote."""
    bits = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.unpackbits(bits, count=examples).astype(bool)


def rows_of(path: Path) -> Iterator[Row]:
    """Yield the retrainings that a table holds."""
    if not path.exists():
        return
    with path.open(encoding="utf-8", newline="") as file:
        for one in csv.DictReader(file):
            whole = (int(one[name]) for name in COLUMNS[1:5])
            measured = (float(one[name]) for name in COLUMNS[5:8])
            yield Row(one["arm"], *whole, *measured, one["right"])


def _append(path: Path, row: Row) -> None:
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, row] if new else [row])


def _say_where(path: Path, examples: dict[str, int], device: str) -> None:
    """Write how many examples the splits have, and add this machine to those of the table."""
    here = {"versions": versions(), "machine": machine(device=hardware(device))}
    known = json.loads(path.read_text(encoding="utf-8"))["made"] if path.exists() else []
    made = known if here in known else [*known, here]
    path.write_text(as_json({"examples": examples, "made": made}), encoding="utf-8")


class _Setting:
    """A dataset, trained on and scored as its arms need it, ready for retrainings."""

    def __init__(self, name: str, asked: argparse.Namespace, at: Path) -> None:
        self.parameters = RECIPES[asked.recipe] | SETTINGS[name]
        if self.parameters["model"] == "minilm":
            self.parameters["model"] = asked.model
        self.device = asked.device
        self.budget = BUDGETS[asked.recipe]
        self.here = {"workdir": asked.workdir, "threads": asked.threads, "device": asked.device}
        arms: dict[str, list[Arm]] = {"": []}
        for by, arm in map(_apart, asked.arms.split(",")):
            arms.setdefault(by, []).append(parse_arm(arm))
        folder = self.parameters.pop("dataset")
        self.folder = folder if folder == "assistant" else Path(asked.data) / folder
        if share := self.parameters.pop("repeats", 0):
            count = self.parameters.pop("max_train")
            self.folder = _repeated(self.folder, count, share, Path(asked.workdir))
        if self.parameters.pop("authors", False):
            self.folder = _by_authors(self.folder, Path(asked.workdir))
        self.scored = {by: self._scored(SCORED[by], own) for by, own in arms.items()}
        self.course, self.splits = _opened(self.scored[""].scores, self.device)
        examples = {split: len(labels) for split, (_, labels) in self.splits.items()}
        at.parent.mkdir(parents=True, exist_ok=True)
        _say_where(made_by(at), examples, self.device)

    def _scored(self, way: dict[str, Any], arms: Sequence[Arm]) -> Scored:
        names = wanted("aum", arms)
        more = {"observe_every": 100, "null_model": "pvi" in names} | way
        trained = influence.train(self.folder, **self.parameters | more, **self.here)
        vectors = any(arm.represents for arm in arms)
        scores = influence.score(trained, names, representations=vectors, **self.here)
        return Scored(scores, tuple(names.split(",")), scores.fit.seed)

    def retrained(self, cell: Cell, number: int) -> Row:
        """Retrain on a cell, under the seed that a search gives to this number."""
        rows = self.scored[""].everything
        if cell != FULL:
            by, arm = _apart(cell.arm)
            candidate = Candidate(parse_arm(arm), cell.percent, 1, {})
            rows = self.scored[by].kept(candidate, number)
        seed = self.course.config.seed + FIRST_SEED["validation"] + number
        classes = len(self.scored[""].scores.label_names)
        sizes = (len(rows), len(self.course.examples), classes)
        steps = steps_of(self.budget, self.course.config, *sizes)
        seconds, metrics, logits = train_and_measure(
            self.course, np.sort(rows), self.splits, seed, steps
        )
        both = (round(metrics[f"{split}/accuracy"], 6) for split in ("validation", "test"))
        right = packed(logits["test"].argmax(1) == self.splits["test"][1])
        return Row(*cell, number, len(rows), steps, *both, round(seconds, 1), right)


def _apart(arm: str) -> tuple[str, str]:
    """Return by whose scores an arm is, "" for the fine-tuned model's, and the arm."""
    by, _, own = arm.rpartition("/")
    return by, own


def _repeated(folder: Path, count: int, share: float, workdir: Path) -> Path:
    """Write a dataset of `count` train examples of which a share repeats others; return where."""
    written = workdir / f"{folder.name}-{share:g}-repeats"
    written.mkdir(parents=True, exist_ok=True)
    for path in folder.glob("*.parquet"):
        rows = pd.read_parquet(path)
        if path.stem == "train":
            draw = np.random.default_rng(0)
            some = draw.choice(len(rows), round(count * (1 - share)), replace=False)
            again = draw.choice(some, count - len(some))
            rows = rows.iloc[np.concatenate([some, again])]
        rows.to_parquet(written / path.name, index=False)
    return written


def _by_authors(folder: Path, workdir: Path) -> Path:
    """Write pairs of SNLI with the labels that their authors gave; return where.

    Five people labelled each pair of its validation and test splits, the author first; label is
    the majority. Train is four fifths of validation's captions, mislabeled where the author is not
    of the majority, validation the rest.
    """
    written = workdir / f"{folder.name}-by-authors"
    written.mkdir(parents=True, exist_ok=True)
    test = pd.read_parquet(folder / "test.parquet")
    test[["premise", "hypothesis", "label"]].to_parquet(written / "test.parquet", index=False)
    pairs = pd.read_parquet(folder / "validation.parquet").query("label >= 0")
    numbers = {"entailment": 0, "neutral": 1, "contradiction": 2}
    pairs["author"] = pairs["annotator_labels"].str.split().str[0].map(numbers)
    captions = pairs["captionID"].drop_duplicates()
    held = captions.sample(frac=0.2, random_state=0)
    for split, rows in pairs.groupby(pairs["captionID"].isin(held)):
        columns = rows[["premise", "hypothesis", "label"]]
        if not split:
            wrong = rows["author"] != rows["label"]
            columns = columns.assign(label=rows["author"], mislabeled=wrong)
        name = "validation" if split else "train"
        columns.to_parquet(written / f"{name}.parquet", index=False)
    return written


def _opened(scores: Scores, device: str) -> tuple[Course, dict[str, tuple[Any, np.ndarray]]]:
    """Return what is trained on, and the two splits that are measured."""
    fit, dataset = scores.fit, scores.data
    tokenizer = open_tokenizer(scores.directory / "tokenizer")
    splits = {}
    for split in ("train", "validation", "test"):
        tokens = open_tokens(dataset, split, tokenizer, fit, cache_of(scores.directory))
        splits[split] = (tokens, np.array(dataset.array(split, "label")))
    data = (dataset.digest, fit.max_length)
    examples = Examples(*splits.pop("train"))
    return of_classifier(fit, tokenizer, dataset.label_names, examples, data, device), splits


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--recipe", choices=RECIPES, default="linear")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--percents", default=",".join(map(str, PERCENTS)))
    parser.add_argument("--numbers", type=int, default=3, help="seeds of every cell")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workdir", default="work")
    parser.add_argument("--tables", type=Path, default=TABLES)
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--device", type=device_named, default="auto")
    parser.add_argument("--workers", type=int, default=12)
    asked = parser.parse_args()
    asked.settings = settings_named(asked.settings, SETTINGS)
    return asked


if __name__ == "__main__":
    main()
