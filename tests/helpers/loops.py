"""The training loop on a model that a test has made."""

from collections.abc import Collection, Iterator

import numpy as np
from torch import nn

from influence.config.parameters import FitConfig
from influence.models.fit import Progress, State
from influence.models.fitting.course import Course, Examples, classification, part
from influence.models.fitting.trainers import trained
from influence.models.tokens import Tokens


def train(
    model: nn.Module,
    tokens: Tokens,
    labels: np.ndarray,
    config: FitConfig,
    seed: int,
    stops: Collection[int],
    steps: int = 0,
    begun: State | None = None,
) -> Iterator[Progress]:
    """Train `model` on a CPU and yield its stops.

    Many parameters: what is trained, and which part of its course is run.
    """
    course = Course(
        "a test's", "", lambda seed: model, Examples(tokens, labels), classification, config
    )
    with trained(course, part(course, None, seed, stops, steps, begun)) as (_, progress, _):
        yield from progress
