"""Which columns hold text, pair and label, and how the columns of a source become ours."""

import json
from collections.abc import Collection, Mapping

import pandas as pd
import pyarrow as pa

from influence.errors import InputError, listed

PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("text_a", "text_b"),
    ("text1", "text2"),
    ("text", "text_pair"),
)
TEXTS = ("text", "sentence", "utterance", "utt", "content", "question", "review", "query", "title")
LABELS = (
    *("label", "labels", "gold_label", "intent", "coarse_label", "category", "class", "target"),
    *("domain", "topic", "sentiment"),
)
DOMAINS = ("domain", "domains", "scenario", "skill")
INTENTS = ("intent", "intents", "label", "labels", "action")
SLOTS = ("slots", "slot_tags", "tags", "ner_tags", "bio")
# A column looks like labels if its values are repeated so often and are no more than so many, like
# texts if so many values have so many words on average and most differ.
REPEATED, MANY_LABELS = 5, 500
LOOKED_AT, WORDS = 1000, 3
MANY = 40  # columns in a message
WITHOUT_DOMAINS = (
    "; without domains, classify the intents (task=classify, label_column) or copy their column "
    "under another name"
)
RESERVED = ("id", "text", "text_pair", "label")
NAMED_BY = {  # the parameter that names the column of a role
    "text": "text_column",
    "text_pair": "pair_column",
    "label": "label_column",
    "intent": "intent_column",
    "slots": "slots_column",
}


def find(rows: pd.DataFrame, named: Mapping[str, str], task: str) -> dict[str, str]:
    """Map the roles that a task has to source columns, as `named` by role, or by usual names.

    The roles are text, label and, for pairs, text_pair; with task nlu text, label (the domain),
    intent and slots. Raises InputError for a named column that is not there, if none has a usual
    name, and for one column in two roles.
    """
    if not len(rows.columns):
        raise InputError("train holds no examples")
    for role, name in named.items():
        if name and name not in rows.columns:
            raise InputError(f"{NAMED_BY[role]}={name!r} is not among the columns {names(rows)}")
    usual = _usual(rows)
    columns = _of_nlu(named, usual) if task == "nlu" else _of_classify(named, usual)
    for role, name in columns.items():
        if not name:
            raise InputError(
                f"task={task} needs {NAMED_BY[role]}, and no column has a usual name for it; the "
                f"columns are {names(rows)}"
            )
    if len(set(columns.values())) < len(columns):
        hint = WITHOUT_DOMAINS if task == "nlu" else ""
        raise InputError(f"{listed(columns)} must be different columns, not {columns}{hint}")
    return columns


def _of_classify(named: Mapping[str, str], usual: Mapping[str, str]) -> dict[str, str]:
    text, pair = named.get("text", ""), named.get("text_pair", "")
    label = named.get("label") or _first(LABELS, usual, {text, pair})
    for first, second in PAIRS:
        pair_is_there = first in usual and usual.get(second, "") not in ("", label)
        if not text and pair_is_there and pair in ("", usual[second]):
            text, pair = usual[first], usual[second]
    text = text or _first(TEXTS, usual, {pair, label})
    return {"text": text, **({"text_pair": pair} if pair else {}), "label": label}


def _of_nlu(named: Mapping[str, str], usual: Mapping[str, str]) -> dict[str, str]:
    text = named.get("text", "")
    domain = named.get("label") or _first(DOMAINS, usual, {text})
    intent = named.get("intent") or _first(INTENTS, usual, {text, domain})
    slots = named.get("slots") or _first(SLOTS, usual, {text, domain, intent})
    text = text or _first(TEXTS, usual, {domain, intent, slots})
    return {"text": text, "label": domain, "intent": intent, "slots": slots}


def left_aside(rows: pd.DataFrame, used: Collection[str]) -> list[str]:
    """Return the columns that look like texts or like labels but are not among those `used`.

    Each with what it looks like: 'Stance' (3 labels), 'Body' (texts).
    """
    kinds = {name: _looks_like(rows[name]) for name in rows.columns if name not in used}
    return [f"{name!r} ({kind})" for name, kind in kinds.items() if kind]


def rename(rows: pd.DataFrame, columns: dict[str, str]) -> pd.DataFrame:
    """Return the columns in use under the names of their roles, then the others.

    An other column with the name of a role becomes source_<name>; values that Parquet cannot hold
    become JSON.
    """
    names = {source: role for role, source in columns.items()}
    others = [name for name in rows.columns if name not in names]
    reserved = {*RESERVED, *columns}
    taken = {*reserved, *others} - reserved.intersection(others)
    for name in others:
        if name in reserved:
            new = f"source_{name}"
            while new in taken:
                new = f"source_{new}"
            names[name] = new
    changed = {name: _json(rows[name]) for name in others if not _is_storable(rows[name])}
    return rows.assign(**changed)[[*columns.values(), *others]].rename(columns=names)


def names(rows: pd.DataFrame) -> str:
    """Return the names of the columns as a message shows them."""
    return listed(map(repr, rows.columns), MANY)


def _usual(rows: pd.DataFrame) -> dict[str, str]:
    """Return the columns by name without case and outer white space; text wins over Text."""
    plain = {str(name).strip().lower(): name for name in rows.columns[::-1]}
    return plain | {name: name for name in rows.columns if name in plain}


def _first(names: tuple[str, ...], usual: Mapping[str, str], taken: set[str]) -> str:
    return next((usual[name] for name in names if usual.get(name, "") not in {"", *taken}), "")


def _looks_like(column: pd.Series) -> str:
    """Say what a column may be: "texts", "7 labels" or "" for neither."""
    values = column.dropna()
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.astype(object).infer_objects()
    if values.dtype == object and not values.map(lambda one: isinstance(one, str | int)).all():
        return ""  # lists, objects, fractions
    if pd.api.types.is_float_dtype(values) and not (values % 1 == 0).all():
        return ""
    different = values.nunique()
    if 2 <= different <= min(len(values) // REPEATED, MANY_LABELS):
        return f"{different} labels"
    first = values.head(LOOKED_AT)
    if not different or not first.map(lambda one: isinstance(one, str)).all():
        return ""
    words = first.str.split().str.len().mean()
    return "texts" if words >= WORDS and first.nunique() > len(first) / 2 else ""


def _is_storable(column: pd.Series) -> bool:
    """Say whether Parquet can hold the column, and under a type that other splits can share.

    It cannot if types are mixed or objects empty, and a column of nothing has no type.
    """
    if column.dtype != object:
        return True
    try:
        kind = pa.array(column).type
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return "struct<>" not in str(kind) and not pa.types.is_null(kind)


def _json(column: pd.Series) -> pd.Series:
    return column.map(lambda value: json.dumps(value, default=str), na_action="ignore").astype(
        "str"
    )
