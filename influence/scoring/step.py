"""score: from checkpoints to one number per example and score."""

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from influence import scores
from influence.config.lists import names
from influence.config.parameters import ScoreConfig
from influence.config.steps import ScoreStep
from influence.errors import InputError, choose, listed
from influence.jobs.engine import Engine, let_go
from influence.models.inputs import cache_of
from influence.models.metrics import by_guessing
from influence.models.tokens import usual_tokens
from influence.runtime import store
from influence.runtime.devices import settled
from influence.runtime.memory import give_free_memory_back
from influence.runtime.step import Record, Steps, Task, perform, say
from influence.scoring import findings, label_errors, plan, result, stability
from influence.scoring.compute import compute
from influence.scoring.plan import RunPlan, too_early
from influence.scoring.shards import Checked, Pass, bounds_of, run_pass, traces, with_mean_gradients
from influence.scoring.spec import ScoreSpec, parse_spec
from influence.trace.trace import Trace, join, save_trace
from influence.training.result import RunInfo, Training

CODE = ("scores", "data", "models", "trace", "training", "scoring")
EXPORTS = {"cartography": "confidence", "aum": "aum"}  # a score that reads the same
AUM = ScoreSpec("aum")
HARMLESS = ("shard_size", "batch_tokens", "self_check")  # parameters that do not change the result


@dataclass(frozen=True, eq=False)
class _Request:
    """A checked request to score, with everything it needs."""

    config: ScoreStep
    training: Training
    specs: Sequence[ScoreSpec]
    exports: Sequence[str]
    plans: Sequence[RunPlan]
    precision: str

    @property
    def task(self) -> Task:
        """The step with everything that its result depends on."""
        parameters = {**self.config.parameters(ScoreConfig), "split": self.config.split}
        parameters |= {"score": [str(spec) for spec in self.specs], "export": sorted(self.exports)}
        parameters |= {"score_precision": self.precision}
        parameters = {name: value for name, value in parameters.items() if name not in HARMLESS}
        inputs = {"training": self.training.fingerprint}
        if self.training.folds:
            inputs["cleanlab"] = label_errors.version()
        return Task("score", parameters, inputs, CODE)


def score(config: ScoreStep, training: Training, engine: Engine) -> Steps:
    """Score a split, by default train, in `score-<fingerprint>/`, which `result.Scores` opens.

    It holds one number per example and score, the measurements behind them (one file per shard),
    how scores agree with each other and with themselves, the hardest, easiest and most doubted
    examples, and principal components of the last checkpoint's representation of up to 2,000
    examples; with `representations`, those of all examples. Where label errors are known, it also
    holds how well each score detects them; with folds, and where cleanlab is installed, the labels
    that cleanlab flags; with `export`, files for other tools. At any time only one shard, one
    number per example and score, the 20,000 examples that are compared, and representations are in
    memory. Raises InputError for unknown scores and for those that this training cannot give.
    """
    request = _check(config, training, engine)

    def work(directory: Path) -> Generator[Record, None, dict]:
        return _score(request, engine, directory)

    return (yield from perform(request.task, config.workdir, work))


def wanted(text: str, arms: Sequence) -> str:
    """Return the scores to compute for these arms besides those listed in `text`."""
    return ",".join(dict.fromkeys([*names(text), *(name for arm in arms for name in arm.reads)]))


def usual(arms: Sequence, runs: Sequence[RunInfo]) -> str:
    """Return the scores to compute where none are named: those of the default that `runs` can give.

    What the arms read is always among them. Says which are left out; the whole default stays where
    nothing else would be computed, so that its check gives the reason.
    """
    given = list(map(str, possible(names(ScoreConfig.score), runs)))
    computed = names(wanted(",".join(given), arms)) or names(ScoreConfig.score)
    if left := [name for name in names(ScoreConfig.score) if name not in computed]:
        say(
            f"compare: leaves out {listed(left)} of the default scores, which this training cannot "
            "give and no arm reads; name them with score to learn the reason"
        )
    return ",".join(computed)


def possible(asked: Iterable[str], runs: Sequence[RunInfo], otherwise: str = "") -> list:
    """Return the specs of those scores that `runs` can give; say after `otherwise` why not others.

    Without `otherwise` nothing is said.
    """
    specs = []
    for spec in map(parse_spec, asked):
        try:
            plan.plan([spec], tuple(runs))
            specs.append(spec)
        except InputError as reason:
            if otherwise:
                say(f"{otherwise}: {reason}")
    return specs


def _check(config: ScoreStep, training: Training, engine: Engine) -> _Request:
    """Check the request and plan it; raise InputError for what this training cannot give."""
    runs = training.runs
    specs = _specs(config.score, runs)
    exports = {name: EXPORTS[choose("export", name, EXPORTS)] for name in names(config.export)}
    read = [*specs, *(parse_spec(name) for name in exports.values())]
    _check_split(config.split, read, training)
    if config.representations and not training.runs[0].represented:
        raise InputError(
            "representations=true needs checkpoints, but the import has none; import a folder of "
            "checkpoints, or choose arms whose rules read none"
        )
    halved = stability.halves(specs, runs)  # almost free: their gradients are computed anyway
    plans = plan.with_logits(plan.plan([*read, *halved], runs), runs)
    precision = engine.ask(settled, config.score_precision, engine.device)
    if (config.score_precision, precision) == ("tf32", "fp32"):
        say(f"score: the device {engine.device} has no tf32; scores in fp32")
    guessing = by_guessing(training.data.array("validation", "label"))
    for sentence in too_early(specs, training.history, guessing):
        say(f"score: {sentence}")
    return _Request(config, training, specs, list(exports), plans, precision)


def _check_split(split: str, specs: Sequence[ScoreSpec], training: Training) -> None:
    """Raise InputError for a score that needs what only the train set has."""
    if split == "train":
        return
    if not training.has_weights:
        whose = "probe" if training.is_probe else "import"
        raise InputError(f"split={split} needs checkpoints, but the {whose} has none")
    for spec in specs:
        own = {"observations", "out_of_fold_logits"} & set(scores.REGISTRY[spec.name].needs)
        if own:
            raise InputError(
                f"score '{spec}' reads {own.pop()}, which only the train set has; leave it out "
                f"with split={split}"
            )


def _specs(text: str, runs: Sequence) -> list:
    specs = [spec for name in names(text) for spec in _named(name, runs)]
    if not specs:
        offered = ", ".join(sorted(scores.REGISTRY))
        raise InputError(f"score names no score; choose all, or some of {offered}")
    if AUM in specs:  # whose logits they share, so that they cost nothing
        specs += possible([label_errors.MARGINS], runs)
    return list(dict.fromkeys(specs))


def _named(name: str, runs: Sequence) -> list:
    if name != "all":
        return [parse_spec(name)]
    return possible(scores.REGISTRY, runs, "score: left out of 'all'")


def _score(request: _Request, engine: Engine, directory: Path) -> Generator[Record, None, dict]:
    config, training, split = request.config, request.training, request.config.split
    training.verify()
    training.share(directory)
    work, before = with_mean_gradients(_pass(request, engine, directory), engine)
    bounds = bounds_of(training.data.count(split), config.shard_size)
    checked, seconds = run_pass(work, bounds, engine)
    seconds += before
    let_go()
    kept = _keep(request, work, bounds, directory)
    columns = findings.Columns(training.data, split, request.specs, kept.columns(request.specs))
    findings.write_scores(columns, directory)
    findings.write_comparisons(columns, kept.sampled(), directory)
    findings.write_examples(columns, kept.most_doubted(), config.examples, directory)
    give_free_memory_back()  # from texts that were read in parts
    detected = findings.write_label_errors(columns, directory)
    issues = findings.write_label_issues(training, directory) if split == "train" else {}
    if training.runs[0].represented:
        findings.write_map(training, split, engine.device, directory)
    if config.representations:
        findings.write_representations(training, split, engine.device, directory)
    _export(request, kept, directory)
    yield from _records(columns, checked, seconds, issues, detected)
    measured = {"seconds": seconds, "precision": request.precision}
    measured |= {"self_check_error": checked.error, "as_fp32": checked.correlations}
    margins = np.concatenate(kept.margins)
    measured["suspected"] = label_errors.share_wrong(margins) if len(margins) else None
    passes = plan.passes(request.plans if training.has_weights else [])
    return result.described(training, list(columns.values), split, measured, passes)


def _pass(request: _Request, engine: Engine, directory: Path) -> Pass:
    """Return what every shard of this pass needs to know."""
    config, training = request.config, request.training
    return Pass(
        training=training,
        plans=tuple(request.plans),
        device=engine.device,
        shards=directory / store.UNFINISHED / "shards",
        cache=cache_of(directory),
        split=config.split,
        precision=request.precision,
        tracin_layers=config.tracin_layers,
        batch_tokens=config.batch_tokens or usual_tokens(engine.device),
        self_check=config.self_check,
    )


def _keep(
    request: _Request, work: Pass, bounds: Sequence[tuple[int, int]], directory: Path
) -> "_Kept":
    """Write the trace of every shard; return what is kept of all of them in memory."""
    examples = bounds[-1][1]
    added = [AUM] if "aum" in request.exports else []
    computed = list(dict.fromkeys([*request.specs, *added]))
    ranked = findings.ranked_rows(examples)
    kept = _Kept(computed, examples, request.config.examples, ranked)
    for start, trace in traces(work, bounds):
        kept.add(start, trace)
        save_trace(trace, result.trace_file(directory, start))
    return kept


def _export(request: _Request, kept: "_Kept", directory: Path) -> None:
    """Write the files for other tools."""
    source, split = request.training.data, request.config.split
    if "aum" in request.exports:
        (aum,) = kept.columns([AUM]).values()
        findings.write_aum(source, split, aum, directory)
    if "cartography" in request.exports:
        findings.write_cartography(source, split, result.read_traces(directory), directory)


def _records(
    columns: findings.Columns,
    checked: Checked,
    seconds: float,
    issues: Mapping[str, int | float],
    detected: Sequence[Mapping[str, Any]],
) -> Iterator[Record]:
    """Yield the metrics of the pass, of the scores and of the label errors."""
    examples = len(next(iter(columns.values.values())))
    measured = {"seconds": seconds, "self_check_error": checked.error, "examples": float(examples)}
    measured |= {f"as_fp32/{name}": value for name, value in checked.correlations.items()}
    yield Record(0, {f"score/{name}": value for name, value in measured.items()})
    for name, values in columns.values.items():
        spread = {"mean": float(values.mean()), "std": float(values.std())}
        yield Record(0, {f"score/{end}/{name}": value for end, value in spread.items()})
    for name, value in issues.items():
        yield Record(0, {f"cleanlab/{name}": float(value)})
    for row in detected:
        shown = ("auroc", "average_precision", "precision")
        yield Record(
            0, {f"label_errors/{measure}/{row['score']}": row[measure] for measure in shown}
        )


@dataclass
class _Kept:
    """What is kept in memory of the traces of all shards: one number per example and score.

    ranked: rows, ascending, whose whole trace is kept to compare scores with each other.
    """

    specs: Sequence[ScoreSpec]
    total: int  # examples of the split
    examples: int  # the most doubted
    ranked: np.ndarray
    values: dict[str, np.ndarray] = field(default_factory=dict)
    doubted: list[pd.DataFrame] = field(default_factory=list)
    margins: list[np.ndarray] = field(default_factory=list)
    traces: list[Trace] = field(default_factory=list)

    def add(self, start: int, trace: Trace) -> None:
        for spec in self.specs:
            values = compute(spec, trace)
            whole = self.values.setdefault(str(spec), np.empty(self.total, values.dtype))
            whole[start : start + len(values)] = values
        self.margins.append(label_errors.margins(trace))
        doubted = label_errors.suspects(trace).head(self.examples)
        self.doubted.append(doubted.assign(row=doubted["row"] + start))
        first, end = np.searchsorted(self.ranked, [start, start + len(trace.ids)])
        self.traces.append(trace.take(self.ranked[first:end] - start))

    def columns(self, specs: Iterable[ScoreSpec]) -> dict[str, np.ndarray]:
        return {str(spec): self.values[str(spec)] for spec in specs}

    def most_doubted(self) -> pd.DataFrame:
        doubted = pd.concat(self.doubted)
        ranked = doubted.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)
        return ranked.head(self.examples)

    def sampled(self) -> Trace:
        return join(self.traces)
