# Rendered from influence/config by `python -m influence.config.render`; do not edit.
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Literal

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
from influence.searching.result import Recommendation
from influence.training.result import Training

__version__: str
__all__: list[str]

Folder = str | PathLike[str]
Names = str | float | Iterable[str] | Iterable[float]
Data = Folder | pd.DataFrame | Dataset | Mapping[str, pd.DataFrame] | Mapping[str, Dataset]

def compare(
    dataset: Data = "assistant",
    arms: Names = "vog:easy:class,vog:linear:dataset,el2n:easy,forgetting:easy,random",
    *,
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
    epochs: int = 3,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "constant",
    warmup: float = 0.0,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "vog,el2n,forgetting,pvi,tracin",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "bf16", "auto"] = "fp32",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
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
    seeds: int = 3,
    budget: Literal["epochs", "steps"] = "epochs",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Comparison:
    """Train, score, sample and evaluate every arm beside random pruning.

    dataset: hub id, directory with {train,validation,test}.{parquet,csv,tsv,jsonl}, or
        assistant[:N]
    arms: arms to compare, comma-separated; random is always among them

    Compare:
        equal_steps: a second baseline: random trained for as many steps as the full train set
        rescore: iterative pruning: train and score again what is left before each fraction

    Data:
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: text column; empty: found by its usual names
        pair_column: second text column of a pair task; empty: found by its usual names
        label_column: label column; empty: found by its usual names
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: by
            evidence; empty: none, every label is a class
        task: classify; nlu: the domains, intents and slots of a voice assistant
        intent_column: intents of task=nlu; empty: found by its usual names
        slots_column: BIO tags of task=nlu; empty: found by its usual names
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where absent
        test_split: split to report on
        validation_fraction: share of train that becomes validation
        data_seed: of what is cut, capped and redrawn of the data, and of the built-in dataset
        max_train: use at most this many train examples; 0: all
        max_test: use at most this many validation and test examples; 0: all
        label_noise: share of the train labels redrawn uniformly over all classes, to see what
            it does
        imbalance: thin train out into a long tail of classes, the largest so many times the
            smallest

    Model:
        model: hub id, directory, tiny / mini / small (BERT from scratch), or minilm (packaged
            encoder)
        layers: keep only the first encoder layers; 0: all
        head: the architecture's own head, or three layers
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; the rest is cut off
        vocabulary: tokens of the WordPiece vocabulary of tiny / mini / small

    Training:
        epochs: passes over the train set
        batch_size: examples per optimiser step
        learning_rate: of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder
        head_learning_rate: of the head; 0: the encoder's from scratch, ten times that for a
            pretrained one
        schedule: learning rate over the steps
        warmup: share of the steps with a rising learning rate
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: clip the gradient to this norm; 0: never
        precision: bf16: training under autocast; auto: bf16 where the hardware has it
        seed: of everything random in training and sampling: head, order, dropout, draws
        checkpoints: checkpoints spread evenly over the training
        checkpoint_every: one checkpoint every so many steps instead; 0: off
        observe_every: observe who is classified correctly every so many steps; 0: never
        observe_epochs: epochs observed, and trained by every run after the first
        runs: training seeds over which EL2N, PVI, GraNd and forgetting average
        null_model: also train on empty inputs, as PVI needs
        folds: also train so many models on all but one fold, to see every example unseen; 0:
            none
        import_from: score what was made elsewhere: a folder of checkpoints or training
            dynamics, or a CSV of scores
        stack: task=nlu: also train intents and slots, and keep the whole stack

    Scores:
        score: scores to compute, each name[@epoch] or name[@from-to]; or all
        tracin_layers: parameters of TracIn: last_layer, all, classifier or a regular expression
        score_precision: bf16: scoring under autocast, its ranks compared with fp32; auto: as in
            training
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 4096 on a GPU
        shard_size: examples measured and saved at a time; 0: a sixteenth of all, 256 to 4096
        self_check: examples compared with plain autograd in each scoring run
        examples: hardest and easiest examples listed per score
        export: leave training dynamics for other tools as well: cartography, aum, or both

    Pruning:
        fractions: fractions of the train set to prune, each in [0, 1)
        min_per_class: never keep fewer examples of a class than this
        groups: columns besides the class by whose values pruning is judged, such as
            speaker,source
        min_per_intent: task=nlu: never keep fewer examples of an intent than this
        draws: samples drawn per fraction by a rule that draws
        temperature: of rule softmax
        epsilon: smallest weight of rule linear, the largest being 1
        winsorize: share of the scores clipped at each end by rule linear
        beta: hardest share that rule ccs prunes first
        strata: score strata of rule ccs

    Retraining:
        seeds: retrainings per fraction
        budget: train a subset for the same epochs or the same steps as the full set
        retrain_with: retrain another model than the scored one:
            model=minilm&layers=3&learning_rate=3e-4
        threshold: confidence of the domain below which task=nlu counts a request as
            unrecoverable

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
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
    epochs: int = 3,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "constant",
    warmup: float = 0.0,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
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

    dataset: hub id, directory with {train,validation,test}.{parquet,csv,tsv,jsonl}, or
        assistant[:N]

    Data:
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: text column; empty: found by its usual names
        pair_column: second text column of a pair task; empty: found by its usual names
        label_column: label column; empty: found by its usual names
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: by
            evidence; empty: none, every label is a class
        task: classify; nlu: the domains, intents and slots of a voice assistant
        intent_column: intents of task=nlu; empty: found by its usual names
        slots_column: BIO tags of task=nlu; empty: found by its usual names
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where absent
        test_split: split to report on
        validation_fraction: share of train that becomes validation
        data_seed: of what is cut, capped and redrawn of the data, and of the built-in dataset
        max_train: use at most this many train examples; 0: all
        max_test: use at most this many validation and test examples; 0: all
        label_noise: share of the train labels redrawn uniformly over all classes, to see what
            it does
        imbalance: thin train out into a long tail of classes, the largest so many times the
            smallest

    Model:
        model: hub id, directory, tiny / mini / small (BERT from scratch), or minilm (packaged
            encoder)
        layers: keep only the first encoder layers; 0: all
        head: the architecture's own head, or three layers
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; the rest is cut off
        vocabulary: tokens of the WordPiece vocabulary of tiny / mini / small

    Training:
        epochs: passes over the train set
        batch_size: examples per optimiser step
        learning_rate: of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder
        head_learning_rate: of the head; 0: the encoder's from scratch, ten times that for a
            pretrained one
        schedule: learning rate over the steps
        warmup: share of the steps with a rising learning rate
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: clip the gradient to this norm; 0: never
        precision: bf16: training under autocast; auto: bf16 where the hardware has it
        seed: of everything random in training and sampling: head, order, dropout, draws
        checkpoints: checkpoints spread evenly over the training
        checkpoint_every: one checkpoint every so many steps instead; 0: off
        observe_every: observe who is classified correctly every so many steps; 0: never
        observe_epochs: epochs observed, and trained by every run after the first
        runs: training seeds over which EL2N, PVI, GraNd and forgetting average
        null_model: also train on empty inputs, as PVI needs
        folds: also train so many models on all but one fold, to see every example unseen; 0:
            none
        import_from: score what was made elsewhere: a folder of checkpoints or training
            dynamics, or a CSV of scores
        stack: task=nlu: also train intents and slots, and keep the whole stack

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
    """

def score(
    training: Training | Folder,
    score: Names = "vog,el2n,forgetting,pvi,tracin",
    *,
    split: Literal["train", "validation", "test"] = "train",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "bf16", "auto"] = "fp32",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Scores:
    """Score every train example in one pass over all checkpoints.

    training: a training directory: a path or runs:/<id>/training
    score: scores to compute, each name[@epoch] or name[@from-to]; or all

    Score:
        split: score the examples of another split, to know them: only train can be pruned

    Scores:
        tracin_layers: parameters of TracIn: last_layer, all, classifier or a regular expression
        score_precision: bf16: scoring under autocast, its ranks compared with fp32; auto: as in
            training
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 4096 on a GPU
        shard_size: examples measured and saved at a time; 0: a sixteenth of all, 256 to 4096
        self_check: examples compared with plain autograd in each scoring run
        examples: hardest and easiest examples listed per score
        export: leave training dynamics for other tools as well: cartography, aum, or both

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
    """

def sample(
    scores: Scores | Folder,
    arm: str = "vog:easy:class",
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
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Sample:
    """Choose the examples to keep by an arm, score:rule[:normalize].

    scores: a scores directory: a path or runs:/<id>/scores
    arm: score:rule[:normalize], random, stratified or drop

    Sample:
        seed: of ties and draws

    Pruning:
        fractions: fractions of the train set to prune, each in [0, 1)
        min_per_class: never keep fewer examples of a class than this
        groups: columns besides the class by whose values pruning is judged, such as
            speaker,source
        min_per_intent: task=nlu: never keep fewer examples of an intent than this
        draws: samples drawn per fraction by a rule that draws
        temperature: of rule softmax
        epsilon: smallest weight of rule linear, the largest being 1
        winsorize: share of the scores clipped at each end by rule linear
        beta: hardest share that rule ccs prunes first
        strata: score strata of rule ccs

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
    """

def evaluate(
    sample: Sample | Folder,
    *,
    seeds: int = 3,
    budget: Literal["epochs", "steps"] = "epochs",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> Curve:
    """Retrain on each subset and draw the pruned-accuracy curve.

    sample: a sample directory: a path or runs:/<id>/sample

    Retraining:
        seeds: retrainings per fraction
        budget: train a subset for the same epochs or the same steps as the full set
        retrain_with: retrain another model than the scored one:
            model=minilm&layers=3&learning_rate=3e-4
        threshold: confidence of the domain below which task=nlu counts a request as
            unrecoverable

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
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
    epochs: int = 3,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "constant",
    warmup: float = 0.0,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "bf16", "auto"] = "fp32",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
    seeds: int = 3,
    budget: Literal["epochs", "steps"] = "epochs",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    goal: Literal["prune", "efficiency", "frontier"] = "prune",
    trials: int = 40,
    tolerance: float = 0.01,
    metric: Literal["accuracy", "macro_f1", "frame_accuracy"] = "accuracy",
    rules: Names = "",
    lowest: int = 5,
    highest: int = 95,
    test_seeds: int = 5,
    storage: str = "",
    grace: int = 60,
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

    scores: a scores directory: a path or runs:/<id>/scores; empty: train and score first

    Data:
        dataset: hub id, directory with {train,validation,test}.{parquet,csv,tsv,jsonl}, or
            assistant[:N]
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: text column; empty: found by its usual names
        pair_column: second text column of a pair task; empty: found by its usual names
        label_column: label column; empty: found by its usual names
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: by
            evidence; empty: none, every label is a class
        task: classify; nlu: the domains, intents and slots of a voice assistant
        intent_column: intents of task=nlu; empty: found by its usual names
        slots_column: BIO tags of task=nlu; empty: found by its usual names
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where absent
        test_split: split to report on
        validation_fraction: share of train that becomes validation
        data_seed: of what is cut, capped and redrawn of the data, and of the built-in dataset
        max_train: use at most this many train examples; 0: all
        max_test: use at most this many validation and test examples; 0: all
        label_noise: share of the train labels redrawn uniformly over all classes, to see what
            it does
        imbalance: thin train out into a long tail of classes, the largest so many times the
            smallest

    Model:
        model: hub id, directory, tiny / mini / small (BERT from scratch), or minilm (packaged
            encoder)
        layers: keep only the first encoder layers; 0: all
        head: the architecture's own head, or three layers
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; the rest is cut off
        vocabulary: tokens of the WordPiece vocabulary of tiny / mini / small

    Training:
        epochs: passes over the train set
        batch_size: examples per optimiser step
        learning_rate: of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder
        head_learning_rate: of the head; 0: the encoder's from scratch, ten times that for a
            pretrained one
        schedule: learning rate over the steps
        warmup: share of the steps with a rising learning rate
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: clip the gradient to this norm; 0: never
        precision: bf16: training under autocast; auto: bf16 where the hardware has it
        seed: of everything random in training and sampling: head, order, dropout, draws
        checkpoints: checkpoints spread evenly over the training
        checkpoint_every: one checkpoint every so many steps instead; 0: off
        observe_every: observe who is classified correctly every so many steps; 0: never
        observe_epochs: epochs observed, and trained by every run after the first
        runs: training seeds over which EL2N, PVI, GraNd and forgetting average
        null_model: also train on empty inputs, as PVI needs
        folds: also train so many models on all but one fold, to see every example unseen; 0:
            none
        import_from: score what was made elsewhere: a folder of checkpoints or training
            dynamics, or a CSV of scores
        stack: task=nlu: also train intents and slots, and keep the whole stack

    Scores:
        score: scores to search over; empty: those of the directory, or the paper's at every
            epoch
        tracin_layers: parameters of TracIn: last_layer, all, classifier or a regular expression
        score_precision: bf16: scoring under autocast, its ranks compared with fp32; auto: as in
            training
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 4096 on a GPU
        shard_size: examples measured and saved at a time; 0: a sixteenth of all, 256 to 4096
        self_check: examples compared with plain autograd in each scoring run
        examples: hardest and easiest examples listed per score
        export: leave training dynamics for other tools as well: cartography, aum, or both

    Retraining:
        seeds: retrainings per fraction
        budget: train a subset for the same epochs or the same steps as the full set
        retrain_with: retrain another model than the scored one:
            model=minilm&layers=3&learning_rate=3e-4
        threshold: confidence of the domain below which task=nlu counts a request as
            unrecoverable

    Search:
        goal: within the tolerance prune most, or lose least per percent pruned; or trade one
            for the other
        trials: candidates tried by the study, all its workers together
        tolerance: accuracy that may be lost against the full train set; 0.01 is one point
        metric: what is compared; frame_accuracy: requests of task=nlu without any error
        rules: rules to search over, comma-separated; empty: all
        lowest: smallest percent pruned
        highest: largest percent pruned
        test_seeds: retrainings per row of the final test, with seeds of their own
        storage: SQLAlchemy URL of the study; empty: sqlite in the workdir
        grace: seconds of silence after which a worker's trial is taken up again
        datasets: search several, comma-separated, each with own parameters:
            trec,hwu?label_column=domain

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
    """

def study(
    study: Folder,
    *,
    equal_steps: bool = False,
    scale: Literal["full", "small"] = "full",
    arms: Names = "vog:easy:class,vog:linear:dataset,el2n:easy,forgetting:easy,random",
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
    epochs: int = 3,
    batch_size: int = 32,
    learning_rate: float = 0.0,
    head_learning_rate: float = 0.0,
    schedule: Literal["constant", "linear"] = "constant",
    warmup: float = 0.0,
    weight_decay: float = 0.0,
    max_grad_norm: float = 1.0,
    precision: Literal["fp32", "bf16", "auto"] = "fp32",
    seed: int = 0,
    checkpoints: int = 10,
    checkpoint_every: int = 0,
    observe_every: int = 50,
    observe_epochs: int = 2,
    runs: int = 1,
    null_model: bool = True,
    folds: int = 0,
    import_from: Folder = "",
    stack: bool = False,
    score: Names = "vog,el2n,forgetting,pvi,tracin",
    tracin_layers: str = "last_layer",
    score_precision: Literal["fp32", "bf16", "auto"] = "fp32",
    batch_tokens: int = 0,
    shard_size: int = 0,
    self_check: int = 4,
    examples: int = 20,
    export: Names = "",
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
    seeds: int = 3,
    budget: Literal["epochs", "steps"] = "epochs",
    retrain_with: str | Mapping[str, object] = "",
    threshold: float = 0.5,
    device: str = "auto",
    workers: int = 0,
    threads: int = 0,
    cluster: str = "",
    gpus: float = 0.0,
    workdir: Folder = ".influence",
    track: bool = False,
) -> dict[str, Comparison]:
    """Run the study that a file describes: one comparison per variant, by its name.

    study: a study file such as studies/imbalance.yaml, which sets other parameters

    Study:
        equal_steps: a second baseline: random trained for as many steps as the full train set
        scale: small: the study's shorter form
        arms: arms to compare, comma-separated; random is always among them
        rescore: iterative pruning: train and score again what is left before each fraction

    Data:
        dataset: hub id, directory with {train,validation,test}.{parquet,csv,tsv,jsonl}, or
            assistant[:N]
        dataset_config: configuration of a hub dataset, such as sst2 of nyu-mll/glue
        text_column: text column; empty: found by its usual names
        pair_column: second text column of a pair task; empty: found by its usual names
        label_column: label column; empty: found by its usual names
        unlabelled: labels that mean no label, such as -1 or ?, comma-separated; auto: by
            evidence; empty: none, every label is a class
        task: classify; nlu: the domains, intents and slots of a voice assistant
        intent_column: intents of task=nlu; empty: found by its usual names
        slots_column: BIO tags of task=nlu; empty: found by its usual names
        train_split: split to train on, score and prune
        validation_split: split to choose on; cut from train where absent
        test_split: split to report on
        validation_fraction: share of train that becomes validation
        data_seed: of what is cut, capped and redrawn of the data, and of the built-in dataset
        max_train: use at most this many train examples; 0: all
        max_test: use at most this many validation and test examples; 0: all
        label_noise: share of the train labels redrawn uniformly over all classes, to see what
            it does
        imbalance: thin train out into a long tail of classes, the largest so many times the
            smallest

    Model:
        model: hub id, directory, tiny / mini / small (BERT from scratch), or minilm (packaged
            encoder)
        layers: keep only the first encoder layers; 0: all
        head: the architecture's own head, or three layers
        head_size: hidden width of head=mlp
        max_length: longest input in tokens; the rest is cut off
        vocabulary: tokens of the WordPiece vocabulary of tiny / mini / small

    Training:
        epochs: passes over the train set
        batch_size: examples per optimiser step
        learning_rate: of the encoder; 0: 1e-3 from scratch, 1e-4 for a pretrained encoder
        head_learning_rate: of the head; 0: the encoder's from scratch, ten times that for a
            pretrained one
        schedule: learning rate over the steps
        warmup: share of the steps with a rising learning rate
        weight_decay: decoupled weight decay of AdamW
        max_grad_norm: clip the gradient to this norm; 0: never
        precision: bf16: training under autocast; auto: bf16 where the hardware has it
        seed: of everything random in training and sampling: head, order, dropout, draws
        checkpoints: checkpoints spread evenly over the training
        checkpoint_every: one checkpoint every so many steps instead; 0: off
        observe_every: observe who is classified correctly every so many steps; 0: never
        observe_epochs: epochs observed, and trained by every run after the first
        runs: training seeds over which EL2N, PVI, GraNd and forgetting average
        null_model: also train on empty inputs, as PVI needs
        folds: also train so many models on all but one fold, to see every example unseen; 0:
            none
        import_from: score what was made elsewhere: a folder of checkpoints or training
            dynamics, or a CSV of scores
        stack: task=nlu: also train intents and slots, and keep the whole stack

    Scores:
        score: scores to compute, each name[@epoch] or name[@from-to]; or all
        tracin_layers: parameters of TracIn: last_layer, all, classifier or a regular expression
        score_precision: bf16: scoring under autocast, its ranks compared with fp32; auto: as in
            training
        batch_tokens: tokens of a scoring batch, padding included; 0: 1024, or 4096 on a GPU
        shard_size: examples measured and saved at a time; 0: a sixteenth of all, 256 to 4096
        self_check: examples compared with plain autograd in each scoring run
        examples: hardest and easiest examples listed per score
        export: leave training dynamics for other tools as well: cartography, aum, or both

    Pruning:
        fractions: fractions of the train set to prune, each in [0, 1)
        min_per_class: never keep fewer examples of a class than this
        groups: columns besides the class by whose values pruning is judged, such as
            speaker,source
        min_per_intent: task=nlu: never keep fewer examples of an intent than this
        draws: samples drawn per fraction by a rule that draws
        temperature: of rule softmax
        epsilon: smallest weight of rule linear, the largest being 1
        winsorize: share of the scores clipped at each end by rule linear
        beta: hardest share that rule ccs prunes first
        strata: score strata of rule ccs

    Retraining:
        seeds: retrainings per fraction
        budget: train a subset for the same epochs or the same steps as the full set
        retrain_with: retrain another model than the scored one:
            model=minilm&layers=3&learning_rate=3e-4
        threshold: confidence of the domain below which task=nlu counts a request as
            unrecoverable

    Execution:
        device: cpu, cuda, cuda:1, ... or auto: a GPU if there is one
        workers: independent jobs at once; 0: one per core (one on a GPU)
        threads: threads of each job; 0: the cores divided by the workers
        cluster: a Ray cluster for the jobs: its address, or auto; empty: processes of this
            machine
        gpus: cluster: GPUs of each job, such as 0.25; 0: none
        workdir: where finished and unfinished steps are kept for reuse
        track: log to MLflow; false: leave the directories only
    """

def load(directory: Folder) -> Training | Scores | Sample | Curve | Recommendation: ...
