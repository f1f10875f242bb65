"""score: from checkpoints to one number per train example and score."""

import shutil
import time
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from influence import data, flips, planning, scores, store
from influence.cluster import Engine
from influence.config import ScoreConfig, ScoreStep, names
from influence.errors import InputError
from influence.records import save_trace
from influence.specs import hardness, parse_spec
from influence.steps.inputs import read_checkpoints
from influence.steps.shards import Pass, run_pass
from influence.steps.step import Record, Steps, Task, inherited, perform, say

CODE = (
    "batches",
    "closed_forms",
    "data",
    "flips",
    "gradients",
    "layers",
    "models",
    "planning",
    "records",
    "scores",
    "sources",
    "specs",
    "steps/score",
    "steps/shards",
    "steps/inputs",
    "trace",
)
HARMLESS = ("shard_size", "batch_tokens", "self_check")  # knobs that change no result


def score(config: ScoreStep, training: Path, engine: Engine) -> Steps:
    """Score the train set of a finished training in `score-<fingerprint>/`.

    Holds `scores.parquet` (id, label, one column per score), `<score>.npy`, `trace.safetensors`,
    `correlations.csv`, `examples.json` (the hardest and easiest per score), `data/`, `tokenizer/`;
    with labels that are known to be wrong also `flips.csv`, how well each score finds them.
    Raises InputError for unknown scores and for what this training cannot give.
    """
    manifest = store.read_manifest(training, "train")
    runs = tuple(
        planning.RunInfo(
            run["seed"],
            read_checkpoints(run["checkpoints"]),
            run["observations"],
            tuple(run["null"]),
            manifest["task"] == "nlu",
        )
        for run in manifest["runs"]
    )
    specs = _specs(config.score, runs)
    plans = planning.plan(specs, runs)
    knobs = {**config.knobs(ScoreConfig), "score": [str(spec) for spec in specs]}
    knobs = {name: value for name, value in knobs.items() if name not in HARMLESS}
    task = Task("score", knobs, {"training": manifest["fingerprint"]}, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _score(config, training, manifest, specs, plans, engine, directory)

    return (yield from perform(task, config.workdir, work))


def wanted(text: str, arms: Sequence) -> str:
    """Return the scores to compute for these arms besides those listed in `text`."""
    return ",".join(dict.fromkeys([*names(text), *(name for arm in arms for name in arm.scores)]))


def possible(asked: Iterable[str], runs: Sequence[planning.RunInfo], otherwise: str = "") -> list:
    """Return the specs of those scores that `runs` can give; say after `otherwise` why not others.

    Without `otherwise` nothing is said.
    """
    found = []
    for spec in map(parse_spec, asked):
        try:
            planning.plan([spec], tuple(runs))
            found.append(spec)
        except InputError as reason:
            if otherwise:
                say(f"{otherwise}: {reason}")
    return found


def _specs(text: str, runs: Sequence) -> list:
    specs = [spec for name in names(text) for spec in _named(name, runs)]
    if not specs:
        offered = ", ".join(sorted(scores.REGISTRY))
        raise InputError(f"score names no score; there is all, or {offered}")
    return list(dict.fromkeys(specs))


def _named(name: str, runs: Sequence) -> list:
    if name != "all":
        return [parse_spec(name)]
    return possible(scores.REGISTRY, runs, "score: left out of 'all'")


def _score(
    config: ScoreStep, training: Path, manifest: dict, specs, plans, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    store.verify(training, manifest)
    for part in ("data", "tokenizer"):
        store.copy_tree(training / part, directory / part)
    dataset = data.open_saved(directory / "data")
    start = time.perf_counter()
    shards = directory / "shards"
    work = Pass(
        training=training,
        plans=tuple(plans),
        device=engine.device,
        shards=shards,
        **{name: getattr(config, name) for name in ("tracin_layers", "batch_tokens", "self_check")},
    )
    trace, error = run_pass(work, manifest, dataset.train, config.shard_size, engine)
    seconds = time.perf_counter() - start
    columns = {str(spec): planning.compute(spec, trace) for spec in specs}
    found = _write_flips(dataset.train, specs, columns, directory)
    save_trace(trace, directory)
    table = pd.DataFrame({"id": trace.ids, "label": trace.labels, **columns})
    _write_scores(table, dataset, specs, config.examples, directory)
    shutil.rmtree(shards)
    yield Record(
        0,
        {
            "score/seconds": seconds,
            "score/self_check_error": error,
            "score/examples": float(len(table)),
        },
    )
    for name, values in columns.items():
        yield Record(
            0,
            {f"score/mean/{name}": float(values.mean()), f"score/std/{name}": float(values.std())},
        )
    for row in found:
        shown = ("auroc", "average_precision", "precision")
        yield Record(0, {f"flips/{measure}/{row['score']}": row[measure] for measure in shown})
    return {
        **inherited(manifest),
        "scores": list(columns),
        "self_check_error": error,
    }


def _write_scores(
    table: pd.DataFrame, dataset: data.Dataset, specs, examples: int, directory: Path
) -> None:
    with store.replacing(directory / "scores.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    columns = [str(spec) for spec in specs]
    for name in columns:
        np.save(directory / f"{name}.npy", table[name].to_numpy())
    table[columns].rank().corr().to_csv(directory / "correlations.csv")
    store.write_json(directory / "examples.json", _extremes(table, dataset, specs, examples))


def _write_flips(train: pd.DataFrame, specs, columns: dict, directory: Path) -> list[dict]:
    """Leave `flips.csv`, how well each score finds the labels known to be wrong, if there are."""
    flipped = flips.flags(train)
    if flipped is None:
        return []
    hard = {str(spec): hardness(spec, columns[str(spec)]) for spec in specs}
    found = [{"score": name} | flips.detection(hard[name], flipped) for name in hard]
    pd.DataFrame(found).to_csv(directory / "flips.csv", index=False)
    return found


def _extremes(table: pd.DataFrame, dataset: data.Dataset, specs, examples: int) -> list[dict]:
    rows = []
    texts = dataset.train[[c for c in ("text", "text_pair") if c in dataset.train]]
    for spec in specs:
        order = np.argsort(-hardness(spec, table[str(spec)].to_numpy()), kind="stable")
        chosen = [("hardest", i) for i in order[:examples]] + [
            ("easiest", i) for i in order[::-1][:examples]
        ]
        for end, i in chosen:
            rows.append(
                {
                    "score": str(spec),
                    "end": end,
                    "value": float(table[str(spec)].iloc[i]),
                    "label": dataset.label_names[table["label"].iloc[i]],
                    **texts.iloc[i].to_dict(),
                    "id": table["id"].iloc[i],
                }
            )
    return rows
