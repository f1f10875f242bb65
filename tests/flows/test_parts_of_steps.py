"""Whatever the size of the parts that it reads, a step leaves what it would leave in one piece."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from influence.config.lists import fractions
from influence.config.parameters import FitConfig
from influence.config.steps import SampleStep
from influence.data import storage
from influence.evaluation.result import Point
from influence.evaluation.retraining import Place
from influence.evaluation.step import retrain_point
from influence.models import tokenizers, tokens
from influence.models.inputs import encode, open_tokens
from influence.runtime import store
from influence.sampling import iterative
from influence.sampling import order as sampling
from influence.sampling.arms import parse_arm
from influence.sampling.order import fraction_of, percent_of
from influence.sampling.step import fill
from influence.scoring import findings, result, shards
from influence.scoring.compute import compute
from influence.scoring.plan import RunPlan
from influence.scoring.result import Scores
from influence.scoring.spec import ScoreSpec
from influence.scoring.step import _Kept
from influence.searching import space
from influence.searching.result import write_subset
from influence.searching.scored import Scored
from influence.searching.step import _recommended
from influence.searching.trials import Trial
from influence.trace import trace as records
from influence.training import dynamics
from influence.training.result import Training
from tests.helpers import finished, pieces, traces

few = settings(max_examples=20)
EASY = parse_arm("el2n:easy")


@few
@given(pieces.sizes(least=1), pieces.PARTS)
def test_rows_are_cut_at_the_bounds_of_shards_whatever_the_parts(size, part):
    shard, rows = size
    bounds = shards.bounds_of(rows, shard)
    assert [row for ends in bounds for row in range(*ends)] == list(range(rows))
    assert {end - start for start, end in bounds[:-1]} <= {shard}
    with TemporaryDirectory() as name:
        whole = pieces.write(Path(name), rows, part)
        cut = list(shards._cut(whole.parts("train", ["id"]), bounds))
        assert [some.index.tolist() for some in cut] == [list(range(*ends)) for ends in bounds]
        assert pd.concat(cut)["id"].tolist() == whole.read("train")["id"].tolist()


@pytest.mark.parametrize(
    ("examples", "count", "largest"),
    [(1, 1, 1), (256, 1, 256), (257, 2, 256), (16 * 256 + 1, 16, 257), (16 * 4096 + 1, 17, 4096)],
)
def test_shards_of_a_sensible_size_cover_every_example(examples, count, largest):
    bounds = shards.bounds_of(examples)
    assert len(bounds) == count and max(end - start for start, end in bounds) == largest
    assert bounds[0][0] == 0 and bounds[-1][1] == examples
    assert all(one[1] == other[0] for one, other in zip(bounds, bounds[1:], strict=False))


@few
@given(pieces.sizes(least=1), pieces.PARTS)
def test_the_traces_of_shards_are_that_of_all_examples(size, part):
    shard, rows = size
    whole = traces.make_trace(examples=rows)
    run, bounds = whole.runs[0], shards.bounds_of(rows, shard)
    with TemporaryDirectory() as name:
        root = Path(name)
        source = pieces.write(root / "data", rows, part)
        (root / "runs/0").mkdir(parents=True)
        np.save(root / "runs/0/observations.npy", run.whole["observations"])
        np.save(root / "out_of_fold.npy", whole.out_of_fold_logits)
        null = {step: values.tolist() for step, values in run.at["null_logits"].items()}
        store.write_json(root / "runs/0/null.json", null)
        run_facts = {"seed": 0, "checkpoints": [], "observations": True, "null": [*null]}
        run_facts |= {"weights": True, "given": []}
        made = {"task": "classify", "folds": {"count": 2}, "runs": [run_facts]}
        store.finish(root, "train", made)
        training, plan = Training(root), RunPlan({}, {}, frozenset({"observations"}))
        work = shards.Pass(training, (plan,), "last_layer", "cpu", 64, 0, root / "shards", root)
        work.shards.mkdir()
        for start, end in bounds:
            own = whole.take(np.arange(start, end)).runs[0]
            arrays = {f"at/0/{n}/{s}": a for n, by in own.at.items() for s, a in by.items()}
            arrays |= {f"over/0/{n}/{k}": a for n, by in own.over.items() for k, a in by.items()}
            save_file(arrays, shards._file(work, start, end), {"seconds": "0"})
        found = list(shards.traces(work, bounds))
        assert [start for start, _ in found] == [start for start, _ in bounds]
        joined = records.join([trace for _, trace in found])
        assert joined.ids.tolist() == source.array("train", "id").tolist()
        assert joined.labels.tolist() == source.array("train", "label").tolist()
        assert np.array_equal(joined.out_of_fold_logits, whole.out_of_fold_logits)
        right = {name: own for name, own in traces.named(run)}
        assert {name: own.tolist() for name, own in traces.named(joined.runs[0])} == {
            name: own.tolist() for name, own in right.items()
        }


@few
@given(pieces.sizes(least=1), st.integers(1, 7))
def test_what_is_kept_of_shards_is_what_is_kept_of_all_examples(size, examples):
    shard, rows = size
    specs = [ScoreSpec(name) for name in ("el2n", "vog", "forgetting", "loss")]
    whole = traces.make_trace(specs, examples=rows)
    kept = []
    for bounds in (shards.bounds_of(rows, shard), [(0, rows)]):
        own = _Kept(specs, rows, examples, findings.ranked_rows(rows, examples))
        for start, end in bounds:
            own.add(start, whole.take(np.arange(start, end)))
        kept.append(own)
    parts, once = kept
    for spec in specs:
        assert np.array_equal(parts.columns(specs)[str(spec)], compute(spec, whole))
    pd.testing.assert_frame_equal(parts.most_doubted(), once.most_doubted())
    assert parts.sampled().ids.tolist() == once.sampled().ids.tolist()
    assert len(parts.sampled().ids) == min(rows, examples)


@few
@given(pieces.sizes(least=1), pieces.PARTS)
def test_scores_and_ids_are_written_part_by_part_as_at_once(size, most):
    part, rows = size
    columns = {"el2n": np.arange(rows) / 7, "vog": np.arange(rows)[::-1].astype(np.float32)}
    with TemporaryDirectory() as name:
        source = pieces.write(Path(name) / "data", rows, part)
        findings.write_scores(findings.Columns(source, "train", [], columns), Path(name))
        right = source.read("train", ["id", "label"]).assign(**columns)
        pd.testing.assert_frame_equal(pd.read_parquet(Path(name) / "scores.parquet"), right)
        assert np.array_equal(np.load(Path(name) / "vog.npy"), columns["vog"])
        smallest = findings._smallest_ids(source, "train", most)
        ids = source.read("train")["id"]
        assert smallest.tolist() == ids.sort_values(kind="stable").index[:most].tolist()


@few
@given(pieces.sizes(least=1), pieces.PARTS)
def test_cartography_is_written_shard_by_shard_as_at_once(size, part):
    shard, rows = size
    whole = traces.make_trace([ScoreSpec("confidence")], examples=rows)
    with TemporaryDirectory() as name:
        source = pieces.write(Path(name) / "data", rows, part)
        some = (whole.take(np.arange(*ends)) for ends in shards.bounds_of(rows, shard))
        findings.write_cartography(source, "train", some, Path(name))
        made = dynamics.read_cartography(Path(name) / result.CARTOGRAPHY)
        assert list(made.names) == source.array("train", "id").tolist()
        assert made.gold.tolist() == whole.labels.tolist()
        logits = whole.runs[0].at["logits"]
        assert np.array_equal(made.logits, np.stack([logits[step] for step in sorted(logits)]))


@few
@given(pieces.sizes(least=1))
def test_the_tokens_on_disk_are_those_of_all_rows_at_once(size):
    part, rows = size
    config = FitConfig(model="tiny", max_length=6)
    tokenizer = tokenizers.load_tokenizer(config, ["text 0 1 2 3 x", "x text"])
    with TemporaryDirectory() as name:
        source = pieces.write(Path(name) / "data", rows, part)
        made = open_tokens(source, "train", tokenizer, config, Path(name) / "tokens")
        at_once = encode(tokenizer, source.read("train"), config)
        for field in ("ids", "types", "starts", "lengths"):
            assert getattr(made, field).tolist() == getattr(at_once, field).tolist()
            assert getattr(made, field).dtype == getattr(at_once, field).dtype
        for places in (np.array([rows - 1]), np.arange(rows)):
            one, other = (tokens.collate(some, places) for some in (made, at_once))
            assert all(one[key].equal(other[key]) for key in other)


def scored(root: Path, rows: int, part: int) -> Scores:
    """Finished scores of a dataset in small parts."""
    pieces.write(root / "data", rows, part)
    return finished.scores(root, {"el2n": np.arange(rows, dtype=float)})


@settings(max_examples=12)
@given(pieces.sizes(least=3), st.integers(1, 2))
def test_a_sample_is_the_same_in_parts_and_in_the_order_of_its_subsets(size, draws):
    part, rows = size
    asked = (0.0, 0.3, 0.33333, 0.333333, 0.3333333, 1 - 3 / rows, max(0.0, 1 - 3.5 / rows))
    config = SampleStep(fractions=",".join(map(repr, asked)), min_per_class=0, groups="kind")
    asked = fractions(config.fractions)
    orders = [np.random.default_rng(draw).permutation(rows) for draw in range(draws)]
    with TemporaryDirectory() as name:
        source = scored(Path(name) / "scored", rows, part)
        made = Path(name) / "sample"
        shown = list(fill(config, source, EASY, orders, made))
        ids = source.data.array("train", "id")
        right = [
            (round(100 * fraction, 6), draw, ids[row])
            for fraction in asked
            for draw, order in enumerate(orders)
            for row in sorted(order[: sampling.kept_count(rows, fraction)])
        ]
        kept = pd.read_parquet(made / "kept.parquet")
        assert list(kept.itertuples(index=False, name=None)) == right
        counts = [round((1 - fraction) * rows) for fraction in asked]
        assert [record.metrics["sample/kept"] for record in shown] == counts
        sample = finished.sample(made, [percent_of(fraction) for fraction in asked])
        for (percent, draw), own in kept.groupby(["percent_pruned", "draw"]):
            subset = storage.open_saved(sample.subset(fraction_of(percent), draw))
            assert subset.array("train", "id").tolist() == own["id"].tolist()
            assert sorted(sample.ids(fraction_of(percent), draw)) == sorted(own["id"])
        percents = sorted(path.name for path in made.glob("subsets/*"))
        assert len(percents) == len(asked) and "percent-33.33333" in percents
        assert np.load(made / "order.npy").tolist() == [order.tolist() for order in orders]


TURNS = st.lists(st.sampled_from([0.0, 0.1, 0.25, 1 / 3, 0.5, 0.6]), max_size=3)


@settings(max_examples=15)
@given(pieces.sizes(least=4), TURNS)
def test_turns_keep_what_each_leaves_of_the_one_before(size, asked):
    part, rows = size
    config = SampleStep(fractions=",".join(map(repr, asked or [0.5])), min_per_class=0)
    with TemporaryDirectory() as name:
        whole = first = scored(Path(name) / "scored", rows, part)
        ids = whole.data.array("train", "id")
        turned, left, gone = [], list(ids), []
        for number, fraction in enumerate(iterative.iterations(config, whole)):
            own = SampleStep(fractions=repr(fraction), min_per_class=0)
            made = Path(name) / f"iteration {number}"
            order = np.random.default_rng(number).permutation(len(left))
            (shown,) = fill(own, first, EASY, [order], made)
            turned.append(finished.sample(made, [percent_of(fraction)]))
            names = storage.open_saved(made / "data").array("train", "id")
            assert names.tolist() == left
            count = int(shown.metrics["sample/kept"])
            gone = [names[row] for row in order[count:]] + gone
            left = [names[row] for row in sorted(order[:count])]
            kept = [names[row] for row in order[:count]]
            at = Path(name) / f"scored {number}"
            store.copy_tree(iterative.subset(turned[-1]), at / "data")
            first = finished.scores(at, {"el2n": np.arange(len(left), dtype=float)})
            wanted = sorted(set(asked or [0.5]))[number]
            assert count == sampling.kept_count(rows, wanted)
        joined = iterative._joined(whole, turned)
        assert ids[joined].tolist() == [*kept, *gone]
        assert sorted(joined) == list(range(rows))


@few
@given(pieces.sizes(least=3), st.sampled_from([None, 0, 5, 50, 65]))
def test_the_subset_that_a_search_leaves_is_the_one_that_it_chose(size, percent):
    part, rows = size
    with TemporaryDirectory() as name:
        scores = scored(Path(name) / "scored", rows, part)
        searched = Scored(scores, (), 0)
        chosen, kept = None, rows
        if percent is not None:
            candidate = space.Candidate(EASY, percent, 0, {})
            chosen = Trial(0, "complete", candidate, (), (), 0, 0)
            kept = sampling.kept_count(rows, percent / 100)
        write_subset(scores, _recommended(searched, chosen), Path(name))
        subset = storage.open_saved(Path(name) / "subset")
        right = pq.read_table(scores.directory / "data/train.parquet").slice(rows - kept)
        assert pq.read_table(Path(name) / "subset/train.parquet").to_pylist() == right.to_pylist()
        assert (subset.digest == scores.data.digest) == (kept == rows)


@few
@given(st.lists(st.integers(0, 5), min_size=1, max_size=7), st.data())
def test_a_trace_that_is_cut_and_joined_is_the_same(counts, data):
    whole = traces.make_trace(examples=sum(counts))
    ends = np.cumsum([0, *counts])
    cut = [whole.take(np.arange(*pair)) for pair in zip(ends, ends[1:], strict=False)]
    joined = records.join(cut)
    for one, other in zip(traces.arrays(joined), traces.arrays(whole), strict=True):
        assert np.array_equal(one, other) and one.dtype == other.dtype
    rows = np.array(data.draw(st.lists(st.integers(0, max(sum(counts) - 1, 0)), max_size=5)))
    rows = rows[: sum(counts)].astype(int)
    assert whole.take(rows).ids.tolist() == [whole.ids[row] for row in rows]
    assert joined.take(rows).runs[0].whole["observations"].shape == (7, len(rows))


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 99_999))
@example(1 / 6, 9)
@example(0.059, 500)
def test_a_fraction_and_the_percent_that_names_it_leave_as_many_examples(asked, rows):
    (value,) = fractions(repr(min(asked, 0.99999999)))
    assert fraction_of(percent_of(value)) == value and abs(value - asked) < 1e-8
    counts = [sampling.kept_count(rows, own) for own in (value, fraction_of(percent_of(value)))]
    assert counts[0] == counts[1]


def test_the_curve_is_retrained_on_the_very_subset_that_the_sample_holds(tmp_path, monkeypatch):
    at = finished.labelled(tmp_path / "scored", np.array([0, 1] * 250), ("a", "b"))
    scores = finished.scores(at, {"el2n": np.arange(500.0)})
    config = SampleStep(fractions="0.059")  # times 100, to six decimals, by 100: a bit more
    list(fill(config, scores, EASY, [np.arange(500)[::-1]], tmp_path / "sample"))
    sample = finished.sample(tmp_path / "sample", [percent_of(0.059)])
    (directory,) = (tmp_path / "sample/subsets").glob("*/draw-0")
    taken = []

    def retrain(place, kept, number):
        taken.append(np.sort(kept))
        return Point(5.8, number, len(kept), 1, 0.0, {})

    place = Place(sample, "test", FitConfig(), "epochs", 0.5, "cpu", tmp_path)
    monkeypatch.setitem(retrain_point.__globals__, "retrain", retrain)  # the package hides it
    point = retrain_point(place, 5.9, 0)
    assert (point.percent_pruned, point.kept) == (5.9, 471)
    subset = storage.open_saved(directory).array("train", "id")
    assert subset.tolist() == [f"{row:04d}" for row in taken[0]]


@given(st.integers(1, 99_999), st.floats(0, 1), st.floats(0, 1))
def test_a_turn_prunes_from_what_is_left_to_the_very_count(rows, first, second):
    before, after = sorted((max(1, round(rows * first)), max(1, round(rows * second))))[::-1]
    (value,) = fractions(repr(1 - after / before))
    assert sampling.kept_count(before, value) == after


def test_scores_of_no_rows_are_a_table_without_rows(tmp_path):
    source = pieces.write(tmp_path / "data", 0, 4)
    columns = findings.Columns(source, "train", [], {"el2n": np.zeros(0)})
    findings.write_scores(columns, tmp_path)
    empty = pd.read_parquet(tmp_path / "scores.parquet")
    assert empty.columns.tolist() == ["id", "label", "el2n"] and len(empty) == 0
    assert len(findings._smallest_ids(source, "train")) == 0
