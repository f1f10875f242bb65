"""Memory and time of score, sample and evaluate as the train set grows.

Run: python -m benchmarks.scale [--sizes 10000,100000,1000000] [--workdir DIR]
Writes benchmarks/scale.json and docs/images/scale.png. Made-up texts of some ten words in four
classes; BERT L1 H128; every step is its own command in its own process, with one worker and one
thread, whose peak memory the kernel tells. Of sample, which takes seconds, the median of several.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measuring import IMAGES, machine, write

CLASSES, WORDS, CHUNK = 4, 2000, 50_000
HERE = ["--track", "False", "--workers", "1", "--threads", "1"]
MODEL = ["--model", "tiny", "--layers", "1", "--max_length", "32", "--epochs", "1"]
ROUNDS = 3
# Train examples that the checkpoints are made of. One epoch of so many teaches them something:
# checkpoints that predict no better than guesses are not imported.
FEW = 16_000
# A process begins with the peak of the one that starts it: this one is to be small.
SMALL = """import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))"""
STEPS = ("score", "sample", "evaluate")


def main() -> None:
    """Measure every size and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000,1000000")
    parser.add_argument("--workdir", default="")
    arguments = parser.parse_args()
    root = Path(arguments.workdir or tempfile.mkdtemp(prefix="scale-")).absolute()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = [row for size in sizes for row in run(size, root / str(size))]
    write(__file__, {"machine": machine(threads=1), "steps": rows})
    draw(pd.DataFrame(rows))


def run(size: int, root: Path) -> list[dict[str, float | int | str]]:
    """Return seconds and peak memory of every step with `size` train examples."""
    shutil.rmtree(root, ignore_errors=True)
    make(root / "few", FEW)
    make(root / "many", size)
    work = ["--workdir", str(root / "work")]
    few = [*MODEL, "--dataset", str(root / "few"), "--checkpoints", "4", "--null_model", "False"]
    command("train", *few, *work, "--observe_every", "0")
    (trained,) = (root / "work").glob("train-*")
    checkpoints = shutil.move(trained / "runs/0", root / "checkpoints")
    shutil.copytree(
        trained / "tokenizer", max(Path(checkpoints).glob("step-*")), dirs_exist_ok=True
    )
    shutil.rmtree(trained)
    many = [*MODEL, "--dataset", str(root / "many"), "--import_from", str(checkpoints)]
    found = {"train": command("train", *many, *work)}
    (training,) = (root / "work").glob("train-*")
    asked = ["--training", str(training), "--score", "vog,el2n@1"]
    found["score"] = command("score", *asked, *work)
    (scores,) = (root / "work").glob("score-*")
    arm = ["--arm", "vog:linear:dataset", "--fractions", "0.9", "--draws", "1"]
    rounds = []
    for _ in range(ROUNDS):
        for before in (root / "work").glob("sample-*"):
            shutil.rmtree(before)
        rounds.append(command("sample", "--scores", str(scores), *arm, *work))
    found["sample"] = tuple(map(statistics.median, zip(*rounds, strict=True)))
    (sample,) = (root / "work").glob("sample-*")
    curve = ["--sample", str(sample), "--seeds", "1", "--budget", "epochs"]
    found["evaluate"] = command("evaluate", *curve, *work)
    shutil.rmtree(root)
    return [
        {"examples": size, "step": step, "seconds": round(seconds, 1), "peak_mib": round(peak)}
        for step, (seconds, peak) in found.items()
    ]


def command(step: str, *arguments: str) -> tuple[float, float]:
    """Run an entry point; return its seconds and its peak memory in MiB."""
    line = [sys.executable, "-m", f"entrypoints.{step}", *arguments, *HERE]
    began = time.perf_counter()
    told = subprocess.run([sys.executable, "-c", SMALL, *line], check=True, stdout=subprocess.PIPE)
    return time.perf_counter() - began, int(told.stdout.split()[-1]) / 1024


def make(directory: Path, size: int) -> None:
    """Write a dataset of `size` train examples, and a few to validate and test on."""
    directory.mkdir(parents=True)
    for number, (split, rows) in enumerate((("train", size), ("validation", 500), ("test", 500))):
        generator, writer = np.random.default_rng(number), None
        for start in range(0, rows, CHUNK):
            table = pa.Table.from_pandas(_rows(generator, min(CHUNK, rows - start)))
            writer = writer or pq.ParquetWriter(directory / f"{split}.parquet", table.schema)
            writer.write_table(table)
        assert writer is not None
        writer.close()


def _rows(generator: np.random.Generator, size: int) -> pd.DataFrame:
    """Return texts whose words tell the class: each class has words of its own."""
    labels = generator.integers(0, CLASSES, size)
    words = generator.integers(0, WORDS, (size, 10)) * CLASSES + labels[:, None]
    other = generator.random((size, 10)) < 0.7
    words[other] = generator.integers(0, WORDS * CLASSES, int(other.sum()))
    texts = [" ".join(f"w{word}" for word in row) for row in words.tolist()]
    return pd.DataFrame({"text": texts, "label": labels})


def draw(rows: pd.DataFrame) -> None:
    """Draw peak memory and time over the size of the train set."""
    from matplotlib.figure import Figure

    from influence.plots.style import COLOURS, styled

    @styled()
    def drawn() -> None:
        figure = Figure(figsize=(9, 3.2), layout="constrained")
        for axes, name, label, scale, low in zip(
            figure.subplots(1, 2),
            ("peak_mib", "seconds"),
            ("peak memory (MiB)", "seconds"),
            ("linear", "log"),
            (0, 1),
            strict=True,
        ):
            axes.set(xscale="log", yscale=scale, xlabel="train examples", ylabel=label)
            axes.margins(y=0.1)
            for colour, step in zip(COLOURS, STEPS, strict=False):
                own = rows[rows["step"] == step]
                axes.plot(own["examples"], own[name], "o-", color=colour, label=step)
            axes.set(ylim=(low, None))
        figure.axes[0].legend()
        figure.savefig(IMAGES / "scale.png", dpi=150)

    drawn()


if __name__ == "__main__":
    main()
