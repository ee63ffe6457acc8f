"""MagnaTagATune's two tables: which clip has which tags, who made it, and which split it belongs to (section 4)."""

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from theanoish.data.csv_table import read_rows
from theanoish.errors import InputError

ANNOTATIONS_FILE = "annotations_final.csv"
CLIP_INFO_FILE = "clip_info_final.csv"
TAGS_KEPT = 50
SPLIT_OF_FOLDER = {folder: "train" for folder in "0123456789ab"} | {"c": "validation"} | dict.fromkeys("def", "test")


@dataclass(frozen=True)
class Annotations:
    """The annotated clips, in the order of the table."""

    folder: Path  # holds the audio files
    ids: NDArray[np.int64]  # (clips,)
    paths: list[str]  # (clips,), relative to `folder`
    artists: list[str]  # (clips,), as are albums and titles
    albums: list[str]
    titles: list[str]
    splits: NDArray[np.str_]  # (clips,): "train", "validation" or "test"
    tags: list[str]  # in the order of the table
    labels: NDArray[np.uint8]  # (clips, tags)


def read_annotations(folder: Path) -> Annotations:
    """Read ``annotations_final.csv`` and ``clip_info_final.csv`` (or their ``.csv.gz``) of a data set.

    Clips without an ``mp3_path`` are not part of the data set and are passed over. Their folders ``0`` to ``f`` are in
    `folder` or in its ``mp3``.
    """
    file = _find(folder, ANNOTATIONS_FILE)
    rows = read_rows(file, "\t", ("clip_id", "mp3_path"))
    _, header = next(rows)
    if "" in header:
        raise InputError(
            f"{file}, line 1: column {header.index('') + 1} has no name; remove it (an index, perhaps) or name it"
        )
    tag_columns = [i for i, name in enumerate(header) if name not in ("clip_id", "mp3_path")]
    if not tag_columns:
        raise InputError(f"{file}: has no tag column between 'clip_id' and 'mp3_path'")
    id_column, path_column = header.index("clip_id"), header.index("mp3_path")
    paths: dict[int, str] = {}
    lines: dict[str, int] = {}  # of each path
    labels = []
    for line, row in rows:
        if path := row[path_column]:
            clip = _clip_id(row[id_column])
            if clip is None:
                raise InputError(f"{file}, line {line}: 'clip_id' is {row[id_column]!r}, not a whole number")
            if clip in paths:
                raise InputError(f"{file}, line {line}: 'clip_id' {clip} occurs a second time")
            if path in lines:
                raise InputError(f"{file}, line {line}: 'mp3_path' is {path!r}, as in line {lines[path]}")
            _check_path(file, line, path)
            paths[clip], lines[path] = path, line
            labels.append(_labels(file, line, row, header, tag_columns))
    if not paths:
        raise InputError(f"{file}: lists no clip with an 'mp3_path'")
    info = _read_clip_info(_find(folder, CLIP_INFO_FILE), paths)
    below = folder / "mp3"
    return Annotations(
        folder=below if any(os.path.isfile(below / path) for path in lines) else folder,
        ids=np.array(list(paths), np.int64),
        paths=list(paths.values()),
        artists=[info[clip][0] for clip in paths],
        albums=[info[clip][1] for clip in paths],
        titles=[info[clip][2] for clip in paths],
        splits=np.array([SPLIT_OF_FOLDER[path[0]] for path in paths.values()]),
        tags=[header[i] for i in tag_columns],
        labels=np.array(labels, np.uint8),
    )


def most_frequent_tags(labels: NDArray[np.uint8], count: int = TAGS_KEPT) -> NDArray[np.intp]:
    """Columns of the `count` most frequent tags, or of all that occur where they are fewer.

    Parameters
    ----------
    labels : uint8 array (clips, tags)
        Of all annotated clips, readable or not.

    Returns
    -------
    int array (at most `count`,)
        By falling number of clips, ties in the order of the columns.
    """
    clips = labels.sum(axis=0, dtype=np.int64)
    order = np.argsort(-clips, kind="stable")
    return order[clips[order] > 0][:count]


def _find(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.is_file():
            return file
    raise InputError(f"{folder}: holds no {name} (nor {name}.gz), the table that comes with the data set")


def _clip_id(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def _check_path(file: Path, line: int, path: str) -> None:
    if path[0] not in SPLIT_OF_FOLDER or path[1:2] != "/":
        raise InputError(f"{file}, line {line}: 'mp3_path' is {path!r}; it must begin with a folder, 0 to 9 or a to f")
    if ".." in PurePosixPath(path).parts:
        raise InputError(f"{file}, line {line}: 'mp3_path' is {path!r}, which leaves its folder")


def _labels(file: Path, line: int, row: list[str], header: list[str], columns: list[int]) -> list[bool]:
    for column in columns:
        if row[column] not in ("0", "1"):
            raise InputError(f"{file}, line {line}: tag '{header[column]}' is {row[column]!r}; it must be 0 or 1")
    return [row[column] == "1" for column in columns]


def _read_clip_info(file: Path, clips: dict[int, str]) -> dict[int, tuple[str, str, str]]:
    """Artist, album and title by clip id."""
    rows = read_rows(file, "\t", ("clip_id", "artist", "album", "title"))
    _, header = next(rows)
    columns = [header.index(name) for name in ("clip_id", "artist", "album", "title")]
    info: dict[int, tuple[str, str, str]] = {}
    for _, row in rows:
        clip, artist, album, title = (row[i] for i in columns)
        if (number := _clip_id(clip)) is not None:
            info[number] = (artist, album, title)
    missing = clips.keys() - info.keys()
    if missing:
        raise InputError(f"{file}: has no row for clip {min(missing)} ({len(missing)} annotated clips lack theirs)")
    return info
