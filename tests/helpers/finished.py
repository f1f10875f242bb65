"""Finished step directories made by hand, for the tests of what reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.parameters import FitConfig
from influence.data.storage import Dataset, open_saved, save
from influence.runtime import store
from influence.sampling.result import Sample
from influence.scoring.findings import Columns, write_scores
from influence.scoring.result import Scores
from influence.scoring.spec import parse_spec


def scores(
    directory: Path,
    columns: Mapping[str, np.ndarray],
    recall: Sequence[float] | None = None,
    split: str = "train",
) -> Scores:
    """Finish a scores directory whose dataset lies in its `data/`."""
    source = open_saved(directory / "data")
    (directory / "tokenizer").mkdir(exist_ok=True)
    specs = [parse_spec(name) for name in columns]
    write_scores(Columns(source, split, specs, columns), directory)
    known = None if recall is None else dict(zip(source.label_names, recall, strict=True))
    facts = {
        "fingerprint": "scores",
        "dataset": {"name": source.name, "digest": source.digest},
        "label_names": source.label_names,
        "recall": known,
        "task": "classify",
        "fit": asdict(FitConfig()),
        "scores": list(columns),
        "split": split,
    }
    store.finish(directory, "score", facts)
    return Scores(directory)


def sample(
    directory: Path, percents: Sequence[float], seed: int = 0, min_per_class: int = 0, **more
) -> Sample:
    """Finish a sample directory that `fill` has filled, or an empty one."""
    directory.mkdir(parents=True, exist_ok=True)
    parameters = {"seed": seed, "min_per_class": min_per_class}
    facts = {"arm": "el2n:easy", "percents": list(percents), "parameters": parameters, **more}
    store.finish(directory, "sample", {"fingerprint": "sample", **facts})
    return Sample(directory)


def labelled(directory: Path, labels: np.ndarray, names: Sequence[str]) -> Path:
    """Save a dataset with these train labels in the `data/` of a directory."""
    ids = [f"{row:04d}" for row in range(len(labels))]
    train = pd.DataFrame({"id": ids, "text": "x", "label": labels})
    save(Dataset("made", train, train, train, tuple(names), "", {}), directory / "data")
    return directory
