import hashlib
import json
import os
import pickle
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from influence.data import storage
from influence.data.storage import open_saved
from influence.errors import InputError
from influence.runtime import store
from influence.training.result import Training


def test_equal_tasks_have_equal_fingerprints_and_others_do_not():
    one = store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["runtime"])
    assert one == store.fingerprint(
        "train", {"seed": 0, "epochs": 2}, {"dataset": "x"}, ["runtime"]
    )
    for other in (
        store.fingerprint("score", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["runtime"]),
        store.fingerprint("train", {"epochs": 3, "seed": 0}, {"dataset": "x"}, ["runtime"]),
        store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "y"}, ["runtime"]),
        store.fingerprint("train", {"epochs": 2, "seed": 0}, {"dataset": "x"}, ["errors"]),
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


@pytest.fixture
def old(tmp_path):
    """Return a file that was written long ago."""
    path = tmp_path / "old"
    path.write_text("abc")
    os.utime(path, (1e9, 1e9))
    return path


@pytest.fixture
def read(monkeypatch):
    """Return the names of the files that are read for their digests, as they are."""
    files, digest = [], hashlib.file_digest

    def counted(handle, name):
        files.append(Path(handle.name).name)
        return digest(handle, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    return files


def test_one_command_reads_a_file_and_its_links_once(old, read):
    with store.reading_once():
        digest = store.file_digest(old)
        store.link(old, old.with_name("link"))
        with store.reading_once():
            assert store.file_digest(old.with_name("link")) == store.file_digest(old) == digest
        assert store.file_digest(old) == digest
    assert read == ["old"]


def test_two_commands_read_a_file_twice_even_if_its_time_was_set_back(old, read):
    digests = []
    for text in ("abc", "abd", "abd"):
        with store.reading_once():
            old.write_text(text)
            os.utime(old, (1e9, 1e9))
            digests.append(store.file_digest(old))
    assert digests[0] != digests[1] == digests[2] == store.file_digest(old)
    assert read == ["old"] * 4


def test_a_file_that_is_written_within_a_command_is_read_again(old, tmp_path):
    with store.reading_once():
        store.finish(tmp_path, "train", {})
        manifest = store.read_manifest(tmp_path, "train")
        store.verify(tmp_path, manifest)
        for text in ("abd", "abe"):  # the second at once, maybe within a tick of the clock
            old.write_text(text)
            with pytest.raises(InputError, match="old is not the file that step 'train' wrote"):
                store.verify(tmp_path, manifest)
        old.write_text("abc")
        store.verify(tmp_path, manifest)


def list_file(directory: Path, name: str, size: int | None) -> None:
    files = {name: [size, store.file_digest(directory / "a.txt")]}
    (directory / store.MANIFEST).write_text(json.dumps({"step": "train", "files": files}))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda d: (d / "a.txt").unlink(), "a.txt is missing"),
        (lambda d: (d / "a.txt").write_text("ab"), "a.txt is missing or truncated"),
        (lambda d: (d / "manifest.json").unlink(), "holds no finished train step"),
        (lambda d: (d / "manifest.json").write_text("{"), "is not a manifest"),
        (lambda d: (d / "manifest.json").write_text("[]"), "is not a manifest"),
        (lambda d: (d / "manifest.json").write_text("[" * 100_000), "is not a manifest"),
        (lambda d: list_file(d, "b.txt", None), "b.txt is missing"),
        (lambda d: list_file(d, "a.txt/../a.txt", 3), "is missing"),
        (lambda d: list_file(d, f"../{d.name}/a.txt", 3), "is missing"),
        (lambda d: list_file(d, "x" * 300, 3), "is missing"),
        (
            lambda d: (d / "manifest.json").write_text('{"step": "train", "files": []}'),
            "is not a m",
        ),
        (lambda d: (d / "manifest.json").write_text('{"step": "score", "files": {}}'), "'score'"),
    ],
)
def test_a_damaged_directory_is_refused_in_one_sentence(tmp_path, damage, said):
    (tmp_path / "a.txt").write_text("abc")
    store.finish(tmp_path, "train", {})
    damage(tmp_path)
    with pytest.raises(InputError, match=said):
        store.read_manifest(tmp_path, "train")


def test_what_another_version_did_not_write_is_said_where_it_is_read(tmp_path):
    store.finish(tmp_path, "train", {"runs": [{"seed": 3}], "task": "classify"})
    manifest = pickle.loads(pickle.dumps(store.read_manifest(tmp_path, "train")))  # as to a worker
    assert manifest["runs"][0]["seed"] == 3 and manifest.get("folds") is None
    for part, name in ((manifest, "folds"), (manifest["runs"][0], "weights")):
        with pytest.raises(InputError, match=f"has no '{name}'.* another version.*run that"):
            part[name]
    with pytest.raises(InputError, match="manifest.json has no 'checkpoints'"):
        _ = Training(tmp_path).runs


def test_a_training_with_knobs_of_another_version_is_said_to_be_one(tmp_path):
    manifest = {"parameters": {"epochs": 3, "dataset": "talk"}, "fingerprint": "0a1b"}
    store.finish(tmp_path, "train", manifest)
    assert Training(tmp_path).config.epochs == 3
    manifest["parameters"]["colour"] = "red"
    store.finish(tmp_path, "train", manifest)
    with pytest.raises(InputError, match="0a1b was done by another version .*colour.*run that"):
        _ = Training(tmp_path).config


def test_a_file_that_is_a_link_out_of_its_directory_is_said_to_be_one(tmp_path):
    inside, elsewhere = tmp_path / "in", tmp_path / "disk"
    inside.mkdir()
    (inside / "a.txt").write_text("abc")
    store.finish(inside, "train", {})
    (inside / "a.txt").rename(elsewhere)
    (inside / "a.txt").symlink_to(elsewhere)
    with pytest.raises(
        InputError, match=f"a.txt is a link to {elsewhere}, outside of it; put the fi"
    ):
        store.read_manifest(inside, "train")
    elsewhere.write_text("ab")
    with pytest.raises(InputError, match="a.txt is missing or truncated"):
        store.read_manifest(inside, "train")
    (inside / "a.txt").unlink()
    (inside / "b.txt").write_text("abc")
    (inside / "a.txt").symlink_to("b.txt")  # in the directory
    assert store.read_manifest(inside, "train")["files"].keys() == {"a.txt"}


def test_a_dataset_of_another_version_is_said_to_be_one(tmp_path):
    facts = {"name": "talk", "label_names": ["a"], "digest": "0", "dropped": {}, "notes": []}
    for other in (facts, facts | {"files": {}, "colour": 1}, {**facts, "files": {"train": "0"}}):
        (tmp_path / "dataset.json").write_text(json.dumps(other))
        with pytest.raises(InputError, match="was written by another version of this package; run"):
            open_saved(tmp_path)
    (tmp_path / "dataset.json").write_text('{"name": "talk"}')
    with pytest.raises(InputError, match="describes no saved dataset"):
        open_saved(tmp_path)


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


def test_a_copied_tree_has_the_same_files_without_locks(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c.txt").write_text("x")
    (tmp_path / "a/.lock").write_text("")
    store.copy_tree(tmp_path / "a", tmp_path / "copy")
    assert [str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")] == [
        "b",
        "b/c.txt",
    ]


# Damage


LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))
JSON = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
FILES = {"a.txt": b"abc", "deep/b.bin": b"", "deep/c": b"0" * 64}


def finished(root: Path) -> Path:
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    store.finish(root, "train", {"recall": {"x": 0.5}, "runs": [1, 2]})
    return root


def read_or_refuse(directory: Path) -> dict | None:
    """Return the manifest and see that it is what the file says, None for bad input."""
    try:
        manifest = store.read_manifest(directory, "train")
        store.verify(directory, manifest)
    except InputError as error:
        assert "\n" not in str(error)
        return None
    content = json.loads((directory / store.MANIFEST).read_text(encoding="utf-8"))
    assert json.dumps(manifest) == json.dumps(content)  # as text: NaN equals nothing
    for name, (size, digest) in manifest["files"].items():
        assert (directory / name).resolve().is_relative_to(directory.resolve())
        assert (directory / name).stat().st_size == size
        assert store.file_digest(directory / name) == digest
    return manifest


@given(st.data())
def test_damaged_bytes_anywhere_are_bad_input_or_change_nothing_that_is_a_file(data):
    with tempfile.TemporaryDirectory() as name:
        root = finished(Path(name))
        path = root / data.draw(st.sampled_from([*FILES, store.MANIFEST, store.MANIFEST]))
        content = path.read_bytes()
        start, length = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 20))
        changed = content[:start] + data.draw(st.binary(max_size=20)) + content[start + length :]
        path.write_bytes(changed)
        found = read_or_refuse(root)
        if path.name != store.MANIFEST:
            assert (found is not None) == (changed == content)


@given(st.one_of(JSON, st.fixed_dictionaries({"step": st.just("train"), "files": JSON})))
def test_any_json_as_a_manifest_is_bad_input_or_read(value):
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / store.MANIFEST).write_text(json.dumps(value))
        read_or_refuse(Path(name))


STEPS_UP = st.lists(
    st.sampled_from(
        ["..", ".", "", "in", "outside", "link", "loop", "secret", "x" * 300, "\0", "\ud800"]
    ),
    min_size=1,
    max_size=6,
).map("/".join)


@given(STEPS_UP, st.booleans())
@example("secret", False)
@example("link/secret", False)
@example("../outside/secret", False)
@example("outside/secret", True)
def test_no_path_in_a_manifest_leads_outside_of_its_directory(name, absolute):
    with tempfile.TemporaryDirectory() as root:
        inside, outside = Path(root) / "in", Path(root) / "outside"
        for directory in (inside, outside):
            (directory / "in").mkdir(parents=True)
            (directory / "secret").write_text("abc")
        (inside / "link").symlink_to(outside)
        (inside / "loop").symlink_to(inside / "loop")
        listed = f"{root}/{name}" if absolute else name
        manifest = {"step": "train", "files": {listed: [3, store.file_digest(inside / "secret")]}}
        (inside / store.MANIFEST).write_text(json.dumps(manifest))
        found = read_or_refuse(inside)  # looks where they lead
        assert found is None or os.path.realpath(inside / listed) == str(inside / "secret")
        if listed == "secret":
            assert found is not None


@given(st.one_of(JSON, st.dictionaries(st.sampled_from([*storage.FACTS, "files"]), JSON)))
def test_any_json_as_the_facts_of_a_dataset_is_bad_input(value):
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "dataset.json").write_text(json.dumps(value))
        with pytest.raises(InputError):
            storage.open_saved(Path(name))
