"""What a finished step leaves in MLflow: its directory, readable tables, pictures, its dataset."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from influence.config.studies import Study
from influence.data.storage import open_saved, remarks
from influence.evaluation import intervals, verdict
from influence.evaluation.verdict import Comparison
from influence.nlu import tables as nlu_tables
from influence.runtime import store
from influence.sampling import arms
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.scoring import label_errors
from influence.scoring.spec import hardness, parse_spec
from influence.tracking.run import Run, home

LONGEST = 5000  # characters of a tag
LONGEST_NAME = 100  # bytes of the name of a file, of which most file systems take 255


@dataclass(frozen=True, eq=False)
class Compared:
    """What one main came to, and the scores directory that it came from."""

    comparison: Comparison
    scores: Path


def train(run: Run, directory: Path) -> None:
    """Log `training/` and the dataset."""
    run.log_step(directory, "train", "training")
    tag_data(run, directory)


def tag_data(run: Run, directory: Path) -> None:
    """Say in the tag `data` what the dataset of a step was read from, and what was decided."""
    if run.id:
        run.tag(data="; ".join(remarks(open_saved(directory / "data")))[:LONGEST])


def score(run: Run, directory: Path) -> None:
    """Log `scores/`, distributions, rank correlations and the hardest and easiest examples."""
    if not run.id:
        return
    from influence.plots import scores as plots

    manifest = run.log_step(directory, "score", "scores")
    table = pd.read_parquet(directory / "scores.parquet")
    figures = {"distributions": plots.distributions(table, manifest["label_names"])}
    if len(manifest["label_names"]) > plots.FEW_CLASSES or manifest["task"] == "nlu":
        figures["densities_by_class"] = plots.densities(table, manifest["label_names"])
    if len(table.columns) > 3:
        figures["correlations"] = plots.correlations(table)
        ranks = plots.rank_correlations(table)
        run.log_table(ranks.rename_axis("score").reset_index(), "rank_correlations")
    if (directory / "label_errors.csv").exists():
        found = pd.read_csv(directory / "label_errors.csv")
        run.log_table(found, "label_errors_found")
        parsed = [parse_spec(name) for name in found["score"]]
        hard = {str(spec): hardness(spec, table[str(spec)].to_numpy()) for spec in parsed}
        wrong = label_errors.flags(
            open_saved(directory / "data").read(manifest["split"], ["mislabeled"])
        )
        figures["label_errors_found"] = plots.label_errors_found(table.assign(**hard), wrong)
    run.log_figures(figures)
    extremes = pd.DataFrame(json.loads((directory / "examples.json").read_text(encoding="utf-8")))
    run.log_table(extremes, "hardest_and_easiest")
    run.log_table(pd.read_csv(directory / "stability.csv"), "stability")


def sample(run: Run, directory: Path) -> None:
    """Log `sample/` and the class shares before and after."""
    if not run.id:
        return
    from influence.plots import scores as plots

    run.log_step(directory, "sample", "sample")
    shares = _read_shares(directory)
    run.log_table(shares, "class_shares")
    figures = {
        "class_shares" if group == arms.CLASS else _file_name(f"shares_by_{group}"): figure
        for group, figure in (
            (group, plots.class_shares(own)) for group, own in shares.groupby("group")
        )
    }
    run.log_figures(figures)


def evaluate(run: Run, directory: Path, name: str = "") -> None:
    """Log `curve/`, the curve and its table; name the run as given, or after its arm."""
    if not run.id:
        return
    from influence.plots import scores as plots
    from influence.plots import style

    manifest = run.log_step(directory, "evaluate", "curve")
    arm = name or manifest["arm"]
    points = pd.read_csv(directory / "points.csv").assign(arm=arm)
    summary = intervals.summarise(points, "test/accuracy")
    run.log_table(summary, "curve")
    run.log_figures({"curve": plots.pruning_curves(summary)})
    # The UI draws a run in this colour; by itself it would take one by chance, random's too.
    run.tag(**{"mlflow.runName": arm, "mlflow.runColor": style.shade_of(arm)})
    run.params(arm=arm)


def comparison(
    run: Run, scores: Path, done: Mapping[str, tuple[Path, Path]], command: str
) -> Comparison:
    """Log all arms beside random: pictures, tables, `summary.md`, which is printed, and the page.

    `done`: of each arm its sample and its curve; `command`: what makes all of it again.
    """
    curves = {arm: curve for arm, (_, curve) in done.items()}
    points = pd.concat(
        [pd.read_csv(path / "points.csv").assign(arm=arm) for arm, path in curves.items()]
    )
    shares = {arm: _read_shares(path) for arm, path in curves.items()}
    compared = verdict.compare(points, shares, _guessing(scores))
    tables = [_markdown(compared.summary, "mean"), _markdown(compared.differences, "difference")]
    said = [*compared.said, *compared.notes]
    text = "".join(f"{part.rstrip()}\n\n" for part in [*said, *tables] if part)
    print("\n" + text)
    first = store.read_manifest(next(iter(curves.values())), "evaluate")
    changes = _assistant(run, curves) if first["task"] == "nlu" else None
    if not run.id:
        return compared
    from influence.plots import scores as plots
    from influence.report import page as report

    run.tag(**{"mlflow.note.content": compared.said[0]})
    tag_data(run, scores)
    run.log_dataset(**first["dataset"])
    figures = {"pruning_curves": plots.pruning_curves(compared.summary)}
    if len(compared.differences):
        figures["differences_to_random"] = plots.differences_to_random(compared.differences)
    run.log_figures(figures)
    frames = {"points": points, "curves": compared.summary}
    frames |= {"differences": compared.differences, "by_class": compared.classes}
    overlaps = [(arm, path / "label_errors.csv") for arm, path in curves.items()]
    if all(path.exists() for _, path in overlaps):
        known = [pd.read_csv(path).assign(arm=arm) for arm, path in overlaps]
        frames["label_errors_pruned"] = pd.concat(known, ignore_index=True)
    for name, frame in frames.items():
        run.log_table(frame, name)
    run.log_text(text, "summary.md")
    samples = {arm: sample for arm, (sample, _) in done.items() if arm != AT_EQUAL_STEPS}
    run.log_text(report.page(compared, scores, samples, command, changes), "report.html")
    print(f"The whole story, for a browser: {run.where('report.html')}\n")
    if page := run.curves():
        print(f"All curves over one another, in the MLflow UI: {home()}/{page}\n")
    return compared


def study(run: Run, asked: Study, found: Mapping[str, Compared], command: str) -> None:
    """Log and print what a study comes to; where a parameter was varied, a page over its values."""
    verdicts = {value: one.comparison.said[0] for value, one in found.items()}
    said = [
        f"{asked.varied}={value}: {one}" if asked.varied else one for value, one in verdicts.items()
    ]
    text = "\n".join(f"- {sentence}" for sentence in said)
    print(f"\n{asked.question}\n\n{text}\n")
    run.tag(**{"mlflow.note.content": f"{asked.question}\n\n{text}"})
    run.log_text(f"# {asked.question}\n\n{text}\n", "summary.md")
    if not run.id or not asked.varied:
        return
    from influence.report import page as report

    compared = {value: one.comparison for value, one in found.items()}
    points = [one.points.assign(**{asked.varied: value}) for value, one in compared.items()]
    run.log_table(pd.concat(points, ignore_index=True), "points")
    scores = {value: one.scores for value, one in found.items()}
    page = report.study_page(asked.question, asked.varied, compared, scores, said, command)
    run.log_text(page, "report.html")
    print(f"The whole study, for a browser: {run.where('report.html')}\n")


def _guessing(scores: Path) -> float:
    """Return the accuracy on test of always guessing its most frequent class."""
    counts = np.bincount(open_saved(scores / "data").array("test", "label"))
    return float(counts.max() / counts.sum())


def _assistant(run: Run, curves: Mapping[str, Path]) -> pd.DataFrame:
    """Log, print and return what pruning did to the error rates of a voice assistant."""
    outcomes = {arm: pd.read_parquet(path / "outcomes.parquet") for arm, path in curves.items()}
    shares = {arm: _read_shares(path) for arm, path in curves.items()}
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
    """Return a text as the name of a file; one that is too long or changed gets a digest.

    Without it, `a b` and `a-b` would have the same file.
    """
    plain = re.sub(r"[^\w.-]", "-", text)
    if plain == text and len(text.encode()) <= LONGEST_NAME:
        return text
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{plain.encode()[:LONGEST_NAME].decode(errors='ignore')}-{digest}"


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
    text = verdict.shown(row[value], row["low"], row["high"], sign)
    return f"{text} *" if clear else text
