"""What a finished step logs to MLflow: its directory, tables, figures and dataset."""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from influence.config.studies import Study
from influence.data.result import Result
from influence.data.storage import remarks
from influence.evaluation import intervals, verdict
from influence.evaluation.result import Curve
from influence.evaluation.verdict import Verdict
from influence.models.metrics import by_guessing, examples_of
from influence.nlu import tables as nlu_tables
from influence.report import repeats
from influence.report.compared import Comparison
from influence.runtime.step import Record
from influence.sampling import arms
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.sampling.result import Sample
from influence.scoring import label_errors
from influence.scoring.plan import too_early
from influence.scoring.result import Scores
from influence.scoring.spec import ScoreSpec, parse_spec
from influence.tracking.log import Run
from influence.tracking.run import home
from influence.training.result import Training

LONGEST = 5000  # characters of a tag
LONGEST_NAME = 100  # bytes of a file name; most file systems allow 255
OF_DOMAINS = (
    "All this is about the accuracy of the domain classifier. What pruning does to intents, slots "
    "and whole requests is in the table of error rates, and an arm may lead in one and not in the "
    "other."
)
UNWATCHED = (
    "Another model is retrained than the one that was scored: whether it converges was judged by "
    "how far apart its seeds are alone."
)


def train(run: Run, training: Training) -> None:
    """Log `training/` and the dataset."""
    if run.log_step(training, "training"):
        tag_data(run, training)


def tag_data(run: Run, result: Result) -> None:
    """Record in the tag `data` how the dataset was read, and what was decided."""
    if run.id:
        run.tag(data="; ".join(remarks(result.data))[:LONGEST])


def score(run: Run, scores: Scores) -> None:
    """Log `scores/`, distributions, rank correlations and the hardest and easiest examples."""
    if not run.log_step(scores, "scores"):
        return
    from influence.plots import scores as plots

    table, names = scores.table, scores.label_names
    figures = {"distributions": plots.distributions(table, names)}
    if len(names) > plots.FEW_CLASSES or scores.task == "nlu":
        figures["densities_by_class"] = plots.densities(table, names)
    if len(table.columns) > 3:
        figures["correlations"] = plots.correlations(table)
        ranks = plots.rank_correlations(table)
        run.log_table(ranks.rename_axis("score").reset_index(), "rank_correlations")
    detection = scores.label_errors
    if detection is not None:
        run.log_table(detection, "label_errors_found")
        figures["label_errors_found"] = _detection(scores, list(detection["score"]))
    run.log_figures(figures)
    run.log_table(scores.examples, "hardest_and_easiest")
    run.log_table(scores.stability, "stability")


def _detection(scores: Scores, names: Sequence[str]) -> Any:
    """Draw how early each score finds the known label errors."""
    from influence.plots import scores as plots

    hard = {name: scores.hardness(name) for name in names}
    wrong = label_errors.flags(scores.data.read(scores.split, ["mislabeled"]))
    return plots.label_errors_found(scores.table.assign(**hard), wrong)


def sample(run: Run, sample: Sample) -> None:
    """Log `sample/` and the class shares before and after."""
    if not run.log_step(sample, "sample"):
        return
    from influence.plots import curves as plots

    run.log_table(sample.class_shares, "class_shares")
    figures = {
        "class_shares" if group == arms.CLASS else _file_name(f"shares_by_{group}"): figure
        for group, figure in (
            (group, plots.class_shares(own)) for group, own in sample.class_shares.groupby("group")
        )
    }
    run.log_figures(figures)


def evaluate(run: Run, curve: Curve, name: str = "") -> None:
    """Log `curve/`, the curve and its table; the run is called `name`, or like its arm."""
    if not run.log_step(curve, "curve"):
        return
    from influence.plots import curves as plots
    from influence.plots import style

    arm = name or curve.arm
    summary = intervals.summarise(curve.points.assign(arm=arm), "test/accuracy")
    run.log_table(summary, "curve")
    run.log_figures({"curve": plots.pruning_curves(summary)})
    # Without this tag the UI picks any colour for the run, even for random.
    run.tag(**{"mlflow.runName": arm, "mlflow.runColor": style.shade_of(arm)})
    run.params(arm=arm)


def comparison(
    run: Run,
    scores: Scores,
    done: Mapping[str, tuple[Sample, Curve]],
    command: str,
    history: pd.DataFrame | None = None,
    looks: int = 1,
) -> Verdict:
    """Log all arms against random: figures, tables, `summary.md`, which is printed, and the page.

    `done`: the sample and curve of each arm; `command`: the command that reproduces it all;
    `history`: how the model learned, None where another one is retrained; `looks`: see
    `intervals.Retrainings`.
    """
    curves = {arm: curve for arm, (_, curve) in done.items()}
    shares = {arm: curve.class_shares for arm, curve in curves.items()}
    measured = intervals.Retrainings.joined(
        {arm: (curve.points, curve.correct) for arm, curve in curves.items()},
        looks,
        _examples(next(iter(done.values()))[0]),
    )
    again = repeats.repeated(scores.data), repeats.varied(scores.data)
    flaws = verdict.Flaws(scores.suspected, *again)
    guessing = by_guessing(scores.data.array("test", "label"))
    first = [OF_DOMAINS] if scores.task == "nlu" else []
    first += [UNWATCHED] if history is None else too_early(_read(done), history, guessing)
    compared = verdict.compare(measured, shares, guessing, history, flaws, first)
    text = _as_text(compared)
    print("\n" + text)
    changes = _assistant(run, curves) if scores.task == "nlu" else None
    if not run.id:
        return compared
    from influence.report import page as report

    run.describe(compared.said[0])
    tag_data(run, scores)
    run.log_dataset(**scores.handed_on["dataset"])
    run.log(*_over_percents(compared.summary))
    _log_compared(run, compared, curves)
    run.log_text(text, "summary.md")
    samples = {arm: sample for arm, (sample, _) in done.items() if arm != AT_EQUAL_STEPS}
    run.log_text(report.page(compared, scores, samples, command, changes), "report.html")
    print(f"Report (open in a browser): {run.where('report.html')}\n")
    if page := run.curves():
        print(f"All curves in one chart, in the MLflow UI: {home()}/{page}\n")
    return compared


def _as_text(compared: Verdict) -> str:
    """Return the verdict, what goes with it and its tables as Markdown."""
    tables = [
        _markdown(compared.summary, "mean", "accuracy, %"),
        _markdown(compared.differences, "difference", "minus random, points"),
        _markdown(compared.lost, "difference", "minus the full train set, points"),
    ]
    parts = [*compared.said, *compared.notes, *tables]
    return "".join(f"{part.rstrip()}\n\n" for part in parts if part)


def _examples(sample: Sample) -> dict[str, np.ndarray]:
    """Return the test examples that the metrics of classes and groups are of."""
    labels = sample.data.array("test", "label")
    return examples_of(labels, sample.data.label_names, sample.test_groups)


def _over_percents(summary: pd.DataFrame) -> list[Record]:
    """Return the accuracy of every arm as metrics whose steps are the percents pruned.

    The UI shows them as charts of this run.
    """
    return [
        Record(round(percent), {f"accuracy/{row.arm}": row.mean for row in rows.itertuples()})
        for percent, rows in summary.groupby("percent_pruned")
    ]


def _log_compared(run: Run, compared: Verdict, curves: Mapping[str, Curve]) -> None:
    """Log the pictures and tables of a comparison."""
    from influence.plots import curves as plots

    figures = {"pruning_curves": plots.pruning_curves(compared.summary)}
    if len(compared.differences):
        figures["differences_to_random"] = plots.differences_to_random(compared.differences)
    run.log_figures(figures)
    frames = {"points": compared.points, "curves": compared.summary}
    frames |= {"differences": compared.differences, "differences_to_full": compared.lost}
    frames["by_class"] = compared.classes
    pruned = {arm: curve.label_errors for arm, curve in curves.items()}
    known = [table.assign(arm=arm) for arm, table in pruned.items() if table is not None]
    if len(known) == len(curves):
        frames["label_errors_pruned"] = pd.concat(known, ignore_index=True)
    for name, frame in frames.items():
        run.log_table(frame, name)


def study(run: Run, asked: Study, variants: Mapping[str, Comparison], command: str) -> None:
    """Log and print the verdicts of a study; if a parameter varies, also a page over its values."""
    verdicts = {value: one.verdict for value, one in variants.items()}
    said = [
        f"{asked.varied}={value}: {one}" if asked.varied else one for value, one in verdicts.items()
    ]
    text = "\n".join(f"- {sentence}" for sentence in said)
    print(f"\n{asked.question}\n\n{text}\n")
    run.describe(f"{asked.question}\n\n{text}")
    run.log_text(f"# {asked.question}\n\n{text}\n", "summary.md")
    if not run.id or not asked.varied:
        return
    from influence.report import page as report

    compared = {value: one.outcome for value, one in variants.items()}
    points = [one.points.assign(**{asked.varied: value}) for value, one in compared.items()]
    run.log_table(pd.concat(points, ignore_index=True), "points")
    scores = {value: one.scores for value, one in variants.items()}
    page = report.study_page(asked.question, asked.varied, compared, scores, said, command)
    run.log_text(page, "report.html")
    print(f"Report of the study (open in a browser): {run.where('report.html')}\n")


def _read(compared: Iterable[str]) -> Iterator[ScoreSpec]:
    """Yield the scores that arms read."""
    for arm in compared:
        if arm != AT_EQUAL_STEPS:
            yield from map(parse_spec, arms.parse_arm(arm).reads)


def _assistant(run: Run, curves: Mapping[str, Curve]) -> pd.DataFrame:
    """Log, print and return how pruning changed the error rates of a voice assistant."""
    outcomes = {arm: curve.outcomes for arm, curve in curves.items()}
    shares = {arm: curve.class_shares for arm, curve in curves.items()}
    table, by_domain = nlu_tables.changes(outcomes), nlu_tables.domains(outcomes, shares)
    text = nlu_tables.markdown(table)
    print("\n" + text)
    run.log_table(table, "error_rates")
    run.log_table(by_domain, "error_rates_by_domain")
    run.log_text(text, "error_rates.md")
    if run.id:
        from influence.plots import nlu

        figures = {
            "error_rates": nlu.error_rates(table),
            "domain_shares": nlu.domain_shares(by_domain),
        }
        run.log_figures(figures)
    return table


def _file_name(text: str) -> str:
    """Return a text as a file name; if it is too long or had to be changed, with a digest.

    Without the digest, `a b` and `a-b` would share a file.
    """
    plain = re.sub(r"[^\w.-]", "-", text)
    if plain == text and len(text.encode()) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain.encode()[:LONGEST_NAME].decode(errors='ignore')}-{digest}"


def _markdown(table: pd.DataFrame, value: str, named: str) -> str:
    """Return arms x percent pruned with 95 % half-widths; * if a difference is clear."""
    if not len(table):  # random alone has no differences
        return ""
    percents = sorted(table["percent_pruned"].unique())
    seeds = int(table["seeds"].max())
    head = [f"{named} ({seeds} seeds)", *(f"{percent:g} % pruned" for percent in percents)]
    rows = [head, ["---"] * len(head)]
    for arm, group in table.groupby("arm", sort=False):
        cells = {row["percent_pruned"]: _cell(row, value) for _, row in group.iterrows()}
        rows.append([f"`{arm}`", *(cells.get(percent, "") for percent in percents)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(row: pd.Series, value: str) -> str:
    sign = "+" if value == "difference" else ""
    text = verdict.shown(row[value], row["low"], row["high"], sign)
    return f"{text} *" if row.get("clear", False) else text
