"""Texts that a train set holds more than once, word for word or nearly."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from influence.data.storage import Saved
from influence.shapes import Bool

WORD = re.compile(r"\w+")
FEWEST = 4  # words, below which a text without one of them is another text
MOST = 500_000  # texts, beyond which their keys take more memory than the rest of a report


def repeated(saved: Saved) -> float:
    """Return the share of the train texts that repeat an earlier one, whatever case and spaces."""
    return float(_plain(saved).duplicated().mean())


def varied(saved: Saved) -> float | None:
    """Return the share of the train texts that are an earlier one but for one word of each.

    Case and punctuation do not count. None for more than MOST texts.
    """
    texts = _plain(saved)
    return float(vary_another(texts.tolist()).mean()) if len(texts) <= MOST else None


def vary_another(texts: Sequence[str]) -> Bool[np.ndarray, " texts"]:
    """Tell which texts are equal to an earlier one, or would be without one word of each."""
    rows, keys = [], []
    for row, text in enumerate(texts):
        words = WORD.findall(text)
        own = {hash(tuple(words) or text)}
        if len(words) >= FEWEST:
            own |= {hash((*words[:gap], *words[gap + 1 :])) for gap in range(len(words))}
        rows += [row] * len(own)
        keys += own
    places, key = np.array(rows, dtype=np.int64), np.array(keys, dtype=np.int64)
    _, kind = np.unique(key, return_inverse=True)
    first = np.full(len(key), len(texts))
    np.minimum.at(first, kind, places)
    found = np.zeros(len(texts), dtype=bool)
    found[places[places > first[kind]]] = True
    return found


def _plain(saved: Saved) -> pd.Series:
    """Return the train texts in lower case with single spaces, those of a pair as one."""
    names = [name for name in ("text", "text_pair") if name in saved.columns("train")]
    rows = saved.read("train", names)
    parts = [rows[name].str.casefold().str.split().str.join(" ") for name in names]
    return parts[0].str.cat(parts[1:], sep=" \n ") if len(parts) > 1 else parts[0]
