"""Study files: a whole experiment in a few lines of YAML, and what it comes to.

    question: What do wrong labels do to each way of pruning?
    parameters: {arms: "vog:easy:class,tracin:hard", fractions: "0.3,0.6"}
    vary: {label_noise: [0.1, 0.3]}
    small: {max_train: 1500}

`parameters` are those of main. `vary` runs main once for each value of one parameter. `small` holds
what changes with scale=small, `vary` among it. What the command line sets comes before all of
these. As `mlflow run` sets every parameter, only what differs from its default counts there; a
default that shall come before the file stands behind its name: `studies/mine.yaml?epochs=0`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import yaml

from influence.config.parameters import Config
from influence.config.parser import parse_parameters
from influence.config.steps import MainStep
from influence.errors import InputError, first_line

KEYS = ("question", "parameters", "vary", "small")
OWN = ("study", "scale")  # parameters that say which study, not what is done


@dataclass(frozen=True)
class Study:
    """A study as it will be run.

    varied: the parameter that differs, "" where there is one variant only; variants: main's config
    under each value of it, as written in the file.
    """

    name: str
    question: str
    varied: str
    variants: Mapping[str, MainStep]


def read(given: MainStep) -> Study:
    """Return the study that `given.study` names, at `given.scale`, with all else that was given.

    Raises InputError, naming the file, for one that cannot be read, lacks a question, or names
    unknown keys or parameters.
    """
    name, _, query = given.study.partition("?")
    path = Path(name)
    content = _load(path)
    parameters, small = _mapping(path, content, "parameters"), _mapping(path, content, "small")
    vary = _mapping(path, content, "vary")
    if given.scale == "small":
        vary = small.pop("vary", vary)
        parameters |= small
    if not isinstance(vary, dict) or len(vary) > 1:
        raise InputError(f"{path}: vary holds one parameter and the list of its values")
    usual = MainStep()
    typed = {
        field.name: getattr(given, field.name)
        for field in dataclasses.fields(given)
        if getattr(given, field.name) != getattr(usual, field.name) and field.name not in OWN
    }
    asked = dict(parse_qsl(query, keep_blank_values=True))
    typed = {name: getattr(_parse(path, asked), name) for name in asked} | typed
    varied, values = next(iter(vary.items()), ("", [""]))
    if varied in typed:
        varied, values = "", [""]  # one value was asked for
    if not isinstance(values, list) or not values:
        raise InputError(f"{path}: vary.{varied} must be a list of values")
    variants = {}
    for value in values:
        own = parameters | ({varied: value} if varied else {})
        variants[_text(value)] = dataclasses.replace(_parse(path, own), **typed)
    return Study(path.stem, str(content["question"]), varied, variants)


def _load(path: Path) -> dict[str, Any]:
    try:
        # Every value is the text that was typed, as on a command line, where `no` is a word.
        content = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)
    except OSError:
        raise InputError(f"there is no study file {path}") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise InputError(
            f"{path} is no YAML file{line}: {error.problem or error.context}"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no YAML file: {first_line(error)}") from None
    if not isinstance(content, dict) or not content.get("question"):
        raise InputError(f"{path} needs a question, and {', '.join(KEYS[1:])} as it likes")
    if unknown := [key for key in content if key not in KEYS]:
        raise InputError(f"{path} has an unknown part {unknown[0]!r}; there is {', '.join(KEYS)}")
    return content


def _mapping(path: Path, content: dict[str, Any], key: str) -> dict[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, dict):
        raise InputError(f"{path}: {key} must hold names and values, not {found!r}")
    return dict(found)


def _parse(path: Path, parameters: Mapping[str, Any]) -> Config:
    """Read parameters as the command line does, with the same complaints."""
    if own := [name for name in parameters if name in OWN]:
        raise InputError(f"{path}: a study cannot set {own[0]}")
    try:
        return parse_parameters(
            "main", {str(name): _text(value) for name, value in parameters.items()}
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
