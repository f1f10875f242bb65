"""Every parameter: one frozen dataclass per step; each field has a type, a default and a help line.

The field, the command-line flag, the MLproject parameter and the logged param are the same word.
A config validates and never rewrites what it was given.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from influence.errors import InputError

SEED = 2**31 - 1  # the largest that every library takes


def parameter(default: Any, help: str, low: float | None = None, high: float | None = None) -> Any:
    """Declare a field with its line of help and, for numbers, the smallest and largest value."""
    return dataclasses.field(
        default=default, metadata={"help": help.replace("%", "%%"), "low": low, "high": high}
    )


@dataclass(frozen=True, kw_only=True)
class Config:
    """What every config does: check its own values."""

    def __post_init__(self) -> None:
        """Raise InputError for the first value out of range or outside its choices."""
        for field in dataclasses.fields(self):
            _check(field, getattr(self, field.name))

    def parameters(self, of: type | None = None) -> dict[str, Any]:
        """Return the fields (of one parent class, if given) as a plain dictionary."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(of or self)}


@dataclass(frozen=True, kw_only=True)
class ExecutionConfig(Config):
    """Where and how fast things run: never part of what a result depends on."""

    device: str = parameter("auto", "cpu, cuda, cuda:1, ... or auto: a GPU if there is one")
    workers: int = parameter(0, "independent jobs at once; 0: one per core (one on a GPU)", 0)
    threads: int = parameter(0, "threads of each job; 0: the cores divided by the workers", 0)
    cluster: str = parameter(
        "", "a Ray cluster for the jobs: its address, or auto; empty: processes of this machine"
    )
    gpus: float = parameter(0.0, "cluster: GPUs of each job, such as 0.25; 0: none", 0)
    workdir: str = parameter(".influence", "where finished and unfinished steps are kept for reuse")
    track: bool = parameter(True, "log to MLflow; false: leave the directories only")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """Which examples."""

    dataset: str = parameter(
        "assistant",
        "hub id, directory with {train,validation,test}.{parquet,csv,tsv,jsonl}, or assistant[:N]",
    )
    dataset_config: str = parameter(
        "", "configuration of a hub dataset, such as sst2 of nyu-mll/glue"
    )
    text_column: str = parameter("", "text column; empty: found by its usual names")
    pair_column: str = parameter(
        "", "second text column of a pair task; empty: found by its usual names"
    )
    label_column: str = parameter("", "label column; empty: found by its usual names")
    unlabelled: str = parameter(
        "auto",
        "labels that mean no label, such as -1 or ?, comma-separated; auto: by evidence; empty: "
        "none, every label is a class",
    )
    task: Literal["classify", "nlu"] = parameter(
        "classify", "classify; nlu: the domains, intents and slots of a voice assistant"
    )
    intent_column: str = parameter("", "intents of task=nlu; empty: found by its usual names")
    slots_column: str = parameter("", "BIO tags of task=nlu; empty: found by its usual names")
    train_split: str = parameter("train", "split to train on, score and prune")
    validation_split: str = parameter(
        "validation", "split to choose on; cut from train where absent"
    )
    test_split: str = parameter("test", "split to report on")
    validation_fraction: float = parameter(
        0.1, "share of train that becomes validation", 0.01, 0.99
    )
    data_seed: int = parameter(
        0, "of what is cut, capped and redrawn of the data, and of the built-in dataset", 0, SEED
    )
    max_train: int = parameter(0, "use at most this many train examples; 0: all", 0)
    max_test: int = parameter(0, "use at most this many validation and test examples; 0: all", 0)
    label_noise: float = parameter(
        0.0,
        "share of the train labels redrawn uniformly over all classes, to see what it does",
        0,
        1,
    )
    imbalance: float = parameter(
        1.0, "thin train out into a long tail of classes, the largest so many times the smallest", 1
    )

    def __post_init__(self) -> None:
        """Check that no parameter is of the other task as well."""
        super().__post_init__()
        if self.task == "nlu" and self.pair_column:
            raise InputError(
                f"pair_column={self.pair_column!r} is for task=classify: a request is one text"
            )
        if self.task == "nlu" and self.label_noise:
            raise InputError(
                "label_noise is for task=classify: a new domain would have no such intent"
            )
        for name in ("intent_column", "slots_column"):
            if self.task != "nlu" and getattr(self, name):
                raise InputError(f"{name}={getattr(self, name)!r} is for task=nlu")


@dataclass(frozen=True, kw_only=True)
class ModelConfig(Config):
    """Which classifier."""

    model: str = parameter(
        "tiny",
        "hub id, directory, tiny / mini / small (BERT from scratch), or minilm (packaged encoder)",
    )
    layers: int = parameter(0, "keep only the first encoder layers; 0: all", 0)
    head: Literal["default", "mlp"] = parameter(
        "default", "the architecture's own head, or three layers"
    )
    head_size: int = parameter(64, "hidden width of head=mlp", 1)
    max_length: int = parameter(128, "longest input in tokens; the rest is cut off", 4)
    vocabulary: int = parameter(
        8192, "tokens of the WordPiece vocabulary of tiny / mini / small", 100
    )


@dataclass(frozen=True, kw_only=True)
class FitConfig(ModelConfig):
    """How a classifier is trained: shared by the scored training and every retraining."""

    epochs: int = parameter(3, "passes over the train set", 1)
    batch_size: int = parameter(32, "examples per optimiser step", 1)
    learning_rate: float = parameter(
        0.0, "of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder", 0
    )
    head_learning_rate: float = parameter(
        0.0, "of the head; 0: the encoder's from scratch, ten times that for a pretrained one", 0
    )
    schedule: Literal["constant", "linear"] = parameter("constant", "learning rate over the steps")
    warmup: float = parameter(0.0, "share of the steps with a rising learning rate", 0, 1)
    weight_decay: float = parameter(0.0, "decoupled weight decay of AdamW", 0)
    max_grad_norm: float = parameter(1.0, "clip the gradient to this norm; 0: never", 0)
    precision: Literal["fp32", "bf16", "auto"] = parameter(
        "fp32", "bf16: training under autocast; auto: bf16 where the hardware has it"
    )
    seed: int = parameter(
        0, "of everything random in training and sampling: head, order, dropout, draws", 0, SEED
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(FitConfig, DataConfig):
    """train: fine-tune with checkpoints and observations."""

    checkpoints: int = parameter(10, "checkpoints spread evenly over the training", 1)
    checkpoint_every: int = parameter(0, "one checkpoint every so many steps instead; 0: off", 0)
    observe_every: int = parameter(
        50, "observe who is classified correctly every so many steps; 0: never", 0
    )
    observe_epochs: int = parameter(
        2, "epochs observed, and trained by every run after the first", 1
    )
    runs: int = parameter(1, "training seeds over which EL2N, PVI, GraNd and forgetting average", 1)
    null_model: bool = parameter(True, "also train on empty inputs, as PVI needs")
    folds: int = parameter(
        0, "also train so many models on all but one fold, to see every example unseen; 0: none", 0
    )
    import_from: str = parameter(
        "",
        "score what was made elsewhere: a folder of checkpoints or training dynamics, or a CSV of "
        "scores",
    )
    stack: bool = parameter(
        False, "task=nlu: also train intents and slots, and keep the whole stack"
    )


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Config):
    """score: one number per train example and score."""

    score: str = parameter(
        "vog,el2n,forgetting,pvi,tracin",
        "scores to compute, each name[@epoch] or name[@from-to]; or all",
    )
    tracin_layers: str = parameter(
        "last_layer", "parameters of TracIn: last_layer, all, classifier or a regular expression"
    )
    score_precision: Literal["fp32", "bf16", "auto"] = parameter(
        "fp32", "bf16: scoring under autocast, its ranks compared with fp32; auto: as in training"
    )
    batch_tokens: int = parameter(
        0, "tokens of a scoring batch, padding included; 0: 1024, or 4096 on a GPU", 0
    )
    shard_size: int = parameter(
        0, "examples measured and saved at a time; 0: a sixteenth of all, 256 to 4096", 0
    )
    self_check: int = parameter(4, "examples compared with plain autograd in each scoring run", 1)
    examples: int = parameter(20, "hardest and easiest examples listed per score", 1)
    export: str = parameter(
        "", "leave training dynamics for other tools as well: cartography, aum, or both"
    )


@dataclass(frozen=True, kw_only=True)
class SampleConfig(Config):
    """sample: which examples stay at each fraction pruned."""

    fractions: str = parameter("0.3,0.5,0.7", "fractions of the train set to prune, each in [0, 1)")
    min_per_class: int = parameter(1, "never keep fewer examples of a class than this", 0)
    groups: str = parameter(
        "", "columns besides the class by whose values pruning is judged, such as speaker,source"
    )
    min_per_intent: int = parameter(
        0, "task=nlu: never keep fewer examples of an intent than this", 0
    )
    draws: int = parameter(3, "samples drawn per fraction by a rule that draws", 1)
    temperature: float = parameter(1.0, "of rule softmax", 1e-6)
    epsilon: float = parameter(0.01, "smallest weight of rule linear, the largest being 1", 1e-9, 1)
    winsorize: float = parameter(
        0.01, "share of the scores clipped at each end by rule linear", 0, 0.49
    )
    beta: float = parameter(0.1, "hardest share that rule ccs prunes first", 0, 0.99)
    strata: int = parameter(50, "score strata of rule ccs", 1)

    def __post_init__(self) -> None:
        """Check the list of fractions as well."""
        super().__post_init__()
        fractions(self.fractions)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(Config):
    """evaluate: retrain on what is left and measure."""

    seeds: int = parameter(3, "retrainings per fraction", 1)
    budget: Literal["epochs", "steps"] = parameter(
        "epochs", "train a subset for the same epochs or the same steps as the full set"
    )
    retrain_with: str = parameter(
        "", "retrain another model than the scored one: model=minilm&layers=3&learning_rate=3e-4"
    )
    threshold: float = parameter(
        0.5, "confidence of the domain below which task=nlu counts a request as unrecoverable", 0, 1
    )

    def __post_init__(self) -> None:
        """Check the parameters of the retrained model as well."""
        super().__post_init__()
        changed(FitConfig(), self.retrain_with)


@dataclass(frozen=True, kw_only=True)
class SearchConfig(EvaluateConfig):
    """search: which score, rule and fraction."""

    goal: Literal["prune", "efficiency", "frontier"] = parameter(
        "prune",
        "within the tolerance prune most, or lose least per percent pruned; or trade one for the "
        "other",
    )
    trials: int = parameter(40, "candidates tried by the study, all its workers together", 1)
    tolerance: float = parameter(
        0.01, "accuracy that may be lost against the full train set; 0.01 is one point", 0
    )
    metric: Literal["accuracy", "macro_f1", "frame_accuracy"] = parameter(
        "accuracy", "what is compared; frame_accuracy: requests of task=nlu without any error"
    )
    rules: str = parameter("", "rules to search over, comma-separated; empty: all")
    lowest: int = parameter(5, "smallest percent pruned", 0, 99)
    highest: int = parameter(95, "largest percent pruned", 1, 99)
    test_seeds: int = parameter(
        5, "retrainings per row of the final test, with seeds of their own", 1
    )
    storage: str = parameter("", "SQLAlchemy URL of the study; empty: sqlite in the workdir")
    grace: int = parameter(
        60, "seconds of silence after which a worker's trial is taken up again", 4
    )


@dataclass(frozen=True, kw_only=True)
class TrainStep(TrainConfig, ExecutionConfig):
    """Fine-tune a classifier and keep its checkpoints and observations."""


@dataclass(frozen=True, kw_only=True)
class ScoreStep(ScoreConfig, ExecutionConfig):
    """Score every train example in one pass over all checkpoints."""

    training: str = parameter("", "a training directory: a path or runs:/<id>/training")
    split: Literal["train", "validation", "test"] = parameter(
        "train", "score the examples of another split, to know them: only train can be pruned"
    )


@dataclass(frozen=True, kw_only=True)
class SampleStep(SampleConfig, ExecutionConfig):
    """Choose the examples to keep by an arm, score:rule[:normalize]."""

    scores: str = parameter("", "a scores directory: a path or runs:/<id>/scores")
    arm: str = parameter("vog:easy:class", "score:rule[:normalize], random, stratified or drop")
    seed: int = parameter(0, "of ties and draws", 0, SEED)


@dataclass(frozen=True, kw_only=True)
class EvaluateStep(EvaluateConfig, ExecutionConfig):
    """Retrain on each subset and draw the pruned-accuracy curve."""

    sample: str = parameter("", "a sample directory: a path or runs:/<id>/sample")


@dataclass(frozen=True, kw_only=True)
class MainStep(TrainConfig, ScoreConfig, SampleConfig, EvaluateConfig, ExecutionConfig):
    """Train, score, sample and evaluate every arm beside random pruning."""

    equal_steps: bool = parameter(
        False, "a second baseline: random trained for as many steps as the full train set"
    )
    study: str = parameter(
        "", "a study file such as studies/imbalance.yaml, which sets other parameters"
    )
    scale: Literal["full", "small"] = parameter("full", "small: the study's shorter form")

    arms: str = parameter(
        "vog:easy:class,vog:linear:dataset,el2n:easy,forgetting:easy,random",
        "arms to compare, comma-separated; random is always among them",
    )
    rescore: bool = parameter(
        False, "iterative pruning: train and score again what is left before each fraction"
    )


@dataclass(frozen=True, kw_only=True)
class SearchStep(TrainConfig, ScoreConfig, SearchConfig, ExecutionConfig):
    """Find how much of a train set can go, by which score and rule, before accuracy suffers."""

    scores: str = parameter(
        "", "a scores directory: a path or runs:/<id>/scores; empty: train and score first"
    )
    score: str = parameter(
        "", "scores to search over; empty: those of the directory, or the paper's at every epoch"
    )
    datasets: str = parameter(
        "",
        "search several, comma-separated, each with own parameters: trec,hwu?label_column=domain",
    )


STEPS: dict[str, type[Config]] = {
    "main": MainStep,
    "train": TrainStep,
    "score": ScoreStep,
    "sample": SampleStep,
    "evaluate": EvaluateStep,
    "search": SearchStep,
}


def narrow(config: Config, kind: type, **more: Any) -> Any:
    """Return a config of `kind` with the fields that `config` shares with it, and `more`."""
    shared = {f.name for f in dataclasses.fields(kind)} & {
        f.name for f in dataclasses.fields(config)
    }
    return kind(**{**{name: getattr(config, name) for name in shared}, **more})


def required(step: str) -> str:
    """Return the parameter of `step` that has no usable default: the directory it reads."""
    return {"score": "training", "sample": "scores", "evaluate": "sample"}.get(step, "")


def names(text: str) -> tuple[str, ...]:
    """Split a comma-separated list, without blanks and repeats."""
    return tuple(dict.fromkeys(name for name in (part.strip() for part in text.split(",")) if name))


def fractions(text: str) -> tuple[float, ...]:
    """Parse `fractions` into ascending numbers in [0, 1).

    They have eight decimals, and so six as the percents that results are named by: else 0.3 and
    0.1 + 0.2 would be two of one name, and what a name says could leave another number of examples.

    Raises InputError for what is not a number, out of range, or for an empty list.
    """
    try:
        values = sorted({round(float(part), 8) + 0.0 for part in names(text)})  # + 0.0: no -0.0
    except ValueError:
        raise InputError(f"fractions must be numbers such as 0.1,0.3, not {text!r}") from None
    if not values or not all(0 <= value < 1 for value in values):
        raise InputError(f"every fraction pruned must be at least 0 and below 1, not {text!r}")
    return tuple(values)


def changed(values: Any, text: str) -> Any:
    """Return a config with the parameters changed that `text` lists, as name=value&name=value.

    Raises InputError for a parameter that there is not, and for a value that does not fit.
    """
    kinds = {field.name: field.type for field in dataclasses.fields(values)}
    new: dict[str, Any] = {}
    for part in filter(None, text.split("&")):
        name, _, value = part.partition("=")
        if name not in kinds:
            raise InputError(f"{text!r} names {name!r}, but there is {', '.join(kinds)}")
        try:
            new[name] = kinds[name](value) if kinds[name] in (int, float) else value
        except ValueError:
            raise InputError(f"{name} must be a number, not {value!r}, in {text!r}") from None
    return dataclasses.replace(values, **new)


def _check(field: dataclasses.Field, value: Any) -> None:
    low, high = field.metadata["low"], field.metadata["high"]
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"{field.name} must be a number and finite, not {value}")
    if low is not None and value < low:
        raise InputError(f"{field.name} must be at least {low}, not {value}")
    if high is not None and value > high:
        raise InputError(f"{field.name} must be at most {high}, not {value}")
    if get_origin(field.type) is Literal and value not in get_args(field.type):
        raise InputError(
            f"{field.name} must be one of {', '.join(get_args(field.type))}, not {value!r}"
        )
