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
from typing import Any
from urllib.parse import quote

import soundfile

from theanoish.data.audio import decode
from theanoish.files import write_text
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.colours import ON_DARK, ON_LIGHT, STEPS
from theanoish.tagging.taggram import Taggram, clock

# What browsers play of what libsndfile reads, by its name of the format.
PLAYED = {"MP3": "audio/mpeg", "WAV": "audio/wav", "WAVEX": "audio/wav", "FLAC": "audio/flac", "OGG": "audio/ogg"}
WAV_SUBTYPES = {"PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT"}
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
    kind, sound = _sound_of(taggram)
    data = {
        "name": taggram.name,
        "seconds": taggram.seconds,
        "edges": [round(float(edge), 3) for edge in taggram.edges],
        "tags": [taggram.tags[column] for column in taggram.order],
        "means": [round(float(taggram.means[column]), 4) for column in taggram.order],
        "values": taggram.probabilities.T[taggram.order].astype(float).round(3).tolist(),
        "type": kind,
    }
    foot = [f"Mean probabilities over windows of 3 s by {network}."]
    write_player(path, taggram.name, "", foot, data, sound=base64.b64encode(sound).decode())


def write_player(
    path: Path, title: str, about: str, foot: list[str], data: dict[str, Any], sound: str = "", network: str = ""
) -> None:
    """Write the page of a song, or, with the code of a network's worker, the page that tags songs.

    Parameters
    ----------
    path : Path
    title, about : str
        At its head, until a song stands there.
    foot : list of str
        Sentences at its foot.
    data : dict
        What `page.js` shows: a song, or ``model``, what tags songs.
    sound : str
        The song's file in base64.
    network : str
        JavaScript.
    """
    script = _text("page.js")
    values = {
        "title": escape(title),
        "about": escape(about),
        "legend": "".join(f'<rect class="c{i}" x="{i}" width="1" height="1"/>' for i in range(STEPS)),
        "paths": "".join(f'<path class="c{i}"/>' for i in range(STEPS)),
        "foot": "".join(f"<p>{escape(sentence)}</p>" for sentence in foot),
        "data": json.dumps(data).replace("<", "\\u003c"),
        "sound": sound,
        "network": network,
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


def _sound_of(taggram: Taggram) -> tuple[str, bytes]:
    """The type and bytes of a file that browsers play: the song's, or as MP3 what the network heard of it."""
    path = taggram.path
    with suppress(soundfile.SoundFileError), path.open("rb") as file:  # what it cannot read, `decode` may
        audio = soundfile.info(file)
        if audio.format in PLAYED and (not audio.format.startswith("WAV") or audio.subtype in WAV_SUBTYPES):
            return PLAYED[audio.format], path.read_bytes()
    encoded = io.BytesIO()
    soundfile.write(encoded, decode(path), SAMPLE_RATE, format="MP3")
    return "audio/mpeg", encoded.getvalue()
