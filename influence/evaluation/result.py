"""What an evaluation leaves: a point per retraining."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Point:
    """One retraining: how much was pruned, under which seed, and what came out."""

    percent_pruned: float
    seed: int
    kept: int  # train examples
    steps: int  # optimiser steps
    seconds: float
    metrics: dict[str, float]  # "test/accuracy", "validation/loss", "test/recall/<label>", ...
    key: str = ""  # the name under which the retraining is kept
