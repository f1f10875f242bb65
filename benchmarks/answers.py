"""What to prune, dataset by dataset and recipe by recipe, and what the answer depends on.

Run: python -m benchmarks.answers path/to/data [--settings NAMES] [--recipes linear,constant]
         [--arms ARMS] [--seeds 5] [--workdir work]
path/to/data holds a folder for each dataset, massive, hwu64, clinc150, trec, sst2 and snli. Writes
benchmarks/answers.json after every setting: what it holds of other settings stays, and a setting
that is asked for with more arms or seeds trains those alone. Nothing is chosen on test: arms,
fractions, recipes and seeds are those of the command.

DATASETS are sets as people have them; CONDITIONS change one thing of one of them: its labels, its
repeats, its classes, its size or its encoder.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

import influence
from benchmarks.measuring import machine
from influence.report.compared import Comparison
from influence.runtime.step import versions

RESULT = Path(__file__).with_suffix(".json")
FRACTIONS = "0.3,0.5,0.7,0.9"
RECIPES: dict[str, dict[str, Any]] = {
    "linear": {"schedule": "linear", "warmup": 0.1},
    "constant": {"schedule": "constant", "warmup": 0.0},
}
# Two layers of a pretrained encoder: a retraining of them is a matter of a minute on two cores.
MODEL: dict[str, Any] = {"model": "minilm", "layers": 2, "precision": "bf16"}
MASSIVE = {"dataset": "massive", "label_column": "domain"}
DATASETS: dict[str, dict[str, Any]] = {
    "MASSIVE domains": MASSIVE,
    "MASSIVE intents": {"dataset": "massive", "label_column": "label"},
    "HWU64 intents": {"dataset": "hwu64", "label_column": "label"},
    "CLINC150": {"dataset": "clinc150", "label_column": "label"},
    "TREC": {"dataset": "trec"},
    "SST-2": {"dataset": "sst2", "max_train": 10000},
    "SNLI": {"dataset": "snli", "max_train": 10000, "max_test": 3000},
}
CONDITIONS: dict[str, dict[str, Any]] = {
    # A third of MASSIVE's requests, so that all conditions cost as much as two datasets.
    "as it is": MASSIVE | {"max_train": 4000},
    "5 % wrong labels": MASSIVE | {"max_train": 4000, "label_noise": 0.05},
    "10 % wrong labels": MASSIVE | {"max_train": 4000, "label_noise": 0.1},
    "20 % wrong labels": MASSIVE | {"max_train": 4000, "label_noise": 0.2},
    "30 % wrong labels": MASSIVE | {"max_train": 4000, "label_noise": 0.3},
    "half are repeats": MASSIVE | {"max_train": 4000, "repeats": 0.5},
    "20 times imbalanced": MASSIVE | {"max_train": 4000, "imbalance": 20},
    "2,000 examples": MASSIVE | {"max_train": 2000},
    "all 11,514 examples": MASSIVE,
    "a model from scratch": MASSIVE | {"max_train": 4000, "model": "tiny", "layers": 0},
    "six layers": MASSIVE | {"max_train": 4000, "layers": 0},
}
SETTINGS = DATASETS | CONDITIONS


def main() -> None:
    """Compare the arms in every setting under every recipe, and write after each."""
    asked = _parsed()
    for recipe in asked.recipes.split(","):
        for setting in asked.settings.split(","):
            began = time.perf_counter()
            compared = _compare(setting, recipe, asked)
            found = facts(compared) | {"seconds": round(time.perf_counter() - began)}
            keep(setting, recipe, found)
            print(f"{setting}, {recipe}: {compared.verdict}", flush=True)
    print(table(json.loads(RESULT.read_text(encoding="utf-8"))))


def _compare(setting: str, recipe: str, asked: argparse.Namespace) -> Comparison:
    parameters = MODEL | RECIPES[recipe] | SETTINGS[setting]
    folder = Path(asked.data) / parameters.pop("dataset")
    if share := parameters.pop("repeats", 0):
        folder = repeated(folder, parameters, share, Path(asked.workdir))
        parameters.pop("max_train")
    return influence.compare(
        folder,
        asked.arms,
        fractions=FRACTIONS,
        seeds=asked.seeds,
        draws=asked.seeds,
        observe_every=100,
        workers=asked.workers,
        workdir=asked.workdir,
        **parameters,
    )


def repeated(folder: Path, parameters: dict[str, Any], share: float, workdir: Path) -> Path:
    """Write a dataset of as many train examples of which a share repeats others; return where."""
    written = workdir / f"{folder.name}-{share:g}-repeats"
    written.mkdir(parents=True, exist_ok=True)
    count = parameters["max_train"]
    for path in folder.glob("*.parquet"):
        rows = pd.read_parquet(path)
        if path.stem == "train":
            draw = np.random.default_rng(0)
            some = draw.choice(len(rows), round(count * (1 - share)), replace=False)
            again = draw.choice(some, count - len(some))
            rows = rows.iloc[np.concatenate([some, again])]
        rows.to_parquet(written / path.name, index=False)
    return written


def facts(compared: Comparison) -> dict[str, Any]:
    """Return what the docs say of a comparison: its verdict, and a row for each arm and fraction.

    Accuracies in percent, differences to random and to the full train set in points, with 95 %
    intervals; clear: by Holm's method over the comparisons of the setting.
    """
    beside = compared.differences.set_index(["arm", "percent_pruned"])
    lost = compared.lost.set_index(["arm", "percent_pruned"])
    rows = []
    for row in compared.summary.itertuples():
        place = (row.arm, row.percent_pruned)
        rows.append(
            {"arm": row.arm, "percent_pruned": row.percent_pruned, "seeds": row.seeds}
            | {"accuracy": _rounded(row.mean, row.low, row.high)}
            | ({"minus_random": _difference(beside.loc[place])} if place in beside.index else {})
            | ({"minus_full": _difference(lost.loc[place])} if place in lost.index else {})
        )
    return {"verdict": compared.verdict, "notes": list(compared.notes), "rows": rows}


def _difference(row: pd.Series) -> list[Any]:
    return [*_rounded(row["difference"], row["low"], row["high"]), bool(row["clear"])]


def _rounded(*values: float) -> list[float]:
    return [round(100 * value, 2) for value in values]


def keep(setting: str, recipe: str, found: dict[str, Any]) -> None:
    """Write a result beside those that are there."""
    known = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    known[f"{setting}, {recipe}"] = {"versions": versions(), "machine": machine(), **found}
    RESULT.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")


def table(known: dict[str, dict[str, Any]]) -> str:
    """Return all that is known as the table of docs/results.md, an arm a row."""
    percents = [f"{100 * float(fraction):g}" for fraction in FRACTIONS.split(",")]
    heads = [f"{percent} % pruned" for percent in percents]
    lines = [f"| setting, recipe | | full train set | {' | '.join(heads)} |"]
    lines.append("| --- " * (len(percents) + 3) + "|")
    for name, found in known.items():
        rows = {(row["arm"], f"{row['percent_pruned']:g}"): row for row in found["rows"]}
        full = _shown(rows["random", "0"]["accuracy"])
        for arm in dict.fromkeys(("random", *(arm for arm, _ in rows))):
            kind, what = ("minus_random", "minus random")
            if arm == "random":
                kind, what = ("minus_full", "minus everything")
            cells = [_shown(rows[arm, percent][kind], "+") for percent in percents]
            shown = (
                f"{name} | `{arm}` {what} | {full}" if arm == "random" else f"| `{arm}` {what} |"
            )
            lines.append(f"| {shown} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _shown(value: list[Any], sign: str = "") -> str:
    """Return a mean with half of its 95 % interval, in bold where it is clear."""
    text = f"{value[0]:{sign}.1f} ± {(value[2] - value[1]) / 2:.1f}".replace("-", "−")
    return f"**{text}**" if value[3:] == [True] else text


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--recipes", default=",".join(RECIPES))
    parser.add_argument("--arms", default="aum:ccs,vog:linear:dataset,vog:easy:class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--workdir", default="work")
    asked = parser.parse_args()
    if unknown := set(asked.settings.split(",")) - set(SETTINGS):
        sys.exit(f"unknown settings {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    return asked


if __name__ == "__main__":
    main()
