"""What a finished step leaves in MLflow: its directory, readable tables, pictures, its dataset."""

import json
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from influence import conclusions, data, evaluation, flips, nlu_tables, specs, store
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
    if len(manifest["label_names"]) > plots.FEW_CLASSES or manifest["task"] == "nlu":
        figures["densities_by_class"] = plots.densities(table, manifest["label_names"])
    if len(table.columns) > 3:
        figures["correlations"] = plots.correlations(table)
        ranks = plots.rank_correlations(table)
        run.log_table(ranks.rename_axis("score").reset_index(), "rank_correlations")
    if (directory / "flips.csv").exists():
        found = pd.read_csv(directory / "flips.csv")
        run.log_table(found, "flips_found")
        parsed = [specs.parse_spec(name) for name in found["score"]]
        hard = {str(spec): specs.hardness(spec, table[str(spec)].to_numpy()) for spec in parsed}
        train = data.open_saved(directory / "data").train
        figures["flips_found"] = plots.flips_found(table.assign(**hard), flips.flags(train))
    run.log_figures(figures)
    extremes = pd.DataFrame(json.loads((directory / "examples.json").read_text(encoding="utf-8")))
    run.log_table(extremes, "hardest_and_easiest")


def sample(run: Run, directory: Path) -> None:
    """Log `sample/` and the class shares before and after."""
    if not run.id:
        return
    from influence import plots

    run.log_step(directory, "sample", "sample")
    shares = _read_shares(directory)
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
    run.params(arm=manifest["arm"])


def comparison(run: Run, curves: Mapping[str, Path]) -> None:
    """Log all arms beside random: pictures, tables, and `summary.md`, which is printed as well."""
    points = pd.concat([pd.read_csv(path / "points.csv") for path in curves.values()])
    summary = evaluation.summarise(points, "test/accuracy")
    differences = evaluation.differences(points, "test/accuracy")
    shares = {arm: _read_shares(path) for arm, path in curves.items()}
    classes = conclusions.by_class(points, shares)
    said = [conclusions.verdict(points), *conclusions.warnings(classes)]
    tables = [_markdown(summary, "mean"), _markdown(differences, "difference")]
    text = "".join(f"{part.rstrip()}\n\n" for part in [*said, *tables] if part)
    print("\n" + text)
    if not run.id:
        return
    from influence import plots

    run.tag(**{"mlflow.note.content": said[0]})
    run.log_dataset(**store.read_manifest(next(iter(curves.values())), "evaluate")["dataset"])
    figures = {"pruning_curves": plots.pruning_curves(summary)}
    if len(differences):
        figures["differences_to_random"] = plots.differences_to_random(differences)
    run.log_figures(figures)
    frames = {"points": points, "curves": summary, "differences": differences, "by_class": classes}
    overlaps = [(arm, path / "flips.csv") for arm, path in curves.items()]
    if all(path.exists() for _, path in overlaps):
        known = [pd.read_csv(path).assign(arm=arm) for arm, path in overlaps]
        frames["flips_pruned"] = pd.concat(known, ignore_index=True)
    for name, frame in frames.items():
        run.log_table(frame, name)
    run.log_text(text, "summary.md")


def assistant(run: Run, curves: Mapping[str, Path]) -> None:
    """Log and print what pruning did to the error rates of a voice assistant, task nlu."""
    outcomes = {arm: pd.read_parquet(path / "outcomes.parquet") for arm, path in curves.items()}
    shares = {arm: _read_shares(path) for arm, path in curves.items()}
    table, by_domain = nlu_tables.changes(outcomes), nlu_tables.domains(outcomes, shares)
    text = nlu_tables.markdown(table)
    print("\n" + text)
    run.log_table(table, "error_rates")
    run.log_table(by_domain, "error_rates_by_domain")
    run.log_text(text, "error_rates.md")
    if run.id:
        from influence import nlu_plots

        figures = {
            "error_rates": nlu_plots.error_rates(table),
            "domain_shares": nlu_plots.domain_shares(by_domain),
        }
        run.log_figures(figures)


def _read_shares(directory: Path) -> pd.DataFrame:
    """Return the class shares of a sample or of its curve; a label may be the text "nan"."""
    path = directory / "class_shares.csv"
    return pd.read_csv(path, dtype={"label": str}, keep_default_na=False, na_values=[""])


def _markdown(table: pd.DataFrame, value: str) -> str:
    """Return arms x percent pruned with 95 % half-widths, in points; * where 0 is outside."""
    if not len(table):  # random alone has nobody to be compared with
        return ""
    named = {"mean": "accuracy, %", "difference": "minus random, points"}
    percents = sorted(table["percent_pruned"].unique())
    seeds = int(table["seeds"].max())
    head = [f"{named[value]} ({seeds} seeds)", *(f"{percent:g} % pruned" for percent in percents)]
    rows = [head, ["---"] * len(head)]
    for arm, group in table.groupby("arm", sort=False):
        cells = {row["percent_pruned"]: _cell(row, value) for _, row in group.iterrows()}
        rows.append([f"`{arm}`", *(cells.get(percent, "") for percent in percents)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _cell(row: pd.Series, value: str) -> str:
    sign = "+" if value == "difference" else ""
    clear = value == "difference" and (row["low"] > 0 or row["high"] < 0)
    text = conclusions.shown(row[value], row["low"], row["high"], sign)
    return f"{text} *" if clear else text
