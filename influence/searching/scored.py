"""What a search and a recommendation have in common: scores, subsets, and how they are measured."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from influence import scores as registry
from influence.config.parameters import ChoiceConfig, FitConfig, RetrainConfig
from influence.data.splits import reserved
from influence.errors import InputError
from influence.evaluation import retraining
from influence.evaluation.retraining import Place, retrain
from influence.models.metrics import of_predictions
from influence.runtime.step import say
from influence.sampling import rules
from influence.sampling.order import Minimum, cut, fraction_of, kept_count
from influence.sampling.step import order_of
from influence.scoring import spec as specs
from influence.scoring.result import Scores, open_scores
from influence.searching.space import Candidate


@dataclass(frozen=True, eq=False)
class Scored:
    """The scores to choose by, and how their subsets are drawn.

    columns: the scores that are read.
    """

    scores: Scores
    columns: tuple[str, ...]
    seed: int

    @cached_property
    def labels(self) -> np.ndarray:
        """The class number of every train example (examples,)."""
        return self.scores.data.array("train", "label")

    @property
    def everything(self) -> np.ndarray:
        """The rows of the full train set (examples,)."""
        return np.arange(len(self.labels))

    @cached_property
    def chosen_on(self) -> np.ndarray | None:
        """The rows of validation that trials are measured on, None for all.

        Where a score reads the gradients of `reserved` rows, these are the others.
        """
        if not reading_validation(self.columns):
            return None
        rows = self.scores.data.read("validation", ["id", "label"])
        others = np.setdiff1d(np.arange(len(rows)), reserved(rows))
        if not len(others):
            raise InputError(
                f"value reads the gradients of all {len(rows)} validation examples, one of each "
                "class, so that none is left to choose on; leave it out of score, or name another "
                "validation_split"
            )
        return others

    def kept(self, candidate: Candidate, number: int) -> np.ndarray:
        """Return the rows that stay under seed `number`; rules that draw do so anew for each."""
        minimums = (Minimum(self.labels, candidate.min_per_class),)
        seed = self.seed + number
        order = order_of(self.scores, candidate.arm, seed, minimums, candidate.parameters)
        return cut(order, fraction_of(candidate.percent), minimums)

    def share(self, config: RetrainConfig, percent: float) -> float:
        """Return what a retraining costs at a percent pruned, in ones on the full train set."""
        kept = kept_count(len(self.labels), fraction_of(percent))
        return retraining.share(self.scores, config, kept)


def verified(config: ChoiceConfig, scores: Scores, step: str) -> Scores:
    """Return scores that are byte by byte what was written, and say what `step` will retrain.

    Raises InputError for scores of another split than train, for a metric that they do not allow,
    and for a model to retrain that does not fit its tokenizer or the texts.
    """
    scores = open_scores(scores.directory)
    scores.verify()
    check_metric(config, scores.task, f"{scores.directory} scores")
    for note in retraining.check(config, scores):
        say(f"{step}: {note}")
    return scores


def measure(
    place: Place, kept: np.ndarray, number: int, metric: str, rows: np.ndarray | None = None
) -> float:
    """Return one metric of one retraining on the split of `place`, or on some rows of it."""
    return measured(place, kept, number, metric, rows)[0]


def measured(
    place: Place, kept: np.ndarray, number: int, metric: str, rows: np.ndarray | None = None
) -> tuple[float, float | None]:
    """Return the same, and the metric on test of a place that is sealed, None of another."""
    point = retrain(place, kept, number)
    sealed = point.metrics[f"test/{metric}"] if place.sealed else None
    if rows is None:
        return point.metrics[f"{place.split}/{metric}"], sealed
    labels = place.source.data.array(place.split, "label")[rows]
    return of_predictions(retraining.predictions(place, point)[rows], labels)[metric], sealed


def lacking(rule: str, scores: Scores, reads: Iterable[str]) -> str:
    """Return what a rule that `reads` these scores needs and `scores` lack, else ""."""
    needs = rules.REGISTRY[rule].needs
    if "recall" in needs and scores.recall is None:
        return "the recall of every class on validation data"
    if missing := [name for name in reads if name not in scores.names]:
        return f"the score {missing[0]!r}"
    if "representations" in needs and scores.representations is None:
        return "the representation of every example (representations=true)"
    return ""


def check_metric(config: ChoiceConfig, task: str, what: str) -> None:
    """Raise InputError for a metric that `what` ("this search trains") a classifier has not."""
    if config.metric == "frame_accuracy" and task != "nlu":
        raise InputError(
            f"metric=frame_accuracy is for task=nlu, but {what} a classifier; choose accuracy or "
            "macro_f1"
        )


def check_halves(config: ChoiceConfig, columns: Sequence[str]) -> None:
    """Raise InputError for a metric of all of validation where a score reads half of it."""
    if config.metric == "frame_accuracy" and (reading := reading_validation(columns)):
        raise InputError(
            f"metric=frame_accuracy is measured on all of validation, of which {reading[0]} reads "
            "half; choose accuracy or macro_f1, or leave that score out with score"
        )


def reading_validation(columns: Sequence[str]) -> list[str]:
    """Return the scores that read gradients of validation examples."""
    needs = {column: registry.REGISTRY[score_name(column)].needs for column in columns}
    return [column for column in columns if {*needs[column]} & {*registry.PRODUCTS}]


def score_name(column: str) -> str:
    """Return the name of the score in a column, without its window."""
    return specs.parse_spec(column).name


def command(subset: Path, task: str, fit: FitConfig) -> str:
    """Return the command that trains on the subset as the study did."""
    usual = {"task": "classify", **asdict(FitConfig())}
    own = {"task": task, **asdict(fit)}
    parameters = "".join(f" -P {name}={own[name]}" for name in own if own[name] != usual[name])
    whole = " -P stack=true" if task == "nlu" else ""
    return f"mlflow run . -e train -P dataset={subset}{parameters}{whole}"
