import json
import multiprocessing
import time

import pytest

from influence import store
from influence.errors import InputError


def test_equal_tasks_have_equal_fingerprints_and_others_do_not():
    one = store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["config"])
    assert one == store.fingerprint("train", {"seed": 0, "epochs": 2}, {"dataset": "x"}, ["config"])
    for other in (
        store.fingerprint("score", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["config"]),
        store.fingerprint("train", {"epochs": 3, "seed": 0}, {"dataset": "x"}, ["config"]),
        store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "y"}, ["config"]),
        store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["store"]),
    ):
        assert one != other


def test_a_finished_directory_lists_its_files_with_size_and_checksum(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    assert not store.is_finished(tmp_path)
    store.finish(tmp_path, "train", {"more": 1})
    manifest = store.read_manifest(tmp_path, "train")
    assert manifest["more"] == 1
    assert manifest["files"]["a.txt"] == [
        3,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: (d / "a.txt").unlink(), "a.txt is missing"),
        (lambda d: (d / "a.txt").write_text("ab"), "a.txt is missing or was cut off"),
        (lambda d: (d / "manifest.json").unlink(), "holds no finished train step"),
        (lambda d: (d / "manifest.json").write_text("{"), "is not a manifest"),
        (lambda d: (d / "manifest.json").write_text("[]"), "is not a manifest"),
        (lambda d: (d / "manifest.json").write_text('{"step": "score", "files": {}}'), "'score'"),
    ],
)
def test_a_damaged_directory_is_refused_in_one_sentence(tmp_path, damage, said):
    (tmp_path / "a.txt").write_text("abc")
    store.finish(tmp_path, "train", {})
    damage(tmp_path)
    with pytest.raises(InputError, match=said):
        store.read_manifest(tmp_path, "train")


def test_a_write_that_fails_leaves_the_earlier_file(tmp_path):
    store.write_json(tmp_path / "x.json", {"a": 1})
    with pytest.raises(TypeError):
        store.write_json(tmp_path / "x.json", {"a": object()})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_a_directory_is_replaced_whole(tmp_path):
    for content in ("old", "new"):
        with store.replacing(tmp_path / "folder") as temporary:
            temporary.mkdir()
            (temporary / content).write_text("")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]


def _hold(directory, seconds, log):
    with store.locked(directory), open(log, "a") as file:
        file.write("in ")
        file.flush()
        time.sleep(seconds)
        file.write("out ")


def test_two_processes_do_not_hold_one_directory(tmp_path):
    context = multiprocessing.get_context("fork")
    both = [
        context.Process(target=_hold, args=(tmp_path / "d", 0.2, tmp_path / "log"))
        for _ in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert (tmp_path / "log").read_text() == "in out in out "


def test_a_copied_tree_has_the_same_files_without_locks(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("x")
    (tmp_path / "a/.lock").write_text("")
    store.copy_tree(tmp_path / "a", tmp_path / "copy")
    assert [str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")] == [
        "b",
        "b/c.txt",
    ]
