"""What a GPU gives: training beside transformers' Trainer, scoring by batch size, a small study.

Run: python -m benchmarks.gpu path/to/snli [--model minilm] [--parts same,training,scoring,study]
         [--slots 1,4,8,12] [--batches 32,128] [--tokens 4096,16384,32768,65536] [--out DIR]
Writes gpu.json into DIR, benchmarks/ by default, after every part; at most eight minutes on one
card. Everything is bf16 and of the given dataset; the card is named in the file. Needs torch,
transformers (with accelerate, for Trainer), pandas, pyarrow, scikit-learn and scipy alone. On a CPU
(--device cpu --train 400) it is known to run, no more: there trainings go one after another.

same: whether a training is the same when it is repeated, and beside others. training: examples per
second of Trainer, of a plain loop, and of so many trainings side by side, recording excluded.
scoring: examples times checkpoints per second, with VoG and last-layer norms and with the norms of
all parameters. study: from dataset to curves, with how busy the GPU was.
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import hardware, machine
from benchmarks.training import Inputs, by_the_loop
from influence.config.parameters import DataConfig, FitConfig
from influence.config.steps import MainStep
from influence.data import load
from influence.jobs.engine import let_go
from influence.models import classifier, fit
from influence.models.fitting import trainers
from influence.models.fitting.course import Course, Examples, of_classifier, part
from influence.pipeline import compare
from influence.runtime.devices import device_named, has_bf16
from influence.runtime.step import versions
from influence.trace.meter import Meter, Resident

STEPS = 200  # of a training that is timed
CHECKPOINTS = 2
SCORED = 8000  # examples
STUDY = 20_000  # train examples
SCORES = {
    "VoG and last-layer norms": (frozenset({"logits", "layer_norms"}), ("all",)),
    "VoG and all norms": (frozenset({"logits", "gradient_norms"}), ("all",)),
}


@dataclass(frozen=True)
class Setting:
    """What every part reads."""

    asked: argparse.Namespace
    inputs: Inputs
    fit: FitConfig
    device: str

    def course(self, batch: int) -> Course:
        """Return trainings of one epoch in batches of `batch`."""
        config = replace(self.fit, batch_size=batch, epochs=1)
        examples = Examples(self.inputs.tokens, self.inputs.labels)
        names = self.inputs.names
        given = (config, self.inputs.tokenizer, names, examples, "benchmark", self.device)
        return of_classifier(*given)

    def rows(self, batch: int) -> np.ndarray:
        """Return the examples of a training that is timed."""
        return np.arange(min(STEPS * batch, len(self.inputs.tokens)))

    def wait(self) -> None:
        """Wait until the device has done everything."""
        if self.device != "cpu":
            torch.cuda.synchronize()


def main() -> None:
    """Measure the parts that are asked for, and write after each."""
    asked = _parsed()
    device = device_named(asked.device)
    torch.backends.cuda.enable_cudnn_sdp(False)  # as in every command, see jobs.engine
    dataset = load.load(DataConfig(dataset=asked.dataset, max_train=asked.train, max_test=2000))
    precision = "bf16" if has_bf16(device) else "fp32"
    rates = {"learning_rate": 1e-4, "head_learning_rate": 1e-3}
    config = FitConfig(model=asked.model, precision=precision, **rates)
    setting = Setting(asked, Inputs(config, dataset), config, device)
    settings = {key: value for key, value in vars(asked).items() if key not in ("dataset", "out")}
    written: dict[str, Any] = {
        "versions": versions(),
        "machine": machine(device=hardware(device)),
        "dataset": {"name": dataset.name, "digest": dataset.digest},
        "settings": settings | {"precision": precision},
    }
    for part_name in asked.parts.split(","):
        began = time.perf_counter()
        for key, value in PARTS[part_name](setting):
            written.setdefault(part_name, {})[key] = value
            print(f"{part_name}: {key}: {json.dumps(value)}", flush=True)
            _write(Path(asked.out), written)
        written[part_name]["seconds"] = round(time.perf_counter() - began, 1)
        _write(Path(asked.out), written)
        let_go()


def same(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Compare trainings that differ in nothing but what runs beside them."""
    course, rows, seeds = setting.course(32), setting.rows(32), range(4)

    def logits(seed: int) -> np.ndarray:
        return _train(setting, course, rows[: len(rows) - seed * 37], seed, setting.inputs.test)

    alone = [logits(seed) for seed in seeds]
    yield "repeated", _differences([alone[0]], [logits(0)])
    with ThreadPoolExecutor(len(seeds)) as pool:
        yield "side by side", _differences(alone, list(pool.map(logits, seeds)))
    yield "another seed", _differences([alone[0]], [logits(9)])


def training(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time trainings: others, ours one at a time, ours side by side."""
    for batch in _numbers(setting.asked.batches):
        peer = _trainer(setting, batch)
        yield f"Trainer, batch {batch}", peer
        yield f"plain loop, batch {batch}", _plain(setting, batch)
        for slots in _numbers(setting.asked.slots):
            speed = _together(setting, batch, slots)
            found = {"examples_per_second": speed["speed"], "beside_trainer": None}
            if peer["examples_per_second"]:
                ratio = speed["speed"] / peer["examples_per_second"]
                found["beside_trainer"] = _rounded(ratio)
            yield f"{slots} at once, batch {batch}", found | {"gigabytes": speed["gigabytes"]}
        let_go()


def scoring(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Time the scoring pass by the tokens of a batch."""
    rows = np.arange(min(SCORED, len(setting.inputs.tokens)))
    for name, (quantities, windows) in SCORES.items():
        residents = [
            Resident(0, n, partial(_fresh, setting, n), quantities, windows)
            for n in range(CHECKPOINTS)
        ]
        meter = Meter(residents, precision=setting.fit.precision, device=setting.device)
        for tokens in _numbers(setting.asked.tokens):
            work = partial(_measure, setting, meter, tokens)
            work(rows[: len(rows) // 4])
            seconds = _seconds(setting, partial(work, rows))
            speed = _rounded(CHECKPOINTS * len(rows) / seconds)
            yield f"{name}, {tokens} tokens", {"examples_times_checkpoints_per_second": speed}


def study(setting: Setting) -> Iterator[tuple[str, Any]]:
    """Run a comparison from the dataset to its curves, watching the GPU."""
    with tempfile.TemporaryDirectory() as workdir, watched(setting.device) as busy:
        began = time.perf_counter()
        config = MainStep(
            dataset=setting.asked.dataset,
            model=setting.asked.model,
            max_train=min(setting.asked.train, STUDY),
            max_test=2000,
            epochs=2,
            budget="epochs",
            batch_size=128,
            arms="aum:ccs,el2n:easy",
            score="aum,el2n",
            fractions="0.3,0.5,0.7,0.9",
            seeds=2,
            device=setting.device,
            workdir=workdir,
            track=False,
        )
        compared = compare(config)
        seconds = time.perf_counter() - began
        points = [curve.points for curve in compared.curves.values()]
    steps = sum(int(table["steps"].sum()) for table in points)
    yield (
        "from dataset to curves",
        {
            "seconds": _rounded(seconds),
            "retrainings": sum(map(len, points)),
            "examples_trained_on": steps * 128,
            "gpu_busy_percent": _rounded(float(np.mean(busy))) if busy else None,
        },
    )


PARTS: dict[str, Callable[[Setting], Iterator[tuple[str, Any]]]] = {
    "same": same,
    "training": training,
    "scoring": scoring,
    "study": study,
}


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--train", type=int, default=60_000)
    parser.add_argument("--slots", default="1,4,8,12")
    parser.add_argument("--batches", default="32,128")
    parser.add_argument("--tokens", default="4096,16384,32768,65536")
    parser.add_argument("--out", default=str(Path(__file__).parent))
    return parser.parse_args()


def _train(
    setting: Setting, course: Course, rows: np.ndarray, seed: int, test: Any = None
) -> np.ndarray:
    with trainers.trained(course, part(course, rows, seed)) as training:
        for _ in training.stops:
            pass
        return np.empty(0) if test is None else training.predict(test)


def _together(setting: Setting, batch: int, slots: int) -> dict[str, float]:
    """Return examples per second of `slots` trainings at once."""
    course, rows = setting.course(batch), setting.rows(batch)
    with ThreadPoolExecutor(slots) as pool:
        list(pool.map(partial(_train, setting, course, rows[::4]), range(slots)))  # records steps
        work = partial(_train, setting, course, rows)
        seconds = _seconds(setting, lambda: list(pool.map(work, range(slots))))
    memory = 0.0 if setting.device == "cpu" else torch.cuda.memory_reserved() / 2**30
    return {"speed": _rounded(slots * len(rows) / seconds), "gigabytes": _rounded(memory)}


def _plain(setting: Setting, batch: int) -> dict[str, float]:
    course, rows = setting.course(batch), setting.rows(batch)[: STEPS // 4 * batch]
    model = course.build(0).to(setting.device)
    tokens, labels = course.examples.tokens.take(rows), course.examples.labels[rows]
    steps = fit.steps_per_epoch(len(rows), batch)

    def work(steps: int) -> None:
        by_the_loop(model, tokens, labels, course.config, steps)

    work(min(5, steps))
    seconds = _seconds(setting, partial(work, steps))
    return {"examples_per_second": _rounded(len(rows) / seconds)}


def _trainer(setting: Setting, batch: int) -> dict[str, float]:
    """Time Trainer as it comes, without its first ten steps."""
    from transformers import DataCollatorWithPadding, Trainer, TrainerCallback, TrainingArguments

    rows, warm = len(setting.rows(batch)) // 2, 10
    examples = [
        {key: value for key, value in row.items() if key != "length"}
        for row in setting.inputs.rows()[:rows]
    ]
    ends: dict[int, float] = {}

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in (warm, args.max_steps):
                setting.wait()
                ends[state.global_step] = time.perf_counter()

    folder = tempfile.mkdtemp()
    steps = max(warm + 1, len(examples) // batch)
    arguments = TrainingArguments(
        output_dir=folder,
        per_device_train_batch_size=batch,
        max_steps=steps,
        bf16=setting.fit.precision == "bf16",
        use_cpu=setting.device == "cpu",
        learning_rate=1e-4,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    Trainer(
        model=_fresh(setting, 0),
        args=arguments,
        train_dataset=examples,  # pyright: ignore[reportArgumentType]
        data_collator=DataCollatorWithPadding(setting.inputs.tokenizer),
        callbacks=[Clock()],
    ).train()
    shutil.rmtree(folder)
    seconds = ends[steps] - ends[warm]
    return {"examples_per_second": _rounded((steps - warm) * batch / seconds)}


def _fresh(setting: Setting, seed: int) -> torch.nn.Module:
    given = (setting.fit, setting.inputs.tokenizer, setting.inputs.names, seed)
    return classifier.build(*given).to(setting.device)


def _measure(setting: Setting, meter: Meter, tokens: int, rows: np.ndarray) -> None:
    meter.measure(setting.inputs.tokens, setting.inputs.labels, rows, tokens)


def _seconds(setting: Setting, work: Callable[[], object]) -> float:
    setting.wait()
    began = time.perf_counter()
    work()
    setting.wait()
    return time.perf_counter() - began


@contextmanager
def watched(device: str) -> Iterator[list[float]]:
    """Give the percent of time in which the GPU was busy, asked every second meanwhile."""
    busy: list[float] = []
    over = threading.Event()
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]

    def watch() -> None:
        while not over.wait(1):
            shown = subprocess.run(command, capture_output=True, text=True)
            busy.append(float(shown.stdout.splitlines()[0]))

    watcher = threading.Thread(target=watch) if device != "cpu" else None
    if watcher:
        watcher.start()
    try:
        yield busy
    finally:
        over.set()
        if watcher:
            watcher.join()


def _differences(ones: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> dict[str, Any]:
    pairs = list(zip(ones, others, strict=True))
    largest = max(float(np.abs(one - other).max()) for one, other in pairs)
    return {"equal": all(bool((one == other).all()) for one, other in pairs), "largest": largest}


def _write(folder: Path, written: dict[str, Any]) -> None:
    (folder / "gpu.json").write_text(json.dumps(written, indent=1) + "\n")


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    main()
