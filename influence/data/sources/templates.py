"""The templates of the grammar: parts in (a|b), {slot} and <rule>, drawn, counted and tagged."""

import math
import re
from bisect import bisect
from functools import cache

import numpy as np

from influence.data.sources.assistant_grammar import RULES

Words = list[tuple[str, str]]  # (word, BIO tag)

VALUE_HEAD = 20  # of Zipf's law: nearly flat, as no artist or city makes much of the traffic
PART = re.compile(r"\((?P<options>[^()]*)\)|[{<]((?P<tag>\w+):)?(?P<rule>\w+)[>}]")
SLOT = re.compile(r"\S+/B-\S+(?: \S+/I-\S+)*")


def expand(template: str, rng: np.random.Generator) -> str:
    """Replace every part of a template by a random choice; words of a slot become `word/B-tag`."""

    def choose(part: re.Match) -> str:
        options = _options(part)
        if part["rule"] is None:
            return expand(options[rng.integers(len(options))], rng)
        value = expand(pick(options, VALUE_HEAD, rng), rng)
        return _tag(value, part["tag"] or part["rule"]) if part[0][0] == "{" else value

    return PART.sub(choose, template)


@cache
def derivations(template: str) -> int:
    """Return in how many ways a template can be expanded."""
    return math.prod(sum(map(derivations, _options(part))) for part in PART.finditer(template))


def words_of(expanded: str) -> Words:
    """Return the words of an expanded template with their tags."""
    return [_untag(word) for word in expanded.split()]


def slot_values(expanded: str) -> list[str]:
    """Return the slot values in an expanded template, each as its words."""
    return [re.sub(r"/\S+", "", value) for value in SLOT.findall(expanded)]


@cache
def listed(text: str) -> tuple[str, ...]:
    """Split a list of the grammar at its commas, or at its line ends where it has none."""
    entries = text.strip().split("," if "," in text else "\n")
    return tuple(" ".join(entry.split()) for entry in entries)


def pick(options: tuple[str, ...], head: int, rng: np.random.Generator) -> str:
    """Draw an option by Zipf's law: rank r, counted from 0, has a weight of 1 / (r + head)."""
    return options[bisect(_cumulative(len(options), head), rng.random())]


def _options(part: re.Match) -> tuple[str, ...]:
    return listed(RULES[part["rule"]]) if part["rule"] else tuple(part["options"].split("|"))


@cache
def _cumulative(count: int, head: int) -> list[float]:
    sums = np.cumsum(1 / (np.arange(count) + head))
    return list(sums[:-1] / sums[-1])


def _tag(value: str, slot: str) -> str:
    words = value.split()
    return " ".join(f"{word}/{'I' if place else 'B'}-{slot}" for place, word in enumerate(words))


def _untag(marked: str) -> tuple[str, str]:
    word, _, tag = marked.partition("/")
    return word, tag or "O"
