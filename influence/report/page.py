"""The report: one self-contained page on a comparison, a study or a search."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from influence.data.dataset import Dataset
from influence.data.storage import remarks
from influence.evaluation import remedies
from influence.evaluation.verdict import Verdict
from influence.report import charts, comparison, examples, studies
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.sampling.result import Sample
from influence.scoring.result import Scores
from influence.searching.planning.result import Answer
from influence.searching.result import Chosen, Recommendation

TEMPLATE = "report.html"


def page(
    compared: Verdict,
    scores: Scores,
    samples: Mapping[str, Sample],
    command: str,
    error_rates: pd.DataFrame | None = None,
) -> str:
    """Return the page of a comparison.

    `samples`: by arm; `command`: the command that reproduces it all; `error_rates`: for task=nlu,
    see `nlu.tables.changes`.
    """
    dataset = scores.data.dataset()
    remedied = remedies.remedies(compared.classes, scores, next(iter(samples.values())))
    parts = [
        comparison.curves(compared),
        *([comparison.error_rates(error_rates)] if error_rates is not None else []),
        comparison.classes(compared, remedied),
        examples.examples(scores),
        examples.example_map(scores, dataset, samples),
        examples.distributions(scores),
        *examples.label_errors(scores, samples),
        comparison.cost(compared.points[compared.points["arm"] != AT_EQUAL_STEPS], scores.cost),
        comparison.again(command, scores),
    ]
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in dataset.splits.items())
    size = (
        f"{sizes} examples · {len(dataset.label_names)} classes · model {scores.fit.model}"
        f" · {compared.points['seed'].nunique()} retrainings per point"
    )
    verdict, *warnings = compared.said
    return _render(
        title=f"Which of the {len(dataset.train):,} examples of {scores.dataset_name} are needed?",
        facts=[size, _data(dataset)],
        verdicts=[verdict],
        notes=compared.notes,
        warnings=warnings,
        parts=[part for part in parts if part is not None],
    )


def study_page(
    question: str,
    varied: str,
    compared: Mapping[str, Verdict],
    scores: Mapping[str, Scores],
    said: Sequence[str],
    command: str,
) -> str:
    """Return the page of a study: the same comparison under every value of the parameter `varied`.

    `scores`: by value; `said`: the verdict for each value.
    """
    one, first = next(iter(scores.values())), next(iter(compared.values()))
    facts = (
        f"{one.dataset_name} · {varied} = {', '.join(compared)} · "
        f"{first.points['seed'].nunique()} retrainings per point"
    )
    parts = [
        *studies.variants(varied, compared),
        *studies.remarks(varied, compared),
        *examples.label_errors_by(varied, scores),
        *examples.agreements(varied, scores),
        comparison.again(command, one),
    ]
    return _render(
        title=question,
        facts=[facts, f"Data: {one.data.source}"],
        verdicts=said,
        parts=parts,
    )


def search_page(recommendation: Recommendation, scores: Scores, command: str) -> str:
    """Return the page of a search over `scores`."""
    outcome = recommendation.outcome
    counted = f"{len(recommendation.trials)} trials · goal {outcome.goal}"
    parts = [studies.tested(outcome), studies.tried(recommendation)]
    return _choice_page(recommendation, scores, command, counted, parts)


def recommendation_page(answer: Answer, scores: Scores, command: str) -> str:
    """Return the page of a recommendation that chose by `scores`."""
    counted = f"{answer.outcome.retrainings} retrainings"
    parts = [studies.known(answer), studies.history(answer)]
    return _choice_page(answer, scores, command, counted, parts)


def _choice_page(
    chosen: Chosen, scores: Scores, command: str, counted: str, parts: Sequence[comparison.Part]
) -> str:
    """Return the page of a choice: its evidence in `parts`, then the scores that it chose by."""
    dataset = scores.data.dataset()
    facts = (
        f"{len(dataset.train):,} train examples · {len(dataset.label_names)} classes · model "
        f"{scores.fit.model} · {counted}"
    )
    shared = [examples.examples(scores), examples.distributions(scores)]
    return _render(
        title=f"How much of {scores.dataset_name} can be pruned?",
        facts=[facts, _data(dataset)],
        verdicts=[chosen.verdict],
        parts=[*parts, *shared, comparison.again(command, scores)],
    )


def _data(dataset: Dataset) -> str:
    """Say which data was read, what was left out and what was decided."""
    return f"Data: {'; '.join(remarks(dataset))}"


def _render(**values: Any) -> str:
    """Fill in the template; every text is escaped, as those of a dataset are untrusted."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = True
    environment.filters["whole"] = lambda text: text.replace(" %", "\u00a0%")
    return environment.get_template(TEMPLATE).render(
        **{"library": charts.library(), "notes": [], "warnings": []} | values
    )
