"""Work done elsewhere, imported as a training: checkpoints, training dynamics or scores.

Checkpoints can give every score that weights give. Training dynamics give the scores that read
logits at the ends of epochs, and a table of scores gives these scores alone.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax
from torch import nn

from influence.config.parameters import TrainConfig
from influence.data import class_order
from influence.data.dataset import Dataset, texts_of
from influence.data.result import TOKENIZER
from influence.data.sources.files import split_name
from influence.errors import InputError
from influence.models import classifier, compatibility, pretrained, tokenizers
from influence.models.classifier import Start
from influence.models.fit import steps_per_epoch
from influence.models.inputs import encode
from influence.models.metrics import metrics_of
from influence.nlu import words
from influence.runtime import store
from influence.trace.trace import Checkpoint
from influence.training import dynamics, plausibility, result, run_files
from influence.training.run_files import RunFacts, listed
from influence.training.trainer import output
from influence.training.trainer.output import Imported


def check(config: TrainConfig, dataset: Dataset) -> list[str]:
    """Return notes on how examples and classes were matched with the dataset.

    Raises InputError if what `import_from` names does not fit it.
    """
    if checkpoints := _checkpoints(config):
        notes = [*output.describe(_path(config), checkpoints), *_ignored(config)]
        return [*notes, *output.check_labels(checkpoints, dataset.label_names)]
    if config.stack:
        raise InputError(
            f"stack=true completes the last checkpoint, but import_from={config.import_from} holds "
            "none; give a folder of checkpoints, or stack=false"
        )
    return [*_given(config, dataset.train)[2], *_ignored(config)]


def check_model(
    config: TrainConfig, dataset: Dataset, paired: bool
) -> tuple[Start | None, list[str]]:
    """Return the last checkpoint that `import_from` names, None without any, and notes.

    Checkpoints must be of one training and belong with their tokenizer and the dataset: what the
    last predicts for the train set agrees with its labels as often as its own probabilities say,
    and would not agree better with the classes in another order. `paired`: weights, tokenizer and
    texts are known to be of one training, which may have learned nothing yet. Raises InputError
    otherwise.
    """
    checkpoints, tokenizer = _checkpoints(config), tokenizer_of(config, dataset)
    if not checkpoints:
        names, splits = dataset.label_names, dataset.splits
        return None, classifier.started(config, tokenizer, names, splits)[1]
    output.check_same(checkpoints)
    output.check_finite(checkpoints)
    last, name = checkpoints[-1].path, f"checkpoint {checkpoints[-1].path}"
    model, names = _open(last, tokenizer), dataset.label_names
    if model.config.num_labels != len(names):
        raise InputError(
            f"{last} has {model.config.num_labels} classes, but the dataset has "
            f"{len(names)}: {', '.join(names)}; give the dataset that it was trained on, with "
            "train examples of all its classes"
        )
    unseen = config.stack  # a stack that is kept reads texts that come later
    notes = compatibility.check(name, model, tokenizer, config.max_length, dataset.splits, unseen)
    if config.stack:
        words.check_tokenizer(str(last), tokenizer)
        notes += classifier.started(config, tokenizer, names, dataset.splits, unseen)[1]
    start = Start(f"the checkpoints in {config.import_from}", model, tokenizer)
    fits = _check_predictions(config, last, start, dataset, paired)
    return start, [*notes, fits, *_retrained(config, tokenizer, names, model)]


def _check_predictions(
    config: TrainConfig, last: Path, start: Start, dataset: Dataset, paired: bool
) -> str:
    """Return how well the last checkpoint, whose training is furthest, fits the train labels.

    Where some are known to be wrong, it may fit the others instead.
    """
    rows, names = compatibility.sample(dataset.train), dataset.label_names
    tokens = encode(start.tokenizer, rows, config)
    logits = classifier.predict(start.model, tokens).astype(np.float64)
    every, refusal = softmax(logits, axis=1), ""
    for labels, places, which in plausibility.readings(rows, len(names)):
        own = every[places]
        counts = class_order.confusion(labels, own.argmax(1), len(names))
        sure = float(own.max(1).mean())
        share = f"{np.trace(counts) / counts.sum():.1%} of {len(labels)} train examples"
        fitting = f"{last} fits {which} of {share}"
        fits, more = plausibility.verdict(own, labels, names)
        if fits or not refusal:
            class_order.check_order(last, counts, sure, names)
        if fits:
            return fitting + more
        chance = class_order.by_chance(counts)
        refusal = refusal or (
            f"{fitting}, while guessing would fit {chance:.1%} and its own probabilities claim "
            f"{sure:.1%}"
        )
    if not paired:
        raise InputError(
            f"{refusal}: give the tokenizer and the dataset that it was trained with; if labels "
            "here are wrong, say which in a column mislabeled (true or false); if it is right no "
            "more often than guessing, train it further, or leave it out if it has learned nothing"
        )
    return refusal.split(", while guessing")[0]


def identity(config: TrainConfig) -> str:
    """Return a digest of what `import_from` names."""
    if checkpoints := _checkpoints(config):
        return output.identity(checkpoints)
    path = _path(config)
    files = [path] if path.is_file() else sorted(path.rglob("*dynamics_epoch_*"))
    return " ".join(store.file_digest(file)[:16] for file in files)


def expected(config: TrainConfig, examples: int) -> result.RunInfo:
    """Return what the imported run will hold for `examples` train examples."""
    trails = config.task == "nlu"
    if checkpoints := _checkpoints(config):
        return result.RunInfo(config.seed, _kept(checkpoints), False, (), trails)
    path = _path(config)
    if path.is_file():
        scores = frozenset(dynamics.read_values(path))
        return result.RunInfo(config.seed, (), False, (), trails, False, frozenset(), scores)
    count = len(dynamics.read_cartography(path).logits)
    ends = _ends(config, count, examples)
    return result.RunInfo(config.seed, ends, True, (), trails, False, frozenset({"logits"}))


def tokenizer_of(config: TrainConfig, dataset: Dataset):
    """Return the tokenizer that was saved beside imported checkpoints, or else that of the model.

    Raises InputError if there are several, or if there is none and `model` is one from scratch,
    whose tokenizer cannot be that of checkpoints made elsewhere.
    """
    checkpoints = _checkpoints(config)
    if checkpoints and (places := output.tokenizer_folders(_path(config), checkpoints)):
        read = {place: tokenizers.read_tokenizer(place, str(place)) for place in places}
        digests = {tokenizers.tokenizer_digest(tokenizer) for tokenizer in read.values()}
        if len(digests) > 1:
            raise InputError(
                f"{_path(config)} holds {len(digests)} tokenizers, in "
                f"{', '.join(place.name for place in places)}; keep the one of the checkpoints"
            )
        return read[places[0]]
    if checkpoints and config.model in pretrained.SCRATCH:
        raise InputError(
            f"the checkpoints under {_path(config)} have no tokenizer, and model={config.model} "
            "is not theirs; give model=<the model they come from>, or save their tokenizer there"
        )
    return tokenizers.load_tokenizer(config, texts_of(dataset.train))


def leave_run(directory: Path, config: TrainConfig, dataset: Dataset) -> None:
    """Leave as the first run what `train_run` would have left, as far as it is known."""
    with store.replacing(run_files.run_folder(directory, 0)) as at:
        at.mkdir()
        if checkpoints := _checkpoints(config):
            facts, observed = _leave_checkpoints(at, directory, config, dataset, checkpoints)
        else:
            facts, observed = _leave_given(at, config, dataset.train)
        run_files.write_run(at, facts, observed, {})


def _leave_checkpoints(
    at: Path,
    directory: Path,
    config: TrainConfig,
    dataset: Dataset,
    checkpoints: Sequence[Imported],
) -> tuple[RunFacts, np.ndarray]:
    """Leave every checkpoint; return the facts to record, and no observations."""
    tokenizer = tokenizers.open_tokenizer(directory / TOKENIZER)
    model = _open(checkpoints[-1].path, tokenizer)
    tokens = encode(tokenizer, dataset.validation, config)
    labels, names = dataset.validation["label"].to_numpy(), dataset.label_names
    values = metrics_of(classifier.predict(model, tokens), labels, names)
    for one in checkpoints:
        run_files.write_checkpoint(_open(one.path, tokenizer), one.step, at, directory)
    shown = {f"validation/{n}": v for n, v in values.items() if not n.startswith("recall/")}
    facts = RunFacts(
        seed=config.seed,
        checkpoints=[listed(one) for one in _kept(checkpoints)],
        history=[[checkpoints[-1].step, shown]],
        recall={name[7:]: value for name, value in values.items() if name.startswith("recall/")},
        epochs=checkpoints[-1].epoch,
    )
    return facts, np.zeros((0, len(dataset.train)), dtype=bool)


def _leave_given(at: Path, config: TrainConfig, train: pd.DataFrame) -> tuple[RunFacts, np.ndarray]:
    """Leave logits and scores; return the facts to record, and where logits are right."""
    logits, values, _ = _given(config, train)
    labels = train["label"].to_numpy()
    ends = _ends(config, len(logits), len(train))
    by_step = {end.step: epoch for end, epoch in zip(ends, logits, strict=True)}
    run_files.write_given(at, by_step, {str(name): values[name].to_numpy() for name in values})
    history = [
        [step, {"train/accuracy": float((epoch.argmax(1) == labels).mean())}]
        for step, epoch in by_step.items()
    ]
    facts = RunFacts(
        seed=config.seed,
        checkpoints=[listed(end) for end in ends],
        history=history,
        recall={},
        epochs=len(logits),
        weights=False,
        given=[str(name) for name in values],
    )
    return facts, logits.argmax(-1) == labels


def _given(
    config: TrainConfig, train: pd.DataFrame
) -> tuple[dynamics.Logits, pd.DataFrame, list[str]]:
    """Return logits (epochs, examples, classes) and scores, one of them empty, and notes."""
    path, labels = _path(config), train["label"].to_numpy()
    if path.is_file():
        values = dynamics.read_values(path)
        columns = dynamics.matches(train, values.index.tolist(), path)
        column, count = next(iter(columns)), len(values)
        logits = np.zeros((0, len(train), 1), dtype=np.float32)
        scores = values.iloc[columns[column]]
        more = []
    else:
        read = dynamics.read_cartography(path)
        columns = dynamics.matches(train, read.names, path)
        column, count = dynamics.by_gold(columns, read, labels), len(read.names)
        logits = dynamics.by_label(read, columns[column], labels)
        more = dynamics.surplus(read, columns[column], path)
        scores = pd.DataFrame(index=train.index)
    return logits, scores, [dynamics.matched(columns, column, count, path), *more]


def ignored(config: TrainConfig, names: Sequence[str], why: str) -> list[str]:
    """Say which of these parameters were given and have no effect, and why."""
    usual = TrainConfig()
    other = [name for name in names if getattr(config, name) != getattr(usual, name)]
    if not other:
        return []
    given = ", ".join(f"{name}={getattr(config, name)}" for name in other)
    return [f"{given} has no effect: {why}"]


def _ignored(config: TrainConfig) -> list[str]:
    why = "import_from takes one finished run as it is"
    return ignored(config, ("runs", "checkpoints", "checkpoint_every"), why)


def _open(checkpoint: Path, tokenizer) -> nn.Module:
    """Return a checkpoint; one that names no token for padding gets that of its tokenizer."""
    model = classifier.open_checkpoint(checkpoint)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id
    return model


def _retrained(config: TrainConfig, tokenizer, names: tuple[str, ...], model) -> list[str]:
    """Say that retrainings will use another model than the imported one, if `model` names none."""
    if config.model not in pretrained.SCRATCH:
        return []
    other = classifier.build(config, tokenizer, names, 0)
    shapes = [{name: w.shape for name, w in one.state_dict().items()} for one in (model, other)]
    if shapes[0] == shapes[1]:
        return []
    return [
        f"retrainings will use model={config.model}, from scratch, not the imported "
        f"{model.config.model_type}; name that one with model or retrain_with"
    ]


def _checkpoints(config: TrainConfig) -> tuple[Imported, ...]:
    """Return the checkpoints that `import_from` names, () for anything else."""
    path = _path(config)
    if not config.import_from or path.is_file() or dynamics.is_cartography(path):
        return ()
    return output.find(path, config.epochs, classifier.learning_rates(config)[0])


def _path(config: TrainConfig) -> Path:
    path = Path(config.import_from).absolute()
    if path.is_file() and not split_name(path.name)[1]:
        raise InputError(
            f"import_from={config.import_from!r} is a file, but not a table that can be read; "
            "give a folder of checkpoints, of Cartography's training dynamics, or a table of scores"
        )
    return path


def _ends(config: TrainConfig, epochs: int, examples: int) -> tuple[Checkpoint, ...]:
    """Return the ends of the epochs as checkpoints; dynamics do not record their steps."""
    steps, rate = steps_per_epoch(examples, config.batch_size), classifier.learning_rates(config)[0]
    return tuple(
        Checkpoint(steps * end, float(end), frozenset({"epochs"}), rate)
        for end in range(1, epochs + 1)
    )


def _kept(checkpoints: Sequence[Imported]) -> tuple[Checkpoint, ...]:
    """Return the imported checkpoints as those of a training."""
    return tuple(
        Checkpoint(one.step, one.epoch, frozenset(one.series), one.learning_rate)
        for one in checkpoints
    )
