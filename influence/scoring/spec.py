"""A score as requested: its name and its window of epochs, such as `el2n@2`."""

import re
from collections.abc import Container
from dataclasses import dataclass

import numpy as np

from influence.errors import InputError, choose
from influence.scores import REGISTRY
from influence.shapes import Float
from influence.trace.trace import EARLY

Examples = Float[np.ndarray, " examples"]
WINDOW = re.compile("[0-9]{1,9}(-[0-9]{1,9})?|all|last|early|odd|even")


@dataclass(frozen=True)
class ScoreSpec:
    """A requested score; str(spec) is its column name, as typed; window "" means the default."""

    name: str
    window: str = ""

    def __str__(self) -> str:
        """Return the column name."""
        return f"{self.name}@{self.window}" if self.window else self.name


def parse_spec(text: str) -> ScoreSpec:
    """Read `name[@window]`.

    window: `2` (end of epoch 2), `1-3` (epochs 1 to 3), `all`, `last`, `early` (those before the
    model learns by heart, see `Checkpoint`), or every other checkpoint, `odd` (the first, the
    third, ...) or `even`.

    Raises InputError for an unknown score, a window that is none of these, and a window on a score
    that reads no checkpoints.
    """
    name, at, window = text.strip().partition("@")
    score = REGISTRY[choose("score", name, REGISTRY)]
    if at and not score.series:
        raise InputError(f"score {text!r} has a window but reads no checkpoints; ask for {name}")
    if at and not WINDOW.fullmatch(window):
        raise InputError(f"unknown window {window!r} in {text!r}; write {name}@2 or {name}@1-3")
    first, last = epochs_of(window)
    if first > last:
        raise InputError(f"window {window!r} ends before it starts; ask for {name}@{last}-{first}")
    return ScoreSpec(name, window)


def hardness(spec: ScoreSpec, values: Examples) -> Examples:
    """Return the values of a score with the sign that makes high mean hard."""
    return values.copy() if REGISTRY[spec.name].hard == "high" else -values


def as_given(spec: ScoreSpec, given: Container[str]) -> str:
    """Return the name under which a score was computed elsewhere, "" if it was not.

    Over which epochs is not known: one without a window stands for the early ones as well.
    """
    if str(spec) in given:
        return str(spec)
    return spec.name if spec.window == EARLY and spec.name in given else ""


def window_of(spec: ScoreSpec) -> str:
    """Return the window that a spec asks for, otherwise the default of its score."""
    return spec.window or REGISTRY[spec.name].window


def window_key(spec: ScoreSpec) -> str:
    """Name a window of checkpoints: the same in `plan`, in the trace and in `compute`."""
    return f"{REGISTRY[spec.name].series}@{window_of(spec)}"


def epochs_of(window: str) -> tuple[int, int]:
    """Return the first and the last epoch that a window names, (0, 0) if it names none."""
    numbers = [int(number) for number in re.findall(r"\d+", window)] or [0]
    return numbers[0], numbers[-1]
