"""The built-in dataset: generated voice-assistant requests with planted label errors and copies.

As in a real system, shares of traffic have a long tail, carrier phrases follow Zipf's law and some
wordings belong to two domains. The wording itself is data: `assistant.yaml`, which also explains
the notation of its templates.
"""

import math
import re
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from influence.errors import InputError
from influence.shapes import Int

SMALLEST_SIZE = 500
MISLABELED = 0.03
DUPLICATED = 0.08
FRAMED = 0.35
CARRIER_HEAD = 1  # Zipf's law at its steepest: a few carriers make much of the traffic
VALUE_HEAD = 20  # nearly flat, as no artist or city makes much of the traffic

PART = re.compile(r"\((?P<options>[^()]*)\)|[{<]((?P<tag>\w+):)?(?P<rule>\w+)[>}]")
SLOT = re.compile(r"\S+/B-\S+(?: \S+/I-\S+)*")
TAKES_AN = re.compile(r"(?!one|uni|use|eu)[aeiou]|hour|honest")

Words = list[tuple[str, str]]  # (word, BIO tag)


@dataclass(frozen=True)
class Grammar:
    """The wording of the requests, see `assistant.yaml`."""

    shares: dict[str, dict[str, float]]  # percent of the traffic, of each intent of each domain
    frames: dict[str, tuple[str, ...]]  # by the last character of a carrier
    fillers: tuple[str, ...]
    carriers: dict[str, tuple[str, ...]]  # of each intent
    rules: dict[str, tuple[str, ...]]

    @cached_property
    def domains(self) -> dict[str, str]:
        """The domain of each intent."""
        return {intent: domain for domain, intents in self.shares.items() for intent in intents}

    @cached_property
    def traffic(self) -> dict[str, float]:
        """The share of each intent in all requests, as a fraction."""
        intents = (intents.items() for intents in self.shares.values())
        return {intent: share / 100 for items in intents for intent, share in items}


@cache
def grammar() -> Grammar:
    """Read the grammar, once and only where requests are generated."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # 40 times as fast, where it is built
    text = Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8")
    read = yaml.load(text, loader)
    lists = {
        part: {name: _entries(entries) for name, entries in read[part].items()}
        for part in ("frames", "carriers", "rules")
    }
    return Grammar(shares=read["shares"], fillers=_entries(read["fillers"]), **lists)


def generate(size: int = 8000, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return the splits train, validation and test with 75, 10 and 15 % of `size` requests.

    Columns: `text`; `domain` and `intent`, the labels to learn; `slots`, one BIO tag per word;
    `clean_domain` and `clean_intent`, the truth; `mislabeled`, true where the labels are those of
    another domain (3 % of train); `duplicate_of`, the text that a planted near duplicate varies
    (8 % of train), else "". Slots are always those of the text.

    Every intent has its share of every split up to rounding; from 2,000 requests on, every split
    holds every intent. Equal `size` and `seed` give equal tables.

    Raises InputError if `size` is below 500 or above `largest_size()`.
    """
    if not SMALLEST_SIZE <= size <= largest_size():
        possible = f"between {SMALLEST_SIZE} and {largest_size()} requests"
        raise InputError(f"size is {size}, but the built-in grammar gives {possible}")
    rng = np.random.default_rng(seed)
    validation, test = round(0.1 * size), round(0.15 * size)
    return {
        "train": _mislabel(_split(size - validation - test, DUPLICATED, rng), rng),
        "validation": _split(validation, 0.0, rng),
        "test": _split(test, 0.0, rng),
    }


@cache
def largest_size() -> int:
    """Return the number of requests beyond which some intent has more rows than wordings."""
    return min(int(wordings(intent) / share) for intent, share in grammar().traffic.items())


def wordings(intent: str) -> int:
    """Return in how many ways the grammar derives a request of an intent, frames included."""
    return sum(
        derivations(carrier) * (1 + len(_frames(carrier))) for carrier in grammar().carriers[intent]
    )


@cache
def derivations(template: str) -> int:
    """Return in how many ways a template can be expanded."""
    return math.prod(sum(map(derivations, _options(part))) for part in PART.finditer(template))


def _split(rows: int, duplicated: float, rng: np.random.Generator) -> pd.DataFrame:
    records = [
        (text, grammar().domains[intent], intent, slots, source)
        for intent, count in zip(grammar().traffic, _allocate(rows, rng), strict=True)
        for text, slots, source in _requests(intent, int(count), duplicated, rng)
    ]
    table = pd.DataFrame(records, columns=["text", "domain", "intent", "slots", "duplicate_of"])
    table = table.iloc[rng.permutation(rows)].reset_index(drop=True)
    return table.assign(
        clean_domain=table["domain"], clean_intent=table["intent"], mislabeled=False
    )


def _allocate(rows: int, rng: np.random.Generator) -> Int[np.ndarray, " intents"]:
    """Round each intent's expected rows up or down without bias (systematic sampling)."""
    edges = np.floor(np.cumsum(list(grammar().traffic.values())) * rows + rng.random()).astype(int)
    edges[-1] = rows
    return np.diff(edges, prepend=0)


def _requests(
    intent: str, count: int, duplicated: float, rng: np.random.Generator
) -> Iterator[tuple[str, str, str]]:
    """Yield `count` times text, slots and the text it varies or ""."""
    copies = min(int(count * duplicated + rng.random()), max(count - 1, 0))
    originals = [_compose(intent, rng) for _ in range(count - copies)]
    for words in originals:
        yield *_join(words), ""
    for _ in range(copies):
        source = originals[rng.integers(len(originals))]
        yield *_join(_vary(source, rng)), _join(source)[0]


def _mislabel(table: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    originals = np.flatnonzero(table["duplicate_of"] == "")
    chosen = rng.choice(originals, round(MISLABELED * len(table)), replace=False)
    wrong = [_other_intent(domain, rng) for domain in table.loc[chosen, "domain"]]
    table.loc[chosen, "intent"] = wrong
    table.loc[chosen, "domain"] = [grammar().domains[intent] for intent in wrong]
    table.loc[chosen, "mislabeled"] = True
    return table


def _other_intent(domain: str, rng: np.random.Generator) -> str:
    """Draw an intent of another domain by its share of traffic."""
    others = [intent for intent in grammar().traffic if grammar().domains[intent] != domain]
    weights = np.array([grammar().traffic[intent] for intent in others])
    return others[rng.choice(len(others), p=weights / weights.sum())]


def _compose(intent: str, rng: np.random.Generator) -> Words:
    """Draw a request; one that names a slot value twice ("add milk and milk") is drawn again."""
    while True:
        carrier = _pick(grammar().carriers[intent], CARRIER_HEAD, rng)
        frame = _pick(_frames(carrier), CARRIER_HEAD, rng) if rng.random() < FRAMED else "*"
        expanded = _expand(frame.replace("*", carrier.rstrip("?.!")), rng)
        values = _slot_values(expanded)
        if len(set(values)) == len(values):
            return _with_articles(_words_of(expanded))


def _frames(carrier: str) -> tuple[str, ...]:
    frames = grammar().frames
    return frames.get(carrier[-1], frames[""])


def _with_articles(words: Words) -> Words:
    following = [word for word, _ in words[1:]] + [""]
    return [
        ("an" if word == "a" and TAKES_AN.match(after) else word, tag)
        for (word, tag), after in zip(words, following, strict=True)
    ]


def _join(words: Words) -> tuple[str, str]:
    texts, tags = zip(*words, strict=True)
    return " ".join(texts), " ".join(tags)


def _vary(words: Words, rng: np.random.Generator) -> Words:
    """Return a near duplicate: one filler or politeness word more, one article less or a typo."""
    variations = [_with_filler(words, rng), _without_article(words, rng), _with_typo(words, rng)]
    different = [variation for variation in variations if variation != words]
    return different[rng.integers(len(different))]


def _with_filler(words: Words, rng: np.random.Generator) -> Words:
    present = {word for word, _ in words}
    unused = [filler for filler in grammar().fillers if filler not in present]
    return [(unused[rng.integers(len(unused))], "O"), *words]


def _without_article(words: Words, rng: np.random.Generator) -> Words:
    places = [
        at for at, (word, tag) in enumerate(words) if word in {"a", "an", "the"} and tag == "O"
    ]
    dropped = places[rng.integers(len(places))] if places else len(words)
    return words[:dropped] + words[dropped + 1 :]


def _with_typo(words: Words, rng: np.random.Generator) -> Words:
    """Drop, double or swap a letter inside a word of four letters or more, where there is one."""
    places = [at for at, (word, _) in enumerate(words) if len(word) > 3]
    if not places:
        return words
    place = places[rng.integers(len(places))]
    word, tag = words[place]
    at = rng.integers(1, len(word) - 1)
    before, letter, after = word[:at], word[at], word[at + 1 :]
    typos = [before + after, before + 2 * letter + after, before + after[0] + letter + after[1:]]
    return [*words[:place], (typos[rng.integers(3)], tag), *words[place + 1 :]]


# Templates: parts in (a|b), {slot} and <rule>, drawn, counted and tagged.


def _entries(text: str) -> tuple[str, ...]:
    """Split a list of the grammar at its commas, or at its line ends where it has none."""
    entries = text.strip().split("," if "," in text else "\n")
    return tuple(" ".join(entry.split()) for entry in entries)


def _expand(template: str, rng: np.random.Generator) -> str:
    """Replace every part of a template by a random choice; words of a slot become `word/B-tag`."""

    def choose(part: re.Match) -> str:
        options = _options(part)
        if part["rule"] is None:
            return _expand(options[rng.integers(len(options))], rng)
        value = _expand(_pick(options, VALUE_HEAD, rng), rng)
        return _tag(value, part["tag"] or part["rule"]) if part[0][0] == "{" else value

    return PART.sub(choose, template)


def _options(part: re.Match) -> tuple[str, ...]:
    return grammar().rules[part["rule"]] if part["rule"] else tuple(part["options"].split("|"))


def _pick(options: tuple[str, ...], head: int, rng: np.random.Generator) -> str:
    """Draw an option by Zipf's law: rank r, counted from 0, has a weight of 1 / (r + head)."""
    return options[bisect(_cumulative(len(options), head), rng.random())]


@cache
def _cumulative(count: int, head: int) -> list[float]:
    sums = np.cumsum(1 / (np.arange(count) + head))
    return list(sums[:-1] / sums[-1])


def _words_of(expanded: str) -> Words:
    """Return the words of an expanded template with their tags."""
    return [_untag(word) for word in expanded.split()]


def _slot_values(expanded: str) -> list[str]:
    """Return the slot values in an expanded template, each as its words."""
    return [re.sub(r"/\S+", "", value) for value in SLOT.findall(expanded)]


def _tag(value: str, slot: str) -> str:
    words = value.split()
    return " ".join(f"{word}/{'I' if place else 'B'}-{slot}" for place, word in enumerate(words))


def _untag(marked: str) -> tuple[str, str]:
    word, _, tag = marked.partition("/")
    return word, tag or "O"
