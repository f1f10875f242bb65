"""What VoG and exact gradient norms cost, relative to a forward pass measured in the same run.

Run: python -m benchmarks.fused_pass [--rounds 15] [--lengths 32,128]
Writes benchmarks/fused_pass.json. BERT L4 H256 with random weights, batches of 32, one thread; each
round times every work once, in turn, and the medians of the rounds are divided by the forward's.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from influence.cluster import keep_freed_memory
from influence.gradients import NormRecorder, loop_norms
from influence.layers import parameter_group
from influence.steps.step import versions
from influence.trace import measure

BATCH, CLASSES, VOCABULARY, CHECKED = 32, 3, 30522, 4
RESULT = Path(__file__).with_suffix(".json")


def main() -> None:
    """Measure every length and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", default="32,128")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    lengths = [int(length) for length in arguments.lengths.split(",")]
    result = {
        "machine": {"processor": processor(), "system": platform.system(), "threads": 1},
        "versions": versions(),
        "rounds": arguments.rounds,
        "relative_to_forward": {str(n): run(n, arguments.rounds) for n in lengths},
        "largest_relative_error": {str(n): error(n) for n in lengths},
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


def run(length: int, rounds: int) -> dict[str, float]:
    """Return the median time of each work in forward passes."""
    inputs, gold = batch(length)
    with ExitStack() as stack:
        works = _works(inputs, gold, stack)
        times: dict[str, list[float]] = {name: [] for name in works}
        for number in range(rounds + 2):
            for name, work in works.items():
                start = time.perf_counter()
                work()
                if number >= 2:  # the first rounds warm up
                    times[name].append(time.perf_counter() - start)
    forward = statistics.median(times["forward"])
    return {name: round(statistics.median(t) / forward, 3) for name, t in times.items()}


def error(length: int) -> float:
    """Return the largest relative error of an all-parameter norm against one example at a time."""
    inputs, gold = batch(length)
    few, few_gold = {name: value[:CHECKED] for name, value in inputs.items()}, gold[:CHECKED]
    net = model()
    groups = {"all": parameter_group(net, "all")}
    right = loop_norms(net, few, few_gold, groups)["all"]
    with NormRecorder(net, groups) as recorder:
        found = measure(net, few, few_gold, False, recorder)[2]["all"]
    return ((found - right).abs() / right).max().item()


def model(trained: bool = False) -> nn.Module:
    """Return BERT L4 H256 with random weights, without dropout, its parameters frozen or not."""
    torch.manual_seed(0)
    sizes = {"hidden_size": 256, "num_hidden_layers": 4, "num_attention_heads": 4}
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    config = BertConfig(
        vocab_size=VOCABULARY, intermediate_size=1024, num_labels=CLASSES, **sizes, **rates
    )
    return BertForSequenceClassification(config).eval().requires_grad_(trained)


def batch(length: int) -> tuple[dict[str, Tensor], Tensor]:
    """Return a batch without padding."""
    ids = torch.randint(5, VOCABULARY, (BATCH, length), generator=torch.Generator().manual_seed(0))
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}, torch.arange(BATCH) % CLASSES


def _works(inputs: dict[str, Tensor], gold: Tensor, stack: ExitStack) -> dict[str, Callable]:
    plain, trained = model(), model(trained=True)
    recorders = {}
    for which in ("all", "last_layer"):
        net = model()
        recorder = NormRecorder(net, {which: parameter_group(net, which)})
        recorders[which] = (net, stack.enter_context(recorder))

    def forward() -> None:
        with torch.inference_mode():
            plain(**inputs)

    def training() -> None:
        functional.cross_entropy(trained(**inputs).logits, gold).backward()
        trained.zero_grad(set_to_none=True)

    def fused(which: str, gradient: bool) -> Callable:
        net, recorder = recorders[which]
        return lambda: measure(net, inputs, gold, gradient, recorder)

    return {
        "forward": forward,
        "training forward + backward": training,
        "logits + VoG": lambda: measure(plain, inputs, gold, True, None),
        "logits + last-layer norms": fused("last_layer", False),
        "logits + VoG + last-layer norms": fused("last_layer", True),
        "logits + all-parameter norms": fused("all", False),
        "logits + VoG + all-parameter norms": fused("all", True),
    }


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


if __name__ == "__main__":
    main()
