"""What a search logs to MLflow: its trials as runs, figures, the verdict, the comparison."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from influence.evaluation.intervals import shown
from influence.report.artifacts import tag_data
from influence.runtime.locks import locked
from influence.runtime.step import Record, say
from influence.scoring.result import Scores
from influence.searching.result import Recommendation
from influence.searching.trials import Trial, pack
from influence.tracking import operations
from influence.tracking.log import Child, Run
from influence.tracking.run import is_there


def study_run(run: Run, study) -> Run:
    """Return the run of a study: that of its first worker, which gets all trials."""
    from influence.searching import study as search_study

    if not run.is_made:  # nobody else could find one that waits for its server
        return run
    first = search_study.claim(study, "mlflow_run", run.id, is_there)
    if first != run.id:
        name = f"worker of {study.name}"
        run.tag(study=study.name, study_run=first, **{"mlflow.runName": name})
        say(f"search: joined study {study.name}; its trials are in run {first}")
    return Run(first, lock=str(study.locks / "log"))


def follow(run: Run, study, tolerance: float, events: Iterator) -> Path:
    """Log each trial as a run of its own as it ends; return the finished directory.

    Workers of one study log to one run, and take turns: the store would refuse the same tag or
    metric from two at once.
    """
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        if isinstance(event, Trial):
            with locked(study.locks):
                run.log_children([_child(event, tolerance)])


def search(run: Run, study, found: Recommendation, scores: Scores, command: str) -> None:
    """Log `search/` and its trials, pictures, the page, and the verdict as the description.

    The first worker that gets here does it for all.
    """
    from influence.report import page
    from influence.searching import study as search_study

    print(f"\n{found.dataset_name}: {found.verdict}\n  {found.command}\n")
    with locked(study.locks):
        if not run.id:
            return
        if run.has_tag(operations.FINGERPRINT, found.fingerprint):
            run.end("FINISHED")
            return
        run.log_children(_child(trial, found.tolerance) for trial in search_study.trials_of(study))
        _log_pictures(run, found)
        run.log_table(found.points, "test_points")
        run.log_text(json.dumps(found.facts, indent=1), "recommendation.json")
        run.log_text(page.search_page(found, scores, command), "report.html")
        run.describe(found.verdict)
        tag_data(run, scores)
        run.log_step(found, "search")
        run.end("FINISHED")


def searches(run: Run, searched: Mapping[str, Recommendation]) -> None:
    """Log and print one table over all datasets searched, and its picture."""
    named = {one.dataset_name: one for one in searched.values()}
    # One dataset under several settings is named by the settings.
    results = named if len(named) == len(searched) else dict(searched)
    table = pd.DataFrame([_compared(name, one) for name, one in results.items()])
    text = _comparison_table(results)
    print(text)
    if run.id:
        from influence.plots import search as search_plots

        metric = next(iter(results.values())).metric
        run.log_figures({"comparison": search_plots.comparison(table, metric)})
        run.log_table(table, "comparison")
        run.log_text(text, "summary.md")


def _log_pictures(run: Run, found: Recommendation) -> None:
    from influence.plots import search as search_plots

    run.log_table(found.trials, "trials")
    figures = {
        "landscape": search_plots.landscape(found.trials, found.tolerance, found.trial),
        "slices": search_plots.slices(found.trials, found.tolerance),
        "importances": search_plots.importances(found.importances),
    }
    if found.goal != "efficiency":  # its best is not the one that prunes most
        figures["history"] = search_plots.history(found.trials)
    run.log_figures(figures)


def _progress(trial: Trial, tolerance: float) -> Record:
    if trial.state == "failed":
        return Record(trial.number, {})
    tried = {"search/percent_pruned_tried": float(trial.percent)}
    held = {"search/percent_pruned_held": float(trial.percent)} if trial.holds(tolerance) else {}
    return Record(trial.number, {**tried, **held, "search/difference": trial.difference})


def _child(trial: Trial, tolerance: float) -> Child:
    """Describe a trial as a run."""
    candidate = trial.candidate
    packed = pack(candidate) if candidate else {}
    parameters = packed.pop("parameters", {})
    records = [
        Record(number, {"search/difference": difference, "search/validation": value})
        for number, (value, difference) in enumerate(
            zip(trial.values, trial.differences, strict=True)
        )
    ]
    if trial.values:
        means = {"search/mean_difference": trial.difference, "search/seeds": len(trial.values)}
        records.append(Record(0, {**means, "search/percent_pruned": float(trial.percent)}))
    return Child(
        f"trial {trial.number} · {candidate or 'lost'}",
        {"complete": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}[trial.state],
        trial.started,
        trial.ended,
        {"step": "trial", "state": trial.state, "trial": str(trial.number)},
        {**packed, **parameters},
        records,
        _progress(trial, tolerance),
    )


def _compared(name: str, found: Recommendation) -> dict:
    test = found.test
    rows = {row: test.get(row, test["full"]) for row in ("full", "random", "recommended")}
    return {
        "dataset": name,
        "arm": found.arm,
        "percent_pruned": found.percent_pruned,
        **{f"{row}_{end}": v[end] for row, v in rows.items() for end in ("mean", "low", "high")},
        **found.cost,
        "verdict": found.verdict,
    }


def _comparison_table(searched: Mapping[str, Recommendation]) -> str:
    metric = next(iter(searched.values())).metric.replace("_", " ")
    head = ["dataset", "recommended", "pruned", f"full, {metric} %", "recommended"]
    head += ["minus full", "minus random", "retrainings", "as full trainings", "pays after"]
    rows = [head, ["---"] * len(head)]
    for name, one in searched.items():
        beside = one.test.get("recommended_minus_random")
        uses = one.cost["break_even"]
        rows.append(
            [
                name,
                f"`{one.arm}`",
                f"{one.percent_pruned} %",
                *(shown(**one.test[row]) for row in ("full", "recommended")),
                shown(**one.test["recommended_minus_full"], sign="+"),
                shown(**beside, sign="+") if beside else "–",
                f"{one.cost['retrainings']:.0f}",
                f"{one.cost['full_trainings']:.1f}",
                f"{uses:.0f} uses" if math.isfinite(uses) else "never",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
