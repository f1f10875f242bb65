"""The notebook of the quickstart: its cells run, and show a picture and tables."""

import ast
import json
import os
from pathlib import Path

import pytest

import influence
from tests.helpers import notebook

pytestmark = pytest.mark.slow
QUICKSTART = Path(__file__).parent.parent.parent / "examples/quickstart.ipynb"


@pytest.mark.long
def test_every_cell_runs_and_shows_what_is_kept_in_the_notebook(tmp_path, monkeypatch):
    # As on one core: otherwise most of the time goes into starting processes, again in each cell.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    outputs = notebook.run(QUICKSTART, tmp_path)
    kept = [cell for cell in json.loads(QUICKSTART.read_text())["cells"] if "outputs" in cell]
    for cell, made in zip(kept, outputs, strict=True):
        kinds = [[*one.get("data", ()), one["output_type"]] for one in made]
        assert [[*one.get("data", ()), one["output_type"]] for one in cell["outputs"]] == kinds
    assert "data:image/png" in json.dumps(outputs) and "data:image/png" in QUICKSTART.read_text()


def test_it_uses_the_seven_functions():
    trees = [ast.parse(source) for source in notebook.sources(QUICKSTART)]
    called = {
        node.attr
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "influence"
    }
    assert called >= {*influence.__all__} - {"study", "load"}
