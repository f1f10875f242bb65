"""Texts that hold several values: lists of names, fractions, and parameters to change."""

import dataclasses
from typing import Any

from influence.errors import InputError


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, without blanks and repeats."""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def fractions(text: str) -> tuple[float, ...]:
    """Parse `fractions` into ascending numbers in [0, 1).

    They have eight decimals, and so six as the percents that results are named by: else 0.3 and
    0.1 + 0.2 would be two of one name, and what a name says could leave another number of examples.

    Raises InputError for what is not a number, out of range, or for an empty list.
    """
    try:
        values = sorted({round(float(part), 8) + 0.0 for part in names(text)})  # + 0.0: no -0.0
    except ValueError:
        raise InputError(f"fractions must be numbers such as 0.1,0.3, not {text!r}") from None
    if not values or not all(0 <= value < 1 for value in values):
        raise InputError(f"every fraction pruned must be at least 0 and below 1, not {text!r}")
    return tuple(values)


def changed(values: Any, text: str) -> Any:
    """Return a config with the parameters changed that `text` lists, as name=value&name=value.

    Raises InputError for a parameter that there is not, and for a value that does not fit.
    """
    kinds = {field.name: field.type for field in dataclasses.fields(values)}
    new: dict[str, Any] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        if name not in kinds:
            raise InputError(f"{text!r} names {name!r}, but there is {', '.join(kinds)}")
        try:
            new[name] = kinds[name](value) if kinds[name] in (int, float) else value
        except ValueError:
            raise InputError(f"{name} must be a number, not {value!r}, in {text!r}") from None
    return dataclasses.replace(values, **new)
