"""From the command line to a config and back to an exit status; MLproject and the knobs' page.

Run `python -m influence.command` to render both after changing a knob.
"""

import argparse
import dataclasses
import difflib
import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, NoReturn, get_args, get_origin
from urllib.parse import parse_qsl

from influence import cluster, config, packages, stopping
from influence.errors import InputError, Terminated, environmental, hide_password


def run(step: str, main: Callable[[Any], None]) -> NoReturn:
    """Parse the command line of `step`, call `main(config)` and exit.

    Exit status: 0 done, 2 bad input, a full disk or a broken package (one sentence on stderr),
    130 / 143 interrupted. A bug leaves through its traceback.
    """
    # Idle threads that spin take the core from whoever shares it: two jobs of two threads on two
    # cores become ten times slower. Has to be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps what a table has taken beside what the rest of a process needs.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    cluster.give_large_memory_back()
    workdir = ""
    try:
        workdir = (given := parse(step, sys.argv[1:])).workdir
        with stopping.stoppable(last=True):
            main(given)
    except InputError as error:
        sys.exit(_say(packages.unusable(error) or str(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated:
        sys.exit(143)
    except Exception as error:
        if not (sentence := environmental(error, workdir) or packages.unusable(error)):
            raise
        sys.exit(_say(sentence))
    sys.exit(0)


def parse(step: str, arguments: list[str]) -> Any:
    """Parse `--name value` pairs into the step's config; raise InputError for what does not fit."""
    kind = config.STEPS[step]
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
    needed = config.required(step)
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


def parse_knobs(step: str, knobs: Mapping[str, str]) -> Any:
    """Read knobs from elsewhere as `parse` reads a command line, where `help` is none of them."""
    if unknown := [
        name for name in knobs if name not in {f.name for f in fields(config.STEPS[step])}
    ]:
        raise InputError(_unknown(step, unknown[0]))
    return parse(step, [f"--{name}={value}" for name, value in knobs.items()])


def expand(search: config.SearchStep) -> dict[str, config.SearchStep]:
    """Return one search per dataset, by name: those of `datasets`, else the one there is.

    A dataset may bring knobs of its own, as a query: `massive?label_column=domain&epochs=5`. Raises
    InputError for knobs that a search of finished scores cannot follow.
    """
    own = {f.name for kind in (config.TrainConfig, config.ScoreConfig) for f in fields(kind)}
    own -= {"seed", "score"}
    if search.scores:
        usual = config.SearchStep()
        named = [n for n in (*sorted(own), "datasets") if getattr(search, n) != getattr(usual, n)]
        if named:
            raise InputError(
                f"with scores={search.scores} the dataset, the model and the scores are those of "
                f"that directory, so {named[0]}={getattr(search, named[0])} cannot be followed; "
                "leave one of the two out"
            )
        return {search.scores: search}
    found = {}
    for text in config.names(search.datasets) or (search.dataset,):
        path, _, query = text.partition("?")
        pairs = dict(parse_qsl(query, keep_blank_values=True))
        if twice := {"dataset", "datasets"} & set(pairs):
            raise InputError(f"{text!r} names its dataset before the ?; leave out {twice.pop()}=")
        parsed = parse_knobs("search", pairs)
        changed = {name: getattr(parsed, name) for name in pairs}
        found[text] = dataclasses.replace(search, datasets="", dataset=path, **changed)
    return found


def again(step: str, values: config.Config) -> str:
    """Return the command that runs `step` with these values, the default ones left out."""
    usual = type(values)()
    changed = {
        name: value for name, value in values.knobs().items() if value != getattr(usual, name)
    }
    entry = "" if step == "main" else f" -e {step}"
    shown = [hide_password(f"{name}={value}") for name, value in changed.items()]
    flags = "".join(f" -P {shlex.quote(text)}" for text in shown)
    return f"mlflow run .{entry} --env-manager local{flags}"


def render_mlproject() -> str:
    """Return the text of MLproject: one entry point per step, every knob a parameter."""
    lines = [
        "# Rendered from influence/config.py by `python -m influence.command`; do not edit.",
        "name: influence",
        "conda_env: conda.yaml",
        "entry_points:",
    ]
    for step, kind in config.STEPS.items():
        lines += [f"  {step}:", "    parameters:"]
        knobs = fields(kind)
        lines += [_parameter(field, config.required(step)) for field in knobs]
        flags = " ".join(f"--{field.name} {{{field.name}}}" for field in knobs)
        lines += [f'    command: "python -m entrypoints.{step} {flags}"']
    return "\n".join(lines) + "\n"


def render_parameters() -> str:
    """Return the text of docs/parameters.md: every knob, its default, its range and its steps."""
    lines = [
        "# Parameters",
        "",
        "Rendered from influence/config.py by `python -m influence.command`. Given as",
        "`mlflow run . -P epochs=5`, or as `python -m entrypoints.train --epochs 5`.",
        "",
        "| parameter | default | meaning | steps |",
        "| --- | --- | --- | --- |",
    ]
    known = dict.fromkeys(field.name for kind in config.STEPS.values() for field in fields(kind))
    for name in known:
        own = {
            step: field
            for step, kind in config.STEPS.items()
            for field in fields(kind)
            if field.name == name
        }
        meanings = list(dict.fromkeys(map(_meaning, own.values())))
        defaults = list(dict.fromkeys(f"`{field.default}`" for field in own.values()))
        shown = " or ".join(default for default in defaults if default != "``")
        cells = [f"`{name}`", shown, "; or ".join(meanings), ", ".join(own)]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _meaning(field: dataclasses.Field) -> str:
    """Return a field's help with its choices or its range."""
    text = field.metadata["help"].replace("%%", "%")
    if get_origin(field.type) is Literal:
        return f"{text} ({', '.join(get_args(field.type))})"
    ends = [("at least", field.metadata["low"]), ("at most", field.metadata["high"])]
    limits = ", ".join(f"{word} {end:.12g}" for word, end in ends if end is not None)
    return f"{text} ({limits})" if limits else text


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


def _parameter(field: dataclasses.Field, required: str) -> str:
    kind = "float" if field.type in (int, float) else "string"
    if field.name == required:
        return f"      {field.name}: string"
    value = json.dumps(str(field.default))
    return f"      {field.name}: {{type: {kind}, default: {value}}}"


def _unknown(step: str, name: str) -> str:
    known = [field.name for field in fields(config.STEPS[step])]
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there is {', '.join(known)}"
    return f"{step} has no parameter {name!r}; {hint}"


def _help(kind: type, name: str) -> str:
    return next(f.metadata["help"] for f in fields(kind) if f.name == name)


def _say(sentence: str) -> int:
    print(f"influence: {sentence}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    Path("MLproject").write_text(render_mlproject())
    Path("docs/parameters.md").write_text(render_parameters())
