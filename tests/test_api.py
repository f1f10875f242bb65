"""The Python API: what it shows, what it takes, and what it gives back."""

import inspect
import os
import pydoc
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

import influence
from influence import pipeline
from influence.config import render, steps
from influence.config.commands import COMMANDS, LISTS, QUERIES
from influence.errors import InputError
from tests.helpers import tiny

ROOT = Path(__file__).parent.parent
SEVEN = ("prune", "train", "score", "sample", "evaluate", "search", "compare")
HEAVY = ("torch", "transformers", "numpy", "pandas", "mlflow", "matplotlib", "optuna", "yaml")


def python(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


# What it shows.


def test_importing_costs_nothing():
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    assert python(f"import sys, influence; {loaded}").strip() == "[]"


def test_pruning_arrays_imports_neither_torch_nor_mlflow():
    run = "print(influence.prune([1, 2, 3], list('aab'), 0.3).tolist())"
    loaded = "print([n for n in ('torch', 'transformers', 'mlflow') if n in sys.modules])"
    assert python(f"import sys, influence; {run}; {loaded}").split("\n")[:2] == ["[1, 2]", "[]"]


def test_help_begins_with_the_seven_functions():
    text = pydoc.plain(pydoc.render_doc(influence))
    places = [text.index(f"    {name:10} ") for name in SEVEN]
    assert places == sorted(places) and places[-1] < text.index("PACKAGE CONTENTS")
    assert set(SEVEN) <= set(dir(influence)) and "Any" not in dir(influence)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_every_parameter_with_its_default(name):
    command, text = COMMANDS[name], pydoc.plain(pydoc.render_doc(getattr(influence, name)))
    shown = inspect.signature(getattr(influence, name)).parameters
    flat = " ".join(text.split())
    for field in command.fields:
        default = shown[field.name].default
        assert default in (field.default, inspect.Parameter.empty, False), field.name
        assert f"{field.name}: {' '.join(field.metadata['help'].split())[:60]}" in flat
    assert shown["track"].default is False


def test_the_stub_for_editors_is_the_rendering_of_the_configs():
    assert (ROOT / "influence/__init__.pyi").read_text() == render.render_stub()


def test_lists_are_parameters_that_there_are():
    names = {field.name for command in COMMANDS.values() for field in command.fields}
    assert names >= LISTS | QUERIES


def test_scores_are_functions_and_other_names_are_there():
    logits, labels = np.zeros((1, 2, 2)), np.array([0, 1])
    assert influence.scores.el2n(logits, labels) == pytest.approx([0.5**0.5] * 2)
    assert influence.InputError is InputError and re.fullmatch(r"[\d.]+", influence.__version__)
    assert influence.KeepCheckpoints.__name__ == "KeepCheckpoints"
    with pytest.raises(AttributeError, match="no attribute 'trainn'"):
        influence.trainn  # noqa: B018


# Arrays alone.

VALUES, LABELS = [0.1, 0.9, 0.5, 0.7, 0.3, 0.2], ["b", "a", "a", "b", "b", "a"]


def test_prune_keeps_the_hardest_rows_in_their_order():
    kept = influence.prune(VALUES, LABELS, 0.5)
    assert kept.tolist() == [1, 2, 3]
    as_series = influence.prune(pd.Series(VALUES, index=range(6, 0, -1)), pd.Series(LABELS), 0.5)
    assert as_series.tolist() == [1, 2, 3]


def test_prune_follows_rule_class_and_minimum():
    assert influence.prune(VALUES, LABELS, 0.5, rule="hard").tolist() == [0, 4, 5]
    kept = influence.prune([9, 8, 7, 1, 2, 3], list("aaabbb"), 1 / 3, min_per_class=2)
    assert kept.tolist() == [0, 1, 4, 5]
    by_class = influence.prune([9, 8, 7, 3, 2, 1], list("aaabbb"), 2 / 3, normalize="class")
    assert by_class.tolist() == [0, 3]


def test_prune_draws_the_same_under_one_seed_and_needs_no_values_at_random():
    drawn = [influence.prune(VALUES, LABELS, 0.5, rule="softmax", seed=s).tolist() for s in (1, 1)]
    assert drawn[0] == drawn[1]
    assert len(influence.prune(None, LABELS, 0.5, rule="random")) == 3
    assert len(influence.prune([VALUES, VALUES], LABELS, 0.5, rule="linear", epsilon=0.1)) == 3
    assert len(influence.prune(None, LABELS, 0.5, rule="drop", recall=[0.5, 1.0])) == 3


def test_prune_compares_representations_of_a_class():
    vectors = np.array([[0, 1], [1, 0], [0, 1], [1, 1], [1, 0], [1, 0]])
    kept = influence.prune(None, LABELS, 1 / 6, rule="dedup", representations=vectors)
    assert len(kept) == 5 and len({0, 4} & set(kept.tolist())) == 2  # rows 1 and 5 are the same
    assert len({1, 5} & set(kept.tolist())) == 1
    given = dict(representations=vectors.tolist(), beta=0.0, neighbors=1)
    assert len(influence.prune(VALUES, LABELS, 0.5, rule="d2", **given)) == 3
    assert len(influence.prune(VALUES, LABELS, 0.5, rule="ccs_class", beta=0.2)) == 3


def test_prune_draws_by_p_of_the_label():
    confidence = [0.99, 0.99, 0.99, 1e-9, 1e-9, 1e-9]
    easiest = [
        influence.prune(np.ones(6), LABELS, 5 / 6, rule="adaptive", confidence=confidence,
                        min_per_class=0, seed=seed)[0]
        for seed in range(20)
    ]  # fmt: skip
    assert set(easiest) <= {0, 1, 2} and len(set(easiest)) > 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (dict(values=[1, 2]), "values has 2 numbers, but there are 6 labels"),
        (dict(values=["x"] * 6), "values must be numbers"),
        (dict(values=[1, 2, np.nan, 4, 5, 6]), "1 values are nan, the first in row 2"),
        (dict(values=None), "rule 'easy' needs values"),
        (dict(labels=[]), "labels is empty"),
        (dict(labels=[None, *"aabba"]), "1 labels are missing, the first in row 0"),
        (dict(labels=[[1, 2]] * 3), "labels must have one axis, not 2"),
        (dict(fraction=30), "at least 0 and below 1, not 30.0"),
        (dict(fraction=0.9), "fewer than 2, as min_per_class=1 requires"),
        (dict(rule="esy"), "unknown rule 'esy'"),
        (dict(normalize="classes"), "unknown normalize 'classes'"),
        (dict(values=[VALUES, VALUES]), "only rule 'linear' blends"),
        (dict(rule="easy", values=[VALUES, VALUES]), "but rule 'easy' got 2; give one value"),
        (dict(rule="drop", values=None), "recall"),
        (dict(rule="drop", recall=0.5), "recall must have one axis, not 0"),
        (dict(rule="drop", recall="high"), "recall must be numbers, one per class"),
        (dict(rule="ccs", beta=2.0), "beta must be at most 0.99, not 2.0"),
        (dict(rule="ccs", strata=-3), "strata must be at least 1, not -3"),
        (dict(rule="ccs", strata=2.5), "strata must be a whole number, not 2.5"),
        (dict(rule="softmax", temperature=-1), "temperature must be at least 1e-06, not -1.0"),
        (dict(rule="easy:class"), "unknown rule 'easy:class'; there is adaptive, ccs, ccs_class"),
        (dict(rule="dedup"), "rule 'dedup' needs representations, a vector of each example"),
        (dict(rule="d2", representations=[1, 2]), "representations has 2 numbers; give a vector"),
        (dict(rule="d2", representations=[[1]]), "has 1 x 1 numbers; give a vector for each of 6"),
        (dict(rule="d2", representations=[["a"]] * 6), "representations must be numbers, a vector"),
        (dict(rule="dedup", representations=[[np.inf]] * 6), "6 of 6 representations are not fin"),
        (dict(rule="adaptive"), "rule 'adaptive' needs confidence, the mean p(label) of each"),
        (dict(rule="adaptive", confidence=[0.5]), "confidence must be 6 numbers from 0 to 1"),
        (dict(rule="adaptive", confidence=[2] * 6), "confidence must be 6 numbers from 0 to 1"),
        (dict(rule="random", values=[1, 2]), "values has 2 numbers, but there are 6 labels"),
        (dict(rule="random", normalize="classes"), "unknown normalize 'classes'"),
        (dict(labels="baabba"), "labels must have one axis, not 0"),
        (dict(labels=[[1], [2, 3]]), "labels must be a list or an array: "),
        (dict(values=3), "values has 1 numbers, but there are 6 labels"),
        (dict(temprature=2.0), "unknown parameter 'temprature'"),
        (dict(min_per_class=-1), "min_per_class must be a whole number of at least 0"),
        (dict(seed=-1), "seed must be a whole number of at least 0"),
    ],
)
def test_prune_says_what_is_wrong(given, said):
    usual = dict(values=VALUES, labels=LABELS, fraction=0.5)
    with pytest.raises(InputError, match=re.escape(said)):
        influence.prune(**{**usual, **given})


WRONG_KINDS = (
    (dict(rule="linear", epsilon=None), "epsilon must be a number, not None"),
    (dict(rule=["easy"]), "rule must be a text, not ['easy']"),
    (dict(normalize=None), "normalize must be a text, not None"),
    (dict(fraction=None), "fraction must be a number, not None"),
    (dict(fraction="0.3"), "fraction must be a number, not '0.3'"),
    (dict(seed=[0] * 99), "seed must be a whole number of at least 0, not a list"),
)


def test_prune_says_what_is_of_the_wrong_kind():
    """In a process of its own: here the annotations are checked first, as nobody else does."""
    given = [
        {"values": VALUES, "labels": LABELS, "fraction": 0.5, **wrong} for wrong, _ in WRONG_KINDS
    ]
    told = python(
        f"""import influence
for given in {given}:
    try:
        influence.prune(**given)
    except influence.InputError as error:
        print(error)"""
    )
    assert told.splitlines() == [sentence for _, sentence in WRONG_KINDS]


@pytest.mark.parametrize("name", ["values", "labels", "recall"])
def test_prune_passes_on_what_torch_says_of_a_tensor_in_a_graph(name):
    tensor = torch.tensor(VALUES, requires_grad=True)
    usual = dict(values=VALUES, labels=LABELS, fraction=0.5, rule="drop")
    with pytest.raises(InputError, match=rf"{name} must be .*: Can't call numpy\(\) on Tensor"):
        influence.prune(**{**usual, name: tensor})
    assert influence.prune(**{**usual, "rule": "easy", "values": tensor.detach()}).tolist()


# What the other functions take.

FRAME = pd.DataFrame({"text": ["a"] * 50, "label": ["b"] * 50})


@pytest.mark.parametrize(
    ("name", "given", "parameters", "said"),
    [
        ("train", ("here",), {"epoch": 3}, "train has no parameter 'epoch'; did you mean epochs?"),
        ("train", ("here",), {"epochs": "3"}, "epochs must be a whole number, not '3'"),
        ("train", ("here",), {"epochs": -1}, "epochs must be at least 0, not -1"),
        ("train", ("here",), {"warmup": "much"}, "warmup must be a number, not 'much'"),
        ("train", ("here",), {"stack": 1}, "stack must be True or False, not 1"),
        ("train", ("here",), {"text_column": ["a"]}, "text_column must be a text, not ['a']"),
        ("train", (3,), {}, "train is not a table but a int; give a folder, a pandas.DataFrame"),
        ("train", ({},), {}, "the dataset is an empty mapping"),
        ("train", ({"train": [1]},), {}, "train is not a table but a list"),
        (
            "train",
            (pd.DataFrame({"text": "a", "label": [1]}),),
            {},
            "all 1 train rows have the label '1'",
        ),
        ("train", ("nowhere/at all",), {}, "is not a directory"),
        ("sample", ("here",), {"fractions": [0.3, "x"]}, "must be numbers"),
        ("sample", ("here",), {"groups": ["a,b"]}, "'a,b' holds a comma"),
        ("sample", ("here",), {"groups": [FRAME]}, "one part is a DataFrame of shape 50 x 2"),
        ("search", (), {"datasets": [FRAME]}, "one part is a DataFrame of shape 50 x 2"),
        ("search", (), {"datasets": FRAME}, "list of texts, not a DataFrame of shape 50 x 2"),
        ("train", ("here",), {"groups": None}, "train has no parameter 'groups'"),
        ("compare", ("here",), {"arms": None}, "arms must be a text or a list of texts, not None"),
        ("compare", ("here",), {"arms": []}, "arms lists no arm; write score:rule[:normalize]"),
        ("train", ("here",), {"model": FRAME}, "model must be a text, not a DataFrame of shape"),
        ("train", ("here",), {"epochs": np.zeros(3)}, "a whole number, not a ndarray of shape 3"),
        ("train", ("here",), {"epochs": np.array([3])}, "a whole number, not a ndarray of shape"),
        ("score", (FRAME,), {}, "training must be a finished step or its directory, not a DataFr"),
        ("load", (FRAME,), {}, "load takes the directory of a finished step, not a DataFrame of"),
        ("evaluate", ("nowhere",), {}, "there is no directory"),
        ("load", ("nowhere",), {}, "there is no directory"),
        ("load", (str(ROOT),), {}, "holds no finished step"),
        ("compare", ("assistant", ["el2n"]), {}, "arm 'el2n' names no rule"),
    ],
)
def test_bad_input_is_an_exception_of_one_sentence(tmp_path, name, given, parameters, said):
    here = {} if name == "load" else {"workdir": tmp_path}
    with pytest.raises(InputError, match=re.escape(said)) as caught:
        getattr(influence, name)(*given, **here, **parameters)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_what_a_step_reads_must_be_given():
    with pytest.raises(TypeError, match=re.escape("score() needs training")):
        influence.score()
    with pytest.raises(TypeError, match="too many positional"):
        influence.train("here", "there")


def test_lists_paths_mappings_and_numbers_of_numpy_are_read_as_texts():
    from influence.config.commands import configured

    values = {
        "dataset": Path("a/b"),
        "arms": ["el2n:easy", "random"],
        "fractions": (0.3, np.float64(0.5)),
        "groups": "",
        "retrain_with": {"model": "mini", "layers": 2},
        "epochs": np.int64(4),
        "warmup": 0,
        "track": np.False_,
    }
    read = configured(COMMANDS["compare"], values)
    assert read == steps.MainStep(
        dataset="a/b",
        arms="el2n:easy,random",
        fractions="0.3,0.5",
        retrain_with="model=mini&layers=2",
        epochs=4,
        warmup=0.0,
        track=False,
    )
    assert configured(COMMANDS["sample"], {"fractions": 0.3}).fractions == "0.3"


# A whole flow, on tables in memory.


@pytest.fixture(scope="module")
def here(tmp_path_factory) -> dict:
    return {"workdir": tmp_path_factory.mktemp("api"), "workers": 1, "threads": 1}


@pytest.fixture(scope="module")
def comparison(here):
    fast = {**tiny.FAST, "fractions": [0.4], "seeds": 2, "score": "el2n,aum"}
    return influence.compare(tiny.frames(), ["el2n:easy"], **here, **fast)


def test_a_comparison_has_its_verdict_its_table_and_its_picture(comparison):
    assert list(comparison.curves) == ["random", "el2n:easy"]
    assert comparison.table.columns.tolist() == ["0 % pruned", "40 % pruned"]
    assert "±" in comparison.table.loc["random", "40 % pruned"]
    shown = comparison._repr_html_()
    assert (
        "data:image/png" in shown and "<table" in shown and comparison.verdict in repr(comparison)
    )
    assert comparison.figure().axes


@pytest.mark.parametrize("rescore", [False, True])
def test_the_retrainings_of_an_arm_begin_before_the_next_arm_is_sampled(
    comparison, monkeypatch, rescore
):
    order = []
    config = SimpleNamespace(equal_steps=True, rescore=rescore)
    samples = comparison.samples
    asked = steps.EvaluateStep(sample="", track=False)
    monkeypatch.setattr(
        pipeline, "narrow", lambda config, kind, sample: replace(asked, sample=sample)
    )
    monkeypatch.setattr(
        pipeline, "_sample", lambda *given: order.append("sample") or samples[given[-1]]
    )
    monkeypatch.setattr(
        pipeline.evaluation,
        "begin",
        lambda asked, kept, engine: order.append((asked.budget, kept.arm)),
    )
    _, asked_by_arm = pipeline._sample_all(config, None, comparison.scores, list(samples))
    once, twice = ("auto", "random"), ("auto", "el2n:easy")
    again = [once, twice, ("steps", "random")]
    assert list(asked_by_arm) == ["random", "el2n:easy", pipeline.AT_EQUAL_STEPS]
    assert order == (["sample"] * 2 if rescore else ["sample", once, "sample", twice]) + again


def test_a_comparison_of_one_epoch_leaves_out_the_default_scores_that_it_cannot_give(here, capfd):
    short = {**tiny.FAST, "epochs": 1, "observe_every": 50, "fractions": [0.4], "seeds": 1}
    with pytest.raises(InputError, match="score 'el2n' reads the end of epoch 2"):
        influence.compare(tiny.frames(), "aum:ccs", score="el2n", **here, **short)
    with pytest.raises(InputError, match="score 'forgetting' needs observations"):
        influence.compare(tiny.frames(), "forgetting:easy", **here, **short)
    capfd.readouterr()
    compared = influence.compare(tiny.frames(), "aum:ccs", **here, **short)
    assert list(compared.scores.names) == ["vog", "tracin", "aum", "aum@early"]
    assert capfd.readouterr().err.count("leaves out el2n, forgetting and pvi of the default") == 1


def test_the_steps_one_by_one_reuse_what_the_comparison_finished(comparison, here, capsys):
    training = influence.train(tiny.frames(), **here, **tiny.FAST)
    scores = influence.score(training, ["el2n", "aum"], **here)
    sample = influence.sample(scores, "el2n:easy", fractions=0.4, **here)
    curve = influence.evaluate(sample, seeds=2, **here)
    assert capsys.readouterr().err.count("finished before, reusing") == 4
    assert curve.directory == comparison.curves["el2n:easy"].directory
    assert influence.load(curve.directory) == curve
    assert influence.load(curve) is curve
    assert training.dataset_name.startswith("dataframe-") and len(scores.table) == len(
        tiny.frames()["train"]
    )


def test_rows_kept_by_a_sample_are_those_that_prune_keeps(comparison):
    scores, (order,) = comparison.scores, comparison.samples["el2n:easy"].orders
    labels = scores.table["label"]
    kept = influence.prune(scores.hardness("el2n"), labels, 0.4)
    assert kept.tolist() == sorted(order[: len(kept)].tolist())


def test_nothing_of_mlflow_is_imported_without_tracking(tmp_path):
    work = {**tiny.FAST, "workers": 1, "threads": 1, "workdir": str(tmp_path)}
    data = tiny.write(tmp_path / "talk", tiny.frames())
    run = f"influence.score(influence.train({str(data)!r}, **{work}), 'el2n', workers=1, threads=1)"
    loaded = "print([n for n in ('mlflow', 'optuna', 'matplotlib', 'plotly') if n in sys.modules])"
    assert python(f"import sys, influence; {run}; {loaded}").strip() == "[]"


@pytest.mark.slow
def test_a_script_without_a_guard_uses_worker_processes(comparison, here, tmp_path):
    training = str(comparison.training.directory)
    script = tmp_path / "script.py"
    script.write_text(
        "print('run')\n"
        "import influence\n"
        f"influence.score({training!r}, 'loss', workdir={str(tmp_path)!r}, "
        "workers=2, threads=1, shard_size=50)\n"
    )
    run = f"import runpy; runpy.run_path({str(script)!r}, run_name='__main__')"
    for command in (["-c", run], [str(script)]):
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [sys.executable, *command], env=environment, capture_output=True, text=True, timeout=300
        )
        assert (done.returncode, done.stdout) == (0, "run\n"), done.stderr
