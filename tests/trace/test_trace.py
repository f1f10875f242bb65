"""A trace comes back from its file as it went in."""

import numpy as np
import pytest

from influence.trace.trace import Checkpoint, RunTrace, Trace, join, load_trace, save_trace

FILE = "trace.safetensors"
CHECKPOINTS = (
    Checkpoint(5, 0.5, frozenset({"spread"}), 1e-3),
    Checkpoint(10, 1.0, frozenset({"spread", "epochs"}), 5e-4),
)


def make_trace(examples=4, seeds=(3, 7)):
    """A small trace with every kind of array in it."""
    generator = np.random.default_rng(0)

    def run(seed):
        logits = {c.step: generator.normal(size=(examples, 3)) for c in CHECKPOINTS}
        nulls = {c.step: generator.normal(size=3) for c in CHECKPOINTS}
        variance = {"spread@all": generator.random(examples)}
        seen = generator.random((6, examples)) < 0.5
        at, over = {"logits": logits, "null_logits": nulls}, {"gradient_variance": variance}
        return RunTrace(seed, CHECKPOINTS, at, over, {"observations": seen})

    ids = np.array([f"é{i}/\N{SNOWMAN}" for i in range(examples)])
    return Trace(ids, np.arange(examples) % 3, tuple(run(seed) for seed in seeds))


def test_a_trace_comes_back_as_it_was(tmp_path):
    trace = make_trace()
    save_trace(trace, tmp_path / FILE)
    loaded = load_trace(tmp_path / FILE)
    assert loaded.ids.tolist() == trace.ids.tolist()
    assert loaded.labels.tolist() == trace.labels.tolist()
    assert loaded.labels.dtype == np.int64
    for found, run in zip(loaded.runs, trace.runs, strict=True):
        assert (found.seed, found.checkpoints) == (run.seed, run.checkpoints)
        for quantity in ("logits", "null_logits"):
            assert set(found.at[quantity]) == set(run.at[quantity])
            for step, array in run.at[quantity].items():
                np.testing.assert_array_equal(found.at[quantity][step], array.astype(np.float32))
        expected = run.over["gradient_variance"]["spread@all"].astype(np.float32)
        np.testing.assert_array_equal(found.over["gradient_variance"]["spread@all"], expected)
        np.testing.assert_array_equal(found.whole["observations"], run.whole["observations"])
        assert found.whole["observations"].dtype == bool


def test_floats_are_stored_in_32_bits(tmp_path):
    save_trace(make_trace(), tmp_path / FILE)
    assert load_trace(tmp_path / FILE).runs[0].at["logits"][5].dtype == np.float32


def test_a_strided_array_is_stored_in_its_own_order(tmp_path):
    trace = make_trace()
    array = np.arange(8.0).reshape(2, 4).T
    trace.runs[0].at["logits"][5] = array
    save_trace(trace, tmp_path / FILE)
    np.testing.assert_array_equal(load_trace(tmp_path / FILE).runs[0].at["logits"][5], array)


def test_eleven_runs_do_not_mix(tmp_path):
    trace = make_trace(seeds=range(11))
    save_trace(trace, tmp_path / FILE)
    for found, run in zip(load_trace(tmp_path / FILE).runs, trace.runs, strict=True):
        expected = run.at["logits"][5].astype(np.float32)
        np.testing.assert_array_equal(found.at["logits"][5], expected)


def test_a_write_that_fails_leaves_the_old_trace(tmp_path, monkeypatch):
    save_trace(make_trace(), tmp_path / FILE)

    def cut_off(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("influence.trace.trace.save_file", cut_off)
    with pytest.raises(OSError, match="disk full"):
        save_trace(make_trace(examples=9), tmp_path / FILE)
    assert len(load_trace(tmp_path / FILE).ids) == 4


def test_only_the_trace_is_left_in_its_directory(tmp_path):
    save_trace(make_trace(), tmp_path / "scores" / FILE)
    assert [path.name for path in (tmp_path / "scores").iterdir()] == [FILE]


def test_traces_of_some_examples_after_others_are_the_trace_of_all():
    trace = make_trace(examples=7)
    parts = [trace.take(np.arange(3)), trace.take(np.arange(3, 7))]
    joined = join(parts)
    assert joined.ids.tolist() == trace.ids.tolist()
    for found, run in zip(joined.runs, trace.runs, strict=True):
        for quantity, steps in run.at.items():
            for step, array in steps.items():
                np.testing.assert_array_equal(found.at[quantity][step], array)
        for quantity, windows in run.over.items():
            np.testing.assert_array_equal(found.over[quantity]["spread@all"], windows["spread@all"])
        np.testing.assert_array_equal(found.whole["observations"], run.whole["observations"])
    assert joined.trail_entropies is None


def test_rows_of_a_trace_are_taken_in_their_order():
    trace = make_trace(examples=5)
    taken = trace.take(np.array([4, 0]))
    assert taken.ids.tolist() == [trace.ids[4], trace.ids[0]]
    run = trace.runs[0]
    np.testing.assert_array_equal(taken.runs[0].at["logits"][5], run.at["logits"][5][[4, 0]])
    np.testing.assert_array_equal(
        taken.runs[0].whole["observations"], run.whole["observations"][:, [4, 0]]
    )
