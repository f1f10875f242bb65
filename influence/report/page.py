"""One page that tells the story of a comparison: self-contained, for a browser or a printer."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from influence.data.dataset import Dataset
from influence.data.storage import open_saved, remarks
from influence.evaluation import remedies
from influence.evaluation.verdict import Comparison
from influence.report import charts, comparison, examples, studies
from influence.runtime import store
from influence.sampling.arms import AT_EQUAL_STEPS
from influence.scoring.spec import hardness, parse_spec
from influence.training.result import recall_of

TEMPLATE = "report.html"


def page(
    compared: Comparison,
    scored: Path,
    samples: Mapping[str, Path],
    command: str,
    error_rates: pd.DataFrame | None = None,
) -> str:
    """Return the page of a comparison.

    `scored`: the scores directory; `samples`: the sample directory of each arm; `command`: what
    makes all of it again; `error_rates`: of task nlu, see `nlu_tables.changes`.
    """
    manifest = store.read_manifest(scored, "score")
    dataset = open_saved(scored / "data").dataset()
    table = pd.read_parquet(scored / "scores.parquet")
    parts = [
        comparison.curves(compared),
        *([comparison.error_rates(error_rates)] if error_rates is not None else []),
        comparison.classes(compared, _remedies(compared, manifest, table, dataset, samples)),
        examples.examples(scored),
        examples.example_map(scored, table, dataset, samples),
        examples.distributions(scored, table, dataset),
        *examples.label_errors(scored, samples),
        comparison.cost(
            compared.points[compared.points["arm"] != AT_EQUAL_STEPS], manifest["cost"]
        ),
        comparison.again(command, manifest),
    ]
    sizes = ", ".join(f"{len(rows):,} {split}" for split, rows in dataset.splits.items())
    size = (
        f"{sizes} examples · {len(dataset.label_names)} classes · model {manifest['fit']['model']}"
        f" · {compared.points['seed'].nunique()} retrainings per point"
    )
    verdict, *warnings = compared.said
    verdicts = [verdict, *compared.notes]
    return _render(
        title=f"Which of the {len(table):,} examples of {manifest['dataset']['name']} are needed?",
        facts=[size, _data(dataset)],
        verdicts=verdicts,
        warnings=warnings,
        parts=[part for part in parts if part is not None],
    )


def study_page(
    question: str,
    varied: str,
    compared: Mapping[str, Comparison],
    scores: Mapping[str, Path],
    said: Sequence[str],
    command: str,
) -> str:
    """Return the page of a study: the same comparison under every value of the parameter `varied`.

    `scores`: the scores directory of each value; `said`: what each came to.
    """
    scored = next(iter(scores.values()))
    manifest = store.read_manifest(scored, "score")
    first = next(iter(compared.values()))
    facts = (
        f"{manifest['dataset']['name']} · {varied} = {', '.join(compared)} · "
        f"{first.points['seed'].nunique()} retrainings per point"
    )
    parts = [
        *studies.variants(varied, compared),
        *examples.flips_by(varied, scores),
        *examples.agreements(varied, scores),
        comparison.again(command, manifest),
    ]
    return _render(
        title=question,
        facts=[facts, f"Data: {open_saved(scored / 'data').source}"],
        verdicts=said,
        warnings=[f"{varied}={key}: {s}" for key, one in compared.items() for s in one.said[1:]],
        parts=parts,
    )


def search_page(directory: Path, scored: Path, command: str) -> str:
    """Return the page of a search: `directory` its result, `scored` what it was made of."""
    found = json.loads((directory / "recommendation.json").read_text(encoding="utf-8"))
    trials = pd.read_csv(directory / "trials.csv")
    importances = pd.read_csv(directory / "importances.csv")
    manifest = store.read_manifest(scored, "score")
    dataset = open_saved(scored / "data").dataset()
    table = pd.read_parquet(scored / "scores.parquet")
    parts = [
        studies.tested(found),
        studies.tried(trials, importances, found),
        examples.examples(scored),
        examples.distributions(scored, table, dataset),
        comparison.again(command, manifest),
    ]
    name = manifest["dataset"]["name"]
    facts = (
        f"{len(table):,} train examples · {len(dataset.label_names)} classes · model "
        f"{manifest['fit']['model']} · {len(trials)} trials · goal {found['goal']}"
    )
    return _render(
        title=f"How much of {name} can be pruned?",
        facts=[facts, _data(dataset)],
        verdicts=[found["verdict"]],
        warnings=[],
        parts=parts,
    )


def _remedies(
    compared: Comparison,
    manifest: Mapping[str, Any],
    table: pd.DataFrame,
    dataset: Dataset,
    samples: Mapping[str, Path],
) -> pd.DataFrame:
    """Return what would keep more of the classes that the arms starve, from the scores."""
    parsed = {name: parse_spec(name) for name in manifest["scores"]}
    parameters = store.read_manifest(next(iter(samples.values())), "sample")["parameters"]
    return remedies.remedies(
        compared.classes,
        {name: hardness(spec, table[name].to_numpy()) for name, spec in parsed.items()},
        table["label"].to_numpy(),
        dataset.label_names,
        recall_of(manifest),
        parameters["min_per_class"],
        parameters["seed"],
    )


def _data(dataset: Dataset) -> str:
    """Say what was read, left out and decided of a dataset."""
    return f"Data: {'; '.join(remarks(dataset))}"


def _render(**values: Any) -> str:
    """Fill in the template; every text is escaped, as those of a dataset are anybody's."""
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    environment.trim_blocks = True
    environment.filters["whole"] = lambda text: text.replace(" %", "\u00a0%")
    return environment.get_template(TEMPLATE).render(library=charts.library(), **values)
