"""For a training script of one's own: a callback of transformers' Trainer.

    trainer = Trainer(..., callbacks=[KeepCheckpoints("training", dataset="path/to/folder")])

One added line; after `trainer.train()` the scores are those of
`python -m entrypoints.score --training training --score vog,el2n,tracin`.
"""

import copy
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from influence import pipeline
from influence.config.steps import TrainStep
from influence.data import class_order, load
from influence.data.dataset import Dataset
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import compatibility, pretrained, tokenizers
from influence.runtime import store
from influence.tracking import run
from influence.training import step as training
from influence.training.trainer.notes import STATE

SCHEDULES = {"constant", "linear"}
PLANNED = "planned.json"  # the steps that shall be kept, as known when this one was


class KeepCheckpoints(TrainerCallback):
    """Keep evenly spread checkpoints and those at the ends of epochs; leave a training directory.

    A training that resumes keeps what was kept before, and one that stops early leaves what it has.
    The dataset is named as on the command line, since scores need the texts and labels themselves
    and not what a script has made of them. Raises InputError, before any step is trained, for a
    dataset that cannot be read or whose classes are numbered otherwise than the model's, for texts
    that the model cannot read, and where a training resumes whose first checkpoints are not there.
    """

    def __init__(self, directory: str | Path, checkpoints: int = 10, **parameters: Any) -> None:
        """`directory`: where the training goes; `parameters`: dataset, text_column, max_length."""
        self.directory, self.checkpoints, self.parameters = Path(directory), checkpoints, parameters
        self.kept = self.directory.with_name(f"{self.directory.name}.checkpoints")

    def on_train_begin(self, args, state, control, model=None, processing_class=None, **kwargs):
        """Read the dataset, and lay down at which steps weights are kept."""
        if self.directory.exists():
            raise InputError(f"{self.directory} is there already; name another, or remove it")
        config = TrainStep(**self.parameters)
        dataset = load.load(config)
        class_order.check_numbers("the model", model.config.id2label, dataset.label_names)
        name = self.parameters.get("model") or model.name_or_path or "tiny"
        if processing_class is not None:
            _check_belongs(model, processing_class, config.max_length, dataset)
        elif name in pretrained.SCRATCH:
            raise InputError(
                f"this Trainer has no tokenizer, and that of model={name} cannot be its model's; "
                "give Trainer(processing_class=tokenizer), or KeepCheckpoints(model=...)"
            )
        spread = range(1, self.checkpoints + 1)
        self.steps = {max(1, round(state.max_steps * n / self.checkpoints)) for n in spread}
        self._clear(getattr(state, "global_step", 0))

    def on_step_end(self, args, state, control, model=None, lr_scheduler=None, **kwargs) -> None:
        """Keep the weights, the rate and the epoch of this step if it is one of those."""
        if state.global_step in self.steps:
            self._keep(state, model, lr_scheduler)

    def on_epoch_end(self, args, state, control, model=None, lr_scheduler=None, **kwargs) -> None:
        """Keep the weights at the end of every epoch."""
        if state.global_step not in self.steps:
            self.steps.add(state.global_step)
            self._keep(state, model, lr_scheduler)

    def on_train_end(self, args, state, control, model=None, processing_class=None, **kwargs):
        """Leave the training directory, which `score` reads."""
        if not state.is_world_process_zero:
            return
        if processing_class is not None:
            processing_class.save_pretrained(self.kept)
        config = TrainStep(
            **{**_fit_of(args, state, model), **self.parameters},
            import_from=str(self.kept),
            workdir=str(self.directory.parent / f"{self.directory.name}.work"),
            track=False,
        )
        with cluster.engine(config) as engine:
            dataset, paired = training.open_dataset(config), processing_class is not None
            request = pipeline.checked(config, dataset, engine, paired=paired)
            made = run.Run("").follow(training.train(request, engine))
        with store.replacing(self.directory) as temporary:
            shutil.copytree(made, temporary)
        for path in (self.kept, Path(config.workdir)):
            shutil.rmtree(path)

    def _clear(self, resumed: int) -> None:
        """Remove what is kept of steps after `resumed`, those of a training that was cut off.

        Raises InputError if one of the steps before is missing.
        """
        if not resumed:
            shutil.rmtree(self.kept, ignore_errors=True)
            return
        paths = {int(path.name.split("-")[1]): path for path in self.kept.glob("checkpoint-*")}
        before = sorted(step for step in paths if step <= resumed)
        noted = paths[before[-1]] / PLANNED if before else self.kept / PLANNED
        planned = json.loads(noted.read_text()) if noted.exists() else self.steps
        if missing := sorted(step for step in planned if step <= resumed and step not in paths):
            raise InputError(
                f"this training resumes after step {resumed}, but {self.kept} lacks the checkpoint "
                f"of step {missing[0]}; train from the start, or give the Trainer's own "
                "checkpoints to import"
            )
        for step in paths.keys() - before:
            shutil.rmtree(paths[step], ignore_errors=True)  # every process of a Trainer does

    def _keep(self, state, model, lr_scheduler) -> None:
        if not state.is_world_process_zero:
            return
        with store.replacing(self.kept / f"checkpoint-{state.global_step}") as at:
            model.save_pretrained(at)
            rate = lr_scheduler.get_last_lr()[0]
            noted = {"step": state.global_step, "learning_rate": rate}
            written = {
                "global_step": state.global_step,
                "epoch": state.epoch,
                "log_history": [noted],
            }
            (at / STATE).write_text(json.dumps(written), encoding="utf-8")
            (at / PLANNED).write_text(json.dumps(sorted(self.steps)), encoding="utf-8")


def _check_belongs(model, tokenizer, max_length: int, dataset: Dataset) -> None:
    """Raise InputError if the model cannot read the texts through its tokenizer, as it will be."""
    with tempfile.TemporaryDirectory() as at:
        tokenizer.save_pretrained(at)
        read = tokenizers.read_tokenizer(at, "of the Trainer")
    on_cpu = model if model.device.type == "cpu" else copy.deepcopy(model).cpu()
    for note in compatibility.check("the model", on_cpu, read, max_length, dataset.splits):
        print(note, file=sys.stderr)


def _fit_of(args, state, model) -> dict[str, Any]:
    """Return what the retrainings take over from the Trainer: epochs are those it has trained."""
    schedule = str(getattr(args.lr_scheduler_type, "value", args.lr_scheduler_type))
    return {
        "model": model.name_or_path or "tiny",
        "epochs": max(1, round(state.epoch)),
        "batch_size": args.per_device_train_batch_size * args.gradient_accumulation_steps,
        "learning_rate": args.learning_rate,
        "head_learning_rate": args.learning_rate,
        "schedule": schedule if schedule in SCHEDULES else "constant",
        "weight_decay": args.weight_decay,
        "max_grad_norm": args.max_grad_norm or 0.0,
        "seed": args.seed,
    }
