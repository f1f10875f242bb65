"""Pages of the MLflow UI: their addresses, and descriptions that link to them.

An address that starts at # is a link within the UI of any server.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import quote

DESCRIPTION = """Which training examples does a text classifier need?

The description of a top run is its verdict, with a link to all curves in one chart; its
`report.html` has the whole result. Below it are its steps: train, score, and for every arm a sample
and an evaluation. A step that an earlier run of this experiment has finished is not logged again:
the description links to it."""
CURVE = "curve/accuracy"  # metric of a curve; its steps are percents pruned
CLASSIC = "workflowType=machine_learning"  # else a new browser opens another mode
LONGEST = 5000  # characters of a tag that every version of MLflow accepts


def curves(experiment: str, runs: Iterable[Any]) -> str:
    """Return the page that overlays the curves of runs, "" if none has one."""
    ids = [run.info.run_id for run in runs if run.data.tags.get("step") == "evaluate"]
    if not ids:
        return ""
    asked = {
        "runs": ids,
        "metric": CURVE,
        "experiments": [experiment],
        "plot_metric_keys": [CURVE],
    }
    query = "&".join(
        f"{name}={quote(json.dumps(value, separators=(',', ':')))}" for name, value in asked.items()
    )
    return f"#/metric?{query}&x_axis=step&{CLASSIC}"


def describe(text: str, experiment: str, below: Sequence[Any], linked: Sequence[Any]) -> str:
    """Return the description of a run: a text, its curves, and its steps done by earlier runs.

    `below`: the runs nested in it; `linked`: the runs of those steps. The link to the curves ends
    the text, because the UI folds a description after a few lines.
    """
    page = curves(experiment, [*linked, *below])
    whole = f"{text} [All curves in one chart]({page})." if page else text
    if linked:
        steps = ", ".join(_link(experiment, run) for run in linked)
        whole += f"\n\nFinished before, in an earlier run: {steps}."
    return whole if len(whole) <= LONGEST else text


def everything(experiment: str) -> str:
    """Return the page with a chart of every metric of all runs."""
    return f"#/experiments/{experiment}/runs?{CLASSIC}&compareRunsMode=CHART"


def _link(experiment: str, run: Any) -> str:
    return f"[{run.info.run_name}](#/experiments/{experiment}/runs/{run.info.run_id}?{CLASSIC})"
