"""Which clips a build reads, in which order, and how much room they will need."""

import hashlib
import json
import os
import stat
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    most_unreadable: float  # the share of clips beyond which the copy is taken to be damaged
    samples: int = 0  # of all clips by their headers
    left_out: list[LeftOut] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Samples to make room for at first."""
        return self.samples + self.samples // 64 + SPARE

    @property
    def files(self) -> list[Path]:
        """The audio files of the planned clips."""
        return [self.annotations.folder / self.annotations.paths[row] for row in self.rows]

    def fingerprint(self) -> str:
        """Equal for two plans whose arrays are the same, byte for byte."""
        files = [self.annotations.paths[row] for row in self.rows]
        changed = [(status.st_size, status.st_mtime_ns) for status in (file.stat() for file in self.files)]
        names = [representation.name for representation in self.representations]
        software = {name: number for name, number in versions().items() if name in _DECIDE_ARRAYS}
        described = [str(self.annotations.folder.resolve()), names, files, changed, software]
        return hashlib.sha256(json.dumps(described).encode()).hexdigest()

    def leave_out(self, reasons: Sequence[str], kind: str) -> None:
        """Leave out those of the planned clips, in their order, that have a reason."""
        ids, paths = self.annotations.ids, self.annotations.paths
        for row, reason in zip(self.rows, reasons, strict=True):
            if reason:
                known = paths[row].startswith(KNOWN_EMPTY.get(int(ids[row]), "\0")) and reason == EMPTY_FILE
                self.left_out.append(LeftOut(int(ids[row]), paths[row], reason, "known empty" if known else kind))
        self.rows = self.rows[[not reason for reason in reasons]]

    def check_failures(self) -> None:
        """Raise InputError if more than one clip, and more than the share that may be, cannot be read."""
        broken = [clip for clip in self.left_out if clip.kind == "unreadable"]
        present = len(self.rows) + sum(clip.kind not in ("missing", "untagged") for clip in self.left_out)
        if len(broken) > max(1, self.most_unreadable * present):
            raise InputError(
                f"{len(broken)} of {present} clips cannot be read, more than the {self.most_unreadable:.0%} that may "
                "be; the copy seems damaged. Replace these files, or delete them and use --allow-missing:"
                f"{named(broken)}"
            )


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
    """
    order = np.argsort([SPLITS.index(split) for split in annotations.splits], kind="stable")
    plan = Plan(annotations, representations, order, most_unreadable)
    plan.leave_out([_why_missing(file) for file in plan.files], "missing")
    missing, folder = plan.left_out[:], annotations.folder
    if len(plan.rows) == 0:
        raise InputError(
            f"{folder}: holds none of the {len(missing)} files that its tables name, such as {missing[0].path} "
            f"({missing[0].reason})"
        )
    if missing and not allow_missing:
        raise InputError(
            f"{folder}: {len(missing)} of {len(order)} clips are missing; complete the copy, or accept a partial one "
            f"with --allow-missing:{named(missing)}"
        )
    if clips == "tagged":
        labels = annotations.labels[plan.rows]
        plan.leave_out(["" if tags.any() else "has none of the kept tags" for tags in labels], "untagged")
    reasons = []
    for file in plan.files:
        try:
            plan.samples += expected_length(file)
            reasons.append("")
        except AudioError as error:
            reasons.append(error.reason)
        progress("reading headers", len(reasons), len(plan.rows))
    plan.leave_out(reasons, "unreadable")
    plan.check_failures()
    if len(plan.rows) == 0:
        raise InputError(f"{folder}: no clip is left to put into a data set:{named(plan.left_out)}")
    return plan


def named(clips: list[LeftOut]) -> str:
    """The first of some clips and their reasons, below what is said of them."""
    return listed([f"clip {clip.id}, {clip.path}: {clip.reason}" for clip in clips])


def _why_missing(path: Path) -> str:
    try:
        return "" if stat.S_ISREG(os.stat(path).st_mode) else "not a file"
    except (OSError, ValueError) as error:  # the latter of a name that an old locale cannot write
        return str(getattr(error, "strerror", None) or error)


def versions() -> dict[str, str]:
    """Of Python, of all packages in use, and of the decoders."""
    decoders = {"soundfile": soundfile.__version__, "libsndfile": soundfile.__libsndfile_version__, "av": version("av")}
    return {**versions_in_use(), **decoders}
