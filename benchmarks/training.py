"""Training examples per second beside transformers' Trainer, at equal accuracy.

Run: python -m benchmarks.training path/to/snli [--train 3000] [--test 2000] [--epochs 2]
Writes benchmarks/training.json and docs/images/training.png. MiniLM-L6-H384 from the extra (another
model with --model), batches of 32, learning rate 1e-4 for everything, constant, clipped at 1, in
one process with --threads threads. Trainer runs as it comes, with padding by batch, and in bf16
with batches of similar lengths, which it offers too. Every seed trains all of them, in turn; the
time is that of training alone, tokens given, the medians are over the seeds. Accuracies are
compared under the same seed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import bars, machine, write
from influence.config.parameters import DataConfig, FitConfig
from influence.data import load
from influence.evaluation import intervals
from influence.models import classifier, fit, tokenizers
from influence.models.fitting.course import classification
from influence.models.tokens import Tokens, encode, sent
from influence.runtime.devices import has_bf16
from influence.runtime.memory import keep_freed_memory

RATE = 1e-4
Trained = tuple[torch.nn.Module, float]  # and seconds


def main() -> None:
    """Train everything under every seed and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--train", type=int, default=3000)
    parser.add_argument("--test", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    keep_freed_memory()
    dataset = load.load(
        DataConfig(dataset=asked.dataset, max_train=asked.train, max_test=asked.test)
    )
    config = FitConfig(
        model=asked.model,
        epochs=asked.epochs,
        learning_rate=RATE,
        head_learning_rate=RATE,
    )
    works: dict[str, Callable[..., Trained]] = {
        "influence, fp32": partial(_influence, precision="fp32"),
        "Trainer, fp32": partial(_trainer, bf16=False),
    }
    if has_bf16("cpu"):
        works["influence, bf16"] = partial(_influence, precision="bf16")
        works["Trainer, bf16, by length"] = partial(_trainer, bf16=True)
    inputs = Inputs(config, dataset)
    rates: dict[str, list[float]] = {name: [] for name in works}
    accuracies: dict[str, list[float]] = {name: [] for name in works}
    for seed in range(asked.seeds):
        for name, work in works.items():
            model, seconds = work(config, inputs, seed)
            rates[name].append(asked.epochs * len(inputs.tokens) / seconds)
            right = classifier.predict(model, inputs.test).argmax(1) == inputs.test_labels
            accuracies[name].append(float(right.mean()))
    rows = {name: _row(rates[name], accuracies[name]) for name in works}
    pairs = [(name, name.replace("influence", "Trainer")) for name in works if "influence" in name]
    peers = {name: _beside(other, rates) for name, other in pairs}
    ratios = {
        name: round(_median_ratio(rates[name], rates[peer]), 2) for name, peer in peers.items()
    }
    differences = {
        name: _interval(
            [one - other for one, other in zip(accuracies[name], accuracies[peer], strict=True)]
        )
        for name, peer in peers.items()
    }
    asked_for = {key: value for key, value in vars(asked).items() if key != "dataset"}
    write(
        __file__,
        {
            "machine": machine(),
            "dataset": {"name": dataset.name, "digest": dataset.digest},
            "settings": asked_for,
            "trained": rows,
            "times_as_fast_as_trainer": ratios,
            "accuracy_minus_trainers": differences,
        },
    )
    shown = {name: row["examples_per_second"] for name, row in rows.items()}
    bars("training", {"": shown}, [*ratios], "training examples per second")


class Inputs:
    """The tokens and labels that all of them train and are tested on."""

    def __init__(self, config: FitConfig, dataset) -> None:
        """Tokenise once."""
        self.names = dataset.label_names
        self.tokenizer = tokenizers.load_tokenizer(config, dataset.train["text"].tolist())
        self.types = "token_type_ids" in self.tokenizer.model_input_names
        self.tokens, self.labels = self._of(config, dataset.train)
        self.test, self.test_labels = self._of(config, dataset.test)

    def _of(self, config: FitConfig, rows) -> tuple[Tokens, np.ndarray]:
        tokens = encode(self.tokenizer, rows, config.max_length, self.types)
        return tokens, rows["label"].to_numpy()

    def rows(self) -> list[dict[str, object]]:
        """Return the train set as Trainer takes it."""
        found = []
        for start, length, label in zip(
            self.tokens.starts, self.tokens.lengths, self.labels, strict=True
        ):
            row = {"input_ids": self.tokens.ids[start : start + length].tolist()}
            if self.tokens.types is not None:
                row["token_type_ids"] = self.tokens.types[start : start + length].tolist()
            found.append({**row, "labels": int(label), "length": int(length)})
        return found


def by_the_loop(
    model: torch.nn.Module,
    tokens: Tokens,
    labels: np.ndarray,
    config: FitConfig,
    steps: int,
    seed: int = 0,
) -> None:
    """Train a classifier for so many steps by the ordinary loop, also where there is a GPU."""

    def objective(outputs: Any, rows: np.ndarray) -> torch.Tensor:
        wanted = sent(torch.tensor(labels[rows]), outputs.logits.device)
        return classification(outputs, wanted, None)

    for _ in fit.loop(model, tokens, objective, config, seed, (steps,), steps):
        pass


def _influence(config: FitConfig, inputs: Inputs, seed: int, precision: str) -> Trained:
    config = replace(config, precision=precision)
    model = classifier.build(config, inputs.tokenizer, inputs.names, seed)
    steps = config.epochs * fit.steps_per_epoch(len(inputs.tokens), config.batch_size)
    began = time.perf_counter()
    by_the_loop(model, inputs.tokens, inputs.labels, config, steps, seed)
    return model, time.perf_counter() - began


def _trainer(config: FitConfig, inputs: Inputs, seed: int, bf16: bool) -> Trained:
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    model = classifier.build(config, inputs.tokenizer, inputs.names, seed)
    by_length = {"train_sampling_strategy": "group_by_length"} if bf16 else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            num_train_epochs=config.epochs,
            per_device_train_batch_size=config.batch_size,
            learning_rate=RATE,
            lr_scheduler_type="constant",
            max_grad_norm=config.max_grad_norm,
            seed=seed,
            bf16=bf16,
            use_cpu=True,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            **by_length,
        )
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=inputs.rows(),  # type: ignore[arg-type]
            data_collator=DataCollatorWithPadding(inputs.tokenizer),
        )
        began = time.perf_counter()
        trainer.train()
        return model.eval(), time.perf_counter() - began


def _beside(name: str, rates: dict[str, list[float]]) -> str:
    return next(key for key in rates if key.startswith(name))


def _median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))


def _row(rates: Sequence[float], accuracies: Sequence[float]) -> dict[str, object]:
    return {
        "examples_per_second": round(statistics.median(rates), 1),
        "accuracy": _interval(accuracies),
    }


def _interval(values: Sequence[float]) -> dict[str, float]:
    """Return the mean over the seeds and its 95 % interval."""
    ends = zip(("mean", "low", "high"), intervals.interval(values), strict=True)
    return {name: round(value, 4) for name, value in ends}


if __name__ == "__main__":
    main()
