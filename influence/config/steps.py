"""The parameters of every step: which groups of them it has, and what it reads."""

from dataclasses import dataclass
from typing import Literal

from influence.config.parameters import (
    SEED,
    Config,
    EvaluateConfig,
    ExecutionConfig,
    RecommendConfig,
    SampleConfig,
    ScoreConfig,
    SearchConfig,
    TrainConfig,
    parameter,
)


@dataclass(frozen=True, kw_only=True)
class TrainStep(TrainConfig, ExecutionConfig):
    """Fine-tune a classifier and keep its checkpoints and observations."""


@dataclass(frozen=True, kw_only=True)
class ScoreStep(ScoreConfig, ExecutionConfig):
    """Score every train example in one pass over all checkpoints."""

    training: str = parameter("", "training directory to score: a path or runs:/<id>/training")
    split: Literal["train", "validation", "test"] = parameter(
        "train", "split whose examples are scored; only train can be pruned"
    )


@dataclass(frozen=True, kw_only=True)
class SampleStep(SampleConfig, ExecutionConfig):
    """Choose the examples to keep by an arm, score:rule[:normalize]."""

    scores: str = parameter("", "scores directory to sample from: a path or runs:/<id>/scores")
    arm: str = parameter(
        "aum:ccs_clean",
        "arm to sample by: score:rule[:normalize], random, stratified, clean, drop or dedup",
    )
    seed: int = parameter(0, "random seed for ties and draws", 0, SEED)


@dataclass(frozen=True, kw_only=True)
class EvaluateStep(EvaluateConfig, ExecutionConfig):
    """Retrain on each subset and draw the pruned-accuracy curve."""

    sample: str = parameter("", "sample directory to evaluate: a path or runs:/<id>/sample")


@dataclass(frozen=True, kw_only=True)
class MainStep(TrainConfig, ScoreConfig, SampleConfig, EvaluateConfig, ExecutionConfig):
    """Train, score, sample and evaluate every arm against random pruning."""

    max_seeds: int = parameter(
        0,
        "add seeds to `seeds` until the verdict is decided, up to this many; 0: add none",
        0,
    )
    equal_steps: bool = parameter(
        False,
        "whether to add a second baseline: random trained for as many steps as the full train set",
    )
    study: str = parameter(
        "", "study file that sets other parameters, such as studies/imbalance.yaml"
    )
    scale: Literal["full", "small"] = parameter(
        "full", "full, or small: the shorter form of the study"
    )

    arms: str = parameter(
        "aum:ccs_clean,random", "arms to compare, comma-separated; random is always added"
    )
    rescore: bool = parameter(
        False,
        "whether to prune iteratively: train and score again on what is left before each fraction",
    )


@dataclass(frozen=True, kw_only=True)
class SearchStep(TrainConfig, ScoreConfig, SearchConfig, ExecutionConfig):
    """Find how much of a train set can go, by which score and rule, before accuracy suffers."""

    scores: str = parameter(
        "", "scores directory to search: a path or runs:/<id>/scores; empty: train and score first"
    )
    score: str = parameter(
        "",
        "scores to search over; empty: those of the directory, or the default ones at every epoch",
    )
    datasets: str = parameter(
        "",
        "datasets to search one by one, comma-separated, each with its own parameters: "
        "trec,hwu?label_column=domain",
    )


@dataclass(frozen=True, kw_only=True)
class RecommendStep(TrainConfig, ScoreConfig, RecommendConfig, ExecutionConfig):
    """Recommend how much of a train set to prune, and by which arm, at a given price."""

    scores: str = parameter(
        "",
        "scores directory to choose from: a path or runs:/<id>/scores; empty: train and "
        "score first",
    )
    score: str = parameter("", "scores to compute; empty: those that the arms read")
    # What only some scores read costs as much as a training: whoever asks for such a score says so.
    observe_every: int = parameter(
        0,
        "optimiser steps between observations of which examples are classified correctly; 0: never",
        0,
    )
    null_model: bool = parameter(
        False, "whether to train a model on empty inputs as well, which PVI needs"
    )


STEPS: dict[str, type[Config]] = {
    "main": MainStep,
    "train": TrainStep,
    "score": ScoreStep,
    "sample": SampleStep,
    "evaluate": EvaluateStep,
    "search": SearchStep,
    "recommend": RecommendStep,
}


def required(step: str) -> str:
    """Return the parameter of `step` that has no usable default: the directory it reads."""
    return {"score": "training", "sample": "scores", "evaluate": "sample"}.get(step, "")
