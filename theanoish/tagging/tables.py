"""The tags of songs as text, JSON and CSV; files are written song by song, so that memory does not grow with them."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from theanoish.files import written_whole
from theanoish.tagging.likeness import ABOUT
from theanoish.tagging.songs import Failure, name_of
from theanoish.tagging.taggram import Taggram, clock
from theanoish.tagging.worth import Worth

LISTED = 3  # parts of a song in the text


def as_text(taggram: Taggram, top: int, aucs: dict[str, float] | None = None) -> str:
    """The likeliest tags of a song for people, each with its mean probability, test AUC and where it is strong."""
    padded = "shorter than a window of 3 s: followed by silence" if taggram.padded else ""
    about = ", ".join(filter(None, [clock(taggram.seconds), padded, taggram.remark]))
    lines = [f"{name_of(taggram.path)} ({about})"]
    columns = taggram.order[:top]
    names = [taggram.tags[column] for column in columns]
    names = [f"{name} ({aucs[name]:.2f})" if aucs and name in aucs else name for name in names]
    width = max(map(len, names))
    for column, name in zip(columns, names, strict=True):
        parts = parts_as_text(taggram.strong(column), taggram.seconds)
        lines.append(f"  {taggram.means[column]:.2f}  {name:<{width}}  {parts}")
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
        ``file``, ``title``, ``artist``, ``seconds``, ``padded``, ``remark``; ``tags``, the likeliest first: ``tag``,
        mean ``probability``, and where it is ``strong``, as pairs of seconds; ``windows``: the second at which each
        ``begins``, and ``probabilities`` by tag.
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
    song = {"file": str(taggram.path), "title": taggram.title, "artist": taggram.artist}
    sound = {"seconds": round(taggram.seconds, 3), "padded": taggram.padded, "remark": taggram.remark}
    return {**song, **sound, "tags": tags, "windows": windows}


def write_songs_json(
    path: Path,
    network: str,
    worth: Worth,
    songs: Iterable[Taggram],
    failures: Iterable[Failure],
    alike: Sequence[list[tuple[int, float]]],
    files: Sequence[Path],
) -> None:
    """Write a JSON file ``{"network": ..., "worth": ..., "alike": ..., "songs": [...], "failed": [...]}``.

    A song to a line. What `likeness.nearest` gives for the songs at `files` stands in each as ``alike``: other files,
    and the cosine with each.
    """
    about = {"about": " ".join(worth.sentences), "test_auc": worth.aucs}
    failed = [{"file": str(failure.path), "reason": failure.reason} for failure in failures]
    with written_whole(path) as beside, beside.open("w", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f'{{"network": {json.dumps(network)}, "worth": {json.dumps(about)}, ')
        file.write(f'"alike": {json.dumps(ABOUT)}, "songs": [')
        for number, (song, others) in enumerate(zip(songs, alike, strict=True)):
            near = [{"file": str(files[other]), "cosine": round(cosine, 4)} for other, cosine in others]
            file.write((",\n" if number else "\n") + json.dumps(as_dict(song) | {"alike": near}, ensure_ascii=False))
        file.write(f'\n], "failed": {json.dumps(failed, ensure_ascii=False)}}}\n')


def write_songs_csv(path: Path, tags: list[str], songs: Iterable[Taggram]) -> None:
    """Write a CSV file with a row per song and a column of mean probabilities per tag."""
    with (
        written_whole(path) as beside,
        beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        file.write(_csv_line(["file", "seconds", *tags]))
        for song in songs:
            file.write(_csv_line([song.path, f"{song.seconds:.3f}", *(f"{mean:.5f}" for mean in song.means)]))


def _csv_line(fields: Sequence[Any]) -> str:
    """A row; before Python 3.13 only a writer that ends lines with a carriage return quotes names that hold one."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(fields)
    return text.getvalue().removesuffix("\r\n") + "\n"
