"""A small data set of composed music in the form of MagnaTagATune, with nothing to download."""

import csv
import json
import os
import shutil
from functools import partial
from pathlib import Path

import soundfile

from theanoish.data.download import Progress
from theanoish.demo.music import TAGS, Piece, compose
from theanoish.errors import InputError
from theanoish.files import lock
from theanoish.processes import in_parallel
from theanoish.representation import SAMPLE_RATE

VERSION = 3  # of the music: raised where the same seed gives other samples
DEFAULT_CLIPS = 264  # about 30 s to make on two cores, 36 MB

# The folder of each artist in turn: 24 artists in 0-b (training), 8 in c (validation), 12 in d-f (test).
_FOLDERS = 2 * "0c1d2c3e4c5f6c7d8e9fab"
ARTISTS = len(_FOLDERS)
_FIRST_NAMES = ("Amber", "Brass", "Cobalt", "Dusty", "Emerald", "Frozen", "Golden", "Hollow", "Ivory", "Jade", "Little")
_LAST_NAMES = ("Foxes", "Harbour", "Lantern", "Meadow")
_TITLES = ("Aria", "Ballad", "Dance", "Evening", "Fantasy", "Journey", "Morning", "Nocturne", "Prelude", "River")
_KEYS = ("C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
_INFO_COLUMNS = ("clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd",
                 "original_url", "mp3_path")  # fmt: skip


def make_demo(
    folder: Path,
    clips: int = DEFAULT_CLIPS,
    seed: int = 1,
    progress: Progress = lambda done, total: None,
    workers: int = 1,
) -> None:
    """Make a small data set of music in MagnaTagATune's form: MP3 files in folders, and the two official CSV files.

    The folder appears under its name only when it is complete. One that already holds the same demo is left as it is.

    Parameters
    ----------
    clips : int
        A few hundred are needed for a meaningful AUC of every tag.
    progress : callable (done, total), optional
        Called after every clip; what it raises stops the work and leaves nothing behind.
    workers : int
        Processes; the files do not depend on it.
    """
    if "MP3" not in soundfile.available_formats():
        raise InputError(f"demo: libsndfile {soundfile.__libsndfile_version__} cannot write MP3; 1.1 or later can")
    held = folder.with_name(f"{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(held, f"{folder}: the demo is being composed by another process"):
            try:
                _compose(folder, {"version": VERSION, "clips": clips, "seed": seed}, progress, workers)
            finally:
                held.unlink()
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{folder}: the demo cannot be written: {error}") from error


def _compose(folder: Path, settings: dict[str, int], progress: Progress, workers: int) -> None:
    """Make all beside `folder`, then give it its name."""
    made = folder / "demo.json"
    if made.exists() and made.read_text() == json.dumps(settings):
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: exists and is not the demo {settings}; remove it or name another folder")
    beside = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
        for name in set(_FOLDERS):
            (beside / name).mkdir(parents=True)
        rows = []
        for row in in_parallel(partial(_write_clip, beside, settings["seed"]), range(settings["clips"]), workers):
            rows.append(row)
            progress(len(rows), settings["clips"])
        for name, columns in (("annotations", ["clip_id", *TAGS, "mp3_path"]), ("clip_info", _INFO_COLUMNS)):
            with open(beside / f"{name}_final.csv", "w", newline="", encoding="utf-8") as file:
                table = csv.DictWriter(file, columns, "", "ignore", "excel-tab", quoting=csv.QUOTE_ALL)
                table.writeheader()
                table.writerows(rows)
        (beside / made.name).write_text(json.dumps(settings))
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _write_clip(folder: Path, seed: int, clip: int) -> dict[str, str]:
    piece, samples = compose(clip, clip % ARTISTS, seed)
    row = describe(clip, piece)
    soundfile.write(folder / row["mp3_path"], samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
    return row


def describe(clip: int, piece: Piece) -> dict[str, str]:
    """The row of a clip, with the columns of both tables."""
    artist, track = clip % ARTISTS, f"{clip // ARTISTS + 1:02}"
    name = f"{_FIRST_NAMES[artist % 11]} {_LAST_NAMES[artist // 11]}"
    album, title = f"{name} Play {piece.style.title()}", f"{_TITLES[clip % 10]} in {_KEYS[piece.key]}"
    path = f"{_FOLDERS[artist]}/{'-'.join((name, album, track, title)).lower().replace(' ', '_')}-0-29.mp3"
    row = {"clip_id": str(clip + 1), "track_number": track, "title": title, "artist": name, "album": album}
    row |= {"segmentStart": "0", "segmentEnd": "29", "mp3_path": path}
    return row | {tag: str(int(tag in piece.tags)) for tag in TAGS}
