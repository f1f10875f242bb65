"""Every parameter: one frozen dataclass per step; each field has a type, a default and a help line.

The field, the command-line flag, the MLproject parameter and the logged param are the same word.
A config validates and never rewrites what it was given.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from influence.config.lists import changed, fractions
from influence.errors import InputError, first_line

SEED = 2**31 - 1  # the largest that every library takes
Budget = Literal["auto", "epochs", "steps"]


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
    """Where jobs run, how many at once, and where results go; no result depends on it."""

    device: str = parameter(
        "auto", "where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one"
    )
    workers: int = parameter(
        0,
        "jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12 on a GPU",
        0,
    )
    threads: int = parameter(
        0,
        "CPU threads of each job, of which a narrow model trains on one; "
        "0: the cores divided by the workers",
        0,
    )
    cluster: str = parameter(
        "", "address of a Ray cluster that runs the jobs, or auto; empty: processes of this machine"
    )
    gpus: float = parameter(0.0, "GPUs of each job on a Ray cluster, such as 0.25; 0: none", 0)
    workdir: str = parameter(
        ".influence", "directory that keeps finished and unfinished steps for reuse"
    )
    track: bool = parameter(True, "whether to log to MLflow; false: write to the workdir only")


@dataclass(frozen=True, kw_only=True)
class DataConfig(Config):
    """Which examples are used, and how they are read."""

    dataset: str = parameter(
        "assistant",
        "hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such file, or "
        "assistant[:N], the built-in one",
    )
    dataset_config: str = parameter(
        "", "configuration of a hub dataset, such as sst2 of nyu-mll/glue"
    )
    text_column: str = parameter("", "column of the texts; empty: the first with a usual name")
    pair_column: str = parameter(
        "", "column of the second texts of a pair task; empty: the first with a usual name"
    )
    label_column: str = parameter("", "column of the labels; empty: the first with a usual name")
    unlabelled: str = parameter(
        "auto",
        "labels that mean no label, such as -1 or ?, comma-separated; auto: judged by the data; "
        "empty: all are classes",
    )
    task: Literal["classify", "nlu"] = parameter(
        "classify",
        "classify: one label per text; nlu: domain, intent and slots of voice-assistant requests",
    )
    intent_column: str = parameter(
        "", "task=nlu: column of the intents; empty: the first with a usual name"
    )
    slots_column: str = parameter(
        "", "task=nlu: column of the BIO tags; empty: the first with a usual name"
    )
    train_split: str = parameter("train", "split to train on, score and prune")
    validation_split: str = parameter(
        "validation", "split to choose on; cut from train where the dataset has none"
    )
    test_split: str = parameter(
        "test", "split to report results on; cut from train where the dataset is one table"
    )
    validation_fraction: float = parameter(
        0.1,
        "share of train that becomes the validation split where the dataset has none",
        0.01,
        0.99,
    )
    test_fraction: float = parameter(
        0.2, "share of a dataset that is one table which becomes the test split", 0.01, 0.99
    )
    data_seed: int = parameter(
        0,
        "random seed for the splits that are cut, caps, label noise, imbalance and the "
        "built-in dataset",
        0,
        SEED,
    )
    max_train: int = parameter(0, "largest number of train examples to use; 0: all", 0)
    max_test: int = parameter(
        0, "largest number of validation examples and of test examples to use; 0: all", 0
    )
    label_noise: float = parameter(
        0.0,
        "share of the train labels to redraw uniformly over all classes, to study label errors",
        0,
        1,
    )
    imbalance: float = parameter(
        1.0,
        "ratio of the largest class to the smallest after thinning train out to a long "
        "tail; 1: off",
        1,
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
    """Which classifier is trained."""

    model: str = parameter(
        "tiny",
        "hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm "
        "(packaged encoder)",
    )
    layers: int = parameter(0, "number of encoder layers to keep, from the first on; 0: all", 0)
    head: Literal["default", "mlp"] = parameter(
        "default", "classification head: the architecture's own (default) or three layers (mlp)"
    )
    head_size: int = parameter(64, "hidden width of head=mlp", 1)
    max_length: int = parameter(128, "longest input in tokens; longer texts are cut off", 4)
    vocabulary: int = parameter(
        8192, "size in tokens of the WordPiece vocabulary trained for tiny / mini / small", 100
    )


@dataclass(frozen=True, kw_only=True)
class FitConfig(ModelConfig):
    """How a classifier is trained, for its scores and in every retraining."""

    epochs: int = parameter(
        0,
        "passes over the train set; 0: as many as make 1500 steps, or 30 for each class if that is "
        "more, at least 3, at most 60",
        0,
    )
    batch_size: int = parameter(32, "examples per optimiser step", 1)
    learning_rate: float = parameter(
        0.0, "learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder", 0
    )
    head_learning_rate: float = parameter(
        0.0,
        "learning rate of the head; 0: the encoder's from scratch, ten times it for a "
        "pretrained one",
        0,
    )
    schedule: Literal["constant", "linear"] = parameter(
        "linear", "learning rate over the steps: falling linearly to 0, or constant"
    )
    warmup: float = parameter(
        0.1, "share of the steps in which the learning rate rises to its full value", 0, 1
    )
    weight_decay: float = parameter(0.0, "decoupled weight decay of AdamW", 0)
    max_grad_norm: float = parameter(1.0, "norm to which gradients are clipped; 0: never", 0)
    precision: Literal["fp32", "bf16", "auto"] = parameter(
        "auto",
        "precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has it, else "
        "fp32",
    )
    seed: int = parameter(
        0, "random seed for training and sampling: head, order of examples, dropout, draws", 0, SEED
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(FitConfig, DataConfig):
    """What a training leaves to be scored: checkpoints, observations, out-of-fold predictions."""

    checkpoints: int = parameter(10, "number of checkpoints, spread evenly over the training", 1)
    checkpoint_every: int = parameter(
        0, "optimiser steps from one checkpoint to the next, in place of checkpoints; 0: off", 0
    )
    observe_every: int = parameter(
        50,
        "optimiser steps between observations of which examples are classified correctly; 0: never",
        0,
    )
    observe_epochs: int = parameter(
        2, "epochs in which examples are observed, and which every run after the first trains", 1
    )
    runs: int = parameter(
        1,
        "training runs, each with a seed of its own, over which EL2N, PVI, GraNd and "
        "forgetting average",
        1,
    )
    null_model: bool = parameter(
        True, "whether to train a model on empty inputs as well, which PVI needs"
    )
    folds: int = parameter(
        0, "cross-validation folds for out-of-fold predictions of the train set; 0: none", 0
    )
    proxy: Literal["none", "probe"] = parameter(
        "none",
        "what is scored in place of the trained model: nothing (none), or a head on its frozen "
        "encoder, in seconds (probe)",
    )
    import_from: str = parameter(
        "",
        "folder of checkpoints or training dynamics, or CSV file of scores, made "
        "elsewhere; empty: train here",
    )
    stack: bool = parameter(
        False,
        "task=nlu: whether to train the models of intents and slots as well and keep the "
        "whole stack",
    )


@dataclass(frozen=True, kw_only=True)
class ScoreConfig(Config):
    """Which scores are computed, and how."""

    score: str = parameter(
        "vog,el2n,forgetting,pvi,tracin,aum",
        "scores to compute, comma-separated: name, name@epoch or name@from-to; or all",
    )
    tracin_layers: str = parameter(
        "last_layer",
        "parameters that tracin, value and value_class use: last_layer, all, classifier or a "
        "regular expression of names",
    )
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = parameter(
        "auto",
        "precision of scoring: fp32, tf32 or bf16 (their ranks are compared with fp32), or auto: "
        "bf16 on a GPU that has it",
    )
    batch_tokens: int = parameter(
        0, "tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU", 0
    )
    shard_size: int = parameter(
        0, "train examples measured and saved at a time; 0: a sixteenth of all, from 256 to 4096", 0
    )
    self_check: int = parameter(
        4, "examples of each scoring run whose values are compared with plain autograd", 1
    )
    examples: int = parameter(20, "number of hardest and of easiest examples listed per score", 1)
    export: str = parameter(
        "",
        "training dynamics to write for other tools: cartography, aum, or both, "
        "comma-separated; empty: none",
    )
    representations: bool = parameter(
        False,
        "whether to keep the encoder's vector of every example, which rules d2 and dedup read",
    )


@dataclass(frozen=True, kw_only=True)
class SampleConfig(Config):
    """Which examples stay at each fraction pruned."""

    fractions: str = parameter(
        "0.3,0.5,0.7",
        "fractions of the train set to prune, each at least 0 and below 1, comma-separated",
    )
    min_per_class: int = parameter(1, "smallest number of examples of each class to keep", 0)
    groups: str = parameter(
        "",
        "columns, comma-separated, by whose values pruning is judged besides the class, "
        "such as speaker,source",
    )
    min_per_intent: int = parameter(
        0, "task=nlu: smallest number of examples of each intent to keep", 0
    )
    draws: int = parameter(3, "subsets drawn per fraction by a rule that draws at random", 1)
    temperature: float = parameter(
        1.0, "temperature of rule softmax: higher is closer to random", 1e-6
    )
    epsilon: float = parameter(
        0.01, "smallest sampling weight of rule linear; the largest is 1", 1e-9, 1
    )
    winsorize: float = parameter(
        0.01, "share of the scores that rule linear clips at each end", 0, 0.49
    )
    beta: float = parameter(
        0.1,
        "share of the hardest examples that rules ccs, ccs_class, ccs_clean and d2 prune first",
        0,
        0.99,
    )
    strata: int = parameter(50, "number of score strata of rules ccs, ccs_class and ccs_clean", 1)
    exponent: float = parameter(
        4.0, "exponent of rule adaptive: the larger, the later it turns to easy examples", 0.1
    )
    neighbors: int = parameter(
        5, "nearest classmates whose scores rule d2 adds to that of an example", 1, 15
    )
    gamma: float = parameter(
        1.0, "rule d2: how fast an example's claim on its neighbours falls with their distance", 0
    )
    similarity: float = parameter(
        0.98, "similarity above which rule dedup takes an example for a near duplicate", 0, 1
    )

    def __post_init__(self) -> None:
        """Check the list of fractions as well."""
        super().__post_init__()
        fractions(self.fractions)


@dataclass(frozen=True, kw_only=True)
class RetrainConfig(Config):
    """How a model is retrained on what is left."""

    budget: Budget = parameter(
        "auto",
        "how long a subset is trained: auto, until it has converged; epochs or steps, as many as "
        "the full train set",
    )
    retrain_with: str = parameter(
        "",
        "parameters of another model to retrain, such as "
        "model=minilm&layers=3&learning_rate=3e-4; empty: the scored one",
    )
    threshold: float = parameter(
        0.5,
        "task=nlu: confidence of the domain below which a request counts as unrecoverable",
        0,
        1,
    )

    def __post_init__(self) -> None:
        """Check the parameters of the retrained model as well."""
        super().__post_init__()
        changed(FitConfig(), self.retrain_with)


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig(RetrainConfig):
    """How a model is retrained on what is left, and how often."""

    seeds: int = parameter(3, "retrainings per fraction, each with a seed of its own", 1)


@dataclass(frozen=True, kw_only=True)
class ChoiceConfig(RetrainConfig):
    """What is chosen by, between which percents, and where the workers of a study meet."""

    tolerance: float = parameter(
        0.01,
        "loss of the metric against the full train set that is accepted; 0.01 is one "
        "percentage point",
        0,
    )
    metric: Literal["accuracy", "macro_f1", "frame_accuracy"] = parameter(
        "accuracy",
        "metric that is compared; frame_accuracy: share of task=nlu requests without any error",
    )
    lowest: int = parameter(5, "smallest percentage of the train set to prune", 0, 99)
    highest: int = parameter(95, "largest percentage of the train set to prune", 1, 99)
    storage: str = parameter(
        "", "SQLAlchemy URL of the study's database; empty: SQLite in the workdir"
    )
    grace: int = parameter(
        60, "seconds without a sign of life after which another worker takes up a trial", 4
    )


@dataclass(frozen=True, kw_only=True)
class SearchConfig(ChoiceConfig, EvaluateConfig):
    """Which score, rule and fraction a search tries, and what it looks for."""

    goal: Literal["prune", "efficiency", "frontier"] = parameter(
        "prune",
        "prune: prune most within the tolerance; efficiency: lose least per percent "
        "pruned; frontier: the best trade-offs",
    )
    trials: int = parameter(40, "candidates that the study tries, by all its workers together", 1)
    rules: str = parameter("", "rules to search over, comma-separated; empty: all")
    test_seeds: int = parameter(
        5, "retrainings per row of the final test, each with a seed of its own", 1
    )


@dataclass(frozen=True, kw_only=True)
class RecommendConfig(ChoiceConfig):
    """Which arms a recommendation chooses from, and what it may cost."""

    arms: str = parameter(
        "aum:ccs_clean",
        "arms to choose from, comma-separated; random is always among them",
    )
    trainings: float = parameter(
        10.0,
        "what scoring and all retrainings may cost together, in trainings on the full train set",
        1,
    )
    minutes: float = parameter(0.0, "minutes after which no retraining begins; 0: no limit", 0)


def narrow(config: Config, kind: type, **more: Any) -> Any:
    """Return a config of `kind` with the fields that `config` shares with it, and `more`."""
    shared = {f.name for f in dataclasses.fields(kind)} & {
        f.name for f in dataclasses.fields(config)
    }
    return kind(**{**{name: getattr(config, name) for name in shared}, **more})


def restored(kind: type, values: Any, what: str) -> Any:
    """Return a config that was saved; raise InputError, which begins with `what`, if it cannot be.

    So it is where another version of this package had other parameters.
    """
    try:
        return kind(**values)
    except TypeError as error:
        raise InputError(
            f"{what} by another version of this package ({first_line(error)}); run that step again"
        ) from None


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
