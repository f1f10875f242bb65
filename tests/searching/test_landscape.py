"""What is known of a landscape is what conditioning on every retraining gives, done by hand."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from influence.searching.planning import landscape as module
from influence.searching.planning.landscape import FULL, Cell, Landscape, Measured

ARMS, PERCENTS, EXAMPLES = ("random", "aum:ccs"), (30, 60), 400
ALPHA, LOST, DEVIATION, NOISE = 0.8, 0.02, 0.02, 0.006
SEEN = [
    Measured(FULL, 0, 0.91),
    Measured(Cell("aum:ccs", 60), 0, 0.88),
    Measured(Cell("aum:ccs", 60), 1, 0.885),
    Measured(Cell("random", 30), 0, 0.895),
]


@pytest.fixture
def one_assumption(monkeypatch):
    monkeypatch.setattr(module, "EXPONENTS", (ALPHA,))
    monkeypatch.setattr(module, "DEVIATIONS", (DEVIATION,))
    monkeypatch.setattr(module, "LOSSES", (LOST,))
    monkeypatch.setattr(module, "NOISES", (NOISE,))


def grown(percent):
    """What random loses at a percent, in units of what it loses at half."""
    return ((1 - percent / 100) ** -ALPHA - 1) / (2**ALPHA - 1)


def prior(one, other):
    """The covariance of the gains of two cells."""
    common = LOST**2 * grown(one.percent) * grown(other.percent)
    if one.arm != other.arm or FULL in (one, other):
        return common
    apart = np.log(1 - one.percent / 100) - np.log(1 - other.percent / 100)
    near = np.exp(-0.5 * (apart / module.SMOOTH) ** 2)
    return common + size(one) * size(other) * near


def size(cell):
    """The standard deviation of an arm's deviation from the power law."""
    lost = grown(cell.percent)
    if cell.arm == "random":
        return module.OF_RANDOM * LOST * lost
    return DEVIATION * max(lost, lost**0.5)


def noise(one, other):
    """The covariance of two retrainings beyond that of level and gains."""
    errors = 1 - np.mean([each.value for each in SEEN])
    own = [NOISE * (1 + module.NOISIER * grown(e.cell.percent)) for e in (one, other)]
    fixed, by_x = module.DIFFERENT
    sampled = [
        0.0
        if e.cell == FULL
        else errors / EXAMPLES * (fixed - by_x * np.log(1 - e.cell.percent / 100))
        for e in (one, other)
    ]
    total = np.sqrt(sampled[0] * sampled[1]) * (1 if one.cell == other.cell else 0.5)
    if one.number == other.number:
        total += module.PAIRED * own[0] * own[1]
    return total + (one is other) * (1 - module.PAIRED) * own[0] ** 2


def by_hand(cells):
    """Mean and covariance of the level and of the gains of `cells`, given what was seen."""
    everything = [*cells, *(one.cell for one in SEEN)]
    gains = np.array([[prior(a, b) for b in everything] for a in everything])
    level, count = module.LEVEL[1] ** 2, len(cells)
    read = level + gains[count:, count:]
    read = read + np.array([[noise(a, b) for b in SEEN] for a in SEEN])
    mean = np.array([-LOST * grown(cell.percent) for cell in everything])
    surprise = [one.value - module.LEVEL[0] for one in SEEN] - mean[count:]
    with_level = np.concatenate([np.full((1, len(SEEN)), level), gains[:count, count:]])
    before = np.zeros((count + 1, count + 1))
    before[0, 0], before[1:, 1:] = level, gains[:count, :count]
    after = np.array([module.LEVEL[0], *mean[:count]]) + with_level @ np.linalg.solve(
        read, surprise
    )
    return after, before - with_level @ np.linalg.solve(read, with_level.T)


def test_mean_and_covariance_are_those_of_conditioning_by_hand(one_assumption):
    there = Landscape(ARMS, PERCENTS, EXAMPLES)
    known = there.beliefs(SEEN)
    mean, covariance = by_hand(there.cells)
    assert known.weights == [1.0]
    assert known.level[:, 0] == pytest.approx([mean[0], covariance[0, 0]])
    np.testing.assert_allclose(known.gains[0], mean[1:], atol=1e-7)
    np.testing.assert_allclose(known.covariance[0], covariance[1:, 1:], atol=1e-9)
    np.testing.assert_allclose(known.together.variance, np.diag(covariance)[1:], atol=1e-9)
    assert (np.diag(covariance)[2:] > 1e-6).all()


def test_one_more_retraining_tells_what_conditioning_on_it_changes(one_assumption):
    there = Landscape(ARMS, PERCENTS, EXAMPLES)
    known, cell = there.beliefs(SEEN), Cell("random", 60)
    at = there.index[cell]
    read = known.readings.variance[at]
    moved = known.telling[:, at] / np.sqrt(read)
    # A number that none has, and a value that leaves the mean of all, which sets noise, as it is.
    expected = np.mean([one.value for one in SEEN])
    after = there.beliefs([*SEEN, Measured(cell, 9, expected)])
    left = known.together.variance - moved**2
    np.testing.assert_allclose(after.together.variance, left, atol=1e-9)
    surprise = (expected - known.expected[0, at]) / np.sqrt(read)
    np.testing.assert_allclose(after.gains[0], known.gains[0] + moved * surprise, atol=1e-7)
    assert (moved[1:] ** 2 > 0.01 * known.together.variance[1:]).any()


def test_an_assumption_counts_by_the_density_of_what_was_seen():
    there = Landscape(ARMS, PERCENTS, EXAMPLES)
    known = module._Known(there, SEEN)
    rows, right = 1 + known.cells, []
    for before, of_measuring in zip(known.before, known.of_measuring, strict=True):
        mean = before.mean[0] + before.mean[rows]
        covariance = before.covariance[0, 0] + before.covariance[np.ix_(rows, rows)]
        right.append(multivariate_normal(mean, covariance + of_measuring).logpdf(known.values))
    np.testing.assert_allclose(np.diff(known.likelihoods), np.diff(right), atol=1e-4)
    assert len(right) == len(set(np.round(right, 9))) == 5 * 4 * 4 * 4


def test_before_anything_is_seen_only_the_prior_is_known():
    there = Landscape(ARMS, PERCENTS, EXAMPLES)
    known = there.beliefs([])
    assert known.together.mean[0] == known.together.variance[0] == 0
    assert (known.level == np.array([[0.7], [0.25]])).all()
    beyond = there.index[Cell("random", 60)]
    assert -0.08 < known.together.mean[beyond] < -0.02
    assert known.together.variance[beyond] > 0.02**2


def test_what_is_measured_of_an_arm_is_known_at_its_other_percents_too():
    there = Landscape(("random", "aum:ccs"), (30, 50, 70), 5000)
    seen = [Measured(FULL, n, 0.9) for n in range(4)]
    at = there.index[Cell("aum:ccs", 50)]
    little = there.beliefs(seen).together
    seen += [Measured(Cell("aum:ccs", p), n, 0.9 - p / 5000) for p in (30, 70) for n in range(3)]
    more = there.beliefs(seen).together
    assert more.variance[at] < little.variance[at] / 9
    assert more.mean[at] == pytest.approx(-0.01, abs=0.004)
