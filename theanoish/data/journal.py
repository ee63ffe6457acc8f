"""The record, beside an unfinished data set, of the clips that are in it."""

import fcntl
import json
import os
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

from theanoish.data.clip_job import Result
from theanoish.errors import InputError
from theanoish.files import sync_to_disk

CLIPS_AT_A_TIME = 64


class Journal:
    """Results of finished clips, a JSON line each, below a line that identifies the plan they belong to.

    A result is recorded only when the clip's arrays are on disk, so what it says is true after any crash.

    Parameters
    ----------
    path : Path
        The journal.
    data : Path
        The unfinished data set.
    fingerprint : str
        Of the plan. A journal of another plan, or without its data, is discarded together with the data.

    Attributes
    ----------
    results : dict from int to Result
        By clip.

    Raises
    ------
    InputError
        Where another process has the journal open.
    """

    def __init__(self, path: Path, data: Path, fingerprint: str) -> None:
        self.path, self.data, self.fingerprint = path, data, fingerprint
        self.results: dict[int, Result] = {}
        self._waiting: list[Result] = []

    def __enter__(self) -> "Journal":
        self._file = self.path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise InputError(f"{self.data}: another process is building this file") from None
        if not self._read():
            self._begin_anew()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _read(self) -> bool:
        """Whether the journal is of this plan; a line that a crash cut off ends it."""
        self._file.seek(0)
        lines = self._file.read().split("\n")
        if lines[0] != self.fingerprint or not self.data.exists():
            return False
        for line in lines[1:-1]:
            result = Result(**json.loads(line))
            self.results[result.clip] = result
        self._file.truncate(sum(len(line) + 1 for line in lines[:-1]))
        return True

    def _begin_anew(self) -> None:
        self._file.truncate(0)
        self.data.unlink(missing_ok=True)
        self._file.write(f"{self.fingerprint}\n")
        self._file.flush()

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
        if not self._waiting:
            return
        sync_to_disk(self.data)
        self._file.writelines(f"{json.dumps(asdict(result))}\n" for result in self._waiting)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._waiting.clear()
