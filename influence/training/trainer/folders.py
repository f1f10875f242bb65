"""Which folders are the checkpoints of one training, by their names and their Trainer's notes."""

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from influence.errors import InputError
from influence.training.trainer import notes
from influence.training.trainer.notes import STATE, State

NUMBER = re.compile(r"\d{1,15}(\.\d{1,6})?")
AT_END = re.compile(rf"({NUMBER.pattern})$")
# What is before a number of an epoch, and of a training.
OF_EPOCHS = re.compile(r"(epochs?|(?<![a-z])ep)[-_= ]?$", re.IGNORECASE)
OF_TRAININGS = re.compile(r"(seed|run|fold|trial)s?[-_= ]?$", re.IGNORECASE)


def chosen(folder: Path) -> dict[Path, State | None]:
    """Return the checkpoints of one training in a folder, each with its Trainer's state if any.

    A Trainer's say themselves at which step they are. Of others only those count whose names are
    alike but for numbers, like the Trainer's or else like most.
    """
    paths = models_in(folder)
    numbered = [path for path in paths if AT_END.search(path.name)]
    if not numbered:
        states = {path: notes.read(path) for path in paths}
        return {path: state for path, state in states.items() if state and state.step >= 0}
    states = {path: notes.read(path) for path in numbered}
    fitting = {path for path, state in states.items() if state and _fits(path, state)}
    alike = {_pattern(path) for path in fitting}
    for path, state in states.items():
        if state and path not in fitting and (not alike or _pattern(path) in alike):
            raise InputError(
                f"{path} is at step {state.step} and epoch {state.epoch:g} by its {STATE}, and "
                "not as its name says; name checkpoints by their steps, such as "
                f"checkpoint-{state.step}, and keep those of one training"
            )
    bare = [path for path, state in states.items() if state is None]
    alike = alike or _commonest(folder, bare)
    taken = fitting | {path for path in bare if _pattern(path) in alike}
    return {path: states[path] for path in numbered if path in taken}


def models_in(folder: Path) -> list[Path]:
    """Return the folders below one that hold a model of transformers."""
    return sorted(path for path in folder.iterdir() if (path / "config.json").is_file())


def number(path: Path) -> float:
    """Return the number at the end of a name, -1 without one."""
    match = AT_END.search(path.name)
    return float(match[1]) if match else -1.0


def is_epoch(path: Path) -> bool:
    """Tell whether the number in a name counts epochs: epoch-3, and anything with a decimal."""
    match = AT_END.search(path.name)
    return bool(match and ("." in match[1] or OF_EPOCHS.search(path.name[: match.start()])))


def _commonest(folder: Path, paths: Sequence[Path]) -> set[str]:
    """Return the pattern of most names; raises InputError if that is none of steps or epochs."""
    (pattern, most), *others = Counter(map(_pattern, paths)).most_common()
    first = next(path for path in paths if _pattern(path) == pattern)
    if OF_TRAININGS.search(AT_END.sub("", first.name)) and most > 1:
        raise InputError(
            f"{folder} holds several trainings by the names of its folders, such as {first.name}; "
            "give the folder of one, whose names end in steps, such as checkpoint-500"
        )
    if others and others[0][1] == most:
        other = next(path for path in paths if _pattern(path) == others[0][0])
        raise InputError(
            f"{folder} holds models under names of several kinds, such as {first.name} and "
            f"{other.name}; keep the checkpoints of one training"
        )
    return {pattern}


def _pattern(path: Path) -> str:
    return NUMBER.sub("#", path.name)


def _fits(path: Path, state: State) -> bool:
    """Tell whether a name says what the state says; epochs may be counted from 0 or 1."""
    named = number(path)
    if is_epoch(path) and state.epoch:
        return min(abs(named - state.epoch), abs(named + 1 - state.epoch)) < 0.1
    return state.step < 0 or named == state.step
