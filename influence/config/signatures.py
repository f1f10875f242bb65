"""What Python shows of a command: its signature, its help, and the stub that editors read."""

import dataclasses
import inspect
import textwrap
from typing import Any, Literal, get_args, get_origin

from influence.config.commands import COMMANDS, LISTS, QUERIES, Command

WIDTH = 92  # of the text of a stub: 100 columns less the indentation
PYTHON = {"track": False}  # defaults that differ from those of a command line
TYPES = {
    "dataset": "Data",
    "training": "Training | Folder",
    "scores": "Scores | Folder",
    "sample": "Sample | Folder",
    **dict.fromkeys(("import_from", "model", "study", "workdir"), "Folder"),
}
RESULTS = {
    "compare": "Comparison",
    "train": "Training",
    "score": "Scores",
    "sample": "Sample",
    "evaluate": "Curve",
    "search": "Recommendation",
    "recommend": "Answer",
    "study": "dict[str, Comparison]",
}


HEAD = """# Rendered from influence/config by `python -m influence.config.render`; do not edit.
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Literal, TypeVar, overload

import pandas as pd
from datasets import Dataset

from influence import scores as scores
from influence.callback import KeepCheckpoints as KeepCheckpoints
from influence.errors import InputError as InputError
from influence.evaluation.result import Curve
from influence.report.compared import Comparison
from influence.sampling.arrays import prune as prune
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from influence.searching.planning.result import Answer
from influence.searching.result import Recommendation
from influence.training.result import Training

__version__: str
__all__: list[str]

Folder = str | PathLike[str]
Names = str | float | Iterable[str] | Iterable[float]
Data = Folder | pd.DataFrame | Dataset | Mapping[str, pd.DataFrame] | Mapping[str, Dataset]
"""
TAIL = """Record = TypeVar("Record", Training, Scores, Sample, Curve, Recommendation, Answer)

@overload
def load(directory: Folder) -> Training | Scores | Sample | Curve | Recommendation | Answer: ...
@overload
def load(directory: Record) -> Record: ...
"""
STUDY = "Run the study that a file describes: one comparison per variant, by its name."


def signature(command: Command) -> inspect.Signature:
    """Return the signature of a command in Python: its parameters with their types and defaults."""
    parameters = []
    for field in command.fields:
        kind = inspect.Parameter.KEYWORD_ONLY
        if field.name in command.given:
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        default = PYTHON.get(field.name, field.default)
        if field.name == command.required:
            default = inspect.Parameter.empty
        shown = _Shown(type_of(command, field))
        parameters.append(inspect.Parameter(field.name, kind, default=default, annotation=shown))
    return inspect.Signature(parameters, return_annotation=_Shown(RESULTS[command.name]))


def type_of(command: Command, field: dataclasses.Field) -> str:
    """Return the type that a parameter has in Python, as an editor shows it."""
    if get_origin(field.type) is Literal:
        return f"Literal[{', '.join(map(_literal, get_args(field.type)))}]"
    if field.type in (bool, int, float):
        return field.type.__name__
    if field.name in LISTS:
        return "Names"
    if field.name in QUERIES:
        return "str | Mapping[str, object]"
    return TYPES.get(field.name, "str")


def parameters_text(command: Command, width: int = 76) -> str:
    """Return the help of every parameter, by group, as a docstring has it."""
    groups: dict[str, list[dataclasses.Field]] = {}
    for field in command.fields:
        title = "" if field.name in command.given else command.group(field.name)
        groups.setdefault(title, []).append(field)
    lines = []
    for title, own in groups.items():
        lines += ["", f"{title.capitalize()}:"] if title else [""]
        for field in own:
            indent = "    " if title else ""
            text = f"{field.name}: {field.metadata['help'].replace('%%', '%')}"
            lines += textwrap.wrap(
                text,
                width,
                initial_indent=indent,
                subsequent_indent=f"{indent}    ",
                break_on_hyphens=False,
                break_long_words=False,
            )
    return "\n".join(lines)


def meaning(field: dataclasses.Field) -> str:
    """Return the help of a parameter with its choices or its range."""
    text = field.metadata["help"].replace("%%", "%")
    if get_origin(field.type) is Literal:
        return f"{text} ({', '.join(get_args(field.type))})"
    ends = [("at least", field.metadata["low"]), ("at most", field.metadata["high"])]
    limits = ", ".join(f"{word} {end:.12g}" for word, end in ends if end is not None)
    return f"{text} ({limits})" if limits else text


def render_stub() -> str:
    """Return the text of influence/__init__.pyi: what an editor completes and shows."""
    return "\n".join([HEAD, *(_function(command) for command in COMMANDS.values()), TAIL])


def _function(command: Command) -> str:
    lines, starred = [f"def {command.name}("], False
    for parameter in signature(command).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            starred = True
            lines.append("    *,")
        default = (
            "" if parameter.default is parameter.empty else f" = {_literal(parameter.default)}"
        )
        lines.append(f"    {parameter.name}: {parameter.annotation}{default},")
    lines.append(f") -> {RESULTS[command.name]}:")
    doc = inspect.cleandoc(command.kind.__doc__ or "") if command.name != "study" else STUDY
    body = f'"""{doc}\n{parameters_text(command, WIDTH)}\n"""'.replace("\\", "\\\\")
    lines += [textwrap.indent(body, "    ", lambda line: bool(line.strip())), ""]
    return "\n".join(lines)


def _literal(value: Any) -> str:
    return '"' + value.replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)


class _Shown:
    """An annotation that a signature shows as it is written, without quotation marks."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text
