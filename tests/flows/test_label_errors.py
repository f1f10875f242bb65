"""Known label errors through main: what each score finds of them, and what each arm prunes."""

import json
from types import SimpleNamespace

import pandas as pd
import pytest

from entrypoints import main
from influence.config.parameters import MainStep
from tests.flows.test_end_to_end import launch, logged, of_step
from tests.helpers import notes, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


@pytest.fixture(scope="module")
def study(tracking_store, tmp_path_factory) -> SimpleNamespace:
    root = tmp_path_factory.mktemp("noise")
    config = MainStep(
        dataset=str(tiny.write(root / "data", tiny.frames())),
        workdir=str(root / "work"),
        label_noise=0.3,
        score="el2n,vog",
        arms="el2n:hard,vog:easy",
        fractions="0.2,0.4",
        seeds=1,
        workers=1,
        threads=1,
        **tiny.FAST,
    )
    return SimpleNamespace(config=config, runs=launch(main, config))


def table(run, name: str) -> pd.DataFrame:
    shown = json.loads((logged(run, "") / f"{name}.json").read_text())
    return pd.DataFrame(shown["data"], columns=shown["columns"])


def test_every_score_says_how_well_it_finds_wrong_labels(study):
    (run,) = of_step(study.runs, "score")
    found = table(run, "label_errors_found").set_index("score")
    assert set(found.index) == {"el2n", "vog"}
    assert found["auroc"].between(0, 1).all() and found["chance"].between(0.05, 0.3).all()
    assert run.data.metrics["label_errors/auroc/el2n"] == pytest.approx(found.loc["el2n", "auroc"])
    assert (logged(run, "plots") / "label_errors_found.png").is_file()


def test_every_arm_says_how_many_wrong_labels_it_prunes(study):
    pruned = table(study.runs[0], "label_errors_pruned")
    assert set(pruned["arm"]) == {"random", "el2n:hard", "vog:easy"}
    assert set(pruned["percent_pruned"]) == {20, 40}
    assert pruned["label_errors_pruned"].between(0, 1).all()
    random = pruned[pruned["arm"] == "random"]
    assert random["jaccard"].to_numpy() == pytest.approx(random["chance"].to_numpy(), abs=0.15)


def test_the_noise_is_in_train_alone_and_the_saved_data_know_it(study):
    (run,) = of_step(study.runs, "train")
    kept = logged(run, "training/data")
    train, test = (pd.read_parquet(kept / f"{split}.parquet") for split in ("train", "test"))
    assert train["mislabeled"].any() and "mislabeled" not in test
    assert ((train["label"] != train["clean_label"]) == train["mislabeled"]).all()


def test_the_run_is_described_by_its_verdict(study):
    run = study.runs[0]
    verdict = notes.verdict(run)
    assert verdict.startswith("One seed shows no difference")
    assert (logged(run, "") / "summary.md").read_text().startswith(f"{verdict}\n")
    classes = table(run, "by_class")
    assert set(classes["arm"]) == {"random", "el2n:hard", "vog:easy"}
    assert classes["kept_share"].between(0, 1).all() and not classes["clear"].any()
