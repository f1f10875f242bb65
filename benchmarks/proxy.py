"""How well cheap scores stand in for those of a full fine-tuning, dataset by dataset.

Run: python -m benchmarks.proxy path/to/data [--settings NAMES] [--workdir work]
path/to/data holds a folder for each dataset: trec, massive, hwu64, sst2. Writes
benchmarks/proxy.json after every setting; what it holds of other settings stays. Compared with the
scores of a full fine-tuning are those of another one under the next seed (nothing can agree more),
of a fine-tuning for one epoch, and of a probe: how they rank (Spearman's correlation, overlap of
the hardest 10 %), how well they detect the planted label errors, and what they cost in seconds.

VARIANTS change one thing of the probe each. What pruning by such scores does is measured by
`benchmarks.tabulated`, with arms as probe/aum:ccs.
"""

import argparse
import json
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from torch import Tensor, nn

import influence
from benchmarks.measuring import machine, settings_named
from influence.models.fit import folds
from influence.models.fitting import probe
from influence.runtime.step import versions
from influence.scores import REGISTRY
from influence.scoring.label_errors import detection
from influence.scoring.result import Scores
from influence.scoring.stability import agreement
from influence.training.result import Training

RESULT = Path(__file__).with_suffix(".json")
# Two layers of a pretrained encoder: a fine-tuning is a matter of a minute on two cores.
MODEL: dict[str, Any] = {"model": "minilm", "layers": 2, "precision": "bf16"}
DATASETS: dict[str, dict[str, Any]] = {
    "TREC": {"dataset": "trec"},
    "MASSIVE domains": {"dataset": "massive", "label_column": "domain", "max_train": 4000},
    "HWU64 intents": {"dataset": "hwu64", "label_column": "label", "max_train": 4000},
    "SST-2": {"dataset": "sst2", "max_train": 4000},
}
WRONG = " with 10 % wrong labels"
SETTINGS = DATASETS | {name + WRONG: own | {"label_noise": 0.1} for name, own in DATASETS.items()}
SCORES = "aum,el2n,pvi,forgetting,confidence,entropy,vog,tracin,value"
EARLY = "aum,el2n@1,pvi@1,confidence,entropy,vog,tracin,value"  # those of one epoch
CANDIDATES: dict[str, dict[str, Any]] = {
    "fine-tuned": {"score": SCORES},
    "another seed": {"score": SCORES, "seed": 1},
    "one epoch": {"score": EARLY, "epochs": 1},
    "probe": {"score": SCORES, "proxy": "probe"},
    "probe, out of fold": {"score": "self_confidence", "proxy": "probe", "folds": 5},
}


class OneLayer(nn.Module):
    """A linear head, in the place of the probe's own."""

    def __init__(self, width: int, classes: int, hidden: int) -> None:
        """`hidden` is not used."""
        super().__init__()
        self.dropout, self.classifier = nn.Dropout(probe.DROPOUT), nn.Linear(width, classes)

    def forward(self, vectors: Tensor) -> SimpleNamespace:
        """Return an object with `logits`."""
        return SimpleNamespace(logits=self.classifier(self.dropout(vectors)))


# What is changed of `models.fitting.probe`; epochs, folds and the first of the three vectors alone.
VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "one layer": {"Head": OneLayer},
    "mean over tokens alone": {"parts": 1},
    "without dropout": {"DROPOUT": 0.0},
    "5 epochs": {"epochs": 5},
    "20 epochs": {"epochs": 20},
    "hidden layer of 512": {"HIDDEN": 512},
    "rate of 3e-4": {"RATE": 3e-4},
    "rate of 3e-3": {"RATE": 3e-3},
    "out of fold": {"folds": 5},
}


def main() -> None:
    """Measure every setting, and write after each."""
    asked = _parsed()
    for setting in asked.settings:
        scored = {name: _scored(setting, own, asked) for name, own in CANDIDATES.items()}
        varied = variants(_trained(setting, CANDIDATES["probe"], asked), scored["fine-tuned"])
        keep(setting, compared(scored) | varied)


def compared(scored: Mapping[str, Scores]) -> dict[str, Any]:
    """Return, by candidate, seconds, agreement with the first one's scores, and AUROC by score.

    Agreement: Spearman's correlation and the overlap of the hardest 10 %.
    """
    (first, reference), *_ = scored.items()
    found: dict[str, Any] = {"examples": len(reference.labels), "wrong": _wrong(reference)}
    for name, scores in scored.items():
        found[name] = {"seconds": seconds(scores)}
        hardness = {spec.split("@")[0]: scores.hardness(spec) for spec in scores.names}
        if name != first:
            found[name]["agreement"] = _agreement(reference, hardness)
        if (mislabeled := scores.mislabeled) is not None:
            found[name]["auroc"] = {n: _auroc(v, mislabeled) for n, v in hardness.items()}
    return found


def variants(training: Training, reference: Scores) -> dict[str, Any]:
    """Return, by variant of the probe, how its AUM and EL2N agree with the reference, and AUROC."""
    found = {}
    for name, changes in VARIANTS.items():
        changed = dict(changes)
        parts, epochs = changed.pop("parts", 3), changed.pop("epochs", training.config.epochs)
        count = changed.pop("folds", 0)
        with ExitStack() as changing:
            for constant, value in changed.items():
                changing.enter_context(mock.patch.object(probe, constant, value))
            logits = _logits(training, parts, epochs, count)
        labels, second = np.array(reference.labels), logits[1:2]
        hardness = {"aum": -REGISTRY["aum"].function(logits=logits, labels=labels)}
        hardness["el2n"] = REGISTRY["el2n"].function(logits=second, labels=labels)
        found[name] = {"agreement": _agreement(reference, hardness)}
        if (mislabeled := reference.mislabeled) is not None:
            found[name]["auroc"] = {n: _auroc(v, mislabeled) for n, v in hardness.items()}
    return {"variants": found}


def _logits(training: Training, parts: int, epochs: int, count: int) -> np.ndarray:
    """Return logits (epochs, examples, classes) of a head, or of those of so many folds."""
    values, labels = training.vectors("train"), np.array(training.data.array("train", "label"))
    vectors = probe.standardised(values[:, : values.shape[1] * parts // 3])
    classes, rows = len(training.label_names), np.arange(len(labels))
    place = folds(labels, count, 0) if count else np.zeros(len(labels), int)
    logits = np.empty((epochs, len(labels), classes), dtype=np.float32)
    for fold in range(max(count, 1)):
        seen = rows[place != fold] if count else rows
        for end, head in probe.train(vectors, labels, seen, classes, epochs, seed=0):
            own = rows[place == fold]
            logits[end.number - 1, own] = probe.predict(head, vectors, own)
    return logits


def _agreement(reference: Scores, hardness: Mapping[str, np.ndarray]) -> dict[str, list[float]]:
    both = [name for name in reference.names if name in hardness]
    agreed = {name: agreement(reference.hardness(name), hardness[name]) for name in both}
    return {n: [round(one["spearman"], 3), round(one["overlap"], 2)] for n, one in agreed.items()}


def _auroc(hardness: np.ndarray, mislabeled: np.ndarray) -> float:
    return round(detection(hardness, mislabeled)["auroc"], 3)


def seconds(scores: Scores) -> dict[str, float]:
    """Return how long training, with what is trained beside it, and scoring took."""
    cost = scores.cost
    trained = sum(run["seconds"] for run in cost["runs"]) + cost["folds"].get("seconds", 0)
    return {"train": round(trained, 1), "score": round(cost["seconds"], 1)}


def keep(setting: str, found: Mapping[str, Any]) -> None:
    """Write a result beside those that are there, one candidate a line."""
    known = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    known[setting] = {"versions": versions(), "machine": machine(), **found}
    settings = []
    for name, values in known.items():
        rows = ",\n".join(f"  {json.dumps(key)}: {json.dumps(of)}" for key, of in values.items())
        settings.append(f" {json.dumps(name)}: {{\n{rows}\n }}")
    RESULT.write_text("{\n" + ",\n".join(settings) + "\n}\n", encoding="utf-8")


def _trained(setting: str, own: Mapping[str, Any], asked: argparse.Namespace) -> Training:
    parameters = MODEL | SETTINGS[setting] | own
    folder = Path(asked.data) / parameters.pop("dataset")
    del parameters["score"]
    return influence.train(folder, **parameters, **_here(asked))


def _scored(setting: str, own: Mapping[str, Any], asked: argparse.Namespace) -> Scores:
    return influence.score(_trained(setting, own, asked), own["score"], **_here(asked))


def _here(asked: argparse.Namespace) -> dict[str, Any]:
    return {"workdir": asked.workdir, "workers": 1, "threads": asked.threads}


def _wrong(scores: Scores) -> int:
    return 0 if scores.mislabeled is None else int(scores.mislabeled.sum())


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workdir", default="work")
    asked = parser.parse_args()
    asked.settings = settings_named(asked.settings, SETTINGS)
    return asked


if __name__ == "__main__":
    main()
