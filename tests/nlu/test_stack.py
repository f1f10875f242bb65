"""The stack: domains pick joint models, words keep their tags, wrong input is told."""

import json
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from influence.config.parameters import FitConfig
from influence.data.tags import slots
from influence.errors import InputError
from influence.models import tokenizers
from influence.models.fitting.course import Examples, of_classifier, part
from influence.models.fitting.trainers import trained
from influence.nlu import joint
from influence.nlu import stack as nlu
from influence.nlu.metrics import Parses, outcomes, rates
from influence.nlu.words import Words, read_words

DOMAINS = ("music", "timer")
CONFIG = FitConfig(
    model="tiny", layers=1, vocabulary=200, max_length=16, epochs=12, batch_size=8, precision="fp32"
)


def frame(size=48) -> pd.DataFrame:
    """Two domains with an intent that words tell apart; music has slots, timer has none."""
    artists, rows = ("abba", "queen", "blur"), []
    for number in range(size):
        artist = artists[number % 3]
        if number % 2:
            rest = ("", " now", " please")[number % 3]
            tags = " ".join("O" * (3 + bool(rest)))
            rows.append((f"stop the timer{rest}", 1, "stop", tags))
        elif number % 4:
            rows.append((f"play {artist} now", 0, "play", "O B-artist O"))
        else:
            rows.append((f"who is {artist} ?", 0, "ask", "O O B-artist O"))
    return pd.DataFrame(rows, columns=["text", "label", "intent", "slots"])


@cache
def tokenizer():
    return tokenizers.load_tokenizer(CONFIG, frame()["text"].tolist())


def setup() -> nlu.Setup:
    return nlu.Setup(CONFIG, tokenizer(), DOMAINS)


@cache
def stack() -> nlu.Stack:
    data, steps = frame(), CONFIG.epochs * 6
    tokens, labels = words_of(data["text"].tolist()).tokens, data["label"].to_numpy()
    given = (CONFIG, tokenizer(), DOMAINS, Examples(tokens, labels), "", "cpu")
    course = of_classifier(*given)
    with trained(course, part(course, None, 0, steps=steps)) as (classifier, stops, _):
        list(stops)
    return nlu.complete(setup(), classifier, data, seed=0)


def words_of(texts) -> Words:
    return read_words(tokenizer(), texts, CONFIG.max_length)


def test_a_stack_learns_what_words_tell():
    found = stack().parse(frame()["text"].tolist())
    assert rates(outcomes(nlu.gold(frame(), DOMAINS), found, 0.5))["irer"] == 0
    assert found.confidences.min() > 0.5


def test_a_stack_parses_what_it_has_not_seen():
    found = stack().parse(["play abba please", "stop timer"])
    assert found.domains.tolist() == ["music", "timer"]
    assert found.intents.tolist() == ["play", "stop"]
    assert found.slots == ((("artist", "abba"),), ())


def test_a_saved_stack_parses_alike(tmp_path):
    nlu.save(stack(), tmp_path / "stack")
    opened = nlu.open_saved(tmp_path / "stack")
    texts = frame()["text"].tolist()
    first, again = stack().parse(texts), opened.parse(texts)
    assert first.slots == again.slots and first.intents.tolist() == again.intents.tolist()
    np.testing.assert_allclose(first.confidences, again.confidences, rtol=1e-5)


def test_a_stack_of_another_version_is_said_to_be_one(tmp_path):
    nlu.save(stack(), tmp_path / "stack")
    path = tmp_path / "stack/stack.json"
    facts = json.loads(path.read_text())
    for other in ({"fit": facts["fit"] | {"colour": "red"}}, {"fit": None}):
        path.write_text(json.dumps(facts | other))
        said = f"{path} was written by another version of this package .*; run that step again"
        with pytest.raises(InputError, match=said):
            nlu.open_saved(tmp_path / "stack")


def test_a_stack_without_its_last_file_is_incomplete(tmp_path):
    nlu.save(stack(), tmp_path / "stack")
    (tmp_path / "stack/stack.json").unlink()
    with pytest.raises(InputError, match="holds no complete stack"):
        nlu.open_saved(tmp_path / "stack")


def test_the_domain_picks_the_model():
    words = words_of(["play abba now"])
    found = nlu.route(np.array([[0.0, 9.0]]), DOMAINS, stack().joints.items(), words)
    assert (found.domains.tolist(), found.intents.tolist()) == (["timer"], ["stop"])
    assert found.confidences[0] == pytest.approx(1 / (1 + np.exp(-9)))
    row = outcomes(nlu.gold(frame()[2:3], DOMAINS), found, 0.5).iloc[0]
    assert row["domain_error"] and row["intent_error"] and row["missed_slots"] == 1


def test_a_retrained_stack_is_the_trained_one():
    data = frame()
    texts = data["text"].tolist()
    words = words_of(texts)
    steps = CONFIG.epochs * 6
    seconds, logits, found = nlu.retrain(
        setup(), (data, words), np.arange(len(data)), words, 0, steps
    )
    whole = stack().parse(texts)
    assert seconds > 0 and found.slots == whole.slots
    assert logits.argmax(1).tolist() == data["label"].tolist()
    np.testing.assert_allclose(found.confidences, whole.confidences, rtol=1e-5)


def test_a_domain_of_one_intent_and_no_slots_works():
    timer = stack().joints["timer"]
    assert timer.intents == ("stop",) and timer.tags == ("O",)
    assert stack().parse(["stop"]).slots == ((),)


def test_a_domain_without_examples_is_told_with_the_way_out():
    data = frame()
    left = data[data["label"] == 0].reset_index(drop=True)
    words = words_of(left["text"].tolist())
    with pytest.raises(InputError, match="no example of domain 'timer' is left .* min_per_class"):
        list(nlu.train_joints(setup(), (left, words), np.arange(len(left)), 0))


def test_an_intent_under_two_domains_is_told():
    data = frame()
    data.loc[1, "intent"] = "play"
    with pytest.raises(InputError, match="'play' is under the domains 'timer' and 'music'"):
        slots.check(data, DOMAINS, "train")


def test_tags_that_do_not_match_the_words_are_told():
    data = frame()
    data.loc[0, "slots"] = "O O"
    with pytest.raises(InputError):
        slots.check(data, DOMAINS, "train")
    slots.check(frame(), DOMAINS, "train")


@pytest.mark.parametrize("text", ["play abba now", "who's  abba?!", "née  Ünï-code\tx", "'' ?"])
def test_every_word_has_its_tokens(text):
    words = words_of([text])
    assert words.words == (tuple(text.split()),)
    ids = words.word_ids[0]
    assert ids[0] is None and ids[-1] is None and len(ids) == words.tokens.lengths[0]
    seen = [word for word in ids if word is not None]
    assert seen == sorted(seen) and set(seen) <= set(range(len(text.split())))


def test_tags_survive_the_way_through_tokens():
    texts = ["play queen unbelievably now", "stop"]
    tags = [("O", "B-artist", "I-artist", "O"), ("O",)]
    words, names = words_of(texts), ("O", "B-artist", "I-artist")
    numbers = [[names.index(tag) for tag in row] for row in tags]
    aligned = slots.align(words.word_ids, numbers, joint.IGNORED)
    for row, ids, wanted in zip(aligned, words.word_ids, numbers, strict=True):
        assert slots.from_tokens(ids, row, len(wanted), 0) == wanted


def test_words_that_are_cut_off_are_outside():
    words = words_of([" ".join(["abba"] * 40)])
    model = joint.build(CONFIG, tokenizer(), ("a",), ("O", "B-artist"), 0)
    with torch.no_grad():
        model.tag_head.bias[1] = 99.0
    _, tags = joint.predict(model, words)
    assert tags[0][0] == "B-artist" and tags[0][-1] == "O" and len(tags[0]) == 40


def test_parses_do_not_depend_on_batch_mates():
    texts = frame()["text"].tolist()
    model = stack().joints["music"]
    words = words_of(texts)
    alone = joint.predict(model, words, batch_tokens=1)
    together = joint.predict(model, words)
    assert alone[1] == together[1] and alone[0].tolist() == together[0].tolist()


def test_both_heads_learn_at_the_heads_rate():
    from influence.models.fit import adamw

    model = stack().joints["music"]
    config = FitConfig(model="tiny", learning_rate=1e-3, head_learning_rate=1e-2)
    encoder, heads = adamw(model, config).param_groups
    assert (encoder["lr"], heads["lr"]) == (1e-3, 1e-2)
    assert len(heads["params"]) == 4 and len(encoder["params"]) > 4


def test_a_perfect_parse_has_no_error():
    gold = nlu.gold(frame(), DOMAINS)
    assert isinstance(gold, Parses) and set(rates(outcomes(gold, gold, 0.5)).values()) == {0}
