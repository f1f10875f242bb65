"""Arms: a score, a rule and a normalization, written as one word such as vog:easy:class."""

from dataclasses import dataclass
from typing import Literal, get_args

from influence.errors import InputError, choose
from influence.sampling.rules import REGISTRY
from influence.scoring.spec import parse_spec

CLASS = "class"  # the group of classes, beside those of other columns

AT_EQUAL_STEPS = "random at equal steps"  # a second baseline beside random

Normalize = Literal["none", "class", "dataset"]


@dataclass(frozen=True)
class Arm:
    """One way to prune: the scores it reads, its rule, how the scores are normalised."""

    scores: tuple[str, ...]
    rule: str
    normalize: Normalize = "none"

    @property
    def besides(self) -> dict[str, str]:
        """The scores that its rule reads besides, by the name under which it reads them.

        Where the arm names a window of that score itself, it is the one that is read.
        """
        own = {score.partition("@")[0]: score for score in self.scores if "@" in score}
        read = REGISTRY[self.rule].besides
        return {name: own.get(score.partition("@")[0], score) for name, score in read.items()}

    @property
    def reads(self) -> tuple[str, ...]:
        """The scores that its order depends on: its own, and what its rule reads besides."""
        return tuple(dict.fromkeys((*self.scores, *self.besides.values())))

    @property
    def represents(self) -> bool:
        """Whether its rule reads the encoder's representations."""
        return "representations" in REGISTRY[self.rule].needs

    def __str__(self) -> str:
        """Return the canonical `score:rule[:normalize]`."""
        suffix = () if self.normalize == "none" else (self.normalize,)
        return ":".join(
            ("+".join(self.scores), self.rule, *suffix) if self.scores else (self.rule,)
        )


def parse_arm(text: str) -> Arm:
    """Read `score:rule[:normalize]`, a blend `score+score:linear[:normalize]`, or a bare rule.

    Scores may carry a window (`el2n@3:easy`). Raises InputError naming what is wrong and what there
    is.
    """
    first, *rest = text.strip().split(":")
    if not rest:
        return _parse_bare_rule(first)
    if len(rest) > 2:
        raise InputError(f"arm {text!r} has {len(rest) + 1} parts; write score:rule[:normalize]")
    rule, normalize = REGISTRY[choose("rule", rest[0], REGISTRY)], (*rest, "none")[1]
    choose("normalize", normalize, get_args(Normalize))
    if not rule.scored:
        raise InputError(f"rule {rule.name!r} takes no score, unlike {text!r}; write {rule.name}")
    scores = tuple(str(parse_spec(score)) for score in first.split("+"))
    if len(scores) > 1 and not rule.blends:
        raise InputError(f"only rule 'linear' blends scores, unlike {text!r}; write {first}:linear")
    return Arm(scores, rule.name, normalize)


def _parse_bare_rule(name) -> Arm:
    """Read an arm without a colon: a rule that needs no score, else say what is missing."""
    bare = [rule.name for rule in REGISTRY.values() if not rule.scored]
    if name in bare:
        return Arm((), name)
    if not name:
        raise InputError(f"an arm is empty; write score:rule[:normalize] or {', '.join(bare)}")
    if name in REGISTRY:
        raise InputError(f"rule {name!r} needs a score; write score:{name}, such as el2n:{name}")
    for score in name.split("+"):
        parse_spec(score)
    raise InputError(f"arm {name!r} names no rule; write {name}:rule with {', '.join(REGISTRY)}")
