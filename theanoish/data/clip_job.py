"""The work on one clip: decode it, compute its representations, write them to their places in the file."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.audio import AudioError, decode
from theanoish.data.mel import log_mels
from theanoish.data.storage import RAW, length_and_stride
from theanoish.settings import WINDOW_SAMPLES


@dataclass(frozen=True)
class Job:
    """The work on one clip.

    Attributes
    ----------
    clip : int
        Its number in the plan.
    audio, output : str
        The file to decode, and the one to write to.
    room : int
        The most samples that the clip may have.
    places : tuple of (str, int)
        Representations, and the byte of `output` where this clip's begins.
    """

    clip: int
    audio: str
    output: str
    room: int
    places: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Result:
    """What became of a clip: its samples, or the reason why it cannot be read.

    A clip shorter than a window has samples, but nothing of it is written.
    """

    clip: int
    samples: int = 0
    reason: str = ""


def do_job(job: Job) -> Result:
    """Do the work on one clip. It depends on nothing but `job`, so any process that sees the files can do it.

    Raises
    ------
    OSError
        Where the output cannot be written.
    """
    try:
        samples = decode(Path(job.audio))
    except AudioError as error:
        return Result(job.clip, reason=error.reason)
    if len(samples) > job.room:
        return Result(job.clip, reason=f"holds {len(samples)} samples, but its header says {job.room}")
    if len(samples) < WINDOW_SAMPLES:
        return Result(job.clip, len(samples))
    file = os.open(job.output, os.O_WRONLY)
    try:
        places = {length_and_stride(name): place for name, place in job.places}
        if length_and_stride(RAW) in places:
            _write_at(file, samples.astype("<i2", copy=False), places.pop(length_and_stride(RAW)))
        for shape, values in log_mels(samples, places):
            _write_at(file, values.astype("<f4", copy=False), places[shape])
    finally:
        os.close(file)
    return Result(job.clip, len(samples))


def _write_at(file: int, values: NDArray[Any], place: int) -> None:
    left = values.reshape(-1).view(np.uint8)
    while len(left):  # one call may write less than all
        written = os.pwrite(file, left.data, place)
        left, place = left[written:], place + written
