"""The environment counts as in MLflow: same store, experiment, run and files, or one sentence."""

import os
import runpy
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest
from mlflow import MlflowClient

from entrypoints import train
from influence.__main__ import run
from influence.config.parameters import ExecutionConfig
from influence.config.steps import TrainStep
from influence.errors import InputError
from influence.runtime import signals
from influence.runtime.step import Record
from influence.tracking import connection, places
from influence.tracking import run as tracking
from tests.flows.test_outbox import Served
from tests.helpers import project

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
SETTINGS = ("RUN_ID", "EXPERIMENT_ID", "EXPERIMENT_NAME", "ALLOW_FILE_STORE", "TRACKING_URI")
NAMES = [
    "C#",
    "50%23",
    "what?",
    'it\'s "q"',
    "füß",
    "a b",
    "a%20b",
    "x;y",
    "a&b",
    "a:b",
    "100%",
    "[b]",
]
ABSENT = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="session")
def new_store(tmp_path_factory) -> Path:
    """A database as MLflow makes it: with no experiment but the default one."""
    root, before = tmp_path_factory.mktemp("new"), os.getcwd()
    os.chdir(root)
    MlflowClient(f"sqlite:///{root}/mlflow.db").search_experiments()
    os.chdir(before)
    return root / "mlflow.db"


@pytest.fixture
def environment(monkeypatch, tmp_path, new_store):
    """A new store in an empty directory, the working one; what tests set of MLflow is put back."""
    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    for name in SETTINGS:
        monkeypatch.setenv(f"MLFLOW_{name}", "")  # so that it is put back
        monkeypatch.delenv(f"MLFLOW_{name}")
    mlflow.set_tracking_uri(None)
    shutil.copy(new_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    yield lambda **given: [monkeypatch.setenv(f"MLFLOW_{n}", v) for n, v in given.items()]
    mlflow.set_tracking_uri(before)


@pytest.fixture
def logged(tmp_path) -> Callable[[], SimpleNamespace]:
    """Log a file as a command does, and say which run it is in."""

    def log(**given) -> SimpleNamespace:
        config = ExecutionConfig(workdir=str(tmp_path / "work"), **given)
        with tracking.run(config, "name", "note", "train") as opened:
            opened.log_text("ours", "ours.txt")
        return MlflowClient().get_run(opened.id)

    return log


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path) -> Callable[[], str]:
    """Give a command, and return the one sentence that it was refused with."""

    def give() -> str:
        flags = {"workdir": str(tmp_path / "work"), "dataset": str(tmp_path / "nowhere")}
        monkeypatch.setattr(sys, "argv", ["train", *project.flags(flags)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            run("train", train.main)
        said = capsys.readouterr().err
        if "Creating initial MLflow database tables" not in said:  # MLflow says how it makes one
            assert len(said.splitlines()) == 1
        assert ended.value.code == 2
        return said.splitlines()[-1].removeprefix("influence: ")

    return give


def files(run) -> set[str]:
    """Return the files of a run that MLflow lists."""
    return {found.path for found in MlflowClient().list_artifacts(run.info.run_id)}


def started():
    """Return the run that `mlflow.start_run` begins here."""
    with mlflow.start_run() as run:
        mlflow.log_text("theirs", "theirs.txt")
    return run


# Where artifacts are


def holds_both(run) -> Path:
    """Check that MLflow and we write, list and read in the same directory; return it."""
    mlflow.MlflowClient().log_text(run.info.run_id, "theirs", "theirs.txt")
    assert files(run) == {"ours.txt", "theirs.txt"}
    found = Path(tracking.Run(run.info.run_id).where("theirs.txt"))
    assert found.is_absolute() and found.read_text() == "theirs"
    assert found.with_name("ours.txt").read_text() == "ours"
    copied = mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path="ours.txt")
    assert Path(copied).read_text() == "ours"
    assert tracking.resolve(f"runs:/{run.info.run_id}/") == found.parent
    return found.parent


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("store", ["database", "files"])
def test_artifacts_lie_where_mlflow_puts_them_in_any_directory(
    environment, logged, monkeypatch, tmp_path, name, store
):
    (tmp_path / "home" / name).mkdir(parents=True)
    (tmp_path / "home" / "C").mkdir()
    (tmp_path / "home" / "C" / "ours.txt").write_text("the user's own")
    environment(TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path / "home" / name)
    if store == "files":
        environment(TRACKING_URI=f"{os.getcwd()}/mlruns", ALLOW_FILE_STORE="true")
    run = logged()
    root = holds_both(run)
    read = {"50%23": "50#", "a%20b": "a b"}  # MLflow decodes even a plain path
    assert root.is_relative_to(tmp_path / "home" / read.get(name, name) / "mlruns")
    assert (tmp_path / "home" / "C" / "ours.txt").read_text() == "the user's own"
    assert os.listdir(tmp_path / "home" / "C") == ["ours.txt"]


LOCATIONS = [
    *("{}/a#b", "{}/a%23b", "{}/a?b", "{}/it's a", '{}/"q"', "{}/füß", "near/by", "./near#by"),
    *("file://{}/a%23b", "file://{}/a#b", "file://{}/a?b", "file://{}/a%20b", "file:near/by"),
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_an_experiment_s_own_place_for_artifacts_is_read_as_mlflow_reads_it(
    environment, logged, tmp_path, location
):
    MlflowClient().create_experiment("own", artifact_location=location.format(tmp_path))
    environment(EXPERIMENT_NAME="own")
    holds_both(logged())
    assert not (tmp_path / "mlruns").exists()


@pytest.mark.parametrize("location", ["s3://bucket/x#y", "mlflow-artifacts:/x", "ftp://host/x"])
def test_a_place_elsewhere_is_not_taken_for_a_directory(environment, tmp_path, location):
    environment(TRACKING_URI="http://127.0.0.1:1")  # nobody is asked
    places.check(location)
    assert places.directory(location) is None
    assert not any(path.is_dir() for path in tmp_path.iterdir())


@pytest.mark.parametrize("location", ["nonsense://x/y", "{}/mlflow.db/x"])
def test_a_place_that_no_artifacts_can_be_written_to_ends_a_command_before_its_work(
    environment, refused, tmp_path, location
):
    place = location.format(tmp_path)
    MlflowClient().create_experiment("own", artifact_location=place)
    environment(EXPERIMENT_NAME="own")
    said = refused()
    assert said.startswith(f"the artifacts of this run belong in {place}, which cannot be used (")
    assert "MLFLOW_EXPERIMENT_NAME" in said
    assert not MlflowClient().search_runs(["1"])


@pytest.mark.server
@pytest.mark.slow
def test_a_server_keeps_artifacts_where_mlflow_looks_for_them_in_any_directory(
    environment, logged, monkeypatch, new_store, tmp_path
):
    root = tmp_path / 'it\'s #1 "q" füß'
    root.mkdir()
    for name in ("USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
    server = Served(root, new_store)
    server.start()
    try:
        address = f"http://127.0.0.1:{server.port}"
        environment(TRACKING_URI=address, HTTP_REQUEST_MAX_RETRIES="0")
        run = logged()
        MlflowClient().log_text(run.info.run_id, "theirs", "theirs.txt")
        assert files(run) == {"ours.txt", "theirs.txt"}
        fetched = tracking.resolve(f"runs:/{run.info.run_id}/")
        assert (fetched / "ours.txt").read_text() == "ours"
        (kept,) = (root / "artifacts").rglob("ours.txt")
        assert kept.with_name("theirs.txt").read_text() == "theirs"
        assert f"{address}/#/experiments/{run.info.experiment_id}/runs?" in tracking.where()
        MlflowClient().delete_experiment(run.info.experiment_id)
        with pytest.raises(InputError, match=f"restore -x {run.info.experiment_id}`"):
            tracking.where()
    finally:
        server.kill()


def test_a_library_that_a_place_needs_is_named_and_nothing_is_lost(
    environment, logged, monkeypatch
):
    environment(TRACKING_URI=f"sqlite:///{os.getcwd()}/mlflow.db", EXPERIMENT_NAME="own")
    MlflowClient().create_experiment("own", artifact_location="s3://bucket/x")
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(InputError) as error:
        logged()
    assert "cannot be sent to s3://bucket/x/" in str(error.value) and "boto3" in str(error.value)
    assert "run the same command again" in str(error.value)


# Which experiment


@pytest.fixture
def two(environment) -> SimpleNamespace:
    """Two experiments, and the deleted one of our own name."""
    numbers = [MlflowClient().create_experiment(name) for name in ("first", "second", "gone")]
    MlflowClient().delete_experiment(numbers[2])
    return SimpleNamespace(first=numbers[0], second=numbers[1], gone=numbers[2])


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "influence"),
        ({"EXPERIMENT_ID": "{first}"}, "first"),
        ({"EXPERIMENT_ID": "0"}, "Default"),
        ({"EXPERIMENT_NAME": "second"}, "second"),
        ({"EXPERIMENT_NAME": "second", "EXPERIMENT_ID": "{second}"}, "second"),
        ({"EXPERIMENT_NAME": "new"}, "new"),
        ({"EXPERIMENT_NAME": "new", "EXPERIMENT_ID": "{first}"}, "new"),
        ({"EXPERIMENT_NAME": 'it\'s # "new" %23'}, 'it\'s # "new" %23'),
    ],
)
def test_a_run_is_made_in_the_experiment_that_mlflow_would_make_it_in(
    environment, two, logged, monkeypatch, given, expected
):
    environment(**{name: value.format(**vars(two)) for name, value in given.items()})
    ours = logged()
    assert MlflowClient().get_experiment(ours.info.experiment_id).name == expected
    if expected == "new":
        environment(EXPERIMENT_ID="")  # by now MLflow, too, finds that the two disagree
        monkeypatch.delenv("MLFLOW_EXPERIMENT_ID")
    assert f"/#/experiments/{ours.info.experiment_id}/runs?" in tracking.where()
    if given:
        assert started().info.experiment_id == ours.info.experiment_id


@pytest.mark.parametrize(
    "given", [{"EXPERIMENT_ID": ""}, {"EXPERIMENT_NAME": ""}, {"RUN_ID": ""}, {"TRACKING_URI": ""}]
)
def test_an_empty_setting_is_none(environment, logged, given):
    environment(**given)
    assert MlflowClient().get_experiment(logged().info.experiment_id).name == "influence"
    assert signals.starter() == 0


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (
            {"EXPERIMENT_NAME": "first", "EXPERIMENT_ID": "{second}"},
            ["'first'", "id {first}", "MLFLOW_EXPERIMENT_ID is '{second}'; unset one of"],
        ),
        ({"EXPERIMENT_ID": "77"}, ["MLFLOW_EXPERIMENT_ID is '77'", "no such", "unset it"]),
        ({"EXPERIMENT_ID": "influence"}, ["MLFLOW_EXPERIMENT_ID is 'influence'", "no such"]),
        (
            {"EXPERIMENT_ID": "{gone}"},
            ["the experiment 'gone' is deleted", "`mlflow experiments restore -x {gone}`"],
        ),
        (
            {"EXPERIMENT_NAME": "gone"},
            ["the experiment 'gone' is deleted", "`mlflow experiments restore -x {gone}`"],
        ),
    ],
)
def test_an_experiment_that_no_run_can_be_made_in_is_refused(
    environment, two, refused, given, parts
):
    environment(**{name: value.format(**vars(two)) for name, value in given.items()})
    said = refused()
    for part in parts:
        assert part.format(**vars(two)) in said
    with pytest.raises(InputError) as error:
        tracking.where()
    assert str(error.value) == said
    with pytest.raises(mlflow.MlflowException):  # nor by MLflow
        mlflow.start_run()
    everywhere = MlflowClient().search_experiments(view_type=mlflow.entities.ViewType.ALL)
    assert {one.name for one in everywhere} == {"Default", "first", "second", "gone"}
    assert not MlflowClient().search_runs([one.experiment_id for one in everywhere])


def test_our_experiment_deleted_and_restored_goes_on(environment, refused, logged):
    number = logged().info.experiment_id
    MlflowClient().delete_experiment(number)
    assert f"`mlflow experiments restore -x {number}`" in refused()
    MlflowClient().restore_experiment(number)
    assert logged().info.experiment_id == number


def test_where_names_no_page_of_a_deleted_experiment(environment, logged, monkeypatch, capsys):
    number = logged().info.experiment_id
    monkeypatch.delitem(sys.modules, "entrypoints.where", raising=False)
    runpy.run_module("entrypoints.where", run_name="__main__")
    assert f"/#/experiments/{number}/runs?" in capsys.readouterr().out
    MlflowClient().delete_experiment(number)
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("entrypoints.where", run_name="__main__")
    said = capsys.readouterr()
    assert (ended.value.code, said.out) == (2, "")
    assert said.err.startswith("influence: the experiment 'influence' is deleted; restore it with")


def test_the_experiment_that_a_notebook_has_set_is_taken_and_stays_set(
    environment, logged, monkeypatch
):
    monkeypatch.setattr(mlflow.tracking.fluent, "_active_experiment_id", None)
    chosen = mlflow.set_experiment("mine").experiment_id
    assert logged().info.experiment_id == chosen
    assert started().info.experiment_id == chosen


def test_a_command_changes_no_setting(environment, logged):
    before = {name: value for name, value in os.environ.items() if "MLFLOW" in name}
    logged()
    assert before == {name: value for name, value in os.environ.items() if "MLFLOW" in name}


# Which run


@pytest.mark.parametrize("status", ["RUNNING", "FINISHED", "FAILED"])
def test_a_run_that_is_named_is_joined_wherever_it_is(environment, two, logged, capsys, status):
    run_id = MlflowClient().create_run(two.second).info.run_id
    if status != "RUNNING":
        MlflowClient().set_terminated(run_id, status)
    environment(RUN_ID=run_id, EXPERIMENT_NAME="first")
    run = logged()
    assert (run.info.run_id, run.info.experiment_id) == (run_id, two.second)
    assert run.info.status == "FINISHED" and files(run) == {"ours.txt"}
    assert ("it is resumed" in capsys.readouterr().err) == (status != "RUNNING")


@pytest.mark.parametrize("status", ["FINISHED", "RUNNING"])
def test_a_run_takes_the_same_params_again_but_no_others(
    environment, logged, refused, tmp_path, status
):
    first = logged(threads=1)
    environment(RUN_ID=first.info.run_id)
    assert logged(threads=1).info.run_id == first.info.run_id
    MlflowClient().update_run(first.info.run_id, status=status)
    environment(RUN_ID=first.info.run_id)
    said = refused()  # with the usual number of threads
    assert f"{first.info.run_id} ({status}), which holds threads=1 and cannot hold thr" in said
    assert "unset MLFLOW_RUN_ID" in said
    after = MlflowClient().get_run(first.info.run_id)
    assert after.info.status == status and after.data.params["threads"] == "1"


def test_what_mlflow_run_has_typed_counts_as_the_same(environment, logged):
    run_id = MlflowClient().create_run("0", tags={"mlflow.source.type": "PROJECT"}).info.run_id
    MlflowClient().log_param(run_id, "threads", "1.0")
    environment(RUN_ID=run_id)
    assert logged(threads=1).info.run_id == run_id


@pytest.mark.parametrize("run_id", [ABSENT, "../../etc", "no run", "ä"])
def test_a_run_of_another_store_is_refused(environment, refused, run_id):
    environment(RUN_ID=run_id)
    said = refused()
    assert f"MLFLOW_RUN_ID names the run {run_id!r}, which is not in the store sqlite:" in said
    assert "unset MLFLOW_RUN_ID" in said


def test_a_deleted_run_is_refused(environment, refused, logged):
    run_id = logged().info.run_id
    MlflowClient().delete_run(run_id)
    environment(RUN_ID=run_id)
    said = refused()
    assert f"the run {run_id}, which is deleted; unset MLFLOW_RUN_ID" in said
    assert f"mlflow runs restore --run-id {run_id}" in said
    assert MlflowClient().get_run(run_id).info.lifecycle_stage == "deleted"


def test_a_run_within_an_active_one_lies_below_it(environment, two, logged):
    environment(EXPERIMENT_NAME="first")
    with mlflow.start_run(experiment_id=two.second) as outer:
        run = logged()
        assert mlflow.active_run().info.run_id == outer.info.run_id
    assert run.info.experiment_id == two.second
    assert run.data.tags["mlflow.parentRunId"] == outer.info.run_id
    assert files(run) == {"ours.txt"} and not files(outer)


def test_an_active_run_of_another_store_takes_none_below_it(
    environment, logged, tmp_path, new_store
):
    shutil.copy(new_store, tmp_path / "other.db")
    with mlflow.start_run() as outer:
        environment(TRACKING_URI=f"sqlite:///{tmp_path}/other.db")
        with pytest.raises(InputError, match=f"{outer.info.run_id}.*is not in the store.*other"):
            logged()
        environment(TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")


# Deleted meanwhile


@pytest.mark.parametrize("what", ["run", "parent", "experiment"])
def test_what_is_deleted_while_a_command_logs_to_it_ends_it_in_a_sentence(
    environment, tmp_path, what
):
    config, client = ExecutionConfig(workdir=str(tmp_path / "work")), MlflowClient()
    with (
        pytest.raises(InputError) as error,
        tracking.run(config, "outer", "", "main") as outer,
        tracking.run(config, "inner", "", "train") as inner,
    ):
        inner.tag(begun=True)
        if what == "experiment":
            client.delete_experiment(outer.experiment)
        else:
            client.delete_run(inner.id if what == "run" else outer.id)
        inner.log_text("x", "x.txt")
        inner.tag(x=1)
        with tracking.run(config, "second", "", "train") as second:
            second.tag(begun=True)
        outer.tag(x=1)
    gone = outer if what == "parent" else inner
    assert f"the run {gone.id} was deleted while this command" in str(error.value)
    statuses = {
        run.info.run_name: run.info.status for run in client.search_runs([outer.experiment])
    }
    expected = {"run": {"outer": "FAILED"}, "experiment": {}}
    if what in expected:
        assert statuses == expected[what]


def test_a_run_deleted_at_its_end_needs_no_end(environment, tmp_path):
    config = ExecutionConfig(workdir=str(tmp_path / "work"))
    with tracking.run(config, "name", "", "main") as opened:
        MlflowClient().delete_run(opened.id)
    with pytest.raises(KeyboardInterrupt), tracking.run(config, "name", "", "main") as opened:
        MlflowClient().delete_run(opened.id)
        raise KeyboardInterrupt


# Which store


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("./mlruns", ["'./mlruns' is a folder", "MLFLOW_ALLOW_FILE_STORE=true"]),
        ("file:mlruns", ["'file:mlruns' is a folder", "sqlite:///mlflow.db"]),
        ("file:///x/y", ["'file:///x/y' is a folder"]),
        ("127.0.0.1:5000", ["'127.0.0.1:5000' is a folder", "sqlite:///mlflow.db"]),
        ("localhost:5000", ["not support stores such as 'localhost:5000'", "http://host:port"]),
        ("nonsense://x", ["not support stores such as 'nonsense://x'"]),
        ("s3://bucket/x", ["not support stores such as 's3://bucket/x'"]),
        ("databricks", ["'databricks' (Reading Databricks credential configuration failed"]),
        ("databricks-uc", ["'databricks-uc'", "set another MLFLOW_TRACKING_URI"]),
        ("sqlite:/x.db", ["'sqlite:/x.db'", "Could not parse"]),
        ("sqlite:///mlflow.db/x.db", ["'sqlite:///mlflow.db/x.db'"]),
        ("sqlite:///text.db", ["'sqlite:///text.db' (", "not a database"]),
        ("mysql+nodriver://a:secret@b/c", ["nodriver://a:***@b/c", "--track False"]),
        ("http://[::1", ["'http://[::1' is not a store address", "--track False"]),
    ],
)
def test_a_store_that_cannot_be_used_is_told_in_one_sentence(
    environment, refused, tmp_path, address, parts
):
    (tmp_path / "text.db").write_text("no database at all")
    environment(TRACKING_URI=address)
    before = sorted(os.listdir())
    said = refused()
    assert all(part in said for part in parts), said
    assert "secret" not in said
    with pytest.raises(InputError) as error:
        tracking.where()
    assert str(error.value) == said
    assert sorted(os.listdir()) == before


@pytest.mark.parametrize(
    ("name", "value"), [("HTTP_REQUEST_TIMEOUT", "soon"), ("SQLALCHEMYSTORE_POOL_SIZE", "large")]
)
def test_a_setting_that_mlflow_cannot_read_is_named(environment, refused, tmp_path, name, value):
    server = name.startswith("HTTP")
    address = "http://127.0.0.1:1" if server else f"sqlite:///{tmp_path}/another.db"
    environment(TRACKING_URI=address, **{name: value})
    said = refused()
    assert f"MLFLOW_{name}" in said and value in said


@pytest.mark.parametrize("address", ["sqlite:///a b#c.db", "sqlite:///near/by%23.db"])
def test_the_address_of_a_database_is_read_as_mlflow_reads_it(
    environment, logged, new_store, tmp_path, address
):
    from sqlalchemy.engine import make_url

    path = tmp_path / make_url(address).database
    path.parent.mkdir(exist_ok=True)
    shutil.copy(new_store, path)
    size = (tmp_path / "mlflow.db").read_bytes()
    environment(TRACKING_URI=address)
    run = logged()
    assert files(run) == {"ours.txt"}
    assert started().info.experiment_id == "0"
    assert (tmp_path / "mlflow.db").read_bytes() == size
    assert sorted(p.name for p in path.parent.glob("*.db")) == sorted(
        {path.name, *(["mlflow.db"] if path.parent == tmp_path else [])}
    )
    assert f"--backend-store-uri '{address}'" in tracking.where() or " " not in address


def test_no_new_store_can_be_made_in_a_directory_with_both_quotes(
    environment, refused, monkeypatch, tmp_path
):
    (tmp_path / 'it\'s "q"').mkdir()
    monkeypatch.chdir(tmp_path / 'it\'s "q"')
    assert f'{tmp_path}/it\'s "q", has both \' and "' in refused()
    environment(TRACKING_URI=f"sqlite:///{tmp_path}/mlflow.db")  # one that is there already
    assert f"{tmp_path}/nowhere" in refused()


@pytest.mark.parametrize("allowed", ["true", "false"])
@pytest.mark.parametrize("address", ["{}/mlflow.db", "mlflow.db", "file://{}/mlflow.db"])
def test_a_database_given_by_its_path_alone_is_told_its_address(
    environment, refused, tmp_path, address, allowed
):
    environment(TRACKING_URI=address.format(tmp_path), ALLOW_FILE_STORE=allowed)
    said = refused()
    assert "is a file" in said and f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/mlflow.db if" in said


def test_a_database_that_is_yet_to_be_is_told_its_address_too(environment, refused, tmp_path):
    environment(TRACKING_URI=f"{tmp_path}/new.db")
    said = refused()
    assert "is the name of a file, and MLflow reads a path as a folder" in said
    assert f"MLFLOW_TRACKING_URI=sqlite:///{tmp_path}/new.db" in said


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("long" * 150, ["maximum length of 500", f"{'long' * 150!r}"[:51] + "'..."]),
        (os.fsdecode(b"b\xfcro"), ["is 'b\\xfcro', not UTF-8"]),
    ],
    ids=["long", "bytes"],
)
def test_an_experiment_of_an_impossible_name_needs_another_name(environment, refused, name, parts):
    environment(EXPERIMENT_NAME=name)
    said = refused()
    assert all(part in said for part in ["MLFLOW_EXPERIMENT_NAME ", *parts]), said
    assert said.endswith("; give another name") and "MLFLOW_TRACKING_URI" not in said


@pytest.mark.parametrize(
    ("address", "gone"),
    [
        ("sqlite://", True),
        ("sqlite:///:memory:", True),
        ("sqlite:///file:x?mode=memory&uri=true", True),
        ("sqlite:///mlflow.db", False),
        ("./mlruns", False),
        ("http://127.0.0.1:1", False),
    ],
)
def test_a_store_in_memory_is_told_from_one_that_stays(environment, address, gone):
    environment(TRACKING_URI=address)
    assert connection.in_memory() is gone


def test_what_is_logged_into_memory_is_said_to_be_gone_at_the_end(
    environment, logged, monkeypatch, capsys
):
    logged()
    assert "in memory" not in capsys.readouterr().err
    monkeypatch.setattr(connection, "in_memory", lambda: True)
    logged()
    assert "is in memory, so its runs are lost when this" in capsys.readouterr().err


# Names that are not UTF-8

ODD = os.fsdecode(b"b\xfcro")


@pytest.mark.parametrize("track", [True, False])
@pytest.mark.parametrize("place", ["workdir", "above", "working directory"])
def test_a_workdir_whose_name_is_not_utf_8_is_refused(
    environment, monkeypatch, tmp_path, track, place
):
    (tmp_path / ODD).mkdir()
    given = {"workdir": str(tmp_path / ODD), "above": f"{ODD}/work", "working directory": "work"}
    if place == "working directory":
        monkeypatch.chdir(tmp_path / ODD)
    with pytest.raises(InputError) as error:
        train.main(TrainStep(dataset="nowhere", workdir=given[place], track=track))
    said = str(error.value)
    assert said.startswith(f"workdir is '{tmp_path}/b\\xfcro") and "is not UTF-8; give a" in said
    assert os.listdir(tmp_path / ODD) == []


@pytest.mark.parametrize("address", ["", "sqlite:///{}/mlflow.db", "sqlite:///{}/b\udcfcro/x.db"])
def test_a_store_in_a_directory_whose_name_is_not_utf_8_is_refused(
    environment, refused, monkeypatch, tmp_path, address
):
    (tmp_path / ODD).mkdir()
    monkeypatch.chdir(tmp_path / ODD)
    environment(TRACKING_URI=address.format(tmp_path))
    said = refused()
    assert "b\\xfcro" in said and "not UTF-8" in said and "another" in said
    assert "--track False" in said and os.listdir() == []


def test_without_a_store_the_working_directory_may_have_any_name(environment, logged, monkeypatch):
    os.mkdir(ODD)
    monkeypatch.chdir(ODD)
    with tracking.run(ExecutionConfig(workdir="/work", track=False), "n", "", "train") as opened:
        assert not opened.id


def test_a_dataset_whose_name_is_not_utf_8_is_refused_only_where_it_would_be_stored(
    environment, tmp_path
):
    given = {"dataset": str(tmp_path / ODD), "workdir": str(tmp_path / "work")}
    with pytest.raises(InputError, match=r"^dataset is '.*b\\xfcro', which is not UTF-8, and MLf"):
        train.main(TrainStep(**given))
    assert MlflowClient().search_runs(["0"]) == []
    with pytest.raises(InputError, match="is not a directory"):
        train.main(TrainStep(**given, track=False))


def test_what_is_logged_is_there_at_once_whatever_mlflow_does_in_the_background(
    environment, tmp_path, monkeypatch
):
    environment(ENABLE_ASYNC_LOGGING="true")
    with tracking.run(ExecutionConfig(workdir=str(tmp_path)), "n", "", "train") as opened:
        opened.tag(x=1)
        opened.log(Record(1, {"m": 0.5}))
        data = MlflowClient().get_run(opened.id).data
        assert data.tags["x"] == "1" and data.metrics == {"m": 0.5}
