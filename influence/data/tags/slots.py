"""Slots, and the BIO tags that hold them on the words of a text.

`B-x` begins a slot with label x, `I-x` continues it, `O` is outside of all slots (Ramshaw and
Marcus 1995, https://aclanthology.org/W95-0107).
"""

import re
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from influence.errors import InputError
from influence.shapes import Float, Int

OUTSIDE = "O"
TAG = re.compile(r"O|[BI]-.+")


@dataclass(frozen=True)
class Span:
    """A slot as a range of words: `words[start:end]`."""

    label: str
    start: int
    end: int


def read(text: str, tags: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the words of a text and their BIO tags, both separated by blanks.

    An `I-x` that continues no slot begins one, as in `spans`, and is returned as `B-x`. Raises
    InputError if there are none, if their numbers differ, and for a tag that is no BIO tag.
    """
    words, names = tuple(text.split()), tuple(tags.split())
    if not words or len(words) != len(names):
        raise InputError(miscounted(text, words, names))
    for word, tag in zip(words, names, strict=True):
        if not TAG.fullmatch(tag):
            raise InputError(unknown(word, tag))
    pairs = pairwise((OUTSIDE, *names))
    return words, tuple(
        tag if tag == OUTSIDE or _continues(before, tag) else f"B{tag[1:]}" for before, tag in pairs
    )


def miscounted(text: str, words: Sequence[str], tags: Sequence[str]) -> str:
    """Return the sentence on a text that has more or fewer tags than words, or none at all."""
    if not words or not tags:
        what = "tags are empty" if words else "text is empty"
        return f"{what}; give at least one word, and one tag for each word"
    return (
        f"{len(words)} words but {len(tags)} tags for text {text[:60]!r}; give one tag for "
        f"each word, both separated by blanks"
    )


def unknown(word: str, tag: str) -> str:
    """Return the sentence on a tag that is none."""
    return f"unknown tag {tag!r} of word {word!r}; write O, B-label or I-label"


def check(rows: pd.DataFrame, domains: Sequence[str], split: str) -> None:
    """Raise InputError unless every tag matches its word and every intent has one domain.

    `rows` of a split: text, label (the number of the domain), intent, slots.
    """
    for text, tags in zip(rows["text"], rows["slots"], strict=True):
        read(text, tags)
    owners = rows.groupby("intent", sort=True)["label"].unique()
    for intent, found in owners[owners.map(len) > 1].items():
        raise InputError(
            f"intent {intent!r} is under the domains {domains[found[0]]!r} and "
            f"{domains[found[1]]!r} in {split}, but the domain picks the model of an intent; "
            "rename one of the two"
        )


def spans(tags: Sequence[str]) -> tuple[Span, ...]:
    """Return the slots that BIO tags hold, in order.

    Tags may be ill-formed: an `I-x` that continues no `B-x` or `I-x` begins a slot of its own, as
    in the evaluation of CoNLL (2000, https://aclanthology.org/W00-0726) and in seqeval.
    """
    found: list[Span] = []
    for place, (before, tag) in enumerate(pairwise((OUTSIDE, *tags))):
        if _continues(before, tag):
            found[-1] = Span(found[-1].label, found[-1].start, place + 1)
        elif tag != OUTSIDE:
            found.append(Span(tag[2:], place, place + 1))
    return tuple(found)


def slots_of(words: Sequence[str], tags: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return label and value of every slot, in order: what error rates compare, see `spans`."""
    if len(words) != len(tags):
        raise ValueError(f"{len(words)} words, {len(tags)} tags")  # else values would be cut
    return tuple((span.label, " ".join(words[span.start : span.end])) for span in spans(tags))


def trail(words: Sequence[str], tags: Sequence[str]) -> str:
    """Return the slot trail: `word|label` for every word in a slot, `Other` for all others.

    As in Anand et al. 2023, appendix C, https://arxiv.org/abs/2311.16298: the label alone counts,
    so two slots of one label side by side leave the trail of a single one.
    """
    return " ".join(
        "Other" if tag == OUTSIDE else f"{word}|{tag[2:]}"
        for word, tag in zip(words, tags, strict=True)
    )


def trail_entropies(
    groups: Sequence[Hashable], trails: Sequence[str]
) -> Float[np.ndarray, " examples"]:
    """Return for every example the entropy in bits of the trails in its group.

    The paper's groups are (domain, intent). Shannon entropy of the shares p of the different
    trails, - sum p log2 p: 0 where all are the same, log2 n where n examples all differ.
    """
    group, cell = _numbers(groups), _numbers(zip(groups, trails, strict=True))
    sizes, counts = np.bincount(group), np.bincount(cell)  # examples of a group; of one trail in it
    owner = np.empty(len(counts), dtype=np.int64)
    owner[cell] = group
    # Summed from the rarest trail on, groups with the same counts tie to the last bit, in whatever
    # order their examples come.
    rarest = np.argsort(counts, kind="stable")
    counts, owner = counts[rarest], owner[rarest]
    bits = np.zeros(len(sizes))
    np.add.at(bits, owner, counts / sizes[owner] * np.log2(sizes[owner] / counts))
    return bits[group]


def align(
    word_ids: Sequence[Sequence[int | None]], tags: Sequence[Sequence[int]], ignored: int = -100
) -> list[list[int]]:
    """Return a tag number for every token: its word's for the first token of a word, else ignored.

    word_ids: for every example the word of each token, None for special tokens and padding, as
    fast tokenizers give them for words (is_split_into_words) cut at the right; tags: for every
    example the tag number of each word. -100 is what losses leave out by default.
    """
    aligned = []
    for ids, numbers in zip(word_ids, tags, strict=True):
        row = [ignored] * len(ids)
        for word, place in _firsts(ids).items():
            row[place] = numbers[word]
        aligned.append(row)
    return aligned


def from_tokens(
    word_ids: Sequence[int | None], token_tags: Sequence[int], words: int, missing: int
) -> list[int]:
    """Return the tag number of each of the `words` of one example: that of its first token.

    Words without any token, cut off or made of nothing but what the tokenizer drops, get
    `missing`, the number of `O`. The inverse of `align`; token_tags may be padded on the right.
    """
    numbers = [missing] * words
    for word, place in _firsts(word_ids).items():
        numbers[word] = token_tags[place]
    return numbers


def tag_names(labels: Iterable[str]) -> tuple[str, ...]:
    """Return the classes of a tagger: `O`, then `B-x` and `I-x` of each label x, sorted."""
    return (OUTSIDE, *(f"{kind}-{label}" for label in sorted(set(labels)) for kind in "BI"))


def _continues(before: str, tag: str) -> bool:
    return tag.startswith("I-") and before[1:] == tag[1:]


def _numbers(keys: Iterable[Hashable]) -> Int[np.ndarray, " examples"]:
    """Number the different keys from 0 in order of appearance."""
    # np.unique would pad every trail to the longest one, and take a tuple for a row of a matrix.
    seen: dict[Hashable, int] = {}
    return np.fromiter((seen.setdefault(key, len(seen)) for key in keys), dtype=np.int64)


def _firsts(word_ids: Sequence[int | None]) -> dict[int, int]:
    """Return the place of the first token of each word."""
    first: dict[int, int] = {}
    for place, word in enumerate(word_ids):
        if word is not None:
            first.setdefault(word, place)
    return first
