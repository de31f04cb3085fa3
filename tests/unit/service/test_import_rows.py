from __future__ import annotations

import gzip
import io
import sys

import pytest

from flow.errors import Reason, Rejected
from service.import_rows import import_file


def rows_of(path, form=None, delimiter=","):
    with import_file(str(path), form, delimiter) as file:
        return list(file.rows())


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_rows_of_csv_know_their_number_line_and_values(tmp_path):
    path = write(tmp_path, "log.csv", 'item,note\nA,"two\nlines"\n\nB,plain\n')
    rows = rows_of(path)
    assert [(row.number, row.line, dict(row.values)) for row in rows] == [
        (1, 2, {"item": "A", "note": "two\nlines"}),
        (2, 5, {"item": "B", "note": "plain"}),
    ]


def test_gzip_a_byte_order_mark_and_another_delimiter_are_read(tmp_path):
    path = write(tmp_path, "log.csv.gz", gzip.compress("\ufeffitem;at\nÄ;1\n".encode()))
    assert [dict(row.values) for row in rows_of(path, delimiter=";")] == [{"item": "Ä", "at": "1"}]


def test_columns_of_one_name_are_joined(tmp_path):
    path = write(tmp_path, "log.csv", "item,Labels,Labels,Labels\nA,web,,slow\nB,,,late\n")
    assert [row.values["Labels"] for row in rows_of(path)] == ["web,slow", "late"]


def test_a_row_with_too_many_fields_says_so_and_the_next_is_read(tmp_path):
    path = write(tmp_path, "log.csv", "item,at\nA,1,2\nB,3\nC\n")
    rows = rows_of(path)
    assert "3 fields" in (rows[0].problem or "")
    assert [dict(row.values) for row in rows[1:]] == [{"item": "B", "at": "3"}, {"item": "C"}]


def test_json_lines_are_objects_and_others_say_what_is_wrong(tmp_path):
    path = write(tmp_path, "log.jsonl", b'\xef\xbb\xbf{"a": 1}\n\n[1]\nnothing\n{"a": "\xff"}')
    rows = rows_of(path)
    assert dict(rows[0].values) == {"a": 1}
    assert [row.line for row in rows] == [1, 3, 4, 5]
    assert [row.problem is None for row in rows] == [True, False, False, False]


@pytest.mark.parametrize(
    ("name", "content", "reason", "said"),
    [
        ("a.csv", "", Reason.INVALID_REQUEST, "empty"),
        ("a.csv", 'item\n"open', Reason.INVALID_REQUEST, "line 2"),
        ("a.csv", b"item\n\xff\xfe\n", Reason.INVALID_ENCODING, "UTF-8"),
        ("a.csv.gz", gzip.compress(b"item\n" + b"A\n" * 9000, mtime=0)[:-20], Reason.INVALID_ENCODING, "gzip"),
        ("a.csv.gz", b"\x1f\x8bnonsense", Reason.INVALID_ENCODING, "gzip"),
        ("a.csv", b"\xff\xfeitem\nA\n", Reason.INVALID_ENCODING, "UTF-8"),
        ("a.jsonl", '[{"a": 1}]', Reason.INVALID_REQUEST, "array"),
        ("a.txt", "item\nA\n", Reason.INVALID_REQUEST, "--format"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_what_to_do(tmp_path, name, content, reason, said):
    with pytest.raises(Rejected, match=said) as caught:
        rows_of(write(tmp_path, name, content))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("content", "said"), [(b"\xff\xfeitem\n", "UTF-8"), (b"\x1f\x8bnonsense", "gzip"), (b"", "empty")]
)
def test_columns_that_cannot_be_read_say_why(tmp_path, content, said):
    with import_file(str(write(tmp_path, "a.csv", content)), None, ",") as file, pytest.raises(Rejected, match=said):
        file.header()


def test_a_missing_file_is_named():
    with pytest.raises(Rejected, match=r"nowhere\.csv"):
        rows_of("nowhere.csv")


def test_standard_input_can_be_read_twice(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(b"item\nA\n"))))
    with import_file("-", "csv", ",") as file:
        assert [dict(row.values) for row in file.rows()] == [{"item": "A"}]
        assert len(list(file.rows())) == 1
        assert file.header() == ["item"]
        path = file.path
    assert not path.exists()
