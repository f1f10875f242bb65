"""sample: from scores to the examples that stay at every fraction pruned."""

from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.lists import fractions, names
from influence.config.parameters import SampleConfig
from influence.config.steps import SampleStep
from influence.data.dataset import Dataset
from influence.data.storage import Saved
from influence.errors import InputError
from influence.runtime.step import Record, Steps, Task, perform
from influence.sampling import order as sampling
from influence.sampling import result, rules
from influence.sampling.arms import CLASS, Arm, parse_arm
from influence.sampling.groups import groups_of
from influence.sampling.order import Minimum, percent_of
from influence.scoring.result import Scores, label_errors_of, open_scores

CODE = ("scores", "data", "scoring", "sampling")


def sample(config: SampleStep, scores: Scores) -> Steps:
    """Choose by `config.arm` which examples stay at each fraction, in `sample-<fingerprint>/`.

    Holds `order.npy` (draws x examples: rows of the train set, first kept first, so that every
    subset is a prefix), `kept.parquet` (percent_pruned, draw, id), `subsets/percent-<p>/draw-<d>/`
    (each a dataset directory ready to train on), `class_shares.csv` (by class, and by value of the
    columns `groups`), `data/` and `tokenizer/`; where label errors are known, also
    `label_errors.csv`, how many of them each fraction prunes. Raises InputError for scores of a
    split other than train, and for a score of the arm that is not among them.
    """
    scores = open_scores(scores.directory)
    arm = parse_arm(config.arm)
    missing = [name for name in arm.reads if name not in scores.names]
    if missing:
        raise InputError(
            f"arm {config.arm!r} needs the score {missing[0]!r}, which {scores.directory} does not "
            f"hold; it holds {', '.join(scores.names)}"
        )
    if arm.represents and scores.representations is None:
        raise InputError(
            f"arm {config.arm!r} needs the representation of every example, which "
            f"{scores.directory} does not hold; score again with representations=true"
        )
    parameters = {
        **config.parameters(SampleConfig),
        "arm": str(arm),
        "seed": config.seed,
        "fractions": list(fractions(config.fractions)),
    }
    task = Task("sample", parameters, {"scores": scores.fingerprint}, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        scores.verify()
        orders = _orders(config, arm, scores)
        return (yield from fill(config, scores, arm, orders, directory))

    return (yield from perform(task, config.workdir, work))


def parse_arms(text: str) -> tuple[Arm, ...]:
    """Read a comma-separated list of arms; random, the baseline, is always the first.

    Raises InputError for an empty list.
    """
    if not names(text):
        raise InputError(
            "arms lists no arm; write score:rule[:normalize], such as aum:ccs_clean, or random for "
            "the baseline alone"
        )
    arms = [parse_arm("random"), *(parse_arm(name) for name in names(text))]
    return tuple(dict.fromkeys(arms))


def check_sample(config: SampleConfig, dataset: Dataset, task: str = "classify") -> None:
    """Raise InputError for a fraction that leaves too few examples, and for unusable groups."""
    minimums = minimums_of(config, dataset.train, task)
    for fraction in fractions(config.fractions):
        sampling.cut(np.arange(len(dataset.train)), fraction, minimums)
    for split in ("train", "test"):
        groups_of(dataset.splits[split], split, names(config.groups))


def minimums_of(config: SampleConfig, train: pd.DataFrame, task: str) -> tuple[Minimum, ...]:
    """Return the minimums to keep of every class and, for task nlu, of every intent.

    A classifier's dataset may also have a column `intent`, whose values are not checked.
    """
    classes = Minimum(train["label"].to_numpy(), config.min_per_class)
    if task == "nlu":
        intents = pd.factorize(train["intent"])[0]
        return (classes, Minimum(intents, config.min_per_intent, "min_per_intent"))
    if config.min_per_intent:
        raise InputError("min_per_intent is for task=nlu: a classifier has no intents")
    return (classes,)


def order_of(
    scores: Scores,
    arm: Arm,
    seed: int,
    minimums: Sequence[Minimum],
    parameters: sampling.Parameters = sampling.NO_PARAMETERS,
) -> np.ndarray:
    """Return the rows of the train set in the order in which an arm keeps them; see `order`.

    The scores are read anew for each order, so that they do not stay in memory.
    """
    return sampling.order(
        arm,
        {name: scores.hardness(name) for name in arm.reads},
        scores.data.array("train", "label"),
        seed,
        minimums=minimums,
        recall=scores.recall,
        representations=scores.representations if arm.represents else None,
        parameters=parameters,
    )


def fill(
    config: SampleConfig,
    scores: Scores,
    arm: Arm,
    orders: Sequence[np.ndarray],
    directory: Path,
) -> Generator[Record, None, dict]:
    """Write the subsets that the fractions cut from these orders of the scored train set.

    Returns the entries of the manifest.
    """
    source, groups = scores.data, names(config.groups)
    train = _judged(source, "train", groups)
    values_of = groups_of(train, "train", groups)
    groups_of(_judged(source, "test", groups), "test", groups)
    minimums = minimums_of(config, train, scores.task)
    asked = fractions(config.fractions)
    cuts = {f: [sampling.cut(order, f, minimums) for order in orders] for f in asked}
    divided = {CLASS: (train["label"].to_numpy(), source.label_names)}
    for name, values in values_of.items():
        divided[str(name)] = pd.factorize(values, sort=True)
    result.write_order(scores, orders, directory)
    result.write_kept(scores, cuts, directory)
    shares = result.write_shares(cuts, divided, directory)
    overlaps = result.write_label_errors(cuts, label_errors_of(source, "train"), directory)
    for fraction, kept in cuts.items():
        yield _record(fraction, len(kept[0]), shares, overlaps.get(fraction, {}))
    return result.facts(scores, str(arm), asked, len(orders), groups)


def _record(fraction: float, kept: int, shares: pd.DataFrame, overlaps: dict[str, float]) -> Record:
    """Return the metrics of one fraction pruned."""
    percent = percent_of(fraction)
    own = shares[(shares["group"] == CLASS) & (shares["percent_pruned"] == percent)]
    counted = {
        "sample/kept": float(kept),
        "sample/least_kept_class_share": own["kept_share"].min(),
    }
    pruned = {f"label_errors/{name}": value for name, value in overlaps.items()}
    return Record(round(percent), counted | pruned)


def _orders(config: SampleStep, arm: Arm, scores: Scores) -> list[np.ndarray]:
    """Return the order of every draw; a single one where all draws would be the same."""
    minimums = minimums_of(config, _judged(scores.data, "train", ()), scores.task)
    known = {parameter for rule in rules.REGISTRY.values() for parameter in rule.parameters}
    parameters = {
        name: value for name, value in config.parameters(SampleConfig).items() if name in known
    }
    orders = [
        order_of(scores, arm, config.seed + draw, minimums, parameters).astype(np.int32)
        for draw in range(config.draws)
    ]
    same = all(np.array_equal(order, orders[0]) for order in orders)
    return orders[:1] if same else orders


def _judged(source: Saved, split: str, groups: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a split by which pruning is limited and judged."""
    wanted = {"label", "intent", *groups}
    there = source.columns(split)
    if set(groups) <= set(there):
        return source.read(split, [name for name in there if name in wanted])
    return source.read(split)  # a column is missing: the message lists all
