"""Student's t for many comparisons of few seeds, whose variances are alike though not equal.

Three seeds hardly show how far a difference varies, but a dozen comparisons of three seeds do. As
in Smyth 2004 (https://doi.org/10.2202/1544-6115.1027) the variances s² of all comparisons, with d
degrees of freedom each, are draws around true ones, which are themselves spread around a common
value s0² as if that came with d0 degrees of freedom. A comparison then has the variance
(d0 s0² + d s²) / (d0 + d) with d0 + d degrees of freedom. What is common depends on two things that
are known of each comparison, as on the mean in limma's trend: accuracy varies more where less is
kept, and more where an arm has collapsed, so s0² = c kept^-g (1 + difference² / 100 typical s²)^h.

How alike the variances are is known only roughly from a dozen of them, and any one estimate of it
makes intervals too narrow where they differ. So instead of one (d0, c, g, h) all count, each with
its likelihood and a prior: a mixture of t distributions, which for a single comparison is
Student's own.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import gammaln, stdtr, stdtrit

from influence.shapes import Bool, Float

Comparisons = Float[np.ndarray, " comparisons"]

# The parameters that count, by name as above: d0 from variances that have little in common to such
# that are nearly equal. The exponents end where those of measured accuracies do.
ALIKE = np.geomspace(0.5, 60, 12)
# Taken to be alike, variances that are not make false claims, and the other way round little is
# lost: so the less alike counts more, in proportion to 1 / sqrt(d0).
PRIOR = -0.5 * np.log(ALIKE)[:, None]
BY_KEPT = np.linspace(0, 2, 5)
BY_LOSS = np.linspace(0, 1, 5)
PLACES = 41  # of c
COLLAPSED = 10  # standard deviations, a difference from which on the variance may grow with it
NEGLIGIBLE = 1e-3  # weight beside the largest; the rest changes no interval by a thousandth
SMALLEST = 1e-4  # of the median: a variance of 0 is one that rounding has hidden


@dataclass(frozen=True, eq=False)
class Shared:
    """What is known of the variance of each comparison: a mixture over pairs (d0, s0²).

    weights: (pairs,), sum 1; variances: of one seed's difference, and degrees: of freedom, both
    (comparisons, pairs).
    """

    weights: Float[np.ndarray, " pairs"]
    variances: Float[np.ndarray, "comparisons pairs"]
    degrees: Float[np.ndarray, "comparisons pairs"]

    def p_values(
        self, differences: Comparisons, seeds: Comparisons, other: Comparisons | float = 0.0
    ) -> Comparisons:
        """Return two-sided p-values of mean differences over `seeds`.

        `other`: variance of each mean that more seeds do not reduce, known well enough to have no
        degrees of freedom; the sum has those of Welch and Satterthwaite.
        """
        return self._outside(differences, *self._of_means(seeds, other))

    def half_widths(
        self, seeds: Comparisons, other: Comparisons | float = 0.0, level: float = 0.95
    ) -> Comparisons:
        """Return the half-widths of intervals of mean differences over `seeds` at `level`."""
        variances, degrees = self._of_means(seeds, other)

        def excess(half: np.ndarray, rows: np.ndarray) -> np.ndarray:
            return self._outside(half, variances[rows], degrees[rows]) - (1 - level)

        # The mixture's interval is no wider than the widest of its parts; nor, for the sign there,
        # as wide.
        high = (1 + 1e-9) * (stdtrit(degrees, (1 + level) / 2) * np.sqrt(variances)).max(1)
        ends, rows = (np.zeros_like(high), high), np.arange(len(high))
        return find_root(excess, ends, args=(rows,), tolerances={"xrtol": 1e-8}).x

    def only(self, comparison: int) -> "Shared":
        """Return what is known of one of the comparisons."""
        one = slice(comparison, comparison + 1)
        return replace(self, variances=self.variances[one], degrees=self.degrees[one])

    def with_seeds(self, more: Comparisons) -> "Shared":
        """Return what would be known with `more` seeds, if they varied as much as these."""
        return replace(self, degrees=self.degrees + np.asarray(more)[:, None])

    def _outside(
        self, distances: np.ndarray, variances: np.ndarray, degrees: np.ndarray
    ) -> np.ndarray:
        """Return how probable a mean is to lie further than each distance from the truth."""
        tails = 2 * stdtr(degrees, -np.abs(distances)[:, None] / np.sqrt(variances))
        return tails @ self.weights

    def _of_means(
        self, seeds: Comparisons, other: Comparisons | float
    ) -> tuple[np.ndarray, np.ndarray]:
        over_seeds = self.variances / np.asarray(seeds, dtype=np.float64)[:, None]
        total = over_seeds + np.broadcast_to(other, len(over_seeds))[:, None]
        return total, self.degrees * (total / over_seeds) ** 2


def share(
    variances: Comparisons, degrees: Comparisons, differences: Comparisons, kept: Comparisons
) -> Shared | None:
    """Return what the variances over seeds say together; None if they are all 0.

    `degrees`: of freedom of each, at least 1; `differences`: the means; `kept`: shares of the train
    set, or how many examples, above 0.
    """
    if not variances.any():
        return None
    typical = np.median(variances[variances > 0])
    seen = np.maximum(variances, SMALLEST * typical)
    by_kept = BY_KEPT if np.ptp(kept) else BY_KEPT[:1]
    by_loss = BY_LOSS if len(seen) > 1 else BY_LOSS[:1]
    parts = []
    for some in by_kept:
        for other in by_loss:
            trend = kept**-some * (1 + differences**2 / (COLLAPSED**2 * typical)) ** other
            parts.append((trend, *_likelihoods(seen / trend, degrees, trend)))
    best = max(likelihood.max() for _, _, likelihood in parts)
    return _mixture(seen, degrees, parts, best)


def _likelihoods(
    ratios: Comparisons, degrees: Comparisons, trend: Comparisons
) -> tuple[np.ndarray, np.ndarray]:
    """Return values of c, and the log weight of every (d0, c), for variances over their trend."""
    logs = np.log(ratios)
    reach = 1.5 + 13 / np.sqrt(degrees.sum())  # of one variance little is known
    common = np.exp(np.average(logs, weights=degrees) + np.linspace(-reach, reach, PLACES))
    total = np.repeat(PRIOR, PLACES, axis=1)
    for ratio, own, scale in zip(ratios, degrees, trend, strict=True):
        total += _log_density(ratio / common, own) - np.log(common * scale)
    return common, total


def _mixture(
    seen: Comparisons,
    degrees: Comparisons,
    parts: list[tuple[Comparisons, np.ndarray, np.ndarray]],
    best: float,
) -> Shared:
    """Return the mixture over (trend, values of c, log likelihoods), but for what is negligible."""
    weights, variances, totals = [], [], []
    own = degrees[:, None]
    for trend, common, likelihood in parts:
        alike, places = np.nonzero(likelihood > best + np.log(NEGLIGIBLE))
        d0 = ALIKE[alike]
        shrunk = d0 * common[places] * trend[:, None] + own * seen[:, None]
        weights.append(np.exp(likelihood[alike, places] - best))
        variances.append(shrunk / (d0 + own))
        totals.append(d0 + own)
    joined = np.concatenate(weights)
    return Shared(joined / joined.sum(), np.hstack(variances), np.hstack(totals))


def _log_density(ratios: np.ndarray, degrees: float) -> np.ndarray:
    """Return the log density of F with (degrees, d0) at `ratios`: (values of d0, ratios)."""
    d0 = ALIKE[:, None]
    return (
        gammaln((degrees + d0) / 2)
        - gammaln(degrees / 2)
        - gammaln(d0 / 2)
        + degrees / 2 * np.log(degrees / d0)
        + (degrees / 2 - 1) * np.log(ratios)
        - (degrees + d0) / 2 * np.log1p(degrees * ratios / d0)
    )


def error_of_test(
    one: Bool[np.ndarray, "seeds examples"], other: Bool[np.ndarray, "seeds examples"]
) -> float:
    """Return the variance of a mean difference in accuracy that comes from the test examples drawn.

    `one`, `other`: which examples each of two models gets right, paired by seed. It is the part
    that is the same under every seed: the variance over examples of their mean difference, less
    what chance in training adds to that. One differing pair more is counted, as for any two
    proportions that hardly differ (Agresti and Min 2005, https://doi.org/10.1002/sim.1781).
    """
    differences = one.astype(np.float64) - other
    seeds, examples = differences.shape
    of_example, of_seed = differences.mean(0), differences.mean(1, keepdims=True)
    left = differences - of_example - of_seed + differences.mean()
    chance = (left**2).sum() / max((seeds - 1) * (examples - 1), 1) / (seeds * examples)
    variance = ((of_example - of_example.mean()) ** 2).sum() + 1
    return max(variance / examples**2 - chance, 1 / examples**2)


def holm(p_values: Comparisons) -> Comparisons:
    """Return p-values that allow for the number of comparisons, by Holm's method.

    Holm 1979, https://www.jstor.org/stable/4615733: at 5 %, false claims are made in at most 5 % of
    all families of comparisons, however these depend on each other.
    """
    order = np.argsort(p_values, kind="stable")
    steps = np.arange(len(p_values), 0, -1) * np.asarray(p_values)[order]
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1) if len(steps) else steps
    return adjusted
