import re
import tomllib
from pathlib import Path

import numpy as np
import pytest

from influence import scores
from influence.config import studies
from influence.config.parameters import STEPS, MainStep
from influence.sampling import rules

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_score_has_its_row():
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/method.md").read_text(), re.M))
    assert set(scores.REGISTRY) <= rows


def test_every_rule_is_explained():
    text = (ROOT / "docs/method.md").read_text().split("## Rules")[1]
    assert all(f"`{name}`" in text for name in rules.REGISTRY)


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


def example(title: str, language: str = "python") -> str:
    """The code under a heading of the how-to page."""
    part = (ROOT / "docs/howto.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    return re.search(rf"```{language}\n(.*?)```", part, re.S)[1]


def test_the_score_of_the_howto_works(monkeypatch):
    monkeypatch.setattr(scores, "REGISTRY", dict(scores.REGISTRY))
    names = dict(vars(scores))
    exec(example("Add a score"), names)
    logits = np.array([[[0.0, 3.0], [2.0, 1.0]]], dtype=np.float32)
    assert names["last_gap"](logits, np.array([0, 0])).tolist() == [3, 0]
    assert scores.REGISTRY["last_gap"].hard == "high"


def test_the_rule_of_the_howto_works(monkeypatch):
    monkeypatch.setattr(rules, "REGISTRY", dict(rules.REGISTRY))
    names = dict(vars(rules))
    exec(example("Add a rule"), names)
    assert names["around"](np.array([0.0, 1.0, 2.0])).tolist() == [-1, 0, -1]
    assert rules.REGISTRY["around"].parameters == {"middle": 0.5}


def test_the_study_of_the_howto_can_be_read(tmp_path):
    (tmp_path / "length.yaml").write_text(example("Add a study", "yaml"))
    study = studies.read(MainStep(study=str(tmp_path / "length.yaml"), scale="small"))
    assert list(study.variants) == ["2", "4"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_named_in_commands_exist(page):
    known = {name for kind in STEPS.values() for name in kind.__dataclass_fields__}
    assert set(re.findall(r"-P (\w+)=", page.read_text())) <= known
