"""The search space, derived entirely from the registries of scores and rules.

A candidate is one way to prune at one fraction. `suggest` asks for its parameters one by one, so
that the optimiser, or a list of fixed values, is asked only for those that apply: a rule without a
score has no normalisation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, get_args

from influence.errors import InputError, choose
from influence.sampling import rules
from influence.sampling.arms import Arm, Normalize, parse_arm
from influence.sampling.order import fraction_of, kept_count
from influence.scoring.spec import parse_spec

STEP = 5  # percent: the grid of prune fractions, so that arms meet random at the same ones
MINIMUMS = (1, 4, 16)  # examples of each class that are never pruned
# Coverage of AUM without what looks mislabeled, which leads random where labels are wrong and keeps
# up with it elsewhere; what looks mislabeled alone; of the paper's arms the one that keeps up with
# random longest; and the two baselines. What falls behind random, such as vog:easy:class, is left
# to the sampler (docs/results.md).
RECOMMENDED = (
    *(("aum:ccs_clean", 50), ("aum:ccs_clean", 70), ("aum:ccs_clean", 30), ("clean", 15)),
    ("vog:linear:dataset", 30),
    *(("random", 30), ("random", 50), ("stratified", 50)),
)


class Asker(Protocol):
    """Answers for the value of a parameter: an optimiser's trial, or `Fixed`."""

    def suggest_categorical(self, name: str, choices: Sequence[Any], /) -> Any:
        """Return one of `choices`."""
        ...

    def suggest_int(self, name: str, low: int, high: int, /, *, step: int = 1) -> int:
        """Return an integer."""
        ...

    def suggest_float(self, name: str, low: float, high: float, /, *, log: bool = False) -> float:
        """Return a number."""
        ...


@dataclass(frozen=True)
class Space:
    """The scores (columns of a scores directory), rules, percents and minimums to choose from."""

    scores: tuple[str, ...]
    rules: tuple[str, ...]
    lowest: int  # percent pruned
    highest: int
    minimums: tuple[int, ...]

    def windows(self) -> dict[str, list[str]]:
        """Return each score's columns, one per window, by the score's name."""
        columns: dict[str, list[str]] = {}
        for column in self.scores:
            columns.setdefault(parse_spec(column).name, []).append(column)
        return columns

    def described(self) -> dict[str, Any]:
        """Return what a study of this space depends on: another space is another study."""
        return {
            "scores": self.scores,
            "rules": {name: dict(rules.REGISTRY[name].ranges) for name in self.rules},
            "percents": [self.lowest, self.highest, STEP],
            "minimums": self.minimums,
        }


@dataclass(frozen=True)
class Candidate:
    """One way to prune: an arm, the parameters of its rule, a minimum per class, percent pruned."""

    arm: Arm
    percent: int
    min_per_class: int
    parameters: Mapping[str, float | int]

    def __str__(self) -> str:
        """Return the arm and the percent pruned, for people to read."""
        return f"{self.arm} {self.percent} %"


def build(
    scores: Sequence[str], named: Sequence[str], lowest: int, highest: int, smallest: Sequence[int]
) -> Space:
    """Return the space of these score columns and rules.

    `smallest`: number of train examples of each class. Minimums that the highest percent could not
    keep are left out. Raises InputError as `check` does, and where no rule can be used.
    """
    low, high = check(named, lowest, highest)
    chosen = tuple(named) or tuple(rules.REGISTRY)
    usable = tuple(name for name in chosen if scores or not rules.REGISTRY[name].scored)
    if not usable:
        raise InputError(f"rules {', '.join(chosen)} need a score, and there is none to search")
    kept = kept_count(sum(smallest), fraction_of(high))
    minimums = [m for m in MINIMUMS if sum(min(count, m) for count in smallest) <= kept]
    return Space(tuple(scores), usable, low, high, tuple(minimums) or (0,))


def check(named: Sequence[str], lowest: int, highest: int) -> tuple[int, int]:
    """Return the lowest and highest percent on the grid, which begins above 0.

    Raises InputError for an unknown rule and for percents without a multiple of five between them.
    """
    for name in named:
        choose("rule", name, rules.REGISTRY)
    low, high = max(-(-lowest // STEP), 1) * STEP, highest // STEP * STEP
    if low > high:
        raise InputError(
            f"there is no multiple of {STEP} % between lowest={lowest} and highest={highest}"
        )
    return low, high


def suggest(space: Space, asker: Asker, lowest: int = 0) -> Candidate:
    """Ask for one candidate, parameter by parameter; at `lowest` percent pruned or more."""
    rule = rules.REGISTRY[asker.suggest_categorical("rule", space.rules)]
    low = min(max(space.lowest, lowest), space.highest)
    percent = asker.suggest_int("percent_pruned", low, space.highest, step=STEP)
    parameters = {
        name: _ask_parameter(asker, f"{rule.name}_{name}", bounds, rule.parameters[name])
        for name, bounds in rule.ranges.items()
    }
    if not rule.scored:
        return Candidate(Arm((), rule.name), percent, min(space.minimums), parameters)
    score, columns = _ask(asker, "score", list(space.windows())), space.windows()
    column = _ask(asker, f"{score}_window", columns[score])
    normalize: Normalize = _ask(asker, "normalize", get_args(Normalize))
    min_per_class = _ask(asker, "min_per_class", space.minimums)
    return Candidate(Arm((column,), rule.name, normalize), percent, min_per_class, parameters)


def recommended(space: Space) -> list[dict[str, Any]]:
    """Return the parameters of what a study tries first, as far as the space allows."""
    answered = []
    for text, percent in RECOMMENDED:
        arm = parse_arm(text)
        fits = set(arm.reads) <= set(space.scores) and arm.rule in space.rules
        if fits and space.lowest <= percent <= space.highest:
            parameters = rules.REGISTRY[arm.rule].parameters
            answered.append(answers(Candidate(arm, percent, min(space.minimums), parameters)))
    return answered


def answers(candidate: Candidate) -> dict[str, Any]:
    """Return the parameters with which `suggest` gives this candidate."""
    arm = candidate.arm
    parameters: dict[str, Any] = {"rule": arm.rule, "percent_pruned": candidate.percent}
    parameters |= {f"{arm.rule}_{name}": value for name, value in candidate.parameters.items()}
    if arm.scores:
        score = parse_spec(arm.scores[0]).name
        parameters |= {"score": score, f"{score}_window": arm.scores[0]}
        parameters |= {"normalize": arm.normalize, "min_per_class": candidate.min_per_class}
    return parameters


def _ask(asker: Asker, name: str, choices: Sequence[Any]) -> Any:
    """Ask for one of several choices; a single choice is returned without asking."""
    return choices[0] if len(choices) == 1 else asker.suggest_categorical(name, choices)


def _ask_parameter(
    asker: Asker, name: str, bounds: rules.Range, default: float | int
) -> float | int:
    low, high = bounds
    if isinstance(default, int):
        return asker.suggest_int(name, int(low), int(high))
    return asker.suggest_float(name, low, high, log=low > 0)
