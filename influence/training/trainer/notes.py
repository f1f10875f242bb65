"""What a Trainer notes beside its checkpoints: step, epoch, plan, learning rates and losses."""

import bisect
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from influence.errors import InputError
from influence.runtime.store import NOT_JSON

STATE = "trainer_state.json"  # what a Trainer leaves beside each of its checkpoints
PLAN = ("max_steps", "num_train_epochs", "train_batch_size")
MOST = 10**15  # steps
NEAR = 1.5  # steps between the end of a linear schedule and the end of the training

# noted: at this very step; line: at steps around it, or on a line that ends with the training;
# nearest: at the step next to it; given: nowhere, it is the one on the command line.
Origin = Literal["noted", "line", "nearest", "given"]


@dataclass(frozen=True)
class State:
    """The state of a Trainer: -1 for a step and 0 for an epoch that it does not note.

    plan: how long it meant to train; rates, losses: by the steps at which it noted them.
    """

    step: int
    epoch: float
    plan: Mapping[str, float]
    rates: Mapping[int, float]
    losses: Mapping[int, Any]


def read(folder: Path) -> State | None:
    """Return the state beside a checkpoint, None without one.

    Raises InputError for a file that is no state, or that holds numbers that are not finite.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        rows = content.get("log_history", [])
        step = content.get("global_step")
        state = State(
            -1 if step is None else int(step),
            float(content.get("epoch") or 0),
            {name: float(content[name]) for name in PLAN if content.get(name) is not None},
            {int(row["step"]): float(row["learning_rate"]) for row in rows if _is_rate(row)},
            {int(row["step"]): row["loss"] for row in rows if "loss" in row and "step" in row},
        )
    except (*NOT_JSON, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise InputError(f"{path} is no state of a Trainer ({error})") from None
    if not all(map(math.isfinite, (state.epoch, *state.plan.values(), *state.rates.values()))):
        raise InputError(f"{path} holds an epoch, a plan or a learning rate that is not finite")
    if not -1 <= state.step <= MOST or state.epoch < 0:
        raise InputError(f"{path} is of step {state.step} and epoch {state.epoch}, which are none")
    return state


def rate_at(step: int, rates: Mapping[int, float], end: float) -> tuple[float, Origin]:
    """Return the learning rate at a step from those noted at others, and where it is from.

    Between two of them it is on their line; before and after all only where that line falls to 0
    at `end`, the last step planned, as a linear schedule does. `rates` holds one at least.
    """
    if step in rates:
        return rates[step], "noted"
    steps = sorted(rates)
    after = bisect.bisect(steps, step)
    first = min(max(after - 1, 0), max(len(steps) - 2, 0))
    line = steps[first : first + 2]
    if len(line) == 2 and (0 < after < len(steps) or _falls_to_zero(line, rates, end)):
        slope = (rates[line[1]] - rates[line[0]]) / (line[1] - line[0])
        return max(rates[line[0]] + slope * (step - line[0]), 0.0), "line"
    return rates[min(steps, key=lambda noted: abs(noted - step))], "nearest"


def _falls_to_zero(line: list[int], rates: Mapping[int, float], end: float) -> bool:
    early, late = (rates[step] for step in line)
    return early > late and abs(line[0] + early * (line[1] - line[0]) / (early - late) - end) < NEAR


def _is_rate(row: Mapping[str, Any]) -> bool:
    return "learning_rate" in row
