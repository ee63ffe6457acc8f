"""A folder of songs and a table of their labels, as annotations like MagnaTagATune's."""

import os
import posixpath
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from theanoish.data.annotations import Annotations
from theanoish.data.csv_table import Faults, read_rows
from theanoish.data.folder import audio_files
from theanoish.data.hdf5 import SPLITS
from theanoish.data.tag_cells import NO, YES, plain, separator_of, unlisted
from theanoish.errors import InputError, listed

SHARES = (0.7, 0.15, 0.15)  # of the splits, if they are drawn
# Columns as beets, Mp3tag and Rekordbox call them: the first that says something, if there is none of our own name.
ALIASES = {
    "file": ("filename", "file name", "path", "location"),
    "tags": ("my tag", "genre", "genres"),
    "title": ("track title",),
}
NO_TAGS = ("file", "artist", "title", "album", "split")
_DRIVE = re.compile("[A-Za-z]:/")
FEW_TO_TRAIN, FEW_TO_SCORE, FEW_SONGS = 10, 3, 10


@dataclass(frozen=True)
class _Song:
    """A row of the table."""

    path: str
    artist: str
    title: str
    album: str
    split: str
    tags: frozenset[str]


def read_labels(folder: Path, table: Path, seed: int) -> tuple[Annotations, list[str]]:
    """Read a table of labels.

    Its columns are separated by commas, semicolons or tabs: ``file`` (relative to `folder`, absolute here or on another
    computer, or a name alone if only one file has it) and ``tags`` (a list, or separated by semicolons, ``|`` or
    commas: `theanoish.data.tag_cells`), or instead of ``tags`` a column per tag with 1, 0 or nothing (or TRUE,
    yes, x ...); perhaps ``artist``, ``title``, ``album`` and ``split``.

    Parameters
    ----------
    folder, table : Path
    seed : int
        Of the split, which is drawn by artist if the table has none: see `draw_split`.

    Returns
    -------
    Annotations
        Songs numbered from 1, in the order of the table.
    list of str
        How the split came about, and which audio files have no row.
    """
    faults: Faults = defaultdict(list)
    paths = [str(path.relative_to(folder)) for path in audio_files(folder)]
    read_as: list[str] = []
    songs = _read_table(table, partial(_places, folder, *_by_form(paths)), faults, read_as)
    if not faults and not any(song.tags for song in songs):
        faults["no song has a tag; there must be a column 'tags', or one per tag with 1 and 0"] = []
    if faults:
        named = "".join(f"\n{kind}{listed(places)}" for kind, places in faults.items())
        raise InputError(f"{table}: cannot be used:{named}")
    tags = sorted(frozenset().union(*(song.tags for song in songs)))
    labels = np.array([[tag in song.tags for tag in tags] for song in songs], np.uint8)
    if songs[0].split:
        splits, notes = np.array([song.split for song in songs]), _crossing_artists(songs)
    else:
        splits = draw_split(labels, [song.artist or f"\0{song.path}" for song in songs], seed)
        by = "artist" if any(song.artist for song in songs) else "file"
        notes = [f"split: drawn by {by} with seed {seed}; the file keeps it"]
    if unlisted := sorted(set(paths) - {song.path for song in songs}):
        notes.append(f"without a row in {table.name}: {len(unlisted)} audio files{listed(unlisted)}")
    return Annotations(
        folder=folder,
        ids=np.arange(1, len(songs) + 1, dtype=np.int64),
        paths=[song.path for song in songs],
        artists=[song.artist for song in songs],
        albums=[song.album for song in songs],
        titles=[song.title for song in songs],
        splits=splits,
        tags=tags,
        labels=labels,
    ), [*notes, *read_as]


def draw_split(labels: NDArray[np.uint8], groups: Sequence[str], seed: int) -> NDArray[np.str_]:
    """Draw a split that keeps groups together and has each tag in every split as often as can be.

    The rarest tag first, its groups go to the split that lacks most of it, the largest group before others (iterative
    stratification: Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011).

    Parameters
    ----------
    labels : uint8 array (songs, tags)
    groups : sequence of str (songs)
        Such as artists.
    seed : int
        Decides what is equal otherwise.

    Returns
    -------
    str array (songs,)
        "train", "validation" or "test", in the shares `SHARES`.
    """
    names = {group: i for i, group in enumerate(dict.fromkeys(groups))}
    group_of = np.array([names[group] for group in groups])
    # Per group its songs of each tag, and in a last column all of its songs.
    counts = np.zeros((len(names), labels.shape[1] + 1))
    np.add.at(counts, group_of, np.c_[labels, np.ones(len(labels))])
    lacking = np.outer(SHARES, counts.sum(axis=0))
    order = np.random.default_rng(seed).permutation(len(names))
    order = order[np.argsort(-counts[order, -1], kind="stable")]
    split_of = np.full(len(names), -1)
    while (split_of < 0).any():
        free = order[split_of[order] < 0]
        left = counts[free].sum(axis=0)
        tag = int(np.argmin(np.where(left > 0, left, np.inf)))
        for group in free[counts[free, tag] > 0]:
            chosen = max(range(len(SPLITS)), key=lambda split: (lacking[split, tag], lacking[split, -1]))
            split_of[group] = chosen
            lacking[chosen] -= counts[group]
    return np.array(SPLITS)[split_of[group_of]]


def too_small(annotations: Annotations, rows: NDArray[np.intp]) -> list[str]:
    """Warnings about splits and tags that are too small to train or to score, among the songs `rows`."""
    labels, splits = annotations.labels[rows], annotations.splits[rows]
    warnings = []
    for split in SPLITS:
        chosen = labels[splits == split]
        if len(chosen) < FEW_SONGS:
            warnings.append(f"warning: split '{split}' has {len(chosen)} songs; what it says means little")
        positives, few = chosen.sum(axis=0), FEW_TO_TRAIN if split == "train" else FEW_TO_SCORE
        rare = np.flatnonzero(np.minimum(positives, len(chosen) - positives) < few)
        if len(rare):
            named = [f"{annotations.tags[i]} ({positives[i]} of {len(chosen)})" for i in rare]
            purpose = "train" if split == "train" else "score"
            warnings.append(f"warning: {len(rare)} tags have too few songs to {purpose} in '{split}'{listed(named)}")
        if split != "train" and not ((positives > 0) & (positives < len(chosen))).any():
            needs = "training needs" if split == "validation" else "testing needs"
            warnings.append(f"warning: no tag has songs with and without it in '{split}', as {needs}")
    return warnings


def _read_table(table: Path, places: Callable[[str], list[str]], faults: Faults, notes: list[str]) -> list[_Song]:
    rows = read_rows(table, ",;\t", (), faults, notes)
    _, header = next(rows)
    header = [unicodedata.normalize("NFC", name.strip()) for name in header]
    content = list(rows)
    columns, folders = _columns(table, header, [row for _, row in content], notes)
    no_tags = {folders, *(columns.get(name) for name in NO_TAGS)}
    tag_columns = [i for i, name in enumerate(header) if name and i not in no_tags]
    if "tags" in columns:
        tag_columns = []  # what else is in the table is for its reader
        for _, row in content:
            row[columns["tags"]] = unlisted(row[columns["tags"]])
    separator = separator_of([row[columns["tags"]] for _, row in content] if "tags" in columns else [], notes)
    songs: list[_Song] = []
    lines: dict[str, int] = {}
    for line, row in content:

        def cell(name: str, row: list[str] = row) -> str:
            return row[columns[name]].strip() if name in columns else ""

        written = _joined("" if folders is None else row[folders].strip(), cell("file"))
        path, *others = places(written) or [written]
        if others:
            faults["more than one file has this name: write its folder, too"].append(
                f"line {line}: {', '.join(map(repr, [path, *others]))}"
            )
        elif not path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            faults["'file' must name a file in the folder"].append(f"line {line}: {path!r}")
        elif path in lines:
            faults["a file has more than one row"].append(f"line {line}: {path!r}, as in line {lines[path]}")
        lines.setdefault(path, line)
        split = cell("split").casefold()
        if "split" in columns and split not in SPLITS:
            faults[f"'split' must be {', '.join(SPLITS)}"].append(f"line {line}: {cell('split')!r}")
        for i in tag_columns:
            if plain(row[i]) not in (*YES, *NO):
                kind = "a tag's column must hold 1, 0 or nothing; call a column of words 'tags', or export genres, too"
                faults[kind].append(f"line {line}, {header[i]!r}: {row[i]!r}")
        tags = {unicodedata.normalize("NFC", tag.strip()) for tag in cell("tags").split(separator)} - {""}
        tags |= {header[i] for i in tag_columns if plain(row[i]) in YES}
        songs.append(_Song(path, cell("artist"), cell("title"), cell("album"), split, frozenset(tags)))
    return songs


def _columns(
    table: Path, header: list[str], rows: list[list[str]], notes: list[str]
) -> tuple[dict[str, int], int | None]:
    """The columns by the names that are used here, and which one has the folders of what only names files."""
    columns = {name.casefold(): i for i, name in enumerate(header)}
    counts = Counter(name.casefold() if name.casefold() in (*NO_TAGS, "tags") else name for name in header if name)
    if doubled := [name for name, count in counts.items() if count > 1]:
        raise InputError(f"{table}, line 1: has more than one column {', '.join(map(repr, doubled))}")
    for name, aliases in ALIASES.items():
        found = [columns[alias] for alias in aliases if alias in columns]
        if name not in columns and found:
            columns[name] = next((i for i in found if any(row[i].strip() for row in rows)), found[0])
            notes.append(f"column {header[columns[name]]!r} was read as '{name}'")
    if "file" not in columns:
        raise InputError(
            f"{table}, line 1: has no column 'file', only {', '.join(map(repr, header))}; its first line must name the "
            "columns (Rekordbox exports those that its list shows: add 'Location')"
        )
    named = header[columns["file"]].casefold()
    return columns, columns.get("path") if named in ("filename", "file name") else None


def _joined(folder: str, name: str) -> str:
    """The path of a file whose folder, or whole path, stands in another column."""
    if not folder or _normal(folder).endswith(f"/{_normal(name)}"):
        return folder or name
    return f"{folder}/{name}"


def _by_form(paths: list[str]) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """Paths by their normal form, and by that of their last part."""
    forms: dict[str, list[str]] = defaultdict(list)
    names: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        forms[_normal(path)].append(path)
        names[posixpath.basename(_normal(path))].append(path)
    return forms, names


def _places(folder: Path, forms: dict[str, list[str]], names: dict[str, list[str]], written: str) -> list[str]:
    """Files that a table may mean: exactly one, where it and the file system agree in every byte."""
    if written.startswith("file://"):
        written = unquote(urlsplit(written).path)
    ways = [written]
    if posixpath.isabs(written):  # perhaps by way of a link
        ways.append(posixpath.join(os.path.realpath(posixpath.dirname(written)), posixpath.basename(written)))
    for path in ways:
        for base in ("", f"{folder.absolute()}/", f"{folder.resolve()}/", f"{folder.absolute().name}/"):
            if found := forms.get(_normal(path).removeprefix(_normal(base) + "/" if base else ""), []):
                exact = path.removeprefix(base)
                return [exact] if exact in found else found
    form = _normal(written)
    if "/" not in form:
        return names.get(form, [])
    if not (posixpath.isabs(form) or _DRIVE.match(form)):
        return []
    likely = names.get(posixpath.basename(form), [])  # of another computer: what has most of its folders
    whole = [path for path in likely if form.endswith(f"/{_normal(path)}")]
    return [max(whole, key=len)] if whole else likely


def _normal(path: str) -> str:
    """One form of a path: tables from Windows have backslashes, and macOS writes accents apart from their letters."""
    return unicodedata.normalize("NFC", posixpath.normpath(path.replace("\\", "/")) if path else "")


def _crossing_artists(songs: Iterable[_Song]) -> list[str]:
    splits_of = Counter(artist for artist, _ in {(song.artist, song.split) for song in songs} if artist)
    crossing = sorted(artist for artist, splits in splits_of.items() if splits > 1)
    named = [f"warning: {len(crossing)} artists are in more than one split{listed(crossing)}"] if crossing else []
    return ["split: as in the table", *named]
