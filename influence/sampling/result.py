"""What a sample holds: which examples stay at each fraction pruned."""

from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from influence.data.result import Result
from influence.errors import InputError

SHARES = "class_shares.csv"


def read_shares(path: Path) -> pd.DataFrame:
    """Return the class shares of a sample or of its curve; a label may be the text "nan"."""
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False, na_values=[""])


class Sample(Result):
    """A finished sample: the order of the train set under one arm, cut at every fraction."""

    step = "sample"

    @property
    def arm(self) -> str:
        """The arm, score:rule[:normalize]."""
        return self._manifest["arm"]

    @property
    def percents(self) -> list[float]:
        """The percents pruned."""
        return self._manifest["percents"]

    @property
    def groups(self) -> list[str]:
        """The columns besides the class by whose values pruning is judged."""
        return self._manifest["groups"]

    @property
    def orders(self) -> np.ndarray:
        """Rows of the train set (draws, examples), first kept first: every subset is a prefix."""
        return np.load(self.directory / "order.npy", mmap_mode="r")

    def subset(self, fraction: float, draw: int = 0) -> Path:
        """Return the dataset that is left when `fraction` is pruned, ready to train on.

        Raises InputError for a fraction that was not asked for.
        """
        percent = round(100 * fraction, 6)
        at = self.directory / f"subsets/percent-{percent:.9g}/draw-{draw}"
        if not at.is_dir():
            there = ", ".join(f"{one / 100:g}" for one in self.percents)
            raise InputError(f"{self.directory} holds the fractions {there}, not {fraction:g}")
        return at

    @cached_property
    def class_shares(self) -> pd.DataFrame:
        """What stays of every class, and of every value of `groups`, at each percent pruned."""
        return read_shares(self.directory / SHARES)
