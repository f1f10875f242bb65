"""What a search logs to MLflow: trials as runs, figures, the verdict, a table over datasets."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from influence.evaluation.intervals import in_points, shown
from influence.report.artifacts import tag_data
from influence.runtime.locks import locked
from influence.runtime.step import Record, say
from influence.scoring.result import Scores
from influence.searching.planning.result import Answer
from influence.searching.result import Recommendation
from influence.searching.trials import Trial, pack
from influence.tracking import operations
from influence.tracking.log import Child, Run
from influence.tracking.run import is_there


def study_run(run: Run, study) -> Run:
    """Return the run of a study, to which all workers log: that of its first worker."""
    from influence.searching import study as search_study

    if not run.is_made:  # while its creation waits for the server, no other worker could use it
        return run
    first = search_study.claim(study, "mlflow_run", run.id, is_there)
    if first != run.id:
        name = f"worker of {study.name}"
        run.tag(study=study.name, study_run=first, **{"mlflow.runName": name})
        say(f"search: joined study {study.name}; its trials are in run {first}")
    return Run(first, lock=str(study.locks / "log"))


def follow(run: Run, study, tolerance: float, events: Iterator) -> Path:
    """Log each trial as a run of its own as it ends; return the finished directory.

    Workers of one study log to one run in turn: the store would refuse the same tag or metric from
    two at once.
    """
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            return end.value
        if isinstance(event, Trial):
            with locked(study.locks):
                run.log_children([_child(event, tolerance)])


def search(run: Run, study, result: Recommendation, scores: Scores, command: str) -> None:
    """Log `search/` and its trials, pictures, the page, and the verdict as the description.

    The first worker to finish does this for all of them.
    """
    from influence.report import page
    from influence.searching import study as search_study

    print(f"\n{result.dataset_name}: {result.verdict}\n  {result.command}\n")
    with locked(study.locks):
        if not run.id:
            return
        if run.has_tag(operations.FINGERPRINT, result.fingerprint):
            run.end("FINISHED")
            return
        run.log_children(_child(trial, result.tolerance) for trial in search_study.trials_of(study))
        _log_pictures(run, result)
        run.log_table(result.points, "test_points")
        run.log_text(json.dumps(result.facts, indent=1), "recommendation.json")
        run.log_text(page.search_page(result, scores, command), "report.html")
        run.describe(result.verdict)
        tag_data(run, scores)
        run.log_step(result, "search")
        run.end("FINISHED")


def recommendation(run: Run, answer: Answer, scores: Scores, command: str) -> None:
    """Print the verdict, which describes the run; log `recommendation/` and its pictures."""
    print(f"\n{answer.dataset_name}: {answer.verdict}\n  {answer.command}\n")
    if not run.log_step(answer, "recommendation"):
        return
    from influence.plots import planning
    from influence.report import page

    figures = {"landscape": answer.figure(), "history": planning.history(answer.retrainings)}
    run.log_figures(figures)
    run.log_table(answer.retrainings, "retrainings")
    run.log_table(answer.landscape, "landscape")
    run.log_text(json.dumps(answer.facts, indent=1), "recommendation.json")
    run.log_text(page.recommendation_page(answer, scores, command), "report.html")
    run.describe(answer.verdict)
    tag_data(run, scores)


def searches(run: Run, searched: Mapping[str, Recommendation]) -> None:
    """Log and print one table over all searched datasets, and its figure."""
    named = {one.dataset_name: one for one in searched.values()}
    # The same dataset under several settings is named by the settings.
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


def _log_pictures(run: Run, result: Recommendation) -> None:
    from influence.plots import search as search_plots

    run.log_table(result.trials, "trials")
    figures = {
        "landscape": search_plots.landscape(result.trials, result.tolerance, result.trial),
        "slices": search_plots.slices(result.trials, result.tolerance),
        "importances": search_plots.importances(result.importances),
    }
    if result.goal != "efficiency":  # where the best trial need not prune most
        figures["history"] = search_plots.history(result.trials)
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


def _compared(name: str, result: Recommendation) -> dict:
    test = result.test
    rows = {row: test.get(row, test["full"]) for row in ("full", "random", "recommended")}
    return {
        "dataset": name,
        "arm": result.arm,
        "percent_pruned": result.percent_pruned,
        **{f"{row}_{end}": v[end] for row, v in rows.items() for end in ("mean", "low", "high")},
        **result.cost,
        "verdict": result.verdict,
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
                in_points(**one.test["recommended_minus_full"]),
                in_points(**beside) if beside else "–",
                f"{one.cost['retrainings']:.0f}",
                f"{one.cost['full_trainings']:.1f}",
                f"{uses:.0f} uses" if math.isfinite(uses) else "never",
            ]
        )
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
