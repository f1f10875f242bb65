"""search: which score, rule and fraction prune most of a train set before accuracy suffers."""

from collections.abc import Generator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from influence import scores
from influence.config.parameters import FitConfig, SearchConfig, SearchStep, names
from influence.data import load
from influence.data.storage import open_saved, save_subsets
from influence.errors import InputError
from influence.evaluation import intervals, retraining
from influence.evaluation.retraining import Place, retrain
from influence.runtime import store
from influence.runtime.engine import Engine
from influence.runtime.step import Record, Task, inherited, perform, say
from influence.sampling import order as sampling
from influence.sampling import rules
from influence.sampling.arms import Arm
from influence.scoring import spec as specs
from influence.scoring.step import possible
from influence.searching import space, trials
from influence.searching.recommendation import FULL, flat, recommendation
from influence.searching.space import Candidate, Space
from influence.searching.trials import Trial
from influence.training.result import read_scored, recall_of
from influence.training.step import expected

CODE = ("scores", "data", "models", "nlu", "scoring", "sampling", "evaluation", "searching")
PAPER = ("vog", "el2n", "forgetting", "pvi", "tracin")
EXECUTION = ("trials", "test_seeds", "storage", "grace")  # a study is the same with others of these
Searching = Generator[Trial | Record, None, Path]


@dataclass(frozen=True, eq=False)
class Scored:
    """A finished scores directory, as a search reads it."""

    directory: Path
    manifest: dict
    space: Space
    labels: np.ndarray
    hardness: dict[str, np.ndarray]
    recall: np.ndarray | None
    seed: int

    def kept(self, candidate: Candidate, number: int) -> np.ndarray:
        """Return the rows that stay, for seed `number`; rules that draw draw anew for each."""
        minimums = (sampling.Minimum(self.labels, candidate.min_per_class),)
        order = sampling.order(
            candidate.arm,
            self.hardness,
            self.labels,
            self.seed + number,
            minimums=minimums,
            recall=self.recall,
            parameters=candidate.parameters,
        )
        return sampling.cut(order, candidate.percent / 100, minimums)


def check_search(config: SearchStep) -> None:
    """Raise InputError for what can be known to be wrong before anything is trained."""
    from influence.searching import study as search_study

    space.check(names(config.rules), config.lowest, config.highest)
    for name in names(config.score):
        specs.parse_spec(name)
    search_study.open_storage(_storage(config), config.grace, _locks(config))
    if not config.scores:
        load.load(config)


def open_scored(config: SearchStep, directory: Path) -> Scored:
    """Read a scores directory and derive the space that `config` leaves of it.

    Raises InputError for a score that it does not hold, for an unknown rule, and for a model to
    retrain that does not belong with its tokenizer and the texts.
    """
    manifest = read_scored(directory)
    store.verify(directory, manifest)
    if config.metric == "frame_accuracy" and manifest["task"] != "nlu":
        raise InputError(
            f"metric=frame_accuracy is of task=nlu, but {directory} scores a classifier; choose "
            "accuracy or macro_f1"
        )
    for note in retraining.check(config, directory, "score"):
        say(f"search: {note}")
    columns = _columns(config.score, manifest["scores"], directory)
    frame = pd.read_parquet(directory / "scores.parquet", columns=["label", *columns])
    labels = frame["label"].to_numpy()
    counts = np.bincount(labels, minlength=len(manifest["label_names"])).tolist()
    recall, named = recall_of(manifest), names(config.rules)
    if recall is None and not named:
        named = tuple(name for name, rule in rules.REGISTRY.items() if "recall" not in rule.needs)
    return Scored(
        directory,
        manifest,
        space.build(columns, named, config.lowest, config.highest, counts),
        labels,
        {c: specs.hardness(specs.parse_spec(c), frame[c].to_numpy()) for c in columns},
        recall,
        config.seed,
    )


def study_name(config: SearchStep, scored: Scored) -> str:
    """Name a study after all that its trials depend on: another space is another study."""
    parameters = {k: v for k, v in config.parameters(SearchConfig).items() if k not in EXECUTION}
    parameters |= {"space": scored.space.described(), "seed": config.seed}
    inputs = {"scores": scored.manifest["fingerprint"]}
    inputs |= retraining.inputs(config, scored.directory, "score")
    dataset, model = scored.manifest["dataset"]["name"], scored.manifest["fit"]["model"]
    digest = store.fingerprint("study", parameters, inputs, CODE)
    return f"{Path(dataset).name}-{Path(model).name}-{config.goal}-{digest}"


def open_study(config: SearchStep, scored: Scored):
    """Open the study of these scores, in the workdir unless a storage is named."""
    from influence.searching import study as search_study

    name = study_name(config, scored)
    return search_study.open_study(config, _storage(config), name, scored.space, _locks(config))


def search(config: SearchStep, scored: Scored, study, engine: Engine) -> Searching:
    """Search until the study has its trials, then test what it recommends, in `search-<...>/`.

    Yields trials as this worker ends them. The directory holds `trials.csv`, `points.csv` (every
    retraining of the final test), `importances.csv`, `recommendation.json` and `subset/`, the
    recommended examples as a dataset ready to train on. Until the study is complete nothing but
    validation is opened; the final test uses seeds that no trial has used.
    """
    parameters = {
        k: v for k, v in config.parameters(SearchConfig).items() if k not in ("storage", "grace")
    }
    task = Task("search", parameters, {"study": study.name}, CODE)
    if not store.is_finished(task.directory(config.workdir)):
        yield from _choose(config, scored, study, engine)
    return (
        yield from perform(
            task, config.workdir, lambda at: _report(config, scored, study, engine, at)
        )
    )


def score_list(config: SearchStep) -> str:
    """Return those of the paper's scores that this training will give, also at every epoch."""
    examples = len(load.load(config).train)
    own = {name: scores.REGISTRY[name].window for name in PAPER}
    epochs = [str(epoch) for epoch in range(1, config.epochs + 1)]
    windows = [
        f"{name}@{epoch}"
        for name in PAPER
        for epoch in epochs
        if own[name].isdigit() and epoch != own[name]
    ]
    runs = expected(config, examples)
    found = [*possible(PAPER, runs, "search: left out"), *possible(windows, runs)]
    if not found:
        raise InputError(
            f"a training of {examples} examples for {config.epochs} epochs gives none of "
            f"{', '.join(PAPER)}; train for more epochs, or name others with score"
        )
    return ",".join(map(str, found))


def measure(place: Place, kept: np.ndarray, number: int, metric: str) -> float:
    """Return one metric of one retraining on the split of `place`."""
    return retrain(place, kept, number).metrics[f"{place.split}/{metric}"]


def _locks(config: SearchStep) -> Path:
    return Path(config.workdir).absolute() / "studies"


def _storage(config: SearchStep) -> str:
    return config.storage or f"sqlite:///{_locks(config) / 'studies.db'}"


def _columns(text: str, there: Sequence[str], directory: Path) -> list[str]:
    """Return the columns that `text` names: a score with all its windows, or one window."""
    usable = [name for name in there if specs.parse_spec(name).name != "random"]
    chosen: list[str] = []
    for name in names(text):
        spec = specs.parse_spec(name)
        found = [c for c in usable if c == name or (not spec.window and _name(c) == name)]
        if not found:
            raise InputError(
                f"{directory} holds no score {name!r} to search over; it holds {', '.join(usable)}"
            )
        chosen += found
    return list(dict.fromkeys(chosen)) or usable


def _name(column: str) -> str:
    return specs.parse_spec(column).name


def _choose(
    config: SearchStep, scored: Scored, study, engine: Engine
) -> Generator[Trial, None, None]:
    from influence.searching import explore as search
    from influence.searching import study as search_study

    place = retraining.place(config, scored.directory, "score", "validation", engine)
    everything = np.arange(len(scored.labels))
    jobs = [(place, everything, number, config.metric) for number in range(config.seeds)]
    full = dict(engine.run(measure, jobs, FULL))

    def submit(candidate: Candidate, number: int) -> Future:
        kept = scored.kept(candidate, number)
        return engine.submit(measure, place, kept, number, config.metric)

    reference = [full[number] for number in range(config.seeds)]
    ended = search.explore(study, scored.space, config, reference, submit, engine.workers)
    with tqdm(desc="search", total=config.trials, unit="trial") as bar:
        bar.update(search_study.count_finished(study))
        for trial in ended:
            best = trials.recommend(search_study.trials_of(study), config.tolerance, config.goal)
            bar.set_postfix_str(f"best: {best.candidate if best else 'nothing holds yet'}")
            bar.update(search_study.count_finished(study) - bar.n)
            yield trial


def _report(
    config: SearchStep, scored: Scored, study, engine: Engine, directory: Path
) -> Generator[Record, None, dict]:
    from influence.searching import study as search_study

    ended = search_study.trials_of(study)
    chosen = trials.recommend(ended, config.tolerance, config.goal)
    arms = _tested(scored, chosen, config.test_seeds)
    points = _test(config, scored, arms, engine)
    fit = retraining.retrained(scored.manifest, config)
    found = recommendation(config, fit, len(scored.labels), ended, points)
    found |= {"study": study.name, "dataset": scored.manifest["dataset"]}
    found["command"] = _command(directory / "subset", scored.manifest["task"], fit)
    _save_subset(scored, chosen, directory / "subset")
    trials.table(ended, config.tolerance).to_csv(directory / "trials.csv", index=False)
    search_study.importances(study).to_csv(directory / "importances.csv", index=False)
    points.to_csv(directory / "points.csv", index=False)
    store.write_json(directory / "recommendation.json", found)
    yield Record(0, flat(found))
    return {"study": study.name, "verdict": found["verdict"], **inherited(scored.manifest)}


def _tested(scored: Scored, chosen: Trial | None, seeds: int) -> dict[str, list[np.ndarray]]:
    """Return the rows to retrain on, by arm and seed: full, random at the fraction, and chosen."""
    arms = {FULL: [np.arange(len(scored.labels))] * seeds}
    if chosen is not None and chosen.candidate is not None:
        random = Candidate(Arm((), "random"), chosen.percent, 1, {})
        for candidate in (random, chosen.candidate):
            kept = [scored.kept(candidate, number) for number in range(seeds)]
            arms[str(candidate.arm)] = kept
    return arms


def _test(
    config: SearchStep, scored: Scored, arms: dict[str, list[np.ndarray]], engine: Engine
) -> pd.DataFrame:
    place = retraining.place(config, scored.directory, "score", "test", engine)
    keys = [(arm, number) for arm, kept in arms.items() for number in range(len(kept))]
    jobs = [(place, arms[arm][number], number) for arm, number in keys]
    points: dict[str, list] = {arm: [] for arm in arms}
    for position, point in engine.run(retrain, jobs, "test"):
        points[keys[position][0]].append(point)
    return pd.concat([intervals.table(some, arm) for arm, some in points.items()])


def _save_subset(scored: Scored, chosen: Trial | None, directory: Path) -> None:
    source = open_saved(scored.directory / "data")
    kept = np.arange(source.count("train"))
    if chosen is not None and chosen.candidate is not None:
        kept = np.sort(scored.kept(chosen.candidate, 0))
    save_subsets(source, {directory: kept})


def _command(subset: Path, task: str, fit: FitConfig) -> str:
    """Return the command that trains on the subset as the study did."""
    usual = {"task": "classify", **asdict(FitConfig())}
    own = {"task": task, **asdict(fit)}
    parameters = "".join(f" -P {name}={own[name]}" for name in own if own[name] != usual[name])
    whole = " -P stack=true" if task == "nlu" else ""
    return f"mlflow run . -e train -P dataset={subset}{parameters}{whole}"
