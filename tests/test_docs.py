import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from influence import scores
from influence.config import studies
from influence.config.steps import STEPS, MainStep
from influence.sampling import rules
from tests.test_structure import ORDER

ROOT = Path(__file__).parent.parent
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [*(ROOT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")), *DOCS]
COMMANDS = {"compare", "study", *STEPS} - {"main"}


def first_cells(page: str) -> set[str]:
    """The names in code in the first cells of the tables of a page."""
    cells = re.findall(r"^\| (`[^|]+) \|", (ROOT / page).read_text(), re.M)
    return {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_score_has_its_row():
    assert set(scores.REGISTRY) <= first_cells("docs/scores.md")


def test_every_rule_has_its_row():
    assert set(rules.REGISTRY) <= first_cells("docs/rules.md")


def test_every_study_has_its_row():
    assert {path.stem for path in ROOT.glob("studies/*.yaml")} == first_cells("docs/studies.md")


def test_every_page_is_in_the_index():
    linked = set(re.findall(r"\]\((\w+\.md)\)", (ROOT / "docs/README.md").read_text()))
    assert linked == {page.name for page in DOCS} - {"README.md"}


def test_every_picture_is_on_a_page():
    shown = {name for page in PAGES for name in re.findall(r"images/([\w.]+)\)", page.read_text())}
    assert {path.name for path in (ROOT / "docs/images").iterdir()} == shown


def test_the_readme_and_the_page_for_contributors_fit_a_screen():
    lengths = {page: len(page.read_text().splitlines()) for page in PAGES[:2]}
    assert max(lengths.values()) <= 60, lengths


def test_every_folder_has_its_line_for_contributors_in_the_order_of_the_flow():
    folders = {path.parent.name for path in ROOT.glob("influence/*/__init__.py")}
    table = (ROOT / "CONTRIBUTING.md").read_text().split("| folder of")[1]
    named = re.findall(r"`(\w+)/`", table[table.index("\n") :].split("\n\n")[0])
    assert set(named) == folders
    assert named == sorted(named, key=ORDER.index)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_and_modules_that_a_page_names_exist(page):
    text = page.read_text()
    named = set(re.findall(r"`((?:influence|studies|tests|benchmarks|docs)/[\w./]*)`", text))
    for module in re.findall(r"python -m ([\w.]+)|from (influence\.[\w.]+) import", text):
        if (name := "".join(module)).split(".")[0] in ("influence", "entrypoints", "benchmarks"):
            path = name.replace(".", "/")
            named.add(path if (ROOT / path).is_dir() else f"{path}.py")
    assert not {name for name in named if not (ROOT / name).exists()}


def test_every_dependency_has_its_licence():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *sum(project["optional-dependencies"].values(), [])]
    wanted += re.findall(r"^[^#\n]+", (ROOT / "benchmarks/requirements.txt").read_text(), re.M)
    text = (ROOT / "docs/dependencies.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \|", text, re.M)
    told = {name.strip() for row in rows for name in row.split(",")}
    assert {re.split(r"[\[<>=]", name)[0] for name in wanted} <= told


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target, _, section in re.findall(r"\]\(([^)#]*)(#([^)]+))?\)", page.read_text()):
        if "://" in target:
            continue
        goal = page.parent / target if target else page
        assert goal.exists(), target
        if section:
            heads = re.findall(r"^#+ (.+)$", goal.read_text(), re.M)
            named = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in heads}
            assert section in named, (target, section)


def example(page: str, title: str, language: str = "python") -> str:
    """The code under a heading of a page."""
    part = (ROOT / page).read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return re.search(rf"```{language}\n(.*?)```", part, re.S)[1]


def test_the_score_of_its_page_works(monkeypatch):
    monkeypatch.setattr(scores, "REGISTRY", dict(scores.REGISTRY))
    names = dict(vars(scores))
    exec(example("docs/scores.md", "Add a score"), names)
    logits = np.array([[[0.0, 3.0], [2.0, 1.0]]], dtype=np.float32)
    assert names["last_gap"](logits, np.array([0, 0])).tolist() == [3, 0]
    assert scores.REGISTRY["last_gap"].hard == "high"


def test_the_rule_of_its_page_works(monkeypatch):
    monkeypatch.setattr(rules, "REGISTRY", dict(rules.REGISTRY))
    names = dict(vars(rules))
    exec(example("docs/rules.md", "Add a rule"), names)
    assert names["around"](np.array([0.0, 1.0, 2.0])).tolist() == [-1, 0, -1]
    assert rules.REGISTRY["around"].parameters == {"middle": 0.5}


def test_the_study_of_its_page_can_be_read(tmp_path):
    (tmp_path / "length.yaml").write_text(example("docs/studies.md", "Write a study", "yaml"))
    study = studies.read(MainStep(study=str(tmp_path / "length.yaml"), scale="small"))
    assert list(study.variants) == ["2", "4"]


def commands(text: str) -> list[str]:
    """The commands `influence ...` of a page, each on one line."""
    blocks = re.findall(r"```bash\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    spans = re.findall(r"`(influence [^`]+)`", text)
    return [line.split("#")[0] for line in [*lines, *spans] if line.startswith("influence ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_parameters_that_a_page_names_exist(page):
    known = {name for kind in STEPS.values() for name in kind.__dataclass_fields__}
    text = page.read_text()
    given = commands(text)
    assert {command.split()[1] for command in given} <= COMMANDS
    flags = [*given, *re.findall(r"`(--[^`]+)`", text)]
    named = {name for flag in flags for name in re.findall(r"--(\w+)(?=[ =]|$)", flag)}
    assert named | set(re.findall(r"-P \"?(\w+)=", text)) <= known
