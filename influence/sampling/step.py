"""sample: from scores to the examples that stay, at every fraction."""

from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from influence.config.parameters import SampleConfig, SampleStep, fractions, names
from influence.data.columns import listed
from influence.data.dataset import Dataset
from influence.data.storage import Saved, chosen, open_saved, rows_file, save_subsets
from influence.errors import InputError
from influence.models.metrics import GROUPED, group_metric
from influence.runtime import store
from influence.runtime.step import Record, Steps, Task, inherited, perform
from influence.sampling import order as sampling
from influence.sampling import rules
from influence.sampling.arms import CLASS, Arm, parse_arm
from influence.scoring import label_errors, spec
from influence.scoring.result import label_errors_of
from influence.training.result import read_scored, recall_of

GROUPS = 50  # values of a column by which pruning is judged
CODE = ("scores", "data", "scoring", "sampling")


def sample(config: SampleStep, scored: Path) -> Steps:
    """Choose by `config.arm` what stays at each fraction, in `sample-<fingerprint>/`.

    Holds `order.npy` (draws x examples: rows of the train set, first kept first, so that every
    subset is a prefix), `kept.parquet` (percent_pruned, draw, id), `subsets/percent-<p>/draw-<d>/`
    (each a dataset directory ready to train on), `class_shares.csv` (of classes, and of the values
    of the columns `groups`), `data/` and `tokenizer/`; with labels that are known to be
    wrong also `label_errors.csv`, how many of them each fraction prunes.
    """
    manifest = read_scored(scored)
    arm = parse_arm(config.arm)
    missing = [name for name in arm.scores if name not in manifest["scores"]]
    if missing:
        raise InputError(
            f"arm {config.arm!r} needs the score {missing[0]!r}, which {scored} does not hold; "
            f"it holds {', '.join(manifest['scores'])}"
        )
    parameters = {
        **config.parameters(SampleConfig),
        "arm": str(arm),
        "seed": config.seed,
        "fractions": list(fractions(config.fractions)),
    }
    task = Task("sample", parameters, {"scores": manifest["fingerprint"]}, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _sample(config, arm, scored, manifest, directory)

    return (yield from perform(task, config.workdir, work))


def parse_arms(text: str) -> tuple[Arm, ...]:
    """Read a comma-separated list of arms; random, the baseline, is always the first."""
    arms = [parse_arm("random"), *(parse_arm(name) for name in names(text))]
    return tuple(dict.fromkeys(arms))


def check_sample(config: SampleConfig, dataset: Dataset, task: str = "classify") -> None:
    """Raise InputError for a fraction that leaves too few examples, and for unusable groups."""
    _check_fractions(config, floors_of(config, dataset.train, task), len(dataset.train))
    for split in ("train", "test"):
        groups_of(dataset.splits[split], split, names(config.groups))


def groups_of(rows: pd.DataFrame, split: str, columns: Sequence[str]) -> pd.DataFrame:
    """Return the columns by whose values pruning is judged, as text; "missing" for none.

    Raises InputError for a column that the split lacks, that is called as the classes are, whose
    values are lists or objects or more than 50, or that cannot be told from another column's value.
    """
    for name in columns:
        if name == CLASS:
            way_out = "rename the column" if name in rows else "leave it out"
            raise InputError(
                f"groups names {CLASS!r}, which is what the classes are called, by which pruning "
                f"is judged anyway; {way_out}"
            )
        if name not in rows:
            raise InputError(f"groups names {name!r}, which {split} lacks; it has {listed(rows)}")
        if (count := _values(rows, split, name)) > GROUPS:
            raise InputError(
                f"groups names {name!r}, which has {count} values in {split}; name columns of at "
                f"most {GROUPS}"
            )
    texts = {name: _texts(rows[name]) for name in columns}
    found = {name: text.mask(text.isna() | (text == ""), "missing") for name, text in texts.items()}
    groups = pd.DataFrame(found, index=rows.index)
    metrics = [group_metric(name, value) for name in groups for value in groups[name].unique()]
    if twice := [metric for metric, count in Counter(metrics).items() if count > 1]:
        raise InputError(
            f"groups={','.join(columns)!r} cannot tell in {split} whose value "
            f"{twice[0].removeprefix(GROUPED)!r} is; rename one of the columns"
        )
    return groups


def _texts(values: pd.Series) -> pd.Series:
    """Return values as text, and 1 as such where a value is missing and pandas holds it as 1.0."""
    texts = values.astype("str").str.strip()
    if not pd.api.types.is_float_dtype(values):
        return texts
    whole = (values % 1 == 0).fillna(False).astype(bool)
    return texts.mask(whole, (values + 0.0).map("{:.0f}".format, na_action="ignore"))


def _values(rows: pd.DataFrame, split: str, name: str) -> int:
    """Return how many values a column has; raise InputError if they are no single ones."""
    try:
        return rows[name].nunique()
    except TypeError:  # lists, arrays and mappings have no hash
        raise InputError(
            f"groups names {name!r}, whose values in {split} are lists or objects; name columns of "
            "texts, numbers, or true and false"
        ) from None


def percent(fraction: float) -> float:
    """Return a fraction as percent, without binary crumbs: 0.07 is 7."""
    return round(100 * fraction, 6)


def fraction(percent: float) -> float:
    """Return the very fraction that `percent` names, which leaves as many examples."""
    return round(percent / 100, 8)


def subset_of(directory: Path, percent: float, draw: int = 0) -> Path:
    """Return where a sample keeps the dataset that this much pruning leaves."""
    return directory / f"subsets/percent-{percent:.9g}/draw-{draw}"


def _sample(
    config: SampleStep, arm, scored: Path, manifest: dict, directory: Path
) -> Generator[Record, None, dict]:
    store.verify(scored, manifest)
    orders = _orders(config, arm, scored, manifest)
    yield from fill(config, scored, orders, directory, manifest["task"])
    return described(config, arm, orders, manifest)


def _orders(config: SampleStep, arm, scored: Path, manifest: dict) -> list[np.ndarray]:
    """Return the order of every draw, one alone where nothing is drawn and nothing tied."""
    source = open_saved(scored / "data")
    minimums = floors_of(config, _judged(source, "train", ()), manifest["task"])
    labels = minimums[0].groups

    def hardness() -> dict[str, np.ndarray]:
        """Read the scores, for each draw again: whoever orders them then need not keep them."""
        return {
            name: spec.hardness(spec.parse_spec(name), np.load(scored / f"{name}.npy"))
            for name in arm.scores
        }

    known = {parameter for rule in rules.REGISTRY.values() for parameter in rule.parameters}
    parameters = {
        name: value for name, value in config.parameters(SampleConfig).items() if name in known
    }
    orders = [
        sampling.order(
            arm,
            hardness(),
            labels,
            config.seed + draw,
            minimums=minimums,
            recall=recall_of(manifest),
            parameters=parameters,
        ).astype(np.int32)
        for draw in range(config.draws)
    ]
    same = all(np.array_equal(order, orders[0]) for order in orders)
    return orders[:1] if same else orders


def fill(
    config: SampleConfig,
    scored: Path,
    orders: list[np.ndarray],
    directory: Path,
    task: str = "classify",
) -> Generator[Record, None, None]:
    """Leave in `directory` what the fractions cut from these orders of the scored train set."""
    source, groups = open_saved(scored / "data"), names(config.groups)
    train = _judged(source, "train", groups)
    values_of = groups_of(train, "train", groups)
    groups_of(_judged(source, "test", groups), "test", groups)
    minimums = floors_of(config, train, task)
    cuts = {
        f: [sampling.cut(order, f, minimums) for order in orders]
        for f in fractions(config.fractions)
    }
    for part in ("data", "tokenizer"):
        store.copy_tree(scored / part, directory / part)
    np.save(directory / "order.npy", np.stack(orders).astype(np.int32))
    _write_kept(cuts, source, directory)
    divided = {CLASS: (train["label"].to_numpy(), source.label_names)}
    for name, values in values_of.items():
        divided[str(name)] = pd.factorize(values, sort=True)
    shares = _write_shares(cuts, divided, directory)
    shares = shares[shares["group"] == CLASS]
    overlaps = _write_label_errors(cuts, label_errors_of(source, "train"), directory)
    for fraction, kept in cuts.items():
        worst = shares.loc[shares["percent_pruned"] == percent(fraction), "kept_share"].min()
        found = {
            f"label_errors/{name}": value for name, value in overlaps.get(fraction, {}).items()
        }
        counted = {"sample/kept": float(len(kept[0])), "sample/least_kept_class_share": worst}
        yield Record(round(percent(fraction)), counted | found)


def described(config: SampleConfig, arm, orders: list[np.ndarray], manifest: dict) -> dict:
    """Return what the manifest of a sample says beside what all manifests say."""
    percents = [percent(fraction) for fraction in fractions(config.fractions)]
    drawn = {"draws": len(orders), "groups": list(names(config.groups))}
    return {"arm": str(arm), "percents": percents, **drawn, **inherited(manifest)}


def _judged(source: Saved, split: str, groups: Sequence[str]) -> pd.DataFrame:
    """Return the columns of a split by which pruning is restrained and judged."""
    wanted = {"label", "intent", *groups}
    there = source.columns(split)
    if set(groups) <= set(there):
        return source.read(split, [name for name in there if name in wanted])
    return source.read(split)  # of which one is missing: the message tells all that there are


def _check_fractions(
    config: SampleConfig, minimums: Sequence[sampling.Minimum], examples: int
) -> None:
    for fraction in fractions(config.fractions):
        sampling.cut(np.arange(examples), fraction, minimums)


def _write_label_errors(
    cuts: dict, mislabeled: np.ndarray | None, directory: Path
) -> dict[float, dict]:
    """Leave `label_errors.csv` and return it by fraction: overlap with label errors, over draws."""
    if mislabeled is None:
        return {}
    found = {
        fraction: pd.DataFrame([label_errors.pruned(kept, mislabeled) for kept in draws])
        .mean()
        .to_dict()
        for fraction, draws in cuts.items()
    }
    rows = [{"percent_pruned": percent(fraction)} | row for fraction, row in found.items()]
    pd.DataFrame(rows).to_csv(directory / "label_errors.csv", index=False)
    return found


def floors_of(config: SampleConfig, train: pd.DataFrame, task: str) -> tuple[sampling.Minimum, ...]:
    """Return what is protected of every class and, with task nlu, of every intent.

    A classifier's dataset may have a column `intent`, too: of whatever values, which nobody checks.
    """
    classes = sampling.Minimum(train["label"].to_numpy(), config.min_per_class)
    if task == "nlu":
        intents = pd.factorize(train["intent"])[0]
        return (classes, sampling.Minimum(intents, config.min_per_intent, "min_per_intent"))
    if config.min_per_intent:
        raise InputError("min_per_intent is for task=nlu: a classifier has no intents")
    return (classes,)


def _write_kept(cuts: dict, source: Saved, directory: Path) -> None:
    """Leave `subsets/` and `kept.parquet`, the ids of one subset after another, in parts."""
    rows = {
        (percent(fraction), draw): np.sort(kept)
        for fraction, draws in cuts.items()
        for draw, kept in enumerate(draws)
    }
    save_subsets(source, {subset_of(directory, *cut): kept for cut, kept in rows.items()})
    with rows_file(directory / "kept.parquet") as add:
        for (pruned, draw), kept in rows.items():
            for part in source.tables("train", ["id"]):
                ids = chosen(part, kept)["id"]
                told = (np.full(len(ids), value) for value in (pruned, draw))
                add(pa.table([*told, ids], ["percent_pruned", "draw", "id"]))


def _write_shares(
    cuts: dict, divided: Mapping[str, tuple[np.ndarray, Sequence[str]]], directory: Path
) -> pd.DataFrame:
    """Leave `class_shares.csv`, of the first draw of each fraction, and return it.

    `divided`: of every group the number of each example, and what the numbers are called.
    """
    shares = [
        sampling.class_shares(numbers, draws[0], list(called)).assign(
            group=group, percent_pruned=percent(fraction)
        )
        for fraction, draws in cuts.items()
        for group, (numbers, called) in divided.items()
    ]
    table = pd.concat(shares, ignore_index=True)
    table.to_csv(directory / "class_shares.csv", index=False)
    return table
