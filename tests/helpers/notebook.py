"""Notebooks run cell by cell without Jupyter, as the tests need no more than Python.

`python -m tests.helpers.notebook examples/quickstart.ipynb` runs one and keeps what its cells show.
"""

import ast
import contextlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any


def run(path: Path, directory: Path) -> list[list[dict[str, Any]]]:
    """Run the code cells of a notebook in `directory`; return the outputs of each.

    What is written to stderr, such as progress bars, is no output.
    """
    names: dict[str, Any] = {"__name__": "__main__"}
    with contextlib.chdir(directory):
        return [_outputs(source, names) for source in sources(path)]


def sources(path: Path) -> list[str]:
    """Return the code cells of a notebook."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def keep(path: Path) -> None:
    """Run a notebook and write what its cells show into it."""
    with tempfile.TemporaryDirectory() as directory:
        shown = iter(run(path, Path(directory)))
    notebook = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for number, cell in enumerate(code, 1):
        outputs = next(shown)
        for output in outputs:
            if output["output_type"] == "execute_result":
                output["execution_count"] = number
        cell |= {"execution_count": number, "outputs": outputs}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _outputs(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run a cell as Jupyter does: a last line that is an expression is shown."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        text = printed.getvalue().splitlines(keepends=True)
        outputs.append({"output_type": "stream", "name": "stdout", "text": text})
    if value is not None:
        outputs.append({"output_type": "execute_result", "data": _shown(value), "metadata": {}})
    return outputs


def _shown(value: Any) -> dict[str, list[str]]:
    shown = {"text/plain": repr(value).splitlines(keepends=True)}
    if html := getattr(value, "_repr_html_", None):
        shown["text/html"] = html().splitlines(keepends=True)
    return shown


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    keep(Path(sys.argv[1]))
