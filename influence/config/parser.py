"""From a command line, a query or other text to a config, and back to a command."""

import argparse
import dataclasses
import inspect
import re
import shlex
import textwrap
from argparse import SUPPRESS
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import Any, Literal, NoReturn, get_args, get_origin
from urllib.parse import parse_qsl

from influence.config.commands import LISTS, Command, unknown, with_given_defaults
from influence.config.lists import names
from influence.config.parameters import Config, ScoreConfig, TrainConfig
from influence.config.steps import STEPS, RecommendStep, SearchStep, required
from influence.errors import InputError, hide_password

INPUT = "input"  # what is given without a flag


def parse(step: str, arguments: list[str]) -> Any:
    """Parse `--name value` pairs into the step's config; raise InputError for what does not fit.

    `step` is an entry point of MLproject, see `parse_command` for a command as people type it.
    """
    kind = STEPS[step]
    parser = _Parser(
        prog=f"python -m entrypoints.{step}", description=kind.__doc__, allow_abbrev=False
    )
    for field in fields(kind):
        parser.add_argument(f"--{field.name}", **_argument(field))
    return _parsed(parser, step, kind, required(step), arguments)


def parse_command(command: Command, arguments: list[str]) -> Any:
    """Parse what follows the name of a command: its input, which needs no flag, and pairs.

    Raises InputError for what does not fit.
    """
    parser = _command_parser(command)
    parsed = _parsed(parser, command.name, command.kind, command.typed, arguments)
    known = [field.name for field in command.fields]
    flags = [text[2:].partition("=")[0] for text in _joined(arguments, known)]
    return with_given_defaults(command, parsed, {*known} & {*flags})


def _command_parser(command: Command) -> argparse.ArgumentParser:
    """Return the parser of a command, whose help has the parameters in groups."""
    first, *others = command.fields
    name = first.name.upper()
    parser = _Parser(
        prog=f"influence {command.name}",
        usage=f"influence {command.name} {name if command.typed else f'[{name}]'}"
        " [--parameter VALUE ...]",
        description=inspect.cleandoc(command.kind.__doc__ or ""),
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    groups = {"": parser.add_argument_group("input")}
    shown = first.metadata["help"]
    groups[""].add_argument(INPUT, nargs="?", metavar=name, default=SUPPRESS, help=shown)
    parser.add_argument(f"--{first.name}", default="", help=SUPPRESS)
    for field in others:
        title = command.group(field.name)
        if title not in groups:
            groups[title] = parser.add_argument_group(title)
        groups[title].add_argument(f"--{field.name}", metavar=_metavar(field), **_argument(field))
    return parser


def _parsed(
    parser: argparse.ArgumentParser, step: str, kind: type, needed: str, arguments: list[str]
) -> Any:
    known = [action.dest for action in parser._actions if action.dest not in ("help", INPUT)]
    found, wrong = parser.parse_known_args(_joined(arguments, known))
    if wrong and not wrong[0].startswith("-"):
        raise InputError(f"{step} does not take {wrong[0]!r}: values follow their --parameter")
    if wrong:
        raise InputError(unknown(step, known, wrong[0].lstrip("-").split("=")[0]))
    # Python 3.11 takes the value "--" for an end of flags and gives an empty list.
    values = {name: "--" if value == [] else value for name, value in vars(found).items()}
    if INPUT in values:
        first = values.pop(INPUT)
        if values[known[0]] != parser.get_default(known[0]):
            raise InputError(f"{known[0]} is given twice, as {first!r} and as {values[known[0]]!r}")
        values[known[0]] = first
    parsed = kind(**values)
    scored = needed == "dataset" and getattr(parsed, "scores", "")  # the dataset is theirs
    if needed and not getattr(parsed, needed) and not scored:
        raise InputError(f"{step} needs {needed}: {_help(kind, needed)}")
    return parsed


def _joined(arguments: list[str], known: Iterable[str]) -> list[str]:
    """Write each flag and its value as one argument: a value may begin with a dash, as -1,-."""
    flags = {f"--{name}" for name in known}
    joined: list[str] = []
    for given in arguments:
        flag, *value = given.split("=", 1)
        written = f"--{flag[2:].replace('-', '_')}"  # --label-column is --label_column
        argument = "=".join([written, *value]) if written in flags and flag[:2] == "--" else given
        if joined and joined[-1] in flags and argument not in flags:
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def parse_parameters(step: str, parameters: Mapping[str, str]) -> Any:
    """Read parameters from elsewhere as `parse` reads a command line; `help` is none of them."""
    known = [field.name for field in fields(STEPS[step])]
    if wrong := [name for name in parameters if name not in known]:
        raise InputError(unknown(step, known, wrong[0]))
    return parse(step, [f"--{name}={value}" for name, value in parameters.items()])


def check_scored(config: SearchStep | RecommendStep) -> None:
    """Raise InputError for a parameter that a choice by finished scores cannot follow."""
    own = {f.name for kind in (TrainConfig, ScoreConfig) for f in fields(kind)}
    own = (own | {"datasets"}) & {f.name for f in fields(config)} - {"seed", "score"}
    usual = type(config)()
    for name in sorted(own):
        if (value := getattr(config, name)) not in ("", getattr(usual, name)):
            raise InputError(
                f"with scores={config.scores} the dataset, the model and the scores are those of "
                f"that directory, so {name}={value} cannot be followed; leave one of the two out"
            )


def expand(search: SearchStep) -> dict[str, SearchStep]:
    """Return one search per dataset, by name: those of `datasets`, else the one there is.

    A dataset may bring parameters of its own, as a query: `massive?label_column=domain&epochs=5`.
    Raises InputError for parameters that a search of finished scores cannot follow.
    """
    if search.scores:
        check_scored(search)
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


class _Formatter(argparse.HelpFormatter):
    """Help in two columns, in which a long list breaks after a comma and nowhere else."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=27)

    def _split_lines(self, text: str, width: int) -> list[str]:
        wrapper = textwrap.TextWrapper(width, break_long_words=False, break_on_hyphens=False)
        wrapper.wordsep_simple_re = re.compile(r"(\s+)|(?<=,)")
        return wrapper.wrap(text)


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


def _metavar(field: dataclasses.Field) -> str:
    """Return what stands for a value in the help."""
    if get_origin(field.type) is Literal:
        return f"{{{','.join(get_args(field.type))}}}"
    usual = "A,B" if field.name in LISTS else "TEXT"
    return {bool: "BOOL", int: "N", float: "X"}.get(field.type, usual)


def _help(kind: type, name: str) -> str:
    return next(f.metadata["help"] for f in fields(kind) if f.name == name)
