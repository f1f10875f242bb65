"""score: from checkpoints to one number per train example and score."""

import shutil
from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from influence import (
    confident,
    data,
    dynamics,
    flips,
    models,
    planning,
    representations,
    scores,
    stability,
    store,
    suspects,
)
from influence.cluster import Engine
from influence.config import ScoreConfig, ScoreStep, TrainConfig, names
from influence.errors import InputError, choose
from influence.records import Trace, save_trace
from influence.specs import ScoreSpec, hardness, parse_spec
from influence.steps.inputs import encode, read_runs
from influence.steps.shards import Pass, run_pass
from influence.steps.step import Record, Steps, Task, inherited, perform, say

CODE = (
    "batches",
    "closed_forms",
    "confident",
    "data",
    "dynamics",
    "flips",
    "gradients",
    "layers",
    "models",
    "planning",
    "records",
    "representations",
    "scores",
    "sources",
    "specs",
    "stability",
    "steps/score",
    "steps/shards",
    "steps/inputs",
    "suspects",
    "trace",
)
COSTS = ("seed", "epochs", "seconds", "null")  # of a training
MAPPED = 2000  # train examples at most on the map
EXPORTS = {"cartography": "confidence", "aum": "aum"}  # a score that reads what each needs
HARMLESS = ("shard_size", "batch_tokens", "self_check")  # knobs that change no result


Named = tuple[pd.DataFrame, tuple[str, ...]]  # the rows of a split, and the names of classes


def score(config: ScoreStep, training: Path, engine: Engine) -> Steps:
    """Score a split, by default train, of a finished training in `score-<fingerprint>/`.

    Holds `scores.parquet` (id, label, one column per score), `<score>.npy`, `trace.safetensors`,
    `correlations.csv`, `stability.csv`, `examples.json` (the hardest and easiest per score, and the
    labels that the model doubts most), `map.parquet` (principal components of what the last
    checkpoint makes of up to 2,000 examples), `data/`, `tokenizer/`; with labels that are known to
    be wrong also `flips.csv`, how well each score finds them; with folds, and where cleanlab is
    installed, `label_issues.json`, what that takes for wrong; with `export` also `export/`, the
    files of other tools.
    Raises InputError for unknown scores and for what this training cannot give.
    """
    manifest = store.read_manifest(training, "train")
    runs = read_runs(manifest)
    specs = _specs(config.score, runs)
    exports = {name: EXPORTS[choose("export", name, EXPORTS)] for name in names(config.export)}
    read = [*specs, *(parse_spec(name) for name in exports.values())]
    _check_split(config.split, read, manifest)
    halved = stability.halves(specs, runs)  # hardly more to measure: the gradients are there
    plans = planning.with_logits(planning.plan([*read, *halved], runs), runs)
    knobs = {**config.knobs(ScoreConfig), "score": [str(spec) for spec in specs]}
    knobs |= {"split": config.split, "export": sorted(exports)}
    knobs = {name: value for name, value in knobs.items() if name not in HARMLESS}
    inputs = {"training": manifest["fingerprint"]}
    if manifest["folds"]:
        inputs["cleanlab"] = confident.version()
    task = Task("score", knobs, inputs, CODE)

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


def _check_split(split: str, specs: Sequence[ScoreSpec], manifest: dict) -> None:
    """Raise InputError for what only the train set has."""
    if split == "train":
        return
    if not all(run["weights"] for run in manifest["runs"]):
        raise InputError(f"split={split} needs checkpoints, but what was adopted has none")
    for spec in specs:
        own = {"observations", "held_out_logits"} & set(scores.REGISTRY[spec.name].needs)
        if own:
            raise InputError(
                f"score '{spec}' reads {own.pop()}, which are of the train set alone; leave it out "
                f"with split={split}"
            )


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
    rows = dataset.splits[config.split]
    shards = directory / "shards"
    work = Pass(
        training=training,
        plans=tuple(plans),
        device=engine.device,
        shards=shards,
        split=config.split,
        **{name: getattr(config, name) for name in ("tracin_layers", "batch_tokens", "self_check")},
    )
    trace, error, seconds = run_pass(work, manifest, rows, config.shard_size, engine)
    columns = {str(spec): planning.compute(spec, trace) for spec in specs}
    found = _write_flips(rows, specs, columns, directory)
    save_trace(trace, directory)
    table = pd.DataFrame({"id": trace.ids, "label": trace.labels, **columns})
    doubted = suspects.suspects(trace).head(config.examples)
    issues = _write_issues(trace, rows, directory)
    named = (rows, dataset.label_names)
    _write_scores(table, named, specs, config.examples, doubted, directory)
    stability.stability(specs, trace).to_csv(directory / "stability.csv", index=False)
    if manifest["runs"][0]["weights"]:
        _write_map(training, manifest, rows, work.device, directory)
    _write_exports(names(config.export), trace, rows, directory)
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
    for name, value in issues.items():
        yield Record(0, {f"cleanlab/{name}": float(value)})
    for row in found:
        shown = ("auroc", "average_precision", "precision")
        yield Record(0, {f"flips/{measure}/{row['score']}": row[measure] for measure in shown})
    return {
        **inherited(manifest),
        "scores": list(columns),
        "split": config.split,
        "doubt": "training" if trace.held_out_logits is None else "held-out",
        "self_check_error": error,
        "cost": {
            "runs": [{name: run[name] for name in COSTS} for run in manifest["runs"]],
            "folds": manifest["folds"],
            "seconds": seconds,
            **planning.passes(plans if manifest["runs"][0]["weights"] else []),
        },
    }


def _write_scores(
    table: pd.DataFrame,
    named: Named,
    specs,
    examples: int,
    doubted: pd.DataFrame,
    directory: Path,
) -> None:
    with store.replacing(directory / "scores.parquet") as temporary:
        table.to_parquet(temporary, index=False)
    columns = [str(spec) for spec in specs]
    for name in columns:
        np.save(directory / f"{name}.npy", table[name].to_numpy())
    table[columns].rank().corr().to_csv(directory / "correlations.csv")
    listed = _extremes(table, named, specs, examples) + _suspected(doubted, named)
    store.write_json(directory / "examples.json", listed)


def _write_exports(
    exports: Iterable[str], trace: Trace, rows: pd.DataFrame, directory: Path
) -> None:
    """Leave what other tools read, under the names that the examples had in their source."""
    for name in exports:
        called = dynamics.names_of(rows)
        with store.replacing(directory / "export" / name) as at:
            at.mkdir()
            if name == "aum":
                values = planning.compute(parse_spec("aum"), trace)
                dynamics.write_aum(at / dynamics.VALUES, called, values)
                continue
            run = trace.runs[0]
            ends = [c.step for c in run.checkpoints if "epochs" in c.series]
            logits = np.stack([run.at["logits"][step] for step in sorted(ends)])
            dynamics.write_cartography(at, called, trace.labels, logits)


def _write_flips(train: pd.DataFrame, specs, columns: dict, directory: Path) -> list[dict]:
    """Leave `flips.csv`, how well each score finds the labels known to be wrong, if there are."""
    flipped = flips.flags(train)
    if flipped is None:
        return []
    hard = {str(spec): hardness(spec, columns[str(spec)]) for spec in specs}
    found = [{"score": name} | flips.detection(hard[name], flipped) for name in hard]
    pd.DataFrame(found).to_csv(directory / "flips.csv", index=False)
    return found


def _write_issues(trace: Trace, rows: pd.DataFrame, directory: Path) -> dict[str, float]:
    """Leave what cleanlab takes for wrong labels, and how many of them are known to be."""
    if trace.held_out_logits is None or not confident.version():
        return {}
    found = confident.issues(trace.labels, suspects.softmax(trace.held_out_logits))
    counted = {"found": int(found.sum())}
    flipped = flips.flags(rows)
    if flipped is not None:
        right = int((found & flipped).sum())
        counted["precision"] = right / max(counted["found"], 1)
        counted["recall"] = right / int(flipped.sum())
    ids = trace.ids[found].tolist()
    store.write_json(directory / "label_issues.json", {**counted, "ids": ids})
    return counted


def _write_map(
    training: Path, manifest: dict, train: pd.DataFrame, device: str, directory: Path
) -> None:
    """Leave `map.parquet`: id, row and principal components, of a sample that depends on ids."""
    config = TrainConfig(**manifest["knobs"])
    ids = train["id"].to_numpy()
    rows = np.sort(np.argsort(ids, kind="stable")[:MAPPED])  # ids are hashes
    tokenizer = models.open_tokenizer(training / "tokenizer")
    tokens = encode(tokenizer, train.iloc[rows], config)
    last = manifest["runs"][0]["checkpoints"][-1]["step"]
    model = models.open_checkpoint(training / f"runs/0/step-{last:06d}").to(device)
    found = representations.principal(representations.represent(model, tokens))
    table = pd.DataFrame(found, columns=[f"component_{i}" for i in range(found.shape[1])])
    table.insert(0, "id", ids[rows])
    table.insert(1, "row", rows)
    table.to_parquet(directory / "map.parquet", index=False)


def _extremes(table: pd.DataFrame, named: Named, specs, examples: int) -> list[dict]:
    rows = []
    for spec in specs:
        values = table[str(spec)].to_numpy()
        order = np.argsort(-hardness(spec, values), kind="stable")
        for end, chosen in (("hardest", order[:examples]), ("easiest", order[::-1][:examples])):
            rows += [_listed(str(spec), end, values[i], named, i) for i in chosen]
    return rows


def _suspected(doubted: pd.DataFrame, named: Named) -> list[dict]:
    return [
        _listed("doubt", "suspected", doubt, named, int(row))
        | {"predicted": named[1][int(predicted)]}
        for row, predicted, doubt in doubted.itertuples(index=False)
    ]


def _listed(score: str, end: str, value: float, named: Named, row: int) -> dict:
    example = named[0].iloc[row]
    texts = {name: example[name] for name in ("text", "text_pair") if name in example}
    label = named[1][example["label"]]
    shown = {"score": score, "end": end, "value": float(value), "label": label, **texts}
    known = {"flipped": bool(example["flipped"])} if "flipped" in example else {}
    return {**shown, **known, "id": example["id"]}
