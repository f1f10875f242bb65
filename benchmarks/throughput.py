"""Examples per second of training and of the fused pass on a device, and their share of its peak.

Run: python -m benchmarks.throughput path/to/snli [--device auto] [--train 20000] [--rounds 3]
         [--compiled] [--together 1,4] [--tokens 2048,16384]
Writes benchmarks/throughput_cpu.json and docs/images/throughput_cpu.png, on a GPU _cuda.
MiniLM-L6-H384 from the extra (another model with --model). Training is an epoch in batches of 32
as every retraining does it, also with a compiled model, once that is compiled, and by several
processes of one thread at once; scoring gives logits, VoG and all-parameter norms under two
checkpoints, counted once for each, in batches of so many tokens. Each round does everything once,
in turn. The work is that of the matrix products, as torch counts them; the peak is what one large
product reaches on the same device in the same precision. Retrainings per hour are those of --pairs
examples for --epochs epochs, by as many processes at once.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import bars, hardware, machine, write
from benchmarks.training import RATE, Inputs, by_the_loop
from influence.config.parameters import DataConfig, ExecutionConfig, FitConfig
from influence.data import load
from influence.jobs.engine import engine
from influence.models import classifier, fit
from influence.models.tokens import usual_tokens
from influence.runtime.devices import device_named, has_bf16
from influence.runtime.memory import keep_freed_memory
from influence.trace.meter import Meter, Resident

COUNTED = 8  # batches whose work is counted, and that warm up
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
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--together", default="1", help="processes")
    parser.add_argument("--tokens", help="of a scoring batch")
    parser.add_argument("--pairs", type=int, default=95_000)
    parser.add_argument("--epochs", type=int, default=3)
    asked = parser.parse_args()
    device = device_named(asked.device)
    if device == "cpu":
        torch.set_num_threads(1)
        keep_freed_memory()
    dataset = load.load(DataConfig(dataset=asked.dataset, max_train=asked.train, max_test=1000))
    inputs = Inputs(FitConfig(model=asked.model), dataset)
    asked.tokens = asked.tokens or str(usual_tokens(device))
    crews, budgets = (
        [int(part) for part in text.split(",")] for text in (asked.together, asked.tokens)
    )
    kind = torch.device(device).type
    settings = {key: value for key, value in vars(asked).items() if key != "dataset"}
    rows: dict[str, dict] = {}
    for precision in ["fp32", "bf16"] if has_bf16(device) else ["fp32"]:
        config = fit_config(asked.model, precision)
        rows[precision] = run(config, inputs, device, asked.rounds, budgets, asked.compiled)
        speeds = {n: together(n, config, inputs, device, asked.rounds) for n in crews}
        hours = asked.epochs * asked.pairs / 3600
        rows[precision]["together"] = {
            f"{n} at once": {
                "examples_per_second": _rounded(speed),
                "retrainings_per_hour": _rounded(speed / hours),
            }
            for n, speed in speeds.items()
        }
        # After every precision: what is measured stays if the next one is cut off.
        write(
            f"{Path(__file__).with_suffix('')}_{kind}",
            {
                "machine": machine(device=hardware(device)),
                "dataset": {"name": dataset.name, "digest": dataset.digest},
                "settings": settings,
                "precisions": rows,
            },
        )
    shown = {name: _speeds(row) for name, row in rows.items()}
    bars(f"throughput_{kind}", shown, ["training", "scoring"], "examples per second")


def fit_config(model: str, precision: str) -> FitConfig:
    """Return what everything here is trained with."""
    rates = {"learning_rate": RATE, "head_learning_rate": RATE}
    return FitConfig(model=model, epochs=1, precision=precision, **rates)


def run(
    config: FitConfig,
    inputs: Inputs,
    device: str,
    rounds: int,
    budgets: Sequence[int],
    compiled: bool = False,
) -> dict:
    """Return examples per second, work and its share of the peak, of training and scoring."""
    examples, peak = len(inputs.tokens), peak_of(config.precision, device)
    some = min(COUNTED * config.batch_size, examples)
    works: dict[str, tuple[Callable, int]] = {"training": (_train, 1)}
    if compiled:
        works["training, compiled"] = (partial(_train, compiled=True), 1)
    for budget in budgets:
        name = "scoring" if budget == budgets[0] else f"scoring, {budget} tokens"
        works[name] = (partial(_score, budget=budget), CHECKPOINTS)
    teraflops = {}  # of an example
    for kind in ("training", "scoring"):
        counting = works[kind][0](config, inputs, device, some)
        with FlopCounterMode(display=False) as counted:  # which warms up as well
            counting()
        teraflops[kind] = counted.get_total_flops() / some / 1e12
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (prepare, _) in works.items():
            times[name].append(_seconds(prepare(config, inputs, device, examples), device))
    found: dict = {"peak_teraflops": _rounded(peak)}
    for name, (_, passes) in works.items():
        seconds = statistics.median(times[name])
        speed = teraflops[name.split(",")[0]] * examples / seconds
        found[name] = {
            "examples_per_second": _rounded(passes * examples / seconds),
            "teraflops": _rounded(speed),
            "share_of_peak": _rounded(speed / peak),
        }
    return found


def together(count: int, config: FitConfig, inputs: Inputs, device: str, rounds: int) -> float:
    """Return examples per second of `count` processes, each with a training of its own.

    Of one thread each. From the first that begins to the last that ends, without the first round,
    in which each process warms up.
    """
    times: list[float] = []
    with engine(ExecutionConfig(workers=count, threads=1, device=device)) as workers:
        for _ in range(rounds + 1):
            jobs = [(config, inputs, device)] * count
            ends = [ends for _, ends in workers.run(train_once, jobs, "together")]
            times.append(max(end for _, end in ends) - min(begin for begin, _ in ends))
    return count * len(inputs.tokens) / statistics.median(times[1:])


def train_once(config: FitConfig, inputs: Inputs, device: str) -> tuple[float, float]:
    """Train a fresh model and return when that began and ended."""
    work = _train(config, inputs, device, len(inputs.tokens))
    _wait(device)
    began = time.time()
    work()
    _wait(device)
    return began, time.time()


def peak_of(precision: str, device: str) -> float:
    """Return the teraflops of one large matrix product."""
    size = 8192 if device != "cpu" else 2048
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    left, right = (torch.randn(size, size, device=device).to(kind) for _ in range(2))
    times = [_seconds(lambda: left @ right, device) for _ in range(7)][2:]
    return 2 * size**3 / statistics.median(times) / 1e12


def _train(
    config: FitConfig, inputs: Inputs, device: str, examples: int, compiled: bool = False
) -> Callable[[], None]:
    """Return what trains a fresh model on the first examples."""
    model = classifier.build(config, inputs.tokenizer, inputs.names, 0).to(device)
    tokens, labels = inputs.tokens.take(np.arange(examples)), inputs.labels[:examples]
    steps = fit.steps_per_epoch(examples, config.batch_size)

    def work(steps: int = steps) -> None:
        by_the_loop(model, tokens, labels, config, steps)

    if compiled:
        model.compile(dynamic=True)  # or every length of a batch would be compiled anew
        work(min(COUNTED, steps))
    return work


def _score(
    config: FitConfig, inputs: Inputs, device: str, examples: int, budget: int
) -> Callable[[], None]:
    """Return what scores the first examples under checkpoints that are in memory."""

    def checkpoint(number: int) -> torch.nn.Module:
        return classifier.build(config, inputs.tokenizer, inputs.names, number).to(device)

    residents = [
        Resident(0, number, partial(checkpoint, number), QUANTITIES, ("all",))
        for number in range(CHECKPOINTS)
    ]
    meter = Meter(residents, precision=config.precision, device=device)
    for number in range(CHECKPOINTS):
        meter.opened(number)

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


def _speeds(row: dict) -> dict[str, float]:
    """Return the examples per second of everything that was measured in a precision."""
    together = {f"training, {crew}": values for crew, values in row["together"].items()}
    alone = {name: row[name] for name in row if name.startswith(("training", "scoring"))}
    return {name: values["examples_per_second"] for name, values in (alone | together).items()}


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")


if __name__ == "__main__":
    main()
