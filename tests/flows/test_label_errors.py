"""Known label errors through main: what each score finds of them, and what each arm prunes."""

import pandas as pd
import pytest

from tests.helpers import notes
from tests.helpers.mains import ARMS, PERCENTS
from tests.helpers.runs import logged, of_step, table

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


def test_every_score_says_how_well_it_finds_wrong_labels(compared):
    (run,) = of_step(compared.runs, "score")
    found = table(run, "label_errors_found").set_index("score")
    assert set(found.index) == {"el2n", "vog", "forgetting"}
    assert found["auroc"].between(0, 1).all() and found["chance"].between(0.05, 0.3).all()
    assert run.data.metrics["label_errors/auroc/el2n"] == pytest.approx(found.loc["el2n", "auroc"])
    assert (logged(run, "plots") / "label_errors_found.png").is_file()


def test_every_arm_says_how_many_wrong_labels_it_prunes(compared):
    pruned = table(compared.runs[0], "label_errors_pruned")
    assert set(pruned["arm"]) == set(ARMS)
    assert set(pruned["percent_pruned"]) == {*PERCENTS[1:]}
    assert pruned["label_errors_pruned"].between(0, 1).all()
    random = pruned[pruned["arm"] == "random"]
    assert random["jaccard"].to_numpy() == pytest.approx(random["chance"].to_numpy(), abs=0.15)


def test_the_noise_is_in_train_alone_and_the_saved_data_know_it(compared):
    (run,) = of_step(compared.runs, "train")
    kept = logged(run, "training/data")
    train, test = (pd.read_parquet(kept / f"{split}.parquet") for split in ("train", "test"))
    assert train["mislabeled"].any() and "mislabeled" not in test
    assert ((train["label"] != train["clean_label"]) == train["mislabeled"]).all()


def test_the_run_is_described_by_its_verdict(compared):
    run = compared.runs[0]
    verdict = notes.verdict(run)
    assert (logged(run, "") / "summary.md").read_text().startswith(f"{verdict}\n")
    classes = table(run, "by_class")
    assert set(classes["arm"]) == set(ARMS)
    assert classes["kept_share"].between(0, 1).all() and not classes["clear"].any()
