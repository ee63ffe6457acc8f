"""From audio files to the HDF5 data set.

Worker processes write what they compute straight to its place in an unfinished file, so arrays cross no pipe. A journal
beside it says which clips are in it; a build that was stopped or killed continues there. The tables come last.
"""

import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.data.annotations import TAGS_KEPT, most_frequent_tags, read_annotations
from theanoish.data.jobs import Job, Journal, Result, do_job, opened_journal
from theanoish.data.plan import LeftOut, Plan, Progress, check_failures, make_plan, versions
from theanoish.data.songs import read_labels, too_small
from theanoish.data.storage import description, first_row, make_skeleton, write_tables
from theanoish.errors import InputError
from theanoish.files import check_creatable, sync_to_disk
from theanoish.interrupt import StopRequest
from theanoish.processes import in_parallel
from theanoish.representation import RAW, SAMPLE_RATE, WINDOW_SAMPLES, Representation

USUAL_SAMPLES = 465_984  # of every readable clip of MagnaTagATune


class BuildStopped(Exception):
    """The build was asked to stop; the same call continues it."""


@dataclass(frozen=True)
class BuildSettings:
    """What to build."""

    source: Path  # folder of the two CSVs and, in it or in its ``mp3``, the clips' folders ``0`` to ``f``; or of songs
    output: Path  # the HDF5 file
    representations: tuple[Representation, ...] = (RAW, Representation(256, 256))
    clips: str = "all"  # or "tagged": without the clips that have none of the kept tags
    allow_missing: bool = False  # accept that files are missing
    overwrite: bool = False  # replace `output`, once the new file is complete
    workers: int = 1  # processes
    labels: Path | None = None  # table of the songs' labels: `source` is a folder of songs then
    seed: int = 1  # of their split

    def as_dict(self) -> dict[str, Any]:
        """What the file's contents depend on, as plain values."""
        chosen = {
            "representations": [representation.name for representation in self.representations],
            "clips": self.clips,
            "allow_missing": self.allow_missing,
        }
        return chosen | ({"seed": self.seed} if self.labels else {})


@dataclass(frozen=True)
class Summary:
    """What a build did."""

    clips: dict[str, int]  # by split
    tags: int
    notes: list[str]  # what songs and their table need said
    left_out: list[LeftOut]
    remarks: list[tuple[int, str, str]]  # id, path and what is odd about its file, such as damage
    odd_lengths: list[tuple[int, str, int]]  # id, path, samples: of the clips that have not 465,984
    read: int  # clips, by this run
    resumed: int  # clips, by those that it continued


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

    def report(stage: str, done: int, total: int) -> None:
        progress(stage, done, total)
        if stop.requested:
            raise BuildStopped

    notes: list[str] = []
    if settings.labels:
        annotations, notes = read_labels(settings.source, settings.labels, settings.seed)
    else:
        table = read_annotations(settings.source)
        columns = most_frequent_tags(table.labels, TAGS_KEPT)
        if not len(columns):
            raise InputError(f"{settings.source}: no clip has any tag")
        annotations = replace(table, tags=[table.tags[i] for i in columns], labels=table.labels[:, columns])
    plan = make_plan(annotations, settings.representations, settings.clips, settings.allow_missing, report)
    try:
        summary = _fill(plan, settings, report)
    except OSError as error:
        raise InputError(f"{settings.output}: cannot be written ({error})") from error
    return replace(summary, notes=notes + summary.notes)


def check_output(settings: BuildSettings) -> None:
    """Find before any work that the output cannot be written.

    Raises
    ------
    InputError
        Where the output exists and must not be replaced, or no file can be made there.
    """
    check_creatable(settings.output)
    if settings.output.exists() and not settings.output.is_file():
        raise InputError(f"{settings.output}: is no file that can be replaced; name another --output")
    if settings.labels and os.path.realpath(settings.labels) == os.path.realpath(settings.output):
        raise InputError(f"{settings.output}: is the table of labels; name another --output")
    if settings.output.exists() and not settings.overwrite:
        raise InputError(f"{settings.output}: exists already; --overwrite replaces it, --output names another file")


def _fill(plan: Plan, settings: BuildSettings, report: Progress) -> Summary:
    """Read what the journal does not have, write the tables, and give the file its name."""
    output = Path(os.path.realpath(settings.output))  # a link stays one
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.name}.partial")
    with opened_journal(output.with_name(f"{output.name}.journal"), unfinished, plan.fingerprint()) as journal:
        resumed = len(journal.results)
        try:
            _read_clips(plan, unfinished, journal, settings.workers, report)
            summary = _write_tables(plan, settings, unfinished, journal.results, resumed)
            check_output(settings)  # another build may have finished in the meantime
        except (InputError, OSError):
            if not journal.results:
                journal.remove()
            raise
        sync_to_disk(unfinished)
        os.replace(unfinished, output)
        sync_to_disk(output.parent)
        journal.remove()
    return summary


def _read_clips(plan: Plan, output: Path, journal: Journal, workers: int, report: Progress) -> None:
    """Do what the journal has not.

    A clip that is longer than its header promises goes to the spare room behind all others. If that is too small for
    all of these, everything begins anew with the room that they need.
    """
    while True:
        begins = plan.begins(journal.longer)
        arrays = make_skeleton(output, plan.representations, int(begins[-1]))
        new = [clip for clip in range(len(plan.rows)) if clip not in journal.results]
        jobs = [
            Job(clip, plan.path(clip), output, int(begins[clip]), int(begins[clip + 1] - begins[clip]), arrays)
            for clip in new
        ]
        _do(jobs, plan, journal, workers, report)
        homeless = {clip: result.samples for clip, result in sorted(journal.results.items()) if result.is_homeless}
        stored = [result for result in journal.results.values() if result.begin >= 0]
        spare = max([int(begins[-2]), *(result.begin + result.samples for result in stored)])
        if spare + sum(homeless.values()) <= begins[-1]:
            break
        journal.begin_anew(journal.longer | homeless)
    jobs = []
    for clip, samples in homeless.items():
        jobs.append(Job(clip, plan.path(clip), output, spare, samples, arrays))
        spare += samples
    _do(jobs, plan, journal, workers, report)


def _do(jobs: list[Job], plan: Plan, journal: Journal, workers: int, report: Progress) -> None:
    """Do jobs and enter their results into the journal."""
    try:
        for result in in_parallel(do_job, jobs, workers) if jobs else ():
            journal.add(result)
            if result.reason:
                _check_failures_so_far(plan, journal)
            report("reading clips", len(journal.results), len(plan.rows))
    finally:
        journal.record()


def _check_failures_so_far(plan: Plan, journal: Journal) -> None:
    # the homeless wait for room, and are no failures
    settled = {clip: result for clip, result in journal.results.items() if not result.is_homeless}
    left_out = _all_left_out(plan, settled)
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
            left_out.append(plan.left(plan.rows[clip], result.reason, "unreadable"))
        elif result.is_homeless:
            left_out.append(plan.left(plan.rows[clip], "the file changed while it was read", "unreadable"))
        elif result.begin < 0:
            reason = f"{result.samples} samples, fewer than a window's {WINDOW_SAMPLES}"
            remark = f" ({result.remark})" if result.remark else ""
            left_out.append(plan.left(plan.rows[clip], reason + remark, "too short"))
    return left_out


def _write_tables(
    plan: Plan, settings: BuildSettings, output: Path, results: dict[int, Result], resumed: int
) -> Summary:
    left_out, table = _all_left_out(plan, results), plan.annotations
    kept = [results[clip] for clip in range(len(plan.rows)) if results[clip].begin >= 0]
    if not kept:
        raise InputError(f"{settings.source}: every clip is shorter than a window, {WINDOW_SAMPLES / SAMPLE_RATE:g} s")
    rows = plan.rows[[result.clip for result in kept]]
    samples = np.array([result.samples for result in kept], np.int64)
    tables: dict[str, Any] = {
        "tags": table.tags,
        "labels": table.labels[rows],
        "clips/id": table.ids[rows],
        "clips/split": table.splits[rows].tolist(),
        "clips/samples": samples,
        "left_out/id": np.array([clip.id for clip in left_out], np.int64),
    }
    for name in ("path", "artist", "album", "title"):
        tables[f"clips/{name}"] = [getattr(table, f"{name}s")[row] for row in rows]
    for name in ("path", "reason", "kind"):
        tables[f"left_out/{name}"] = [getattr(clip, name) for clip in left_out]
    for wanted in plan.representations:
        starts = [first_row(result.begin, wanted) for result in kept]
        tables |= {f"{wanted.name}/start": np.array(starts, np.int64), f"{wanted.name}/count": wanted.rows_of(samples)}
    attributes = description(plan.representations)
    attributes["/"] |= {
        "tags_kept": settings.clips,
        "source": os.fsencode(settings.source.resolve().name).decode(errors="replace"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions()),
        "settings": json.dumps(settings.as_dict()),
    }
    write_tables(output, tables, attributes)
    named = [(int(table.ids[row]), table.paths[row], result) for row, result in zip(rows, kept, strict=True)]
    return Summary(
        clips=dict(Counter(table.splits[rows].tolist())),
        tags=len(table.tags),
        notes=too_small(table, rows) if settings.labels else [],
        left_out=left_out,
        remarks=[(number, path, result.remark) for number, path, result in named if result.remark],
        odd_lengths=[(number, path, r.samples) for number, path, r in named if r.samples != USUAL_SAMPLES],
        read=len(results) - resumed,
        resumed=resumed,
    )
