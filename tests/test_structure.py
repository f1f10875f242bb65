"""The one direction of imports, one door per outside library, and sizes that stay readable."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest

from tests.helpers import offenders, tiny

ROOT = Path(__file__).parent.parent
MODULES = {
    str(path.relative_to(ROOT).with_suffix("")).replace("/", "."): path
    for path in [*ROOT.glob("influence/**/*.py"), *ROOT.glob("entrypoints/*.py")]
}
NAMES = {path: name for name, path in MODULES.items()}
# Each may import those before it, not those after it; within a folder modules import each other.
ORDER = [
    *(
        "errors",
        "shapes",
        "scores",
        "config",
        "runtime",
        "jobs",
        "data.sources",
        "data.tags",
        "data",
        "models.shortcuts",
        "models",
        "models.fitting",
        "nlu",
        "trace",
        "trace.probing",
    ),
    *("training.trainer", "training", "scoring", "sampling", "evaluation"),
    *("searching", "searching.planning"),
    *("plots", "tracking", "report"),
    *("pipeline", "flow", "callback", "__main__"),
]
CORE = ORDER[: ORDER.index("searching")]
DOORS = {
    "mlflow": {"tracking"},
    "optuna": {"searching", "searching.planning"},
    "ray": {"jobs"},
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
    "recommend": "searching.planning",
}
# What a notebook shows of these records is drawn when it is asked for: `plots` is above them.
SHOWN = dict.fromkeys(
    (f"influence.{room}.result" for room in ("evaluation", "searching", "searching.planning")),
    "plots",
)
FLOORS = 13  # of rooms above each other
LINES, PARAMETERS = 50, 6  # a function stays below these lines, and takes so many parameters
REASON = "Many parameters:"  # begins the line of a docstring that defends more of them
# The files of a finished step are known to its record, and to what reads and writes manifests.
MANIFESTS = ("influence/runtime/*.py", "influence/*/result.py")
# What changes no result: errors, parameters (they are in the fingerprint themselves), processes. Of
# the scores a training reads the names alone.
NEUTRAL = {"errors", "shapes", "config", "runtime", "jobs"}
OF_TRAIN = {"scores"}


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return names


def room(module: str) -> str:
    """The folder of a module, or the module itself where it lies at the root."""
    parts = module.split(".")
    return ".".join(parts[1:-1]) or parts[-1]


def inside(path: Path) -> set[str]:
    """The modules of this package that a module imports, but for what a notebook shows of it."""
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    names = {name for name in imports(path) if name in MODULES and name != "influence"}
    return {name for name in names if room(name) != SHOWN.get(own)}


def package(module: str) -> bool:
    return module.startswith("influence.") and not module.endswith("__init__")


def test_an_outside_library_has_one_door():
    intruders = [
        f"{module} imports {library}"
        for module, path in MODULES.items()
        for library in {name.split(".")[0] for name in imports(path)} & set(DOORS)
        if room(module) not in DOORS[library]
    ]
    offenders.none(intruders)


def test_imports_go_one_way():
    place = {name: number for number, name in enumerate(ORDER)}
    upward = {
        f"{module} -> {other}"
        for module, path in MODULES.items()
        if package(module)
        for other in inside(path)
        if place[room(other)] > place[room(module)]
    }
    offenders.none(upward)


def test_no_modules_import_each_other_in_a_circle():
    left = {module: inside(path) for module, path in MODULES.items() if package(module)}
    while free := {module for module, needed in left.items() if not needed & set(left)}:
        left = {module: needed for module, needed in left.items() if module not in free}
    offenders.none(left)


def test_every_module_has_its_place_in_the_one_direction():
    assert {room(module) for module in MODULES if package(module)} == set(ORDER)


def test_no_folder_holds_more_than_ten_modules():
    modules = [path for path in ROOT.glob("influence/*/**/*.py") if path.name != "__init__.py"]
    held = Counter(str(path.parent.relative_to(ROOT)) for path in modules)
    offenders.none(f"{folder}: {count}" for folder, count in held.items() if count > 10)


def test_rooms_stand_on_few_floors():
    below: dict[str, set[str]] = {}  # a folder and the folders in it are one room
    for module, path in MODULES.items():
        if package(module):
            own = room(module).split(".")[0]
            others = {room(other).split(".")[0] for other in inside(path)}
            below[own] = below.get(own, set()) | others - {own}
    floors: dict[str, list[str]] = {}  # of each room the longest way down, itself the first
    while left := [name for name in below if name not in floors]:
        free = [name for name in left if below[name] <= set(floors)]
        assert free, f"these import each other in a circle: {left}"
        for name in free:
            under = max((floors[other] for other in below[name]), key=len, default=[])
            floors[name] = [name, *under]
    highest = max(floors.values(), key=len)
    assert len(highest) <= FLOORS, " > ".join(highest)


def functions() -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    """Yield every function of the package and of the entry points, with where it is."""
    for path in MODULES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node


def test_functions_are_short():
    lengths = {place: node.end_lineno - node.lineno + 1 for place, node in functions()}
    offenders.none(f"{place}: {lines}" for place, lines in lengths.items() if lines >= LINES)


def test_more_than_six_parameters_have_a_reason():
    unexplained = []
    for place, node in functions():
        given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        count = len([one for one in given if one.arg not in ("self", "cls")])
        told = (ast.get_docstring(node) or "").splitlines()
        if count > PARAMETERS and not any(line.startswith(REASON) for line in told):
            unexplained.append(f"{place}: {count}")
    offenders.none(unexplained)


def test_the_keys_of_a_manifest_are_spelled_in_the_record_of_its_step():
    known = {path for pattern in MANIFESTS for path in ROOT.glob(pattern)}
    strangers = [
        f"{path.relative_to(ROOT)}:{number} {line.strip()}"
        for path in MODULES.values()
        if path not in known
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if re.search(r"manifest\[|read_manifest", line)
    ]
    offenders.none(strangers)


def test_importing_the_package_costs_nothing():
    names = ("mlflow", "pandas", "torch", "transformers")
    program = f"import influence, sys; print([n for n in {names} if n in sys.modules])"
    assert in_a_process(program) == "[]\n"


def reached(module: str) -> set[str]:
    """The modules that a module imports, directly or not, and itself."""
    known, new = set(), {module}
    while new:
        known |= new
        new = set().union(*(inside(MODULES[name]) for name in new)) - known
    return known


def test_all_code_that_can_change_a_result_is_in_its_fingerprint_or_in_one_before():
    code, missing = set(), []
    for step, folder in STEPS.items():
        home = f"influence.{folder}.step"
        code |= set(import_module(home).CODE)
        missing += [
            f"{step}: {module}"
            for module in reached(home)
            if room(module) not in NEUTRAL | (OF_TRAIN if step == "train" else set())
            and not {module.removeprefix("influence.").replace(".", "/"), *folders(module)} & code
        ]
    offenders.none(missing)


def folders(module: str) -> list[str]:
    parts = module.split(".")[1:-1]
    return ["/".join(parts[:end]) for end in range(1, len(parts) + 1)]


ABSENT = (  # from a machine with torch, transformers, scikit-learn, pandas and pyarrow alone
    *("accelerate", "beartype", "cleanlab", "datasets", "jaxtyping", "matplotlib", "mlflow"),
    *("optuna", "plotly", "psycopg", "ray", "sqlalchemy"),
)


def in_a_process(program: str) -> str:
    """Run a program in a process of its own, and return what it prints."""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def on_a_bare_machine(program: str) -> None:
    in_a_process(f"import sys; sys.modules.update(dict.fromkeys({ABSENT}))\n{program}")


def test_the_core_imports_without_the_libraries_of_the_edge():
    on_a_bare_machine("".join(f"import {name}\n" for name in MODULES if room(name) in CORE))


@pytest.mark.slow
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


def test_entry_points_are_short():
    lengths = {
        path.stem: len(path.read_text().splitlines()) for path in ROOT.glob("entrypoints/*.py")
    }
    offenders.none(f"{name}: {lines}" for name, lines in lengths.items() if lines > 45)
