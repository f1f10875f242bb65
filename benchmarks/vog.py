"""VoG per checkpoint beside the paper's Algorithm 1 as it stands, and one forward and backward.

Run: python -m benchmarks.vog [--rounds 7]
Writes benchmarks/vog.json and docs/images/vog.png. Five checkpoints of BERT L4 H256, random
weights, one thread; 32 and 128 tokens without padding. `as written` goes through checkpoints and
examples one by one, keeps every gradient and then takes the variance; `forward + backward` is one
of each, by transformers' own code, to the embeddings of the batch, with nothing else done. Times
are per example and checkpoint, divided by transformers' own forward in the same run.
"""

import argparse
from copy import deepcopy
from functools import partial

import numpy as np
import torch

from benchmarks.fused_pass import BATCH, batch, model
from benchmarks.measuring import bars, machine, medians, write
from influence.models.shortcuts.first_token import read_first_token
from influence.models.tokens import Tokens, starts_of
from influence.runtime.memory import keep_freed_memory
from influence.trace.meter import Meter, Resident

CHECKPOINTS, ALONE = 5, 4  # examples of the slow way


def main() -> None:
    """Measure every length and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    keep_freed_memory()
    found, errors = {}, {}
    for length in (32, 128):
        found[f"{length} tokens"], errors[f"{length} tokens"] = run(length, rounds)
    write(
        __file__,
        {
            "machine": machine(),
            "rounds": rounds,
            "forwards_per_checkpoint": found,
            "largest_relative_difference": errors,
        },
    )
    bars("vog", found, ["influence"], "time per checkpoint, in forward passes")


def run(length: int, rounds: int) -> tuple[dict[str, float], float]:
    """Return forwards per example and checkpoint, and how much both ways differ."""
    nets = [model() for _ in range(CHECKPOINTS)]
    for seed, net in enumerate(nets):
        generator = torch.Generator().manual_seed(seed)
        for parameter in net.parameters():
            parameter.add_(0.01 * torch.randn(parameter.shape, generator=generator))
    firsts = [read_first_token(deepcopy(net)) for net in nets]
    lengths = np.full(BATCH, length, dtype=np.int32)
    inputs, gold = batch(lengths)
    ids = inputs["input_ids"].numpy().astype(np.int32).ravel()
    tokens = Tokens(ids, None, starts_of(lengths), lengths, 0)
    residents = [
        Resident(0, step, partial(_same, net), frozenset({"logits"}), ("all",))
        for step, net in enumerate(firsts)
    ]
    meter, labels, rows = Meter(residents), gold.numpy(), np.arange(BATCH)

    def forward() -> None:
        with torch.inference_mode():
            for net in nets:
                net(**inputs)

    def both() -> None:
        for net in nets:
            _gradient(net, inputs["input_ids"], gold)

    def ours() -> np.ndarray:
        measured = meter.measure(tokens, labels, rows, BATCH * length)
        return measured.over[0, "gradient_variance", "all"]

    def as_written() -> np.ndarray:
        variances = []
        for row in range(ALONE):
            one, label = inputs["input_ids"][row : row + 1], gold[row : row + 1]
            seen = torch.stack([_gradient(net, one, label) for net in nets])
            variances.append(seen.var(0, correction=0).mean().item())
        return np.array(variances)

    trained = [model(trained=True) for _ in nets]
    for net, other in zip(trained, nets, strict=True):
        net.load_state_dict(other.state_dict())

    def with_all_gradients() -> None:
        for row in range(ALONE):
            one, label = inputs["input_ids"][row : row + 1], gold[row : row + 1]
            for net in trained:
                embedded = net.bert.embeddings.word_embeddings(one).detach().requires_grad_()
                net(inputs_embeds=embedded).logits[0, label].sum().backward()
                net.zero_grad(set_to_none=True)

    seconds = medians(
        {
            "forward": forward,
            "forward + backward": both,
            "influence": ours,
            "as written": as_written,
            "as written, parameters not frozen": with_all_gradients,
        },
        rounds,
    )
    unit = seconds.pop("forward") / BATCH
    slow = {name for name in seconds if name.startswith("as written")}
    found = {
        name: value / (ALONE if name in slow else BATCH) / unit for name, value in seconds.items()
    }
    right = as_written()
    difference = float((np.abs(ours()[:ALONE] - right) / right).max())
    return {name: float(f"{value:.3g}") for name, value in found.items()}, difference


def _gradient(net, ids: torch.Tensor, gold: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the gold logits with respect to the embeddings' output."""
    states = net.bert.embeddings(ids).detach().requires_grad_()
    hidden = net.bert.encoder(states).last_hidden_state
    logits = net.classifier(net.bert.pooler(hidden))
    return torch.autograd.grad(logits.gather(1, gold[:, None]).sum(), states)[0]


def _same(net):
    return net


if __name__ == "__main__":
    main()
