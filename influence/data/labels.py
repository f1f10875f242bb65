"""Labels as the source writes them: which are classes, which mean that there is none.

A class is a class whatever it is called: "-", "none" or -1 as well as 3. What means no label
follows from evidence; what is left out, and what looks as if it should be, is reported.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence

import numpy as np
import pandas as pd

from influence.config.lists import names
from influence.errors import InputError

AUTO = "auto"
EXACT = 2**53  # from here on, different whole numbers are the same float
MISSING = "-1"  # what stands for no label among numbered classes, as in SNLI and on the hub
NO_MAJORITY = "-"  # the same in the original files of SNLI and MultiNLI
NLI = {"entailment", "neutral", "contradiction"}
FEW = 0.05  # the largest share of a split, ...
SMALL = 0.5  # ... and the largest part of a class of usual size, that counts as few rows
# Classes that are named here may have been meant otherwise.
DOUBTFUL = {"-1", "-", "--", "?", "n/a", "na", "nan", "nil", "no label", "none", "null", "unknown"}
DOUBTFUL |= {"unlabeled", "unlabelled", "\\n", "<na>", "#n/a", "nat"}
FRACTIONS = 10  # classes that are numbers with fractions and are pointed out
WHOLE = re.compile(r"-?[0-9]{1,999}")
SHOWN = 5


def label_texts(column: pd.Series, name: str) -> pd.Series:
    """Return each label as the source has it, 1.0 as 1; missing becomes the empty string."""
    if column.dtype == object:  # of several types, where True would be counted among the 1
        column = column.map(lambda value: _label_text(value, name), na_action="ignore")
    codes, values = pd.factorize(column)
    texts = [_label_text(value, name) for value in values]
    return pd.Series(np.array([*texts, ""], dtype=object)[codes], index=column.index, dtype="str")


def without_label(
    splits: Mapping[str, pd.Series], class_names: Sequence[str], asked: str
) -> tuple[set[str], list[str]]:
    """Return which labels mean "no label", and what to report about them.

    `splits`: the labels of each split, see `label_texts`; `class_names`: those that the file gives
    to whole numbers, if it does; `asked`: the parameter `unlabelled`. Raises InputError for a label
    that is asked for and not there, and for a number without a name.
    """
    counts = {
        split: Counter(texts[texts != ""].value_counts().to_dict())
        for split, texts in splits.items()
    }
    there = set().union(*counts.values())
    named = {str(number): text for number, text in enumerate(class_names)}
    meant = set() if asked == AUTO else _asked(asked, counts, named)
    if class_names:
        _check_numbers(there - meant, class_names)
    if asked != AUTO:
        return meant, []
    reasons = {
        MISSING: _why_missing(counts, class_names),
        NO_MAJORITY: "no majority in SNLI and MultiNLI" if _is_nli(counts["train"]) else "",
    }
    meant = {text for text, why in reasons.items() if why and text in there}
    said = [
        f"label {text!r} counts as no label ({reasons[text]}): {_rows(text, counts)}; "
        "unlabelled= (empty) keeps it as a class"
        for text in sorted(meant)
    ]
    doubtful = [text for text in sorted(there - meant) if text.lower() in DOUBTFUL]
    said += [
        f"label {text!r} is a class like any other: {_rows(text, counts)}; unlabelled={text} "
        "leaves these rows out"
        for text in doubtful
        if text not in named
    ]
    return meant, said


def alike(texts: Sequence[str], sizes: Mapping[str, int]) -> list[str]:
    """Say which labels differ only by case, white space or Unicode form."""
    groups: dict[str, list[str]] = {}
    for text in texts:
        groups.setdefault(plain(text), []).append(text)
    pointed = [
        f"labels {' and '.join(map(repr, group))} differ only by case, white space or "
        f"Unicode form ({', '.join(str(sizes[text]) for text in group)} train rows) and are "
        "different classes"
        for group in groups.values()
        if len(group) > 1
    ]
    more = [f"{len(pointed) - SHOWN} more groups of labels differ in the same way"] * (
        len(pointed) > SHOWN
    )
    return [*pointed[:SHOWN], *more]


def fractions(texts: Sequence[str]) -> list[str]:
    """Say if the classes are so many fractional numbers that they look like measurements."""
    numbers = [re.fullmatch(r"[-+]?\d*\.?\d+", text) for text in texts]
    if len(texts) < FRACTIONS or not all(numbers) or not any("." in text for text in texts):
        return []
    return [
        f"the labels are {len(texts)} fractional numbers, such as {texts[0]} and {texts[1]}, "
        "each a class of its own; round them if they are ratings on a scale"
    ]


def like(text: str, texts: Sequence[str]) -> str:
    """Say which of `texts` a label differs from only by case, white space or Unicode form."""
    found = [other for other in texts if plain(other) == plain(text)]
    return f", though {found[0]!r} differs only by case or white space" if found else ""


def plain(text: str) -> str:
    """Return a label without what does not show: case, white space, Unicode form."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def ordered(labels: pd.Series) -> list[str]:
    """Return the classes of train: numbers in their order, else alphabetically."""
    texts = sorted(set(labels))
    if len(texts) < 2:
        raise InputError(
            f"all {len(labels)} train rows have the label {texts[0]!r}, but a classifier needs two"
            " classes; name another column with label_column"
        )
    if all(map(WHOLE.fullmatch, texts)):
        texts.sort(key=int)
    return texts


def _label_text(value: object, name: str) -> str:
    if isinstance(value, bytes | bytearray):
        raise InputError(f"label column {name!r} holds bytes; decode them to text")
    if not isinstance(value, Hashable):
        raise InputError(
            f"label column {name!r} holds {type(value).__name__} values, but an example"
            " has one label; name a column of integers or strings with label_column"
        )
    if isinstance(value, float | np.floating):
        if not float(value).is_integer() or abs(value) >= EXACT:
            raise InputError(
                f"label column {name!r} holds {value}, which is not a class; name a column of"
                " integers or strings with label_column"
            )
        value = int(value)
    text = str(value)
    text = re.sub(r"^-(0+\.0+)$", r"\1", text)  # as a float it is 0
    return "" if not text.strip() else re.sub(r"^(-?\d+)\.0+$", r"\1", text)


def _asked(asked: str, counts: Mapping[str, Counter], named: Mapping[str, str]) -> set[str]:
    """Return the labels that were asked for, by the name of their class or else as they stand."""
    there = sorted(set().union(*counts.values()))
    by_name = {text: text for text in there} | {named[t]: t for t in there if t in named}
    listed = [asked] if asked in by_name else names(asked)  # a label may have a comma
    meant = {by_name[text] for text in listed if text in by_name}
    unknown = [text for text in listed if text not in by_name]
    if unknown:
        known = [named.get(text, text) for text in there]
        more = ", ..." if len(known) > SHOWN else ""
        raise InputError(
            f"unlabelled={unknown[0]!r} is not the label of any row; the labels are "
            f"{', '.join(map(repr, known[:SHOWN]))}{more}"
        )
    return meant


def _check_numbers(there: set[str], class_names: Sequence[str]) -> None:
    """Raise InputError for a number that has no name, but for the one that means no label."""
    numbers = {text for text in there if WHOLE.fullmatch(text)} - {MISSING}
    odd = sorted((text for text in numbers if not 0 <= int(text) < len(class_names)), key=int)
    if odd:
        raise InputError(
            f"label {odd[-1]} has no class name: the file names {len(class_names)} classes, "
            f"{class_names[0]!r} (0) to {class_names[-1]!r} ({len(class_names) - 1}); correct "
            f"the labels or the names, or leave such rows out with unlabelled={odd[-1]}"
        )


def _why_missing(counts: Mapping[str, Counter], class_names: Sequence[str]) -> str:
    """Return why -1 means no label, "" where it is a class."""
    if class_names:
        return "the file's class names exclude it"
    train = counts["train"]
    classes = set(train) - {MISSING}
    if len(classes) < 2 or classes != {str(number) for number in range(len(classes))}:
        return ""
    usual = sum(train[text] for text in classes) / len(classes)
    rare = train[MISSING] <= SMALL * usual
    shares = [own[MISSING] / max(own.total(), 1) for own in counts.values()]
    few = all(share <= FEW or share == 1 for share in shares) and shares[0] < 1
    return f"the classes are 0 to {len(classes) - 1} and few rows have it" if rare and few else ""


def _is_nli(train: Counter) -> bool:
    return len(set(train) & NLI) > 1 and set(train) <= NLI | {NO_MAJORITY}


def _rows(text: str, counts: Mapping[str, Counter]) -> str:
    """Say how many rows of each split have a label."""
    return ", ".join(f"{own[text]} of {own.total()} {split} rows" for split, own in counts.items())
