import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from influence import command, config
from influence.errors import InputError

ROOT = Path(__file__).parent.parent


def test_mlproject_is_the_rendering_of_the_configs():
    assert (ROOT / "MLproject").read_text() == command.render_mlproject()


def test_the_page_of_parameters_is_the_rendering_of_the_configs():
    assert (ROOT / "docs/parameters.md").read_text() == command.render_parameters()


def test_mlproject_has_an_entry_point_per_step_with_every_knob():
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert set(project["entry_points"]) == set(config.STEPS)
    for step, kind in config.STEPS.items():
        assert set(project["entry_points"][step]["parameters"]) == {
            f.name for f in dataclasses.fields(kind)
        }


@pytest.mark.parametrize("step", config.STEPS)
def test_the_defaults_survive_the_command_line_as_mlflow_passes_them(step):
    kind, needed = config.STEPS[step], config.required(step)
    project = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][step]
    arguments = []
    for name, parameter in project["parameters"].items():
        value = "somewhere" if name == needed else parameter["default"]
        arguments += [f"--{name}", str(value)]
    assert command.parse(step, arguments) == kind(**({needed: "somewhere"} if needed else {}))


@pytest.mark.parametrize(
    ("step", "arguments", "said"),
    [
        ("train", ["--epochs", "x"], "--epochs"),
        ("train", ["--epochs", "0"], "epochs must be at least 1, not 0"),
        ("train", ["--learning_rate", "nan"], "must be a number"),
        (
            "train",
            ["--learning_rat", "1"],
            "no parameter 'learning_rat'; did you mean learning_rate",
        ),
        ("train", ["--null_model", "yes"], "must be true or false"),
        ("train", ["--head", "wide"], "head must be one of default, mlp"),
        ("train", ["--epochs"], "expected one argument"),
        ("train", ["stray"], "stray"),
        ("score", [], "score needs training"),
        ("sample", ["--scores", ""], "sample needs scores"),
        ("main", ["--winsorize", "0.5"], "winsorize must be at most 0.49"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_sentence(step, arguments, said):
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        command.parse(step, arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", " , ", "0.1,x", "1", "-0.1", "nan", "0.2,1.5"])
def test_fractions_that_prune_nothing_sensible_are_refused(text):
    with pytest.raises(InputError):
        config.fractions(text)


def test_fractions_are_sorted_and_single():
    assert config.fractions("0.5, 0.1,0.5") == (0.1, 0.5)


def test_every_knob_has_a_line_of_help():
    for kind in config.STEPS.values():
        for field in dataclasses.fields(kind):
            assert 10 < len(field.metadata["help"]) < 120, field.name
