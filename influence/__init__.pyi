# Rendered from influence/config by `python -m influence.config.render`; do not edit.
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Literal, TypeVar, overload

import pandas as pd
from datasets import Dataset

from influence import scores as scores
from influence.callback import KeepCheckpoints as KeepCheckpoints
from influence.errors import InputError as InputError
from influence.evaluation.result import Curve
from influence.report.compared import Comparison
from influence.sampling.arrays import prune as prune
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from influence.searching.planning.result import Answer
from influence.searching.result import Recommendation
from influence.training.result import Training

__version__: str
__all__: list[str]

Folder = str | PathLike[str]
Names = str | float | Iterable[str] | Iterable[float]
Data = Folder | pd.DataFrame | Dataset | Mapping[str, pd.DataFrame] | Mapping[str, Dataset]

def compare(
    dataset: Data = "assistant",
    arms: Names = "aum:ccs_clean,random",
    *,
    max_seeds: int = 0,
    equal_steps: bool = False,
    rescore: bool = False,
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    unlabelled: Names = "auto",
    task: Literal["classify", "nlu"] = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    data_seed: int = 0,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    model: Folder = "tiny",
    layers: int = 0,
    head: Literal["default", "mlp"] = "default",
    head_size: int = 64,
    max_length: int = 128,
    vocabulary: int = 8192,
    epochs: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "auto",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    proxy: Literal["none", "probe"] = "none",
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "vog,el2n,forgetting,pvi,tracin,aum",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = "auto",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    representations: bool = False,
    fractions: Names = "0.3,0.5,0.7",
    min_per_class: int = 1,
    groups: Names = "",
    min_per_intent: int = 0,
    draws: int = 3,
    temperature: float = 1.0,
    epsilon: float = 0.01,
    winsorize: float = 0.01,
    beta: float = 0.1,
    strata: int = 50,
    exponent: float = 4.0,
    neighbors: int = 5,
    gamma: float = 1.0,
    similarity: float = 0.98,
    budget: Literal["auto", "epochs", "steps"] = "auto",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    seeds: int = 3,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Comparison:
    """Train, score, sample and evaluate every arm against random pruning.

    dataset: hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such file,
        or assistant[:N], the built-in one
    arms: arms to compare, comma-separated; random is always added

    Compare:
        max_seeds: add seeds to `seeds` until the verdict is decided, up to this many; 0: add
            none
        equal_steps: whether to add a second baseline: random trained for as many steps as the
            full train set
        rescore: whether to prune iteratively: train and score again on what is left before each
            fraction

    Data:
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: column of the texts; empty: the first with a usual name
        pair_column: column of the second texts of a pair task; empty: the first with a usual
            name
        label_column: column of the labels; empty: the first with a usual name
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: judged by
            the data; empty: all are classes
        task: classify: one label per text; nlu: domain, intent and slots of voice-assistant
            requests
        intent_column: task=nlu: column of the intents; empty: the first with a usual name
        slots_column: task=nlu: column of the BIO tags; empty: the first with a usual name
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where the dataset has none
        test_split: split to report results on; cut from train where the dataset is one table
        validation_fraction: share of train that becomes the validation split where the dataset
            has none
        test_fraction: share of a dataset that is one table which becomes the test split
        data_seed: random seed for the splits that are cut, caps, label noise, imbalance and the
            built-in dataset
        max_train: largest number of train examples to use; 0: all
        max_test: largest number of validation examples and of test examples to use; 0: all
        label_noise: share of the train labels to redraw uniformly over all classes, to study
            label errors
        imbalance: ratio of the largest class to the smallest after thinning train out to a long
            tail; 1: off

    Model:
        model: hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm
            (packaged encoder)
        layers: number of encoder layers to keep, from the first on; 0: all
        head: classification head: the architecture's own (default) or three layers (mlp)
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; longer texts are cut off
        vocabulary: size in tokens of the WordPiece vocabulary trained for tiny / mini / small

    Training:
        epochs: passes over the train set; 0: as many as make 1500 steps, or 30 for each class
            if that is more, at least 3, at most 60
        batch_size: examples per optimiser step
        learning_rate: learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained
            encoder
        head_learning_rate: learning rate of the head; 0: the encoder's from scratch, ten times
            it for a pretrained one
        schedule: learning rate over the steps: falling linearly to 0, or constant
        warmup: share of the steps in which the learning rate rises to its full value
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: norm to which gradients are clipped; 0: never
        precision: precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has
            it, else fp32
        seed: random seed for training and sampling: head, order of examples, dropout, draws
        checkpoints: number of checkpoints, spread evenly over the training
        checkpoint_every: optimiser steps from one checkpoint to the next, in place of
            checkpoints; 0: off
        observe_every: optimiser steps between observations of which examples are classified
            correctly; 0: never
        observe_epochs: epochs in which examples are observed, and which every run after the
            first trains
        runs: training runs, each with a seed of its own, over which EL2N, PVI, GraNd and
            forgetting average
        null_model: whether to train a model on empty inputs as well, which PVI needs
        folds: cross-validation folds for out-of-fold predictions of the train set; 0: none
        proxy: what is scored in place of the trained model: nothing (none), or a head on its
            frozen encoder, in seconds (probe)
        import_from: folder of checkpoints or training dynamics, or CSV file of scores, made
            elsewhere; empty: train here
        stack: task=nlu: whether to train the models of intents and slots as well and keep the
            whole stack

    Scores:
        score: scores to compute, comma-separated: name, name@epoch or name@from-to; or all
        tracin_layers: parameters that tracin, value and value_class use: last_layer, all,
            classifier or a regular expression of names
        score_precision: precision of scoring: fp32, tf32 or bf16 (their ranks are compared with
            fp32), or auto: bf16 on a GPU that has it
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU
        shard_size: train examples measured and saved at a time; 0: a sixteenth of all, from 256
            to 4096
        self_check: examples of each scoring run whose values are compared with plain autograd
        examples: number of hardest and of easiest examples listed per score
        export: training dynamics to write for other tools: cartography, aum, or both,
            comma-separated; empty: none
        representations: whether to keep the encoder's vector of every example, which rules d2
            and dedup read

    Pruning:
        fractions: fractions of the train set to prune, each at least 0 and below 1,
            comma-separated
        min_per_class: smallest number of examples of each class to keep
        groups: columns, comma-separated, by whose values pruning is judged besides the class,
            such as speaker,source
        min_per_intent: task=nlu: smallest number of examples of each intent to keep
        draws: subsets drawn per fraction by a rule that draws at random
        temperature: temperature of rule softmax: higher is closer to random
        epsilon: smallest sampling weight of rule linear; the largest is 1
        winsorize: share of the scores that rule linear clips at each end
        beta: share of the hardest examples that rules ccs, ccs_class, ccs_clean and d2 prune
            first
        strata: number of score strata of rules ccs, ccs_class and ccs_clean
        exponent: exponent of rule adaptive: the larger, the later it turns to easy examples
        neighbors: nearest classmates whose scores rule d2 adds to that of an example
        gamma: rule d2: how fast an example's claim on its neighbours falls with their distance
        similarity: similarity above which rule dedup takes an example for a near duplicate

    Retraining:
        budget: how long a subset is trained: auto, until it has converged; epochs or steps, as
            many as the full train set
        retrain_with: parameters of another model to retrain, such as
            model=minilm&layers=3&learning_rate=3e-4; empty: the scored one
        threshold: task=nlu: confidence of the domain below which a request counts as
            unrecoverable
        seeds: retrainings per fraction, each with a seed of its own

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def train(
    dataset: Data = "assistant",
    *,
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    unlabelled: Names = "auto",
    task: Literal["classify", "nlu"] = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    data_seed: int = 0,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    model: Folder = "tiny",
    layers: int = 0,
    head: Literal["default", "mlp"] = "default",
    head_size: int = 64,
    max_length: int = 128,
    vocabulary: int = 8192,
    epochs: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "auto",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    proxy: Literal["none", "probe"] = "none",
    import_from: Folder = "",
    stack: bool = False,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Training:
    """Fine-tune a classifier and keep its checkpoints and observations.

    dataset: hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such file,
        or assistant[:N], the built-in one

    Data:
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: column of the texts; empty: the first with a usual name
        pair_column: column of the second texts of a pair task; empty: the first with a usual
            name
        label_column: column of the labels; empty: the first with a usual name
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: judged by
            the data; empty: all are classes
        task: classify: one label per text; nlu: domain, intent and slots of voice-assistant
            requests
        intent_column: task=nlu: column of the intents; empty: the first with a usual name
        slots_column: task=nlu: column of the BIO tags; empty: the first with a usual name
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where the dataset has none
        test_split: split to report results on; cut from train where the dataset is one table
        validation_fraction: share of train that becomes the validation split where the dataset
            has none
        test_fraction: share of a dataset that is one table which becomes the test split
        data_seed: random seed for the splits that are cut, caps, label noise, imbalance and the
            built-in dataset
        max_train: largest number of train examples to use; 0: all
        max_test: largest number of validation examples and of test examples to use; 0: all
        label_noise: share of the train labels to redraw uniformly over all classes, to study
            label errors
        imbalance: ratio of the largest class to the smallest after thinning train out to a long
            tail; 1: off

    Model:
        model: hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm
            (packaged encoder)
        layers: number of encoder layers to keep, from the first on; 0: all
        head: classification head: the architecture's own (default) or three layers (mlp)
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; longer texts are cut off
        vocabulary: size in tokens of the WordPiece vocabulary trained for tiny / mini / small

    Training:
        epochs: passes over the train set; 0: as many as make 1500 steps, or 30 for each class
            if that is more, at least 3, at most 60
        batch_size: examples per optimiser step
        learning_rate: learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained
            encoder
        head_learning_rate: learning rate of the head; 0: the encoder's from scratch, ten times
            it for a pretrained one
        schedule: learning rate over the steps: falling linearly to 0, or constant
        warmup: share of the steps in which the learning rate rises to its full value
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: norm to which gradients are clipped; 0: never
        precision: precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has
            it, else fp32
        seed: random seed for training and sampling: head, order of examples, dropout, draws
        checkpoints: number of checkpoints, spread evenly over the training
        checkpoint_every: optimiser steps from one checkpoint to the next, in place of
            checkpoints; 0: off
        observe_every: optimiser steps between observations of which examples are classified
            correctly; 0: never
        observe_epochs: epochs in which examples are observed, and which every run after the
            first trains
        runs: training runs, each with a seed of its own, over which EL2N, PVI, GraNd and
            forgetting average
        null_model: whether to train a model on empty inputs as well, which PVI needs
        folds: cross-validation folds for out-of-fold predictions of the train set; 0: none
        proxy: what is scored in place of the trained model: nothing (none), or a head on its
            frozen encoder, in seconds (probe)
        import_from: folder of checkpoints or training dynamics, or CSV file of scores, made
            elsewhere; empty: train here
        stack: task=nlu: whether to train the models of intents and slots as well and keep the
            whole stack

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def score(
    training: Training | Folder,
    score: Names = "vog,el2n,forgetting,pvi,tracin,aum",
    *,
    split: Literal["train", "validation", "test"] = "train",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = "auto",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    representations: bool = False,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Scores:
    """Score every train example in one pass over all checkpoints.

    training: training directory to score: a path or runs:/<id>/training
    score: scores to compute, comma-separated: name, name@epoch or name@from-to; or all

    Score:
        split: split whose examples are scored; only train can be pruned

    Scores:
        tracin_layers: parameters that tracin, value and value_class use: last_layer, all,
            classifier or a regular expression of names
        score_precision: precision of scoring: fp32, tf32 or bf16 (their ranks are compared with
            fp32), or auto: bf16 on a GPU that has it
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU
        shard_size: train examples measured and saved at a time; 0: a sixteenth of all, from 256
            to 4096
        self_check: examples of each scoring run whose values are compared with plain autograd
        examples: number of hardest and of easiest examples listed per score
        export: training dynamics to write for other tools: cartography, aum, or both,
            comma-separated; empty: none
        representations: whether to keep the encoder's vector of every example, which rules d2
            and dedup read

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def sample(
    scores: Scores | Folder,
    arm: str = "aum:ccs_clean",
    *,
    seed: int = 0,
    fractions: Names = "0.3,0.5,0.7",
    min_per_class: int = 1,
    groups: Names = "",
    min_per_intent: int = 0,
    draws: int = 3,
    temperature: float = 1.0,
    epsilon: float = 0.01,
    winsorize: float = 0.01,
    beta: float = 0.1,
    strata: int = 50,
    exponent: float = 4.0,
    neighbors: int = 5,
    gamma: float = 1.0,
    similarity: float = 0.98,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Sample:
    """Choose the examples to keep by an arm, score:rule[:normalize].

    scores: scores directory to sample from: a path or runs:/<id>/scores
    arm: arm to sample by: score:rule[:normalize], random, stratified, clean, drop or dedup

    Sample:
        seed: random seed for ties and draws

    Pruning:
        fractions: fractions of the train set to prune, each at least 0 and below 1,
            comma-separated
        min_per_class: smallest number of examples of each class to keep
        groups: columns, comma-separated, by whose values pruning is judged besides the class,
            such as speaker,source
        min_per_intent: task=nlu: smallest number of examples of each intent to keep
        draws: subsets drawn per fraction by a rule that draws at random
        temperature: temperature of rule softmax: higher is closer to random
        epsilon: smallest sampling weight of rule linear; the largest is 1
        winsorize: share of the scores that rule linear clips at each end
        beta: share of the hardest examples that rules ccs, ccs_class, ccs_clean and d2 prune
            first
        strata: number of score strata of rules ccs, ccs_class and ccs_clean
        exponent: exponent of rule adaptive: the larger, the later it turns to easy examples
        neighbors: nearest classmates whose scores rule d2 adds to that of an example
        gamma: rule d2: how fast an example's claim on its neighbours falls with their distance
        similarity: similarity above which rule dedup takes an example for a near duplicate

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def evaluate(
    sample: Sample | Folder,
    *,
    budget: Literal["auto", "epochs", "steps"] = "auto",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    seeds: int = 3,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Curve:
    """Retrain on each subset and draw the pruned-accuracy curve.

    sample: sample directory to evaluate: a path or runs:/<id>/sample

    Retraining:
        budget: how long a subset is trained: auto, until it has converged; epochs or steps, as
            many as the full train set
        retrain_with: parameters of another model to retrain, such as
            model=minilm&layers=3&learning_rate=3e-4; empty: the scored one
        threshold: task=nlu: confidence of the domain below which a request counts as
            unrecoverable
        seeds: retrainings per fraction, each with a seed of its own

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def search(
    scores: Scores | Folder = "",
    *,
    dataset: Data = "assistant",
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    unlabelled: Names = "auto",
    task: Literal["classify", "nlu"] = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    data_seed: int = 0,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    model: Folder = "tiny",
    layers: int = 0,
    head: Literal["default", "mlp"] = "default",
    head_size: int = 64,
    max_length: int = 128,
    vocabulary: int = 8192,
    epochs: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "auto",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    proxy: Literal["none", "probe"] = "none",
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = "auto",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    representations: bool = False,
    budget: Literal["auto", "epochs", "steps"] = "auto",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    seeds: int = 3,
    tolerance: float = 0.01,
    metric: Literal["accuracy", "macro_f1", "frame_accuracy"] = "accuracy",
    lowest: int = 5,
    highest: int = 95,
    storage: str = "",
    grace: int = 60,
    goal: Literal["prune", "efficiency", "frontier"] = "prune",
    trials: int = 40,
    rules: Names = "",
    test_seeds: int = 5,
    datasets: Names = "",
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Recommendation:
    """Find how much of a train set can go, by which score and rule, before accuracy suffers.

    scores: scores directory to search: a path or runs:/<id>/scores; empty: train and score
        first

    Data:
        dataset: hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such
            file, or assistant[:N], the built-in one
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: column of the texts; empty: the first with a usual name
        pair_column: column of the second texts of a pair task; empty: the first with a usual
            name
        label_column: column of the labels; empty: the first with a usual name
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: judged by
            the data; empty: all are classes
        task: classify: one label per text; nlu: domain, intent and slots of voice-assistant
            requests
        intent_column: task=nlu: column of the intents; empty: the first with a usual name
        slots_column: task=nlu: column of the BIO tags; empty: the first with a usual name
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where the dataset has none
        test_split: split to report results on; cut from train where the dataset is one table
        validation_fraction: share of train that becomes the validation split where the dataset
            has none
        test_fraction: share of a dataset that is one table which becomes the test split
        data_seed: random seed for the splits that are cut, caps, label noise, imbalance and the
            built-in dataset
        max_train: largest number of train examples to use; 0: all
        max_test: largest number of validation examples and of test examples to use; 0: all
        label_noise: share of the train labels to redraw uniformly over all classes, to study
            label errors
        imbalance: ratio of the largest class to the smallest after thinning train out to a long
            tail; 1: off

    Model:
        model: hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm
            (packaged encoder)
        layers: number of encoder layers to keep, from the first on; 0: all
        head: classification head: the architecture's own (default) or three layers (mlp)
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; longer texts are cut off
        vocabulary: size in tokens of the WordPiece vocabulary trained for tiny / mini / small

    Training:
        epochs: passes over the train set; 0: as many as make 1500 steps, or 30 for each class
            if that is more, at least 3, at most 60
        batch_size: examples per optimiser step
        learning_rate: learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained
            encoder
        head_learning_rate: learning rate of the head; 0: the encoder's from scratch, ten times
            it for a pretrained one
        schedule: learning rate over the steps: falling linearly to 0, or constant
        warmup: share of the steps in which the learning rate rises to its full value
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: norm to which gradients are clipped; 0: never
        precision: precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has
            it, else fp32
        seed: random seed for training and sampling: head, order of examples, dropout, draws
        checkpoints: number of checkpoints, spread evenly over the training
        checkpoint_every: optimiser steps from one checkpoint to the next, in place of
            checkpoints; 0: off
        observe_every: optimiser steps between observations of which examples are classified
            correctly; 0: never
        observe_epochs: epochs in which examples are observed, and which every run after the
            first trains
        runs: training runs, each with a seed of its own, over which EL2N, PVI, GraNd and
            forgetting average
        null_model: whether to train a model on empty inputs as well, which PVI needs
        folds: cross-validation folds for out-of-fold predictions of the train set; 0: none
        proxy: what is scored in place of the trained model: nothing (none), or a head on its
            frozen encoder, in seconds (probe)
        import_from: folder of checkpoints or training dynamics, or CSV file of scores, made
            elsewhere; empty: train here
        stack: task=nlu: whether to train the models of intents and slots as well and keep the
            whole stack

    Scores:
        score: scores to search over; empty: those of the directory, or the default ones at
            every epoch
        tracin_layers: parameters that tracin, value and value_class use: last_layer, all,
            classifier or a regular expression of names
        score_precision: precision of scoring: fp32, tf32 or bf16 (their ranks are compared with
            fp32), or auto: bf16 on a GPU that has it
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU
        shard_size: train examples measured and saved at a time; 0: a sixteenth of all, from 256
            to 4096
        self_check: examples of each scoring run whose values are compared with plain autograd
        examples: number of hardest and of easiest examples listed per score
        export: training dynamics to write for other tools: cartography, aum, or both,
            comma-separated; empty: none
        representations: whether to keep the encoder's vector of every example, which rules d2
            and dedup read

    Retraining:
        budget: how long a subset is trained: auto, until it has converged; epochs or steps, as
            many as the full train set
        retrain_with: parameters of another model to retrain, such as
            model=minilm&layers=3&learning_rate=3e-4; empty: the scored one
        threshold: task=nlu: confidence of the domain below which a request counts as
            unrecoverable
        seeds: retrainings per fraction, each with a seed of its own

    Choice:
        tolerance: loss of the metric against the full train set that is accepted; 0.01 is one
            percentage point
        metric: metric that is compared; frame_accuracy: share of task=nlu requests without any
            error
        lowest: smallest percentage of the train set to prune
        highest: largest percentage of the train set to prune
        storage: SQLAlchemy URL of the study's database; empty: SQLite in the workdir
        grace: seconds without a sign of life after which another worker takes up a trial

    Search:
        goal: prune: prune most within the tolerance; efficiency: lose least per percent pruned;
            frontier: the best trade-offs
        trials: candidates that the study tries, by all its workers together
        rules: rules to search over, comma-separated; empty: all
        test_seeds: retrainings per row of the final test, each with a seed of its own
        datasets: datasets to search one by one, comma-separated, each with its own parameters:
            trec,hwu?label_column=domain

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def recommend(
    dataset: Data = "assistant",
    *,
    scores: Scores | Folder = "",
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    unlabelled: Names = "auto",
    task: Literal["classify", "nlu"] = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    data_seed: int = 0,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    model: Folder = "tiny",
    layers: int = 0,
    head: Literal["default", "mlp"] = "default",
    head_size: int = 64,
    max_length: int = 128,
    vocabulary: int = 8192,
    epochs: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "auto",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 0,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = False,
    folds: int = 0,
    proxy: Literal["none", "probe"] = "none",
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = "auto",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    representations: bool = False,
    budget: Literal["auto", "epochs", "steps"] = "auto",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    tolerance: float = 0.01,
    metric: Literal["accuracy", "macro_f1", "frame_accuracy"] = "accuracy",
    lowest: int = 5,
    highest: int = 95,
    storage: str = "",
    grace: int = 60,
    arms: Names = "aum:ccs_clean",
    trainings: float = 10.0,
    minutes: float = 0.0,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Answer:
    """Recommend how much of a train set to prune, and by which arm, at a given price.

    dataset: hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such file,
        or assistant[:N], the built-in one

    Recommend:
        scores: scores directory to choose from: a path or runs:/<id>/scores; empty: train and
            score first

    Data:
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: column of the texts; empty: the first with a usual name
        pair_column: column of the second texts of a pair task; empty: the first with a usual
            name
        label_column: column of the labels; empty: the first with a usual name
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: judged by
            the data; empty: all are classes
        task: classify: one label per text; nlu: domain, intent and slots of voice-assistant
            requests
        intent_column: task=nlu: column of the intents; empty: the first with a usual name
        slots_column: task=nlu: column of the BIO tags; empty: the first with a usual name
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where the dataset has none
        test_split: split to report results on; cut from train where the dataset is one table
        validation_fraction: share of train that becomes the validation split where the dataset
            has none
        test_fraction: share of a dataset that is one table which becomes the test split
        data_seed: random seed for the splits that are cut, caps, label noise, imbalance and the
            built-in dataset
        max_train: largest number of train examples to use; 0: all
        max_test: largest number of validation examples and of test examples to use; 0: all
        label_noise: share of the train labels to redraw uniformly over all classes, to study
            label errors
        imbalance: ratio of the largest class to the smallest after thinning train out to a long
            tail; 1: off

    Model:
        model: hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm
            (packaged encoder)
        layers: number of encoder layers to keep, from the first on; 0: all
        head: classification head: the architecture's own (default) or three layers (mlp)
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; longer texts are cut off
        vocabulary: size in tokens of the WordPiece vocabulary trained for tiny / mini / small

    Training:
        epochs: passes over the train set; 0: as many as make 1500 steps, or 30 for each class
            if that is more, at least 3, at most 60
        batch_size: examples per optimiser step
        learning_rate: learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained
            encoder
        head_learning_rate: learning rate of the head; 0: the encoder's from scratch, ten times
            it for a pretrained one
        schedule: learning rate over the steps: falling linearly to 0, or constant
        warmup: share of the steps in which the learning rate rises to its full value
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: norm to which gradients are clipped; 0: never
        precision: precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has
            it, else fp32
        seed: random seed for training and sampling: head, order of examples, dropout, draws
        checkpoints: number of checkpoints, spread evenly over the training
        checkpoint_every: optimiser steps from one checkpoint to the next, in place of
            checkpoints; 0: off
        observe_every: optimiser steps between observations of which examples are classified
            correctly; 0: never
        observe_epochs: epochs in which examples are observed, and which every run after the
            first trains
        runs: training runs, each with a seed of its own, over which EL2N, PVI, GraNd and
            forgetting average
        null_model: whether to train a model on empty inputs as well, which PVI needs
        folds: cross-validation folds for out-of-fold predictions of the train set; 0: none
        proxy: what is scored in place of the trained model: nothing (none), or a head on its
            frozen encoder, in seconds (probe)
        import_from: folder of checkpoints or training dynamics, or CSV file of scores, made
            elsewhere; empty: train here
        stack: task=nlu: whether to train the models of intents and slots as well and keep the
            whole stack

    Scores:
        score: scores to compute; empty: those that the arms read
        tracin_layers: parameters that tracin, value and value_class use: last_layer, all,
            classifier or a regular expression of names
        score_precision: precision of scoring: fp32, tf32 or bf16 (their ranks are compared with
            fp32), or auto: bf16 on a GPU that has it
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU
        shard_size: train examples measured and saved at a time; 0: a sixteenth of all, from 256
            to 4096
        self_check: examples of each scoring run whose values are compared with plain autograd
        examples: number of hardest and of easiest examples listed per score
        export: training dynamics to write for other tools: cartography, aum, or both,
            comma-separated; empty: none
        representations: whether to keep the encoder's vector of every example, which rules d2
            and dedup read

    Retraining:
        budget: how long a subset is trained: auto, until it has converged; epochs or steps, as
            many as the full train set
        retrain_with: parameters of another model to retrain, such as
            model=minilm&layers=3&learning_rate=3e-4; empty: the scored one
        threshold: task=nlu: confidence of the domain below which a request counts as
            unrecoverable

    Choice:
        tolerance: loss of the metric against the full train set that is accepted; 0.01 is one
            percentage point
        metric: metric that is compared; frame_accuracy: share of task=nlu requests without any
            error
        lowest: smallest percentage of the train set to prune
        highest: largest percentage of the train set to prune
        storage: SQLAlchemy URL of the study's database; empty: SQLite in the workdir
        grace: seconds without a sign of life after which another worker takes up a trial

    Recommendation:
        arms: arms to choose from, comma-separated; random is always among them
        trainings: what scoring and all retrainings may cost together, in trainings on the full
            train set
        minutes: minutes after which no retraining begins; 0: no limit

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

def study(
    study: Folder,
    *,
    max_seeds: int = 0,
    equal_steps: bool = False,
    scale: Literal["full", "small"] = "full",
    arms: Names = "aum:ccs_clean,random",
    rescore: bool = False,
    dataset: Data = "assistant",
    dataset_config: str = "",
    text_column: str = "",
    pair_column: str = "",
    label_column: str = "",
    unlabelled: Names = "auto",
    task: Literal["classify", "nlu"] = "classify",
    intent_column: str = "",
    slots_column: str = "",
    train_split: str = "train",
    validation_split: str = "validation",
    test_split: str = "test",
    validation_fraction: float = 0.1,
    test_fraction: float = 0.2,
    data_seed: int = 0,
    max_train: int = 0,
    max_test: int = 0,
    label_noise: float = 0.0,
    imbalance: float = 1.0,
    model: Folder = "tiny",
    layers: int = 0,
    head: Literal["default", "mlp"] = "default",
    head_size: int = 64,
    max_length: int = 128,
    vocabulary: int = 8192,
    epochs: int = 0,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "linear",
    warmup: float = 0.1,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "auto",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    proxy: Literal["none", "probe"] = "none",
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "vog,el2n,forgetting,pvi,tracin,aum",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "tf32", "bf16", "auto"] = "auto",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    representations: bool = False,
    fractions: Names = "0.3,0.5,0.7",
    min_per_class: int = 1,
    groups: Names = "",
    min_per_intent: int = 0,
    draws: int = 3,
    temperature: float = 1.0,
    epsilon: float = 0.01,
    winsorize: float = 0.01,
    beta: float = 0.1,
    strata: int = 50,
    exponent: float = 4.0,
    neighbors: int = 5,
    gamma: float = 1.0,
    similarity: float = 0.98,
    budget: Literal["auto", "epochs", "steps"] = "auto",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    seeds: int = 3,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> dict[str, Comparison]:
    """Run the study that a file describes: one comparison per variant, by its name.

    study: study file that sets other parameters, such as studies/imbalance.yaml

    Study:
        max_seeds: add seeds to `seeds` until the verdict is decided, up to this many; 0: add
            none
        equal_steps: whether to add a second baseline: random trained for as many steps as the
            full train set
        scale: full, or small: the shorter form of the study
        arms: arms to compare, comma-separated; random is always added
        rescore: whether to prune iteratively: train and score again on what is left before each
            fraction

    Data:
        dataset: hub id, folder of {train,validation,test}.{parquet,csv,tsv,jsonl}, one such
            file, or assistant[:N], the built-in one
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: column of the texts; empty: the first with a usual name
        pair_column: column of the second texts of a pair task; empty: the first with a usual
            name
        label_column: column of the labels; empty: the first with a usual name
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: judged by
            the data; empty: all are classes
        task: classify: one label per text; nlu: domain, intent and slots of voice-assistant
            requests
        intent_column: task=nlu: column of the intents; empty: the first with a usual name
        slots_column: task=nlu: column of the BIO tags; empty: the first with a usual name
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where the dataset has none
        test_split: split to report results on; cut from train where the dataset is one table
        validation_fraction: share of train that becomes the validation split where the dataset
            has none
        test_fraction: share of a dataset that is one table which becomes the test split
        data_seed: random seed for the splits that are cut, caps, label noise, imbalance and the
            built-in dataset
        max_train: largest number of train examples to use; 0: all
        max_test: largest number of validation examples and of test examples to use; 0: all
        label_noise: share of the train labels to redraw uniformly over all classes, to study
            label errors
        imbalance: ratio of the largest class to the smallest after thinning train out to a long
            tail; 1: off

    Model:
        model: hub id, directory, tiny / mini / small (BERT trained from scratch) or minilm
            (packaged encoder)
        layers: number of encoder layers to keep, from the first on; 0: all
        head: classification head: the architecture's own (default) or three layers (mlp)
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; longer texts are cut off
        vocabulary: size in tokens of the WordPiece vocabulary trained for tiny / mini / small

    Training:
        epochs: passes over the train set; 0: as many as make 1500 steps, or 30 for each class
            if that is more, at least 3, at most 60
        batch_size: examples per optimiser step
        learning_rate: learning rate of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained
            encoder
        head_learning_rate: learning rate of the head; 0: the encoder's from scratch, ten times
            it for a pretrained one
        schedule: learning rate over the steps: falling linearly to 0, or constant
        warmup: share of the steps in which the learning rate rises to its full value
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: norm to which gradients are clipped; 0: never
        precision: precision of training: fp32, bf16 (autocast), or auto: bf16 on a GPU that has
            it, else fp32
        seed: random seed for training and sampling: head, order of examples, dropout, draws
        checkpoints: number of checkpoints, spread evenly over the training
        checkpoint_every: optimiser steps from one checkpoint to the next, in place of
            checkpoints; 0: off
        observe_every: optimiser steps between observations of which examples are classified
            correctly; 0: never
        observe_epochs: epochs in which examples are observed, and which every run after the
            first trains
        runs: training runs, each with a seed of its own, over which EL2N, PVI, GraNd and
            forgetting average
        null_model: whether to train a model on empty inputs as well, which PVI needs
        folds: cross-validation folds for out-of-fold predictions of the train set; 0: none
        proxy: what is scored in place of the trained model: nothing (none), or a head on its
            frozen encoder, in seconds (probe)
        import_from: folder of checkpoints or training dynamics, or CSV file of scores, made
            elsewhere; empty: train here
        stack: task=nlu: whether to train the models of intents and slots as well and keep the
            whole stack

    Scores:
        score: scores to compute, comma-separated: name, name@epoch or name@from-to; or all
        tracin_layers: parameters that tracin, value and value_class use: last_layer, all,
            classifier or a regular expression of names
        score_precision: precision of scoring: fp32, tf32 or bf16 (their ranks are compared with
            fp32), or auto: bf16 on a GPU that has it
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 32768 on a GPU
        shard_size: train examples measured and saved at a time; 0: a sixteenth of all, from 256
            to 4096
        self_check: examples of each scoring run whose values are compared with plain autograd
        examples: number of hardest and of easiest examples listed per score
        export: training dynamics to write for other tools: cartography, aum, or both,
            comma-separated; empty: none
        representations: whether to keep the encoder's vector of every example, which rules d2
            and dedup read

    Pruning:
        fractions: fractions of the train set to prune, each at least 0 and below 1,
            comma-separated
        min_per_class: smallest number of examples of each class to keep
        groups: columns, comma-separated, by whose values pruning is judged besides the class,
            such as speaker,source
        min_per_intent: task=nlu: smallest number of examples of each intent to keep
        draws: subsets drawn per fraction by a rule that draws at random
        temperature: temperature of rule softmax: higher is closer to random
        epsilon: smallest sampling weight of rule linear; the largest is 1
        winsorize: share of the scores that rule linear clips at each end
        beta: share of the hardest examples that rules ccs, ccs_class, ccs_clean and d2 prune
            first
        strata: number of score strata of rules ccs, ccs_class and ccs_clean
        exponent: exponent of rule adaptive: the larger, the later it turns to easy examples
        neighbors: nearest classmates whose scores rule d2 adds to that of an example
        gamma: rule d2: how fast an example's claim on its neighbours falls with their distance
        similarity: similarity above which rule dedup takes an example for a near duplicate

    Retraining:
        budget: how long a subset is trained: auto, until it has converged; epochs or steps, as
            many as the full train set
        retrain_with: parameters of another model to retrain, such as
            model=minilm&layers=3&learning_rate=3e-4; empty: the scored one
        threshold: task=nlu: confidence of the domain below which a request counts as
            unrecoverable
        seeds: retrainings per fraction, each with a seed of its own

    Execution:
        device: where models run: cpu, cuda, cuda:1, ...; auto: a GPU if there is one
        workers: jobs that run at once, on a GPU trainings side by side; 0: one per core, or 12
            on a GPU
        threads: CPU threads of each job, of which a narrow model trains on one; 0: the cores
            divided by the workers
        cluster: address of a Ray cluster that runs the jobs, or auto; empty: processes of this
            machine
        gpus: GPUs of each job on a Ray cluster, such as 0.25; 0: none
        workdir: directory that keeps finished and unfinished steps for reuse
        track: whether to log to MLflow; false: write to the workdir only
    """

Record = TypeVar("Record", Training, Scores, Sample, Curve, Recommendation, Answer)

@overload
def load(directory: Folder) -> Training | Scores | Sample | Curve | Recommendation | Answer: ...
@overload
def load(directory: Record) -> Record: ...
