"""Columns besides the class by whose values pruning is judged, such as speaker or source."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from influence.data.columns import listed
from influence.errors import InputError
from influence.models.metrics import GROUPED, group_metric
from influence.sampling.arms import CLASS

GROUPS = 50  # values of a column by which pruning is judged


def groups_of(rows: pd.DataFrame, split: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns by whose values pruning is judged, as text; "missing" for none.

    Raises InputError for a column that the split lacks, that is called as the classes are, whose
    values are lists or objects or more than 50, or that cannot be told from another column's value.
    """
    for name in columns:
        if name == CLASS:
            way_out = "rename the column" if name in rows else "leave it out"
            raise InputError(
                f"groups names {CLASS!r}, which is what the classes are called, by which pruning "
                f"is judged anyway; {way_out}"
            )
        if name not in rows:
            raise InputError(f"groups names {name!r}, which {split} lacks; it has {listed(rows)}")
        if (count := _values(rows, split, name)) > GROUPS:
            raise InputError(
                f"groups names {name!r}, which has {count} values in {split}; name columns of at "
                f"most {GROUPS}"
            )
    texts = {name: _texts(rows[name]) for name in columns}
    found = {name: text.mask(text.isna() | (text == ""), "missing") for name, text in texts.items()}
    groups = pd.DataFrame(found, index=rows.index)
    metrics = [group_metric(name, value) for name in groups for value in groups[name].unique()]
    if twice := [metric for metric, count in Counter(metrics).items() if count > 1]:
        raise InputError(
            f"groups={','.join(columns)!r} cannot tell in {split} whose value "
            f"{twice[0].removeprefix(GROUPED)!r} is; rename one of the columns"
        )
    return groups


def _texts(values: pd.Series) -> pd.Series:
    """Return values as text, and 1 as such where a value is missing and pandas holds it as 1.0."""
    texts = values.astype("str").str.strip()
    if not pd.api.types.is_float_dtype(values):
        return texts
    whole = (values % 1 == 0).fillna(False).astype(bool)
    return texts.mask(whole, (values + 0.0).map("{:.0f}".format, na_action="ignore"))


def _values(rows: pd.DataFrame, split: str, name: str) -> int:
    """Return how many values a column has; raise InputError if they are no single ones."""
    try:
        return rows[name].nunique()
    except TypeError:  # lists, arrays and mappings have no hash
        raise InputError(
            f"groups names {name!r}, whose values in {split} are lists or objects; name columns of "
            "texts, numbers, or true and false"
        ) from None
