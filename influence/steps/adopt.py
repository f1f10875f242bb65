"""adopt: take checkpoints made elsewhere for a training run of our own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from influence import adoption, data, evaluation, models, store
from influence.adoption import Adopted
from influence.config import TrainConfig
from influence.steps.inputs import encode


def adopted(config: TrainConfig) -> tuple[Adopted, ...]:
    """Return the checkpoints that `adopt` names, () for a training of our own."""
    if not config.adopt:
        return ()
    rate = models.learning_rates(config)[0]
    return adoption.find(Path(config.adopt).absolute(), config.epochs, rate)


def tokenizer_of(config: TrainConfig, dataset: data.Dataset, found: Sequence[Adopted]):
    """Return the tokenizer of the model, or the one that was saved beside its checkpoints."""
    if found and (found[-1].path / "tokenizer_config.json").is_file():
        return models.open_tokenizer(found[-1].path)
    return models.load_tokenizer(config, data.texts_of(dataset.train))


def leave_run(
    directory: Path, config: TrainConfig, dataset: data.Dataset, found: Sequence[Adopted]
) -> None:
    """Leave the run that made these checkpoints, as `train_run` would have: weights, no more."""
    model = models.open_checkpoint(found[-1].path)
    tokenizer = models.open_tokenizer(directory / "tokenizer")
    tokens = encode(tokenizer, dataset.validation, config)
    labels, names = dataset.validation["label"].to_numpy(), dataset.label_names
    values = evaluation.metrics(models.predict(model, tokens), labels, names)
    recall = {name[7:]: value for name, value in values.items() if name.startswith("recall/")}
    with store.replacing(directory / "runs/0") as at:
        at.mkdir()
        for one in found:
            models.save(models.open_checkpoint(one.path), at / f"step-{one.step:06d}")
        np.save(at / "observations.npy", np.zeros((0, len(dataset.train)), dtype=bool))
        store.write_json(at / "null.json", {})
        shown = {f"validation/{n}": v for n, v in values.items() if not n.startswith("recall/")}
        made = {"seed": config.seed, "checkpoints": [entry(one) for one in found]}
        kept = {"observations": False, "null": [], "epochs": found[-1].epoch, "seconds": 0.0}
        history = [[found[-1].step, shown]]
        store.write_json(at / "run.json", made | kept | {"history": history, "recall": recall})


def entry(one: Adopted) -> dict:
    """Return a checkpoint as manifests list it."""
    return {
        "step": one.step,
        "epoch": one.epoch,
        "series": one.series,
        "learning_rate": one.learning_rate,
    }
