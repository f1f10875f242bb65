"""As many texts repeat others, or nearly, as a comparison of all pairs finds."""

from itertools import product

import numpy as np
import pytest

from influence.data import storage
from influence.report import repeats
from tests.helpers import tiny
from tests.helpers.tables import load


def test_a_text_repeats_another_whatever_its_case_and_spaces(tmp_path):
    splits = tiny.frames()
    rows = splits["train"]
    rows.loc[[0, 1, 2, 3], "text"] = ["play it", " Play  it ", "play it now", "PLAY IT"]
    dataset = load(str(tiny.write(tmp_path / "talk", splits)))
    plain = [" ".join(text.casefold().split()) for text in dataset.train["text"]]
    storage.save(dataset, tmp_path / "saved")
    saved = storage.open_saved(tmp_path / "saved")
    assert repeats.repeated(saved) == pytest.approx(1 - len(set(plain)) / len(plain))
    assert 0 < repeats.repeated(saved) < repeats.varied(saved)


def test_as_many_vary_another_as_a_comparison_of_all_pairs_finds():
    draw = np.random.default_rng(0)
    texts = [" ".join(draw.choice(list("abc"), draw.integers(1, 7))) for _ in range(200)]

    def parts(text):
        words = text.split()
        without = [tuple(words[:gap] + words[gap + 1 :]) for gap in range(len(words))]
        return {tuple(words), *(without if len(words) >= repeats.FEWEST else ())}

    right = [any(parts(texts[row]) & parts(texts[i]) for i in range(row)) for row in range(200)]
    assert repeats.vary_another(texts).tolist() == right
    assert 20 < sum(right) < 200


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("set an alarm for six", "Set an alarm, for seven!", True),
        ("set an alarm for six", "please set an alarm for six", True),
        ("set an alarm for six", "set a timer for six", False),
        ("play jazz", "play rock", False),
        ("play some smooth jazz", "play some jazz", True),
    ],
)
def test_one_word_of_each_may_differ(one, other, alike):
    for texts in product([one.casefold(), other.casefold()], repeat=2):
        assert repeats.vary_another(texts)[1] == (alike or texts[0] == texts[1])


def test_beyond_so_many_texts_nothing_is_said(tmp_path, monkeypatch):
    dataset = load(str(tiny.write(tmp_path / "talk", tiny.frames())))
    storage.save(dataset, tmp_path / "saved")
    monkeypatch.setattr(repeats, "MOST", 5)
    assert repeats.varied(storage.open_saved(tmp_path / "saved")) is None
