"""The sections of the report on scores: the examples, a map of them, and their label errors."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from influence.data.dataset import Dataset
from influence.report import charts as report_charts
from influence.report.comparison import Part, Table, heads
from influence.sampling.order import fraction_of
from influence.sampling.result import Sample
from influence.scoring import stability
from influence.scoring.result import Scores

FOUND = ("AUROC", "average precision", "precision", "by chance")
MEASURED = ["score", "auroc", "average_precision", "precision", "chance"]  # columns of label errors
SNIPPET = 90  # characters of a text that hovering over the map shows
FEWEST = 10  # examples that a map needs
TITLE = "Do the scores find wrong labels?"
PRECISION = (
    "Precision: the share of wrong labels among the k hardest examples, k being the number of "
    "label errors."
)


def examples(scores: Scores) -> Part:
    """List each extreme example once, with all scores that rank it at an end."""
    table = scores.examples
    pairs = (_listed(own) for _, own in table.groupby("id", sort=False))
    rows = [row for _, row in sorted(pairs, key=lambda pair: pair[0])]
    names = {name: "long" for name in ("text", "text_pair") if name in table}
    names |= {"label": "text", "model says": "text", "doubt": "number"}
    names |= {"label is wrong": "text"} if "mislabeled" in table else {}
    names |= {"hardest by": "code", "easiest by": "code"}
    seen = not scores.doubts_out_of_fold
    by = "the model that was trained on them" if seen else "models that have not seen them"
    caption = (
        "The hardest and the easiest examples of every score, and the labels in doubt. Doubt is "
        f"how much more probable another class is according to {by}. Most doubted first."
    )
    listed = Table("examples-table", heads(**names, id="code"), rows, filter=True)
    return Part("examples", "Hardest, easiest and suspected examples", caption, {}, [listed])


def _listed(own: pd.DataFrame) -> tuple[float, list[Any]]:
    """Return the sort key and the row of one example; `own` has an entry per score."""
    first = own.iloc[-1]  # the entry of a suspected one comes last and has the prediction
    by = {end: own["score"][own["end"] == end].tolist() for end in ("hardest", "easiest")}
    suspected = (own["end"] == "suspected").any()
    texts = [first[name] for name in ("text", "text_pair") if name in own]
    mislabeled = ["yes" if first["mislabeled"] else ""] if "mislabeled" in own else []
    doubt = float(own["value"].iloc[-1]) if suspected else None
    judged = [first["label"], first["predicted"] if suspected else None, doubt]
    ends = [", ".join(by[end]) or None for end in by]
    return -(doubt or 0), [*texts, *judged, *mislabeled, *ends, first["id"]]


def example_map(scores: Scores, dataset: Dataset, samples: Mapping[str, Sample]) -> Part | None:
    """Draw the examples as the encoder represents them, and which of them each arm keeps.

    None if there is nothing to draw: no weights, too few examples, or no arm that reads a score.
    """
    places = scores.map
    drawn = {arm: sample for arm, sample in samples.items() if sample.scores}
    if places is None or len(places) < FEWEST or not drawn:
        return None
    rows = places["row"].to_numpy()
    marks, middle = {}, 0.0
    for arm, sample in drawn.items():
        middle = sample.percents[len(sample.percents) // 2]
        kept = np.isin(rows, sample.kept(fraction_of(middle)))
        marks[arm] = {"kept": kept, "hardest": _hardest(scores.hardness(sample.scores[0])[rows])}
    train = dataset.train.iloc[rows]
    texts = [
        f"{dataset.label_names[label]}: {text[:SNIPPET]}"
        for label, text in zip(train["label"], train["text"], strict=True)
    ]
    caption = (
        f"{len(rows):,} train examples as the last checkpoint represents them (mean over tokens of "
        f"the last hidden states, principal components, t-SNE), with {middle:g} % pruned by the "
        "arm chosen in the menu. Click a group in the legend to hide it."
    )
    flat = _places(places.filter(like="component_").to_numpy())
    chart = report_charts.example_map(flat, texts, marks)
    return Part("map", "Where the pruned examples lie", caption, {"": chart})


def _hardest(hardness: np.ndarray) -> np.ndarray:
    """Return which examples on the map are the hardest."""
    count = max(1, round(report_charts.HARDEST * len(hardness)))
    marked = np.zeros(len(hardness), bool)
    marked[np.argsort(-hardness, kind="stable")[:count]] = True
    return marked


def distributions(scores: Scores) -> Part:
    """Show the distribution of each score, the rank correlations, and the stability."""
    charts = report_charts.distributions(scores.table, scores.label_names)
    if len(scores.correlations) > 1:
        charts["rank correlations of the scores"] = report_charts.correlations(scores.correlations)
    stable = scores.stability
    tables = [_agreement(stable, "Does a score agree with itself?")] if len(stable) else []
    caption = (
        "How each score is distributed, and how similarly the scores rank the examples. A score "
        "that does not agree with itself across seeds or epochs should be averaged over more runs."
    )
    return Part("scores", "The scores", caption, charts, tables)


def agreements(varied: str, scores: Mapping[str, Scores]) -> list[Part]:
    """Show how scores agree between the values of a parameter; nothing if it changes no score."""
    different = {own: value for value, own in reversed(scores.items())}
    tables = {f"{varied}={value}": own.table for own, value in reversed(different.items())}
    agreement = stability.between(tables)
    if not len(agreement):
        return []
    caption = (
        "Over the examples that both train sets contain. A score that other seeds do not repeat "
        "says something about the training, not about the example."
    )
    table = _agreement(agreement, "")
    return [Part("agreement", "Do the scores agree with each other?", caption, {}, [table])]


def _agreement(table: pd.DataFrame, title: str) -> Table:
    rows = [
        [r["score"], r["across"], r["spearman"], 100 * r["overlap"], 100 * r["chance"]]
        for r in table.to_dict("records")
    ]
    numbers = ("Spearman", "hardest 10 % shared, %", "by chance, %")
    columns = heads(score="code", across="text", **dict.fromkeys(numbers, "number"))
    return Table("stability", columns, rows, title, filter=len(rows) > 20)


def label_errors(scores: Scores, samples: Mapping[str, Sample]) -> list[Part]:
    """Show how well scores and arms find label errors, where some are known."""
    if scores.label_errors is None:
        return []
    by_score = Table(
        "label_errors-found",
        heads(score="code", **dict.fromkeys(FOUND, "number")),
        scores.label_errors[MEASURED].values.tolist(),
        "Label errors among the hardest examples of each score",
    )
    tables = [(arm, own.label_errors) for arm, own in samples.items()]
    rows = [
        [arm, r["percent_pruned"], 100 * r["label_errors_pruned"], r["jaccard"], r["chance"]]
        for arm, table in tables
        if table is not None
        for r in table.to_dict("records")
    ]
    names = ("pruned, %", "of the label errors pruned, %", "Jaccard", "by chance ")
    columns = heads(arm="code", **dict.fromkeys(names, "number"))
    by_arm = Table("label_errors-pruned", columns, rows, "Label errors pruned by each arm")
    caption = (
        f"Some labels are known to be wrong. {PRECISION} Jaccard: how much the pruned examples and "
        "the label errors overlap."
    )
    caption += _issues(scores)
    return [Part("label_errors", TITLE, caption, {}, [by_score, by_arm])]


def label_errors_by(varied: str, scores: Mapping[str, Scores]) -> list[Part]:
    """Show how well scores find known label errors under every value of a parameter."""
    tables = [(value, own.label_errors) for value, own in scores.items()]
    rows = [
        [value, *row]
        for value, table in tables
        if table is not None
        for row in table[MEASURED].values.tolist()
    ]
    if not rows:
        return []
    columns = heads(**{varied: "number", "score": "code"}, **dict.fromkeys(FOUND, "number"))
    table = Table("label_errors-by", columns, rows)
    return [Part("label_errors", TITLE, PRECISION, {}, [table])]


def _issues(scores: Scores) -> str:
    """Summarise what cleanlab flagged, if it was run."""
    if (issues := scores.label_issues) is None:
        return ""
    return (
        f" Confident learning (cleanlab, on out-of-fold predictions) flags {issues['found']} "
        f"labels: {100 * issues['precision']:.0f} % of them are wrong, which is "
        f"{100 * issues['recall']:.0f} % of all label errors."
    )


def _places(components: np.ndarray) -> pd.DataFrame:
    """Return a two-dimensional layout that keeps neighbours together."""
    from sklearn.manifold import TSNE

    perplexity = min(30.0, (len(components) - 1) / 3)
    flat = TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(components)
    return pd.DataFrame(flat, columns=["x", "y"])
