"""A page to hear a song and see its tags move: one HTML file that needs nothing else, least of all the network.

Names of files and tags come from anywhere, so every text is escaped, and the page's own policy lets no script run but
the one whose digest it names.
"""

import base64
import hashlib
import io
import json
import os
import re
from contextlib import suppress
from html import escape
from importlib import resources
from pathlib import Path
from urllib.parse import quote

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.data.audio import decode
from theanoish.files import write_text
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.colours import ON_DARK, ON_LIGHT, STEPS, scale_of
from theanoish.tagging.tables import parts_as_text
from theanoish.tagging.taggram import Taggram, clock, tick_seconds

# What browsers play of what libsndfile reads, by its name of the format.
PLAYED = {"MP3": "audio/mpeg", "WAV": "audio/wav", "WAVEX": "audio/wav", "FLAC": "audio/flac", "OGG": "audio/ogg"}
WAV_SUBTYPES = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}
WIDTH = 10_000  # of a row's drawing
NAMED = 3  # tags in a song's summary
_FOLDER = resources.files("theanoish.tagging") / "templates"


def write_page(path: Path, taggram: Taggram, network: str) -> None:
    """Write the page of a song.

    Parameters
    ----------
    path : Path
    taggram : Taggram
        Its file is embedded, as it is if browsers play such files.
    network : str
        Who says so, for the foot of the page.
    """
    top = scale_of(float(taggram.probabilities.max()))
    kind, sound = _sound_of(taggram.path)
    data = {
        "seconds": taggram.seconds,
        "edges": [round(float(edge), 3) for edge in taggram.edges],
        "values": [np.rint(taggram.probabilities[:, column] * 1000).astype(int).tolist() for column in taggram.order],
        "type": kind,
    }
    script = _text("page.js")
    ticks = tick_seconds(taggram.seconds, 6)
    values = {
        "title": escape(taggram.name),
        "about": f"{clock(taggram.seconds)} · {_summary(taggram)}",
        "seconds": f"{taggram.seconds:.3f}",
        "length": clock(taggram.seconds),
        "count": str(len(taggram.tags)),
        "top": f"{top:.2f}",
        "legend": "".join(f'<rect class="c{i}" x="{i}" width="1" height="1"/>' for i in range(STEPS)),
        "axis": "".join(_tick(clock(tick), 100 * tick / taggram.seconds) for tick in ticks),
        "rows": "\n".join(_row(taggram, int(column), top) for column in taggram.order),
        "network": escape(f"Mean probabilities over windows of 3 s by {network}."),
        "data": json.dumps(data).replace("<", "\\u003c"),
        "sound": base64.b64encode(sound).decode(),
        "script": script,
        "script_hash": _digest(script),
    }
    _write(path, "page.html", values)


def index_row(page: Path, song: Taggram) -> str:
    """A song's row in the list that `write_index` writes into the folder of its page."""
    link = f'<a href="{quote(os.fsencode(page.name))}">{escape(song.name)}</a>'
    return f"<tr><td>{link}</td><td>{clock(song.seconds)}</td><td>{_summary(song)}</td></tr>"


def write_index(path: Path, rows: list[str], network: str) -> None:
    """Write the list of songs."""
    about = escape(f"{len(rows)} songs, tagged by {network}")
    _write(path, "index.html", {"title": "Songs", "about": about, "rows": "\n".join(rows)})


def _write(path: Path, template: str, values: dict[str, str]) -> None:
    def palette(colours: list[str]) -> str:
        return ":root{" + "".join(f"--c{i}:{colour};" for i, colour in enumerate(colours)) + "}"

    steps = "".join(f".c{i}{{fill:var(--c{i})}}" for i in range(STEPS))
    dark = f"@media (prefers-color-scheme: dark){{{palette(ON_DARK)}}}"
    style = f"{palette(ON_LIGHT)}{dark}{steps}\n{_text('page.css')}"
    values = values | {"style": style, "style_hash": _digest(style)}
    # in one pass, so that no value is searched for the names of others
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _text(template))
    write_text(path, text)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _summary(taggram: Taggram) -> str:
    best = taggram.order[:NAMED]
    tags = (f"<b>{escape(taggram.tags[column])}</b> {taggram.means[column]:.2f}" for column in best)
    return ", ".join(f"<span>{tag}</span>" for tag in tags)


def _tick(text: str, percent: float) -> str:
    x = f"{percent:.3f}%"
    return f'<text x="{x}" y="1em">{text}</text><line x1="{x}" x2="{x}" y1="82%" y2="100%"/>'


def _row(taggram: Taggram, column: int, top: float) -> str:
    """A tag's row: its name, its probabilities as coloured parts of a line, and its mean."""
    tag, mean = escape(taggram.tags[column]), f"{taggram.means[column]:.2f}"
    values = taggram.probabilities[:, column]
    highest = int(values.argmax())
    about = (
        f"{tag}: mean {mean}, highest {values[highest]:.2f} at {clock(taggram.edges[highest])}; "
        f"strong {parts_as_text(taggram.strong(column), taggram.seconds)}"
    )
    return (
        f'<li class="row" data-tag="{tag}" data-about="{about}"><button aria-label="{about}">{tag}</button>'
        f'<svg class="strip" viewBox="0 0 {WIDTH} 1" preserveAspectRatio="none" shape-rendering="crispEdges" '
        f'aria-hidden="true">{_strip(taggram.edges / taggram.seconds, values / top)}</svg>'
        f'<span class="value" data-mean="{mean}">{mean}</span></li>'
    )


def _strip(edges: NDArray[np.float64], shares: NDArray[np.float32]) -> str:
    """A path per colour; neighbouring windows of one colour are one rectangle."""
    steps = np.clip((shares * STEPS).astype(int), 0, STEPS - 1)
    places = np.rint(edges * WIDTH).astype(int)
    first = np.flatnonzero(np.concatenate([[True], np.diff(steps) != 0]))
    paths: dict[int, str] = {}
    for step, begin, end in zip(steps[first].tolist(), places[first], places[np.append(first[1:], -1)], strict=True):
        paths[step] = paths.get(step, "") + f"M{begin} 0H{end}V1H{begin}z"
    return "".join(f'<path class="c{step}" d="{path}"/>' for step, path in sorted(paths.items()) if step)


def _sound_of(path: Path) -> tuple[str, bytes]:
    """The type and bytes of a file that browsers play: `path` itself, or as MP3 what the network heard of it."""
    with suppress(soundfile.SoundFileError), path.open("rb") as file:  # what it cannot read, `decode` may
        audio = soundfile.info(file)
        if audio.format in PLAYED and (not audio.format.startswith("WAV") or audio.subtype in WAV_SUBTYPES):
            return PLAYED[audio.format], path.read_bytes()
    encoded = io.BytesIO()
    soundfile.write(encoded, decode(path), SAMPLE_RATE, format="MP3")
    return "audio/mpeg", encoded.getvalue()
