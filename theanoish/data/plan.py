"""Which clips a build reads, in which order, and how much room they will need."""

import hashlib
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.data.annotations import Annotations
from theanoish.data.audio import EMPTY_FILE, AudioError, expected_length
from theanoish.data.hdf5 import SPLITS
from theanoish.errors import InputError, listed
from theanoish.machine import versions_in_use
from theanoish.representation import SAMPLE_RATE, Representation

KNOWN_EMPTY = {35644: "6/norine_braun-", 55753: "8/jacob_heringman-", 57881: "9/american_baroque-"}
_DECIDE_ARRAYS = {"theanoish", "numpy", "scipy", "soundfile", "libsndfile", "av"}  # what decodes and computes them
SPARE = 120 * SAMPLE_RATE  # for clips that are longer than their headers promise, beside 1/64 of all room

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class LeftOut:
    """A clip that is not in the file."""

    id: int
    path: str
    reason: str
    kind: str  # "known empty", "unreadable", "missing", "too short" or "untagged"


@dataclass
class Plan:
    """The clips to read, sorted by split."""

    annotations: Annotations
    representations: tuple[Representation, ...]
    rows: NDArray[np.intp]  # (clips,), of the annotations
    left_out: list[LeftOut]
    most_unreadable: float  # the share of clips beyond which the copy is taken to be damaged
    samples: int = 0  # of all clips by their headers

    @property
    def room(self) -> int:
        """Samples to make room for at first."""
        return self.samples + self.samples // 64 + SPARE

    def path(self, clip: int) -> Path:
        """The audio file of a planned clip."""
        return self.annotations.folder / self.annotations.paths[self.rows[clip]]

    def fingerprint(self) -> str:
        """Equal for two plans whose arrays are the same, byte for byte."""
        files = [self.annotations.paths[row] for row in self.rows]
        changed = [(status.st_size, status.st_mtime_ns) for status in (self.path(i).stat() for i in range(len(files)))]
        names = [representation.name for representation in self.representations]
        software = {name: number for name, number in versions().items() if name in _DECIDE_ARRAYS}
        described = [str(self.annotations.folder.resolve()), names, files, changed, software]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()

    def left(self, row: int, reason: str, kind: str) -> LeftOut:
        """How a clip that is not in the file is reported."""
        return LeftOut(int(self.annotations.ids[row]), self.annotations.paths[row], reason, kind)


def make_plan(
    annotations: Annotations,
    representations: tuple[Representation, ...],
    clips: str,
    allow_missing: bool,
    most_unreadable: float,
    progress: Progress,
) -> Plan:
    """Look for every clip, and read its header.

    Parameters
    ----------
    clips : {"all", "tagged"}
        Whether clips without any of the kept tags are in the file.
    progress : callable
        Called with what is done, the clips done and all clips.

    Raises
    ------
    InputError
        Where clips are missing without `allow_missing`, or more than the share `most_unreadable` cannot be read.
    """
    order = np.argsort([SPLITS.index(split) for split in annotations.splits], kind="stable")
    plan = Plan(annotations, representations, order, [], most_unreadable)
    _leave_out_missing(plan, allow_missing)
    if clips == "tagged":
        _leave_out_untagged(plan)
    _read_headers(plan, progress)
    check_failures(plan, plan.left_out)
    if len(plan.rows) == 0:
        raise InputError(f"{annotations.folder}: no clip is left to put into a data set")
    return plan


def check_failures(plan: Plan, left_out: list[LeftOut]) -> None:
    """Raise where more than one clip, and more than the share that may be, cannot be read.

    Parameters
    ----------
    left_out : list of LeftOut
        By the plan, and since.

    Raises
    ------
    InputError
    """
    broken = [clip for clip in left_out if clip.kind == "unreadable"]
    present = len(plan.rows) + len(plan.left_out)
    present -= sum(clip.kind in ("missing", "untagged") for clip in plan.left_out)
    if len(broken) > max(1, plan.most_unreadable * present):
        raise InputError(
            f"{len(broken)} of {present} clips cannot be read, more than the {plan.most_unreadable:.0%} that may be; "
            f"the copy seems damaged. Replace these files, or delete them and use --allow-missing:{_listed(broken)}"
        )


def _listed(clips: list[LeftOut]) -> str:
    return listed([f"clip {clip.id}, {clip.path}: {clip.reason}" for clip in clips])


def versions() -> dict[str, str]:
    """Of Python, of all packages in use, and of the decoders."""
    decoders = {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__, "av": version("av")}
    return {**versions_in_use(), **decoders}


def _leave_out_missing(plan: Plan, allowed: bool) -> None:
    folder = plan.annotations.folder
    reasons = [_why_missing(folder / plan.annotations.paths[row]) for row in plan.rows]
    missing = [plan.left(row, why, "missing") for row, why in zip(plan.rows, reasons, strict=True) if why]
    if len(missing) == len(plan.rows):
        raise InputError(
            f"{folder}: holds none of the {len(missing)} files that its tables name, such as {missing[0].path} "
            f"({missing[0].reason})"
        )
    if missing and not allowed:
        raise InputError(
            f"{folder}: {len(missing)} of {len(reasons)} clips are missing; complete the copy, or accept a partial one "
            f"with --allow-missing:{_listed(missing)}"
        )
    plan.left_out += missing
    plan.rows = plan.rows[[not why for why in reasons]]


def _why_missing(path: Path) -> str:
    try:
        return "" if stat.S_ISREG(os.stat(path).st_mode) else "not a file"
    except (OSError, ValueError) as error:  # the latter of a name that an old locale cannot write
        return str(getattr(error, "strerror", None) or error)


def _leave_out_untagged(plan: Plan) -> None:
    tagged = plan.annotations.labels[plan.rows].any(axis=1)
    plan.left_out += [plan.left(row, "has none of the kept tags", "untagged") for row in plan.rows[~tagged]]
    plan.rows = plan.rows[tagged]


def _read_headers(plan: Plan, progress: Progress) -> None:
    rows = []
    for done, row in enumerate(plan.rows, start=1):
        try:
            plan.samples += expected_length(plan.annotations.folder / plan.annotations.paths[row])
            rows.append(row)
        except AudioError as error:
            plan.left_out.append(plan.left(row, error.reason, _kind(plan, row, error.reason)))
        progress("reading headers", done, len(plan.rows))
    plan.rows = np.array(rows, np.intp)


def _kind(plan: Plan, row: int, reason: str) -> str:
    known = KNOWN_EMPTY.get(int(plan.annotations.ids[row]))
    is_known = known is not None and plan.annotations.paths[row].startswith(known) and reason == EMPTY_FILE
    return "known empty" if is_known else "unreadable"
