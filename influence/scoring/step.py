"""score: from checkpoints to one number per example and score."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from influence import scores
from influence.config.parameters import ScoreConfig, ScoreStep, names
from influence.data.storage import open_saved
from influence.errors import InputError, choose
from influence.models.inputs import cache_of
from influence.models.tokens import usual_tokens
from influence.runtime import store
from influence.runtime.devices import settled
from influence.runtime.engine import Engine, let_go
from influence.runtime.memory import give_free_memory_back
from influence.runtime.step import Record, Steps, Task, inherited, perform, say
from influence.scoring import label_errors, plan, result, stability
from influence.scoring.shards import Pass, bounds_of, do_not_fit, run_pass, traces
from influence.scoring.spec import ScoreSpec, parse_spec
from influence.trace.trace import Trace, join, load_trace, save_trace
from influence.training.result import RunInfo, read_runs

CODE = ("scores", "data", "models", "trace", "training", "scoring")
COSTS = ("seed", "epochs", "seconds", "null")  # of a training
EXPORTS = {"cartography": "confidence", "aum": "aum"}  # a score that reads what each needs
HARMLESS = ("shard_size", "batch_tokens", "self_check")  # parameters that change no result


def score(config: ScoreStep, training: Path, engine: Engine) -> Steps:
    """Score a split, by default train, of a finished training in `score-<fingerprint>/`.

    Holds `scores.parquet` (id, label, one column per score), `<score>.npy`, `trace/` (what was
    measured, a file per shard), `correlations.csv`, `stability.csv`, `examples.json` (the hardest
    and easiest per score, and the labels that are doubted most), `map.parquet` (principal
    components of what the last checkpoint makes of up to 2,000 examples), `data/`, `tokenizer/`;
    with labels that are known to be wrong also `label_errors.csv`, how well each score finds them;
    with folds, and where cleanlab is installed, `label_issues.json`, what that takes for wrong;
    with `export` also `export/`, the files of other tools. Of the train set no more is in memory at
    a time than a shard, a number per example and score, and 20,000 examples that are compared.
    Raises InputError for unknown scores and for what this training cannot give.
    """
    manifest = store.read_manifest(training, "train")
    runs = read_runs(manifest)
    specs = _specs(config.score, runs)
    exports = {name: EXPORTS[choose("export", name, EXPORTS)] for name in names(config.export)}
    read = [*specs, *(parse_spec(name) for name in exports.values())]
    _check_split(config.split, read, manifest)
    halved = stability.halves(specs, runs)  # hardly more to measure: the gradients are there
    plans = plan.with_logits(plan.plan([*read, *halved], runs), runs)
    precision = engine.ask(settled, config.score_precision, engine.device)
    parameters = {**config.parameters(ScoreConfig), "score": [str(spec) for spec in specs]}
    parameters["score_precision"] = precision
    parameters |= {"split": config.split, "export": sorted(exports)}
    parameters = {name: value for name, value in parameters.items() if name not in HARMLESS}
    inputs = {"training": manifest["fingerprint"]}
    if manifest["folds"]:
        inputs["cleanlab"] = label_errors.version()
    task = Task("score", parameters, inputs, CODE)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _score(config, training, manifest, specs, plans, precision, engine, directory)

    return (yield from perform(task, config.workdir, work))


def wanted(text: str, arms: Sequence) -> str:
    """Return the scores to compute for these arms besides those listed in `text`."""
    return ",".join(dict.fromkeys([*names(text), *(name for arm in arms for name in arm.scores)]))


def possible(asked: Iterable[str], runs: Sequence[RunInfo], otherwise: str = "") -> list:
    """Return the specs of those scores that `runs` can give; say after `otherwise` why not others.

    Without `otherwise` nothing is said.
    """
    found = []
    for spec in map(parse_spec, asked):
        try:
            plan.plan([spec], tuple(runs))
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
        raise InputError(f"split={split} needs checkpoints, but what was imported has none")
    for spec in specs:
        own = {"observations", "out_of_fold_logits"} & set(scores.REGISTRY[spec.name].needs)
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
    config: ScoreStep,
    training: Path,
    manifest: dict,
    specs,
    plans,
    precision: str,
    engine: Engine,
    directory: Path,
) -> Generator[Record, None, dict]:
    store.verify(training, manifest)
    for part in ("data", "tokenizer"):
        store.copy_tree(training / part, directory / part)
    source, split = open_saved(directory / "data"), config.split
    work = Pass(
        training=training,
        plans=tuple(plans),
        device=engine.device,
        shards=directory / store.UNFINISHED / "shards",
        cache=cache_of(directory),
        split=split,
        streamed=do_not_fit(training, plans, engine),
        precision=precision,
        tracin_layers=config.tracin_layers,
        batch_tokens=config.batch_tokens or usual_tokens(engine.device),
        self_check=config.self_check,
    )
    examples = source.count(split)
    bounds = bounds_of(examples, config.shard_size)
    checked, seconds = run_pass(work, bounds, engine)
    let_go()
    exports = names(config.export)
    added = [parse_spec("aum")] if "aum" in exports else []
    computed = list(dict.fromkeys([*specs, *added]))
    kept = _Kept(computed, examples, config.examples, result.ranked_rows(examples))
    for start, trace in traces(work, manifest, source, bounds):
        kept.add(start, trace)
        save_trace(trace, directory / f"trace/{start:010d}.safetensors")
    columns = kept.columns(specs)
    result.write_scores(source, split, columns, directory)
    result.write_comparisons(specs, kept.sampled(), columns, directory)
    told = (source, split, specs, columns)
    result.write_examples(*told, kept.most_doubted(), config.examples, directory)
    give_free_memory_back()  # of texts that were read in parts
    found = result.write_flips(*told, directory)
    issues = result.write_issues(source, training, directory) if split == "train" else {}
    weights = manifest["runs"][0]["weights"]
    if weights:
        result.write_map(source, split, training, manifest, engine.device, directory)
    if "aum" in exports:
        (aum,) = kept.columns(added).values()
        result.write_aum(source, split, aum, directory)
    if "cartography" in exports:
        parts = (load_trace(path) for path in sorted((directory / "trace").iterdir()))
        result.write_cartography(source, split, parts, directory)
    measured = {"seconds": seconds, "self_check_error": checked.error, "examples": float(examples)}
    measured |= {f"as_fp32/{name}": value for name, value in checked.correlations.items()}
    yield Record(0, {f"score/{name}": value for name, value in measured.items()})
    for name, values in columns.items():
        spread = {"mean": float(values.mean()), "std": float(values.std())}
        yield Record(0, {f"score/{end}/{name}": value for end, value in spread.items()})
    for name, value in issues.items():
        yield Record(0, {f"cleanlab/{name}": float(value)})
    for row in found:
        shown = ("auroc", "average_precision", "precision")
        yield Record(
            0, {f"label_errors/{measure}/{row['score']}": row[measure] for measure in shown}
        )
    return {
        **inherited(manifest),
        "scores": list(columns),
        "split": split,
        "doubt": "held-out" if split == "train" and manifest["folds"] else "training",
        "self_check_error": checked.error,
        "precision": precision,
        "as_fp32": checked.correlations,  # Spearman's correlation, by quantity
        "cost": {
            "runs": [{name: run[name] for name in COSTS} for run in manifest["runs"]],
            "folds": manifest["folds"],
            "seconds": seconds,
            **plan.passes(plans if weights else []),
        },
    }


@dataclass
class _Kept:
    """What is kept of traces that come shard by shard: one number per example and score.

    ranked: ascending rows of which the whole trace is kept, to compare scores with each other.
    """

    specs: Sequence[ScoreSpec]
    total: int  # examples of the split
    examples: int  # the most doubted
    ranked: np.ndarray
    values: dict[str, np.ndarray] = field(default_factory=dict)
    doubted: list[pd.DataFrame] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def add(self, start: int, trace: Trace) -> None:
        for spec in self.specs:
            found = plan.compute(spec, trace)
            whole = self.values.setdefault(str(spec), np.empty(self.total, found.dtype))
            whole[start : start + len(found)] = found
        doubted = label_errors.suspects(trace).head(self.examples)
        self.doubted.append(doubted.assign(row=doubted["row"] + start))
        first, end = np.searchsorted(self.ranked, [start, start + len(trace.ids)])
        self.traces.append(trace.take(self.ranked[first:end] - start))

    def columns(self, specs: Iterable[ScoreSpec]) -> dict[str, np.ndarray]:
        return {str(spec): self.values[str(spec)] for spec in specs}

    def most_doubted(self) -> pd.DataFrame:
        everyone = pd.concat(self.doubted)
        ranked = everyone.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
        return ranked.head(self.examples)

    def sampled(self) -> Trace:
        return join(self.traces)
