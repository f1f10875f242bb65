import dataclasses
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from influence.config import lists, parameters, parser, render, steps
from influence.errors import InputError
from influence.sampling.step import parse_arms

ROOT = Path(__file__).parent.parent.parent


def test_mlproject_is_the_rendering_of_the_configs():
    assert (ROOT / "MLproject").read_text() == render.render_mlproject()


def test_the_page_of_parameters_is_the_rendering_of_the_configs():
    assert (ROOT / "docs/parameters.md").read_text() == render.render_parameters()


def test_mlproject_has_an_entry_point_per_step_with_every_parameter():
    project = yaml.safe_load((ROOT / "MLproject").read_text())
    assert set(project["entry_points"]) == set(steps.STEPS)
    for step, kind in steps.STEPS.items():
        assert set(project["entry_points"][step]["parameters"]) == {
            f.name for f in dataclasses.fields(kind)
        }


@pytest.mark.parametrize("step", steps.STEPS)
def test_the_defaults_survive_the_command_line_as_mlflow_passes_them(step):
    kind, needed = steps.STEPS[step], steps.required(step)
    project = yaml.safe_load((ROOT / "MLproject").read_text())["entry_points"][step]
    arguments = []
    for name, parameter in project["parameters"].items():
        value = "somewhere" if name == needed else parameter["default"]
        arguments += [f"--{name}", str(value)]
    assert parser.parse(step, arguments) == kind(**({needed: "somewhere"} if needed else {}))


@pytest.mark.parametrize(
    "arguments",
    [["--label-column", "my-label"], ["--label_column=my-label"], ["--label-column=my-label"]],
)
def test_a_flag_may_be_written_with_dashes(arguments):
    config = parser.parse("train", ["--dataset", "some", *arguments])
    assert config.label_column == "my-label"


def test_a_value_may_begin_with_a_dash_or_be_empty():
    for value in ("-1", "-", "-,-1", "--", "--odd", ""):
        parsed = parser.parse("train", ["--unlabelled", value, "--epochs", "2"])
        assert parsed == steps.TrainStep(unlabelled=value, epochs=2)
        assert parser.parse("train", [f"--unlabelled={value}"]).unlabelled == value


@pytest.mark.parametrize(
    ("step", "arguments", "said"),
    [
        ("train", ["--epochs", "x"], "--epochs"),
        ("train", ["--epochs", "-1"], "epochs must be at least 0, not -1"),
        ("train", ["--learning_rate", "nan"], "must be a number"),
        (
            "train",
            ["--learning_rat", "1"],
            "no parameter 'learning_rat'; did you mean learning_rate",
        ),
        ("train", ["--null_model", "yes"], "must be true or false"),
        ("train", ["--head", "wide"], "head must be one of default, mlp"),
        ("train", ["--epochs"], "expected one argument"),
        ("train", ["--epochs", "--seed", "1"], "expected one argument"),
        ("train", ["stray"], "stray"),
        ("score", [], "score needs training"),
        ("sample", ["--scores", ""], "sample needs scores"),
        ("main", ["--winsorize", "0.5"], "winsorize must be at most 0.49"),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_sentence(step, arguments, said):
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        parser.parse(step, arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", " , ", "0.1,x", "1", "-0.1", "nan", "0.2,1.5"])
def test_fractions_that_prune_nothing_sensible_are_refused(text):
    with pytest.raises(InputError):
        lists.fractions(text)


def test_fractions_are_sorted_and_single():
    assert lists.fractions("0.5, 0.1,0.5") == (0.1, 0.5)


def test_fractions_that_are_the_same_percent_are_one():
    assert lists.fractions("0.5,0.30000000000000004,0.3") == (0.3, 0.5)
    assert lists.fractions("0.333333,0.3333331") == (0.333333, 0.3333331)
    assert [str(value) for value in lists.fractions("-0.0,0.0007")] == ["0.0", "0.0007"]


def test_every_parameter_has_a_line_of_help():
    for kind in steps.STEPS.values():
        for field in dataclasses.fields(kind):
            assert 10 < len(field.metadata["help"]) < 120, field.name


PARAMETERS = sorted(
    {field.name for kind in steps.STEPS.values() for field in dataclasses.fields(kind)}
)
NAMES = st.one_of(st.sampled_from([*PARAMETERS, "help"]), st.text(max_size=5))
TYPED = st.one_of(
    st.text(max_size=9), st.integers().map(str), st.floats().map(str), st.sampled_from(["", "true"])
)


@given(st.sampled_from(list(steps.STEPS)), st.dictionaries(NAMES, TYPED, max_size=4))
def test_any_values_are_a_config_or_bad_input(step, typed):
    kind = steps.STEPS[step]
    try:
        found = parser.parse_parameters(step, typed)
    except InputError as error:
        assert "\n" not in str(error) or any("\n" in text for text in [*typed, *typed.values()])
        return
    assert isinstance(found, kind)
    texts = {field.name for field in dataclasses.fields(kind) if field.type is str}
    for name in texts & set(typed):
        assert getattr(found, name) == typed[name]


@given(st.lists(st.tuples(NAMES, TYPED), max_size=3), st.text(max_size=5))
def test_any_query_of_a_dataset_is_a_search_or_bad_input(pairs, path):
    query = "&".join(f"{name}={value}" for name, value in pairs)
    try:
        found = parser.expand(steps.SearchStep(datasets=f"{path}?{query}"))
    except InputError:
        return
    assert all(isinstance(one, steps.SearchStep) for one in found.values())


@given(st.one_of(st.text(), st.lists(TYPED).map(",".join)))
def test_any_list_is_read_or_bad_input(text):
    for read in (
        lists.fractions,
        parse_arms,
        lambda t: lists.changed(parameters.FitConfig(), t),
    ):
        try:
            found = read(text)
        except InputError:
            continue
        if read is lists.fractions:
            assert list(found) == sorted(set(found)) and found[0] >= 0 and found[-1] < 1


def test_a_dataset_that_names_another_is_refused():
    with pytest.raises(InputError, match="before the \\?; leave out dataset="):
        parser.expand(steps.SearchStep(datasets="here?dataset=there"))


def test_help_is_for_the_command_line_alone(capsys):
    with pytest.raises(InputError, match="no parameter 'help'"):
        parser.expand(steps.SearchStep(datasets="somewhere?help=1"))
    with pytest.raises(SystemExit):
        parser.parse("train", ["--help"])
    assert "--epochs" in capsys.readouterr().out
