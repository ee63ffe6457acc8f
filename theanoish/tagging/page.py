"""A page to hear a song and see its tags move: one HTML file that needs nothing else, least of all the network.

Names of files and tags come from anywhere, so every text is escaped, and the page's own policy lets no script run but
the one whose digest it names.
"""

import base64
import hashlib
import json
import re
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from theanoish.files import write_text
from theanoish.tagging.colours import ON_DARK, ON_LIGHT, STEPS
from theanoish.tagging.sound import sound_for
from theanoish.tagging.tables import as_text
from theanoish.tagging.taggram import Taggram, clock
from theanoish.tagging.worth import UNKNOWN, Worth

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
        Of its tags.
    """
    sound = sound_for(path, taggram)
    data = {
        "name": taggram.name,
        "seconds": taggram.seconds,
        "edges": [round(float(edge), 3) for edge in taggram.edges],
        "tags": [taggram.tags[column] for column in taggram.order],
        "means": [round(float(taggram.means[column]), 4) for column in taggram.order],
        "values": taggram.probabilities.T[taggram.order].astype(float).round(3).tolist(),
    }
    foot = [f"Mean probabilities over windows of 3 s by {network}."]
    if "source" in sound:
        foot.append(f"Its sound is in the folder {path.stem}_files: keep that beside this page.")
    embedded = sound.pop("sound", "")
    _, plain = as_text(taggram, len(taggram.tags), worth.aucs).split("\n", 1)  # without the path, which is private
    write_player(path, taggram.name, clock(taggram.seconds), plain, foot, worth, data | sound, sound=embedded)


def write_player(
    path: Path,
    title: str,
    about: str,
    plain: str,
    foot: list[str],
    worth: Worth,
    data: dict[str, Any],
    **scripts: str,
) -> None:
    """Write the page of a song, or the page that tags songs.

    Parameters
    ----------
    path : Path
    title, about : str
        At its head, until a song stands there.
    plain : str
        For who lets no page run scripts.
    foot : list of str
        Sentences at its foot.
    worth : Worth
        Of the tags: each one's AUC stands beside it, the rest below the title.
    data : dict
        What `page.js` shows: a song, or ``model``, what tags songs.
    **scripts : str
        A song's ``sound`` or a network's ``weights`` in base64; ``network``, the JavaScript of its worker.
    """
    values = {
        "title": escape(title),
        "about": escape(about),
        "beside": " 'self' file:" if "source" in data else "",
        "plain": f"<pre>{escape(plain)}</pre>",
        "legend": "".join(f'<rect class="c{i}" x="{i}" width="1" height="1"/>' for i in range(STEPS)),
        "paths": "".join(f'<path class="c{i}"/>' for i in range(STEPS)),
        "worth": _paragraphs(worth.sentences),
        "foot": _paragraphs(foot),
        "data": json.dumps(data | {"aucs": worth.aucs}).replace("<", "\\u003c"),
    }
    write_filled(path, "page", {"sound": "", "weights": "", "network": ""} | scripts | values)


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


def _paragraphs(sentences: list[str]) -> str:
    return "".join(f"<p>{escape(sentence)}</p>" for sentence in sentences)


def _text(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
