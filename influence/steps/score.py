"""score: from checkpoints to one number per train example and score."""

import json
import time
from collections.abc import Generator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from safetensors.numpy import load_file, save_file

from influence import data, models, planning, scores, store
from influence.cluster import Engine
from influence.config import ScoreConfig, ScoreStep, TrainConfig, names
from influence.errors import InputError
from influence.records import RunTrace, Trace, save_trace
from influence.specs import hardness, parse_spec
from influence.steps.inputs import open_inputs
from influence.steps.step import Record, Steps, Task, inherited, perform, say
from influence.steps.train import read_checkpoints
from influence.trace import MISMATCH, Meter, Resident, self_check, slowdown

CODE = (
    "batches",
    "closed_forms",
    "data",
    "gradients",
    "layers",
    "models",
    "planning",
    "records",
    "scores",
    "sources",
    "specs",
    "steps/score",
    "steps/inputs",
    "trace",
)
KEPT = ("shard_size", "batch_tokens", "examples")  # knobs that change no score


def score(config: ScoreStep, training: Path, engine: Engine) -> Steps:
    """Score the train set of a finished training in `score-<fingerprint>/`.

    Holds `scores.parquet` (id, label, one column per score), `<score>.npy`, `trace.safetensors`,
    `correlations.csv`, `examples.json` (the hardest and easiest per score), `data/`, `tokenizer/`.
    Raises InputError for unknown scores and for what this training cannot give.
    """
    manifest = store.read_manifest(training, "train")
    runs = tuple(
        planning.RunInfo(
            run["seed"],
            read_checkpoints(run["checkpoints"]),
            run["observations"],
            tuple(run["null"]),
        )
        for run in manifest["runs"]
    )
    specs = _specs(config.score, runs)
    plans = planning.plan(specs, runs)
    knobs = {**config.knobs(ScoreConfig), "score": [str(spec) for spec in specs]}
    knobs = {name: value for name, value in knobs.items() if name not in KEPT}
    task = Task("score", knobs, {"training": manifest["fingerprint"]}, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _score(config, training, manifest, specs, plans, engine, directory)

    return (yield from perform(task, config.workdir, work))


def wanted(text: str, arms: Sequence) -> str:
    """Return the scores to compute for these arms besides those listed in `text`."""
    return ",".join(dict.fromkeys([*names(text), *(name for arm in arms for name in arm.scores)]))


def _specs(text: str, runs: Sequence) -> list:
    specs = [spec for name in names(text) for spec in _named(name, runs)]
    if not specs:
        offered = ", ".join(sorted(scores.REGISTRY))
        raise InputError(f"score names no score; there is all, or {offered}")
    return list(dict.fromkeys(specs))


def _named(name: str, runs: Sequence) -> list:
    if name != "all":
        return [parse_spec(name)]
    found = []
    for score_name in scores.REGISTRY:
        try:
            planning.plan([parse_spec(score_name)], runs)
            found.append(parse_spec(score_name))
        except InputError as reason:
            say(f"score: left out of 'all': {reason}")
    return found


def _score(
    config: ScoreStep, training: Path, manifest: dict, specs, plans, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    store.verify(training, manifest)
    for part in ("data", "tokenizer"):
        store.copy_tree(training / part, directory / part)
    dataset = data.open_saved(directory / "data")
    start = time.perf_counter()
    trace, error = _trace(config, training, manifest, plans, dataset, engine, directory)
    seconds = time.perf_counter() - start
    columns = {str(spec): planning.compute(spec, trace) for spec in specs}
    save_trace(trace, directory)
    table = pd.DataFrame({"id": trace.ids, "label": trace.labels, **columns})
    _write_scores(table, dataset, specs, config.examples, directory)
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
    return {
        **inherited(manifest),
        "scores": list(columns),
        "self_check_error": error,
    }


def _trace(
    config, training, manifest, plans, dataset, engine: Engine, directory: Path
) -> tuple[Trace, float]:
    shards = directory / "shards"
    examples = len(dataset.train)
    key = json.dumps(
        [
            [
                sorted((s, sorted(q)) for s, q in p.at.items()),
                sorted((q, sorted(w.items())) for q, w in p.over.items()),
            ]
            for p in plans
        ]
    )
    jobs = [
        (
            training,
            key,
            config.tracin_layers,
            engine.device,
            start,
            min(start + config.shard_size, examples),
            config.batch_tokens,
            config.self_check if start == 0 else 0,
            shards,
        )
        for start in range(0, examples, config.shard_size)
    ]
    errors = [error for _, error in engine.run(measure_shard, jobs, "score")]
    error = max(errors)
    if error > MISMATCH:
        raise RuntimeError(
            f"this pass differs from plain autograd by {error:.1e}; no score was written"
        )
    parts = [load_file(shards / f"{job[4]:09d}.safetensors") for job in jobs]
    measured = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    runs = tuple(
        _run_trace(training, manifest, number, plan, measured) for number, plan in enumerate(plans)
    )
    labels = dataset.train["label"].to_numpy()
    trace = Trace(ids=dataset.train["id"].to_numpy(dtype=str), labels=labels, runs=runs)
    for path in shards.iterdir():
        path.unlink()
    shards.rmdir()
    return trace, error


def measure_shard(
    training: Path,
    key: str,
    tracin_layers: str,
    device: str,
    start: int,
    end: int,
    batch_tokens: int,
    check: int,
    shards: Path,
) -> float:
    """Measure train examples start..end into a file, unless it is there; return the error found."""
    path = shards / f"{start:09d}.safetensors"
    meter, tokens, labels = _resident(training, key, tracin_layers, device)
    error = self_check(meter, tokens, labels, check) if check else 0.0
    if check and any(meter.slow):
        say(
            f"score: this model has a layer without a closed form: gradient norms take one example "
            f"at a time, {slowdown(meter, tokens, labels):.0f} times a forward pass"
        )
    if path.exists():
        return error
    measured = meter.measure(tokens, labels, np.arange(start, end), batch_tokens)
    arrays = {f"at/{run}/{name}/{step}": a for (run, name, step), a in measured.at.items()}
    arrays |= {f"over/{run}/{name}/{window}": a for (run, name, window), a in measured.over.items()}
    with store.replacing(path) as temporary:
        save_file(arrays, temporary)
    return error


@lru_cache(maxsize=1)
def _resident(training: Path, key: str, tracin_layers: str, device: str):
    """Open every checkpoint that the plan names, once per process."""
    residents = []
    for run, (at, over) in enumerate(json.loads(key)):
        windows = {name: steps for _, by_window in over for name, steps in by_window}
        steps = {step: frozenset(quantities) for step, quantities in at}
        for step in sorted({*steps, *(s for used in windows.values() for s in used)}):
            model = models.open_checkpoint(training / f"runs/{run}/step-{step:06d}").to(device)
            used = tuple(name for name, within in windows.items() if step in within)
            residents.append(Resident(run, step, model, steps.get(step, frozenset()), used))
    manifest = store.read_manifest(training, "train")
    _check_classes(residents, manifest["label_names"], training)
    tokens, labels = open_inputs(training, "train", TrainConfig(**manifest["knobs"]))
    return Meter(residents, tracin_layers), tokens, labels


def _check_classes(residents: Sequence[Resident], names: Sequence[str], training: Path) -> None:
    for resident in residents:
        if resident.model.config.num_labels != len(names):
            raise InputError(
                f"the checkpoint of step {resident.step} in {training} tells "
                f"{resident.model.config.num_labels} classes apart, but its dataset has "
                f"{len(names)}; it belongs to another training"
            )


def _run_trace(training: Path, manifest: dict, number: int, plan, measured: dict) -> RunTrace:
    at: dict[str, dict[int, np.ndarray]] = {}
    over: dict[str, dict[str, np.ndarray]] = {}
    for name, array in measured.items():
        kind, run, quantity, where = name.split("/", 3)
        if int(run) == number and kind == "at":
            at.setdefault(quantity, {})[int(where)] = array
        elif int(run) == number:
            over.setdefault(quantity, {})[where] = array
    folder = training / f"runs/{number}"
    null = json.loads((folder / "null.json").read_text())
    if null:
        at["null_logits"] = {int(step): np.array(v, dtype=np.float32) for step, v in null.items()}
    whole = (
        {"observations": np.load(folder / "observations.npy")}
        if "observations" in plan.whole
        else {}
    )
    run = manifest["runs"][number]
    return RunTrace(run["seed"], read_checkpoints(run["checkpoints"]), at, over, whole)


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
