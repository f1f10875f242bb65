"""Retrain every arm at every percent once, and keep accuracy on validation and on test.

Run: python -m benchmarks.tabulated path/to/data [--settings NAMES] [--numbers 3] [--workdir work]
path/to/data holds a folder for each dataset: trec, massive, hwu64, clinc150. What a method that
chooses retrainings would recommend can then be looked up instead of trained: `benchmarks.replayed`
does. Writes benchmarks/tables/<setting>.csv after every retraining, the first number of all cells
and settings before the second; a retraining that is there is not done again, so that the command
goes on where it was stopped, and several may run at once on settings of their own.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import set_num_threads

import influence
from influence.evaluation.retraining import FIRST_SEED, train_and_measure
from influence.models.fitting.course import Course, Examples, of_classifier
from influence.models.inputs import cache_of, open_tokens
from influence.models.tokenizers import open_tokenizer
from influence.sampling.arms import parse_arm
from influence.scoring.result import Scores
from influence.searching.planning.landscape import FULL, RANDOM, Cell
from influence.searching.scored import Scored
from influence.searching.space import Candidate

TABLES = Path(__file__).with_name("tables")
ARMS = (RANDOM, "aum:ccs", "aum:hard")
PERCENTS = (20, 30, 40, 50, 60, 70, 80, 90)
CELLS = (FULL, *(Cell(arm, percent) for percent, arm in product(PERCENTS, ARMS)))
COLUMNS = ("arm", "percent_pruned", "number", "kept", "validation", "test", "seconds")
# Two layers of a pretrained encoder: a retraining is a matter of a minute and a half on one core.
MINILM: dict[str, Any] = {"model": "minilm", "layers": 2, "precision": "bf16"}
SETTINGS: dict[str, dict[str, Any]] = {
    "TREC": MINILM | {"dataset": "trec"},
    "MASSIVE domains": MINILM | {"dataset": "massive", "label_column": "domain"},
    "CLINC150": MINILM | {"dataset": "clinc150", "label_column": "label"},
    "HWU64 intents": MINILM | {"dataset": "hwu64", "label_column": "label"},
    "assistant": {"dataset": "assistant", "model": "tiny", "epochs": 16},
}


class Row(NamedTuple):
    """One retraining: its accuracy on both splits, in full, and what it cost."""

    arm: str
    percent_pruned: int
    number: int
    kept: int
    validation: float
    test: float
    seconds: float


def main() -> None:
    """Retrain what is missing."""
    asked = _parsed()
    set_num_threads(asked.threads)
    opened: dict[str, _Setting] = {}
    for number, setting in product(range(asked.numbers), asked.settings.split(",")):
        there = {(row.arm, row.percent_pruned, row.number) for row in read(setting)}
        missing = [cell for cell in CELLS if (*cell, number) not in there]
        if missing and setting not in opened:
            opened[setting] = _Setting(setting, SETTINGS[setting], asked)
        for cell in missing:
            row = opened[setting].retrained(cell, number)
            _append(setting, row)
            print(setting, *row, flush=True)


def read(setting: str) -> list[Row]:
    """Return what was retrained of a setting so far."""
    path = table(setting)
    return list(_rows(path)) if path.exists() else []


def table(setting: str) -> Path:
    """Return where the retrainings of a setting are written."""
    return TABLES / f"{setting.lower().replace(' ', '-')}.csv"


def _rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8", newline="") as file:
        for one in csv.DictReader(file):
            places = (int(one[name]) for name in COLUMNS[1:4])
            yield Row(one["arm"], *places, *(float(one[name]) for name in COLUMNS[4:]))


def _append(setting: str, row: Row) -> None:
    path = table(setting)
    path.parent.mkdir(exist_ok=True)
    new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([COLUMNS, row] if new else [row])


class _Setting:
    """A scored dataset, ready for retrainings."""

    def __init__(self, name: str, settings: Mapping[str, Any], asked: argparse.Namespace) -> None:
        own, here = dict(settings), {"workdir": asked.workdir, "threads": asked.threads}
        folder = own.pop("dataset")
        folder = folder if folder == "assistant" else Path(asked.data) / folder
        trained = influence.train(folder, observe_every=0, **own, **here)
        scores = influence.score(trained, "aum", **here)
        self.scored = Scored(scores, ("aum",), scores.fit.seed)
        self.course, self.splits = _opened(scores)
        self.correct = Path(asked.workdir) / "correct" / table(name).stem
        self.correct.mkdir(parents=True, exist_ok=True)

    def retrained(self, cell: Cell, number: int) -> Row:
        """Retrain on a cell, under the seed that a search gives to this number."""
        rows = self.scored.everything
        if cell != FULL:
            rows = self.scored.kept(Candidate(parse_arm(cell.arm), cell.percent, 1, {}), number)
        seed = self.course.config.seed + FIRST_SEED["validation"] + number
        seconds, metrics, logits = train_and_measure(self.course, np.sort(rows), self.splits, seed)
        right = logits["test"].argmax(1) == self.splits["test"][1]
        np.save(self.correct / f"{cell.arm.replace(':', '-')}-{cell.percent}-{number}.npy", right)
        both = (round(metrics[f"{split}/accuracy"], 6) for split in ("validation", "test"))
        return Row(*cell, number, len(rows), *both, round(seconds, 1))


def _opened(scores: Scores) -> tuple[Course, dict[str, tuple[Any, np.ndarray]]]:
    """Return what is trained on, and the two splits that are measured."""
    fit, dataset = scores.fit, scores.data
    tokenizer = open_tokenizer(scores.directory / "tokenizer")
    splits = {}
    for split in ("train", "validation", "test"):
        tokens = open_tokens(dataset, split, tokenizer, fit, cache_of(scores.directory))
        splits[split] = (tokens, np.array(dataset.array(split, "label")))
    data = (dataset.digest, fit.max_length)
    examples = Examples(*splits.pop("train"))
    return of_classifier(fit, tokenizer, dataset.label_names, examples, data, "cpu"), splits


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--numbers", type=int, default=3, help="seeds of every cell")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workdir", default="work")
    asked = parser.parse_args()
    if unknown := set(asked.settings.split(",")) - set(SETTINGS):
        sys.exit(f"unknown settings {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    return asked


if __name__ == "__main__":
    main()
