"""Two finished mains on tiny data: many tests read them, none changes them."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from entrypoints import main
from influence.config.steps import MainStep
from tests.helpers import figures, tiny
from tests.helpers.runs import launch

HERE: dict[str, Any] = {"workers": 1, "threads": 1}
# The first is added.
ARMS = ("random", "el2n:easy:class", "vog:linear:dataset", "stratified", "forgetting:softmax")
FRACTIONS, PERCENTS, SEEDS = "0.3,0.6", (0, 30, 60), 2
KEPT = {0: 121, 30: 85, 60: 48}  # of 121 train examples
ATTACK = "<script>window.attacked = true</script></script><img src=x onerror=attacked=1> & more"
LABEL = "<b>music</b>"
SPEAKERS = ("ann", "bob", None)
QUESTION = f'Wie zufrieden {"sehr " * 60}süß & "neu" ist es? <b>'  # as a form makes columns of them
ODD = ("city=Rome", "city", "a b", "a-b", "über/all: 100 %", QUESTION)


def compared(root: Path) -> SimpleNamespace:
    """Compare arms over two seeds and two runs, with wrong labels; labels and texts attack a page.

    Returns the config, the runs oldest first, and the first of them.
    """
    return _made(
        root,
        _attacking,
        label_noise=0.2,
        score="el2n,vog",
        arms=",".join(ARMS[1:]),
        fractions=FRACTIONS,
        runs=2,
        shard_size=50,
        examples=5,
    )


def grouped(root: Path) -> SimpleNamespace:
    """Judge an arm by groups, with odd names and missing values, beside random at equal steps."""
    return _made(
        root,
        _grouping,
        groups=",".join(("speaker", *ODD)),
        equal_steps=True,
        budget="epochs",
        score="el2n",
        arms="el2n:easy",
        fractions="0.5",
    )


def _made(root: Path, change: Callable[[pd.DataFrame], None], **asked: Any) -> SimpleNamespace:
    splits = tiny.frames()
    for rows in splits.values():
        change(rows)
    data, work = tiny.write(root / "talk", splits), root / "work"
    given = tiny.FAST | HERE | {"dataset": str(data), "workdir": str(work), "seeds": SEEDS}
    config = MainStep(**given, **asked)
    with figures.drawn():
        runs = launch(main, config)
    return SimpleNamespace(config=config, runs=runs, top=runs[0])


def _attacking(rows: pd.DataFrame) -> None:
    rows["label"] = rows["label"].replace("music", LABEL)
    rows.loc[::4, "text"] += " " + ATTACK


def _grouping(rows: pd.DataFrame) -> None:
    columns = {"speaker": SPEAKERS, "intent": ("buy", None)}
    columns |= {name: (f"v{number}", "x=y") for number, name in enumerate(ODD)}
    for name, values in columns.items():
        rows[name] = np.resize(np.array(values, dtype=object), len(rows))
