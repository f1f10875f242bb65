"""The head of a probe is trained alike every time, and its plan is known beforehand."""

import numpy as np
import pytest
import torch

from influence.models.fitting import probe

CLASSES = 3


def examples(count: int = 90, width: int = 6, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors whose first numbers tell the classes apart, on scales of their own."""
    generator = np.random.default_rng(seed)
    labels = np.resize(np.arange(CLASSES), count)
    vectors = generator.normal(size=(count, width))
    vectors[np.arange(count), labels] += 3
    return (vectors * np.geomspace(0.01, 100, width) + 5).astype(np.float32), labels


def trained(seed: int = 0, rows: np.ndarray | None = None) -> list[np.ndarray]:
    """Return the logits of all examples at the end of every epoch."""
    values, labels = examples()
    vectors = probe.standardised(values)
    rows = np.arange(len(labels)) if rows is None else rows
    ends = probe.train(vectors, labels, rows, CLASSES, 4, seed)
    return [probe.predict(head, vectors) for _, head in ends]


def test_vectors_are_standardised_by_dimension_and_others_alike():
    values, _ = examples()
    values[:, 2] = 7  # says nothing, and divides by nothing
    vectors = probe.standardised(values)
    whole = vectors[:].numpy()
    np.testing.assert_allclose(whole.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(whole.std(0), [1, 1, 0, 1, 1, 1], atol=1e-4)
    other = vectors.standardised_alike(values[:5] + 1)
    np.testing.assert_allclose(
        other[:].numpy() - whole[:5], 1 / vectors.scale[None].repeat(5, 0), rtol=1e-2
    )


def test_equal_seeds_give_equal_heads_and_others_give_others():
    once, again, other = trained(0), trained(0), trained(1)
    np.testing.assert_array_equal(once, again)
    assert len(once) == 4 and np.abs(np.subtract(once, other)).min(axis=(1, 2)).max() > 0


def test_a_head_learns_and_an_example_left_out_changes_nothing_by_its_label():
    _, labels = examples()
    assert (trained()[-1].argmax(1) == labels).mean() > 0.9
    seen = np.arange(1, len(labels))
    vectors, wrong = probe.standardised(examples()[0]), labels.copy()
    wrong[0] = 2
    one, other = (
        [
            probe.predict(head, vectors)
            for _, head in probe.train(vectors, some, seen, CLASSES, 2, 0)
        ]
        for some in (labels, wrong)
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("count", "size", "steps"), [(5, 1, 5), (90, 3, 30), (5000, 128, 40)])
def test_the_plan_is_what_training_does(count, size, steps):
    assert probe.batch_size(count) == size
    ends = probe.plan(count, 3)
    assert [end.step for end in ends] == [steps, 2 * steps, 3 * steps]
    assert [end.number for end in ends] == [1, 2, 3]
    rates = [end.learning_rate for end in ends]
    assert probe.RATE > rates[0] > rates[1] > rates[2] > 0
    if count < 100:
        values, labels = examples(count)
        vectors, rows = probe.standardised(values), np.arange(count)
        given = [end for end, _ in probe.train(vectors, labels, rows, CLASSES, 3, 0)]
        assert [(e.number, e.step, e.learning_rate) for e in given] == [
            (e.number, e.step, e.learning_rate) for e in ends
        ]
        assert all(np.isfinite(end.loss) for end in given)


def test_weights_that_were_written_are_the_head():
    torch.manual_seed(3)
    head, vectors = probe.Head(6, CLASSES, 8), probe.standardised(examples()[0])
    again = probe.opened(probe.weights_of(head))
    np.testing.assert_array_equal(probe.predict(again, vectors), probe.predict(head, vectors))
    rows = np.array([7, 2])
    np.testing.assert_allclose(
        probe.predict(head, vectors, rows), probe.predict(head, vectors)[rows], rtol=1e-5
    )
