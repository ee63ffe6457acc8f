"""Tables of any bytes: rows as the csv module of Python reads them, or an error that names the file."""

import csv
import gzip
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theanoish.data.csv_table import read_rows
from theanoish.errors import InputError

FIELDS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=8)
DELIMITERS = st.sampled_from("\t,;")


@given(st.lists(st.lists(FIELDS, min_size=3, max_size=3), max_size=6), DELIMITERS)
def test_what_csv_writes_is_read_back(tmp_path_factory, rows, delimiter):
    path = tmp_path_factory.getbasetemp() / "a.csv"
    header = ["one", "two", "three"]
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    found = [(line, stripped(row)) for line, row in read_rows(path, ",;\t", ("two",))]
    assert found == [(line, stripped(row)) for line, row in enumerate([header, *rows], start=1) if any(stripped(row))]


def stripped(row):
    """A space before a field may or may not be part of it."""
    return [field.strip() for field in row]


def test_spaces_before_quotation_marks_and_rows_of_nothing(tmp_path):
    path = tmp_path / "c.csv"
    path.write_text('file, tags\n a.mp3, "rock; piano"\n,\n , \n\nb.mp3,x\n')
    rows = [(1, ["file", "tags"]), (2, ["a.mp3", "rock; piano"]), (6, ["b.mp3", "x"])]
    assert list(read_rows(path, ",;\t", ())) == rows


@given(st.binary(max_size=200) | st.text('ab,;\t"\n\r\0\ufeffé', max_size=200).map(str.encode), st.booleans())
def test_any_bytes_give_rows_of_one_length_or_an_error_that_names_the_file(tmp_path_factory, content, lenient):
    path = tmp_path_factory.getbasetemp() / "b.csv"
    path.write_bytes(content)
    try:
        rows = list(read_rows(path, ",;\t", (), defaultdict(list) if lenient else None))
    except InputError as error:
        assert "b.csv" in str(error)
    else:
        assert len({len(row) for _, row in rows}) == 1
        lines = [line for line, _ in rows]
        assert lines == sorted(set(lines)) and lines[0] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('a\tb\n1\t2\n3\t"4\n5\t6\n', "line 3: is no row"),  # never closed
        ('a\tb\n1\t2\n3\t"4\n5\t6"\n7\t8\n', "line 3: is no row (a quotation mark opens a field that ends in line 4)"),
        ('a\tb\n1\t2\n3\t"4\n5\t"6"\n7\t8\n', "line 3: is no row"),  # closed by another's
        ("a\tb\n1\t\0\n", "line 2: holds a NUL character"),
        ("a\ta\tb\n", "more than one column 'a'"),
        ("a\tc\n", "line 1: has no column 'b'"),
        ("a\tb\n1\n", "line 2: has 1 fields, not 2"),
        ("a\tb\n" + "x" * 200_000 + "\t\n", "line 2: is no row (field larger than field limit"),
        ("sep=\t\na\tb\n\n1\n", "line 4: has 1 fields, not 2"),
        ('sep=\t\na\tb\n1\t2\n3\t"4\n5\t6\n', "line 4: is no row"),
    ],
)
def test_faults_are_named_with_their_line(tmp_path, text, message):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(InputError) as error:
        list(read_rows(path, "\t", ("a", "b")))
    assert str(error.value).startswith(f"{path}, ") and message in str(error.value)


def test_a_header_of_very_many_columns_is_read(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("\t".join(map(str, range(200_000))))
    ((line, header),) = read_rows(path, "\t", ("7",))
    assert line == 1 and len(header) == 200_000


def test_a_spreadsheet_is_named(tmp_path):
    """Of either of Excel's formats."""
    for number, begin in enumerate((b"PK\3\4", b"\xd0\xcf\x11\xe0")):
        (tmp_path / f"{number}.csv").write_bytes(begin + bytes(9))
        with pytest.raises(InputError, match="is a spreadsheet"):
            list(read_rows(tmp_path / f"{number}.csv", ",", ()))
