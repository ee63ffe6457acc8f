"""Reading CSV files of unknown origin: a fault is named with its line, and costs no more than reading up to it."""

import codecs
import csv
import gzip
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from theanoish.errors import InputError

Faults = dict[str, list[str]]  # places by kind
LONGEST_LINE = 2**22  # characters
LONGEST_TEXT = 2**30


def read_rows(
    file: Path,
    delimiters: str,
    needed: Sequence[str],
    line_breaks: bool = False,
    faults: Faults | None = None,
    notes: list[str] | None = None,
) -> Iterator[tuple[int, list[str]]]:
    """Line number and fields of the header, then of each row that is not empty, every one as long as the header.

    Parameters
    ----------
    file : Path
        UTF-8, with or without byte order mark; packed where its name ends in ``.gz``.
    delimiters : str
        The one that is most often in the header separates the fields.
    needed : sequence of str
        Columns that the header must have.
    line_breaks : bool
        Whether a quoted field may hold line breaks; otherwise they are a quotation mark's fault.
    faults : dict from str to list of str, optional
        Takes rows of another length, which are an error otherwise.
    notes : list of str, optional
        Takes what was read in another encoding, UTF-16 or Windows-1252, which is an error otherwise.

    Raises
    ------
    InputError
        Where the file is broken: the message names it, the line and the field.
    """
    line = 1
    try:
        encoding = "utf-8-sig" if notes is None else _encoding(file, notes)
        with (gzip.open if file.suffix == ".gz" else open)(file, "rt", encoding=encoding, newline="") as text:
            lines = _lines(file, text)
            first = next(lines, "")
            delimiter = max(delimiters, key=first.count)
            skip = delimiter != "\t"  # spaces before a field, whose quotation marks would else be part of it
            header = next(csv.reader([first], delimiter=delimiter, strict=True, skipinitialspace=skip), [])
            _check_header(file, header, delimiter, needed)
            yield line, header
            reader = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=skip)
            while True:
                line = reader.line_num + 2
                row = next(reader, None)
                if row is None:
                    return
                if reader.line_num + 1 > line and not line_breaks:
                    raise csv.Error(f"a quotation mark opens a field that ends in line {reader.line_num + 1}")
                if not any(field.strip() for field in row):
                    continue
                if len(row) == len(header):
                    yield line, row
                elif faults is not None:
                    faults["a row has another number of fields than the header"].append(
                        f"line {line}: {len(row)}, not {len(header)}"
                    )
                else:
                    raise InputError(f"{file}, line {line}: has {len(row)} fields, not {len(header)}")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8 text ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{file}, line {line}: is no row ({error}); see to its quotation marks") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read as a table ({getattr(error, 'strerror', None) or error})") from error


def _encoding(file: Path, notes: list[str]) -> str:
    """What spreadsheets save a table in: UTF-8 if it can be."""
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as content:
        head = content.read(4)
        if head in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
            raise InputError(f"{file}: is a spreadsheet, not a table as text; save it by 'Save as', 'CSV UTF-8'")
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            notes.append(f"{file.name}: read as UTF-16")
            return "utf-16"
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            decoder.decode(head)
            while chunk := content.read(2**20):
                decoder.decode(chunk)
        except UnicodeDecodeError:
            notes.append(
                f"warning: {file.name} is not UTF-8 and was read as Windows-1252; see whether its accents are right"
            )
            return "cp1252"
    return "utf-8-sig"


def _lines(file: Path, text: TextIO) -> Iterator[str]:
    number, characters = 0, 0
    while line := text.readline(LONGEST_LINE):
        number += 1
        characters += len(line)
        if len(line) == LONGEST_LINE or characters > LONGEST_TEXT:
            raise InputError(f"{file}, line {number}: is too long for a table's row")
        if "\0" in line:
            raise InputError(f"{file}, line {number}: holds a NUL character; the file must be UTF-8 text")
        yield line


def _check_header(file: Path, header: list[str], delimiter: str, needed: Sequence[str]) -> None:
    separated = {"\t": "tabs", ",": "commas", ";": "semicolons"}[delimiter]
    for name in needed:
        if name not in header:
            raise InputError(
                f"{file}, line 1: has no column '{name}'; the file must have a header and be separated by {separated}"
            )
    for name, count in Counter(header).items():
        if name and count > 1:
            raise InputError(f"{file}, line 1: has more than one column {name!r}")
