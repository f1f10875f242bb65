"""The ordinary loop trains a narrow model on one thread, and gives the others back."""

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


@pytest.mark.parametrize(("model", "threads"), [("mini", 1), ("small", 2)])
def test_narrow_models_train_on_one_thread(model, threads):
    config = FitConfig(model=model, layers=1, batch_size=2, epochs=2)
    tokenizer = tokenizers.load_tokenizer(config, TEXTS)
    tokens = batches.encode(tokenizer, pd.DataFrame({"text": TEXTS}), 8, False)
    examples = Examples(tokens, np.arange(4) % 2)
    course = of_classifier(config, tokenizer, ("a", "b"), examples, "test", "cpu")
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
