"""MLproject, the page of the parameters and the stub for editors, rendered from the configs.

Run `python -m influence.config.render` after changing a parameter.
"""

import dataclasses
import json
from dataclasses import fields
from pathlib import Path

from influence.config.signatures import meaning, render_stub
from influence.config.steps import STEPS, required

FROM = "Rendered from influence/config/parameters.py by `python -m influence.config.render`"


def render_mlproject() -> str:
    """Return the text of MLproject: one entry point per step, with all its parameters."""
    lines = [
        f"# {FROM}; do not edit.",
        "name: influence",
        "conda_env: conda.yaml",
        "entry_points:",
    ]
    for step, kind in STEPS.items():
        lines += [f"  {step}:", "    parameters:"]
        parameters = fields(kind)
        lines += [_parameter(field, required(step)) for field in parameters]
        flags = " ".join(f"--{field.name} {{{field.name}}}" for field in parameters)
        lines += [f'    command: "python -m entrypoints.{step} {flags}"']
    return "\n".join(lines) + "\n"


def render_parameters() -> str:
    """Return the text of docs/parameters.md: each parameter, its default, range and steps."""
    lines = [
        "# Parameters",
        "",
        f"{FROM}.",
        "Given as `influence train --epochs 5`, or as `mlflow run . -e train -P epochs=5`.",
        "The step `main` is `influence compare`.",
        "",
        "| parameter | default | meaning | steps |",
        "| --- | --- | --- | --- |",
    ]
    known = dict.fromkeys(field.name for kind in STEPS.values() for field in fields(kind))
    for name in known:
        own = {
            step: field
            for step, kind in STEPS.items()
            for field in fields(kind)
            if field.name == name
        }
        meanings = list(dict.fromkeys(map(meaning, own.values())))
        defaults = list(dict.fromkeys(f"`{field.default}`" for field in own.values()))
        shown = " or ".join(default for default in defaults if default != "``")
        steps = ", ".join(own) if len(own) < len(STEPS) else "all"
        cells = [f"`{name}`", shown, "; or ".join(meanings), steps]
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _parameter(field: dataclasses.Field, required: str) -> str:
    kind = "float" if field.type in (int, float) else "string"
    if field.name == required:
        return f"      {field.name}: string"
    value = json.dumps(str(field.default))
    return f"      {field.name}: {{type: {kind}, default: {value}}}"


if __name__ == "__main__":
    Path("MLproject").write_text(render_mlproject())
    Path("docs/parameters.md").write_text(render_parameters())
    Path("influence/__init__.pyi").write_text(render_stub())
