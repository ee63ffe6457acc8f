"""From audio files to the HDF5 data set.

Worker processes decode, one process writes: clip after clip in the order of the plan, each behind the one before it. A
small file beside the unfinished one has the results so far; a build that was stopped or killed continues there. The
tables come last.
"""

import json
import os
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from theanoish.data.annotations import TAGS_KEPT, most_frequent_tags, read_annotations
from theanoish.data.plan import LeftOut, Plan, Progress, make_plan, named, versions
from theanoish.data.results import Result, Results, read_clip
from theanoish.data.songs import read_labels, too_small
from theanoish.data.storage import Arrays, description, first_row, write_tables
from theanoish.errors import InputError
from theanoish.files import check_creatable, lock, sync_to_disk
from theanoish.interrupt import StopRequest
from theanoish.processes import in_parallel
from theanoish.representation import RAW, SAMPLE_RATE, USUAL_SAMPLES, WINDOW_SAMPLES, Representation

MOST_UNREADABLE = 0.01  # of MagnaTagATune's clips, which are known; of songs some may always be broken


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
    demo: bool = False  # whether --demo composed the clips

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
    most = 1.0 if settings.labels else MOST_UNREADABLE
    plan = make_plan(annotations, settings.representations, settings.clips, settings.allow_missing, most, report)
    try:
        summary = _fill(plan, settings, report)
    except OSError as error:
        raise InputError(f"{settings.output}: cannot be written ({error})") from error
    return replace(summary, notes=notes + summary.notes)


def check_output(settings: BuildSettings) -> None:
    """Find before any work that the output exists and must not be replaced, or that no file can be made there."""
    check_creatable(settings.output)
    if settings.output.exists() and not settings.output.is_file():
        raise InputError(f"{settings.output}: is no file that can be replaced; name another --output")
    if settings.labels and os.path.realpath(settings.labels) == os.path.realpath(settings.output):
        raise InputError(f"{settings.output}: is the table of labels; name another --output")
    if settings.output.exists() and not settings.overwrite:
        raise InputError(f"{settings.output}: exists already; --overwrite replaces it, --output names another file")


def _fill(plan: Plan, settings: BuildSettings, report: Progress) -> Summary:
    """Read the clips that are not done, write the tables, and give the file its name."""
    output = Path(os.path.realpath(settings.output))  # a link stays one
    output.parent.mkdir(parents=True, exist_ok=True)
    unfinished = output.with_name(f"{output.name}.partial")
    record = output.with_name(f"{output.name}.results")
    with lock(record, f"{unfinished}: is being written by another process") as file:
        results = Results(file, record, unfinished, plan.fingerprint())
        resumed = len(results.done)
        try:
            _read_clips(plan, unfinished, results, settings.workers, report)
            kept = _leave_out(plan, results)
            check_output(settings)  # another build may have finished in the meantime
            write_tables(unfinished, _tables(plan, kept), _attributes(plan, settings), begin=results.forget)
        except (InputError, OSError):
            if not results.done:
                results.remove()
            raise
        sync_to_disk(unfinished)
        os.replace(unfinished, output)
        sync_to_disk(output.parent)
        read = len(results.done) - resumed
        results.remove()
    ids, paths, splits = (getattr(plan.annotations, name) for name in ("ids", "paths", "splits"))
    clips = [(int(ids[row]), paths[row], result) for row, result in zip(plan.rows, kept, strict=True)]
    return Summary(
        clips=dict(Counter(splits[plan.rows].tolist())),
        tags=len(plan.annotations.tags),
        notes=too_small(plan.annotations, plan.rows) if settings.labels else [],
        left_out=plan.left_out,
        remarks=[(number, path, result.remark) for number, path, result in clips if result.remark],
        odd_lengths=[(number, path, r.samples) for number, path, r in clips if r.samples != USUAL_SAMPLES],
        read=read,
        resumed=resumed,
    )


def _read_clips(plan: Plan, output: Path, results: Results, workers: int, report: Progress) -> None:
    """Append the clips behind those that are done."""
    written = sum(result.samples for result in results.done if result.is_stored)
    arrays = Arrays(output, plan.representations, written, plan.room)
    files = plan.files[len(results.done) :]
    read = partial(read_clip, representations=plan.representations)
    usual_bytes = sum(int(r.rows_of(USUAL_SAMPLES)) * r.row_bytes for r in plan.representations)
    try:
        for result, clip in in_parallel(read, files, workers, usual_bytes):
            if result.is_stored:
                arrays.append(result.samples, clip)
            results.add(result)
            report("reading clips", len(results.done), len(plan.rows))
    finally:
        results.record()


def _leave_out(plan: Plan, results: Results) -> list[Result]:
    """Leave out the clips that turned out to be unreadable or short; the results of the others."""
    plan.leave_out([result.reason for result in results.done], "unreadable")
    read = [result for result in results.done if not result.reason]
    plan.leave_out([result.why_short for result in read], "too short")
    try:
        plan.check_failures()
        if not len(plan.rows):
            raise InputError(
                f"{plan.annotations.folder}: no clip can be read that is as long as a window, "
                f"{WINDOW_SAMPLES / SAMPLE_RATE:g} s:{named(plan.left_out)}"
            )
    except InputError:
        results.remove()  # no other run can do better with these files
        raise
    return [result for result in read if result.is_stored]


def _tables(plan: Plan, results: list[Result]) -> dict[str, Any]:
    table, rows = plan.annotations, plan.rows
    samples = np.array([result.samples for result in results], np.int64)
    tables: dict[str, Any] = {
        "tags": table.tags,
        "labels": table.labels[rows],
        "clips/id": table.ids[rows],
        "clips/split": table.splits[rows].tolist(),
        "clips/samples": samples,
        "left_out/id": np.array([clip.id for clip in plan.left_out], np.int64),
    }
    for name in ("path", "artist", "album", "title"):
        tables[f"clips/{name}"] = [getattr(table, f"{name}s")[row] for row in rows]
    for name in ("path", "reason", "kind"):
        tables[f"left_out/{name}"] = [getattr(clip, name) for clip in plan.left_out]
    for wanted in plan.representations:
        tables[f"{wanted.name}/start"] = first_row(np.cumsum(samples) - samples, wanted)
        tables[f"{wanted.name}/count"] = wanted.rows_of(samples)
    return tables


def _built_with(settings: BuildSettings) -> str:
    """The options that a build is to be asked for again with, without the places of this machine."""
    source = os.fsencode(settings.source.resolve().name).decode(errors="replace")
    options = ["--demo"] if settings.demo else ["--source", source]
    if settings.labels:
        labels = os.fsencode(settings.labels.name).decode(errors="replace")
        options = ["--songs", source, "--labels", labels, "--seed", str(settings.seed)]
    options += ["--clips", settings.clips] if settings.clips != "all" else []
    options += ["--allow-missing"] if settings.allow_missing else []
    return shlex.join(options)


def _attributes(plan: Plan, settings: BuildSettings) -> dict[str, dict[str, Any]]:
    attributes = description(plan.representations)
    attributes["/"] |= {
        "tags_kept": settings.clips,
        "source": os.fsencode(settings.source.resolve().name).decode(errors="replace"),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(versions()),
        "settings": json.dumps(settings.as_dict()),
        "built_with": _built_with(settings),
    }
    return attributes
