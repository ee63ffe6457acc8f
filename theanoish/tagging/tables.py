"""The tags of songs as text, JSON and CSV; files are written song by song, so that memory does not grow with them."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from theanoish.files import written_whole
from theanoish.tagging.songs import Failure, name_of
from theanoish.tagging.taggram import Taggram, clock

LISTED = 3  # parts of a song in the text


def as_text(taggram: Taggram, top: int) -> str:
    """The likeliest tags of a song for people, each with its mean probability and where it is strong."""
    padded = "shorter than a window of 3 s: followed by silence" if taggram.padded else ""
    about = ", ".join(filter(None, [clock(taggram.seconds), padded, taggram.remark]))
    lines = [f"{name_of(taggram.path)} ({about})"]
    columns = taggram.order[:top]
    width = max(len(taggram.tags[column]) for column in columns)
    for column in columns:
        parts = parts_as_text(taggram.strong(column), taggram.seconds)
        lines.append(f"  {taggram.means[column]:.2f}  {taggram.tags[column]:<{width}}  {parts}")
    return "\n".join(lines)


def parts_as_text(parts: list[tuple[float, float]], seconds: float) -> str:
    """The longest parts of a song of `seconds`, in the order of time."""
    if not parts:
        return "nowhere"
    if parts == [(0.0, seconds)]:
        return "throughout"
    longest = sorted(sorted(parts, key=lambda part: part[0] - part[1])[:LISTED])
    more = f" and {len(parts) - LISTED} shorter" if len(parts) > LISTED else ""
    return ", ".join(f"{clock(begin)}-{clock(end)}" for begin, end in longest) + more


def as_dict(taggram: Taggram) -> dict[str, Any]:
    """All that is known of a song, as plain values.

    Returns
    -------
    dict
        ``file``, ``seconds``, ``padded``, ``remark``; ``tags``, the likeliest first: ``tag``, mean ``probability``, and
        where it is ``strong``, as pairs of seconds; ``windows``: the second at which each ``begins``, and
        ``probabilities`` by tag.
    """
    tags = [
        {
            "tag": taggram.tags[column],
            "probability": round(float(taggram.means[column]), 5),
            "strong": [[round(begin, 3), round(end, 3)] for begin, end in taggram.strong(column)],
        }
        for column in taggram.order
    ]
    columns = zip(taggram.tags, taggram.probabilities.T.astype(float).round(5).tolist(), strict=True)
    windows = {"begins": taggram.begins.round(3).tolist(), "probabilities": dict(columns)}
    song = {"file": str(taggram.path), "seconds": round(taggram.seconds, 3), "padded": taggram.padded}
    song["remark"] = taggram.remark
    return {**song, "tags": tags, "windows": windows}


@contextmanager
def json_file(path: Path, network: str) -> Iterator[Callable[[Taggram | Failure], None]]:
    """A JSON file ``{"network": ..., "songs": [...], "failed": [...]}`` and the function that adds a song to it."""
    failed: list[dict[str, str]] = []
    separator = "\n"
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f'{{"network": {json.dumps(network)}, "songs": [')

        def add(song: Taggram | Failure) -> None:
            nonlocal separator
            if isinstance(song, Failure):
                failed.append({"file": str(song.path), "reason": song.reason})
                return
            file.write(separator + json.dumps(as_dict(song), ensure_ascii=False))
            separator = ",\n"

        yield add
        file.write(f'\n], "failed": {json.dumps(failed, ensure_ascii=False)}}}\n')


@contextmanager
def csv_file(path: Path, tags: list[str]) -> Iterator[Callable[[Taggram | Failure], None]]:
    """A CSV file with a row per song and a column of mean probabilities per tag, and the function that adds a song."""
    with (
        written_whole(path) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["file", "seconds", *tags])

        def add(song: Taggram | Failure) -> None:
            if isinstance(song, Taggram):
                means = (f"{mean:.5f}" for mean in song.means)
                writer.writerow([song.path, f"{song.seconds:.3f}", *means])

        yield add
