"""Gradient norms of single examples by other libraries, beside this one and a naive loop.

Run: python -m benchmarks.environment; .venv-peers/bin/python -m benchmarks.peers [--rounds 5]
Writes benchmarks/peers.json and docs/images/peers.png. BERT L4 H256 with random weights, a batch of
32 examples of 32 tokens without padding, one thread. Every library gets the same weights and the
same batch; a slow one gets fewer examples. Times are per example, divided by that of a forward pass
by transformers in the same run; errors are the largest relative ones of the norm, against a
backward pass of one example over all parameters. Where a library needs help to run at all, the
adapter says so.
"""

import argparse
import importlib.util
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.fused_pass import BATCH, batch, model
from benchmarks.measuring import bars, machine, medians, write
from influence.models.layers import parameter_group
from influence.models.shortcuts.first_token import read_first_token
from influence.runtime.memory import keep_freed_memory
from influence.trace.gradient_norms import NormRecorder, loop_norms
from influence.trace.meter import measure

LENGTH = 32
OURS = ("influence", "influence, whole last layer")
Work = Callable[[], Tensor]  # norms (examples,)


class Net(nn.Module):
    """The classifier with positions given for every example, as a function of ids and positions.

    Without them, opacus stops and dattri-llm counts position embeddings wrongly; without a mask,
    because torch.func cannot follow the code that makes one.
    """

    def __init__(self, trained: bool = True) -> None:
        """Make the model that all benchmarks use."""
        super().__init__()
        self.net = model(trained)

    def forward(self, ids: Tensor) -> Tensor:
        """Return the logits (examples, classes)."""
        positions = torch.arange(ids.shape[1]).repeat(len(ids), 1)
        kinds = torch.zeros_like(ids)
        return self.net(input_ids=ids, position_ids=positions, token_type_ids=kinds).logits


def main() -> None:
    """Measure every library that is installed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    keep_freed_memory()
    inputs, gold = batch(np.full(BATCH, LENGTH))
    ids = inputs["input_ids"]
    exact = loop_norms(model(), inputs, gold, {"all": parameter_group(model(), "all")})["all"]
    rows, libraries = {}, {}
    with ExitStack() as stack:
        works: dict[str, Callable[[], object]] = {"forward": _forward(inputs)}
        sizes = {"forward": BATCH}
        for name, (package, open_work, size, covers) in PEERS.items():
            if importlib.util.find_spec(package.replace("-", "_")) is None:
                continue
            rows_of = torch.arange(size) % BATCH
            work = stack.enter_context(open_work(ids[rows_of], gold[rows_of]))
            works[name], sizes[name] = work, size
            error = ((work() - exact[rows_of]).abs() / exact[rows_of]).max().item()
            rows[name] = {"covers": covers, "largest_relative_error": float(f"{error:.2g}")}
            if package not in ("influence", "torch"):
                libraries[package] = version(package)
        seconds = medians(works, rounds)
    forward = seconds.pop("forward") / BATCH
    for name, value in seconds.items():
        rows[name]["forwards"] = float(f"{value / sizes[name] / forward:.3g}")
    write(
        __file__,
        {"machine": machine(), "libraries": libraries, "rounds": rounds, "norms": rows},
    )
    shown = dict(
        sorted(((name, row["forwards"]) for name, row in rows.items()), key=lambda r: r[1])
    )
    bars("peers", {"": shown}, OURS, "time per example, in forward passes")


def _forward(inputs: dict[str, Tensor]) -> Callable[[], object]:
    plain = model()

    def work() -> None:
        with torch.inference_mode():
            plain(**inputs)

    return work


@contextmanager
def _influence(ids: Tensor, gold: Tensor, whole: bool = False) -> Iterator[Work]:
    net, inputs = model(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    net = net if whole else read_first_token(net)
    with NormRecorder(net, {"all": parameter_group(net, "all")}) as recorder:
        yield lambda: measure(net, inputs, gold, False, recorder)[2]["all"]


@contextmanager
def _loop(ids: Tensor, gold: Tensor) -> Iterator[Work]:
    net, inputs = model(), {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    groups = {"all": parameter_group(net, "all")}
    yield lambda: loop_norms(net, inputs, gold, groups)["all"]


@contextmanager
def _vmap(ids: Tensor, gold: Tensor) -> Iterator[Work]:
    net = Net()
    parameters = dict(net.named_parameters())

    def loss(values, one: Tensor, label: Tensor) -> Tensor:
        logits = torch.func.functional_call(net, values, (one[None],))
        return functional.cross_entropy(logits, label[None])

    gradients = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0, 0))

    def work() -> Tensor:
        found = gradients(parameters, ids, gold)
        return sum(g.flatten(1).square().sum(1) for g in found.values()).sqrt()

    yield work


@contextmanager
def _opacus(ids: Tensor, gold: Tensor) -> Iterator[Work]:
    from opacus.grad_sample import GradSampleModuleFastGradientClipping

    wrapped = GradSampleModuleFastGradientClipping(
        Net().train(), loss_reduction="sum", strict=False, max_grad_norm=1.0
    )

    def work() -> Tensor:
        functional.cross_entropy(wrapped(ids), gold, reduction="sum").backward()
        norms = wrapped.get_norm_sample()
        wrapped.zero_grad(set_to_none=True)
        return norms.detach()

    yield work


@contextmanager
def _captum(ids: Tensor, gold: Tensor, **settings) -> Iterator[Work]:
    from captum.influence import TracInCP

    net = Net().eval()
    tracin = TracInCP(
        net,
        TensorDataset(ids, gold),
        [""],
        checkpoints_load_func=lambda model, path: 1.0,
        loss_fn=nn.CrossEntropyLoss(reduction="sum" if settings else "none"),
        batch_size=len(ids),
        **settings,
    )
    yield lambda: tracin.self_influence((ids, gold)).clamp(min=0).sqrt()


@contextmanager
def _kronfluence(ids: Tensor, gold: Tensor) -> Iterator[Work]:
    from kronfluence.analyzer import Analyzer, prepare_model
    from kronfluence.arguments import FactorArguments, ScoreArguments
    from kronfluence.task import Task

    class Classify(Task):
        def compute_train_loss(self, batch, model, sample=False):
            return functional.cross_entropy(model(batch[0]), batch[1], reduction="sum")

        def compute_measurement(self, batch, model):
            return self.compute_train_loss(batch, model)

    task, data = Classify(), TensorDataset(ids, gold)
    net = prepare_model(Net().eval(), task)
    with tempfile.TemporaryDirectory() as folder:
        analyzer = Analyzer("peers", net, task, cpu=True, output_dir=folder, disable_tqdm=True)
        identity = FactorArguments(strategy="identity")
        analyzer.fit_all_factors("none", data, factor_args=identity, overwrite_output_dir=True)

        def work() -> Tensor:
            analyzer.compute_self_scores(
                scores_name="own",
                factors_name="none",
                train_dataset=data,
                per_device_train_batch_size=BATCH,
                score_args=ScoreArguments(damping_factor=0.0),
                overwrite_output_dir=True,
            )
            scores = analyzer.load_self_scores("own")
            assert scores is not None
            return scores["all_modules"].flatten().clamp(min=0).sqrt()

        yield work


@contextmanager
def _dattri(ids: Tensor, gold: Tensor) -> Iterator[Work]:
    from dattri.algorithm.tracin import TracInAttributor
    from dattri.task import AttributionTask

    net = Net().eval()

    def loss(parameters, data) -> Tensor:
        one, label = data
        logits = torch.func.functional_call(net, parameters, (one[None],))
        return functional.cross_entropy(logits, label[None])

    task = AttributionTask(loss, net, net.state_dict())
    attributor = TracInAttributor(task, weight_list=torch.ones(1), normalized_grad=False)
    attributor.projector_kwargs = None  # no argument switches the projection off
    loader = DataLoader(TensorDataset(ids, gold), batch_size=len(ids))
    yield lambda: attributor.self_attribute(loader).clamp(min=0).sqrt()


PEERS = {
    "influence": ("influence", _influence, BATCH, "all parameters"),
    "influence, whole last layer": (
        "influence",
        lambda ids, gold: _influence(ids, gold, whole=True),
        BATCH,
        "all parameters",
    ),
    "opacus, ghost clipping": ("opacus", _opacus, BATCH, "all parameters"),
    "one example at a time": ("torch", _loop, 8, "all parameters"),
    "torch.func, vmap": ("torch", _vmap, 8, "all parameters"),
    "kronfluence, identity": ("kronfluence", _kronfluence, 8 * BATCH, "linear layers"),
    "captum, TracInCP by samples": (
        "captum",
        lambda ids, gold: _captum(ids, gold, sample_wise_grads_per_batch=True),
        BATCH,
        "linear layers",
    ),
    "captum, TracInCP": ("captum", _captum, 8, "all parameters"),
    "dattri, TracIn": ("dattri", _dattri, 2, "all parameters"),
}

if __name__ == "__main__":
    main()
