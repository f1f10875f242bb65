"""Every score: one function each, its registry, and which checkpoints of which runs it reads.

A score's parameter names are the quantities it reads (see QUANTITIES), its decorator says which end
is hard and the protocol of its paper. A score looks at each example alone.
"""

import hashlib
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from influence.errors import InputError, choose
from influence.records import Checkpoint, RunTrace, Trace
from influence.shapes import Bool, Float, Int, Shaped

Examples = Float[np.ndarray, " examples"]
Labels = Int[np.ndarray, " examples"]
Logits = Float[np.ndarray, "checkpoints examples classes"]
Norms = Float[np.ndarray, "checkpoints examples"]
Kind = Literal["checkpoint", "null", "window", "run", "record", "dataset"]

# What scores can read, by how it is measured: at each checkpoint one row per example; at each
# checkpoint of the null model one row for all; over a window of checkpoints; over a whole run; kept
# in the checkpoints' records; or part of the dataset.
QUANTITIES: dict[str, Kind] = {
    "logits": "checkpoint",
    "gradient_norms": "checkpoint",
    "layer_norms": "checkpoint",
    "classifier_norms": "checkpoint",
    "null_logits": "null",
    "gradient_variance": "window",
    "gradient_deviation": "window",
    "observations": "run",
    "learning_rates": "record",
    "labels": "dataset",
    "ids": "dataset",
}
REGISTRY: dict[str, "Score"] = {}
DUAL_WINDOW = 10
BLOCK = 65536  # examples scored at a time
CARTOGRAPHY = "Swayamdipta et al. 2020, section 2, https://arxiv.org/abs/2009.10795"
DATA_DIET = "Paul et al. 2021, {}, https://arxiv.org/abs/2107.07075"
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


@dataclass(frozen=True)
class ScoreSpec:
    """A score as asked for; str(spec) is its column name, as typed; window "" is the default."""

    name: str
    window: str = ""

    def __str__(self) -> str:
        """Return the column name."""
        return f"{self.name}@{self.window}" if self.window else self.name


@dataclass(frozen=True)
class RunInfo:
    """What one finished training run offers: checkpoints, observations, a null model beside it."""

    seed: int
    checkpoints: tuple[Checkpoint, ...]
    observations: bool
    null: bool


@dataclass(frozen=True)
class RunPlan:
    """What to measure in one run.

    at: step -> quantities of that checkpoint; over: quantity -> window key -> its steps; whole:
    quantities of the whole run.
    """

    at: dict[int, frozenset[str]]
    over: dict[str, dict[str, tuple[int, ...]]]
    whole: frozenset[str]


def parse_spec(text: str) -> ScoreSpec:
    """Read `name[@window]`; window: `2` (end of epoch 2), `1-3` (epochs 1 to 3), `all` or `last`.

    Raises InputError for an unknown score, a window that is none of these, and a window on a score
    that reads no checkpoints.
    """
    name, at, window = text.strip().partition("@")
    score = REGISTRY[choose("score", name, REGISTRY)]
    if at and not score.series:
        raise InputError(f"score {text!r} has a window but reads no checkpoints; ask for {name}")
    if at and not _WINDOW.fullmatch(window):
        raise InputError(f"unknown window {window!r} in {text!r}; write {name}@2 or {name}@1-3")
    first, last = _epochs(window)
    if first > last:
        raise InputError(f"window {window!r} ends before it starts; ask for {name}@{last}-{first}")
    return ScoreSpec(name, window)


def compute(spec: ScoreSpec, trace: Trace) -> Examples:
    """Return one value per example: the score of each run that reaches the window, combined.

    Raises InputError where the trace lacks the checkpoints or the quantities of this score.
    """
    runs = [_compute_run(spec, trace, run, chosen) for run, chosen in _select(spec, trace.runs)]
    combine = np.sum if REGISTRY[spec.name].combine == "sum" else np.mean
    return combine(runs, axis=0)


def hardness(spec: ScoreSpec, values: Examples) -> Examples:
    """Return the values of a score with the sign that makes high mean hard."""
    return values.copy() if REGISTRY[spec.name].hard == "high" else -values


def plan(specs: Sequence[ScoreSpec], runs: tuple[RunInfo, ...]) -> list[RunPlan]:
    """Say what to measure in each run so that `compute` finds everything these scores read.

    Raises InputError with the way out when this training cannot give one of them.
    """
    selected = [(spec, _select(spec, runs)) for spec in specs]
    for spec, pairs in selected:
        _check_run(spec, [run for run, _ in pairs])
    return [
        _plan_run([(spec, chosen) for spec, pairs in selected for r, chosen in pairs if r is run])
        for run in runs
    ]


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
    """Register the decorated function as a score; see Score for the arguments."""

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
    reference="Pruthi et al. 2020 (TracInCP), https://arxiv.org/abs/2002.08484",
)
def tracin(layer_norms: Norms, learning_rates: Float[np.ndarray, " checkpoints"]) -> Examples:
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
    gold = _gold_probability(logits, labels)
    windows = np.lib.stride_tricks.sliding_window_view(gold, min(DUAL_WINDOW, len(gold)), axis=0)
    return (windows.std(-1, ddof=1) * (1 - windows.mean(-1))).mean(0)


@score(hard="high", series="", window="", runs="first", reference="a control, no paper")
def random(ids: Shaped[np.ndarray, " examples"]) -> Examples:
    """Uniform in [0, 1) from a hash of the id: knows nothing, and is the same in any order."""
    digests = (hashlib.blake2b(name.encode(), digest_size=8).digest() for name in ids.tolist())
    hashed = np.frombuffer(b"".join(digests), dtype="<u8")
    return (hashed >> 11) * 2.0**-53  # the 53 bits a float64 holds exactly


_WINDOW = re.compile(r"\d+|\d+-\d+|all|last")


def _log_softmax(logits) -> np.ndarray:
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _gold(values, labels) -> np.ndarray:
    return values[:, np.arange(len(labels)), labels].astype(np.float64)


def _gold_probability(logits, labels) -> np.ndarray:
    return np.exp(_gold(_log_softmax(logits), labels))


def _window(spec) -> str:
    return spec.window or REGISTRY[spec.name].window


def _window_key(spec) -> str:
    """Name a window of checkpoints: the same in `plan`, in the trace and in `compute`."""
    return f"{REGISTRY[spec.name].series}@{_window(spec)}"


def _epochs(window) -> tuple[int, int]:
    """Return the first and the last epoch a window names: (0, 0) for one that names none."""
    numbers = [int(number) for number in re.findall(r"\d+", window)] or [0]
    return numbers[0], numbers[-1]


def _select(spec, runs):
    """Pair every run that counts with the checkpoints the score reads there.

    Runs after the first may have been stopped early. A mean takes those that reach the very epochs
    that the first run gives; a sum takes what each has.
    """
    score = REGISTRY[spec.name]
    used = runs[:1] if score.runs == "first" else runs
    pairs = [(run, _choose_checkpoints(spec, run.checkpoints)) for run in used]
    _check_window(spec, pairs[0][1], runs[0].checkpoints)
    if score.combine == "sum":
        return [(run, chosen) for run, chosen in pairs if chosen]
    epochs = [checkpoint.epoch for checkpoint in pairs[0][1]]
    return [(run, chosen) for run, chosen in pairs if [c.epoch for c in chosen] == epochs]


def _choose_checkpoints(spec, checkpoints) -> tuple[Checkpoint, ...]:
    """Return the checkpoints in a score's window, in order of their steps."""
    window, series = _window(spec), REGISTRY[spec.name].series
    if window.isdigit():
        series = "epochs"
    own = tuple(sorted((c for c in checkpoints if series in c.series), key=lambda c: c.step))
    if window in ("all", "last"):
        return own if window == "all" else own[-1:]
    first, last = _epochs(window)
    return tuple(c for c in own if first <= c.epoch <= last)


def _check_window(spec, chosen, checkpoints) -> None:
    """Raise InputError unless the first run reaches a score's window and fills it."""
    score, (first, last) = REGISTRY[spec.name], _epochs(_window(spec))
    if not score.series:
        return
    end = max((checkpoint.epoch for checkpoint in checkpoints), default=0.0)
    if last > end:
        reads = f"the end of epoch {last}" if first == last else f"epochs {first} to {last}"
        shorter = f"{first}-{int(end)}" if first < int(end) else f"{int(end)}"
        ask = f"ask for {spec.name}@{shorter} or " if end >= 1 else ""
        raise InputError(
            f"score '{spec}' reads {reads}, but this training run ends after epoch {end:g}; "
            f"{ask}train with epochs={last}"
        )
    if len(chosen) < score.fewest:
        why = " (the variance of one is 0)" if score.fewest > 1 else ""
        raise InputError(
            f"score '{spec}' needs at least {score.fewest} checkpoint"
            f"{'s' * (score.fewest > 1)} in its window{why}, but this training run has "
            f"{len(chosen)} there; ask for a wider window or train with more checkpoints"
        )


def _check_run(spec, runs) -> None:
    """Raise InputError unless each of the runs kept what a score needs beside checkpoints."""
    needs = REGISTRY[spec.name].needs
    if "observations" in needs and not all(run.observations for run in runs):
        raise InputError(
            f"score '{spec}' needs observations, but this training run holds checkpoints only; "
            "train again with observe_every=50"
        )
    if "null_logits" in needs and not all(run.null for run in runs):
        raise InputError(f"score '{spec}' needs a null model; train again with null_model=true")


def _plan_run(reads) -> RunPlan:
    """Collect what (spec, checkpoints) pairs of one run make necessary to measure."""
    at: dict[int, set[str]] = {}
    over: dict[str, dict[str, tuple[int, ...]]] = {}
    whole: set[str] = set()
    for spec, chosen in reads:
        for name in REGISTRY[spec.name].needs:
            kind, steps = QUANTITIES[name], tuple(checkpoint.step for checkpoint in chosen)
            if kind in ("checkpoint", "null"):
                for step in steps:
                    at.setdefault(step, set()).add(name)
            elif kind == "window":
                over.setdefault(name, {})[_window_key(spec)] = steps
            elif kind == "run":
                whole.add(name)
    return RunPlan({step: frozenset(names) for step, names in at.items()}, over, frozenset(whole))


def _compute_run(spec, trace: Trace, run: RunTrace, chosen) -> np.ndarray:
    """Score one run block by block: blocks bound the memory of the 64-bit copies."""
    score, key = REGISTRY[spec.name], _window_key(spec)
    blocks = [slice(start, start + BLOCK) for start in range(0, len(trace.labels), BLOCK)]
    try:
        return np.concatenate(
            [
                score.function(**{n: _read(n, rows, trace, run, chosen, key) for n in score.needs})
                for rows in blocks
            ]
        )
    except KeyError as missing:
        raise InputError(
            f"score '{spec}' reads {' and '.join(score.needs)}, but this trace has no {missing} of "
            f"seed {run.seed}; score again with {spec} among the scores"
        ) from missing


def _read(name, rows, trace, run, chosen, key) -> np.ndarray:
    """Return a block of examples of one quantity, in the shape a score expects."""
    match QUANTITIES[name]:
        case "checkpoint":
            return np.stack([run.at[name][checkpoint.step][rows] for checkpoint in chosen])
        case "null":
            return np.stack([run.at[name][checkpoint.step] for checkpoint in chosen])
        case "window":
            return run.over[name][key][rows]
        case "run":
            return run.whole[name][:, rows]
        case "record":
            return np.array([checkpoint.learning_rate for checkpoint in chosen])
        case "dataset":
            return getattr(trace, name)[rows]
