"""From a command line, a query or other text to a config, and back to a command."""

import argparse
import dataclasses
import difflib
import shlex
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from influence.config.parameters import (
    STEPS,
    Config,
    ScoreConfig,
    SearchStep,
    TrainConfig,
    names,
    required,
)
from influence.errors import InputError, hide_password


def parse(step: str, arguments: list[str]) -> Any:
    """Parse `--name value` pairs into the step's config; raise InputError for what does not fit."""
    kind = STEPS[step]
    parser = _Parser(
        prog=f"python -m entrypoints.{step}", description=kind.__doc__, allow_abbrev=False
    )
    for field in fields(kind):
        parser.add_argument(f"--{field.name}", **_argument(field))
    values, unknown = parser.parse_known_args(_joined(arguments, kind))
    if unknown:
        raise InputError(_unknown(step, unknown[0].lstrip("-").split("=")[0]))
    # Python 3.11 takes the value "--" for an end of flags and gives an empty list.
    parsed = kind(**{name: "--" if value == [] else value for name, value in vars(values).items()})
    needed = required(step)
    if needed and not getattr(parsed, needed):
        raise InputError(f"{step} needs {needed}: {_help(kind, needed)}")
    return parsed


def _joined(arguments: list[str], kind: type) -> list[str]:
    """Write each flag and its value as one argument: a value may begin with a dash, as -1,-."""
    flags = {f"--{field.name}" for field in fields(kind)}
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] in flags and argument not in flags:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def parse_parameters(step: str, parameters: Mapping[str, str]) -> Any:
    """Read parameters from elsewhere as `parse` reads a command line; `help` is none of them."""
    if unknown := [
        name for name in parameters if name not in {f.name for f in fields(STEPS[step])}
    ]:
        raise InputError(_unknown(step, unknown[0]))
    return parse(step, [f"--{name}={value}" for name, value in parameters.items()])


def expand(search: SearchStep) -> dict[str, SearchStep]:
    """Return one search per dataset, by name: those of `datasets`, else the one there is.

    A dataset may bring parameters of its own, as a query: `massive?label_column=domain&epochs=5`.
    Raises InputError for parameters that a search of finished scores cannot follow.
    """
    own = {f.name for kind in (TrainConfig, ScoreConfig) for f in fields(kind)}
    own -= {"seed", "score"}
    if search.scores:
        usual = SearchStep()
        named = [n for n in (*sorted(own), "datasets") if getattr(search, n) != getattr(usual, n)]
        if named:
            raise InputError(
                f"with scores={search.scores} the dataset, the model and the scores are those of "
                f"that directory, so {named[0]}={getattr(search, named[0])} cannot be followed; "
                "leave one of the two out"
            )
        return {search.scores: search}
    found = {}
    for text in names(search.datasets) or (search.dataset,):
        path, _, query = text.partition("?")
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        if twice := {"dataset", "datasets"} & set(pairs):
            raise InputError(f"{text!r} names its dataset before the ?; leave out {twice.pop()}=")
        parsed = parse_parameters("search", pairs)
        changed = {name: getattr(parsed, name) for name in pairs}
        found[text] = dataclasses.replace(search, datasets="", dataset=path, **changed)
    return found


def again(step: str, values: Config) -> str:
    """Return the command that runs `step` with these values, the default ones left out."""
    usual = type(values)()
    changed = {
        name: value for name, value in values.parameters().items() if value != getattr(usual, name)
    }
    entry = "" if step == "main" else f" -e {step}"
    shown = [hide_password(f"{name}={value}") for name, value in changed.items()]
    flags = "".join(f" -P {shlex.quote(text)}" for text in shown)
    return f"mlflow run .{entry} --env-manager local{flags}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(message)


def _argument(field: dataclasses.Field) -> dict[str, Any]:
    help = field.metadata["help"]
    shown = f"{help} (default: %(default)s)" if field.default != "" else help
    return {
        "type": _boolean if field.type is bool else _plain_type(field),
        "default": field.default,
        "help": shown,
    }


def _plain_type(field: dataclasses.Field) -> Callable[[str], Any]:
    return field.type if field.type in (int, float) else str  # type: ignore[return-value]


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"must be true or false, not {text!r}")
    return text.lower() == "true"


def _unknown(step: str, name: str) -> str:
    known = [field.name for field in fields(STEPS[step])]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
    return f"{step} has no parameter {name!r}; {hint}"


def _help(kind: type, name: str) -> str:
    return next(f.metadata["help"] for f in fields(kind) if f.name == name)
