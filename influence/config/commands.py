"""Every command, at the command line and in Python: its config, and what it is given first."""

import dataclasses
import difflib
import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Number, Real
from typing import Any
from urllib.parse import urlencode

from influence.config.parameters import (
    ChoiceConfig,
    Config,
    DataConfig,
    EvaluateConfig,
    ExecutionConfig,
    FitConfig,
    ModelConfig,
    RecommendConfig,
    RetrainConfig,
    SampleConfig,
    ScoreConfig,
    SearchConfig,
    TrainConfig,
)
from influence.config.steps import (
    EvaluateStep,
    MainStep,
    RecommendStep,
    SampleStep,
    ScoreStep,
    SearchStep,
    TrainStep,
    required,
)
from influence.errors import InputError, brief


@dataclass(frozen=True)
class Command:
    """One command.

    given: what Python takes by position, of which a command line takes the first; left_out:
    parameters of its config that are another command's; step: its entry point in MLproject.
    """

    name: str
    kind: type[Config]
    given: tuple[str, ...]
    summary: str
    left_out: tuple[str, ...] = ()

    @property
    def step(self) -> str:
        """The entry point of MLproject that does the same."""
        return "main" if self.kind is MainStep else self.name

    @property
    def required(self) -> str:
        """The parameter that has no usable default, "" if there is none."""
        return "study" if self.name == "study" else required(self.step)

    @property
    def typed(self) -> str:
        """The parameter that a command line must give; nobody trains on the built-in by mistake."""
        return self.required or ("dataset" if self.given[0] == "dataset" else "")

    @property
    def fields(self) -> list[dataclasses.Field]:
        """The parameters: what is given first, what is the command's own, then group by group."""
        there = [field for field in fields(self.kind) if field.name not in self.left_out]
        return sorted(there, key=self._place)

    def group(self, name: str) -> str:
        """Return the title of the group of a parameter; its own ones have the command's name."""
        for base in reversed(self.kind.__mro__):
            if name in vars(base).get("__annotations__", {}):
                return vars(base).get("title", "") or GROUPS.get(base, self.name)
        raise KeyError(name)

    def _place(self, field: dataclasses.Field) -> tuple[int, int]:
        if field.name in self.given:
            return -2, self.given.index(field.name)
        titles = list(dict.fromkeys(GROUPS.values()))
        group = self.group(field.name)
        return (titles.index(group) if group in titles else -1), 0


# The groups of parameters, in the order of the flow: each is what one config declares.
GROUPS: dict[type, str] = {
    DataConfig: "data",
    ModelConfig: "model",
    FitConfig: "training",
    TrainConfig: "training",
    ScoreConfig: "scores",
    SampleConfig: "pruning",
    RetrainConfig: "retraining",
    EvaluateConfig: "retraining",
    ChoiceConfig: "choice",
    SearchConfig: "search",
    RecommendConfig: "recommendation",
    ExecutionConfig: "execution",
}
COMMANDS = {
    command.name: command
    for command in (
        Command(
            "compare",
            MainStep,
            ("dataset", "arms"),
            "the whole flow: curves of one or more arms against random",
            ("study", "scale"),
        ),
        Command("train", TrainStep, ("dataset",), "fine-tune a classifier, keep its checkpoints"),
        Command("score", ScoreStep, ("training", "score"), "one number per example and score"),
        Command("sample", SampleStep, ("scores", "arm"), "choose the examples to keep"),
        Command("evaluate", EvaluateStep, ("sample",), "retrain on each subset: the curve"),
        Command(
            "search",
            SearchStep,
            ("scores",),
            "find how much can be pruned, by which score and rule",
        ),
        Command(
            "recommend",
            RecommendStep,
            ("dataset",),
            "recommend what to prune, for the price of about ten trainings",
        ),
        Command("study", MainStep, ("study",), "run a study file: one comparison per variant"),
    )
}
# Texts that list something, which Python may give as a list.
LISTS = {"arms", "datasets", "export", "fractions", "groups", "rules", "score", "unlabelled"}
READ = {"training", "scores", "sample"}  # finished steps, in Python their records
QUERIES = {"retrain_with"}  # name=value&name=value, which Python may give as a mapping


def unknown(command: str, known: Sequence[str], name: str) -> str:
    """Say that a command has no such parameter, and which was meant."""
    longer = [one for one in known if len(name) > 2 and one.startswith(name)]
    near = longer or difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
    return f"{command} has no parameter {name!r}; {hint}"


def configured(command: Command, values: Mapping[str, Any]) -> Any:
    """Return the config of a command from values of Python.

    Lists, paths and mappings are taken where a command line takes text, and a finished step where
    it takes the directory. Raises InputError for an unknown parameter or a value of another kind.
    """
    there = {field.name: field for field in command.fields}
    if wrong := [name for name in values if name not in there]:
        raise InputError(unknown(command.name, list(there), wrong[0]))
    read = {name: value_of(there[name], value) for name, value in values.items()}
    return with_given_defaults(command, command.kind(**read), read)


def with_given_defaults(command: Command, config: Any, given: Iterable[str]) -> Any:
    """Return the config of a study with what was given as its default behind the file's name.

    A config does not tell a default that was given from one that was not, and the former comes
    before what the file sets; see `influence.config.studies`.
    """
    if command.name != "study":
        return config
    usual, names = command.kind(), set(given) - {*command.given, "scale"}
    defaults = {
        name: value
        for name in sorted(names)
        if (value := getattr(config, name)) == getattr(usual, name)
    }
    path, _, query = config.study.partition("?")
    query = "&".join(filter(None, (query, urlencode(defaults, safe=":,/"))))
    return dataclasses.replace(config, study=f"{path}?{query}") if query else config


def value_of(field: dataclasses.Field, value: Any) -> Any:
    """Return a value of Python as its field has it; raise InputError for one of another kind."""
    if field.type is bool and _is_bool(value):
        return bool(value)
    if field.type is int and not _is_bool(value) and (whole := _whole(value)) is not None:
        return whole
    if field.type is float and isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    if field.type not in (bool, int, float):
        return _text(field, value)
    kinds = {bool: "True or False", int: "a whole number", float: "a number"}
    raise InputError(f"{field.name} must be {kinds[field.type]}, not {brief(value)}")


def _is_bool(value: Any) -> bool:
    """Tell whether this is True or False, of Python or of NumPy, which is not imported here."""
    of_numpy = str(getattr(value, "dtype", "")) == "bool" and getattr(value, "shape", None) == ()
    return isinstance(value, bool) or of_numpy


def _whole(value: Any) -> int | None:
    try:
        return operator.index(value)
    except TypeError:
        return None


def _text(field: dataclasses.Field, value: Any) -> str:
    value = getattr(value, "directory", value)  # of a finished step
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    if field.name in QUERIES and isinstance(value, Mapping):
        return "&".join(f"{name}={one}" for name, one in value.items())
    if field.name not in LISTS:
        kind = "a finished step or its directory" if field.name in READ else "a text"
        raise InputError(f"{field.name} must be {kind}, not {brief(value)}")
    if isinstance(value, Number):  # such as one fraction
        value = [value]
    is_list = isinstance(value, Iterable) and not isinstance(value, Mapping | bytes)
    if not is_list or len(getattr(value, "shape", "1")) != 1:
        raise InputError(f"{field.name} must be a text or a list of texts, not {brief(value)}")
    return ",".join(_part(field.name, one) for one in value)


def _part(name: str, value: Any) -> str:
    """Return one value of a list as text."""
    if not isinstance(value, str | os.PathLike | Number):
        raise InputError(f"{name} is a list of texts, but one part is {brief(value)}")
    part = str(value)
    if "," in part:
        raise InputError(f"{name} is a list whose part {part!r} holds a comma")
    return part
