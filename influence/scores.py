"""Every score: one function each, and the registry of them.

A score's parameter names are the quantities it reads (see QUANTITIES), its decorator says which end
is hard and the protocol of its paper. A score looks at each example alone.
"""

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from scipy.special import log_softmax, softmax

from influence.shapes import Bool, Float, Int, Shaped

Examples = Float[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
Logits = Float[np.ndarray, "checkpoints examples classes"]
Norms = Float[np.ndarray, "checkpoints examples"]
Rates = Float[np.ndarray, " checkpoints"]
Kind = Literal["checkpoint", "null", "window", "run", "record", "dataset"]

# What scores can read, by how it is measured: at each checkpoint one row per example; at each
# checkpoint of the null model one row for all; over a window of checkpoints; over a whole run; kept
# in the checkpoints' records; or part of the dataset.
QUANTITIES: dict[str, Kind] = {
    "logits": "checkpoint",
    "gradient_norms": "checkpoint",
    "layer_norms": "checkpoint",
    "classifier_norms": "checkpoint",
    "validation_products": "checkpoint",
    "class_products": "checkpoint",
    "null_logits": "null",
    "gradient_variance": "window",
    "gradient_deviation": "window",
    "observations": "run",
    "learning_rates": "record",
    "labels": "dataset",
    "ids": "dataset",
    "trail_entropies": "dataset",
    "out_of_fold_logits": "dataset",
}
PRODUCTS = ("validation_products", "class_products")  # with gradients of validation examples
REGISTRY: dict[str, "Score"] = {}
WINDOW = 10  # epochs of a sliding window, as in the papers of dual, dyn_unc and tdds
CARTOGRAPHY = "Swayamdipta et al. 2020, section 2, https://arxiv.org/abs/2009.10795"
DATA_DIET = "Paul et al. 2021, {}, https://arxiv.org/abs/2107.07075"
TRACIN = "Pruthi et al. 2020 (TracInCP), https://arxiv.org/abs/2002.08484"
VOG = "Agarwal et al. 2022, https://arxiv.org/abs/2008.11600"


@dataclass(frozen=True)
class Score:
    """One entry of the registry; `needs` are the parameter names of `function`.

    series and window: the checkpoints it reads ("" = none); runs and combine: over which training
    seeds and how; fewest: with fewer checkpoints the score would be the same for every example.
    """

    name: str
    function: Callable[..., Any]
    needs: tuple[str, ...]
    hard: Literal["high", "low"]
    series: Literal["epochs", "spread", ""]
    window: str
    runs: Literal["all", "first"]
    combine: Literal["mean", "sum"]
    fewest: int
    reference: str


def score(
    *,
    hard: Literal["high", "low"],
    series: Literal["epochs", "spread", ""] = "epochs",
    window: str = "2",
    runs: Literal["all", "first"] = "all",
    combine: Literal["mean", "sum"] = "mean",
    fewest: int = 1,
    reference: str,
):
    """Register the decorated function as a score.

    Many parameters: they are the fields of Score, by name.
    """

    def register(function):
        name, needs = function.__name__, tuple(inspect.signature(function).parameters)
        if unknown := set(needs) - set(QUANTITIES):
            raise TypeError(f"score {name} reads {unknown}, which QUANTITIES does not have")
        REGISTRY[name] = Score(
            name, function, needs, hard, series, window, runs, combine, fewest, reference
        )
        return function

    return register


@score(hard="high", series="spread", window="all", runs="first", fewest=2, reference=VOG)
def vog(gradient_variance: Examples) -> Examples:
    """Variance of gradients: mean over tokens and dimensions of the variance over checkpoints.

    The gradient is that of the gold logit with respect to the embeddings of the real tokens.
    """
    return gradient_variance.astype(np.float64)


@score(hard="high", series="spread", window="all", runs="first", fewest=2, reference=VOG)
def vog_std(gradient_deviation: Examples) -> Examples:
    """VoG with the standard deviation in place of the variance, as its original vision code.

    The mean of square roots is not the root of the mean: it ranks examples differently from `vog`.
    """
    return gradient_deviation.astype(np.float64)


@score(hard="high", reference=DATA_DIET.format("definition 2.2"))
def el2n(logits: Logits, labels: Labels) -> Examples:
    """Mean over checkpoints of the distance between predicted probabilities and one-hot label."""
    errors = np.exp(_log_softmax(logits))
    errors[:, np.arange(len(labels)), labels] -= 1
    return np.linalg.norm(errors, axis=-1).mean(0)


@score(
    hard="high",
    series="",
    window="",
    reference="Toneva et al. 2019, https://arxiv.org/abs/1812.05159",
)
def forgetting(observations: Bool[np.ndarray, "observations examples"]) -> Examples:
    """Count correct -> incorrect transitions between consecutive observations.

    An example that was never correct has none, yet is the hardest: as in the paper it gets the
    maximum count, the number of observations.
    """
    forgotten = (observations[:-1] & ~observations[1:]).sum(0)
    learned = observations.any(0)
    return np.where(learned, forgotten, len(observations)).astype(np.float64)


@score(
    hard="low",
    reference="Ethayarajh et al. 2022, https://arxiv.org/abs/2110.08420",
)
def pvi(
    logits: Logits, null_logits: Float[np.ndarray, "checkpoints classes"], labels: Labels
) -> Examples:
    """Pointwise V-information in bits: log2 p(label | text) - log2 p(label | no text)."""
    informed = _gold(_log_softmax(logits), labels)
    uninformed = _log_softmax(null_logits)[:, labels]
    return (informed - uninformed).mean(0) / np.log(2)


@score(
    hard="high",
    series="spread",
    window="all",
    runs="first",
    reference=TRACIN,
)
def tracin(layer_norms: Norms, learning_rates: Rates) -> Examples:
    """Self-influence: sum over checkpoints of learning rate x squared norm of the loss gradient.

    The gradient is that of the chosen layers' weights, by default the last encoder layer's.
    """
    return learning_rates.astype(np.float64) @ layer_norms.astype(np.float64) ** 2


@score(hard="high", reference=DATA_DIET.format("definition 2.1"))
def grand(gradient_norms: Norms) -> Examples:
    """Mean over checkpoints of the norm of the loss gradient over all parameters.

    The paper reads it at initialisation too, which does not reproduce (Kirsch 2023,
    https://arxiv.org/abs/2303.14753); the default here is the end of epoch 2.
    """
    return gradient_norms.mean(0, dtype=np.float64)


@score(hard="high", reference=DATA_DIET.format("definition 2.1 of one layer"))
def grand_last(classifier_norms: Norms) -> Examples:
    """GraNd over the parameters of the classifier's last linear layer only: cheaper."""
    return classifier_norms.mean(0, dtype=np.float64)


@score(hard="high", window="last", runs="first", reference="cross-entropy, in nats")
def loss(logits: Logits, labels: Labels) -> Examples:
    """Mean over checkpoints, by default the last alone, of -log p(label), in nats."""
    return -_gold(_log_softmax(logits), labels).mean(0)


@score(hard="low", window="all", runs="first", reference=CARTOGRAPHY)
def confidence(logits: Logits, labels: Labels) -> Examples:
    """Mean over epochs of p(label)."""
    return _gold_probability(logits, labels).mean(0)


@score(hard="high", window="all", runs="first", fewest=2, reference=CARTOGRAPHY)
def variability(logits: Logits, labels: Labels) -> Examples:
    """Standard deviation over epochs of p(label).

    Its "hard" end is the ambiguous one: what the model keeps changing its mind about. Both easy
    examples and those never learned have low variability.
    """
    return _gold_probability(logits, labels).std(0)


@score(hard="low", window="all", runs="first", reference=CARTOGRAPHY)
def correctness(logits: Logits, labels: Labels) -> Examples:
    """Fraction of epochs at whose end the prediction is the label."""
    return (logits.argmax(-1) == labels).mean(0)


@score(
    hard="low",
    window="all",
    runs="first",
    reference="Pleiss et al. 2020, https://arxiv.org/abs/2001.10528",
)
def aum(logits: Logits, labels: Labels) -> Examples:
    """Area under the margin: mean over epochs of the label's logit - the largest other logit."""
    others = logits.astype(np.float64)
    others[:, np.arange(len(labels)), labels] = -np.inf
    return (_gold(logits, labels) - others.max(-1)).mean(0)


@score(
    hard="high",
    window="all",
    runs="first",
    reference="Coleman et al. 2020, https://arxiv.org/abs/1906.11829",
)
def entropy(logits: Logits) -> Examples:
    """Entropy in nats of the prediction averaged over epochs; it never looks at the label."""
    mean = np.exp(_log_softmax(logits)).mean(0)
    return -(mean * np.log(np.maximum(mean, np.finfo(np.float64).tiny))).sum(-1)


@score(
    hard="low",
    series="",
    window="",
    runs="first",
    reference="Northcutt et al. 2021, https://arxiv.org/abs/1911.00068",
)
def self_confidence(
    out_of_fold_logits: Float[np.ndarray, "examples classes"], labels: Labels
) -> Examples:
    """p(label) by a model that has not seen the example: how confident learning ranks labels."""
    return _gold_probability(out_of_fold_logits[None], labels)[0]


@score(
    hard="low",
    window="all",
    combine="sum",
    reference="Tayaranian et al. 2024, https://arxiv.org/abs/2407.08887",
)
def h_score(logits: Logits, labels: Labels) -> Examples:
    """Number of epochs at whose end the prediction is the label, summed over training runs."""
    return (logits.argmax(-1) == labels).sum(0).astype(np.float64)


@score(
    hard="high",
    window="all",
    runs="first",
    fewest=2,
    reference="Cho et al. 2025, https://arxiv.org/abs/2502.06905",
)
def dual(logits: Logits, labels: Labels) -> Examples:
    """Mean over windows of epochs of std(p(label)) x (1 - mean p(label)).

    Windows slide over 10 epochs as in the paper, with the unbiased standard deviation; a shorter
    training is a single window.
    """
    windows = _windows(_gold_probability(logits, labels), WINDOW)
    return (windows.std(-1, ddof=1) * (1 - windows.mean(-1))).mean(0)


@score(
    hard="high",
    window="all",
    runs="first",
    fewest=2,
    reference="He et al. 2024, https://arxiv.org/abs/2306.05175",
)
def dyn_unc(logits: Logits, labels: Labels) -> Examples:
    """Dynamic uncertainty: mean over windows of epochs of the standard deviation of p(label).

    Windows slide over 10 epochs as in the paper, with the unbiased standard deviation. A shorter
    training is a single window, in which this ranks as `variability` does.
    """
    return _windows(_gold_probability(logits, labels), WINDOW).std(-1, ddof=1).mean(0)


@score(
    hard="high",
    window="all",
    runs="first",
    fewest=3,  # two checkpoints are one change, which does not deviate from its mean
    reference="Zhang et al. 2024, https://arxiv.org/abs/2311.13613",
)
def tdds(logits: Logits) -> Examples:
    """Temporal dual-depth score: how unevenly the prediction changes from epoch to epoch.

    A change is the sum over classes of |q log(q / p)|, with the probabilities p before and q after
    an epoch; a window's deviation is the norm of its changes less their mean. Windows slide over 10
    epochs and are averaged exponentially: the last weighs 0.9, each one before a tenth of the next.
    A shorter training is a single window. As in the authors' code, 1e-8 is added to probabilities
    in the logarithm; their 0.9 and 10 are kept for every dataset.
    """
    probabilities = (softmax(at.astype(np.float64), axis=-1) for at in logits)
    changes = np.stack([_change(before, after) for before, after in pairwise(probabilities)])
    windows = _windows(changes, WINDOW - 1)
    deviations = np.linalg.norm(windows - windows.mean(-1, keepdims=True), axis=-1)
    return 0.9 * 0.1 ** np.arange(len(deviations))[::-1] @ deviations


@score(
    hard="high",
    series="",
    window="",
    runs="first",
    reference="Anand et al. 2023, section 3, https://arxiv.org/abs/2311.16298",
)
def trail_entropy(trail_entropies: Examples) -> Examples:
    """Entropy in bits of the slot trails of the example's domain and intent, see slots.trail."""
    return trail_entropies.astype(np.float64)


@score(hard="high", series="", window="", runs="first", reference="a control, no paper")
def random(ids: Shaped[np.ndarray, " examples"]) -> Examples:
    """Uniform in [0, 1) from a hash of the id: knows nothing, and is the same in any order."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids.tolist())
    hashed = np.frombuffer(b"".join(digests), dtype="<u8")
    return (hashed >> 11) * 2.0**-53  # the 53 bits a float64 holds exactly


# New scores come last: the place in the registry is the colour in every figure.


@score(hard="low", series="spread", window="all", runs="first", reference=TRACIN)
def value(validation_products: Norms, learning_rates: Rates) -> Examples:
    """What a step on the example takes off the validation loss, to first order, summed up.

    Sum over checkpoints of learning rate x inner product of the example's loss gradient with the
    mean one of half of validation (`splits.reserved`): TracIn between train and validation. The
    parameters are those of TracIn. Below zero, the example hurts.
    """
    return learning_rates.astype(np.float64) @ validation_products.astype(np.float64)


@score(hard="low", series="spread", window="all", runs="first", reference=TRACIN)
def value_class(class_products: Norms, learning_rates: Rates) -> Examples:
    """The value for validation examples of the example's own class, the others left aside."""
    return learning_rates.astype(np.float64) @ class_products.astype(np.float64)


def _windows(values, size: int) -> np.ndarray:
    """Return all windows of `size` successive rows (windows, examples, size); at least one."""
    return np.lib.stride_tricks.sliding_window_view(values, min(size, len(values)), axis=0)


def _change(before, after) -> np.ndarray:
    """Return by how much probabilities (examples, classes) changed, as `tdds` measures it."""
    logarithms = np.log(after + 1e-8) - np.log(before + 1e-8)
    return np.abs(after * logarithms).sum(-1)


def _log_softmax(logits) -> np.ndarray:
    return log_softmax(logits.astype(np.float64), axis=-1)


def _gold(values, labels) -> np.ndarray:
    return values[:, np.arange(len(labels)), labels].astype(np.float64)


def _gold_probability(logits, labels) -> np.ndarray:
    return np.exp(_gold(_log_softmax(logits), labels))
