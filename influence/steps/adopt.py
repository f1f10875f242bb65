"""adopt: take for a training of our own what was made elsewhere: checkpoints, or what they left.

Checkpoints can give every score that weights give. Training dynamics give the scores that read
logits at the ends of epochs, and a table of scores gives these scores alone.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

from influence import adoption, dynamics, evaluation, models, planning, store
from influence.adoption import Adopted
from influence.config import TrainConfig
from influence.errors import InputError
from influence.saved import Dataset, texts_of
from influence.steps.inputs import GIVEN_LOGITS, GIVEN_SCORES, encode, read_checkpoints
from influence.training import steps_per_epoch


def check(config: TrainConfig, dataset: Dataset) -> None:
    """Raise InputError if what `adopt` names does not fit the dataset."""
    if found := _checkpoints(config):
        adoption.check_labels(found, dataset.label_names)
    elif config.adopt:
        _given(config, dataset.train)


def identity(config: TrainConfig) -> str:
    """Return a digest of what `adopt` names."""
    if found := _checkpoints(config):
        return adoption.identity(found)
    path = _path(config)
    files = [path] if path.is_file() else sorted(path.rglob("*dynamics_epoch_*"))
    return " ".join(store.file_digest(file)[:16] for file in files)


def expected(config: TrainConfig, examples: int) -> planning.RunInfo:
    """Return what the adopted run will hold for `examples` train examples."""
    trails = config.task == "nlu"
    if found := _checkpoints(config):
        checkpoints = read_checkpoints([_entry(one) for one in found])
        return planning.RunInfo(config.seed, checkpoints, False, (), trails)
    path = _path(config)
    if path.is_file():
        scores = frozenset(dynamics.read_values(path))
        return planning.RunInfo(config.seed, (), False, (), trails, False, frozenset(), scores)
    count = len(dynamics.read_cartography(path).logits)
    ends = read_checkpoints(_ends(config, count, examples))
    return planning.RunInfo(config.seed, ends, True, (), trails, False, frozenset({"logits"}))


def tokenizer_of(config: TrainConfig, dataset: Dataset):
    """Return the tokenizer of the model, or the one that was saved beside adopted checkpoints."""
    found = _checkpoints(config)
    if found and (found[-1].path / "tokenizer_config.json").is_file():
        return models.open_tokenizer(found[-1].path)
    return models.load_tokenizer(config, texts_of(dataset.train))


def leave_run(directory: Path, config: TrainConfig, dataset: Dataset) -> None:
    """Leave in `runs/0` what `train_run` would have left there, as far as it is known."""
    with store.replacing(directory / "runs/0") as at:
        at.mkdir()
        if found := _checkpoints(config):
            made = _leave_checkpoints(at, directory / "tokenizer", config, dataset, found)
        else:
            made = _leave_given(at, config, dataset.train)
        store.write_json(at / "null.json", {})
        usual = {"seed": config.seed, "null": [], "seconds": 0.0, "weights": True, "given": []}
        store.write_json(at / "run.json", usual | made)


def _leave_checkpoints(at: Path, tokenizer: Path, config: TrainConfig, dataset, found) -> dict:
    model, tokenizer = models.open_checkpoint(found[-1].path), models.open_tokenizer(tokenizer)
    tokens = encode(tokenizer, dataset.validation, config)
    labels, names = dataset.validation["label"].to_numpy(), dataset.label_names
    values = evaluation.metrics(models.predict(model, tokens), labels, names)
    for one in found:
        models.save(models.open_checkpoint(one.path), at / f"step-{one.step:06d}")
    np.save(at / "observations.npy", np.zeros((0, len(dataset.train)), dtype=bool))
    shown = {f"validation/{n}": v for n, v in values.items() if not n.startswith("recall/")}
    return {
        "checkpoints": [_entry(one) for one in found],
        "observations": False,
        "epochs": found[-1].epoch,
        "history": [[found[-1].step, shown]],
        "recall": {name[7:]: value for name, value in values.items() if name.startswith("recall/")},
    }


def _leave_given(at: Path, config: TrainConfig, train: pd.DataFrame) -> dict:
    logits, values = _given(config, train)
    labels = train["label"].to_numpy()
    ends = _ends(config, len(logits), len(train))
    by_step = {str(end["step"]): epoch for end, epoch in zip(ends, logits, strict=True)}
    save_file(by_step, at / GIVEN_LOGITS)
    save_file({name: values[name].to_numpy() for name in values}, at / GIVEN_SCORES)
    np.save(at / "observations.npy", logits.argmax(-1) == labels)
    history = [
        [end["step"], {"train/accuracy": float((epoch.argmax(1) == labels).mean())}]
        for end, epoch in zip(ends, logits, strict=True)
    ]
    made = {"checkpoints": ends, "observations": bool(len(logits)), "epochs": len(logits)}
    return made | {"history": history, "recall": {}, "weights": False, "given": list(values)}


def _given(config: TrainConfig, train: pd.DataFrame) -> tuple[dynamics.Logits, pd.DataFrame]:
    """Return the logits (epochs, examples, classes) and the scores that are given; one is empty."""
    path = _path(config)
    if path.is_file():
        values = dynamics.read_values(path)
        found = values.iloc[dynamics.places(train, values.index.tolist(), path)]
        return np.zeros((0, len(train), 1), dtype=np.float32), found
    read = dynamics.read_cartography(path)
    at = dynamics.places(train, read.names, path)
    return dynamics.by_label(read, at, train["label"].to_numpy()), pd.DataFrame(index=train.index)


def _checkpoints(config: TrainConfig) -> tuple[Adopted, ...]:
    """Return the checkpoints that `adopt` names, () for anything else."""
    path = _path(config)
    if not config.adopt or path.is_file() or dynamics.is_cartography(path):
        return ()
    return adoption.find(path, config.epochs, models.learning_rates(config)[0])


def _path(config: TrainConfig) -> Path:
    path = Path(config.adopt).absolute()
    if path.is_file() and path.suffix != ".csv":
        raise InputError(
            f"adopt={config.adopt!r} is a file, but no .csv; give a folder of checkpoints, of "
            "Cartography's training dynamics, or a CSV of scores"
        )
    return path


def _ends(config: TrainConfig, epochs: int, examples: int) -> list[dict]:
    """Return the ends of the epochs as checkpoints; dynamics do not know their steps."""
    steps, rate = steps_per_epoch(examples, config.batch_size), models.learning_rates(config)[0]
    return [
        {"step": steps * end, "epoch": float(end), "series": ["epochs"], "learning_rate": rate}
        for end in range(1, epochs + 1)
    ]


def _entry(one: Adopted) -> dict:
    """Return a checkpoint as manifests list it."""
    return {
        "step": one.step,
        "epoch": one.epoch,
        "series": one.series,
        "learning_rate": one.learning_rate,
    }
