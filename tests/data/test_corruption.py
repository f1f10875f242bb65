"""Label noise is uniform, of the asked size and recorded; a long tail has the asked ratio."""

import numpy as np
import pandas as pd
import pytest

from influence.data import storage
from influence.data.corruption import add_label_noise, make_long_tail
from influence.errors import InputError
from tests.helpers import tiny
from tests.helpers.tables import load


def rows(*sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    ids = [f"{number:016x}" for number in range(len(labels))]
    return pd.DataFrame({"id": ids, "text": "a word", "label": labels})


def test_noise_redraws_a_share_over_all_classes():
    before = rows(4000, 4000, 4000)
    after = add_label_noise(before, 3, 0.3, seed=0)
    changed = after["label"] != before["label"]
    assert changed.mean() == pytest.approx(0.3 * 2 / 3, abs=0.01)
    assert after["mislabeled"].equals(changed) and after["clean_label"].equals(before["label"])
    wrong = after["label"][changed & (before["label"] == 0)].value_counts(normalize=True)
    assert wrong[1] == pytest.approx(0.5, abs=0.05)


def test_all_labels_redrawn_are_chance():
    after = add_label_noise(rows(3000, 1000), 2, 1.0, seed=0)
    assert after["label"].mean() == pytest.approx(0.5, abs=0.03)


def test_noise_depends_on_ids_and_seed_and_on_nothing_else():
    before = rows(300, 300)
    first, other = (add_label_noise(before, 2, 0.5, seed) for seed in (0, 1))
    shuffled = add_label_noise(before.sample(frac=1, random_state=0), 2, 0.5, 0)
    assert shuffled.sort_values("id", ignore_index=True).equals(first)
    assert not other["label"].equals(first["label"])


def test_what_was_wrong_before_stays_known():
    before = rows(50, 50).assign(mislabeled=[True] * 5 + [False] * 95)
    after = add_label_noise(before, 2, 0.2, seed=0)
    assert after["mislabeled"][:5].all() and after["mislabeled"].sum() > 5


def test_a_long_tail_falls_exponentially_and_keeps_the_largest():
    after = make_long_tail(rows(1000, 1000, 1000, 400, 2), 100.0, seed=0)
    # 1000, 1000 / 100^(1/4) = 316, 100, 31.6 and 10, of which the smallest has two.
    assert after["label"].value_counts().tolist() == [1000, 316, 100, 32, 2]


def test_a_long_tail_empties_no_class_and_leaves_one_alone():
    assert make_long_tail(rows(10, 10), 1e6, seed=0)["label"].tolist() == [0] * 10 + [1]
    assert len(make_long_tail(rows(10), 5.0, seed=0)) == 10


def test_loading_perturbs_train_alone_and_says_so(tmp_path):
    path = str(tiny.write(tmp_path / "data", tiny.frames()))
    plain = load(path)
    noisy = load(path, label_noise=0.5)
    thin = load(path, imbalance=4.0)
    for changed in (noisy, thin):
        assert changed.digest != plain.digest
        assert changed.validation.equals(plain.validation) and changed.test.equals(plain.test)
    assert noisy.train["id"].equals(plain.train["id"])
    wrong = 100 * noisy.train["mislabeled"].mean()
    assert f"{wrong:.2f} % of all are known to be wrong now" in noisy.notes[-1]
    assert f"left {len(thin.train)} of {len(plain.train)} train rows" in thin.notes[-1]
    storage.save(noisy, tmp_path / "saved")
    assert storage.open_saved(tmp_path / "saved").dataset().train.equals(noisy.train)


def test_a_domain_cannot_be_redrawn():
    with pytest.raises(InputError, match="label_noise is for task=classify"):
        load("assistant:600", task="nlu", label_noise=0.1)
