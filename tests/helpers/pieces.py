"""Datasets on disk in small parts, for the tests of everything that reads or writes them so."""

import datetime
import decimal
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from influence.data import storage
from influence.data.dataset import Dataset

PARTS = st.integers(1, 7)  # rows of a part
NAMES = ("no", "yes", "maybe")


@st.composite
def sizes(draw, least: int = 0, most: int = 3) -> tuple[int, int]:
    """A size of parts, and a count of rows at a multiple of it, one below or one above."""
    part = draw(PARTS)
    return part, max(least, part * draw(st.integers(0, most)) + draw(st.integers(-1, 1)))


@st.composite
def subsets(draw, rows: int, part: int) -> np.ndarray:
    """Ascending rows: nothing, everything, what fills a part, one part alone, or any others."""
    start = draw(st.sampled_from(range(0, max(rows, 1), part)))
    chosen = draw(st.lists(st.booleans(), min_size=rows, max_size=rows))
    ends = st.sampled_from([(0, 0), (0, rows), (0, part), (start, start + part), (start, rows)])
    places = [range(rows)[slice(*draw(ends))], np.flatnonzero(chosen)]
    return np.array(draw(st.sampled_from(places)), dtype=np.int64)


def frame(rows: int, offset: int = 0) -> pd.DataFrame:
    """Rows with columns of many types, of which some hold nothing, or less, in the first rows."""
    numbers = [offset + number for number in range(rows)]
    late = [number if number >= 5 else None for number in numbers]
    made = pd.DataFrame(
        {
            "id": [f"{number * 7919 % 10007:04d}" for number in numbers],
            "text": [f"text {number} {'x ' * (number % 4)}" for number in numbers],
            "label": [number % len(NAMES) for number in numbers],
        }
    ).astype({"id": "str", "text": "str", "label": np.int64})
    made["kind"] = pd.Categorical([f"kind {number % 3}" for number in numbers])
    made["note"] = pd.Series([n and f"note {n}" for n in late], dtype="str")
    made["count"] = pd.array(late, dtype="Int64")
    objects = {
        "tags": [n and [f"tag {n}"] for n in late],
        "spans": [[] if n is None else [[n, n + 1]] for n in late],
        "about": [{"n": n, "by": n and "who"} for n in late],
        "seen": [n and n % 2 == 0 for n in late],
        "day": [n and datetime.date(2020, 1, 1 + n % 28) for n in late],
        "price": [n and decimal.Decimal(f"{n}.{'1' * (n % 3 + 1)}") for n in late],
    }
    return made.assign(**{name: pd.Series(v, dtype=object) for name, v in objects.items()})


def write(directory: Path, rows: int, part: int) -> storage.Saved:
    """Save a dataset with so many train rows, in parts of this size."""
    few = {"validation": frame(4, 500), "test": frame(3, 600)}
    made = Dataset("made", frame(rows), **few, label_names=NAMES, digest="", dropped={})
    storage.save(made, directory, part)
    return storage.open_saved(directory)
