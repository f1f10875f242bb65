"""How datasets write tags, and the BIO tags of `slots` that they become.

A dataset is read in one way, the first that reads all of its rows. A tag says the label of its word
and, of its slot, whether it begins there (B), continues (I, M), ends (E, L) or is this word alone
(S, U, W). What begins a slot where no B stands is taken from conlleval and seqeval
(https://aclanthology.org/W00-0726, https://github.com/chakki-works/seqeval).
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np
import pandas as pd

from influence.data.sources.files import ROW, Rows
from influence.data.tags import slots
from influence.data.tags.slots import OUTSIDE
from influence.errors import InputError

ANY_CASE = re.IGNORECASE | re.ASCII  # else İ were a way to write I
KINDS = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}
KIND, SIGN = rf"(?P<kind>[{''.join(KINDS)}])", "[-_:./]"
FIRST = re.compile(rf"{KIND}{SIGN}(?P<label>.+)", ANY_CASE)
LAST = re.compile(rf"(?P<label>.+){SIGN}{KIND}", ANY_CASE)
ALONE = re.compile(r"(?P<label>.+)")  # a label and nothing on the word's place in its slot
LIKE_BIO = re.compile(rf"[BIbi]({SIGN}.*)?|.+{SIGN}[BI]")
# "['play', 'some']", as pandas writes a list into a CSV; NumPy leaves out the commas.
QUOTED = re.compile(r"""'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)\"""")
WRITTEN = re.compile(r"""\[\s*(?:(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\s*,?\s*)+\]""")
LISTED = re.compile(r"[^\s,;|\[\]()'\"]+")


class Mark(NamedTuple):
    """What a tag says; form: how it is written, with x for the label."""

    kind: str
    label: str
    form: str


class Row(NamedTuple):
    """A text with its tags: one for each part, which are the words in most texts."""

    text: str
    parts: Sequence[str]
    tags: Sequence[str]


@dataclass
class Seen:
    """What reading a split meant: tags by form and BIO form, and rows that were no plain ones."""

    forms: Counter[tuple[str, str]] = field(default_factory=Counter)
    listed: int = 0
    blanks: int = 0


def joined(rows: Rows, columns: Mapping[str, str]) -> Rows:
    """Return rows of a source in which lists of words and of tags are texts with blanks between.

    `columns`: where text and slots stand.
    """
    names = rows.class_names.get(columns["slots"], ())
    known = {str(number): name for number, name in enumerate(names)}
    # A blank in a word makes no two words of it, see `_spread`; in a label it would make two tags.
    clean = {
        columns["text"]: lambda word: "\xa0".join(word.split()),
        columns["slots"]: lambda tag: "_".join(known.get(tag, tag).split()),
    }
    table = rows.table
    texts = {name: _texts(table[name], clean[name]) for name in clean if name in table}
    text = columns["text"]
    if text in texts and _are_lists(texts[text]):
        said = f"the texts of {text!r} are lists of words that were written as texts"
        rows = rows._replace(notes=(*rows.notes, said))
        texts[text] = texts[text].map(_words, na_action="ignore")
    return rows._replace(table=table.assign(**texts))


def to_bio(splits: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Return the splits with BIO tags in their column `slots`, and sentences on what changed.

    Rows of well-formed BIO tags stay as they are. Raises InputError where no way of reading reads
    all rows.
    """
    rows, marks = _reading(splits)
    found, notes = {}, []
    for split, frame in splits.items():
        seen = Seen()
        pairs = zip(rows[split], frame["slots"], strict=True)
        written = [_written(row, before, marks, seen) for row, before in pairs]
        found[split] = frame.assign(slots=pd.Series(written, frame.index, dtype="str"))
        notes += _notes(split, seen)
    return found, notes


# Reading.


def _reading(splits: Mapping[str, pd.DataFrame]) -> tuple[dict[str, list[Row]], dict[str, Mark]]:
    """Return the rows of each split and what their tags mean, by the first way that reads all."""
    fewest, rows, marks = None, {}, {}
    for separate, scheme in product((_at_blanks, LISTED.findall), (FIRST, LAST, ALONE)):
        now = {split: list(_rows(frame, separate)) for split, frame in splits.items()}
        meant = _marks({tag for some in now.values() for row in some for tag in row.tags}, scheme)
        wrong = [(split, at) for split in now for at in _wrong(now[split], meant)]
        if fewest is None or len(wrong) < len(fewest):
            fewest, rows, marks = wrong, now, meant
        if not fewest:
            return rows, marks
    raise InputError(_refusal(splits, fewest or [], rows, marks))


def _texts(column: pd.Series, clean: Callable[[str], str]) -> pd.Series:
    """Write the lists of a column as texts; what is no list stays."""
    texts = [
        " ".join(clean(str(one)) for one in value)
        if isinstance(value, list | tuple | np.ndarray)
        else value
        for value in column
    ]
    return pd.Series(texts, column.index, dtype=object) if column.dtype == object else column


def _are_lists(column: pd.Series) -> bool:
    """Tell whether all texts of a column are what pandas or NumPy write for a list of words."""
    there = column.dropna()
    return len(there) > 0 and all(
        isinstance(text, str) and WRITTEN.fullmatch(text.strip()) for text in there
    )


def _words(text: str) -> str:
    found = (match[1] or match[2] for match in QUOTED.finditer(text))
    return " ".join("\xa0".join(word.split()) for word in found)


def _rows(frame: pd.DataFrame, separate: Callable[[str], list[str]]) -> Iterator[Row]:
    for text, written in zip(frame["text"], frame["slots"], strict=True):
        tags = separate(written)
        yield Row(text, next((p for p in _parts(text) if len(p) == len(tags)), text.split()), tags)


def _parts(text: str) -> Iterator[list[str]]:
    """Yield what tags may belong to: words; words with blanks in them; also what is between blanks.

    A non-breaking space separates words, but not for whoever tagged what ordinary blanks separate;
    and two blanks in a row have an empty text between them.
    """
    yield text.split()
    yield re.findall(r"[^ \t\r\n]+", text)
    yield text.split(" ")


def _at_blanks(tags: str) -> list[str]:
    return [] if re.fullmatch(r"\s*[\[(].*[\])]\s*", tags) else tags.split()


def _marks(tags: Collection[str], scheme: re.Pattern) -> dict[str, Mark]:
    """Return what the tags say under a scheme; those that it cannot read are left out.

    A dataset is in no scheme by chance: labels such as e-mail and to_city alone are no tags that
    end a slot, and labels are tags only where other words have O and no tag looks like BIO.
    """
    found = {tag: Mark("O", "", tag) for tag in tags if tag.upper() == OUTSIDE}
    if scheme is ALONE and (not found or any(map(LIKE_BIO.fullmatch, tags))):
        return found
    kinds = set()
    for tag in set(tags) - found.keys():
        # What separates the tags of a list is no part of a label.
        if tag == tag.strip(",;|'\"") and (match := scheme.fullmatch(tag)):
            kinds.add(kind := match.groupdict().get("kind", "I"))
            start, end = match.span("label")
            form = f"{tag[:start]}x{tag[end:]}"
            found[tag] = Mark(KINDS[kind.upper()], match["label"], form)
    return found if kinds & set("BIbiS") else {tag: m for tag, m in found.items() if m.kind == "O"}


def _wrong(rows: Sequence[Row], marks: Mapping[str, Mark]) -> list[int]:
    """Return the places of the rows that cannot be read."""
    return [
        at
        for at, row in enumerate(rows)
        if len(row.parts) != len(row.tags) or not row.tags or not marks.keys() >= set(row.tags)
    ]


def _refusal(
    splits: Mapping[str, pd.DataFrame],
    wrong: Sequence[tuple[str, int]],
    rows: Mapping[str, Sequence[Row]],
    marks: Mapping[str, Mark],
) -> str:
    counts = Counter(split for split, _ in wrong)
    told = ", ".join(
        f"{count:,} of {len(rows[split]):,} {split}" for split, count in counts.items()
    )
    split, at = wrong[0]
    frame, row = splits[split], rows[split][at]
    number = frame[ROW].iloc[at] if ROW in frame else at
    if not row.tags:
        why = f"{frame['slots'].iloc[at][:60]!r} holds no tags; write one for each word"
    elif len(row.parts) != len(row.tags):
        why = slots.miscounted(row.text, row.parts, row.tags)
    else:
        pairs = zip(row.parts, row.tags, strict=True)
        why = slots.unknown(*next((word, tag) for word, tag in pairs if tag not in marks))
    whole = any(count == len(rows[split]) for split, count in counts.items())
    way = "name another column with slots_column" if whole else "take these rows out"
    return (
        f"the tags of {told} rows cannot be read; the first is row {number} of {split}, counted "
        f"from 0: {why}, or {way}"
    )


# Writing.


def _written(row: Row, before: str, marks: Mapping[str, Mark], seen: Seen) -> str:
    """Return the BIO tags of the words of a row, and count what was not so before."""
    read = [marks[tag] for tag in row.tags]
    tags = []
    for last, mark in pairwise([Mark("O", "", ""), *read]):
        tags.append(_bio(last, mark))
        form = OUTSIDE if mark.kind == "O" else f"{tags[-1][0]}-x"
        seen.forms[mark.form, form] += mark.form != form
    words = row.text.split()
    if len(row.parts) != len(words) or list(row.parts) != words:
        tags = _spread(row.parts, tags)
        seen.blanks += 1
    seen.listed += before.split() != list(row.tags)
    return before if before.split() == tags else " ".join(tags)


def _bio(before: Mark, mark: Mark) -> str:
    """Return the BIO tag of a word, by what is said of the word before it."""
    if mark.kind == "O":
        return OUTSIDE
    begins = mark.kind in "BS" or before.kind in "OES" or before.label != mark.label
    return f"{'B' if begins else 'I'}-{mark.label}"


def _spread(parts: Sequence[str], tags: Sequence[str]) -> list[str]:
    """Return the tags of the words in parts: a part may hold several words, or none."""
    sizes = [len(part.split()) for part in parts]
    starts = np.cumsum([0, *sizes])
    words = [OUTSIDE] * int(starts[-1])
    for span in slots.spans(tags):
        start, end = starts[span.start], starts[span.end]
        words[start:end] = [f"I-{span.label}"] * (end - start)
        if end > start:
            words[start] = f"B-{span.label}"
    return words


def _notes(split: str, seen: Seen) -> Iterator[str]:
    if begun := seen.forms.pop(("I-x", "B-x"), 0):
        tags, begin, are = (
            ("tag", "begins", "it is") if begun == 1 else ("tags", "begin", "they are")
        )
        yield f"{split}: {begun:,} {tags} I-x {begin} a slot, as after O; {are} read as B-x"
    if runs := seen.forms.pop(("x", "B-x"), 0):
        seen.forms.pop(("x", "I-x"), 0)
        yield (
            f"{split}: tags are labels alone, which do not say where a slot begins; neighbours "
            f"with one label are read as one slot, {runs:,} in all"
        )
    if changed := [f"{n:,} {old} as {new}" for (old, new), n in seen.forms.most_common() if n]:
        yield f"{split}: tags are read as BIO, {', '.join(changed)}"
    if seen.listed:
        yield f"{split}: the tags of {_rows_of(seen.listed)} are separated by more than blanks"
    if seen.blanks:
        yield (
            f"{split}: the blanks in the texts of {_rows_of(seen.blanks)} separate more or fewer "
            "words than there are tags; every word got the tag of what it is in"
        )


def _rows_of(count: int) -> str:
    return f"{count:,} row{'s' if count > 1 else ''}"
