"""Every entry point, in this process and through `mlflow run`, on a directory of CSV files."""

import dataclasses
import html
import importlib
import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from entrypoints import evaluate, main, sample, score, train
from influence import scores
from influence.config.steps import EvaluateStep, MainStep, SampleStep, ScoreStep, TrainStep
from influence.data import storage
from influence.models import classifier, tokenizers
from influence.models import tokens as batches
from influence.models.pretrained import MINILM_PACKAGE
from influence.trace.trace import load_trace
from influence.tracking import run as tracking
from tests.helpers import project, tiny
from tests.helpers.mains import ARMS, FRACTIONS, HERE, KEPT, PERCENTS, SEEDS
from tests.helpers.runs import all_runs, finished, launch, logged, of_step
from tests.helpers.tables import load

# MLflow's own use of pandas and SQLAlchemy draws warnings that are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")

FIRST = "trace/0000000000.safetensors"  # of the shards the only one
COMPUTING = {
    "training.step": "train_run",
    "scoring.shards": "measure_shard",
    "evaluation.step": "retrain_point",
}


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    return tiny.write(tmp_path_factory.mktemp("data") / "talk", tiny.frames())


@pytest.fixture(scope="module")
def untracked(tracking_store, tmp_path_factory, compared) -> SimpleNamespace:
    """The same command in two worker processes and without MLflow."""
    workdir = str(tmp_path_factory.mktemp("untracked"))
    config = dataclasses.replace(compared.config, workdir=workdir, workers=2, track=False)
    return SimpleNamespace(config=config, runs=launch(main, config))


@pytest.fixture(scope="module")
def chain(tracking_store, tmp_path_factory, directory) -> SimpleNamespace:
    """train, score (all scores), sample and evaluate, each given the run id of the one before."""
    here = {"workdir": str(tmp_path_factory.mktemp("chain")), **HERE}
    config = TrainStep(dataset=str(directory), **here, **tiny.FAST)
    (trained,) = launch(train, config)
    config = ScoreStep(training=f"runs:/{trained.info.run_id}/training", score="all", **here)
    (scored,) = launch(score, config)
    config = SampleStep(
        scores=f"runs:/{scored.info.run_id}/scores", arm="el2n:hard", fractions=FRACTIONS, **here
    )
    (sampled,) = launch(sample, config)
    config = EvaluateStep(sample=f"runs:/{sampled.info.run_id}/sample", seeds=1, **here)
    (evaluated,) = launch(evaluate, config)
    return SimpleNamespace(
        train=trained, score=scored, sample=sampled, evaluate=evaluated, here=here
    )


def untimed_points(run_or_directory) -> pd.DataFrame:
    at = run_or_directory
    at = at if isinstance(at, Path) else logged(at, "curve")
    return pd.read_csv(at / "points.csv").drop(columns="seconds")


def untimed(metrics: dict) -> dict:
    return {name: value for name, value in metrics.items() if "seconds" not in name}


def forbid_computing(monkeypatch) -> None:
    """Let a test fail if a step does what was done before."""

    def again(*arguments):
        raise AssertionError("computed what had been computed")

    for module, name in COMPUTING.items():
        monkeypatch.setattr(importlib.import_module(f"influence.{module}"), name, again)


# main: its runs in MLflow


def test_main_leaves_one_child_run_per_step_and_one_curve_per_arm(compared):
    parent, *children = compared.runs
    assert parent.data.tags["step"] == "main"
    assert {run.info.status for run in compared.runs} == {"FINISHED"}
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert [run.data.tags["step"] for run in children] == [
        "train",
        "score",
        *["sample"] * len(ARMS),  # so that on a GPU all curves are under way at once
        *["evaluate"] * len(ARMS),
    ]
    assert [run.info.run_name for run in of_step(children, "evaluate")] == list(ARMS)


def test_every_run_is_named_described_and_names_its_dataset(compared):
    names = [run.info.run_name for run in compared.runs]
    assert len(set(names)) == len(names) and all(names)
    assert all(run.data.tags["mlflow.note.content"].endswith(".") for run in compared.runs)
    digests = set()
    for run in compared.runs:
        (entry,) = run.inputs.dataset_inputs
        digests.add((entry.dataset.name, entry.dataset.digest))
    assert len(digests) == 1 and digests.pop()[0] == "talk"


def test_what_was_read_is_a_tag_and_stands_in_the_report(compared):
    source = "reads text 'text' and label 'label' of train.csv, validation.csv and test.csv"
    tagged = {run.data.tags["step"] for run in compared.runs if "data" in run.data.tags}
    assert tagged == {"main", "train"}
    for run in compared.runs:
        if run.data.tags["step"] in tagged:
            assert run.data.tags["data"].startswith(source)
    run_id = compared.top.info.run_id
    page = Path(mlflow.artifacts.download_artifacts(f"runs:/{run_id}/report.html"))
    assert f'<p class="facts">Data: {source}' in html.unescape(page.read_text())


def test_all_curves_lie_over_one_another_on_one_page_of_the_ui(compared):
    (main,) = [run for run in compared.runs if run.data.tags["step"] == "main"]
    curves = {run.info.run_id for run in compared.runs if run.data.tags["step"] == "evaluate"}
    page = tracking.Run(main.info.run_id, main.info.experiment_id).curves()
    assert page.startswith("#/metric?")
    asked = {name: value[0] for name, value in parse_qs(page.partition("?")[2]).items()}
    assert set(json.loads(asked["runs"])) == curves
    assert json.loads(asked["metric"]) == "curve/accuracy" and asked["x_axis"] == "step"
    assert json.loads(asked["experiments"]) == [main.info.experiment_id]


def test_the_experiment_says_how_to_read_it(compared):
    experiment = mlflow.get_experiment(compared.runs[0].info.experiment_id)
    assert "report.html" in experiment.tags["mlflow.note.content"]


def test_a_curve_is_one_metric_whose_step_is_the_percent_pruned(compared):
    for run in of_step(compared.runs, "evaluate"):
        points = untimed_points(run)
        sections = {"accuracy": "curve", "macro_f1": "measures", "loss": "measures"}
        for name, section in {**sections, "calibration_error": "measures"}.items():
            key = f"{section}/{name}"
            history = mlflow.MlflowClient().get_metric_history(run.info.run_id, key)
            found = {metric.step: metric.value for metric in history}
            mean = points.groupby("percent_pruned")[f"test/{name}"].mean()
            assert sorted(found) == list(PERCENTS)
            assert found == pytest.approx({round(p): value for p, value in mean.items()})


def test_runs_that_are_no_curve_have_no_metric_of_one(compared):
    others = [run for run in compared.runs if run.data.tags["step"] != "evaluate"]
    assert not [name for run in others for name in run.data.metrics if name.startswith("curve/")]


def test_all_arms_share_the_point_where_nothing_is_pruned(compared):
    curves = [untimed_points(run) for run in of_step(compared.runs, "evaluate")]
    first, *others = (
        points[points["percent_pruned"] == 0].drop(columns="arm").reset_index(drop=True)
        for points in curves
    )
    assert len(first) == SEEDS
    for other in others:
        pd.testing.assert_frame_equal(first, other, check_exact=True)
    assert len({tuple(points["test/loss"]) for points in curves}) == len(curves)


def test_arms_are_compared_under_the_same_seeds_and_exact_budgets(compared):
    for run in of_step(compared.runs, "evaluate"):
        points = untimed_points(run)
        assert sorted(set(points["seed"])) == sorted(points["seed"].iloc[:SEEDS])
        assert {p: set(k) for p, k in points.groupby("percent_pruned")["kept"]} == {
            percent: {kept} for percent, kept in KEPT.items()
        }


@pytest.mark.parametrize("arm", ARMS)
def test_runs_are_found_by_their_parameters(compared, arm):
    query = f"params.arm = '{arm}' and params.dataset = 'talk' and params.model = 'tiny'"
    parent = compared.runs[0].info.run_id
    found = all_runs(f"{query} and tags.step = 'evaluate' and tags.mlflow.parentRunId = '{parent}'")
    assert [run.info.run_name for run in found] == [arm]


@pytest.mark.parametrize("step", ["score", "sample"])
def test_scores_and_samples_are_found_by_dataset_and_model(compared, step):
    query = f"params.dataset = 'talk' and params.model = 'tiny' and tags.step = '{step}'"
    found = {run.info.run_id for run in all_runs(query)}
    assert {run.info.run_id for run in of_step(compared.runs, step)} <= found


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("main", {"plots/pruning_curves", "plots/differences_to_random", "points", "curves"}),
        ("main", {"differences"}),
        ("train", {"training"}),
        ("score", {"scores", "plots/distributions", "plots/correlations"}),
        ("score", {"rank_correlations", "hardest_and_easiest"}),
        ("sample", {"sample", "plots/class_shares", "class_shares"}),
        ("evaluate", {"curve", "plots/curve", "curve.json"}),
    ],
)
def test_a_run_holds_its_directory_its_tables_and_its_pictures(compared, step, expected):
    for run in of_step(compared.runs, step):
        root = logged(run, "")
        for name in expected:
            if name.startswith("plots/"):
                assert (root / f"{name}.png").read_bytes().startswith(b"\x89PNG")
                assert "<svg" in (root / f"{name}.svg").read_text()
            elif name in ("training", "scores", "sample", "curve"):
                assert (root / name / "manifest.json").is_file()
            else:
                table = json.loads((root / f"{name.removesuffix('.json')}.json").read_text())
                assert table["columns"] and table["data"]


# finished steps, worker processes, tracking switched off


@pytest.mark.slow
def test_results_do_not_depend_on_the_number_of_workers(compared, untracked):
    one, two = Path(compared.config.workdir), Path(untracked.config.workdir)
    exact = ("**/*.safetensors", "**/*.npy", "**/scores.parquet", "**/kept.parquet")
    files = sorted(str(p.relative_to(one)) for glob in exact for p in one.glob(glob))
    assert files == sorted(str(p.relative_to(two)) for glob in exact for p in two.glob(glob))
    assert len(files) > 20
    for name in files:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    curves = [finished(str(workdir), "evaluate") for workdir in (one, two)]
    for left, right in zip(*curves, strict=True):
        pd.testing.assert_frame_equal(untimed_points(left), untimed_points(right), check_exact=True)


@pytest.mark.slow
def test_without_tracking_there_are_directories_only(untracked):
    assert untracked.runs == []
    assert len(finished(untracked.config.workdir, "evaluate")) == len(ARMS)


@pytest.mark.slow
def test_the_same_command_again_reuses_every_step_says_so_and_logs_all(
    compared, untracked, elsewhere, monkeypatch, capsys
):
    forbid_computing(monkeypatch)
    runs = launch(main, dataclasses.replace(untracked.config, track=True, workers=1))
    said = capsys.readouterr().err
    steps = ("train", "score", *["sample"] * len(ARMS), *["evaluate"] * len(ARMS))
    assert [line.split(":")[0] for line in said.splitlines() if "reusing" in line] == list(steps)
    for first, again in zip(compared.runs, runs, strict=True):
        assert again.info.run_name == first.info.run_name
        assert untimed(again.data.metrics) == untimed(first.data.metrics)
        assert set(again.data.params) == set(first.data.params)
    assert (logged(runs[-1], "curve") / "points.csv").is_file()


def test_training_depends_on_its_seed(tmp_path, directory):
    few = {**tiny.FAST, **HERE, "epochs": 1, "checkpoints": 1, "null_model": False, "track": False}
    weights = []
    for workdir, seed in (("a", 0), ("b", 0), ("c", 1)):
        at = str(tmp_path / workdir)
        train.main(TrainStep(dataset=str(directory), workdir=at, seed=seed, **few))
        (path,) = finished(at, "train")[0].glob("runs/0/*/model.safetensors")
        weights.append(path.read_bytes())
    assert weights[0] == weights[1] != weights[2]


# the steps, chained by run ids


def test_steps_are_chained_by_run_ids(chain):
    manifests = [
        json.loads((logged(run, folder) / "manifest.json").read_text())
        for run, folder in [
            (chain.train, "training"),
            (chain.score, "scores"),
            (chain.sample, "sample"),
            (chain.evaluate, "curve"),
        ]
    ]
    for before, after in zip(manifests, manifests[1:], strict=False):
        assert before["fingerprint"] in after["inputs"].values()
    assert chain.evaluate.info.run_name == "el2n:hard"
    assert chain.evaluate.data.params["arm"] == "el2n:hard"


def test_what_lies_on_this_machine_is_read_in_place(chain):
    for run, folder in [(chain.train, "training"), (chain.score, "scores")]:
        found = tracking.resolve(f"runs:/{run.info.run_id}/{folder}")
        assert found.as_uri() == f"{run.info.artifact_uri}/{folder}"


OTHERS = ("trail_entropy", "self_confidence", "tdds")  # need slots, folds, and a third epoch


def test_all_means_every_score_that_the_dataset_can_have(chain):
    table = pd.read_parquet(logged(chain.score, "scores") / "scores.parquet")
    possible = [name for name in scores.REGISTRY if name not in OTHERS]
    assert list(table.columns) == ["id", "label", *possible, "aum@early"]
    assert len(table) == KEPT[0]
    for name in possible:
        values = np.load(logged(chain.score, "scores") / f"{name}.npy")
        assert np.isfinite(values).all() and values.std() > 0, name
        np.testing.assert_array_equal(values, table[name])
    assert table["id"].is_unique


def test_every_checkpoint_opens_in_transformers_and_gives_the_logits_of_the_trace(chain):
    training = logged(chain.train, "training")
    trace = load_trace(logged(chain.score, "scores") / FIRST)
    dataset = storage.open_saved(training / "data").dataset()
    tokenizer = AutoTokenizer.from_pretrained(training / "tokenizer")
    inputs = tokenizer(
        dataset.train["text"].tolist(), truncation=True, max_length=16, padding=True
    ).convert_to_tensors("pt")
    assert trace.ids.tolist() == dataset.train["id"].tolist()
    steps = trace.runs[0].at["logits"]
    assert len(steps) == tiny.FAST["epochs"]
    for step, stored in steps.items():
        model = AutoModelForSequenceClassification.from_pretrained(
            training / f"runs/0/step-{step:06d}"
        )
        with torch.inference_mode():
            logits = model(**inputs).logits.numpy()
        np.testing.assert_allclose(logits, stored, rtol=1e-4, atol=1e-5)
        assert tuple(model.config.id2label.values()) == dataset.label_names
    assert len(list(training.glob("runs/0/step-*/model.safetensors"))) == tiny.FAST["checkpoints"]


def test_a_kept_subset_is_exact_and_loads_as_a_dataset(chain):
    sampled = logged(chain.sample, "sample")
    kept = pd.read_parquet(sampled / "kept.parquet")
    whole = storage.open_saved(sampled / "data").dataset()
    for percent in PERCENTS[1:]:
        subset = load(str(sampled / f"subsets/percent-{percent}/draw-0"))
        ids = kept.loc[kept["percent_pruned"] == percent, "id"]
        rows = whole.train[whole.train["id"].isin(ids)]
        assert len(subset.train) == len(ids) == KEPT[percent]
        assert subset.train["text"].tolist() == rows["text"].tolist()
        assert subset.train["label"].tolist() == rows["label"].tolist()
        assert subset.label_names == whole.label_names
        assert subset.test["text"].tolist() == whole.test["text"].tolist()


def test_a_model_trains_on_a_kept_subset(chain, tmp_path):
    subset = logged(chain.sample, "sample") / "subsets/percent-60/draw-0"
    few = {**tiny.FAST, **HERE, "epochs": 1, "track": False, "workdir": str(tmp_path)}
    train.main(TrainStep(dataset=str(subset), **few))
    (training,) = finished(str(tmp_path), "train")
    assert len(storage.open_saved(training / "data").dataset().train) == KEPT[60]


def test_equal_epochs_are_fewer_steps_where_a_subset_is_not_trained_until_it_converges(chain):
    sampled = f"runs:/{chain.sample.info.run_id}/sample"
    config = EvaluateStep(sample=sampled, seeds=1, budget="epochs", **chain.here)
    (run,) = launch(evaluate, config)
    equal, converged = (
        untimed_points(found).set_index("percent_pruned")["steps"]
        for found in (run, chain.evaluate)
    )
    assert converged[0] == equal[0] > equal[30] > equal[60]
    assert set(converged) == {equal[0]}


# other data and other heads


@pytest.mark.slow
@pytest.mark.parametrize("change", ["pairs", "integers"])
def test_pairs_and_integer_labels_go_all_the_way(tmp_path, change):
    splits = {name: tiny.as_pairs(rows) for name, rows in tiny.frames().items()}
    if change == "integers":
        splits = {
            name: rows.assign(text=rows["premise"]).drop(columns=["premise", "hypothesis"])
            for name, rows in splits.items()
        }
    few = {**tiny.FAST, **HERE, "track": False, "workdir": str(tmp_path / "work"), "seeds": 1}
    path = tiny.write(tmp_path / "data", splits)
    main.main(MainStep(dataset=str(path), arms="el2n:easy", fractions="0.5", **few))
    (scored,) = finished(few["workdir"], "score")
    dataset = storage.open_saved(scored / "data").dataset()
    assert dataset.is_pair == (change == "pairs")
    assert dataset.label_names == ("0", "1", "2")
    for curve in finished(few["workdir"], "evaluate"):
        assert untimed_points(curve)["kept"].tolist() == [121, 60]


def test_the_three_layer_head_reopens_with_the_logits_of_the_trace(tmp_path, directory):
    few = {"track": False, "workdir": str(tmp_path), **HERE}
    settings = {**tiny.FAST, "head": "mlp", "head_size": 8}
    train.main(TrainStep(dataset=str(directory), **few, **settings))
    (training,) = finished(str(tmp_path), "train")
    score.main(ScoreStep(training=str(training), score="loss,vog,grand", **few))
    (scored,) = finished(str(tmp_path), "score")
    step, stored = load_trace(scored / FIRST).runs[0].at["logits"].popitem()
    model = classifier.open_checkpoint(training / f"runs/0/step-{step:06d}")
    assert [layer.out_features for layer in model.classifier[::3]] == [8, 8, 3]
    tokenizer = tokenizers.open_tokenizer(training / "tokenizer")
    tokens = batches.encode(
        tokenizer, storage.open_saved(training / "data").dataset().train, 16, True
    )
    np.testing.assert_allclose(classifier.predict(model, tokens), stored, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_all_leaves_out_what_a_training_cannot_give_and_says_so(tmp_path, directory, capsys):
    here = {"track": False, "workdir": str(tmp_path), **HERE}
    few = {**tiny.FAST, "epochs": 1, "observe_every": 0, "null_model": False}
    config = MainStep(
        dataset=str(directory),
        **here,
        **few,
        score="all",
        arms="el2n@1:easy",
        fractions="0.5",
        seeds=1,
    )
    main.main(config)
    (scored,) = finished(str(tmp_path), "score")
    there = set(pd.read_parquet(scored / "scores.parquet").columns)
    assert {"el2n@1", "vog", "loss"} <= there
    assert not {"el2n", "pvi", "forgetting"} & there
    said = capsys.readouterr().err
    assert "left out of 'all': score 'forgetting' needs observations" in said


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(find_spec(MINILM_PACKAGE) is None, reason="the extra is not installed")
def test_the_packaged_encoder_is_trained_and_scored(tmp_path, directory):
    here = {"track": False, "workdir": str(tmp_path), **HERE}
    few = {**tiny.FAST, "model": "minilm", "checkpoints": 2, "null_model": False, "max_train": 60}
    train.main(TrainStep(dataset=str(directory), **here, **few))
    (training,) = finished(str(tmp_path), "train")
    score.main(ScoreStep(training=str(training), score="vog,el2n,forgetting,tracin", **here))
    (scored,) = finished(str(tmp_path), "score")
    table = pd.read_parquet(scored / "scores.parquet")
    assert len(table) == 60 and (table[["vog", "el2n", "tracin"]].std() > 0).all()
    manifest = json.loads((scored / "manifest.json").read_text())
    assert manifest["self_check_error"] < 1e-4


# through `mlflow run`


def launched(entry: str, **parameters) -> str:
    """Run an entry point with `mlflow run`; return its run id."""
    before = {run.info.run_id for run in all_runs()}
    done = project.mlflow_run(entry, **parameters)
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    runs = [run for run in all_runs() if run.info.run_id not in before]
    assert {run.info.status for run in runs} == {"FINISHED"}
    return runs[0].info.run_id


@pytest.fixture(scope="module")
def parameters(tmp_path_factory, directory) -> dict:
    settings = {"dataset": directory, "workdir": tmp_path_factory.mktemp("launched")}
    return settings | HERE | tiny.FAST


@pytest.mark.slow
def test_main_runs_as_an_mlflow_project(tracking_store, parameters):
    more = {"arms": "el2n:easy", "score": "el2n", "fractions": "0.5", "seeds": 1, "seed": 5}
    run_id = launched("main", **parameters, **more)
    verdict = mlflow.get_run(run_id).data.tags["mlflow.note.content"]
    assert verdict.startswith("One seed cannot tell a difference from chance")
    children = all_runs(f"tags.mlflow.parentRunId = '{run_id}'")
    assert [run.info.run_name for run in of_step(children, "evaluate")] == ["random", "el2n:easy"]


@pytest.mark.long
@pytest.mark.slow
def test_each_step_runs_as_an_mlflow_project_chained_by_run_ids(tracking_store, parameters):
    here = {name: parameters[name] for name in ("workdir", *HERE)}
    run_id = launched("train", **parameters, learning_rate="3e-3")
    reference = f"runs:/{run_id}/training"
    run_id = launched("score", training=reference, score="el2n", **here)
    reference = f"runs:/{run_id}/scores"
    more = {"arm": "el2n:easy", "fractions": "0.5"}
    run_id = launched("sample", scores=reference, **more, **here)
    reference = f"runs:/{run_id}/sample"
    run_id = launched("evaluate", sample=reference, seeds=1, **here)
    run = mlflow.get_run(run_id)
    assert run.info.run_name == run.data.params["arm"] == "el2n:easy"
    assert untimed_points(run)["kept"].tolist() == [121, 60]
