"""The ordinary loop trains a narrow model on one thread, and gives the others back."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch

from influence.config.parameters import FitConfig
from influence.models import tokenizers
from influence.models import tokens as batches
from influence.models.fitting.course import Examples, of_classifier, part
from influence.models.fitting.trainers import trained

TEXTS = ["red cat", "blue dog", "green bird", "red dog"]


def nameless(build, seed):
    """Return a model whose config does not say how wide it is."""
    model = build(seed)
    del model.config.hidden_size
    return model


@pytest.mark.parametrize(
    ("model", "says", "threads"), [("mini", True, 1), ("small", True, 2), ("mini", False, 2)]
)
def test_narrow_models_train_on_one_thread(model, says, threads):
    config = FitConfig(model=model, layers=1, batch_size=2, epochs=2)
    tokenizer = tokenizers.load_tokenizer(config, TEXTS)
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": TEXTS}), 8, False)
    examples = Examples(tokens, np.arange(4) % 2)
    course = of_classifier(config, tokenizer, ("a", "b"), examples, "test", "cpu")
    if not says:
        course = replace(course, build=partial(nameless, course.build))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with trained(course, part(course, None, seed=0, stops=(1, 4))) as training:
            seen = [torch.get_num_threads() for _ in training.stops]
        after = torch.get_num_threads()
    finally:
        torch.set_num_threads(before)
    assert seen == [threads, threads]
    assert after == 2
