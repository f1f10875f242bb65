"""What a split's scores show: table, comparisons, extreme examples, label errors, map.

`result.Scores` reads what is written here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from influence.data.storage import Saved, rows_file
from influence.models import classifier
from influence.models.inputs import cache_of, encode, open_tokens
from influence.runtime import store
from influence.scoring import label_errors, result, stability
from influence.scoring.label_errors import softmax
from influence.scoring.spec import ScoreSpec, hardness
from influence.shapes import Float
from influence.trace import representations
from influence.trace.trace import Trace
from influence.training import dynamics
from influence.training.result import Training

MAPPED = 2000  # examples on the map, at most
RANKED = 20_000  # examples at most on which scores are compared with each other
Examples = Float[np.ndarray, " examples"]


@dataclass(frozen=True, eq=False)
class Columns:
    """The scores of a split, in the order of its examples; `values` by the name of each spec."""

    source: Saved
    split: str
    specs: Sequence[ScoreSpec]
    values: Mapping[str, Examples]

    def hardness(self, spec: ScoreSpec) -> Examples:
        """Return one score with the sign that makes high mean hard."""
        return hardness(spec, self.values[str(spec)])


def ranked_rows(examples: int, most: int = RANKED) -> np.ndarray:
    """Return the rows on which scores are compared with each other, ascending."""
    chosen = np.random.default_rng(0).permutation(examples)[:most]
    return np.sort(chosen)


def write_scores(columns: Columns, directory: Path) -> None:
    """Write the table of all scores, and the values of each one in a file of its own."""
    with rows_file(directory / result.SCORES) as add:
        for part in columns.source.parts(columns.split, ["id", "label"]):
            rows = slice(part.index.start, part.index.stop)
            values = {name: values[rows] for name, values in columns.values.items()}
            add(pa.Table.from_pandas(part.assign(**values), preserve_index=False))
    for name, values in columns.values.items():
        np.save(result.values_file(directory, name), values)


def write_comparisons(columns: Columns, sampled: Trace, directory: Path) -> None:
    """Write how scores agree with each other and with themselves on `ranked_rows`."""
    rows = ranked_rows(columns.source.count(columns.split))
    table = pd.DataFrame({name: values[rows] for name, values in columns.values.items()})
    table.corr(method="spearman").to_csv(directory / result.CORRELATIONS)
    stable = stability.stability(columns.specs, sampled)
    stable.to_csv(directory / result.STABILITY, index=False)


def write_examples(columns: Columns, doubted: pd.DataFrame, examples: int, directory: Path) -> None:
    """Write the hardest, easiest and most doubted examples; `examples` is the number of each."""
    chosen = [*_extremes(columns, examples)]
    chosen += [("doubt", "suspected", row, doubt) for row, _, doubt in doubted.itertuples(False)]
    places = np.unique([row for _, _, row, _ in chosen])
    label_names = columns.source.label_names
    rows = columns.source.take(columns.split, places).set_axis(places)
    predicted = dict(zip(doubted["row"], doubted["predicted"], strict=True))
    listed = []
    for score, end, row, value in chosen:
        shown = _shown(rows.loc[row], label_names)
        if end == "suspected":
            shown["predicted"] = label_names[int(predicted[row])]
        listed.append({"score": score, "end": end, "value": float(value), **shown})
    store.write_json(directory / result.EXAMPLES, listed)


def write_label_errors(columns: Columns, directory: Path) -> list[dict[str, Any]]:
    """Write and return how well each score detects known label errors, if there are any."""
    mislabeled = result.label_errors_of(columns.source, columns.split)
    if mislabeled is None:
        return []
    detected = [
        {"score": str(spec)} | label_errors.detection(columns.hardness(spec), mislabeled)
        for spec in columns.specs
    ]
    pd.DataFrame(detected).to_csv(directory / result.LABEL_ERRORS, index=False)
    return detected


def write_label_issues(training: Training, directory: Path) -> dict[str, int | float]:
    """Write the train labels that cleanlab flags; return their number, precision and recall."""
    logits = training.out_of_fold_logits
    if logits is None or not label_errors.version():
        return {}
    source = training.data
    issues = label_errors.issues(source.array("train", "label"), softmax(np.asarray(logits)))
    counted: dict[str, int | float] = {"found": int(issues.sum())}
    mislabeled = result.label_errors_of(source, "train")
    if mislabeled is not None:
        right = int((issues & mislabeled).sum())
        counted["precision"] = right / max(counted["found"], 1)
        counted["recall"] = right / int(mislabeled.sum())
    ids = source.read("train", ["id"])["id"][issues].tolist()
    store.write_json(directory / result.LABEL_ISSUES, {**counted, "ids": ids})
    return counted


def write_map(training: Training, split: str, device: str, directory: Path) -> None:
    """Write id, row and principal components of a sample of the split, chosen by ids."""
    rows = np.sort(_smallest_ids(training.data, split))
    chosen = training.data.take(split, rows)
    if training.is_probe:
        vectors = _frozen(training, split)[rows]
    else:
        tokens = encode(training.tokenizer, chosen, training.config)
        model = classifier.open_checkpoint(training.last_checkpoint).to(device)
        vectors = representations.represent(model, tokens)
    components = representations.principal(vectors)
    names = [f"component_{number}" for number in range(components.shape[1])]
    table = pd.DataFrame(components, columns=names)
    table.insert(0, "id", chosen["id"].to_numpy())
    table.insert(1, "row", rows)
    table.to_parquet(directory / result.MAP, index=False)


def write_representations(training: Training, split: str, device: str, directory: Path) -> None:
    """Write the vector that the last checkpoint gives each example, of length 1, in float16.

    Of a probe it is that of the frozen encoder.
    """
    if training.is_probe:
        vectors = np.array(_frozen(training, split))
    else:
        given = (training.tokenizer, training.config, cache_of(directory))
        tokens = open_tokens(training.data, split, *given)
        model = classifier.open_checkpoint(training.last_checkpoint).to(device)
        vectors = representations.represent(model, tokens)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)  # so that none is beyond float16
    with store.replacing(directory / result.REPRESENTATIONS) as at:
        np.save(at, vectors.astype(np.float16))


def write_cartography(source: Saved, split: str, traces: Iterable[Trace], directory: Path) -> None:
    """Write the logits of the first run at the end of every epoch, for Dataset Cartography."""
    called = dynamics.names_of(_named(source, split))

    def parts() -> Iterator[tuple[Sequence[str], np.ndarray, np.ndarray]]:
        start = 0
        for trace in traces:
            run, end = trace.runs[0], start + len(trace.ids)
            ends = sorted(c.step for c in run.checkpoints if "epochs" in c.series)
            logits = np.stack([run.at["logits"][step] for step in ends])
            yield called[start:end].tolist(), trace.labels, logits
            start = end

    with store.replacing(directory / result.CARTOGRAPHY) as at:
        dynamics.write_cartography(at, parts())


def write_aum(source: Saved, split: str, values: np.ndarray, directory: Path) -> None:
    """Write the areas under the margin in the format of the AUM tool."""
    with store.replacing(directory / result.AUM) as at:
        at.mkdir()
        names = dynamics.names_of(_named(source, split)).tolist()
        dynamics.write_aum(at / dynamics.VALUES, names, values)


def _frozen(training: Training, split: str) -> np.ndarray:
    """Return the mean over tokens that a frozen encoder gives each example: a map of the file."""
    vectors = training.vectors(split)
    return vectors[:, : vectors.shape[1] // len(representations.PARTS)]


def _named(source: Saved, split: str) -> pd.DataFrame:
    """Return the columns by which other tools may identify the examples."""
    there = source.columns(split)
    return source.read(split, [name for name in dynamics.NAMING if name in there])


def _smallest_ids(source: Saved, split: str, most: int = MAPPED) -> np.ndarray:
    """Return the rows of the smallest ids: ids are hashes, so this is a uniform sample."""
    smallest = pd.Series([], dtype="str")
    for part in source.parts(split, ["id"]):
        both = pd.concat([smallest, part["id"]])
        smallest = both.sort_values(kind="stable").head(most)
    return smallest.index.to_numpy(dtype=np.int64)


def _extremes(columns: Columns, examples: int) -> Iterator[tuple[str, str, int, float]]:
    """Yield score, end, row and value of the hardest and the easiest examples."""
    for spec in columns.specs:
        values = columns.values[str(spec)]
        order = np.argsort(-columns.hardness(spec), kind="stable")
        for end, chosen in (("hardest", order[:examples]), ("easiest", order[::-1][:examples])):
            yield from ((str(spec), end, int(row), values[row]) for row in chosen)


def _shown(example: pd.Series, label_names: Sequence[str]) -> dict[str, Any]:
    texts = {name: example[name] for name in ("text", "text_pair") if name in example}
    known = {"mislabeled": bool(example["mislabeled"])} if "mislabeled" in example else {}
    label = label_names[int(example["label"])]
    return {"label": label, **texts, **known, "id": example["id"]}
