"""Study files, read and run."""

import dataclasses
import shlex
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from entrypoints import main
from influence.config import parser, studies
from influence.config.commands import COMMANDS, configured
from influence.config.lists import changed
from influence.config.parameters import FitConfig
from influence.config.steps import MainStep
from influence.errors import InputError
from influence.sampling.step import parse_arms
from tests.helpers import notes, tiny
from tests.helpers.runs import launch, logged, of_step
from tests.report.test_page import Outline

FILES = sorted((Path(__file__).parent.parent.parent / "studies").glob("*.yaml"))


def write(tmp_path: Path, text: str) -> MainStep:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    return MainStep(study=str(path))


@pytest.mark.parametrize("scale", ["full", "small"])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_study_of_the_repository_can_be_read(path, scale):
    found = studies.read(MainStep(study=str(path), scale=scale))
    assert found.name == path.stem and found.question.endswith("?")
    for variant in found.variants.values():
        assert parse_arms(variant.arms) and not variant.study


def test_a_parameter_is_varied_and_the_rest_stays(tmp_path):
    given = write(
        tmp_path, "question: Why?\nparameters: {epochs: 7}\nvary: {label_noise: [0, 0.2]}"
    )
    found = studies.read(given)
    assert found.varied == "label_noise" and list(found.variants) == ["0", "0.2"]
    assert [variant.label_noise for variant in found.variants.values()] == [0, 0.2]
    assert {variant.epochs for variant in found.variants.values()} == {7}


def test_the_small_form_changes_what_it_names(tmp_path):
    given = write(
        tmp_path,
        "question: Why?\nparameters: {epochs: 7, seeds: 5, arms: [el2n:easy, vog:easy]}\n"
        "vary: {label_noise: [0.1]}\nsmall: {seeds: 2, vary: {imbalance: [3]}}",
    )
    (small,) = studies.read(dataclasses.replace(given, scale="small")).variants.values()
    assert (small.epochs, small.seeds, small.imbalance, small.label_noise) == (7, 2, 3, 0)
    assert small.arms == "el2n:easy,vog:easy"


def test_the_command_line_comes_before_the_file(tmp_path):
    text = "question: Why?\nparameters: {epochs: 7}\nvary: {label_noise: [0.1, 0.2]}"
    given = write(tmp_path, text)
    found = studies.read(dataclasses.replace(given, epochs=2, label_noise=0.3))
    ((value, only),) = found.variants.items()
    assert (found.varied, value, only.epochs, only.label_noise) == ("", "", 2, 0.3)


@pytest.mark.parametrize("arguments", [["--epochs=0", "--unlabelled", "auto"], []])
def test_so_does_a_default_that_was_given(tmp_path, arguments):
    file = write(
        tmp_path, "question: Why?\nparameters: {epochs: 7, seeds: 4, unlabelled: no}"
    ).study
    text = parser.parse_command(COMMANDS["study"], [file, *arguments])
    values = {"epochs": 0, "unlabelled": "auto"} if arguments else {}
    config = configured(COMMANDS["study"], {"study": file} | values)
    assert config == text
    (only,) = studies.read(config).variants.values()
    expected = (0, "auto") if arguments else (7, "no")
    assert (only.epochs, only.unlabelled, only.seeds) == (*expected, 4)
    # The command that a report shows does the same through `mlflow run`.
    again = dict(part.split("=", 1) for part in shlex.split(parser.again("main", config))[6::2])
    assert parser.parse_parameters("main", again) == config


def test_what_stands_behind_a_file_is_a_parameter_of_main(tmp_path):
    file = write(tmp_path, "question: Why?").study
    for query, said in [
        ("epoch=3", "mine.yaml: main has no parameter 'epoch'"),
        ("scale=x", "set"),
    ]:
        with pytest.raises(InputError, match=said):
            studies.read(MainStep(study=f"{file}?{query}"))
    assert studies.read(MainStep(study=f"{file}?epochs=3", epochs=2)).variants[""].epochs == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("question: [", "is no YAML file"),
        ("question: Why?\nvary: {a: [1\nsmall: 3", "mine.yaml is no YAML file, line 3: expected "),
        ("question: Why?\n\tvary: 3", "mine.yaml is no YAML file, line 2: found character"),
        ("- a\n- b", "needs a question"),
        ("parameters: {epochs: 2}", "needs a question"),
        ("question: Why?\nparameter: {epochs: 2}", "unknown part 'parameter'"),
        ("question: Why?\nparameters: epochs", "parameters must hold names and values"),
        ("question: Why?\nparameters: {epoch: 2}", "did you mean epochs"),
        ("question: Why?\nparameters: {epochs: many}", "invalid int value"),
        ("question: Why?\nparameters: {epochs: -1}", "epochs must be at least 0"),
        ("question: Why?\nparameters: {study: other.yaml}", "cannot set study"),
        ("question: Why?\nparameters: {help: 1}", "no parameter 'help'"),
        ("question: Why?\nparameters: {1: 2}", "no parameter '1'"),
        ("[" * 500, "is no YAML file"),
        ("question: Why?\nvary: {epochs: 3}", "must be a list"),
        ("question: Why?\nvary: {epochs: []}", "must be a list"),
        ("question: Why?\nvary: {epochs: [1], seeds: [2]}", "one parameter"),
        ("question: Why?\nsmall: {vary: [1]}", "one parameter"),
    ],
)
def test_a_file_that_is_wrong_is_named_in_one_sentence(tmp_path, text, said):
    given = dataclasses.replace(write(tmp_path, text), scale="small" if "small" in text else "full")
    with pytest.raises(InputError) as error:
        studies.read(given)
    message = str(error.value)
    assert said in message and "mine.yaml" in message and "\n" not in message


def test_what_yaml_would_take_for_a_date_or_a_truth_stays_as_typed(tmp_path):
    given = write(
        tmp_path,
        "question: 2020-13-45\nparameters: {label_column: no, dataset_config: 1:30, arms: -x}\n"
        "vary: {label_noise: [0.10]}",
    )
    found = studies.read(given)
    ((value, only),) = found.variants.items()
    assert (found.question, value) == ("2020-13-45", "0.10")
    assert (only.label_column, only.dataset_config, only.arms) == ("no", "1:30", "-x")


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.dates()
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(SCALARS, SCALARS))
PARAMETERS = st.sampled_from(
    ["epochs", "arms", "label_noise", "track", "study", "help", "fractions"]
)
PARTS = st.one_of(VALUES, st.dictionaries(st.one_of(PARAMETERS, SCALARS), VALUES, max_size=3))
SMALL = st.dictionaries(st.sampled_from(["vary", "epochs", "seeds"]), PARTS, max_size=2)


def read_or_refuse(content: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mine.yaml"
        path.write_text(content, encoding="utf-8", errors="replace")
        for scale in ("full", "small"):
            try:
                found = studies.read(MainStep(study=str(path), scale=scale))
            except InputError as error:
                message = str(error)
                assert "mine.yaml" in message
                continue
            assert found.question and found.name == "mine" and found.variants
            for variant in found.variants.values():
                assert isinstance(variant, MainStep) and not variant.study


@given(
    st.dictionaries(
        st.sampled_from(["question", "parameters", "vary", "small"]),
        st.one_of(PARTS, SMALL),
        max_size=4,
    )
)
def test_any_study_is_read_or_bad_input(content):
    read_or_refuse(yaml.safe_dump({"question": "Why?", **content}))


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from([*"[]{}:-,&*!|>'#%@ \n", "a", "<<"])).map("".join)
    )
)
def test_any_text_is_a_study_or_bad_input(text):
    read_or_refuse(text)
    read_or_refuse(f"question: Why?\nparameters: {text}")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no study file .*nothing\.yaml"):
        studies.read(MainStep(study=str(tmp_path / "nothing.yaml")))


def test_parameters_are_changed_as_listed():
    found = changed(FitConfig(), "model=mini&layers=2&learning_rate=3e-4")
    assert (found.model, found.layers, found.learning_rate) == ("mini", 2, 3e-4)
    assert changed(found, "") == found


@pytest.mark.parametrize(
    ("text", "said"),
    [("modl=mini", "'modl'"), ("layers=two", "must be a number"), ("epochs=-1", "at least 0")],
)
def test_parameters_of_another_model_are_checked_before_anything_runs(text, said):
    with pytest.raises(InputError, match=said):
        MainStep(retrain_with=text)


@pytest.fixture(scope="module")
def study(tracking_store, tmp_path_factory) -> SimpleNamespace:
    """A study of two retrained models on a small dataset."""
    root = tmp_path_factory.mktemp("study")
    path = root / "proxy.yaml"
    path.write_text(
        "question: Does the model matter?\n"
        "parameters: {arms: [el2n:easy], fractions: 0.4, score: el2n}\n"
        "vary: {retrain_with: ['', model=mini&layers=1&vocabulary=120]}\n"
    )
    config = MainStep(
        study=str(path),
        dataset=str(tiny.write(root / "data", tiny.frames())),
        workdir=str(root / "work"),
        label_noise=0.2,
        seeds=2,
        workers=1,
        threads=1,
        **tiny.FAST,
    )
    return SimpleNamespace(config=config, runs=launch(main, config))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
class TestARunOfAStudy:
    def test_has_a_run_per_value_with_a_page_of_its_own(self, study):
        (top,) = of_step(study.runs, "study")
        mains = of_step(study.runs, "main")
        assert {run.data.tags["mlflow.parentRunId"] for run in mains} == {top.info.run_id}
        names = {run.info.run_name for run in mains}
        assert names == {"retrain_with=", "retrain_with=model=mini&layers=1&vocabulary=120"}
        assert all((logged(run, "") / "report.html").is_file() for run in mains)
        assert "Does the model matter?" in top.data.tags["mlflow.note.content"]

    def test_scores_once_and_retrains_the_model_that_was_named(self, study):
        work = Path(study.config.workdir)
        assert len(list(work.glob("score-*"))) == 1
        assert len(list(work.glob("evaluate-*"))) == 4
        assert len(list((work / "retrainings").glob("*/point.json"))) == 2 * 2 * (1 + 2)

    def test_tells_on_one_page_what_each_value_came_to(self, study):
        (top,) = of_step(study.runs, "study")
        outline = Outline((logged(top, "") / "report.html").read_text())
        assert outline.sections == ["pruned-40", "remarks", "label_errors", "again"]
        text = " ".join(outline.texts)
        for run in of_step(study.runs, "main"):
            said = notes.verdict(run).replace(" %", "\u00a0%")
            assert f"{run.info.run_name}: {said}" in text
