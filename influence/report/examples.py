"""The sections of the report that come from scores: the examples themselves, and where they lie."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from influence.data.dataset import Dataset
from influence.report import charts as report_charts
from influence.report.comparison import Part, Table, heads
from influence.runtime import store
from influence.sampling.arms import parse_arm
from influence.scoring import spec, stability

FOUND = ("AUROC", "average precision", "precision", "by chance")
SNIPPET = 90  # characters of a text beside a point of the map


def examples(scored: Path) -> Part:
    """List each extreme example once, with all the scores that find it so."""
    found = pd.DataFrame(json.loads((scored / "examples.json").read_text(encoding="utf-8")))
    rows = []
    for _, own in found.groupby("id", sort=False):
        first = own.iloc[-1]  # a suspected one comes last and knows what was predicted
        by = {end: own["score"][own["end"] == end].tolist() for end in ("hardest", "easiest")}
        suspected = (own["end"] == "suspected").any()
        texts = [first[name] for name in ("text", "text_pair") if name in own]
        mislabeled = ["yes" if first["mislabeled"] else ""] if "mislabeled" in own else []
        doubt = float(own["value"].iloc[-1]) if suspected else None
        judged = [first["label"], first["predicted"] if suspected else None, doubt]
        ends = [", ".join(by[end]) or None for end in by]
        rows.append((-(doubt or 0), [*texts, *judged, *mislabeled, *ends, first["id"]]))
    rows = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    names = {name: "long" for name in ("text", "text_pair") if name in found}
    names |= {"label": "text", "model says": "text", "doubt": "number"}
    names |= {"label is wrong": "text"} if "mislabeled" in found else {}
    names |= {"hardest by": "code", "easiest by": "code"}
    seen = store.read_manifest(scored, "score")["doubt"] == "training"
    by = "the model that was trained on them" if seen else "models that have not seen them"
    caption = (
        "The ends of every score, and the labels in doubt: doubt is how much more probable another "
        f"class is found by {by}. Most doubted first."
    )
    listed = Table("examples-table", heads(**names, id="code"), rows, filter=True)
    return Part("examples", "Hardest, easiest and suspected examples", caption, {}, [listed])


def example_map(
    scored: Path, table: pd.DataFrame, dataset: Dataset, samples: Mapping[str, Path]
) -> Part | None:
    """Draw what the encoder makes of the examples, and which of them each arm keeps."""
    if not (scored / "map.parquet").exists():  # of a training without weights
        return None
    components = pd.read_parquet(scored / "map.parquet")
    rows = components["row"].to_numpy()
    drawn = {arm: path for arm, path in samples.items() if parse_arm(arm).scores}
    if len(rows) < 10 or not drawn:
        return None
    found, middle = {}, 0.0
    for arm, path in drawn.items():
        percents = store.read_manifest(path, "sample")["percents"]
        middle = percents[len(percents) // 2]
        kept = pd.read_parquet(path / "kept.parquet")
        mine = kept[(kept["percent_pruned"] == middle) & (kept["draw"] == 0)]["id"]
        score = parse_arm(arm).scores[0]
        hard = spec.hardness(spec.parse_spec(score), table[score].to_numpy())[rows]
        limit = np.argsort(-hard, kind="stable")[: max(1, round(report_charts.HARDEST * len(hard)))]
        marked = np.zeros(len(rows), bool)
        marked[limit] = True
        found[arm] = {"kept": components["id"].isin(mine).to_numpy(), "hardest": marked}
    places = _places(components.filter(like="component_").to_numpy())
    texts = [
        f"{dataset.label_names[label]}: {text[:SNIPPET]}"
        for label, text in zip(
            dataset.train["label"].iloc[rows], dataset.train["text"].iloc[rows], strict=True
        )
    ]
    caption = (
        f"{len(rows):,} train examples as the last checkpoint represents them (mean over tokens of "
        f"the last hidden states, principal components, t-SNE), with {middle:g} % pruned by the "
        "arm chosen in the menu. A click in the legend hides a group."
    )
    chart = report_charts.example_map(places, texts, found)
    return Part("map", "Where the pruned examples lie", caption, {"": chart})


def distributions(scored: Path, table: pd.DataFrame, dataset: Dataset) -> Part:
    """Show how the scores are spread, how they rank alike, and how each agrees with itself."""
    charts = report_charts.distributions(table, dataset.label_names)
    correlations = pd.read_csv(scored / "correlations.csv", index_col=0)
    if len(correlations) > 1:
        charts["rank correlations of the scores"] = report_charts.correlations(correlations)
    stable = pd.read_csv(scored / "stability.csv")
    tables = [_agreement(stable, "Does a score agree with itself?")] if len(stable) else []
    caption = (
        "How each score is spread, and how scores rank the examples alike. A score that does not "
        "agree with itself across seeds or epochs should be averaged over more runs."
    )
    return Part("scores", "The scores", caption, charts, tables)


def agreements(varied: str, scores: Mapping[str, Path]) -> list[Part]:
    """Tell how scores agree between the values of a parameter; nothing where it changes none."""
    different = {path: value for value, path in reversed(scores.items())}
    tables = {
        f"{varied}={value}": pd.read_parquet(path / "scores.parquet")
        for path, value in reversed(different.items())
    }
    found = stability.between(tables)
    if not len(found):
        return []
    caption = (
        "On the examples that both train sets have. A score that other seeds do not repeat tells "
        "of the training, not of the example."
    )
    table = _agreement(found, "")
    return [Part("agreement", "Do the scores agree with each other?", caption, {}, [table])]


def _agreement(table: pd.DataFrame, title: str) -> Table:
    rows = [
        [r["score"], r["across"], r["spearman"], 100 * r["overlap"], 100 * r["chance"]]
        for r in table.to_dict("records")
    ]
    numbers = ("Spearman", "hardest 10 % shared, %", "by chance, %")
    columns = heads(score="code", across="text", **dict.fromkeys(numbers, "number"))
    return Table("stability", columns, rows, title, filter=len(rows) > 20)


def label_errors(scored: Path, samples: Mapping[str, Path]) -> list[Part]:
    """Tell how well scores and arms find the labels known to be wrong, where some are."""
    if not (scored / "label_errors.csv").exists():
        return []
    found = _found(scored)
    first = Table(
        "label_errors-found",
        heads(score="code", **dict.fromkeys(FOUND, "number")),
        found,
        "Found by the hardest end of a score",
    )
    rows = [
        [
            arm,
            row["percent_pruned"],
            100 * row["label_errors_pruned"],
            row["jaccard"],
            row["chance"],
        ]
        for arm, path in samples.items()
        for row in pd.read_csv(path / "label_errors.csv").to_dict("records")
    ]
    names = ("pruned, %", "of the wrong labels pruned, %", "Jaccard", "by chance ")
    columns = heads(arm="code", **dict.fromkeys(names, "number"))
    second = Table("label_errors-pruned", columns, rows, "Pruned by an arm")
    caption = (
        "Some labels are known to be wrong. Precision: the share of wrong labels among as many "
        "hardest examples as there are wrong labels. Jaccard: overlap of the pruned with the wrong."
    )
    caption += _issues(scored)
    return [Part("label_errors", "Do the scores find wrong labels?", caption, {}, [first, second])]


def flips_by(varied: str, scores: Mapping[str, Path]) -> list[Part]:
    """Tell how well scores find known label errors under every value of a parameter."""
    rows = [
        [value, *row]
        for value, scored in scores.items()
        if (scored / "label_errors.csv").exists()
        for row in _found(scored)
    ]
    if not rows:
        return []
    columns = heads(**{varied: "number", "score": "code"}, **dict.fromkeys(FOUND, "number"))
    caption = (
        "Precision: the share of wrong labels among as many hardest examples as there are wrong "
        "labels."
    )
    table = Table("label_errors-by", columns, rows)
    return [Part("label_errors", "Do the scores find wrong labels?", caption, {}, [table])]


def _issues(scored: Path) -> str:
    """Say what cleanlab found, where it was asked."""
    if not (scored / "label_issues.json").exists():
        return ""
    found = json.loads((scored / "label_issues.json").read_text(encoding="utf-8"))
    return (
        f" Confident learning (cleanlab, on held-out predictions) flags {found['found']} labels: "
        f"{100 * found['precision']:.0f} % of them are wrong, which are "
        f"{100 * found['recall']:.0f} % of the wrong ones."
    )


def _found(scored: Path) -> list[list]:
    table = pd.read_csv(scored / "label_errors.csv")
    return table[["score", "auroc", "average_precision", "precision", "chance"]].values.tolist()


def _places(components: np.ndarray) -> pd.DataFrame:
    """Return two dimensions that keep neighbours together."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(components) - 1) / 3)
    found = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(components)
    return pd.DataFrame(found, columns=["x", "y"])
