"""From a dataset to its curves: seconds of training, of scoring, and of every point.

Run: python -m benchmarks.end_to_end [--dataset assistant] [--rounds 3]
Writes benchmarks/end_to_end.json and docs/images/end_to_end.png. The flow as it comes, each round
in an empty workdir: train with checkpoints, score, then main, which finds both done, samples and
retrains. A point is one retraining and its test; `train` is the training that scores come from, to
which a point has to be compared. Each step is its own process, whose start is part of its time.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from benchmarks.measuring import bars, machine, write
from influence.evaluation.result import Curve

RECIPE = ["--epochs", "3", "--schedule", "constant", "--warmup", "0", "--budget", "epochs"]
SCORES = ["--score", "vog,el2n,forgetting"]
ARMS = ["--arms", "vog:easy:class,vog:linear:dataset,el2n:easy,forgetting:easy"]


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="assistant")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    rounds = [run(asked.dataset) for _ in range(asked.rounds)]
    steps = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
    points = steps.pop("points")
    steps["per point"] = steps["sample and retrain"] / points
    write(
        __file__,
        {
            "machine": machine(),
            "dataset": asked.dataset,
            "rounds": asked.rounds,
            "points": int(points),
            "seconds": {name: round(value, 1) for name, value in steps.items()},
        },
    )
    bars("end_to_end", {"": steps}, ["per point"], "seconds")


def run(dataset: str) -> dict[str, float]:
    """Return the seconds of every step, and the number of points."""
    with tempfile.TemporaryDirectory() as folder:
        common = ["--workdir", folder, "--track", "False"]
        seconds = {"train": command("train", "--dataset", dataset, *RECIPE, *common)}
        (training,) = Path(folder).glob("train-*")
        seconds["score"] = command("score", "--training", str(training), *SCORES, *common)
        asked = ["--dataset", dataset, *RECIPE, *SCORES, *ARMS]
        seconds["sample and retrain"] = command("main", *asked, *common)
        points = pd.concat([Curve(path).points for path in Path(folder).glob("evaluate-*")])
        shared = points["percent_pruned"] == 0  # by all arms
        points["arm"] = points["arm"].where(~shared, "")
        made = len(points.drop_duplicates(["arm", "percent_pruned", "seed"]))
        return {**seconds, "points": made}


def command(step: str, *arguments: str) -> float:
    """Run an entry point and return its seconds."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", f"entrypoints.{step}", *arguments], check=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
