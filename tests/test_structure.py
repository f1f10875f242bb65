"""The one direction of imports, and one door per outside library."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from tests import tiny

ROOT = Path(__file__).parent.parent
MODULES = {
    str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path
    for path in [*ROOT.glob("influence/**/*.py"), *ROOT.glob("entrypoints/*.py")]
}
CORE = [
    *(
        "assistant",
        "readers",
        "folders",
        "sources",
        "columns",
        "labels",
        "examples",
        "tagging",
        "perturb",
    ),
    *("saved", "data"),
    *("batches", "compatibility", "pretrained", "tokenizers", "models"),
    *(
        "vocabulary",
        "training",
        "gradients",
        "layers",
        "trace",
        "records",
        "scores",
        "specs",
        "planning",
    ),
    *(
        "ranking",
        "rules",
        "sampling",
        "flips",
        "evaluation",
        "conclusions",
        "remedies",
        "store",
        "config",
    ),
    *("representations", "confident", "stability", "suspects", "costs", "adoption", "dynamics"),
    *("trainer_state", "checkpoint_names"),
    *("steps", "packages"),
    *(
        "workers",
        "cluster",
        "command",
        "studies",
        "space",
        "trials",
        "recommendation",
        "slots",
        "nlu_metrics",
    ),
    *("nlu_tables", "joint", "nlu"),
]
DOORS = {
    "mlflow": {
        f"influence.{name}"
        for name in ("tracking", "first_run", "connection", "delivery", "places")
    },
    "optuna": {f"influence.{name}" for name in ("search", "search_study", "patience")},
    "ray": {"influence.workers"},
    "datasets": {"influence.sources"},
    "matplotlib": {
        f"influence.{name}"
        for name in ("figure_style", "figure_parts", "plots", "nlu_plots", "search_plots")
    },
    "plotly": {"influence.report_charts"},
    "jinja2": {"influence.report"},
    "cleanlab": {"influence.confident"},
    "sklearn": {"influence.report_examples"},
}
# Each may import those before it, not those after it.
DIRECTION = [
    *("errors", "packages", "shapes", "config", "store"),
    *(
        "assistant_grammar",
        "templates",
        "assistant",
        "readers",
        "folders",
        "sources",
        "columns",
        "slots",
    ),
    *("labels", "examples", "tagging", "perturb", "saved", "data"),
    *(
        "batches",
        "layers",
        "compatibility",
        "pretrained",
        "tokenizers",
        "trainer_state",
        "checkpoint_names",
        "adoption",
        "models",
        "vocabulary",
        "training",
        "closed_forms",
        "gradients",
        "trace",
        "records",
    ),
    *("scores", "specs", "planning", "measurable", "ranking", "rules", "sampling", "flips"),
    *("evaluation",),
    *("representations", "confident", "stability", "suspects", "costs", "dynamics"),
    *("plausibility",),
    *(
        "conclusions",
        "remedies",
        "workers",
        "cluster",
        "nlu_metrics",
        "nlu_tables",
        "joint",
        "nlu",
        "space",
        "trials",
        "recommendation",
    ),
    *("patience", "search_study", "search", "steps"),
    *("figure_style", "figure_parts", "plots", "nlu_plots", "search_plots"),
    *("report_charts", "report_parts", "report_examples", "report_studies", "report"),
    *(
        "stopping",
        "command",
        "studies",
        "outbox",
        "places",
        "delivery",
        "connection",
        "first_run",
        "last_word",
        "tracking",
        "artifacts",
        "search_artifacts",
        "flow",
        "callback",
    ),
]
STEPS = ["train", "score", "sample", "evaluate", "search"]
# What changes no result: errors, knobs (they are in the fingerprint themselves), files, processes,
# refusals.
NEUTRAL = {
    "errors",
    "packages",
    "shapes",
    "config",
    "store",
    "workers",
    "cluster",
    "patience",
    "measurable",
    "steps/step",
}
# By train, whether it can give the scores.
ASKED = {"records", "scores", "specs", "planning", "closed_forms", "gradients", "trace"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


@pytest.mark.parametrize("library", DOORS)
def test_an_outside_library_has_one_door(library):
    users = {
        name
        for name, path in MODULES.items()
        if any(i.split(".")[0] == library for i in imports(path))
    }
    assert users <= DOORS[library]


@pytest.mark.parametrize("module", DIRECTION)
def test_imports_go_one_way(module):
    later = DIRECTION[DIRECTION.index(module) + 1 :]
    inside = [p for name, p in MODULES.items() if name.split(".")[:2] == ["influence", module]]
    assert inside
    for path in inside:
        reached = {name.split(".")[1] for name in imports(path) if name.startswith("influence.")}
        assert not reached & set(later), path


def test_every_module_has_its_place_in_the_one_direction():
    names = {name.split(".")[1] for name in MODULES if name.startswith("influence.")}
    assert names - {"__init__"} == set(DIRECTION)


def reached(module: str) -> set[str]:
    """The modules that a module imports, directly or not, and itself, as CODE names them."""
    found, new = set(), {f"influence.{module}"}
    while new:
        found |= new
        new = set().union(*(imports(MODULES[name]) for name in new)) & set(MODULES) - found
    return {name.removeprefix("influence.").replace(".", "/") for name in found}


@pytest.mark.parametrize("step", STEPS)
def test_all_code_that_can_change_a_result_is_in_its_fingerprint_or_in_one_before(step):
    code = {
        earlier: set(import_module(f"influence.steps.{earlier}").CODE)
        for earlier in STEPS[: STEPS.index(step) + 1]
    }
    neutral = NEUTRAL | (ASKED if step == "train" else set())
    assert f"steps/{step}" in code[step]
    assert code[step] <= reached(f"steps.{step}")
    assert reached(f"steps.{step}") - neutral <= set().union(*code.values())


ABSENT = (  # from a machine with torch, transformers, scikit-learn, pandas and pyarrow alone
    *("accelerate", "beartype", "cleanlab", "datasets", "jaxtyping", "matplotlib", "mlflow"),
    *("optuna", "plotly", "psycopg", "ray", "sqlalchemy"),
)


def on_a_bare_machine(program: str) -> None:
    absent = f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))\n"
    command = [sys.executable, "-c", absent + program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_core_imports_without_the_libraries_of_the_edge():
    on_a_bare_machine("".join(f"import influence.{module}\n" for module in CORE))


def test_curves_of_all_scores_are_made_without_the_libraries_of_the_edge(tmp_path):
    given = tiny.FAST | {
        "dataset": tiny.write(tmp_path / "talk", tiny.frames()),
        "workdir": tmp_path / "work",
        "score": "all",
        "arms": "vog:easy:class,forgetting:softmax,pvi+el2n@1:linear:dataset,vog:ccs,drop",
        "fractions": "0.4",
        "seeds": 2,
        "folds": 2,
        "label_noise": 0.2,
        "track": False,
        "workers": 1,
        "threads": 1,
    }
    asked = ["main", *(part for name, value in given.items() for part in (f"--{name}", str(value)))]
    run = "from entrypoints.main import main, run; run('main', main)"
    on_a_bare_machine(f"sys.argv = {asked}\n{run}")
    points = [pd.read_csv(path) for path in (tmp_path / "work").glob("evaluate-*/curve.csv")]
    assert len(points) == 6 and all(table["low"].notna().any() for table in points)


@pytest.mark.parametrize("path", sorted(ROOT.glob("entrypoints/*.py")), ids=lambda path: path.stem)
def test_an_entry_point_is_short(path):
    assert len(path.read_text().splitlines()) <= 45
