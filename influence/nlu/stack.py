"""The voice-assistant stack: a classifier of domains, and for each domain a joint model.

The predicted domain picks the joint model, which says intent and slots; a wrong domain therefore
fails both. Anand et al. 2023, section 3, https://arxiv.org/abs/2311.16298
"""

import copy
import json
import time
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import nn
from tqdm import tqdm

from influence.config.parameters import FitConfig, restored
from influence.data.tags import slots
from influence.errors import InputError
from influence.models import classifier as models
from influence.models import tokenizers
from influence.models.fit import steps_per_epoch
from influence.models.fitting.course import Course, Examples, of_classifier, parameters, part
from influence.models.fitting.trainers import trained
from influence.nlu import joint
from influence.nlu.joint import Joint
from influence.nlu.metrics import Parses
from influence.nlu.words import Words, read_words
from influence.runtime import store


@dataclass(frozen=True, eq=False)
class Setup:
    """What the classifier and the joint models of a stack are all trained with."""

    config: FitConfig
    tokenizer: Any
    domains: tuple[str, ...]
    device: str = "cpu"
    data: Hashable = ""  # names the tokens, see fitting.course.Course


@dataclass(frozen=True, eq=False)
class Stack:
    """A trained stack; `joints` has one model per domain."""

    config: FitConfig
    tokenizer: object
    domains: tuple[str, ...]
    classifier: nn.Module
    joints: dict[str, Joint]

    def parse(self, texts: Sequence[str]) -> Parses:
        """Return domain, intent, slots and confidence of each text."""
        words = read_words(self.tokenizer, texts, self.config.max_length)
        precision = self.config.precision
        logits = models.predict(self.classifier, words.tokens, precision=precision)
        return route(logits, self.domains, self.joints.items(), words, precision)


def gold(frame: pd.DataFrame, domains: Sequence[str]) -> Parses:
    """Return what the annotation of a split says."""
    read = (slots.read(*pair) for pair in zip(frame["text"], frame["slots"], strict=True))
    return Parses(
        np.array(domains)[frame["label"].to_numpy()],
        frame["intent"].to_numpy(dtype=str),
        tuple(slots.slots_of(words, tags) for words, tags in read),
        np.ones(len(frame)),
    )


def train_joints(
    setup: Setup,
    train: tuple[pd.DataFrame, Words],
    rows: np.ndarray,
    seed: int,
    lengthened: float = 1.0,
    kept: Path | None = None,
) -> Iterator[tuple[str, Joint]]:
    """Train and yield the joint model of each domain, on the examples of that domain among `rows`.

    `train` is the whole train set and its words; `lengthened`: how many times the usual steps, 1
    for `epochs` of the config. `kept`: a directory where every model is left as soon as it is
    finished, and found again. A model may be another one's once the next is asked for. Raises
    InputError for a domain without examples.
    """
    frame, words = train
    labels = frame["label"].to_numpy()
    counts = np.bincount(labels[rows], minlength=len(setup.domains))
    if not counts.all():
        raise InputError(
            f"no example of domain {setup.domains[int(counts.argmin())]!r} is left to train on; "
            "keep some of every domain with min_per_class"
        )
    for number, domain in enumerate(setup.domains):
        at = kept / str(number) if kept else None
        if at and at.is_dir():
            yield domain, joint.open_saved(at)
            continue
        own = rows[labels[rows] == number]
        steps = setup.config.epochs * steps_per_epoch(len(own), setup.config.batch_size)
        course, names = _joint_course(setup, frame, words, own)
        with trained(course, part(course, own, seed, steps=round(steps * lengthened))) as given:
            model = given.model
            for _ in given.stops:
                pass
            model.intents, model.tags = names
            if at:
                with store.replacing(at) as temporary:
                    joint.save(model, temporary)
            yield domain, model


def _joint_course(
    setup: Setup, frame: pd.DataFrame, words: Words, rows: np.ndarray
) -> tuple[Course, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Return the training on `rows` of one domain, and the names of its intents and tags."""
    some = frame.iloc[rows]
    tags = [slots.read(*pair)[1] for pair in zip(some["text"], some["slots"], strict=True)]
    intents = some["intent"].to_numpy(dtype=str)
    known = slots.tag_names({tag[2:] for row in tags for tag in row if tag != slots.OUTSIDE})
    names = (tuple(sorted(set(intents))), tuple(known))
    build = partial(joint.build, setup.config, setup.tokenizer, *names)
    examples = joint.targets(words, rows, names, intents.tolist(), tags)
    sizes = tuple(map(len, names))
    name = ("joint", setup.data, sizes, *parameters(setup.config))
    course = Course(name, setup.data, build, examples, joint.loss, setup.config, setup.device)
    return course, names


def route(
    logits: np.ndarray,
    domains: Sequence[str],
    joints: Iterable[tuple[str, Joint]],
    words: Words,
    precision: str = "fp32",
) -> Parses:
    """Let the domain classifier's `logits` pick the model that parses each utterance.

    `joints` may be made one by one: each is used once, and dropped.
    """
    odds = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    picked = np.array(domains)[logits.argmax(1)]
    intents = np.full(len(picked), "", dtype=object)
    found: list[tuple[tuple[str, str], ...]] = [()] * len(picked)
    for domain, model in joints:
        rows = np.flatnonzero(picked == domain)
        if not len(rows):
            continue
        intents[rows], tags = joint.predict(model, words.take(rows), precision=precision)
        for row, tag in zip(rows, tags, strict=True):
            found[row] = slots.slots_of(words.words[row], tag)
    return Parses(picked, intents.astype(str), tuple(found), odds.max(1) / odds.sum(1))


def complete(
    setup: Setup, classifier: nn.Module, frame: pd.DataFrame, seed: int, kept: Path | None = None
) -> Stack:
    """Train the joint models that a classifier of domains lacks to be a stack, and keep them.

    `kept`: as `train_joints` takes it.
    """
    words = read_words(setup.tokenizer, frame["text"].tolist(), setup.config.max_length)
    joints = train_joints(setup, (frame, words), np.arange(len(frame)), seed, kept=kept)
    count = len(setup.domains)
    bar = tqdm(joints, desc="train intents and slots", total=count, unit="domain", delay=1)
    trained_joints = {domain: copy.deepcopy(model) for domain, model in bar}
    return Stack(setup.config, setup.tokenizer, setup.domains, classifier, trained_joints)


def retrain(
    setup: Setup,
    train: tuple[pd.DataFrame, Words],
    rows: np.ndarray,
    measured: Words,
    seed: int,
    steps: int,
) -> tuple[float, np.ndarray, Parses]:
    """Train a stack from the starting weights; return seconds and what it makes of `measured`.

    That is the classifier's logits (utterances, domains) and the parses. `train` is the whole train
    set and its words, of which `rows` are trained on. `steps` are the classifier's; a joint model
    gets as many times its usual steps as that is of the usual ones. Joint models are made and used
    one by one, so that memory holds two models at most.
    """
    frame, words = train
    usual = setup.config.epochs * steps_per_epoch(len(rows), setup.config.batch_size)
    start = time.perf_counter()
    examples = Examples(words.tokens, frame["label"].to_numpy())
    given = (setup.config, setup.tokenizer, setup.domains, examples, setup.data, setup.device)
    course = of_classifier(*given)
    with trained(course, part(course, rows, seed, steps=steps)) as training:
        for _ in training.stops:
            pass
        logits = training.predict(measured.tokens)
    joints = train_joints(setup, train, rows, seed, steps / usual)
    parses = route(logits, setup.domains, joints, measured, setup.config.precision)
    return time.perf_counter() - start, logits, parses


def save(stack: Stack, directory: Path) -> None:
    """Write a stack as one directory: `domain/`, `joint/<n>/`, `tokenizer/`, `stack.json` last."""
    models.save(stack.classifier, directory / "domain")
    for number, domain in enumerate(stack.domains):
        joint.save(stack.joints[domain], directory / f"joint/{number}")
    stack.tokenizer.save_pretrained(directory / "tokenizer")
    facts = {"domains": stack.domains, "fit": asdict(stack.config)}
    store.write_json(directory / "stack.json", facts)


def open_saved(directory: Path) -> Stack:
    """Return the stack that `save` wrote.

    Raises InputError if it is incomplete or another version of this package wrote it.
    """
    path = directory / "stack.json"
    if not path.is_file():
        raise InputError(f"{directory} holds no complete stack: stack.json is missing")
    facts = json.loads(path.read_text(encoding="utf-8"))
    config = restored(FitConfig, facts.get("fit"), f"{path} was written")
    domains = tuple(facts["domains"])
    joints = {d: joint.open_saved(directory / f"joint/{n}") for n, d in enumerate(domains)}
    classifier = models.open_checkpoint(directory / "domain")
    tokenizer = tokenizers.open_tokenizer(directory / "tokenizer")
    return Stack(config, tokenizer, domains, classifier, joints)
