"""From audio files to the HDF5 data set.

Worker processes write what they compute straight to its place in an unfinished file, so arrays cross no pipe. A journal
beside it says which clips are in it; a build that was stopped or killed continues there. The tables come last.
"""

import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from theanoish.data.clip_job import Job, Result, do_job
from theanoish.data.journal import Journal
from theanoish.data.mel import fft_length
from theanoish.data.plan import LeftOut, Plan, Progress, check_failures, left_out_after_reading, make_plan, versions
from theanoish.data.storage import RAW, frames_of, length_and_stride, make_skeleton, row_bytes, write_table
from theanoish.errors import InputError
from theanoish.files import check_creatable, sync_to_disk
from theanoish.interrupt import StopRequest
from theanoish.representation import COMPRESSION, MEL_CHANNELS, SAMPLE_RATE, WINDOW_SAMPLES

USUAL_SAMPLES = 465_984  # of every readable clip of MagnaTagATune
ABOUT = (
    "Clips are in the order train, validation, test. In each representation, clip i is "
    "values[start[i] : start[i] + count[i]]; rows of 'values' that belong to no clip mean nothing. 'raw' holds int16 "
    "samples (divide by 32768), 'mel_<length>_<stride>' log(1 + 10000 x) of mel power spectrograms, one row a frame; "
    "frame t begins at sample t * stride. labels[i, j] is 1 where clip i has tags[j]. 'left_out' lists the clips that "
    "are not in the file."
)


class BuildStopped(Exception):
    """The build was asked to stop; the same call continues it."""


@dataclass(frozen=True)
class BuildSettings:
    """What to build.

    Attributes
    ----------
    source : Path
        Folder with the two CSVs, and the clips' folders ``0`` to ``f`` in it or in its ``mp3``.
    output : Path
        The HDF5 file.
    representations : tuple of str
        Of `storage.REPRESENTATIONS`.
    clips : {"all", "tagged"}
        Whether clips without any of the kept tags are in the file.
    allow_missing : bool
        Accept that files are missing.
    overwrite : bool
        Replace `output`, once the new file is complete.
    workers : int
        Processes.
    """

    source: Path
    output: Path
    representations: tuple[str, ...] = (RAW, "mel_256_256")
    clips: str = "all"
    allow_missing: bool = False
    overwrite: bool = False
    workers: int = 1


@dataclass(frozen=True)
class Summary:
    """What a build did.

    Attributes
    ----------
    clips : dict from str to int
        By split.
    tags : int
    left_out : list of LeftOut
    odd_lengths : list of (id, path, samples)
        The clips in the file that are not 465,984 samples long.
    read, resumed : int
        Clips read by this run, and by those that it continued.
    """

    clips: dict[str, int]
    tags: int
    left_out: list[LeftOut]
    odd_lengths: list[tuple[int, str, int]]
    read: int
    resumed: int


def build(settings: BuildSettings, stop: StopRequest, progress: Progress = lambda stage, done, total: None) -> Summary:
    """Build the HDF5 file of a data set, or continue a build that was interrupted.

    Parameters
    ----------
    stop : StopRequest
        Asked between clips.
    progress : callable
        Called with what is done ("reading headers" or "reading clips"), the clips done and all clips.

    Raises
    ------
    InputError
        Where the source is broken or incomplete, the output exists, cannot be written or its disk is full, or more than
        1 % of the clips cannot be read.
    BuildStopped
        Where `stop` was requested.
    """
    check_output(settings)
    output = settings.output

    def report(stage: str, done: int, total: int) -> None:
        progress(stage, done, total)
        if stop.requested:
            raise BuildStopped

    plan = make_plan(settings.source, settings.representations, settings.clips, settings.allow_missing, report)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        return _fill(plan, settings, report)
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error})") from error
    except BrokenProcessPool as error:
        raise InputError(
            "a worker process died, perhaps for want of memory; the same command with fewer --workers continues"
        ) from error


def check_output(settings: BuildSettings) -> None:
    """Find before any work that the output cannot be written.

    Raises
    ------
    InputError
        Where the output exists and must not be replaced, or no file can be made there.
    """
    output = settings.output
    check_creatable(output)
    if output.exists() and not settings.overwrite:
        raise InputError(f"{output}: exists already; --overwrite replaces it, --output names another file")


def _fill(plan: Plan, settings: BuildSettings, report: Progress) -> Summary:
    """Read what the journal does not have, write the tables, and give the file its name."""
    output = settings.output
    partial = output.with_name(f"{output.name}.partial")
    with Journal(output.with_name(f"{output.name}.journal"), partial, plan.fingerprint()) as journal:
        resumed = len(journal.results)
        places = make_skeleton(partial, {name: int(plan.starts(name)[-1]) for name in plan.representations})
        _check_space(partial)
        _read_clips(plan, _jobs(plan, partial, places), journal, settings.workers, report)
        summary = _write_tables(plan, settings, partial, journal.results, resumed)
        sync_to_disk(partial)
        os.replace(partial, output)
        sync_to_disk(output.parent)
        journal.remove()
    return summary


def _check_space(partial: Path) -> None:
    status = partial.stat()
    needed = status.st_size - status.st_blocks * 512  # the file is sparse until it is filled
    free = shutil.disk_usage(partial.parent).free
    if needed > free:
        raise InputError(f"{partial}: needs {needed / 1e9:.1f} GB more, the disk has {free / 1e9:.1f} GB; free some")


def _jobs(plan: Plan, partial: Path, places: dict[str, int]) -> list[Job]:
    starts = {name: places[name] + plan.starts(name) * row_bytes(name) for name in plan.representations}
    return [
        Job(
            clip=clip,
            audio=str(plan.path(clip)),
            output=str(partial),
            room=int(plan.room[clip]),
            places=tuple((name, int(starts[name][clip])) for name in plan.representations),
        )
        for clip in range(len(plan.rows))
    ]


def _read_clips(plan: Plan, jobs: list[Job], journal: Journal, workers: int, report: Progress) -> None:
    """Do the jobs that the journal has not, and enter them."""
    todo = [job for job in jobs if job.clip not in journal.results]
    try:
        for result in _done_in_parallel(todo, workers):
            journal.add(result)
            if result.reason:
                _check_failures_so_far(plan, journal)
            report("reading clips", len(journal.results), len(jobs))
    finally:
        journal.record()


def _done_in_parallel(jobs: list[Job], workers: int) -> Iterator[Result]:
    """Results in the order in which they are ready; what has not begun is dropped where the caller stops asking."""
    pool = ProcessPoolExecutor(
        max_workers=max(1, min(workers, len(jobs))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_prepare_worker,
    )
    try:
        for future in as_completed([pool.submit(do_job, job) for job in jobs]):
            yield future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _prepare_worker() -> None:
    """One thread a worker; signals and the end of the build reach workers through their parent alone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    threadpool_limits(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)  # the decoder prints there about broken files, which the build reports itself


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _check_failures_so_far(plan: Plan, journal: Journal) -> None:
    left_out = _all_left_out(plan, journal.results)
    try:
        check_failures(left_out, len(plan.rows) + len(plan.left_out) - len(left_out))
    except InputError:
        journal.remove()  # no other run can do better with these files
        raise


def _all_left_out(plan: Plan, results: dict[int, Result]) -> list[LeftOut]:
    """The clips that the plan leaves out, then those that reading left out, in the order of the plan."""
    left_out = list(plan.left_out)
    for clip, result in sorted(results.items()):
        if result.reason:
            left_out.append(left_out_after_reading(plan, clip, result.reason))
        elif result.samples < WINDOW_SAMPLES:
            reason = f"{result.samples} samples, fewer than a window's {WINDOW_SAMPLES}"
            left_out.append(left_out_after_reading(plan, clip, reason, "too short"))
    return left_out


def _write_tables(
    plan: Plan, settings: BuildSettings, partial: Path, results: dict[int, Result], resumed: int
) -> Summary:
    left_out = _all_left_out(plan, results)
    samples = np.array([0 if results[i].reason else results[i].samples for i in range(len(plan.rows))], np.int64)
    kept = np.flatnonzero(samples >= WINDOW_SAMPLES)
    if len(kept) == 0:
        raise InputError(f"{settings.source}: every clip is shorter than a window, {WINDOW_SAMPLES / SAMPLE_RATE:g} s")
    rows, table = plan.rows[kept], plan.annotations
    with h5py.File(partial, "r+") as file:
        file.attrs.update(_description(settings))
        write_table(file, {"tags": [table.tags[i] for i in plan.tag_columns]})
        write_table(file, {"labels": table.labels[np.ix_(rows, plan.tag_columns)]})
        write_table(file.create_group("clips"), {"id": table.ids[rows], "split": table.splits[rows]})
        for name in ("path", "artist", "album", "title"):
            write_table(file["clips"], {name: [getattr(table, f"{name}s")[row] for row in rows]})
        for name in plan.representations:
            _describe(file[name], name, plan.starts(name)[kept], frames_of(name, samples[kept]))
        write_table(file.create_group("left_out"), {"id": np.array([clip.id for clip in left_out], np.int64)})
        for name in ("path", "reason", "kind"):
            write_table(file["left_out"], {name: [getattr(clip, name) for clip in left_out]})
    odd = [(int(table.ids[plan.rows[i]]), table.paths[plan.rows[i]], int(samples[i])) for i in kept]
    return Summary(
        clips=dict(Counter(table.splits[rows].tolist())),
        tags=len(plan.tag_columns),
        left_out=left_out,
        odd_lengths=[clip for clip in odd if clip[2] != USUAL_SAMPLES],
        read=len(results) - resumed,
        resumed=resumed,
    )


def _description(settings: BuildSettings) -> dict[str, str | int]:
    return {
        "format": "theanoish",
        "format_version": 1,
        "about": ABOUT,
        "sample_rate": SAMPLE_RATE,
        "tags_kept": settings.clips,
        "source": settings.source.resolve().name,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions()),
        "settings": json.dumps(
            {
                "representations": settings.representations,
                "clips": settings.clips,
                "allow_missing": settings.allow_missing,
            }
        ),
    }


def _describe(group: h5py.Group, name: str, starts: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
    """Where each clip is in `values`, and how these were made."""
    write_table(group, {"start": starts, "count": counts})
    if name != RAW:
        length, stride = length_and_stride(name)
        group.attrs.update(
            {
                "length": length,
                "stride": stride,
                "fft_length": fft_length(length),
                "mel_channels": MEL_CHANNELS,
                "lowest_frequency": 0.0,
                "highest_frequency": SAMPLE_RATE / 2,
                "compression": COMPRESSION,
                "window": "Hann, periodic",
                "filters": "triangular on Slaney's mel scale, unit area",
            }
        )
