"""Figure 1 on a GPU, after the tests of the real graphs: what there is to measure with one at hand.

Run: python -m benchmarks.figure1 path/to/snli [--model minilm] [--workers 12] [--study FILE]
         [--parts tests,study] [--out DIR]
Writes figure1.json into DIR, benchmarks/ by default, after every part, and figure1.csv with a row
for each retraining. Killed and started again with the same --workdir, it does nothing twice.

tests: `pytest tests/models/fitting`, which trains with CUDA graphs where there is a GPU; needs
pytest, hypothesis, jaxtyping and beartype. study: `influence study` without tracking, what it says
of its speed, how busy the GPU was, and the seconds; needs what benchmarks.gpu needs.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.gpu import watched
from benchmarks.measuring import hardware, machine
from influence.runtime.devices import device_named
from influence.runtime.step import versions

ROOT = Path(__file__).parent.parent
SAID = ("train: ", "score: ", "evaluate: ")  # how lines begin that tell how fast something was


def main() -> None:
    """Do the parts that are asked for, and write after each."""
    asked = _parsed()
    device = device_named("auto")
    settings = {key: value for key, value in vars(asked).items() if key not in ("dataset", "out")}
    written = {
        "versions": versions(),
        "machine": machine(device=hardware(device)),
        "settings": settings,
    }
    for part in asked.parts.split(","):
        written[part] = PARTS[part](asked, device)
        text = json.dumps(written, indent=1)
        (Path(asked.out) / "figure1.json").write_text(text + "\n", encoding="utf-8")
        print(json.dumps({part: written[part]}), flush=True)


def tests(asked: argparse.Namespace, device: str) -> dict[str, Any]:
    """Run the tests of recorded steps; return how many passed, and those that failed."""
    began = time.perf_counter()
    lines, status = _lines([sys.executable, "-m", "pytest", "-vv", "tests/models/fitting"])
    passed = [line for line in lines if " PASSED" in line]
    return {
        "status": status,
        "passed": len(passed),
        "passed_on_the_gpu": sum("cuda" in line for line in passed),
        "failed": [line for line in lines if " FAILED" in line or " ERROR" in line],
        "seconds": round(time.perf_counter() - began, 1),
    }


def study(asked: argparse.Namespace, device: str) -> dict[str, Any]:
    """Run the study; return how long it took, and what it said of its speed."""
    line = [sys.executable, "-m", "influence", "study", asked.study, "--dataset", asked.dataset]
    line += ["--model", asked.model, "--workers", str(asked.workers), "--workdir", asked.workdir]
    began = time.perf_counter()
    with watched(device) as busy:
        lines, status = _lines([*line, "--track", "false"])
    points = [pd.read_csv(path) for path in Path(asked.workdir).glob("evaluate-*/points.csv")]
    if points:
        pd.concat(points).to_csv(Path(asked.out) / "figure1.csv", index=False)
    return {
        "status": status,
        "seconds": round(time.perf_counter() - began, 1),
        "retrainings": sum(map(len, points)),
        "gpu_busy_percent": round(float(np.mean(busy)), 1) if busy else None,
        "said": [line for line in lines if line.startswith(SAID)],
        "last": lines[-1] if lines else "",
    }


PARTS: dict[str, Callable[[argparse.Namespace, str], dict[str, Any]]] = {
    "tests": tests,
    "study": study,
}


def _lines(command: list[str]) -> tuple[list[str], int]:
    """Run a command, show what it says, and return the lines and its exit status."""
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    lines = []
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line.strip())
    return [line for line in lines if line], process.returncode


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--workers", type=int, default=12)
    parser.add_argument("--study", default="studies/figure1.yaml")
    parser.add_argument("--workdir", default=str(ROOT / "work"))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--out", default=str(Path(__file__).parent))
    return parser.parse_args()


if __name__ == "__main__":
    main()
