"""A tracking server that goes away: work goes on, and everything arrives, in order and once."""

import itertools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import mlflow
import pytest
import requests

from entrypoints import main
from influence.__main__ import run
from influence.config import parser
from influence.config.parameters import ExecutionConfig
from influence.config.steps import MainStep, SearchStep
from influence.errors import InputError
from influence.runtime.locks import alive
from influence.runtime.step import Record
from influence.tracking import connection, log, operations, outbox
from influence.tracking import run as tracking
from influence.tracking.outbox import Outbox
from tests.conftest import new_experiment
from tests.helpers import notes, tiny

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
AWAY = requests.ConnectionError("Connection refused")
ADDRESS = "http://there:1"
SECRET = "s3cret-word"
UNEQUAL = {"process", "influence.key", "mlflow.parentRunId", "mlflow.log-model.history"}
UNEQUAL |= {operations.LINKED, operations.NOTE}  # their ids; see `described`


class Server:
    """Takes operations while it is up."""

    def __init__(self) -> None:
        self.up, self.got, self.tries = True, [], 0

    def send(self, operation, files=None, again=False):
        self.tries += 1
        if not self.up:
            raise AWAY
        if operation["do"] == "nonsense":
            raise ValueError("no such thing\nat all")
        read = files and {path.name: path.read_text() for path in files.iterdir()}
        self.got.append((operation["n"], read, again))
        return operation["n"]

    def box(self, folder: Path) -> Outbox:
        return Outbox(folder, ADDRESS, self.send, operations.away)


def numbered(n: int, do: str = "tags") -> dict:
    return {"do": do, "run": "r", "n": n}


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    """The clock of the outbox, which stands still unless it is set."""
    now = SimpleNamespace(time=1000.0)
    monkeypatch.setattr(outbox.time, "monotonic", lambda: now.time)
    return now


def test_what_can_be_sent_leaves_no_trace_on_disk(server, tmp_path):
    box = server.box(tmp_path / "box")
    assert [box.put(numbered(n)) for n in range(3)] == [0, 1, 2]
    box.close()
    assert server.got == [(0, None, False), (1, None, False), (2, None, False)]
    assert not (tmp_path / "box").exists()


def test_what_waits_is_sent_in_order_before_what_comes_later(server, clock, tmp_path, capsys):
    box, files = server.box(tmp_path / "box"), tmp_path / "files"
    files.mkdir()
    box.put(numbered(0))
    server.up = False
    (files / "name").write_text("first")
    assert box.put(numbered(1), files) is None
    (files / "name").unlink()  # the copy is the outbox's own
    box.put(numbered(2))
    server.up = True
    box.put(numbered(3))
    assert server.got == [(0, None, False)]  # the server is not asked every time
    clock.time += 2
    box.put(numbered(4))
    box.put(numbered(5))
    waited = [(1, {"name": "first"}, True), *((n, None, True) for n in (2, 3, 4))]
    assert server.got[1:] == [*waited, (5, None, False)]
    assert not (tmp_path / "box").exists()
    said = capsys.readouterr().err.splitlines()
    assert said[0] == f"{ADDRESS} is away (no connection); its data waits in {box.folder}"
    assert said[1] == f"{ADDRESS} is back and has received the waiting data"


def test_trying_in_vain_takes_a_tenth_of_the_time_at_most(server, clock, tmp_path, monkeypatch):
    box, server.up = server.box(tmp_path / "box"), False
    took = 60.0  # a server that does not answer costs its whole timeout

    def slow(*given):
        clock.time += took
        return server.send(*given)

    monkeypatch.setattr(box, "_send", slow)
    begun = clock.time
    for n in range(2000):
        box.put(numbered(n))
        clock.time += 1
    assert server.tries > 2
    assert server.tries * took <= 0.1 * (clock.time - begun) + took


def test_a_command_that_ends_while_the_server_is_away_says_so(server, tmp_path, capsys):
    box, server.up = server.box(tmp_path / "box"), False
    box.put(numbered(0))
    capsys.readouterr()
    box.close()
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"{ADDRESS} is still away; its data waits in {box.folder} for")


def left(server: Server, root: Path, name: str = "run", numbers=(0, 1, 2)) -> Outbox:
    """Leave a journal as a command does that is killed while the server is away."""
    box, server.up = server.box(root / name), False
    for n in numbers:
        box.put(numbered(n, "nonsense" if n == 99 else "tags"))
    server.up = True
    return box


def test_a_later_command_delivers_what_an_ended_one_left(server, tmp_path):
    left(server, tmp_path / "outbox")
    ended = outbox.deliver(tmp_path / "outbox", ADDRESS, server.send, operations.away)
    assert [n for n, _, again in server.got if again] == [0, 1, 2]
    assert ended == {tmp_path / "running" / "run"}
    assert not any((tmp_path / "outbox").iterdir())


def test_what_a_living_command_keeps_is_its_own_business(server, tmp_path):
    left(server, tmp_path / "outbox")
    with alive(tmp_path / "running" / "run"):
        assert not outbox.deliver(tmp_path / "outbox", ADDRESS, server.send, operations.away)
    assert not server.got


def test_what_waits_for_another_server_stays(server, tmp_path, capsys):
    left(server, tmp_path / "outbox")
    outbox.deliver(tmp_path / "outbox", "http://other:2", server.send, operations.away)
    assert not server.got and (tmp_path / "outbox/run/journal.jsonl").exists()
    assert f"holds data for {ADDRESS}, not for http://other:2" in capsys.readouterr().err


def test_a_line_that_was_cut_off_is_not_read(server, tmp_path):
    box = left(server, tmp_path / "outbox")
    journal = box.folder / outbox.JOURNAL
    journal.write_text(journal.read_text()[:-7])
    outbox.deliver(tmp_path / "outbox", ADDRESS, server.send, operations.away)
    assert [n for n, _, _ in server.got] == [0, 1]
    assert not box.folder.exists()


def test_what_the_server_refuses_holds_nothing_up_and_is_kept(server, tmp_path, capsys):
    box = left(server, tmp_path / "outbox", numbers=(0, 99, 2))
    outbox.deliver(tmp_path / "outbox", ADDRESS, server.send, operations.away)
    assert [n for n, _, _ in server.got] == [0, 2]
    assert json.loads((box.folder / outbox.REFUSED).read_text()) == numbered(99, "nonsense")
    assert "refuses nonsense" in capsys.readouterr().err
    outbox.deliver(tmp_path / "outbox", ADDRESS, server.send, operations.away)
    assert len(server.got) == 2


def test_only_a_server_that_cannot_be_reached_is_away():
    answered = requests.Response()
    answered.status_code = 404
    assert not operations.away(requests.HTTPError(response=answered))
    answered.status_code = 503
    assert operations.away(requests.HTTPError(response=answered))
    assert operations.away(requests.ReadTimeout())
    assert not operations.away(mlflow.MlflowException("a run that is not there"))
    assert not operations.away(OSError("full disk"))
    assert not operations.away(requests.exceptions.InvalidURL())


# The whole of main, through a client that fails


class Flaky:
    """A client whose calls fail at random, before or after they have done what they should."""

    def __init__(self, real, plan) -> None:
        self.real, self.plan = real, plan

    def __getattr__(self, name):
        def call(*given, **more):
            fate = next(self.plan)
            if fate == "before":
                raise AWAY
            done = getattr(self.real, name)(*given, **more)
            if fate == "after":
                raise AWAY
            return done

        return call


@pytest.fixture(scope="module")
def study(tracking_store, tmp_path_factory):
    """A small main, done in an experiment of its own, with what it logged: nothing went wrong."""
    root = tmp_path_factory.mktemp("study")
    patch = pytest.MonkeyPatch()
    patch.setenv("MLFLOW_EXPERIMENT_NAME", new_experiment(root))
    config = MainStep(
        dataset=str(tiny.write(root / "talk", tiny.frames())),
        workdir=str(root / "work"),
        arms="random",
        fractions="0.5",
        score="el2n",
        seeds=1,
        workers=1,
        threads=1,
        **tiny.FAST,
    )
    yield SimpleNamespace(config=config, tree=tree(launched(config)))
    patch.undo()


def launched(config) -> str:
    """Run main and return its id."""
    before = set(tops())
    main.main(config)
    (made,) = set(tops()) - before
    return made


def tops() -> list[str]:
    """Return the ids of the runs that are below no other."""
    found = mlflow.search_runs(search_all_experiments=True, output_format="list")
    return [run.info.run_id for run in found if operations.PARENT not in run.data.tags]


def tree(run_id: str) -> dict:
    """Return all that is to be seen of a run and of those below it."""
    client = mlflow.MlflowClient()
    run = client.get_run(run_id)
    histories = {
        name: sorted((m.step, m.value) for m in client.get_metric_history(run_id, name))
        for name in run.data.metrics
    }
    below, linked = operations.steps(run)
    children = [tree(child.info.run_id) for child in [*below, *linked]]
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "described": described(run, [*below, *linked]),
        "tags": {name: v for name, v in run.data.tags.items() if name not in UNEQUAL},
        "params": run.data.params,
        "metrics": {n: v if "second" not in n else len(v) for n, v in histories.items()},
        "inputs": [one.dataset.digest for one in run.inputs.dataset_inputs],
        "files": sorted(files(client, run_id)),
        "children": sorted(children, key=lambda child: child["name"]),
    }


def described(run, steps: list) -> str:
    """Return the description of a run apart from its links, which have to lead to its steps."""
    note = run.data.tags.get(operations.NOTE, "")
    named = set(re.findall(r"\b[0-9a-f]{32}\b", unquote(note)))
    assert named <= {step.info.run_id for step in steps}
    curves = {step.info.run_id for step in steps if step.data.tags.get("step") == "evaluate"}
    assert curves <= named
    return notes.verdict(run)


def files(client, run_id: str, folder: str = ""):
    for found in client.list_artifacts(run_id, folder):
        if found.is_dir:
            yield from files(client, run_id, found.path)
        else:
            yield found.path


@pytest.fixture
def through(monkeypatch, study):
    """Take the local store for a server, and reach it through a client with a plan of failures."""
    real = operations.client()
    monkeypatch.setattr(connection, "connect", lambda: ADDRESS)
    monkeypatch.setattr(outbox, "PATIENCE", 0)

    def install(plan) -> None:
        monkeypatch.setattr(operations, "client", lambda: Flaky(real, iter(plan)))

    return install


@pytest.mark.parametrize("seed", range(3))
def test_calls_that_fail_before_or_after_their_work_lose_and_double_nothing(
    study, through, elsewhere, seed, monkeypatch
):
    chance = random.Random(seed)
    fates = Counter()

    def plan():
        yield "ok"  # the first run of a command is begun, or the command ends
        while True:
            for fate in ("ok", chance.choice(["before", "after"])):
                for _ in range(chance.randint(1, 6 if fate == "ok" else 3)):
                    fates[fate] += 1
                    yield fate

    box_close, plan = Outbox.close, plan()
    through(plan)

    def back(self):
        through(itertools.repeat("ok"))
        box_close(self)

    monkeypatch.setattr(Outbox, "close", back)
    monkeypatch.setattr(Outbox, "_later", lambda *given: None)
    run_id = launched(study.config)
    assert min(fates["before"], fates["after"]) > 5
    assert tree(run_id) == study.tree
    assert not list(Path(study.config.workdir, "outbox").glob("*"))


@pytest.mark.parametrize("steps", ["logged", "linked"])
def test_a_command_that_never_sees_its_server_again_is_delivered_by_the_next(
    study, through, capsys, steps, request
):
    if steps == "logged":  # in `study`'s experiment they are there already
        request.getfixturevalue("elsewhere")
    through(itertools.chain(["ok"], itertools.repeat("before")))
    run_id = launched(study.config)
    assert mlflow.get_run(run_id).info.status == "RUNNING"
    said = [line for line in capsys.readouterr().err.splitlines() if "still away" in line]
    assert len(said) == 1 and f"{study.config.workdir}/outbox/{run_id}" in said[0]
    through(itertools.repeat("ok"))
    with tracking.run(ExecutionConfig(workdir=study.config.workdir), "later", "", "main"):
        assert tree(run_id) == study.tree
    below, linked = operations.steps(mlflow.get_run(run_id))
    assert not (below if steps == "linked" else linked)
    assert not list(Path(study.config.workdir, "outbox").glob("*"))


def test_trials_are_there_once_however_often_they_are_delivered(
    tracking_store, tmp_path, monkeypatch
):
    record = Record(1, {"search/difference": 0.5})
    children = [
        log.Child(
            name=f"trial {n}",
            status="FINISHED",
            started=1,
            ended=2,
            tags={"trial": str(n)},
            params={"a": n},
            metrics=[record],
            above=Record(n, {"search/best": n / 2}),
        )
        for n in range(3)
    ]
    real = operations.client()
    with tracking.run(ExecutionConfig(workdir=str(tmp_path)), "s", "", "search") as opened:
        # Ended after the second trial was made and before it was ended.
        fates = itertools.chain(["ok"] * 9, ["after"], itertools.repeat("before"))
        monkeypatch.setattr(operations, "client", lambda: Flaky(real, fates))
        with pytest.raises(requests.ConnectionError):
            opened.log_children(children)
        monkeypatch.setattr(operations, "client", lambda: real)
        assert "RUNNING" in {child["status"] for child in tree(opened.id)["children"]}
        for _ in range(2):
            opened.log_children(children)
    assert tree(opened.id)["metrics"] == {"search/best": [(n, n / 2) for n in range(3)]}
    made = tree(opened.id)["children"]
    assert [(child["name"], child["status"], child["params"]) for child in made] == [
        (f"trial {n}", "FINISHED", {"a": str(n)}) for n in range(3)
    ]
    assert all(child["metrics"] == {"search/difference": [(1, 0.5)]} for child in made)


def test_the_nested_runs_of_a_killed_command_are_ended_where_they_are_delivered(
    study, through, tmp_path, tracking_store
):
    through(itertools.chain(["ok"], itertools.repeat("before")))
    config = ExecutionConfig(workdir=str(tmp_path))
    stacked = [tracking.run(config, name, "", "main") for name in ("killed top", "killed inner")]
    opened = [context.__enter__() for context in stacked]
    marker = Path(opened[0].marker)
    for context in reversed(stacked):  # ends written, but not as the killed command would
        context.__exit__(None, None, None)
    journal = tmp_path / "outbox" / opened[0].id / outbox.JOURNAL
    lines = [line for line in journal.read_text().splitlines() if '"end"' not in line]
    journal.write_text("\n".join(lines) + "\n")
    assert not marker.exists()
    through(itertools.repeat("ok"))
    with tracking.run(config, "next", "", "main"):
        found = tree(opened[0].id)
        assert (found["name"], found["status"]) == ("killed top", "KILLED")
        (inner,) = found["children"]
        assert (inner["name"], inner["status"]) == ("killed inner", "KILLED")


# Addresses: nobody there, and passwords


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture
def addressed(monkeypatch, tracking_store):
    """Set another tracking URI for one test, and what it leaves in the environment."""
    names = ("URI", "USERNAME", "PASSWORD")
    for name in (*(f"TRACKING_{n}" for n in names), "HTTP_REQUEST_MAX_RETRIES"):
        monkeypatch.setenv(f"MLFLOW_{name}", "")  # so that it is put back
        monkeypatch.delenv(f"MLFLOW_{name}")
    yield mlflow.set_tracking_uri
    mlflow.set_tracking_uri(tracking_store)


def test_a_server_that_is_not_there_ends_the_command_in_one_sentence(
    addressed, study, monkeypatch, capsys, caplog
):
    port = closed_port()
    addressed(f"http://someone:{SECRET}@127.0.0.1:{port}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "7")  # minutes, were it obeyed
    given = {"workdir": study.config.workdir, "dataset": study.config.dataset}
    flags = [part for name, value in given.items() for part in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["main", *flags])
    with pytest.raises(SystemExit) as ended:
        run("main", main.main)
    assert ended.value.code == 2
    shown = capsys.readouterr()
    assert shown.err.splitlines() == [
        f"influence: the tracking server http://127.0.0.1:{port} is away (no connection); start "
        "it, set another MLFLOW_TRACKING_URI, or log nothing with --track False"
    ]
    assert SECRET not in shown.out + caplog.text


def test_the_password_of_a_server_leaves_its_address(addressed):
    addressed(f"https://some%40one:{SECRET}%2F@there.example:5000/under")
    assert connection.connect() == "https://there.example:5000/under"
    assert mlflow.get_tracking_uri() == "https://there.example:5000/under"
    credentials = (os.environ[f"MLFLOW_TRACKING_{n}"] for n in ("USERNAME", "PASSWORD"))
    assert tuple(credentials) == ("some@one", f"{SECRET}/")
    addressed(f"https://{SECRET}@there.example")
    with pytest.raises(InputError) as refused:
        connection.connect()
    assert SECRET not in str(refused.value)


def test_no_password_of_a_database_is_shown(addressed):
    database = f"postgresql://someone:{SECRET}@there.example/mlflow"
    addressed(database)
    assert connection.shown() == "postgresql://someone:***@there.example/mlflow"
    searched = SearchStep(scores="scores", storage=database)
    assert "storage=postgresql://someone:***@" in parser.again("search", searched)


# A real server


class Served:
    """An `mlflow server` that can be killed and started again on the same store."""

    def __init__(self, root: Path, database: Path) -> None:
        self.root, self.port = root, closed_port()
        shutil.copy(database, root / "mlflow.db")  # making one takes longer than the rest
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = ["--backend-store-uri", f"sqlite:///{self.root}/mlflow.db", "--workers", "1"]
        options += ["--artifacts-destination", str(self.root / "artifacts")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server", "--port", str(self.port), *options],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
            start_new_session=True,
            **quiet,
        )
        while True:
            assert self.process.poll() is None
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health"):
                    return
            except OSError:
                time.sleep(0.1)

    def kill(self) -> None:
        """Kill it and its worker processes, in the middle of whatever they do."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


@pytest.fixture
def served(study, addressed, tracking_store, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "served")
    server = Served(tmp_path, Path(tracking_store.removeprefix("sqlite:///")))
    server.start()
    addressed(f"http://someone:{SECRET}@127.0.0.1:{server.port}")
    yield server
    server.kill()


@pytest.mark.long
@pytest.mark.server
@pytest.mark.slow
def test_a_server_killed_and_started_twice_has_everything_once(
    served, study, monkeypatch, tmp_path, capfd
):
    send, calls = operations.send, itertools.count()
    fates = {8: served.kill, 20: served.start, 30: served.kill}

    def watched(operation, files=None, again=False):
        if not again:  # an operation that comes the first time
            fates.get(next(calls), int)()
        return send(operation, files, again)

    put = Outbox.put

    def counted(self, operation, files=None):
        if self._waiting:
            fates.get(next(calls), int)()
        return put(self, operation, files)

    monkeypatch.setattr(operations, "send", watched)
    monkeypatch.setattr(Outbox, "put", counted)
    main.main(study.config)
    assert served.process is None and next(calls) > 40
    said = capfd.readouterr()
    assert [said.err.count(part) for part in (" is away ", " is back ", " still away")] == [2, 1, 1]
    (first,) = (folder.name for folder in Path(study.config.workdir, "outbox").iterdir())
    served.start()
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "served again")  # where nothing can be linked
    second = launched(study.config)  # delivers what the first has left, then goes undisturbed
    delivered = tree(first)
    assert delivered == tree(second)
    assert delivered["status"] == "FINISHED"
    assert [child["name"] for child in delivered["children"]] == [
        *("random", "sample random", "score", "train")
    ]
    assert not list(Path(study.config.workdir, "outbox").glob("*"))
    later = capfd.readouterr()
    assert SECRET not in said.out + said.err + later.out + later.err
    written = [*tmp_path.rglob("*"), *Path(study.config.workdir).rglob("*")]
    assert not [path for path in written if path.is_file() and SECRET in path.read_text("latin1")]
