import re
from pathlib import Path

import pytest

from influence import rules, scores
from influence.config import STEPS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_every_score_has_its_row():
    rows = set(re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/method.md").read_text(), re.M))
    assert set(scores.REGISTRY) <= rows


def test_every_rule_is_explained():
    text = (ROOT / "docs/method.md").read_text().split("## Rules")[1]
    assert all(f"`{name}`" in text for name in rules.REGISTRY)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text()):
        assert "://" in target or (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_parameters_named_in_commands_exist(page):
    known = {name for kind in STEPS.values() for name in kind.__dataclass_fields__}
    assert set(re.findall(r"-P (\w+)=", page.read_text())) <= known
