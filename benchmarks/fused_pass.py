"""What VoG, exact gradient norms and values cost, relative to a forward pass of the same run.

Run: python -m benchmarks.fused_pass [--rounds 15] [--lengths 32,128,path/to/snli]
Writes benchmarks/fused_pass.json and docs/images/fused_pass.png. BERT L4 H256 with random weights,
batches of 32, one thread; each round times every work once, in turn, and the medians of the rounds
are divided by that of transformers' own forward, which computes all tokens of the last layer where
this package computes the one that the head reads. Values are products of gradients with a random
direction. A dataset in place of a length gives the lengths that MiniLM's tokenizer finds in 32 of
its examples, padded to the longest of them.
"""

import argparse
from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BertConfig, BertForSequenceClassification

from benchmarks.measuring import bars, machine, medians, write
from influence.config.parameters import DataConfig, ModelConfig
from influence.data import load
from influence.models import tokenizers
from influence.models.layers import parameter_group
from influence.models.shortcuts.first_token import read_first_token
from influence.models.tokens import encode
from influence.runtime.memory import keep_freed_memory
from influence.trace.gradient_norms import NormRecorder, loop_norms
from influence.trace.meter import measure
from influence.trace.sums import Direction

BATCH, CLASSES, VOCABULARY, CHECKED = 32, 3, 30522, 4
NORMS, VALUES = "norms", "values"


def main() -> None:
    """Measure every length and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--lengths", default="32,128", help="tokens, or a dataset to take them of")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    lengths = dict(map(named_lengths, arguments.lengths.split(",")))
    found = {name: run(some, arguments.rounds) for name, some in lengths.items()}
    result = {
        "machine": machine(),
        "rounds": arguments.rounds,
        "relative_to_forward": found,
        "largest_relative_error": {name: error(some) for name, some in lengths.items()},
    }
    write(__file__, result)
    shown = {name: {work: row[work] for work in list(row)[1:]} for name, row in found.items()}
    ours = [work for work in next(iter(shown.values())) if work.startswith("logits")]
    bars("fused_pass", shown, ours, "time in forward passes")


def named_lengths(text: str) -> tuple[str, np.ndarray]:
    """Return the tokens of 32 examples, all as long as `text` says or those of a dataset."""
    if text.isdigit():
        return f"{text} tokens", np.full(BATCH, int(text))
    dataset, config = (
        load.load(DataConfig(dataset=text, max_train=1000)),
        ModelConfig(model="minilm"),
    )
    tokenizer = tokenizers.load_tokenizer(config, [])
    rows = dataset.train.head(BATCH)
    return f"{dataset.name}, padded", encode(tokenizer, rows, config.max_length, False).lengths


def run(lengths: np.ndarray, rounds: int) -> dict[str, float]:
    """Return the median time of each work in forward passes."""
    inputs, gold = batch(lengths)
    with ExitStack() as stack:
        times = medians(_works(inputs, gold, stack), rounds)
    return {name: round(seconds / times["forward"], 3) for name, seconds in times.items()}


def error(lengths: np.ndarray) -> float:
    """Return the largest relative error of an all-parameter norm against one example at a time."""
    inputs, gold = batch(lengths)
    few, few_gold = {name: value[:CHECKED] for name, value in inputs.items()}, gold[:CHECKED]
    net = model()
    groups = {"all": parameter_group(net, "all")}
    right = loop_norms(net, few, few_gold, groups)["all"]
    with NormRecorder(read_first_token(net), groups) as recorder:
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


def direction(net: nn.Module, which: str) -> Direction:
    """Return a random gradient of these parameters."""
    generator, named = torch.Generator().manual_seed(0), dict(net.named_parameters())
    names = parameter_group(net, which)
    return Direction([{n: torch.randn(named[n].shape, generator=generator) for n in names}])


def batch(lengths: np.ndarray) -> tuple[dict[str, Tensor], Tensor]:
    """Return a batch of random tokens, padded to the longest of its examples."""
    longest, generator = int(lengths.max()), torch.Generator().manual_seed(0)
    ids = torch.randint(5, VOCABULARY, (len(lengths), longest), generator=generator)
    mask = torch.arange(longest) < torch.tensor(lengths)[:, None]
    inputs = {"input_ids": ids.masked_fill(~mask, 0), "attention_mask": mask.long()}
    return inputs, torch.arange(len(lengths)) % CLASSES


def _works(inputs: dict[str, Tensor], gold: Tensor, stack: ExitStack) -> dict[str, Callable]:
    plain, trained, ours = model(), model(trained=True), read_first_token(model())
    recorders = {}
    for which in ("all", "last_layer"):
        for what in (NORMS, VALUES, f"{NORMS} and {VALUES}"):
            net = read_first_token(model())
            groups = {which: parameter_group(net, which)} if NORMS in what else {}
            directions = {VALUES: direction(net, which)} if VALUES in what else {}
            recorder = stack.enter_context(NormRecorder(net, groups, directions))
            recorders[which, what] = (net, recorder)

    def forward() -> None:
        with torch.inference_mode():
            plain(**inputs)

    def training() -> None:
        functional.cross_entropy(trained(**inputs).logits, gold).backward()
        trained.zero_grad(set_to_none=True)

    def fused(which: str, what: str, gradient: bool = False) -> Callable:
        net, recorder = recorders[which, what]
        return lambda: measure(net, inputs, gold, gradient, recorder)

    return {
        "forward": forward,
        "training forward + backward": training,
        "logits + VoG": lambda: measure(ours, inputs, gold, True, None),
        "logits + last-layer norms": fused("last_layer", NORMS),
        "logits + VoG + last-layer norms": fused("last_layer", NORMS, True),
        "logits + last-layer values": fused("last_layer", VALUES),
        "logits + last-layer norms and values": fused("last_layer", f"{NORMS} and {VALUES}"),
        "logits + all-parameter norms": fused("all", NORMS),
        "logits + VoG + all-parameter norms": fused("all", NORMS, True),
        "logits + all-parameter values": fused("all", VALUES),
        "logits + all-parameter norms and values": fused("all", f"{NORMS} and {VALUES}"),
    }


if __name__ == "__main__":
    main()
