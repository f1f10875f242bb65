"""Examples per second of training and of the fused pass on a device, and their share of its peak.

Run: python -m benchmarks.throughput path/to/snli [--device auto] [--train 20000] [--rounds 3]
Writes benchmarks/throughput.json and docs/images/throughput.png. MiniLM-L6-H384 from the extra
(another model with --model). Training is an epoch in batches of 32 as every retraining does it;
scoring gives logits, VoG and all-parameter norms under two checkpoints, counted once for each. The
work is that of the matrix products, as torch counts them; the peak is what one large product
reaches on the same device in the same precision. Retrainings per hour are those of --pairs examples
for --epochs epochs, one at a time.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import bars, machine, write
from benchmarks.training import RATE, Inputs
from influence import data, models, training
from influence.cluster import device_named, has_bf16, keep_freed_memory
from influence.config import FitConfig, ScoreConfig
from influence.trace import Meter, Resident

COUNTED = 8  # batches whose work is counted
QUANTITIES = frozenset({"logits", "gradient_norms"})
CHECKPOINTS = 2


def main() -> None:
    """Measure every precision that the device has and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pairs", type=int, default=95_000)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    device = device_named(asked.device)
    if device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    dataset = data.load(asked.dataset, max_train=asked.train, max_test=1000)
    inputs = Inputs(FitConfig(model=asked.model), dataset)
    precisions = ["fp32", "bf16"] if has_bf16(device) else ["fp32"]
    rows = {name: run(asked.model, inputs, name, device, asked.rounds) for name in precisions}
    trained = asked.epochs * asked.pairs
    hourly = {
        name: round(3600 * row["training"]["examples_per_second"] / trained, 2)
        for name, row in rows.items()
    }
    settings = {key: value for key, value in vars(asked).items() if key != "dataset"}
    write(
        __file__,
        {
            "machine": machine(device=_name(device)),
            "dataset": {"name": dataset.name, "digest": dataset.digest},
            "settings": settings,
            "precisions": rows,
            "retrainings_per_hour": hourly,
        },
    )
    shown = {
        name: {work: row[work]["examples_per_second"] for work in ("training", "scoring")}
        for name, row in rows.items()
    }
    bars("throughput", shown, ["training", "scoring"], "examples per second")


def run(model: str, inputs: Inputs, precision: str, device: str, rounds: int) -> dict:
    """Return examples per second, work and its share of the peak, of training and scoring."""
    config = FitConfig(
        model=model, epochs=1, learning_rate=RATE, head_learning_rate=RATE, precision=precision
    )
    examples = len(inputs.tokens)
    some = min(COUNTED * config.batch_size, examples)
    peak = peak_of(precision, device)
    found: dict = {"peak_teraflops": float(f"{peak:.3g}")}
    works = {"training": (_train, 1), "scoring": (_score, CHECKPOINTS)}
    for name, (prepare, passes) in works.items():
        work = partial(prepare, config, inputs, device)
        counting = work(some)
        with FlopCounterMode(display=False) as counted:  # which warms up as well
            counting()
        seconds = statistics.median(_seconds(work(examples), device) for _ in range(rounds))
        teraflops = counted.get_total_flops() / some * examples / seconds / 1e12
        found[name] = {
            "examples_per_second": float(f"{passes * examples / seconds:.4g}"),
            "teraflops": float(f"{teraflops:.3g}"),
            "share_of_peak": float(f"{teraflops / peak:.3g}"),
        }
    return found


def peak_of(precision: str, device: str) -> float:
    """Return the teraflops of one large matrix product."""
    size = 8192 if device != "cpu" else 2048
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    times = [_seconds(lambda: left @ right, device) for _ in range(7)][2:]
    return 2 * size**3 / statistics.median(times) / 1e12


def _train(config: FitConfig, inputs: Inputs, device: str, examples: int) -> Callable[[], None]:
    """Return what trains a fresh model on the first examples."""
    model = models.build(config, inputs.tokenizer, inputs.names, 0).to(device)
    tokens, labels = inputs.tokens.take(np.arange(examples)), inputs.labels[:examples]
    steps = training.steps_per_epoch(examples, config.batch_size)

    def work() -> None:
        for _ in training.fit(model, tokens, labels, config, 0, (steps,)):
            pass

    return work


def _score(config: FitConfig, inputs: Inputs, device: str, examples: int) -> Callable[[], None]:
    """Return what scores the first examples under checkpoints that are in memory."""

    def checkpoint(number: int) -> torch.nn.Module:
        return models.build(config, inputs.tokenizer, inputs.names, number).to(device)

    residents = [
        Resident(0, number, partial(checkpoint, number), QUANTITIES, ("all",))
        for number in range(CHECKPOINTS)
    ]
    meter = Meter(residents, precision=config.precision, device=device)
    for number in range(CHECKPOINTS):
        meter.opened(number)
    budget = ScoreConfig().batch_tokens

    def work() -> None:
        meter.measure(inputs.tokens, inputs.labels, np.arange(examples), budget)

    return work


def _seconds(work: Callable[[], object], device: str) -> float:
    _wait(device)
    began = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - began


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize(device)


def _name(device: str) -> str:
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)


if __name__ == "__main__":
    main()
