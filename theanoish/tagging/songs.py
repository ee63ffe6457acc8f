"""Songs of any length: finding them, decoding them in several processes, and where their windows begin.

What decodes is imported where a song is: a network is loaded sooner, and needs none of it.
"""

import os
import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.processes import in_order
from theanoish.representation import SAMPLE_RATE, WINDOW_SAMPLES, Representation

WINDOW_SECONDS = WINDOW_SAMPLES / SAMPLE_RATE
_CONTROLS = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")  # and what turns text around
_NAMES, _LONGEST_NAME = ("title", "artist"), 200  # letters
SHORTEST_HOP = 0.1  # seconds
SONGS_AHEAD = 3  # read but not yet tagged, per worker: what bounds the memory


@dataclass(frozen=True)
class Song:
    """A song as rows of a representation."""

    path: Path
    samples: int  # at 16 kHz, as decoded
    rows: NDArray[Any]  # int16 (samples,) or float32 (frames, 128), at least a window, with silence at its end
    remark: str  # what is odd about its file, or ""
    title: str = ""  # as its file's own tags say
    artist: str = ""


@dataclass(frozen=True)
class Failure:
    """A file that cannot be read, and why."""

    path: Path
    reason: str


def find_songs(paths: Iterable[Path], others: Counter[str] | None = None) -> list[Path]:
    """The files among `paths`, and every audio file below the folders among them, sorted within each folder.

    `others` counts what is passed over in folders, by its ending.

    Raises
    ------
    InputError
        If a folder holds none, or a path is a pipe or device, which other processes could not open.
    """
    from theanoish.data.audio import NO_FILE
    from theanoish.data.folder import SUFFIXES, audio_files

    songs: dict[Path, None] = {}
    for path in paths:
        is_folder = os.path.isdir(path)  # Path.is_dir raises if a folder above must not be entered
        found = audio_files(path, others) if is_folder else [path]
        if not found:
            raise InputError(f"{path}: no audio file in this folder; they end in {' '.join(sorted(SUFFIXES))}")
        if os.path.exists(path) and not is_folder and not path.is_file():
            raise InputError(f"{path}: {NO_FILE}")
        songs.update(dict.fromkeys(found))
    return list(songs)


def name_of(path: Path) -> str:
    """A file's name to be shown, whatever its bytes: control characters would be obeyed or break a line."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", os.fsencode(path).decode(errors="replace"))


def read_song(path: Path, representation: Representation) -> Song:
    """Decode a file and compute its rows.

    Raises
    ------
    AudioError
        If the file is missing, empty, broken or no audio.
    """
    from theanoish.data.audio import AudioError, read_audio
    from theanoish.data.mel import represented

    samples, remark = read_audio(path)
    if len(samples) == 0:
        raise AudioError(path, "holds no sound")
    missing = max(0, WINDOW_SAMPLES - len(samples))
    padded = np.pad(samples, (0, missing)) if missing else samples
    [(_, rows)] = represented(padded, [representation])
    return Song(path, len(samples), rows, remark, *read_names(path))


def read_names(path: Path) -> tuple[str, str]:
    """Title and artist from the tags that a file carries; "" of what it does not say."""
    import av

    from theanoish.data.audio import opened_by_ffmpeg

    try:
        with path.open("rb") as file, opened_by_ffmpeg(file) as container:
            carried = [container.metadata, *(stream.metadata for stream in container.streams.audio)]
    except (av.FFmpegError, OSError, ValueError):
        return "", ""
    tags = {key.lower(): value for each in reversed(carried) for key, value in each.items()}
    title, artist = (" ".join(_CONTROLS.sub(" ", _read(tags.get(key, ""))).split())[:_LONGEST_NAME] for key in _NAMES)
    return title, artist


def _read(text: str) -> str:
    """A tag as text; what is no UTF-8, as in ID3v1 and WAV, is mostly Windows-1252."""
    try:
        text.encode()
        return text
    except UnicodeEncodeError:  # its bytes are kept as surrogates
        return text.encode(errors="surrogateescape").decode("cp1252", errors="replace")


def read_songs(paths: Iterable[Path], representation: Representation, workers: int) -> Iterator[Song | Failure]:
    """Read songs in `workers` processes, in the order of `paths`."""
    unread = deque(paths)
    read = partial(read_or_explain, representation=representation)
    while unread:
        try:
            with closing(in_order(read, tuple(unread), workers, SONGS_AHEAD * workers)) as songs:
                for song in songs:
                    unread.popleft()
                    yield song
        except BrokenProcessPool:  # one of the songs being read killed its worker
            path = unread.popleft()
            try:
                yield next(in_order(read, [path], 1, 1))
            except BrokenProcessPool:
                yield Failure(path, "the process that decodes it dies, perhaps for want of memory")


def read_or_explain(path: Path, representation: Representation) -> Song | Failure:
    """As `read_song`, the reason taking the place of an error."""
    from theanoish.data.audio import AudioError

    try:
        return read_song(path, representation)
    except AudioError as error:
        return Failure(path, error.reason)


def check_hop(hop: float) -> None:
    """Find before long work that windows `hop` seconds apart would leave parts unheard, or be too many.

    Raises
    ------
    InputError
        If `hop` is below 0.1 s or above a window's 3 s.
    """
    if not SHORTEST_HOP <= hop <= WINDOW_SECONDS:
        raise InputError(f"hop is {hop:g} s; it must be from {SHORTEST_HOP:g} s to a window's {WINDOW_SECONDS:g} s")


def window_begins(samples: int, hop: float) -> NDArray[np.int64]:
    """Where the windows of a song begin, in samples: every `hop` seconds, and a last one that ends with the song."""
    check_hop(hop)
    last = max(0, samples - WINDOW_SAMPLES)
    return np.append(np.arange(0, last, round(hop * SAMPLE_RATE)), last)
