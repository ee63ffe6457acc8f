"""The work on one clip, and the record of the clips that are done, by which a stopped build continues."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, BinaryIO

from numpy.typing import NDArray

from theanoish.data.audio import AudioError, read_audio
from theanoish.data.mel import represented
from theanoish.files import sync_to_disk
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

    Parameters
    ----------
    file : BinaryIO
        At `path`, locked by who opened it.
    data : Path
        The unfinished data set.
    """

    def __init__(self, file: BinaryIO, path: Path, data: Path, fingerprint: str) -> None:
        self._file, self.path, self.data = file, path, data
        self.done: list[Result] = []
        self._file.seek(0)
        first, *lines = [*self._file.read().splitlines(keepends=True), b""]
        if first != f"{fingerprint}\n".encode() or not data.exists():
            self.forget()
            first, lines = f"{fingerprint}\n".encode(), []
            self._file.write(first)
        end = len(first)
        with suppress(ValueError, TypeError):  # of what a crash may have left behind the last whole line
            for line in lines:
                self.done.append(Result(*json.loads(line)))
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
