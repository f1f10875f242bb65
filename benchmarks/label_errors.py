"""How well margins count and find wrong labels that were planted, by where their window ends.

Run: python -m benchmarks.label_errors path/to/data [--workdir work] [--device cuda]
path/to/data holds the folder massive. Each setting of `benchmarks.tabulated` that has wrong labels
is trained once, or read from its workdir, and the logits of its train split are those of every
epoch. A window ends with the last epoch after which the loss on validation is at most so many
times its least (`training.history.RISEN`), or with the last of all. Nothing is retrained or looked
up on test. Writes label_errors.json and the table of docs/rules.md.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

import influence
from benchmarks.measuring import as_json, hardware, machine, put, write
from benchmarks.tabulated import RECIPES, SETTINGS
from influence.models import classifier
from influence.models.inputs import cache_of, open_tokens
from influence.models.tokenizers import open_tokenizer
from influence.runtime.devices import device_named
from influence.sampling.rules import looking_mislabeled
from influence.scores import aum
from influence.scoring.label_errors import flags, share_wrong
from influence.shapes import Bool, Float, Int
from influence.training.history import RISEN, by_heart
from influence.training.result import Training

LIMITS = (1.1, RISEN, 1.3, float("inf"))
# As `benchmarks.tabulated` has them, by the percentage of labels that is redrawn.
WRONG = {"linear": (0, 5, 10, 20, 30, 40), "constant": (0, 10, 20)}
TABLE = ("rules.md", "by domain")  # page, and text before the table


def main() -> None:
    """Train what is missing, and measure every window."""
    asked = _parsed()
    found = []
    for recipe, percent in [(recipe, one) for recipe, some in WRONG.items() for one in some]:
        setting = f"{percent} % wrong labels" if percent else "as it is"
        own = of_training(_trained(setting, recipe, asked), asked.device)
        found += [{"recipe": recipe, "setting": setting} | row for row in own]
        print(as_json(found[-1]), flush=True)
    write(__file__, {"machine": machine(device=hardware(asked.device)), "windows": found})
    put(*TABLE, table(found))


def of_training(training: Training, device: str) -> list[dict[str, Any]]:
    """Return, for every limit, what the margins of its window say of the train labels."""
    labels = np.array(training.data.array("train", "label"))
    wrong = flags(training.data.read("train"))
    tokenizer = open_tokenizer(training.directory / "tokenizer")
    cache = cache_of(training.directory)
    tokens = open_tokens(training.data, "train", tokenizer, training.fit, cache)
    ends = [one for one in training.runs[0].checkpoints if "epochs" in one.series]
    logits = []
    for end in ends:
        model = classifier.open_checkpoint(training.checkpoint(end.step)).to(device)
        logits.append(classifier.predict(model, tokens, precision=training.fit.precision))
    epochs = np.array([end.epoch for end in ends])
    return [
        {"limit": limit if np.isfinite(limit) else "none", "of": len(epochs)}
        | of_window(np.stack(logits)[epochs <= by_heart(training.history, limit)], labels, wrong)
        for limit in LIMITS
    ]


def of_window(
    logits: Float[np.ndarray, "epochs examples classes"],
    labels: Int[np.ndarray, " examples"],
    wrong: Bool[np.ndarray, " examples"] | None,
) -> dict[str, Any]:
    """Return what the margins of some epochs say of labels of which it is known who is wrong.

    estimate: share that looks wrong; found: share of the wrong ones that is pruned first;
    right_pruned: share of the right ones that is pruned with them.
    """
    margins = aum(logits, labels)
    first = looking_mislabeled(margins, labels, np.random.default_rng(0))
    bad = np.zeros(len(labels), bool) if wrong is None else wrong
    return {
        "epochs": len(logits),
        "wrong": float(bad.mean()),
        "estimate": share_wrong(margins),
        "pruned_first": len(first) / len(labels),
        "found": float(bad[first].sum() / bad.sum()) if bad.any() else None,
        "right_pruned": float((~bad[first]).sum() / (~bad).sum()),
    }


def table(found: list[dict[str, Any]]) -> str:
    """Return what the margins of `aum@early` and of `aum@all` say, one setting a line."""
    lines = [
        "| recipe | wrong | `aum@early` counts | finds | right pruned | `aum@all` counts | finds |",
        "|---|---|---|---|---|---|---|",
    ]
    for early, whole in zip(found[1 :: len(LIMITS)], found[3 :: len(LIMITS)], strict=True):
        cells = [early["recipe"], _percent(early["wrong"]), _percent(early["estimate"])]
        cells += [_percent(early["found"], 0), _percent(early["right_pruned"])]
        cells += [_percent(whole["estimate"]), _percent(whole["found"], 0)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _percent(share: float | None, digits: int = 1) -> str:
    return "" if share is None else f"{100 * share:.{digits}f} %"


def _trained(setting: str, recipe: str, asked: argparse.Namespace) -> Training:
    """Return the training by which `benchmarks.tabulated` scores a setting."""
    own = RECIPES[recipe] | SETTINGS[setting] | {"observe_every": 100, "null_model": False}
    own["model"] = asked.model
    folder = Path(asked.data) / own.pop("dataset")
    here = {"workdir": asked.workdir, "threads": asked.threads, "device": asked.device}
    return influence.train(folder, **own, **here)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workdir", default="work")
    parser.add_argument("--device", type=device_named, default="auto")
    parser.add_argument("--model", default="minilm")
    return parser.parse_args()


if __name__ == "__main__":
    main()
