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

VERSION = 2  # of the music: raised where the same seed gives other samples
DEFAULT_CLIPS = 264  # about 30 s to make on two cores, 36 MB

# The folder of each artist in turn: 24 artists in 0-b (training), 8 in c (validation), 12 in d-f (test).
_FOLDERS = 2 * "0c1d2c3e4c5f6c7d8e9fab"
ARTISTS = len(_FOLDERS)
_FIRST_NAMES = ("Amber", "Brass", "Cobalt", "Dusty", "Emerald", "Frozen", "Golden", "Hollow", "Ivory", "Jade", "Little")
_LAST_NAMES = ("Foxes", "Harbour", "Lantern", "Meadow")
_TITLES = ("Aria", "Ballad", "Dance", "Evening", "Fantasy", "Journey", "Morning", "Nocturne", "Prelude", "River")
_KEYS = ("C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
_INFO_COLUMNS = [
    "clip_id", "track_number", "title", "artist", "album", "url", "segmentStart", "segmentEnd", "original_url",
    "mp3_path",
]  # fmt: skip


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
    folder : Path
    clips : int
        A few hundred are needed for a meaningful AUC of every tag.
    seed : int
    progress : callable (done, total), optional
        Called after every clip; what it raises stops the work and leaves nothing behind.
    workers : int
        Processes; the files do not depend on it.

    Raises
    ------
    InputError
        Where `folder` exists and holds anything else, or cannot be written.
    """
    if clips < 1 or seed < 0:
        raise InputError(f"demo: clips is {clips} and seed is {seed}; clips must be 1 or more, seed 0 or more")
    if "MP3" not in soundfile.available_formats():
        raise InputError(f"demo: libsndfile {soundfile.__libsndfile_version__} cannot write MP3; 1.1 or later can")
    settings = {"version": VERSION, "clips": clips, "seed": seed}
    held = folder.with_name(f"{folder.name}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with lock(held, f"{folder}: the demo is being composed by another process"):
            try:
                if not _is_finished(folder, settings):
                    _compose(folder, settings, progress, workers)
            finally:
                held.unlink()
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{folder}: the demo cannot be written: {error}") from error


def _compose(folder: Path, settings: dict[str, int], progress: Progress, workers: int) -> None:
    """Make all beside `folder`, then give it its name."""
    beside = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
        for name in sorted(set(_FOLDERS)):
            (beside / name).mkdir(parents=True)
        rows = []
        work = partial(_write_clip, beside, seed=settings["seed"])
        for row in in_parallel(work, range(settings["clips"]), workers):
            rows.append(row)
            progress(len(rows), settings["clips"])
        _write_tables(beside, sorted(rows, key=lambda row: int(row["clip_id"])))
        (beside / "demo.json").write_text(json.dumps(settings) + "\n")
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _is_finished(folder: Path, settings: dict[str, int]) -> bool:
    try:
        if json.loads((folder / "demo.json").read_text()) == settings:
            return True
    except (OSError, ValueError):
        pass
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder}: exists and is not the demo with clips {settings['clips']}, seed {settings['seed']}; "
            "remove it or name another folder"
        )
    return False


def _write_clip(folder: Path, clip: int, seed: int) -> dict[str, str]:
    """Write one MP3 file and return its row."""
    piece, samples = compose(clip, clip % ARTISTS, seed)
    row = describe(clip, piece)
    soundfile.write(folder / row["mp3_path"], samples, SAMPLE_RATE, format="MP3", subtype="MPEG_LAYER_III")
    return row


def describe(clip: int, piece: Piece) -> dict[str, str]:
    """The row of a clip, with the columns of both tables."""
    artist, earlier = clip % ARTISTS, clip // ARTISTS
    name = f"{_FIRST_NAMES[artist % 11]} {_LAST_NAMES[artist // 11]}"
    row = {
        "clip_id": str(clip + 1),
        "track_number": f"{earlier + 1:02}",
        "title": f"{_TITLES[clip % 10]} in {_KEYS[piece.key]}",
        "artist": name,
        "album": f"{name} Play {piece.style.title()}",
        "segmentStart": "0",
        "segmentEnd": "29",
    }
    words = "-".join(row[field] for field in ("artist", "album", "track_number", "title"))
    row["mp3_path"] = f"{_FOLDERS[artist]}/{words.lower().replace(' ', '_')}-0-29.mp3"
    return row | {tag: str(int(tag in piece.tags)) for tag in TAGS}


def _write_tables(folder: Path, rows: list[dict[str, str]]) -> None:
    for name, columns in (("annotations", ["clip_id", *TAGS, "mp3_path"]), ("clip_info", _INFO_COLUMNS)):
        with open(folder / f"{name}_final.csv", "w", newline="", encoding="utf-8") as file:
            table = csv.DictWriter(file, columns, "", "ignore", "excel-tab", quoting=csv.QUOTE_ALL)
            table.writeheader()
            table.writerows(rows)
