"""Which clips a build reads, in which order, and how much room each one gets."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.data.annotations import SPLIT_ORDER, Annotations, most_frequent_tags, read_annotations
from theanoish.data.audio import EMPTY_FILE, AudioError, length_by_header
from theanoish.data.storage import frames_of
from theanoish.errors import InputError
from theanoish.machine import versions_in_use

KNOWN_EMPTY = {35644: "6/norine_braun-", 55753: "8/jacob_heringman-", 57881: "9/american_baroque-"}
FAILURES_ALLOWED = 0.01

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not in the file.

    Attributes
    ----------
    kind : {"known empty", "unreadable", "missing", "too short", "untagged"}
    """

    id: int
    path: str
    reason: str
    kind: str


@dataclass
class Plan:
    """The clips to read, sorted by split.

    Attributes
    ----------
    annotations : Annotations
    folder : Path
        Holds the clips' folders ``0`` to ``f``.
    tag_columns : int array (kept tags,)
    representations : tuple of str
    rows : int array (clips,)
        Of the annotations.
    room : int64 array (clips,)
        Samples that each clip's header promises, the most that it can have.
    left_out : list of LeftOut
    """

    annotations: Annotations
    folder: Path
    tag_columns: NDArray[np.intp]
    representations: tuple[str, ...]
    rows: NDArray[np.intp]
    room: NDArray[np.int64]
    left_out: list[LeftOut]

    def path(self, clip: int) -> Path:
        """The audio file of a planned clip."""
        return self.folder / self.annotations.paths[self.rows[clip]]

    def starts(self, representation: str) -> NDArray[np.int64]:
        """First row of each clip in `values`, then the number of all rows, shape (clips + 1,)."""
        return np.concatenate([[0], np.cumsum(frames_of(representation, self.room))])

    def fingerprint(self) -> str:
        """Equal for two plans whose arrays are the same, byte for byte."""
        files = [(self.annotations.paths[row], int(room)) for row, room in zip(self.rows, self.room, strict=True)]
        changed = [(status.st_size, status.st_mtime_ns) for status in (self.path(i).stat() for i in range(len(files)))]
        described = [str(self.folder.resolve()), self.representations, files, changed, versions()]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()


def make_plan(
    source: Path, representations: tuple[str, ...], clips: str, allow_missing: bool, progress: Progress
) -> Plan:
    """Read the tables and the header of every clip.

    Parameters
    ----------
    source : Path
        Folder with the two CSVs, and the clips' folders in it or in its ``mp3``.
    clips : {"all", "tagged"}
        Whether clips without any of the kept tags are in the file.
    progress : callable
        Called with what is done, the clips done and all clips.

    Raises
    ------
    InputError
        Where the tables are broken, clips are missing without `allow_missing`, or more than 1 % cannot be read.
    """
    annotations = read_annotations(source)
    plan = Plan(
        annotations=annotations,
        folder=source / "mp3" if (source / "mp3").is_dir() else source,
        tag_columns=most_frequent_tags(annotations.labels),
        representations=representations,
        rows=np.argsort([SPLIT_ORDER.index(split) for split in annotations.splits], kind="stable"),
        room=np.empty(0, np.int64),
        left_out=[],
    )
    if len(plan.tag_columns) == 0:
        raise InputError(f"{source}: no clip has any tag")
    _leave_out_missing(plan, allow_missing)
    if clips == "tagged":
        _leave_out_untagged(plan)
    _read_headers(plan, progress)
    check_failures(plan.left_out, len(plan.rows))
    if len(plan.rows) == 0:
        raise InputError(f"{source}: no clip is left to put into a data set")
    return plan


def check_failures(left_out: list[LeftOut], others: int) -> None:
    """Raise where more than 1 % of the clips whose files are there cannot be read.

    Parameters
    ----------
    others : int
        Clips that are not left out, or not yet.

    Raises
    ------
    InputError
    """
    kinds = Counter(clip.kind for clip in left_out)
    present = others + kinds["unreadable"] + kinds["known empty"] + kinds["too short"]
    if kinds["unreadable"] > FAILURES_ALLOWED * present:
        broken = [clip for clip in left_out if clip.kind == "unreadable"]
        listed = "".join(f"\n  clip {clip.id}, {clip.path}: {clip.reason}" for clip in broken[:10])
        more = f"\n  and {len(broken) - 10} more" if len(broken) > 10 else ""
        raise InputError(
            f"{len(broken)} of {present} clips cannot be read, more than the 1 % that may be; the copy seems damaged. "
            f"Replace these files, or delete them and use --allow-missing:{listed}{more}"
        )


def left_out_after_reading(plan: Plan, clip: int, reason: str, kind: str = "unreadable") -> LeftOut:
    """How a planned clip that is not in the file is reported."""
    return _described(plan, int(plan.rows[clip]), reason, kind)


def versions() -> dict[str, str]:
    """Of all that takes part in decoding and computing."""
    return {
        **versions_in_use(),
        "soundfile": str(soundfile.__version__),
        "libsndfile": str(soundfile.__libsndfile_version__),
    }


def _described(plan: Plan, row: int, reason: str, kind: str) -> LeftOut:
    return LeftOut(int(plan.annotations.ids[row]), plan.annotations.paths[row], reason, kind)


def _leave_out_missing(plan: Plan, allowed: bool) -> None:
    there = np.array([(plan.folder / plan.annotations.paths[row]).is_file() for row in plan.rows])
    missing = [_described(plan, row, "no such file", "missing") for row in plan.rows[~there]]
    if not there.any():
        raise InputError(f"{plan.folder}: holds none of the {len(missing)} annotated clips, such as {missing[0].path}")
    if missing and not allowed:
        raise InputError(
            f"{plan.folder}: {len(missing)} of {len(there)} clips are missing, the first is {missing[0].path}; "
            "complete the copy, or accept a partial one with --allow-missing"
        )
    plan.left_out += missing
    plan.rows = plan.rows[there]


def _leave_out_untagged(plan: Plan) -> None:
    tagged = plan.annotations.labels[np.ix_(plan.rows, plan.tag_columns)].any(axis=1)
    plan.left_out += [_described(plan, row, "has none of the kept tags", "untagged") for row in plan.rows[~tagged]]
    plan.rows = plan.rows[tagged]


def _read_headers(plan: Plan, progress: Progress) -> None:
    rows, room = [], []
    for done, row in enumerate(plan.rows, start=1):
        try:
            room.append(length_by_header(plan.folder / plan.annotations.paths[row]))
            rows.append(row)
        except AudioError as error:
            plan.left_out.append(_described(plan, row, error.reason, _kind(plan, row, error.reason)))
        progress("reading headers", done, len(plan.rows))
    plan.rows, plan.room = np.array(rows, np.intp), np.array(room, np.int64)


def _kind(plan: Plan, row: int, reason: str) -> str:
    known = KNOWN_EMPTY.get(int(plan.annotations.ids[row]))
    is_known = known is not None and plan.annotations.paths[row].startswith(known) and reason == EMPTY_FILE
    return "known empty" if is_known else "unreadable"
