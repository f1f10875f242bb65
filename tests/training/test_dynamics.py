"""Training dynamics and scores in the files of other tools, there and back."""

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from aum import AUMCalculator
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from influence.config.steps import SampleStep, ScoreStep, TrainStep
from influence.data import storage
from influence.errors import InputError
from influence.jobs import engine as cluster
from influence.models import tokenizers
from influence.runtime import store
from influence.scoring.result import Scores
from influence.training import dynamics
from influence.training.result import Training
from tests.helpers import steps, tiny
from tests.helpers.steps import HERE, finish
from tests.helpers.tables import load

NAMES = ("c", "a", "b")
GOLD = np.array([0, 1, 2])
LOGITS = np.random.default_rng(0).normal(size=(2, 3, 3)).astype(np.float32)


def run(step, config, *inputs):
    with cluster.engine(config) as engine:
        more = () if step is steps.sample else (engine,)
        return finish(step(config, *inputs, *more))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> str:
    frames = tiny.frames()
    for split, rows in frames.items():
        rows["pairID"] = [f"{split}-{number}" for number in range(len(rows))]
    return str(tiny.write(tmp_path_factory.mktemp("data") / "talk", frames))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, dataset) -> Path:
    workdir = str(tmp_path_factory.mktemp("own"))
    return run(steps.train, TrainStep(dataset=dataset, workdir=workdir, **HERE, **tiny.FAST))


@pytest.fixture(scope="module")
def scored(tmp_path_factory, trained) -> Path:
    config = ScoreStep(
        training=str(trained),
        score="confidence,variability,correctness,aum,el2n,entropy,h_score,dual",
        export="cartography,aum",
        workdir=str(tmp_path_factory.mktemp("scored")),
        **HERE,
    )
    return run(steps.score, config, Training(trained))


def table(scored: Path) -> pd.DataFrame:
    return pd.read_parquet(scored / "scores.parquet")


def import_from(path: Path, dataset: str, workdir: Path, **parameters) -> Path:
    fast = tiny.FAST | {"epochs": 1} | parameters
    config = TrainStep(dataset=dataset, import_from=str(path), workdir=str(workdir), **HERE, **fast)
    return run(steps.train, config)


def score(training: Path, names: str, workdir: Path, **parameters) -> Path:
    config = ScoreStep(
        training=str(training),
        score=names,
        workdir=str(workdir),
        **HERE | {"examples": 3},
        **parameters,
    )
    return run(steps.score, config, Training(training))


def test_cartography_files_are_as_pandas_writes_and_reads_them(tmp_path):
    dynamics.write_cartography(
        tmp_path, [(NAMES[:2], GOLD[:2], LOGITS[:, :2]), (NAMES[2:], GOLD[2:], LOGITS[:, 2:])]
    )
    for epoch in range(2):
        path = tmp_path / f"training_dynamics/dynamics_epoch_{epoch}.jsonl"
        rows = pd.read_json(path, lines=True, orient="records")
        assert list(rows.columns) == ["guid", f"logits_epoch_{epoch}", "gold"]
        assert rows["guid"].tolist() == list(NAMES) and rows["gold"].tolist() == GOLD.tolist()
        found = np.array(rows[f"logits_epoch_{epoch}"].tolist(), dtype=np.float32)
        assert np.array_equal(found, LOGITS[epoch])


@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_epochs_may_come_in_another_order_of_examples(tmp_path, ending):
    for epoch, order in enumerate(([0, 1, 2], [2, 0, 1])):
        rows = {"guid": NAMES, f"logits_epoch_{epoch}": LOGITS[epoch].tolist(), "gold": GOLD}
        path = tmp_path / f"dynamics_epoch_{epoch}.{ending}"
        pd.DataFrame(rows).iloc[order].to_json(path, lines=True, orient="records")
    read = dynamics.read_cartography(tmp_path)
    assert read.names == NAMES and read.gold.tolist() == GOLD.tolist()
    assert np.allclose(read.logits, LOGITS)


def test_classes_numbered_otherwise_are_renumbered():
    labels = np.array([2, 0, 1])  # of examples with gold 0, 1, 2
    read = dynamics.Dynamics(NAMES, GOLD, LOGITS)
    found = dynamics.by_label(read, np.arange(3), labels)
    for example in range(3):
        assert np.array_equal(found[:, example, labels[example]], LOGITS[:, example, GOLD[example]])


def test_gold_classes_that_are_not_the_labels_are_refused():
    read = dynamics.Dynamics(NAMES, GOLD, LOGITS)
    with pytest.raises(InputError, match="gold class"):
        dynamics.by_label(read, np.arange(3), np.array([0, 0, 1]))
    with pytest.raises(InputError, match="two labels|gold"):
        dynamics.by_label(dynamics.Dynamics(NAMES, np.array([0, 0, 1]), LOGITS), np.arange(3), GOLD)


def test_dynamics_that_were_exported_give_the_same_scores(scored, dataset, tmp_path):
    training = import_from(scored / "export/cartography", dataset, tmp_path)
    wanted = table(scored)
    names = "confidence,variability,correctness,aum,el2n,entropy,h_score,dual,forgetting"
    found = table(score(training, names, tmp_path))
    for name in wanted.columns[2:]:
        assert np.allclose(found[name], wanted[name], atol=1e-6), name
    assert found["id"].tolist() == wanted["id"].tolist()
    assert found["forgetting"].max() <= tiny.FAST["epochs"]


def test_what_was_read_from_dynamics_can_be_sampled_from(scored, dataset, tmp_path):
    training = import_from(scored / "export/cartography", dataset, tmp_path)
    made = score(training, "aum", tmp_path)
    config = SampleStep(scores=str(made), arm="aum:easy", workdir=str(tmp_path), **HERE)
    assert (
        store.read_manifest(run(steps.sample, config, Scores(made)), "sample")["arm"] == "aum:easy"
    )
    drop = SampleStep(scores=str(made), arm="drop", workdir=str(tmp_path), **HERE)
    with pytest.raises(InputError, match="recall"):
        run(steps.sample, drop, Scores(made))


def test_dynamics_say_what_they_cannot_give(scored, dataset, tmp_path):
    training = import_from(scored / "export/cartography", dataset, tmp_path)
    with pytest.raises(InputError, match="'vog' reads gradient_variance.*import a folder of check"):
        score(training, "vog", tmp_path)
    with pytest.raises(InputError, match="el2n@3.*ends after epoch 2"):
        score(training, "el2n@3", tmp_path)
    with pytest.raises(InputError, match="split=test needs checkpoints"):
        score(training, "el2n", tmp_path, split="test")
    with pytest.raises(InputError, match="representations=true needs checkpoints, but the import"):
        score(training, "el2n", tmp_path, representations=True)


def test_all_scores_of_dynamics_are_those_that_read_logits(scored, dataset, tmp_path):
    training = import_from(scored / "export/cartography", dataset, tmp_path)
    columns = set(table(score(training, "all", tmp_path)).columns)
    assert {"el2n", "aum", "forgetting", "random"} <= columns
    assert not {"vog", "tracin", "grand", "pvi"} & columns


def test_the_values_of_aum_itself_are_ours(scored, dataset, tmp_path):
    """AUM's own calculator, fed with our logits, writes the CSV that we export and import."""
    read = dynamics.read_cartography(scored / "export/cartography")
    calculator = AUMCalculator(str(tmp_path))
    for epoch in read.logits:
        calculator.update(torch.tensor(epoch), torch.tensor(read.gold), list(read.names))
    calculator.finalize()
    theirs = pd.read_csv(tmp_path / "aum_values.csv").set_index("sample_id")["aum"]
    ours = pd.read_csv(scored / "export/aum/aum_values.csv").set_index("sample_id")["aum"]
    assert np.allclose(ours.sort_index(), theirs.sort_index(), atol=1e-5)
    training = import_from(tmp_path / "aum_values.csv", dataset, tmp_path / "work")
    found = table(score(training, "aum", tmp_path / "work"))
    assert np.allclose(found["aum"], table(scored)["aum"], atol=1e-5)


def test_a_csv_of_scores_gives_these_alone(scored, dataset, tmp_path):
    rows = np.arange(121)[::-1]
    values = pd.DataFrame({"sample_id": rows, "el2n": rows / 100, "note": "x"})
    values.to_csv(tmp_path / "mine.csv", index=False)
    training = import_from(tmp_path / "mine.csv", dataset, tmp_path / "work")
    found = table(score(training, "all", tmp_path / "work"))
    assert list(found.columns) == ["id", "label", "el2n", "random"]
    assert np.allclose(found["el2n"], np.arange(121) / 100)  # by the row of the file
    with pytest.raises(InputError, match="'aum' reads logits.*holds only el2n"):
        score(training, "aum", tmp_path / "work")


def test_examples_are_exported_under_their_own_names(scored):
    path = scored / "export/cartography/training_dynamics/dynamics_epoch_0.jsonl"
    line = path.read_text().splitlines()[0]
    assert json.loads(line)["guid"] == "train-0"


def test_without_names_of_their_own_examples_are_rows_of_their_file(tmp_path):
    frames = tiny.frames()
    frames["train"].loc[3, "text"] = " "  # is dropped
    read = load(str(tiny.write(tmp_path / "talk", frames)))
    assert dynamics.names_of(read.train)[:5].tolist() == ["0", "1", "2", "4", "5"]
    numbers = [str(number) for number in range(121)]
    found = dynamics.places(read.train, numbers, tmp_path)
    assert found[:5].tolist() == [0, 1, 2, 4, 5]


def numbered(tmp_path: Path, **columns) -> str:
    """Write the dataset with more columns in train, the values of each by row."""
    frames = tiny.frames()
    frames["train"] = frames["train"].assign(**columns)
    return str(tiny.write(tmp_path / "numbered", frames))


def values_of(path: Path, names, aum=None) -> Path:
    pd.DataFrame({"sample_id": names, "aum": np.arange(121) / 7 if aum is None else aum}).to_csv(
        path, index=False
    )
    return path


def test_a_column_with_repeats_names_no_example(tmp_path, capsys):
    """The number of a sentence in its document, say, whose values are also numbers of rows."""
    dataset = numbered(tmp_path, index=np.arange(121) % 5, idx=np.arange(121) // 2)
    path = values_of(tmp_path / "aum_values.csv", np.arange(121))
    training = import_from(path, dataset, tmp_path / "work")
    said = f"121 examples are matched to {path} by the column 'source_row'\n"
    assert said in capsys.readouterr().err
    found = table(score(training, "aum", tmp_path / "work"))["aum"]
    assert found.nunique() == 121 and np.allclose(found, np.arange(121) / 7)


def test_repeats_alone_are_said_to_be_why_no_column_names_the_examples(tmp_path):
    dataset = numbered(tmp_path, idx=[f"s{row % 5}" for row in range(121)])
    path = tmp_path / "aum_values.csv"
    path.write_text("sample_id,aum\n" + "".join(f"s{row},1\n" for row in range(5)))
    with pytest.raises(InputError, match="values of 'idx', but that has the same for several"):
        import_from(path, dataset, tmp_path / "work")


@pytest.mark.parametrize(
    ("names", "theirs"),
    [
        (np.arange(121), [f"{row:04d}" for row in range(121)]),
        ([f"{row:04d}" for row in range(121)], np.arange(121)),
        (np.arange(121), np.arange(121.0)),
        (np.arange(121) + 0.5, np.arange(121) + 0.5),
        ([f"x{row}" for row in range(121)], [f"x{row}" for row in range(121)]),
    ],
)
def test_a_number_is_the_same_name_however_it_is_written(tmp_path, names, theirs):
    order = np.random.default_rng(0).permutation(121)
    train = load(str(tiny.write(tmp_path / "talk", tiny.frames()))).train
    train = train.assign(uid=np.asarray(names)[order]).drop(columns="source_row")
    read = [str(name) for name in np.asarray(theirs)]
    assert dynamics.places(train, read, tmp_path).tolist() == order.tolist()


def test_names_that_differ_in_zeros_alone_stay_apart(tmp_path):
    train = load(str(tiny.write(tmp_path / "talk", tiny.frames()))).train.head(2)
    found = dynamics.places(train.assign(uid=["07", "7"]), ["7", "07", "8"], tmp_path)
    assert found.tolist() == [1, 0]


def test_a_column_with_gaps_names_no_example(tmp_path):
    dataset = numbered(tmp_path, idx=[None, *range(120)])
    found = dynamics.places(load(dataset).train, [str(n) for n in range(121)], tmp_path)
    assert found.tolist() == list(range(121))


def cartography(tmp_path: Path, gold: np.ndarray) -> Path:
    logits = np.eye(3, dtype=np.float32)[gold][None]
    names = [str(row) for row in range(len(gold))]
    dynamics.write_cartography(tmp_path / "made", [(names, gold, logits)])
    return tmp_path / "made"


def test_the_gold_classes_tell_which_of_two_columns_names_the_examples(tmp_path, capsys):
    """Both are numbers from 0 to 120: of the rows, and in another order."""
    other = np.random.default_rng(1).permutation(121)
    dataset = numbered(tmp_path, index=other)
    labels = load(dataset).train["label"].to_numpy()
    by_index = np.empty(121, dtype=int)
    by_index[other] = labels
    for number, (column, gold) in enumerate({"source_row": labels, "index": by_index}.items()):
        path = cartography(tmp_path / str(number), gold)
        training = import_from(path, dataset, tmp_path / "work")
        assert f"by the column {column!r}" in (said := capsys.readouterr().err)
        assert "would match them otherwise" in said
        assert table(score(training, "el2n@1", tmp_path / "work"))["el2n@1"].nunique() == 1


def test_scores_say_which_of_two_columns_they_were_matched_by(tmp_path, capsys):
    dataset = numbered(tmp_path, index=np.arange(121)[::-1])
    path = values_of(tmp_path / "aum_values.csv", np.arange(121))
    training = import_from(path, dataset, tmp_path / "work")
    assert "by the column 'index' ('source_row' would match them otherwise)" in (
        capsys.readouterr().err
    )
    found = table(score(training, "aum", tmp_path / "work"))["aum"]
    assert np.allclose(found, np.arange(121)[::-1] / 7)


def test_examples_that_train_does_not_have_are_counted(tmp_path, capsys):
    dataset = str(tiny.write(tmp_path / "talk", tiny.frames()))
    path = values_of(tmp_path / "aum_values.csv", np.arange(150), np.arange(150))
    import_from(path, dataset, tmp_path / "work")
    assert "'source_row'; it names 29 others too" in capsys.readouterr().err


def test_rows_that_are_counted_from_one_are_refused(tmp_path):
    """Also if the first row is none of train, so that every number would be found."""
    frames = tiny.frames()
    frames["train"].loc[0, "text"] = " "
    dataset = str(tiny.write(tmp_path / "talk", frames))
    path = values_of(tmp_path / "aum_values.csv", np.arange(1, 122))
    with pytest.raises(InputError, match="rows counted from 1; source_row counts them from 0"):
        import_from(path, dataset, tmp_path / "work")


def test_a_table_of_scores_is_known_by_its_first_column_without_repeats(tmp_path):
    dataset = numbered(tmp_path, uid=[f"u{row}" for row in range(121)])
    content = {"index": np.arange(121) % 5, "uid": [f"u{row}" for row in range(121)]}
    path = tmp_path / "mine.csv"
    pd.DataFrame(content | {"aum": np.arange(121)}).iloc[::-1].to_csv(path, index=False)
    training = import_from(path, dataset, tmp_path / "work")
    found = table(score(training, "aum", tmp_path / "work"))["aum"]
    assert found.tolist() == list(range(121))


def test_scores_alone_cannot_be_completed_to_a_stack(tmp_path):
    path = values_of(tmp_path / "aum_values.csv", np.arange(121))
    with pytest.raises(
        InputError, match="stack=true completes the last checkpoint, but import_from="
    ):
        import_from(path, "assistant:500", tmp_path / "work", task="nlu", stack=True)


def broken(tmp_path: Path, name: str, content: str) -> Path:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path if path.suffix == ".csv" else path.parent


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", "sample_id,margin\n1,2\n", "a column named as a score"),
        ("a.csv", "text,aum\n1,2\n", "needs sample_id"),
        (
            "a.csv",
            "sample_id,aum\n1,2\n2,much\n",
            "not finite in 32 bits, the first that of '2'",
        ),
        ("a.csv", "sample_id,aum\n1,2\n1,3\n", "holds '1' twice"),
        ("a.csv", "sample_id,aum\n1,2\n2,3\n", "names its examples 1, 2.*values of no column"),
        ("d/dynamics_epoch_1.jsonl", '{"guid":1,"gold":0,"logits_epoch_1":[1,2]}', "from 0 on"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":0}', "lacks 'logits_epoch_0'"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":5,"logits_epoch_0":[1,2]}', "gold class"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":"x","logits_epoch_0":[1]}', "class number"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":0,"logits_epoch_0":[NaN,1]}', "finite"),
        (
            "d/dynamics_epoch_0.jsonl",
            '{"guid":1,"gold":0.5,"logits_epoch_0":[1,2]}',
            "class number",
        ),
        (
            "d/dynamics_epoch_0.jsonl",
            '{"guid":1,"gold":0,"logits_epoch_0":"12"}',
            "list of numbers",
        ),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":1e99,"logits_epoch_0":[1]}', "class number"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":1,"gold":0,"logits_epoch_0":[1e99,1]}', "finite"),
        (
            "d/dynamics_epoch_0.jsonl",
            '{"guid":null,"gold":0,"logits_epoch_0":[1]}',
            "without a guid",
        ),
        ("d/dynamics_epoch_0.jsonl", "not json", "cannot read"),
        ("d/dynamics_epoch_0.jsonl", '{"guid":' + "[" * 100_000, "cannot read"),
        ("a.csv", "sample_id,aum\n1,inf\n", "not finite"),
    ],
)
def test_files_that_cannot_be_used_say_why(dataset, tmp_path, name, content, said):
    with pytest.raises(InputError, match=said):
        import_from(broken(tmp_path, name, content), dataset, tmp_path / "work")


def test_two_files_of_an_epoch_and_gold_classes_that_change_are_refused(tmp_path):
    line = '{"guid": 1, "gold": %d, "logits_epoch_%d": [1, 2]}'
    for place, (first, second) in {"a": ("0", "00"), "b": ("0", "1")}.items():
        (tmp_path / place).mkdir()
        (tmp_path / place / f"dynamics_epoch_{first}.jsonl").write_text(line % (0, 0))
        (tmp_path / place / f"dynamics_epoch_{second}.jsonl").write_text(line % (1, 1))
    with pytest.raises(InputError, match="two files of one epoch"):
        dynamics.read_cartography(tmp_path / "a")
    with pytest.raises(InputError, match="other gold classes"):
        dynamics.read_cartography(tmp_path / "b")


def test_a_file_of_another_kind_is_refused(dataset, tmp_path):
    path = tmp_path / "scores.pkl"
    path.write_bytes(b"x")
    with pytest.raises(InputError, match="is a file, but not a table"):
        import_from(path, dataset, tmp_path / "work")


def test_another_split_can_be_scored_but_not_pruned(trained, tmp_path):
    made = score(trained, "pvi,el2n,vog", tmp_path, split="test")
    found, read = table(made), storage.open_saved(trained / "data").dataset()
    assert found["id"].tolist() == read.test["id"].tolist()
    listed = json.loads((made / "examples.json").read_text())
    assert {row["id"] for row in listed} <= set(read.test["id"])
    config = SampleStep(scores=str(made), arm="el2n:easy", workdir=str(tmp_path), **HERE)
    with pytest.raises(InputError, match="scores of the test split"):
        run(steps.sample, config, Scores(made))
    with pytest.raises(InputError, match="'forgetting' reads observations"):
        score(trained, "forgetting", tmp_path, split="test")


def test_pvi_of_a_test_set_is_its_definition(trained, tmp_path):
    from influence.models import classifier
    from influence.models.inputs import encode

    made = table(score(trained, "pvi@2", tmp_path, split="test"))
    manifest = store.read_manifest(trained, "train")
    last = next(
        c["step"] for c in manifest["runs"][0]["checkpoints"] if c["epoch"] == 2 and c["series"]
    )
    read = storage.open_saved(trained / "data").dataset()
    tokenizer = tokenizers.open_tokenizer(trained / "tokenizer")
    model = classifier.open_checkpoint(trained / f"runs/0/step-{last:06d}")
    tokens = encode(tokenizer, read.test, TrainStep(**manifest["parameters"]))
    logits = torch.tensor(classifier.predict(model, tokens)).double().log_softmax(1).numpy()
    null = json.loads((trained / "runs/0/null.json").read_text())[str(last)]
    labels = read.test["label"].to_numpy()
    informed = logits[np.arange(len(labels)), labels]
    uninformed = torch.tensor(null).double().log_softmax(0).numpy()[labels]
    assert np.allclose(made["pvi@2"], (informed - uninformed) / np.log(2), atol=1e-5)


# Whatever the files hold


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=5,
)
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
ROWS = st.fixed_dictionaries(
    {
        "guid": st.one_of(st.integers(0, 9), st.text(max_size=3), ANYTHING),
        "gold": st.one_of(st.integers(0, 1), st.integers(0, 1), ANYTHING),
        "logits_epoch_0": st.one_of(st.lists(NUMBERS, min_size=2, max_size=2), ANYTHING),
    },
    optional={"logits": ANYTHING, "more": ANYTHING},
)


def read_lines(*lines: str) -> dynamics.Dynamics | None:
    """Return what a file of these lines holds, None for bad input."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "dynamics_epoch_0.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8", errors="surrogatepass")
        try:
            found = dynamics.read_cartography(Path(name))
        except InputError as error:
            assert "\n" not in str(error)
            return None
    epochs, examples, classes = found.logits.shape
    assert epochs == 1 and examples == len(found.names) == len(found.gold)
    assert len(set(found.names)) == examples and all(isinstance(n, str) for n in found.names)
    assert np.isfinite(found.logits).all() and set(found.gold) <= set(range(classes))
    return found


@given(st.lists(st.one_of(ROWS, ANYTHING), max_size=4))
def test_any_rows_are_dynamics_or_bad_input(rows):
    read_lines(*map(json.dumps, rows))


@given(st.text())
def test_any_text_is_dynamics_or_bad_input(text):
    read_lines(text)


@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 3)),
        elements=NUMBERS,
    ),
    st.data(),
)
def test_dynamics_of_any_names_and_logits_come_back_as_they_were(logits, data):
    _, examples, classes = logits.shape
    unique = st.lists(st.text(), min_size=examples, max_size=examples, unique=True)
    names, gold = data.draw(unique), np.arange(examples) % classes
    with tempfile.TemporaryDirectory() as name:
        dynamics.write_cartography(Path(name), [(names, gold, logits)])
        read = dynamics.read_cartography(Path(name))
    assert read.names == tuple(names) and read.gold.tolist() == gold.tolist()
    assert np.array_equal(read.logits, logits)


CELLS = st.one_of(
    NUMBERS.map(str), st.text(max_size=4), st.sampled_from(["nan", "inf", "1e99", ""])
)


def read_scores(content: str) -> pd.DataFrame | None:
    """Return the scores in a CSV, None for bad input."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mine.csv"
        path.write_text(content, encoding="utf-8", newline="")
        try:
            found = dynamics.read_values(path)
        except InputError as error:
            assert "\n" not in str(error)
            return None
    assert found.index.is_unique and np.isfinite(found.to_numpy(np.float32)).all()
    return found


@given(
    st.lists(st.sampled_from(["sample_id", "guid", "aum", "el2n", "x"]), max_size=3),
    st.lists(st.lists(CELLS, max_size=3), max_size=4),
)
def test_any_table_is_scores_or_bad_input(header, rows):
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows([header, *rows])
    read_scores(file.getvalue())


@given(st.text())
def test_any_text_is_scores_or_bad_input(text):
    read_scores("sample_id,aum\n" + text)
    read_scores(text)


@given(st.dictionaries(st.text(), NUMBERS))
def test_scores_of_any_names_come_back_from_a_csv(values):
    file = io.StringIO()
    lines = [("sample_id", "aum"), *values.items()]
    csv.writer(file, quoting=csv.QUOTE_ALL).writerows(lines)
    found = read_scores(file.getvalue())
    assert found is not None and found["aum"].to_dict() == values


@pytest.mark.parametrize("name", ["a.tsv", "a.csv.gz", "A.CSV", "a.parquet", "a.jsonl"])
def test_a_table_of_scores_may_be_in_any_format_of_datasets(tmp_path, name):
    values = pd.DataFrame({"sample_id": np.arange(121)[::-1], "aum": np.arange(121) / 7})
    write = {
        "a.tsv": lambda at: values.to_csv(at, index=False, sep="\t"),
        "a.parquet": values.to_parquet,
        "a.jsonl": lambda at: values.to_json(at, lines=True, orient="records"),
    }
    write.get(name, lambda at: values.to_csv(at, index=False))(tmp_path / name)
    dataset = str(tiny.write(tmp_path / "talk", tiny.frames()))
    training = import_from(tmp_path / name, dataset, tmp_path / "work")
    found = table(score(training, "aum", tmp_path / "work"))["aum"]
    assert np.allclose(found, np.arange(121)[::-1] / 7)


def test_a_file_that_is_no_table_is_refused(tmp_path):
    (path := tmp_path / "scores.xlsx").write_text("")
    dataset = str(tiny.write(tmp_path / "talk", tiny.frames()))
    with pytest.raises(InputError, match="scores.xlsx' is a file, but not a table"):
        import_from(path, dataset, tmp_path / "work")


def surplus(tmp_path: Path, dataset: str, place: int) -> tuple[Path, np.ndarray]:
    """Write dynamics with a class that no example has, its logit the largest of all."""
    labels = load(dataset).train["label"].to_numpy()
    logits = np.random.default_rng(0).normal(size=(2, 121, 3)).astype(np.float32)
    wide = np.insert(logits, place, 5.0, axis=2)
    gold = labels + (labels >= place)
    dynamics.write_cartography(tmp_path / "made", [([str(n) for n in range(121)], gold, wide)])
    return tmp_path / "made", logits


@pytest.mark.parametrize("place", [0, 1, 3])
def test_a_class_of_the_dynamics_that_the_dataset_lacks_is_left_out(tmp_path, capsys, place):
    dataset = str(tiny.write(tmp_path / "talk", tiny.frames()))
    path, logits = surplus(tmp_path, dataset, place)
    training = import_from(path, dataset, tmp_path / "work")
    said = f"no example has the gold class {place} of {path}: its logits are left out\n"
    assert said in capsys.readouterr().err
    found = table(score(training, "el2n@1", tmp_path / "work"))["el2n@1"]
    labels = load(dataset).train["label"].to_numpy()
    errors = np.exp(logits[0]) / np.exp(logits[0]).sum(1, keepdims=True)
    errors[np.arange(121), labels] -= 1
    assert np.allclose(found, np.linalg.norm(errors, axis=1), atol=1e-5)
