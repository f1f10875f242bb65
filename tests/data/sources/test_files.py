"""Files are read as other tools write them, or one sentence says what is wrong and where."""

import bz2
import gzip
import io
import json
import lzma
import zipfile

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from influence.data.sources import files
from influence.errors import InputError
from tests.helpers.tables import SPLITS, examples, load, load_error, write

ROWS = [{"text": "a, b", "label": 0}, {"text": 'say "c"', "label": 1}, {"text": "é", "label": 0}]


def read(path):
    return files.read_file(path).table


def refused(path):
    with pytest.raises(InputError) as error:
        files.read_file(path)
    assert "\n" not in str(error.value)
    return str(error.value)


# JSON


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=1),
        "\n \n" + json.dumps(ROWS, indent=1) + "\n",
        "\ufeff" + json.dumps(ROWS, ensure_ascii=False),
        "\n".join(map(json.dumps, ROWS)),
        pd.DataFrame(ROWS).to_json(),
        pd.DataFrame(ROWS).to_json(indent=2),
        pd.DataFrame(ROWS).to_json(orient="records"),
        json.dumps({"text": [row["text"] for row in ROWS], "label": [0, 1, 0]}),
        pd.DataFrame(ROWS).set_axis(["a", "b", "c"]).to_json(orient="index"),
        json.dumps({"examples": ROWS}),
        json.dumps({"examples": ROWS}, indent=1),
    ],
)
@pytest.mark.parametrize("ending", ["json", "jsonl"])
def test_json_is_an_object_per_line_an_array_or_an_object_of_columns(tmp_path, content, ending):
    (tmp_path / f"train.{ending}").write_text(content, encoding="utf-8")
    assert read(tmp_path / f"train.{ending}").to_dict("records") == ROWS


def test_arrays_of_appended_batches_are_all_read(tmp_path):
    batches = [json.dumps(ROWS), json.dumps(ROWS[:1], indent=1), json.dumps(ROWS[1:])]
    (tmp_path / "train.jsonl").write_text("\n".join(batches) + "\n")
    assert read(tmp_path / "train.jsonl").to_dict("records") == [*ROWS, *ROWS[:1], *ROWS[1:]]
    (tmp_path / "train.jsonl").write_text(batches[0] + "\nxx{{{\n")
    assert "line 2 is not JSON" in refused(tmp_path / "train.jsonl")
    (tmp_path / "train.jsonl").write_text(batches[0] + '\n{"text": "a"}\n')
    assert "line 2 is not an array, although the first is" in refused(tmp_path / "train.jsonl")


def test_what_a_spreadsheet_adds_is_no_data(tmp_path):
    (tmp_path / "train.csv").write_text("sep=,\nv1,v2,,\nham,a b,,\nspam,c,,\n")
    assert read(tmp_path / "train.csv").to_dict("list") == {
        "v1": ["ham", "spam"],
        "v2": ["a b", "c"],
    }
    (tmp_path / "train.csv").write_text('label, text\npos, "hello, you"\nneg, bye\n')
    table = read(tmp_path / "train.csv")
    assert table["text"].tolist() == ["hello, you", "bye"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('[{"text": "a"},\n{"text": }]', "line 2 is not JSON"),
        ('[{"text": "a"},\n{"text": "b"}', "line 2 is not JSON"),
        ('[{"text": "a"}, 3]', "nor does it begin an array of objects: element 2 is int"),
        ('[{"text": "a"},\n{"text": "\\ud83d"}]', "element 2 holds half of a surrogate pair"),
        ('{"data": [{"text": "a"}], "version": 1}\n', None),  # one example as far as one can know
        (
            '{\n"data": [{"text": "a"}],\n"version": 1}',
            "one object with the keys 'data', 'version'",
        ),
        ('{\n"data": [{"text": "a"}]', "line 1 is not JSON"),
        (pd.DataFrame(ROWS).to_json(orient="split"), "one object with the keys 'columns', 'index'"),
        (pd.DataFrame(ROWS).to_json(orient="table"), "one object with the keys 'schema', 'data'"),
        (pd.DataFrame(ROWS).to_json(orient="values"), "element 1 is list"),
        ('{"text": "a"}\n{"text": "b"}\n[]', "line 3 is not a JSON object"),
    ],
)
def test_json_that_holds_no_examples_is_refused_with_the_place(tmp_path, content, said):
    (tmp_path / "train.json").write_text(content)
    if said:
        assert said in refused(tmp_path / "train.json")
    else:
        assert len(read(tmp_path / "train.json")) == 1


def test_whole_numbers_stay_whole_beside_missing_ones(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": 7}\n{"text": null}\n{"label": 2}\n')
    pq.write_table(pa.table({"text": pa.array([7, None, None])}), tmp_path / "a.parquet")
    for path in (tmp_path / "a.jsonl", tmp_path / "a.parquet"):
        assert str(read(path)["text"][0]) == "7"


# compression


def compressed(content: bytes, ending: str) -> bytes:
    if ending == "zip":
        with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
            archive.writestr("folder/train.csv", content)
            archive.writestr("__MACOSX/train.csv", b"")
        return buffer.getvalue()
    if ending == "zst":
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as stream:
            stream.write(content)
        return sink.getvalue().to_pybytes()
    return {"gz": gzip, "bz2": bz2, "xz": lzma}[ending].compress(content)


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "zip"])
def test_compressed_files_are_read(tmp_path, ending):
    rows = pd.DataFrame(ROWS)
    plain = {
        "csv": rows.to_csv(index=False),
        "tsv": rows.to_csv(index=False, sep="\t"),
        "jsonl": rows.to_json(orient="records", lines=True),
        "json": rows.to_json(orient="records"),
    }
    for name, content in plain.items():
        path = tmp_path / f"train.{name}.{ending}"
        path.write_bytes(compressed(content.encode(), ending))
        assert read(path)["text"].tolist() == rows["text"].tolist()
        assert read(path)["label"].astype(int).tolist() == [0, 1, 0]


def test_a_folder_of_compressed_files_is_a_dataset(tmp_path):
    for split in SPLITS:
        content = examples(12).to_csv(index=False).encode()
        (tmp_path / f"{split}.csv.gz").write_bytes(gzip.compress(content))
    dataset = load(str(tmp_path))
    assert [len(rows) for rows in dataset.splits.values()] == [12, 12, 12]
    assert "train.csv.gz, validation.csv.gz and test.csv.gz" in dataset.source


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz", "zst", "zip"])
@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: b"no archive"])
def test_a_damaged_archive_is_one_sentence(tmp_path, ending, damage):
    content = "".join(f"text {n * 7919},{n % 2}\n" for n in range(5000))
    path = tmp_path / f"train.csv.{ending}"
    path.write_bytes(damage(compressed(f"text,label\n{content}".encode(), ending)))
    assert f"cannot read {path} as csv" in refused(path)


# fields


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"text;label\na;0\n", "separated by semicolons, not by commas"),
        (b"text;label\na, b;0\n", "separated by semicolons, not by commas"),
        (b"text\tlabel\na\t0\n", "separated by tabs, not by commas"),
        (b"text|label\na|0\n", "separated by vertical bars, not by commas"),
        (b'text,label\na,0\n"b, c" d,1\n', "line 3: "),
        (b'text,label\na,0\n"b \\"c, d\\" e",1\n', "line 3: "),
        (b'text,label\n"a\nb",0\n"c\nd" e,1\n', "the row that begins in line 4: "),
        (b'text,label\na,0\n"b,1\nc,0\nd,1\n', "the row that begins in line 3: "),
        (b"text,label\na,0\nb, c,1\n", "line 3 has 3 fields, the header 2"),
        ("text,label\na,0\né,1\n".encode("latin-1"), "line 3 is not UTF-8"),
        ("text,label\na,0\n".encode("utf-16"), "it is UTF-16, not UTF-8"),
        ("text,label\na,0\n".encode("utf-16-le"), "as UTF-16 does; save it as UTF-8"),
    ],
)
def test_a_csv_that_is_none_is_refused_with_its_line_or_its_reason(tmp_path, content, said):
    (tmp_path / "train.csv").write_bytes(content)
    assert said in refused(tmp_path / "train.csv")


def test_an_escaped_quote_gets_a_hint(tmp_path):
    (tmp_path / "train.csv").write_text('text,label\n"he said \\"stop, now\\" twice",1\n')
    assert "put no backslash before it" in refused(tmp_path / "train.csv")


def test_a_tsv_that_is_separated_by_commas_is_refused(tmp_path):
    (tmp_path / "train.tsv").write_text("text,label\na,0\n")
    assert "separated by commas, not by tabs" in refused(tmp_path / "train.tsv")


def test_rows_of_a_csv_that_a_quote_may_have_swallowed_are_said(tmp_path):
    lines = ["text,label", '"hello,0', "b,1", 'c",0', '"d\ne",1', "f,0"]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    rows = files.read_file(tmp_path / "train.csv")
    assert rows.table["text"].tolist() == ["hello,0\nb,1\nc", "d\ne", "f"]
    (note,) = rows.notes
    assert note.startswith("train.csv: lines 2 to 4 are read as one row")


@pytest.mark.parametrize(
    "lines",
    [
        ['"Hello there\t1', 'b"\t0', "c\t1"],  # GLUE's quotes: each is a letter
        ['"Hello" there\t1', 'b"\t0', "c\t1"],
        ['"Hello\t1', 'he said "b"\t0', '"c\t1'],
    ],
)
def test_quotes_of_a_tsv_that_do_not_enclose_fields_are_letters(tmp_path, lines):
    (tmp_path / "train.tsv").write_text("\n".join(["text\tlabel", *lines]) + "\n")
    rows = files.read_file(tmp_path / "train.tsv")
    assert rows.table["text"].tolist() == [line.split("\t")[0] for line in lines]
    assert rows.table["label"].tolist() == [line.split("\t")[1] for line in lines]
    assert rows.notes == (
        "train.tsv: quotes are read as ordinary characters, because they do not enclose "
        "whole fields",
    )


def test_quotes_of_a_tsv_that_enclose_fields_are_none_of_the_text(tmp_path):
    texts = ['say "hi"', "a\tb", "two\nlines", "plain", '"']
    frame = pd.DataFrame({"text": texts, "label": list("xyxyx")})
    frame.to_csv(tmp_path / "train.tsv", sep="\t", index=False)
    rows = files.read_file(tmp_path / "train.tsv")
    assert rows.table["text"].tolist() == texts and rows.notes == ()


# texts


def test_texts_that_are_numbers_truths_or_dates_are_texts(tmp_path):
    day = pd.Timestamp("2020-02-01")
    for name, values, texts in (
        ("whole", [1, 22, 3], ["1", "22", "3"]),
        ("missing", [1, None, 3], ["1", "3"]),
        ("fractions", [0.5, 2.0, None], ["0.5", "2.0"]),
        ("truths", [True, False, True], ["True", "False", "True"]),
        ("dates", [day, day, day], ["2020-02-01 00:00:00"] * 3),
        ("mixed", ["a", 5, None], ["a", "5"]),
    ):
        rows = pd.DataFrame({"text": values, "label": [0, 1, 1]})
        rows["label"] = [0, 1, 0] if name == "missing" else rows["label"]
        endings = ["jsonl"] if name == "mixed" else ["parquet"]
        if name == "missing":
            rows["text"] = rows["text"].astype("Int64")
            rows.loc[2, "label"] = 1
            endings = ["parquet", "jsonl", "csv"]
        for ending in endings:
            path = write(tmp_path / f"{name}-{ending}", ending, **dict.fromkeys(SPLITS, rows))
            assert load(path).train["text"].tolist() == texts, (name, ending)


def test_texts_as_bytes_and_as_lists_are_named_as_such(tmp_path):
    for name, values, said in (
        ("bytes", [b"a", b"b"], "column 'text' holds bytes, not texts"),
        ("lists", [["a", "b"], ["c"]], "column 'text' holds lists, not texts"),
        ("objects", [{"en": "a"}, {"en": "b"}], "column 'text' holds objects, not texts"),
    ):
        rows = pd.DataFrame({"text": values, "label": [0, 1]})
        path = write(tmp_path / name, train=rows, validation=rows, test=rows)
        assert said in load_error(path)


def test_text_columns_may_be_large_or_dictionaries(tmp_path):
    for name, kind in (
        ("large", pa.large_string()),
        ("view", pa.string_view()),
        ("dictionary", pa.dictionary(pa.int32(), pa.string())),
    ):
        (tmp_path / name).mkdir()
        table = pa.table({"text": pa.array(["a", None, "b"]).cast(kind), "label": [0, 1, 1]})
        for split in SPLITS:
            pq.write_table(table, tmp_path / name / f"{split}.parquet")
        dataset = load(str(tmp_path / name))
        assert dataset.train["text"].tolist() == ["a", "b"]
        assert dataset.dropped["train rows with an empty text"] == 1
