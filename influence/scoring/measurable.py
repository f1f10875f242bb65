"""Find out, by trying, whether a model gives the gradients that scores read."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import nn

from influence.config.lists import names
from influence.config.steps import TrainStep
from influence.data.dataset import Dataset
from influence.errors import InputError, first_line
from influence.models import compatibility
from influence.models.classifier import Start
from influence.models.inputs import encode
from influence.models.tokens import Tokens, collate
from influence.scores import PRODUCTS, REGISTRY
from influence.scoring.spec import ScoreSpec, parse_spec
from influence.trace.input_gradients import WITHOUT_GRADIENTS
from influence.trace.meter import NORMS, Meter, Resident, measure
from influence.trace.self_check import MISMATCH, reference, relative

VARIANCES = {"gradient_variance", "gradient_deviation"}
PRODUCTS_AS = dict.fromkeys(PRODUCTS, "layer_norms")  # one can be had where the other can
LAYERS = "last_layer"  # for TracIn: others change the sum, not whether it can be computed


def check(name: str, model: nn.Module, tokens: Tokens, specs: Sequence[ScoreSpec]) -> None:
    """Raise InputError, naming the score, unless the model gives what these scores read.

    `name`: the model's name in messages; `tokens`: two texts, of different lengths if possible. The
    same pass and the same comparison with plain autograd run after the training; trying them first
    on two texts can save that training.
    """
    for spec, why in _hindrances(model, tokens, specs):
        if why:
            raise InputError(
                f"score '{spec}' cannot be computed for {name}: {why}; {WITHOUT_GRADIENTS}"
            )


def note(name: str, model: nn.Module, tokens: Tokens) -> list[str]:
    """Return in one note what `check` would raise for any score, [] if nothing."""
    tried = _hindrances(model, tokens, [parse_spec(score) for score in REGISTRY])
    lacking = {str(spec): why for spec, why in tried if why}
    if not lacking:
        return []
    why = next(iter(lacking.values()))
    listed = ", ".join(lacking)
    return [f"for {name}, {listed} cannot be computed: {why}; {WITHOUT_GRADIENTS}"]


def two_texts(tokens: Tokens) -> Tokens:
    """Return the shortest non-empty text and the longest one."""
    full = np.flatnonzero(tokens.lengths)
    lengths = tokens.lengths[full]
    return tokens.take(full[[lengths.argmin(), lengths.argmax()]])


def check_start(config: TrainStep, dataset: Dataset, score: str, start: Start) -> list[str]:
    """Return which gradients the initial model of a training does not give.

    Raises InputError if one of the scores in `score` reads them. The model is modified: afterwards
    only its outputs are differentiated.
    """
    tokens = two_texts(encode(start.tokenizer, compatibility.sample(dataset.train), config))
    asked = [*REGISTRY] if "all" in names(score) else names(score)
    check(start.name, start.model, tokens, [parse_spec(one) for one in asked])
    return [] if asked else note(start.name, start.model, tokens)


def _hindrances(
    model: nn.Module, tokens: Tokens, specs: Sequence[ScoreSpec]
) -> Iterator[tuple[ScoreSpec, str]]:
    """Yield why the gradients that each score reads cannot be computed, "" if they can.

    Scores that read the same gradients are tried once; those that read none are left out.
    """
    known: dict[frozenset[str], str] = {}
    for spec in specs:
        needs = {PRODUCTS_AS.get(name, name) for name in REGISTRY[spec.name].needs}
        if reads := frozenset(needs) & {*VARIANCES, *NORMS}:
            if reads not in known:
                known[reads] = _hindrance(model, tokens, reads)
            yield spec, known[reads]


def _hindrance(model: nn.Module, tokens: Tokens, reads: frozenset[str]) -> str:
    """Return why these quantities cannot be measured, "" if they can."""
    labels = np.zeros(len(tokens), dtype=np.int64)
    try:
        if reads & VARIANCES:
            error = _by_batch_mates(model, tokens, labels)
        else:
            error = _by_pass(model, tokens, labels, reads)
    except Exception as error:  # a third-party model may raise anything
        return first_line(error).removesuffix(f"; {WITHOUT_GRADIENTS}")
    if error <= MISMATCH:
        return ""
    return "its gradients for a text depend on the other texts in its batch and on padding"


def _by_pass(model: nn.Module, tokens: Tokens, labels: np.ndarray, reads: frozenset[str]) -> float:
    """Return how far norms of one batch are from plain autograd, text by text."""
    meter, rows = Meter([Resident(0, 0, lambda: model, reads, ())], LAYERS), np.arange(len(tokens))
    size = len(tokens) * int(tokens.lengths.max())
    fused, right = meter.measure(tokens, labels, rows, size), reference(meter, tokens, labels, rows)
    return max(relative(fused.at[key], right.at[key]) for key in right.at)


def _by_batch_mates(model: nn.Module, tokens: Tokens, labels: np.ndarray) -> float:
    """Return how far the word gradients of a text in a batch are from those of the text alone."""

    def gradient(rows: np.ndarray) -> torch.Tensor:
        given = collate(tokens, rows), torch.from_numpy(labels[rows])
        by_words = measure(model, *given, want_gradient=True, recorder=None)[1]
        assert by_words is not None
        return by_words

    for parameter in model.parameters():
        parameter.requires_grad_(False)
    together = gradient(np.arange(len(tokens)))
    return max(
        relative(together[row, :length].numpy(), gradient(np.array([row]))[0].numpy())
        for row, length in enumerate(tokens.lengths)
    )
