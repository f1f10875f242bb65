"""The one direction of imports, and one door per outside library."""

import ast
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers import tiny

ROOT = Path(__file__).parent.parent
MODULES = {
    str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path
    for path in [*ROOT.glob("influence/**/*.py"), *ROOT.glob("entrypoints/*.py")]
}
# Each may import those before it, not those after it; within a folder modules import each other.
ORDER = [
    *(
        "errors",
        "shapes",
        "scores",
        "config",
        "runtime",
        "data.sources",
        "data.tags",
        "data",
        "models",
        "nlu",
        "trace",
    ),
    *("training", "scoring", "sampling", "evaluation", "searching", "plots", "tracking", "report"),
    *("steps", "flow", "callback", "__main__"),
]
CORE = ORDER[: ORDER.index("searching")]
DOORS = {
    "mlflow": {"tracking"},
    "optuna": {"searching"},
    "ray": {"runtime"},
    "datasets": {"data.sources"},
    "matplotlib": {"plots"},
    "plotly": {"report"},
    "jinja2": {"report"},
    "cleanlab": {"scoring"},
}
STEPS = {
    "train": "training",
    "score": "scoring",
    "sample": "sampling",
    "evaluate": "evaluation",
    "search": "searching",
}
# What changes no result: errors, parameters (they are in the fingerprint themselves), processes. Of
# the scores a training reads the names alone.
NEUTRAL = {"errors", "shapes", "config", "runtime"}
OF_TRAIN = {"scores"}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return found


def room(module: str) -> str:
    """The folder of a module, or the module itself where it lies at the root."""
    parts = module.split(".")
    return ".".join(parts[1:-1]) or parts[-1]


def inside(path: Path) -> set[str]:
    """The modules of this package that a module imports."""
    return {name for name in imports(path) if name in MODULES and name != "influence"}


def package(module: str) -> bool:
    return module.startswith("influence.") and not module.endswith("__init__")


@pytest.mark.parametrize("library", DOORS)
def test_an_outside_library_has_one_door(library):
    users = {
        room(name)
        for name, path in MODULES.items()
        if any(i.split(".")[0] == library for i in imports(path))
    }
    assert users <= DOORS[library]


def test_imports_go_one_way():
    place = {name: number for number, name in enumerate(ORDER)}
    upward = {
        f"{module} -> {other}"
        for module, path in MODULES.items()
        if package(module)
        for other in inside(path)
        if place[room(other)] > place[room(module)]
    }
    assert not upward


def test_no_modules_import_each_other_in_a_circle():
    left = {module: inside(path) for module, path in MODULES.items() if package(module)}
    while free := {module for module, needed in left.items() if not needed & set(left)}:
        left = {module: needed for module, needed in left.items() if module not in free}
    assert not left


def test_every_module_has_its_place_in_the_one_direction():
    assert {room(module) for module in MODULES if package(module)} == set(ORDER)


def test_no_folder_holds_more_than_ten_modules():
    modules = [path for path in ROOT.glob("influence/*/**/*.py") if path.name != "__init__.py"]
    held = Counter(str(path.parent.relative_to(ROOT)) for path in modules)
    assert not {folder: count for folder, count in held.items() if count > 10}


def reached(module: str) -> set[str]:
    """The modules that a module imports, directly or not, and itself."""
    found, new = set(), {module}
    while new:
        found |= new
        new = set().union(*(inside(MODULES[name]) for name in new)) - found
    return found


@pytest.mark.parametrize("step", STEPS)
def test_all_code_that_can_change_a_result_is_in_its_fingerprint_or_in_one_before(step):
    homes = {name: f"influence.{folder}.step" for name, folder in STEPS.items()}
    earlier = [*STEPS][: [*STEPS].index(step) + 1]
    code = set().union(*(import_module(homes[name]).CODE for name in earlier))
    missing = {
        module
        for module in reached(homes[step])
        if room(module) not in NEUTRAL | (OF_TRAIN if step == "train" else set())
        and not {module.removeprefix("influence.").replace(".", "/"), *folders(module)} & code
    }
    assert not missing


def folders(module: str) -> list[str]:
    parts = module.split(".")[1:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


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
    on_a_bare_machine("".join(f"import {name}\n" for name in MODULES if room(name) in CORE))


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
