"""The work on one clip, and the record of the work that is done."""

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from theanoish.data.audio import AudioError, read_audio
from theanoish.data.mel import represented
from theanoish.data.storage import first_row
from theanoish.files import lock, sync_to_disk
from theanoish.representation import WINDOW_SAMPLES, Representation

CLIPS_AT_A_TIME = 64


@dataclass(frozen=True)
class Job:
    """The work on one clip."""

    clip: int  # its number in the plan
    audio: Path  # to decode
    output: Path  # to write to
    begin: int  # samples set aside for the clips before it
    room: int  # samples set aside for it
    arrays: Mapping[Representation, int]  # the byte of `output` where each array begins


@dataclass(frozen=True)
class Result:
    """What became of a clip."""

    clip: int
    samples: int = 0  # how many it holds
    begin: int = -1  # as of its `Job`; -1 for one that is not in the file, being too short or longer than its room
    reason: str = ""  # why it cannot be read, or ""
    remark: str = ""  # what is odd about its file, or ""

    @property
    def is_homeless(self) -> bool:
        """Whether it needs more room than it had."""
        return self.begin < 0 and self.samples >= WINDOW_SAMPLES


def do_job(job: Job) -> Result:
    """Decode a clip, and write its representations to their places. Any process that sees the files can do it.

    Raises
    ------
    OSError
        Where the output cannot be written.
    """
    try:
        samples, remark = read_audio(job.audio)
    except AudioError as error:
        return Result(job.clip, reason=error.reason)
    result = Result(job.clip, len(samples), remark=remark)
    if not WINDOW_SAMPLES <= len(samples) <= job.room:
        return result
    with job.output.open("r+b") as file:
        for wanted, values in represented(samples, job.arrays):
            file.seek(job.arrays[wanted] + first_row(job.begin, wanted) * wanted.row_bytes)
            file.write(values.astype(wanted.dtype, copy=False).data)
    return replace(result, begin=job.begin)


@contextmanager
def opened_journal(path: Path, data: Path, fingerprint: str) -> Iterator["Journal"]:
    """The journal of an unfinished data set, which no other process opens meanwhile: InputError if one has."""
    with lock(path, f"{data}: is being written by another process") as file:
        yield Journal(file, path, data, fingerprint)


class Journal:
    """The results of finished clips, on disk beside an unfinished data set, a line each.

    A result is recorded only when the clip's arrays are on disk, so what it says is true after any crash. Each line has
    a checksum; from a damaged one on, the record is made anew. The first line says which plan it belongs to, and which
    clips need more room than their headers promised.

    Parameters
    ----------
    path, data : Path
        The journal, and the unfinished data set.
    fingerprint : str
        Of the plan. A journal of another plan, or without its data, is discarded together with the data.

    Attributes
    ----------
    results : dict from int to Result
        By clip.
    longer : dict from int to int
        Samples of the clips that need more room.
    """

    def __init__(self, file: BinaryIO, path: Path, data: Path, fingerprint: str) -> None:
        self._file, self.path, self.data, self.fingerprint = file, path, data, fingerprint
        self.results: dict[int, Result] = {}
        self.longer: dict[int, int] = {}
        self._waiting: list[Result] = []
        if not self._read():
            self.begin_anew({})

    def _read(self) -> bool:
        """Whether the journal is of this plan."""
        self._file.seek(0)
        entries, end = [], 0
        for line in self._file.read().splitlines(keepends=True):
            if line != _line(line[9:-1]):
                break
            entries.append(json.loads(line[9:-1]))
            end += len(line)
        if not entries or entries[0]["plan"] != self.fingerprint or not self.data.exists():
            return False
        self.longer = {int(clip): samples for clip, samples in entries[0]["longer"].items()}
        self.results = {entry["clip"]: Result(**entry) for entry in entries[1:]}
        self._file.truncate(end)
        return True

    def begin_anew(self, longer: dict[int, int]) -> None:
        """Forget all results and the data."""
        self.results, self.longer, self._waiting = {}, longer, []
        self._file.truncate(0)
        self.data.unlink(missing_ok=True)
        self._write({"plan": self.fingerprint, "longer": longer})

    def remove(self) -> None:
        """Remove the journal, and the data where they are still unfinished."""
        self._waiting.clear()
        self.data.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

    def add(self, result: Result) -> None:
        """Note that a clip is done. Recorded with others, since it takes a wait for the disk."""
        self.results[result.clip] = result
        self._waiting.append(result)
        if len(self._waiting) >= CLIPS_AT_A_TIME:
            self.record()

    def record(self) -> None:
        """Bring the data to disk, then the results."""
        if self._waiting:
            sync_to_disk(self.data)
            self._write(*map(asdict, self._waiting))
            self._waiting.clear()

    def _write(self, *entries: dict[str, Any]) -> None:
        self._file.write(b"".join(_line(json.dumps(entry).encode()) for entry in entries))
        self._file.flush()
        os.fsync(self._file.fileno())


def _line(entry: bytes) -> bytes:
    return b"%08x %s\n" % (zlib.crc32(entry), entry)
