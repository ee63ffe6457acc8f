"""Songs that are tagged already, kept in a file while others are not, so that an interruption costs nothing."""

import base64
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from theanoish.tagging.taggram import Taggram

FORMAT = 2  # of a line
_TEXTS, _ARRAYS = ("remark", "title", "artist"), ("probabilities", "units")  # of a Taggram


class Unfinished:
    """A file with a line of JSON per song; what a killed process left of its last line is cut off.

    Parameters
    ----------
    file : binary file
        Open for reading and appending.
    about : dict
        What all songs depend on, ``tags`` among it, as plain values. A file that begins with something else is emptied.
    """

    def __init__(self, file: BinaryIO, about: dict[str, Any]) -> None:
        self._file, self._tags = file, about["tags"]
        about = about | {"format": FORMAT}
        self._lines: dict[Path, tuple[int, list[Any]]] = {}  # where each begins, and of what state of the song it is
        self._states: dict[Path, list[Any]] = {}  # when the command began
        end = 0
        file.seek(0)
        with suppress(ValueError, KeyError, TypeError):
            for line in file:
                values = json.loads(line)
                if not line.endswith(b"\n") or (end == 0 and values != about):
                    break
                if end:
                    self._lines[Path(values["file"])] = end, values["state"]
                end += len(line)
        file.truncate(end)
        if end == 0:
            self._append(about)

    def holds(self, song: Path, pages: list[Path]) -> bool:
        """Whether a song was tagged as it is now, and its pages are there."""
        line, state = self._lines.get(song), _state(song, pages)
        self._states[song] = state
        return line is not None and line[1] == state and all(page.exists() for page in pages)

    def add(self, song: Taggram) -> None:
        """Keep a song whose pages are written, as of when it was asked for: it may have changed since it was read."""
        state = self._states[song.path]
        values = {"file": str(song.path), "state": state, "seconds": song.seconds, "begins": song.begins.tolist()}
        values |= {name: getattr(song, name) for name in _TEXTS}
        values |= {name: base64.b64encode(getattr(song, name).tobytes()).decode() for name in _ARRAYS}
        self._lines[song.path] = self._append(values), state

    def songs(self, paths: Iterable[Path]) -> Iterator[Taggram]:
        """The songs at `paths`, which must be held, one at a time."""
        for path in paths:
            self._file.seek(self._lines[path][0])
            line = json.loads(self._file.readline())
            begins, texts = np.array(line["begins"]), {name: line[name] for name in _TEXTS}
            values, units = (np.frombuffer(base64.b64decode(line[name]), np.float32) for name in _ARRAYS)
            by_window = values.reshape(len(begins), -1)
            yield Taggram(path, line["seconds"], self._tags, begins, by_window, units=units, **texts)

    def _append(self, values: dict[str, Any]) -> int:
        place = self._file.seek(0, 2)
        self._file.write(json.dumps(values).encode() + b"\n")
        self._file.flush()
        return place


def _state(song: Path, pages: list[Path]) -> list[Any]:
    try:
        about = song.stat()
    except OSError:  # gone meanwhile
        return []
    return [about.st_size, about.st_mtime_ns, *map(str, pages)]
