"""What a scores directory tells beside the scores: examples, correlations, wrong labels, a map."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from influence.data.result import Result
from influence.data.storage import Saved, rows_file
from influence.models import classifier, tokenizers
from influence.models.inputs import encode
from influence.runtime import store
from influence.scoring import label_errors, stability
from influence.scoring.label_errors import softmax
from influence.scoring.spec import ScoreSpec, hardness, parse_spec
from influence.shapes import Float
from influence.trace import representations
from influence.trace.trace import Trace
from influence.training import dynamics
from influence.training.result import OUT_OF_FOLD, read_config

MAPPED = 2000  # examples at most on the map
RANKED = 20_000  # examples at most by which scores are compared with each other
Columns = Mapping[str, Float[np.ndarray, " examples"]]


def ranked_rows(examples: int, most: int = RANKED) -> np.ndarray:
    """Return the rows by which scores are compared with each other, ascending."""
    chosen = np.random.default_rng(0).permutation(examples)[:most]
    return np.sort(chosen)


def write_scores(source: Saved, split: str, columns: Columns, directory: Path) -> None:
    """Leave `scores.parquet` (id, label, one column per score) and `<score>.npy`."""
    with rows_file(directory / "scores.parquet") as add:
        for part in source.parts(split, ["id", "label"]):
            rows = slice(part.index.start, part.index.stop)
            values = {name: values[rows] for name, values in columns.items()}
            add(pa.Table.from_pandas(part.assign(**values), preserve_index=False))
    for name, values in columns.items():
        np.save(directory / f"{name}.npy", values)


def write_comparisons(
    specs: Sequence[ScoreSpec], sampled: Trace, columns: Columns, directory: Path
) -> None:
    """Leave `correlations.csv` and `stability.csv`, by the examples of `ranked_rows`."""
    rows = ranked_rows(len(next(iter(columns.values()))))
    table = pd.DataFrame({name: values[rows] for name, values in columns.items()})
    table.rank().corr().to_csv(directory / "correlations.csv")
    stability.stability(specs, sampled).to_csv(directory / "stability.csv", index=False)


def write_examples(
    source: Saved,
    split: str,
    specs: Sequence[ScoreSpec],
    columns: Columns,
    doubted: pd.DataFrame,
    examples: int,
    directory: Path,
) -> None:
    """Leave `examples.json`: the hardest and easiest of every score, and the most doubted."""
    chosen = [*_extremes(specs, columns, examples)]
    chosen += [("doubt", "suspected", row, doubt) for row, _, doubt in doubted.itertuples(False)]
    places = np.unique([row for _, _, row, _ in chosen])
    rows = source.take(split, places).set_axis(places)
    predicted = dict(zip(doubted["row"], doubted["predicted"], strict=True))
    listed = []
    for score, end, row, value in chosen:
        shown = _shown(rows.loc[row], source.label_names)
        if end == "suspected":
            shown["predicted"] = source.label_names[int(predicted[row])]
        listed.append({"score": score, "end": end, "value": float(value), **shown})
    store.write_json(directory / "examples.json", listed)


def write_flips(
    source: Saved, split: str, specs: Sequence[ScoreSpec], columns: Columns, directory: Path
) -> list[dict[str, Any]]:
    """Leave `label_errors.csv`: how well each score finds known label errors, if there are any."""
    mislabeled = label_errors_of(source, split)
    if mislabeled is None:
        return []
    found = [
        {"score": str(spec)}
        | label_errors.detection(hardness(spec, columns[str(spec)]), mislabeled)
        for spec in specs
    ]
    pd.DataFrame(found).to_csv(directory / "label_errors.csv", index=False)
    return found


def write_issues(source: Saved, training: Path, directory: Path) -> dict[str, int | float]:
    """Leave `label_issues.json`, what cleanlab takes for wrong and how many of these are."""
    if not label_errors.version() or not (training / OUT_OF_FOLD).exists():
        return {}
    labels = source.array("train", "label")
    found = label_errors.issues(labels, softmax(np.load(training / OUT_OF_FOLD)))
    counted = {"found": int(found.sum())}
    mislabeled = label_errors_of(source, "train")
    if mislabeled is not None:
        right = int((found & mislabeled).sum())
        counted["precision"] = right / max(counted["found"], 1)
        counted["recall"] = right / int(mislabeled.sum())
    ids = source.read("train", ["id"])["id"][found].tolist()
    store.write_json(directory / "label_issues.json", {**counted, "ids": ids})
    return counted


def write_map(source: Saved, split: str, training: Path, manifest: dict, device: str, at: Path):
    """Leave `map.parquet`: id, row and principal components, of a sample that depends on ids."""
    config = read_config(manifest)
    rows = np.sort(_smallest_ids(source, split))
    chosen = source.take(split, rows)
    tokens = encode(tokenizers.open_tokenizer(training / "tokenizer"), chosen, config)
    last = manifest["runs"][0]["checkpoints"][-1]["step"]
    model = classifier.open_checkpoint(training / f"runs/0/step-{last:06d}").to(device)
    found = representations.principal(representations.represent(model, tokens))
    table = pd.DataFrame(found, columns=[f"component_{i}" for i in range(found.shape[1])])
    table.insert(0, "id", chosen["id"].to_numpy())
    table.insert(1, "row", rows)
    table.to_parquet(at / "map.parquet", index=False)


def write_cartography(source: Saved, split: str, traces: Iterable[Trace], directory: Path) -> None:
    """Leave `export/cartography/`: the logits at every end of an epoch of the first run."""
    called = dynamics.names_of(_named(source, split))

    def parts() -> Iterator[tuple[Sequence[str], np.ndarray, np.ndarray]]:
        start = 0
        for trace in traces:
            run, end = trace.runs[0], start + len(trace.ids)
            ends = sorted(c.step for c in run.checkpoints if "epochs" in c.series)
            logits = np.stack([run.at["logits"][step] for step in ends])
            yield called[start:end].tolist(), trace.labels, logits
            start = end

    with store.replacing(directory / "export/cartography") as at:
        dynamics.write_cartography(at, parts())


def write_aum(source: Saved, split: str, values: np.ndarray, directory: Path) -> None:
    """Leave `export/aum/aum_values.csv`."""
    with store.replacing(directory / "export/aum") as at:
        at.mkdir()
        names = dynamics.names_of(_named(source, split)).tolist()
        dynamics.write_aum(at / dynamics.VALUES, names, values)


def label_errors_of(source: Saved, split: str) -> np.ndarray | None:
    """Return which labels of a split are known to be wrong, None if none is."""
    known = [name for name in ("mislabeled",) if name in source.columns(split)]
    return label_errors.flags(source.read(split, known)) if known else None


def _named(source: Saved, split: str) -> pd.DataFrame:
    """Return the columns by which other tools may know the examples."""
    there = source.columns(split)
    return source.read(split, [name for name in dynamics.NAMING if name in there])


def _smallest_ids(source: Saved, split: str, most: int = MAPPED) -> np.ndarray:
    """Return the rows of the smallest ids: ids are hashes, so that these are a fair sample."""
    found = pd.Series([], dtype="str")
    for part in source.parts(split, ["id"]):
        both = pd.concat([found, part["id"]])
        found = both.sort_values(kind="stable").head(most)
    return found.index.to_numpy(dtype=np.int64)


def _extremes(
    specs: Sequence[ScoreSpec], columns: Columns, examples: int
) -> Iterator[tuple[str, str, int, float]]:
    """Yield score, end, row and value of the hardest and of the easiest."""
    for spec in specs:
        values = columns[str(spec)]
        order = np.argsort(-hardness(spec, values), kind="stable")
        for end, chosen in (("hardest", order[:examples]), ("easiest", order[::-1][:examples])):
            yield from ((str(spec), end, int(row), values[row]) for row in chosen)


def _shown(example: pd.Series, label_names: Sequence[str]) -> dict[str, Any]:
    texts = {name: example[name] for name in ("text", "text_pair") if name in example}
    known = {"mislabeled": bool(example["mislabeled"])} if "mislabeled" in example else {}
    label = label_names[int(example["label"])]
    return {"label": label, **texts, **known, "id": example["id"]}


class Scores(Result):
    """Finished scores: one number per example and score, and what was found beside them."""

    step = "score"

    @property
    def names(self) -> list[str]:
        """The scores that it holds, each name[@window]."""
        return self._manifest["scores"]

    @property
    def split(self) -> str:
        """The split that was scored; only train can be pruned."""
        return self._manifest["split"]

    @property
    def cost(self) -> dict[str, Any]:
        """What training and scoring took: runs, folds, seconds, passes forward and backward."""
        return self._manifest["cost"]

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row per example: id, label (class number), and one column per score."""
        return pd.read_parquet(self.directory / "scores.parquet")

    @cached_property
    def stability(self) -> pd.DataFrame:
        """How far the ranking of each score agrees with that of another training seed."""
        return pd.read_csv(self.directory / "stability.csv")

    @cached_property
    def examples(self) -> pd.DataFrame:
        """The hardest and easiest examples of every score, and the most doubted labels."""
        listed = json.loads((self.directory / "examples.json").read_text(encoding="utf-8"))
        return pd.DataFrame(listed)

    @cached_property
    def label_errors(self) -> pd.DataFrame | None:
        """How well each score finds known label errors; None where none is known."""
        path = self.directory / "label_errors.csv"
        return pd.read_csv(path) if path.exists() else None

    def values(self, name: str) -> np.ndarray:
        """Return one score of every example (examples,), without reading the others."""
        return np.load(self.directory / f"{name}.npy")

    def hardness(self, name: str) -> np.ndarray:
        """Return one score of every example (examples,), its sign turned so that high is hard."""
        return hardness(parse_spec(name), self.values(name))
