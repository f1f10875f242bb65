"""What a finished step leaves in MLflow: its directory, readable tables, pictures, its dataset."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from influence import evaluation, store
from influence.tracking import Run


def train(run: Run, directory: Path) -> None:
    """Log `training/` and the dataset."""
    run.log_step(directory, "train", "training")


def score(run: Run, directory: Path) -> None:
    """Log `scores/`, distributions, rank correlations and the hardest and easiest examples."""
    if not run.id:
        return
    from influence import plots

    manifest = run.log_step(directory, "score", "scores")
    table = pd.read_parquet(directory / "scores.parquet")
    figures = {"distributions": plots.distributions(table, manifest["label_names"])}
    if len(table.columns) > 3:
        figures["correlations"] = plots.correlations(table)
        ranks = plots.rank_correlations(table)
        run.log_table(ranks.rename_axis("score").reset_index(), "rank_correlations")
    run.log_figures(figures)
    extremes = pd.DataFrame(json.loads((directory / "examples.json").read_text(encoding="utf-8")))
    run.log_table(extremes, "hardest_and_easiest")


def sample(run: Run, directory: Path) -> None:
    """Log `sample/` and the class shares before and after."""
    if not run.id:
        return
    from influence import plots

    run.log_step(directory, "sample", "sample")
    shares = pd.read_csv(directory / "class_shares.csv", keep_default_na=False, na_values=[""])
    run.log_table(shares, "class_shares")
    run.log_figures({"class_shares": plots.class_shares(shares)})


def evaluate(run: Run, directory: Path) -> None:
    """Log `curve/`, the curve and its table; name the run after its arm."""
    if not run.id:
        return
    from influence import plots

    manifest = run.log_step(directory, "evaluate", "curve")
    points = pd.read_csv(directory / "points.csv")
    summary = evaluation.summarise(points, "test/accuracy")
    run.log_table(summary, "curve")
    run.log_figures({"curve": plots.pruning_curves(summary)})
    run.tag(**{"mlflow.runName": manifest["arm"]})
    run.params(arm=manifest["arm"], dataset=manifest["dataset"]["name"], **manifest["fit"])


def comparison(run: Run, curves: Mapping[str, Path]) -> None:
    """Log all arms beside random and print the paired differences, in points of accuracy."""
    points = pd.concat(
        [pd.read_csv(path / "points.csv") for path in curves.values()], ignore_index=True
    )
    summary = evaluation.summarise(points, "test/accuracy")
    differences = evaluation.differences(points, "test/accuracy")
    run.log_dataset(**store.read_manifest(next(iter(curves.values())), "evaluate")["dataset"])
    if run.id:
        from influence import plots

        figures = {"pruning_curves": plots.pruning_curves(summary)}
        if len(differences):
            figures["differences_to_random"] = plots.differences_to_random(differences)
        run.log_figures(figures)
        run.log_table(points, "points")
        run.log_table(summary, "curves")
        run.log_table(differences, "differences_to_random")
    if len(differences):
        shown = differences.assign(
            **{n: 100 * differences[n] for n in ("difference", "low", "high")}
        )
        print("\nAccuracy minus random, in points, with 95 % interval over seeds:")
        print(shown.round(2).to_string(index=False))
