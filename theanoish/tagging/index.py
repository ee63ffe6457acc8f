"""A page of all songs that were tagged, by folder: to search, to sort and filter by tags, and to find what is alike."""

import json
import os
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

import numpy as np

from theanoish.tagging import likeness
from theanoish.tagging.page import write_filled
from theanoish.tagging.songs import name_of
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import Worth

CHOSEN = 3  # tags that have a column until others are chosen: the likeliest in all songs together


def write_index(
    path: Path,
    songs: Iterable[tuple[Path, Taggram]],
    alike: Iterable[list[tuple[int, float]]],
    tags: Sequence[str],
    network: str,
    worth: Worth,
) -> None:
    """Write the page, which leads to those of the songs.

    Parameters
    ----------
    path : Path
        In the folder of the songs' pages.
    songs : iterable of pairs of Path and Taggram
        The page of each song, and the song.
    alike : iterable of lists
        For each song what `likeness.nearest` gives.
    tags : sequence of str
    network : str
        Who says so.
    worth : Worth
    """
    rows, folders = [], []
    sums = np.zeros(len(tags))
    for (page, song), others in zip(songs, alike, strict=True):
        rows.append(
            {
                "page": quote(os.fsencode(page.name)),
                "title": song.title or song.name,
                "artist": song.artist,
                "seconds": round(song.seconds),
                "means": [round(float(mean), 3) for mean in song.means],
                "alike": [[other, round(cosine, 3)] for other, cosine in others],
            }
        )
        sums += song.means
        folders.append(os.path.abspath(song.path.parent))
    above = os.path.dirname(os.path.commonpath(folders)) if rows else ""
    for row, folder in zip(rows, folders, strict=True):
        row["folder"] = name_of(Path(os.path.relpath(folder, above)))
    data = {
        "tags": list(tags),
        "aucs": [worth.aucs.get(tag) for tag in tags],
        "chosen": np.argsort(-sums, kind="stable")[:CHOSEN].tolist(),
        "songs": rows,
    }
    values = {
        "title": "Songs",
        "about": escape(f"{len(rows)} songs, tagged by {network}: mean probabilities over windows of 3 s."),
        "worth": "".join(f'<p class="worth">{escape(sentence)}</p>' for sentence in worth.sentences),
        "foot": f"<p>{escape(likeness.ABOUT)}</p>",
        "data": json.dumps(data, separators=(",", ":")).replace("<", "\\u003c"),
    }
    write_filled(path, "index", values)
