"""What a study does to a train set on purpose: labels redrawn at random, classes in a long tail.

Who is chosen depends on the ids and a seed alone, not on the order of the rows.
"""

from dataclasses import replace

import numpy as np
import pandas as pd

from influence.config.parameters import DataConfig
from influence.data import cleaning
from influence.data.dataset import Dataset, digest_of


def corrupted(dataset: Dataset, config: DataConfig) -> Dataset:
    """Return the dataset with the long tail and the label noise that are asked for in train."""
    train, notes = dataset.train, []
    if config.imbalance > 1:
        train = make_long_tail(train, config.imbalance, config.data_seed)
        sizes = train["label"].value_counts()
        notes.append(
            f"imbalance={config.imbalance:g} left {len(train)} of {len(dataset.train)} train rows, "
            f"classes of {sizes.max()} to {sizes.min()}"
        )
    if config.label_noise:
        classes = len(dataset.label_names)
        train = add_label_noise(train, classes, config.label_noise, config.data_seed)
        wrong = float(train["mislabeled"].mean())
        notes.append(
            f"label_noise={config.label_noise:g} redrew "
            f"{round(config.label_noise * len(train))} train labels, "
            f"{100 * wrong:.2f} % of all are known to be wrong now"
        )
    if not notes:
        return dataset
    digest = digest_of(dataset.splits | {"train": train}, dataset.label_names)
    return replace(dataset, train=train, digest=digest, notes=(*dataset.notes, *notes))


def add_label_noise(rows: pd.DataFrame, classes: int, share: float, seed: int) -> pd.DataFrame:
    """Redraw the labels of a share of the rows uniformly over all classes, their own among them.

    So about share * (classes - 1) / classes of them become wrong. Adds `clean_label`, the label
    before, and `mislabeled`, true where the two differ (or where a column of that name was true).
    Anand et al. 2023, section 2.4, https://arxiv.org/abs/2311.16298
    """
    before = rows["label"].to_numpy()
    chosen = np.argsort(_uniform(rows, f"noise {seed}"), kind="stable")[: round(share * len(rows))]
    after = before.copy()
    after[chosen] = (_uniform(rows.iloc[chosen], f"label {seed}") * classes).astype(before.dtype)
    known = rows["mislabeled"].to_numpy(bool) if "mislabeled" in rows else False
    return rows.assign(label=after, clean_label=before, mislabeled=(after != before) | known)


def make_long_tail(rows: pd.DataFrame, ratio: float, seed: int) -> pd.DataFrame:
    """Thin the classes out into a long tail: the largest stays, the smallest gets 1/ratio of it.

    The sizes between fall exponentially with the rank of a class; a class that is smaller already
    stays as it is, and none is emptied. Cui et al. 2019, https://arxiv.org/abs/1901.05555
    """
    sizes = rows["label"].value_counts().sort_index().sort_values(ascending=False, kind="stable")
    places = np.arange(len(sizes)) / max(len(sizes) - 1, 1)
    wanted = pd.Series(np.round(sizes.iloc[0] * ratio**-places).clip(1), sizes.index)
    keys = pd.Series(_uniform(rows, f"tail {seed}"), rows.index)
    ranks = keys.groupby(rows["label"]).rank(method="first")
    return rows[ranks <= rows["label"].map(wanted)].reset_index(drop=True)


def _uniform(rows: pd.DataFrame, salt: str) -> np.ndarray:
    """Return a number in [0, 1) per row, made of its id."""
    return np.array(
        [int(cleaning.digest_of(f"{salt} {name}"), 16) // 2**12 / 2**52 for name in rows["id"]]
    )
