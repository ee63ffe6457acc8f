"""A page to hear a song and see its tags move: one HTML file that needs nothing else, least of all the network.

Names of files and tags come from anywhere, so every text is escaped, and the page's own policy lets no script run but
the one whose digest it names.
"""

import base64
import hashlib
import io
import json
import re
from contextlib import suppress
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

import soundfile

from theanoish.data.audio import decode
from theanoish.files import write_text
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.colours import ON_DARK, ON_LIGHT, STEPS
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import UNKNOWN, Worth

# What browsers are known to play, by FFmpeg's names of container and codec.
PLAYED = {
    "mp3": ("audio/mpeg", {"mp3", "mp3float"}),
    "wav": ("audio/wav", {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"}),
    "flac": ("audio/flac", {"flac"}),
    "ogg": ("audio/ogg", {"vorbis", "opus"}),
    "mov,mp4,m4a,3gp,3g2,mj2": ("audio/mp4", {"aac"}),
    "aac": ("audio/aac", {"aac"}),
}
RATES_PLAYED = (8_000, 96_000)
TOLERANCE = 0.25  # seconds between what a file's header says and what is drawn
LARGEST = 150_000_000  # bytes of a file that is embedded as it is; a browser reads them in some six seconds
_FOLDER = resources.files("theanoish.tagging") / "templates"


def write_page(path: Path, taggram: Taggram, network: str, worth: Worth = UNKNOWN) -> None:
    """Write the page of a song.

    Parameters
    ----------
    path : Path
    taggram : Taggram
        Its file is embedded, as it is if browsers play such files.
    network : str
        Who says so, for the foot of the page.
    worth : Worth
        Of its tags: each one's AUC stands beside it, the rest in the foot.
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
        "aucs": worth.aucs,
    }
    foot = [f"Mean probabilities over windows of 3 s by {network}.", *worth.sentences]
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
    values = {
        "title": escape(title),
        "about": escape(about),
        "legend": "".join(f'<rect class="c{i}" x="{i}" width="1" height="1"/>' for i in range(STEPS)),
        "paths": "".join(f'<path class="c{i}"/>' for i in range(STEPS)),
        "foot": "".join(f"<p>{escape(sentence)}</p>" for sentence in foot),
        "data": json.dumps(data).replace("<", "\\u003c"),
        "sound": sound,
        "network": network,
    }
    write_filled(path, "page", values)


def write_filled(path: Path, name: str, values: dict[str, str]) -> None:
    """Write a template's text with `values`, with its script and style, and with their digests."""
    script, own_style = _text(f"{name}.js"), "" if name == "page" else _text(f"{name}.css")

    def palette(colours: list[str]) -> str:
        return ":root{" + "".join(f"--c{i}:{colour};" for i, colour in enumerate(colours)) + "}"

    steps = "".join(f".c{i}{{fill:var(--c{i})}}" for i in range(STEPS))
    dark = f"@media (prefers-color-scheme: dark){{{palette(ON_DARK)}}}"
    style = f"{palette(ON_LIGHT)}{dark}{steps}\n{_text('page.css')}{own_style}"
    values = values | {"style": style, "style_hash": _digest(style)}
    values |= {"script": script, "script_hash": _digest(script)}
    # in one pass, so that no value is searched for the names of others
    text = re.sub(r"\{\{(\w+)\}\}", lambda match: values[match[1]], _text(f"{name}.html"))
    write_text(path, text)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _sound_of(taggram: Taggram) -> tuple[str, bytes]:
    """The type and bytes of a file that browsers play: the song's, or as MP3 what the network heard of it."""
    kind = _type_of(taggram.path, taggram.seconds)
    if kind and taggram.path.stat().st_size <= LARGEST:
        return kind, taggram.path.read_bytes()
    encoded = io.BytesIO()
    soundfile.write(encoded, decode(taggram.path), SAMPLE_RATE, format="MP3")
    return "audio/mpeg", encoded.getvalue()


def _type_of(path: Path, seconds: float) -> str:
    """The type of a file that browsers play, and whose header says that it lasts `seconds`; "" of any other."""
    import av  # slow to import

    try:
        with av.open(str(path)) as container:
            [stream] = container.streams.audio
            kind, codecs = PLAYED.get(container.format.name, ("", set()))
            lengths = [(container.duration or 0) / av.time_base]
            played = stream.codec_context.name in codecs and RATES_PLAYED[0] <= stream.rate <= RATES_PLAYED[1]
        with suppress(soundfile.SoundFileError), path.open("rb") as file:  # which does not open all that is played
            lengths.append(soundfile.info(file).duration)
    except (av.FFmpegError, OSError, ValueError):  # a damaged file, or one with several sounds
        return ""
    return kind if played and all(abs(length - seconds) < TOLERANCE for length in lengths) else ""
