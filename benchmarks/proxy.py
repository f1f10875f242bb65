"""How well cheap scores stand in for those of a full fine-tuning, dataset by dataset.

Run: python -m benchmarks.proxy path/to/data [--settings NAMES] [--seeds 0] [--fractions 0.3,0.7]
         [--workdir work]
path/to/data holds a folder for each dataset: trec, massive, hwu64, clinc150. Writes
benchmarks/proxy.json after every setting; what it holds of other settings stays. Compared with the
scores of a full fine-tuning are those of another one under the next seed (nothing can agree more),
of a fine-tuning for one epoch, and of a probe: how they rank (Spearman's correlation, overlap of
the hardest 10 %), how well they detect the planted label errors, and what they cost in seconds.

With --seeds, each setting is also pruned by the full fine-tuning's scores and by the probe's, and
retrained under so many seeds.
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import influence
from benchmarks.answers import facts
from benchmarks.measuring import machine
from influence.runtime.step import versions
from influence.scoring.label_errors import detection
from influence.scoring.result import Scores
from influence.scoring.stability import agreement

RESULT = Path(__file__).with_suffix(".json")
# Two layers of a pretrained encoder: a fine-tuning is a matter of a minute on two cores.
MODEL: dict[str, Any] = {"model": "minilm", "layers": 2, "precision": "bf16"}
DATASETS: dict[str, dict[str, Any]] = {
    "TREC": {"dataset": "trec"},
    "MASSIVE domains": {"dataset": "massive", "label_column": "domain", "max_train": 4000},
    "HWU64 intents": {"dataset": "hwu64", "label_column": "label", "max_train": 4000},
    "CLINC150": {"dataset": "clinc150", "label_column": "label", "max_train": 6000},
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
ARM = "aum:ccs"


def main() -> None:
    """Measure every setting, and write after each."""
    asked = _parsed()
    for setting in asked.settings.split(","):
        scored = {name: _scored(setting, own, asked) for name, own in CANDIDATES.items()}
        keep(setting, compared(scored) | _pruned(setting, asked))


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
            both = [spec for spec in reference.names if spec in hardness]
            agreed = {spec: agreement(reference.hardness(spec), hardness[spec]) for spec in both}
            found[name]["agreement"] = {
                spec: [round(one["spearman"], 3), round(one["overlap"], 2)]
                for spec, one in agreed.items()
            }
        if (mislabeled := scores.mislabeled) is not None:
            found[name]["auroc"] = {
                spec: round(detection(values, mislabeled)["auroc"], 3)
                for spec, values in hardness.items()
            }
    return found


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


def _scored(setting: str, own: Mapping[str, Any], asked: argparse.Namespace) -> Scores:
    parameters = MODEL | SETTINGS[setting] | own
    folder, score = Path(asked.data) / parameters.pop("dataset"), parameters.pop("score")
    here = {"workdir": asked.workdir, "workers": 1, "threads": asked.threads}
    training = influence.train(folder, **parameters, **here)
    return influence.score(training, score, **here)


def _pruned(setting: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Return what pruning by the scores of the fine-tuned model and of the probe costs."""
    if not asked.seeds:
        return {}
    parameters = MODEL | SETTINGS[setting]
    folder = Path(asked.data) / parameters.pop("dataset")
    shared = {
        "score": "aum",
        "fractions": asked.fractions,
        "seeds": asked.seeds,
        "draws": asked.seeds,
    }
    shared |= {"workdir": asked.workdir, "threads": asked.threads, **parameters}
    return {
        f"pruned by {name}": facts(influence.compare(folder, ARM, proxy=proxy, **shared))
        for name, proxy in (("fine-tuned", "none"), ("probe", "probe"))
    }


def _wrong(scores: Scores) -> int:
    return 0 if scores.mislabeled is None else int(scores.mislabeled.sum())


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--settings", default=",".join(SETTINGS))
    parser.add_argument("--seeds", type=int, default=0)
    parser.add_argument("--fractions", default="0.3,0.7")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workdir", default="work")
    asked = parser.parse_args()
    if unknown := set(asked.settings.split(",")) - set(SETTINGS):
        sys.exit(f"unknown settings {', '.join(sorted(unknown))}; there are {', '.join(SETTINGS)}")
    return asked


if __name__ == "__main__":
    main()
