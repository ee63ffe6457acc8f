"""Reading CSV files of unknown origin: a fault is named with its line."""

import codecs
import csv
import gzip
import io
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from theanoish.errors import InputError

Faults = dict[str, list[str]]  # places by kind


def read_rows(
    file: Path,
    delimiters: str,
    needed: Sequence[str],
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
    faults : dict from str to list of str, optional
        Takes rows of another length, which are an error otherwise, as are line breaks in a quoted field.
    notes : list of str, optional
        Takes what was read in another encoding, UTF-16 or Windows-1252, which is an error otherwise.
    """
    line = 1
    try:
        lines = io.StringIO(_text(file, notes), newline="")
        first = next(lines, "")
        if first[:4].casefold() == "sep=":  # a line of Excel's own
            first, line = next(lines, ""), 2
        delimiter = max(delimiters, key=first.count)
        skip = delimiter != "\t"  # spaces before a field, whose quotation marks would else be part of it
        header = next(csv.reader([first], delimiter=delimiter, strict=True, skipinitialspace=skip), [])
        _check_header(f"{file}, line {line}", header, delimiter, needed)
        yield line, header
        reader, before = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=skip), line
        if notes is not None and delimiter == "\t" and '"' not in first and not _quotes(lines, len(header)):
            reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        while True:
            line = before + reader.line_num + 1
            if (row := next(reader, None)) is None:
                return
            if before + reader.line_num > line and faults is None:
                raise csv.Error(f"a quotation mark opens a field that ends in line {before + reader.line_num}")
            if not any(field.strip() for field in row):
                continue
            if len(row) == len(header):
                yield line, row
            elif faults is None:
                raise InputError(f"{file}, line {line}: has {len(row)} fields, not {len(header)}")
            else:
                kind = "a row has another number of fields than the header"
                faults[kind].append(f"line {line}: {len(row)}, not {len(header)}")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: is not UTF-8 text ({error}); save it as UTF-8") from error
    except csv.Error as error:
        raise InputError(f"{file}, line {line}: is no row ({error}); see to its quotation marks") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{file}: cannot be read as a table ({getattr(error, 'strerror', None) or error})") from error


def _quotes(lines: io.StringIO, fields: int) -> bool:
    """Whether the marks in the rest of a table quote, as Excel's do; Rekordbox writes those of a title as they are."""
    place = lines.tell()
    try:
        return all(len(row) in (0, fields) for row in csv.reader(lines, delimiter="\t", strict=True))
    except csv.Error:
        return False
    finally:
        lines.seek(place)


def _text(file: Path, notes: list[str] | None) -> str:
    with (gzip.open if file.suffix == ".gz" else open)(file, "rb") as opened:
        content = opened.read()
    if content[:4] in (b"PK\3\4", b"\xd0\xcf\x11\xe0"):
        raise InputError(f"{file}: is a spreadsheet, not a table as text; save it by 'Save as', 'CSV UTF-8'")
    try:
        if notes is not None and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            notes.append(f"{file.name}: read as UTF-16")
            text = content.decode("utf-16")
        else:
            text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if notes is None:
            raise
        kind = "is not UTF-8 and was read as Windows-1252; see whether its accents are right"
        notes.append(f"warning: {file.name} {kind}")
        text = content.decode("cp1252")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{file}, line {line}: holds a NUL character; the file must be UTF-8 text")
    return text


def _check_header(place: str, header: list[str], delimiter: str, needed: Sequence[str]) -> None:
    separated = {"\t": "tabs", ",": "commas", ";": "semicolons"}[delimiter]
    for name in needed:
        if name not in header:
            raise InputError(
                f"{place}: has no column '{name}'; the file must have a header and be separated by {separated}"
            )
    for name, count in Counter(header).items():
        if name and count > 1:
            raise InputError(f"{place}: has more than one column {name!r}")
