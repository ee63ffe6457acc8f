"""The work on one clip, and the record of the clips that are done, by which a stopped build continues."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from theanoish.data.audio import AudioError, read_audio
from theanoish.data.mel import represented
from theanoish.files import lock, sync_to_disk
from theanoish.representation import WINDOW_SAMPLES, Representation

CLIPS_AT_A_TIME = 64


@dataclass(frozen=True)
class Result:
    """What became of a clip."""

    samples: int = 0
    reason: str = ""  # why it cannot be read, or ""
    remark: str = ""  # what is odd about its file, or ""

    @property
    def is_stored(self) -> bool:
        """Whether its samples are in the file: unreadable clips have none, and short ones no window."""
        return self.samples >= WINDOW_SAMPLES

    @property
    def why_short(self) -> str:
        """Why a clip that can be read is not stored, or ""."""
        if self.is_stored:
            return ""
        remark = f" ({self.remark})" if self.remark else ""
        return f"{self.samples} samples, fewer than a window's {WINDOW_SAMPLES}{remark}"


def read_clip(
    audio: Path, representations: Sequence[Representation]
) -> tuple[Result, list[tuple[Representation, NDArray[Any]]]]:
    """Decode a clip, and compute its representations unless it is too short."""
    try:
        samples, remark = read_audio(audio)
    except AudioError as error:
        return Result(reason=error.reason), []
    result = Result(len(samples), remark=remark)
    computed = represented(samples, representations) if result.is_stored else ()
    return result, [(wanted, values.astype(wanted.dtype, copy=False)) for wanted, values in computed]


class Results:
    """The results of finished clips in the order of the plan, on disk beside an unfinished data set, a line each.

    A line is written only when the clip is on disk. The first line says which plan they belong to: those of another
    plan, or without their data, are discarded together with the data.

    Attributes
    ----------
    done : list of Result
    """

    def __init__(self, file: BinaryIO, path: Path, data: Path, fingerprint: str) -> None:
        self._file, self.path, self.data = file, path, data
        self.done: list[Result] = []
        self._recorded = 0
        self._file.seek(0)
        lines = self._file.read().splitlines(keepends=True)
        if lines[:1] == [f"{fingerprint}\n".encode()] and data.exists():
            self._take(lines)
        else:
            self.forget()
            self._file.write(f"{fingerprint}\n".encode())

    def _take(self, lines: list[bytes]) -> None:
        """Take results up to the last whole line, which a crash may have left behind."""
        end = len(lines[0])
        for line in lines[1:]:
            try:
                self.done.append(Result(*json.loads(line)))
            except (ValueError, TypeError):
                break
            end += len(line)
        self._file.truncate(end)
        self._recorded = len(self.done)

    def add(self, result: Result) -> None:
        """Note that a clip is done. Recorded with others, since it takes a wait for the disk."""
        self.done.append(result)
        if len(self.done) - self._recorded >= CLIPS_AT_A_TIME:
            self.record()

    def record(self) -> None:
        """Bring the data to disk, then the results."""
        if self._recorded < len(self.done):
            sync_to_disk(self.data)
            for result in self.done[self._recorded :]:
                self._file.write(json.dumps(astuple(result)).encode() + b"\n")
            self._file.flush()
            sync_to_disk(self.path)
            self._recorded = len(self.done)

    def forget(self) -> None:
        """Forget what is recorded, so that the next build begins anew."""
        self._file.truncate(0)
        self._file.flush()

    def remove(self) -> None:
        """Remove the record, and the data where they are still unfinished."""
        self.done.clear()
        self.data.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


@contextmanager
def opened_results(path: Path, data: Path, fingerprint: str) -> Iterator[Results]:
    """The results of an unfinished data set, which no other process opens meanwhile: InputError if one has."""
    with lock(path, f"{data}: is being written by another process") as file:
        yield Results(file, path, data, fingerprint)
