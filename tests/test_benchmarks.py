"""The benchmarks measure what they say; how long it takes is not tested."""

import importlib
import json
import re
import time
import tomllib
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import (
    answers,
    environment,
    fused_pass,
    label_errors,
    measuring,
    peers,
    replayed,
    sampling,
    tabulated,
    throughput,
    vog,
)
from benchmarks.training import Inputs
from influence.models.layers import parameter_group
from influence.models.shortcuts.first_token import seen_once
from influence.runtime import packages
from influence.sampling.rules import REGISTRY
from influence.trace.gradient_norms import loop_norms
from tests.helpers.tables import load


@pytest.fixture(autouse=True)
def small(monkeypatch):
    for module in (fused_pass, peers, vog):
        monkeypatch.setattr(module, "BATCH", 3)


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in Path(vog.__file__).parent.glob("[a-z]*.py"))
)
def test_every_benchmark_can_be_started(name):
    importlib.import_module(f"benchmarks.{name}")


def test_medians_are_of_interleaved_rounds_after_two_that_warm_up():
    done = []
    works = {"one": lambda: done.append("one"), "other": lambda: done.append("other")}
    assert set(measuring.medians(works, rounds=3)) == {"one", "other"}
    assert done == ["one", "other"] * 5


def test_the_fused_pass_is_measured_and_right_with_and_without_padding():
    name, whole = fused_pass.named_lengths("5")
    assert name == "5 tokens"
    padded = np.array([3, 5, 2])
    inputs, _ = fused_pass.batch(padded)
    assert inputs["attention_mask"].sum(1).tolist() == [3, 5, 2]
    for lengths in (whole, padded):
        assert fused_pass.error(lengths) < 1e-5
    assert fused_pass.run(padded, 1)["forward"] == 1


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # of vmap through attention
@pytest.mark.parametrize("name", ["influence", "one example at a time", "torch.func, vmap"])
def test_adapters_give_the_norms_of_all_parameters(name):
    inputs, gold = fused_pass.batch(np.full(2, 5))
    net = fused_pass.model()
    right = loop_norms(net, inputs, gold, {"all": parameter_group(net, "all")})["all"]
    with peers.PEERS[name][1](inputs["input_ids"], gold) as work:
        torch.testing.assert_close(work(), right, rtol=1e-5, atol=0)


def test_both_ways_to_vog_agree(monkeypatch):
    monkeypatch.setattr(vog, "CHECKPOINTS", 2)
    monkeypatch.setattr(vog, "ALONE", 2)
    found, difference = vog.run(4, 1)
    assert "as written" in found and difference < 1e-5


def test_every_rule_is_timed_and_keeps_its_budget():
    found = sampling.run(500, peer=False, rounds=1)
    assert found.keys() == REGISTRY.keys()
    assert not any(row["over_budget"] for row in found.values())


def test_bars_are_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(measuring, "IMAGES", tmp_path / "images")
    measuring.bars("made", {"": {"ours": 2.0, "theirs": 1500.0}}, ["ours"], "seconds")
    assert (tmp_path / "images/made.png").stat().st_size > 1000


def test_throughput_counts_the_matrix_products_of_a_training_step(monkeypatch):
    monkeypatch.setattr(throughput, "COUNTED", 1)
    config = replace(throughput.fit_config("tiny", "fp32"), max_length=16)
    inputs = Inputs(config, load("assistant:500", max_train=32, max_test=32))
    found = throughput.run(config, inputs, "cpu", 1, (2048, 64))
    model = throughput.classifier.build(config, inputs.tokenizer, inputs.names, 0)
    layers = [m for m in model.base_model.encoder.modules() if isinstance(m, torch.nn.Linear)]
    once = {id(weights) for weights in seen_once(model)}  # by the first token
    padded = int(inputs.tokens.lengths.max())  # all are one batch
    weights = sum(
        layer.weight.numel() * (1 if id(layer.weight) in once else padded) for layer in layers
    )
    row = found["training"]
    each = row["teraflops"] * 1e12 / row["examples_per_second"]
    assert each == pytest.approx(6 * weights, rel=0.15)  # and pooler, head, attention
    assert found["scoring"]["share_of_peak"] > 0 < found["scoring, 64 tokens"]["share_of_peak"]


def test_trainings_at_once_count_from_the_first_begin_to_the_last_end(monkeypatch):
    config = throughput.fit_config("tiny", "fp32")
    inputs = Inputs(config, load("assistant:500", max_train=32, max_test=32))
    warm, timed = [(0.0, 90.0), (1.0, 91.0)], [(200.0, 210.0), (202.0, 216.0)]
    moments = iter([*warm, *timed])
    workers = SimpleNamespace(
        run=lambda function, jobs, what: enumerate([function(*job) for job in jobs])
    )
    monkeypatch.setattr(throughput, "engine", lambda execution: nullcontext(workers))
    monkeypatch.setattr(throughput, "train_once", lambda *given: next(moments))
    assert throughput.together(2, config, inputs, "cpu", 1) == 2 * 32 / 16


def test_a_training_tells_when_it_began_and_ended():
    config = throughput.fit_config("tiny", "fp32")
    inputs = Inputs(config, load("assistant:500", max_train=32, max_test=32))
    before = time.time()
    began, ended = throughput.train_once(config, inputs, "cpu")
    assert before < began < ended < time.time()


# The environment of the peers

REQUIREMENTS = environment.ROOT / "benchmarks/requirements.txt"


def test_nothing_that_we_ask_for_brings_torchvision(monkeypatch, tmp_path):
    project = tomllib.loads((environment.ROOT / "pyproject.toml").read_text())["project"]
    asked = {"": project["dependencies"], **project["optional-dependencies"]}
    for extra, wanted in asked.items():
        assert "torchvision" not in packages._closure(wanted), extra
    peer = tmp_path / "peer-1.dist-info"
    peer.mkdir()
    (peer / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: peer\nRequires-Dist: torchvision >=1\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert "torchvision" in packages._closure([*asked[""], "peer"])  # so it would be seen


def test_peers_are_pinned_and_none_is_an_extra_of_ours():
    lines = re.findall(r"^[^#\s]+", REQUIREMENTS.read_text(), re.M)
    assert len(lines) > 5 and all("==" in line for line in lines)
    names = {line.split("==")[0] for line in lines}
    measured = {package for package, *_ in peers.PEERS.values()} - {"influence", "torch"}
    assert measured | {"dprune"} <= names and "torchvision" not in names
    constraints = dict(
        line.split("==") for line in (environment.ROOT / "constraints.txt").read_text().split()
    )
    assert all(constraints.get(n, v) == v for n, v in (line.split("==") for line in lines))
    project = tomllib.loads((environment.ROOT / "pyproject.toml").read_text())["project"]
    extras = str(project["optional-dependencies"])
    assert not any(name in extras for name in {*measured, "dprune"})


@pytest.fixture
def ran(monkeypatch):
    """The commands that make the environment, of which nothing is done; one may fail."""
    commands, failing = [], []

    def run(command, **_):
        commands.append(command[1:])
        return SimpleNamespace(returncode=7 if failing and failing[0] in command else 0)

    monkeypatch.setattr(environment.venv, "create", lambda place, with_pip: None)
    monkeypatch.setattr(environment.subprocess, "run", run)
    return SimpleNamespace(commands=commands, failing=failing)


def test_peers_are_installed_without_dependencies_and_the_product_starts_beside_them(ran, capsys):
    environment.main()
    files = [c for c in ran.commands if "benchmarks/requirements.txt" in c]
    assert len(files) == 1 and "--no-deps" in files[0]
    product = [c for c in ran.commands if "constraints.txt" in c]
    assert len(product) == 1 and product[0][-2:] == ["-e", "."]
    assert ["-m", "entrypoints.train", "--help"] in ran.commands[-2:]
    assert any("BertForSequenceClassification" in c[-1] for c in ran.commands[-2:])
    assert "benchmarks.peers" in capsys.readouterr().out


def test_an_environment_in_which_the_product_does_not_start_is_not_ready(ran, capsys):
    ran.failing.append("--help")
    with pytest.raises(SystemExit) as caught:
        environment.main()
    told = capsys.readouterr()
    assert caught.value.code == 7 and "ready" not in told.out
    assert "this failed" in told.err and "entrypoints.train --help" in told.err


@pytest.mark.parametrize("examples", (1, 8, 13, 500))
def test_who_is_right_survives_being_written_as_text(examples):
    right = np.random.default_rng(examples).random(examples) < 0.8
    text = tabulated.packed(right)
    np.testing.assert_array_equal(tabulated.unpacked(text, examples), right)


def test_who_is_right_agrees_with_the_accuracies_of_every_table():
    rows = [
        (row, tabulated.sizes_of(path)["test"])
        for path in sorted(tabulated.TABLES.rglob("*.csv"))
        for row in tabulated.rows_of(path)
    ]
    assert rows
    for row, examples in rows:
        accuracy = tabulated.unpacked(row.right, examples).mean()
        assert accuracy == pytest.approx(row.test, abs=1e-6), row


def test_an_arm_counts_under_the_seeds_that_all_its_percents_have():
    def row(arm, percent, number):
        return tabulated.Row(arm, percent, number, 100, 10, 0.9, 0.9, 1.0, "")

    full = [row("", 0, number) for number in range(3)]
    random = [row("random", percent, number) for percent in (30, 50) for number in range(3)]
    partly = [row("clean", 30, 0), row("clean", 30, 1), row("clean", 50, 0)]
    twice = [row("aum:ccs", percent, number) for percent in (30, 50) for number in (0, 2)]
    later = [row("aum:ccs", 30, 1)]
    kept = answers.whole([*full, *random, *partly, *twice, *later])
    assert kept == [*full, *random, *twice]


def test_the_same_retrainings_under_two_names_count_once():
    def row(arm, number, right=""):
        return tabulated.Row(arm, 30, number, 100, 10, 0.9, 0.9, 1.0, right)

    random = [row("random", number) for number in range(2)]
    default, by_all = ([row(arm, n) for n in range(2)] for arm in (answers.DEFAULT, answers.BY_ALL))
    assert answers.once([*random, *default, *by_all]) == [*random, *default]
    assert answers.once([*random, *default, by_all[0]]) == [*random, *default]
    others = [*random, *default, by_all[0], row(answers.BY_ALL, 1, "other")]
    assert answers.once(others) == others
    assert answers.once([*random, *by_all]) == [*random, *by_all]


def test_what_an_arm_gains_is_averaged_over_settings_with_their_errors():
    def dataset(*ends):
        beside = [{"arm": "el2n:easy", "percent_pruned": 30, "minus_random": list(ends)}]
        return {"rows": [*beside, {"arm": "random", "percent_pruned": 30}]}

    known = {
        "a": dataset(-2.0, -4.0, 0.0, True),
        "b": dataset(0.5, -1.5, 2.5, False),
        "c": dataset(1.0, 0.0, 2.0, True),
    }
    # Half-widths of 2, 2 and 1: the root of the sum of their squares over three, sqrt(9) / 3.
    (line,) = answers.counted({"some": known}, (30, 50), ("el2n:easy",)).splitlines()[2:]
    assert line == "| some | `el2n:easy` minus random | −0.2 ± 1.0 (1 ahead, 1 behind of 3) | – |"


def test_planted_label_errors_are_counted_and_found_as_a_window_tells_them():
    generator, labels = np.random.default_rng(0), np.arange(400) % 4
    wrong = np.arange(400) < 40
    logits = np.zeros((2, 400, 4))
    # The model says what is right: of the wrong ones another class than their label.
    likeliest = np.where(wrong, (labels + 1) % 4, labels)
    logits[:, np.arange(400), likeliest] = generator.uniform(4, 6, 400)
    said = label_errors.of_window(logits, labels, wrong)
    assert (said["epochs"], said["wrong"], said["found"]) == (2, 0.1, 1.0)
    assert said["estimate"] == pytest.approx(0.1, abs=0.04)
    assert said["right_pruned"] == pytest.approx((400 * said["pruned_first"] - 40) / 360)
    logits = generator.normal(0, 1, (2, 400, 4))  # has learned nothing
    assert label_errors.of_window(logits, labels, wrong)["pruned_first"] == 0
    assert label_errors.of_window(logits, labels, None)["found"] is None


def tables():
    """Return what the docs show of the results in benchmarks: page, text before, table."""
    known, found, errors = (
        json.loads(Path(one.__file__).with_suffix(".json").read_text(encoding="utf-8"))
        for one in (answers, replayed, label_errors)
    )
    return [
        *answers.tables(known),
        (*replayed.TABLE, replayed.shown(found["datasets"])),
        (*label_errors.TABLE, label_errors.table(errors["windows"])),
    ]


@pytest.mark.parametrize(("page", "after", "table"), tables())
def test_the_docs_hold_the_tables_that_the_results_make(page, after, table):
    text = (measuring.DOCS / page).read_text(encoding="utf-8")
    assert measuring.with_table(text, after, table) == text
