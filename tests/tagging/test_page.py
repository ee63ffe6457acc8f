"""The page and the picture as files; what the page does in a browser is `test_browser.py`'s."""

import base64
import io
import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile
from matplotlib import rc_context
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from small_song import write_encoded, write_song
from theanoish.errors import InputError
from theanoish.tagging.page import write_page
from theanoish.tagging.picture import check_format, draw_picture
from theanoish.tagging.tables import as_text
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import Worth

HOSTILE = "<script>alert(1)<script> & \"quotes' {{data}} $x_1$"


def taggram_of(path, seconds=7.0, tags=("low", "high")):
    begins = np.append(np.arange(0, seconds - 3, 3), seconds - 3)
    probabilities = np.random.default_rng(1).uniform(0, 0.7, (len(begins), len(tags))).astype(np.float32)
    return Taggram(path, seconds, list(tags), begins, probabilities)


def inside(page, name):
    """What stands in the page's elements of a kind or id."""
    return re.findall(rf'<(?:{name}|[^>]*id="{name}")[^>]*>(.*?)</', page.read_text(), re.DOTALL)


def data_and_sound(page, taggram, *more):
    """What a page draws, and the bytes that it plays."""
    write_page(page, taggram, f"network </script>{HOSTILE}", *more)
    [data], [sound] = inside(page, "data"), inside(page, "sound")
    return json.loads(data), base64.b64decode(sound, validate=True)


def write(path, **how):
    return (write_encoded if "codec" in how else write_song)(path, 7, **how)


@pytest.mark.parametrize(
    ("name", "how", "kind"),
    [
        ("a.wav", {"subtype": "PCM_16"}, "audio/wav"),
        ("a.flac", {}, "audio/flac"),
        ("a.ogg", {}, "audio/ogg"),
        ("a.mp3", {}, "audio/mpeg"),
        ("mp3 by its content.wav", {"format": "MP3"}, "audio/mpeg"),
        ("a.m4a", {"codec": "aac"}, "audio/mp4"),
        ("a.opus", {"codec": "libopus"}, "audio/ogg"),
        ("a.raw", {"format": "WAV"}, "audio/wav"),
    ],
)
def test_files_that_browsers_play_are_embedded_as_they_are(tmp_path, name, how, kind):
    song = write(tmp_path / name, **how)
    data, sound = data_and_sound(tmp_path / "page.html", taggram_of(song))
    assert (data["type"], sound) == (kind, song.read_bytes())


def test_a_name_that_looks_like_an_address_is_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    song = write_song(Path("Re: a.wav"), 7)
    assert data_and_sound(tmp_path / "page.html", taggram_of(song))[1] == song.read_bytes()


@pytest.mark.parametrize(
    ("name", "how", "rate"),
    [
        ("a.aiff", {"rate": 96_000, "channels": 2}, 48_000),
        ("a.au", {"rate": 22_050}, 44_100),
        ("law.wav", {"subtype": "ULAW"}, 48_000),
        ("large.wav", {"format": "RF64"}, 48_000),
        ("fast.flac", {"rate": 176_400}, 44_100),
        ("libsndfile's alone.wve", {"rate": 8_000, "subtype": "ALAW", "format": "WVE"}, 48_000),
        ("a.mp2", {"codec": "mp2"}, 48_000),
        ("a.m4a", {"codec": "alac", "rate": 44_100, "channels": 2}, 44_100),
    ],
)
def test_other_sound_is_made_into_mp3_in_stereo(tmp_path, name, how, rate):
    data, sound = data_and_sound(tmp_path / "page.html", taggram_of(write(tmp_path / name, **how)))
    about = soundfile.info(io.BytesIO(sound))
    assert (data["type"], about.format, about.channels, about.samplerate) == ("audio/mpeg", "MP3", 2, rate)
    assert about.duration == pytest.approx(7, abs=0.2)
    assert soundfile.read(io.BytesIO(sound))[0].std() > 0.05


def test_sound_is_made_anew_where_browsers_would_hear_something_else(tmp_path):
    taggram = taggram_of(write_song(tmp_path / "a.wav", 7))
    odd = replace(taggram, remark="damaged in 1 places")
    assert data_and_sound(tmp_path / "page.html", odd)[0]["type"] == "audio/mpeg"
    content = bytearray(taggram.path.read_bytes())
    content[40:44] = (16_000 * 13).to_bytes(4, "little")  # 6.5 s, as a browser would play it
    taggram.path.write_bytes(content)
    assert data_and_sound(tmp_path / "page.html", taggram)[0]["type"] == "audio/mpeg"


@pytest.mark.parametrize(("name", "kept"), [("a #1.flac", True), ("a.aiff", False)])
def test_large_sound_lies_beside_the_page(tmp_path, monkeypatch, name, kept):
    monkeypatch.setattr("theanoish.tagging.sound.LARGEST", 10_000)
    song, page = write_song(tmp_path / name, 7), tmp_path / "50% a.html"
    data, sound = data_and_sound(page, taggram_of(song))
    file = tmp_path / unquote(data["source"])
    assert (sound, file.parent, file.suffix) == (b"", tmp_path / "50% a_files", ".flac" if kept else ".mp3")
    assert (file.read_bytes() == song.read_bytes()) == kept
    assert "50% a_files: keep that beside this page" in page.read_text()


def test_letters_come_from_any_font_that_is_there(tmp_path):
    if not any("Thai" in font.name for font in fontManager.ttflist):
        pytest.skip("no Thai font is installed")
    pictures = []
    for name in ("\u0e01\u0e02\u0e04", "\u0e14\u0e15\u0e16"):
        draw_picture(tmp_path / "picture.png", taggram_of(tmp_path / f"{name}.wav"), "some network")
        pictures.append(imread(tmp_path / "picture.png"))
    assert not np.array_equal(*pictures)  # as boxes, they would be


def test_names_cannot_become_elements(tmp_path):
    song, page = write_song(tmp_path / f"{HOSTILE}.wav", 7), tmp_path / "page.html"
    tags = (HOSTILE, "x</script><script>alert(2)</script>")
    assert set(data_and_sound(page, taggram_of(song, tags=tags))[0]["tags"]) == set(tags)
    text = page.read_text()
    assert text.count("<script") == 5  # data, sound, no weights and network, and the page's own
    assert [unescape(title) for title in inside(page, "title")] == [song.stem] * 2
    assert not re.search(r'\b(src|href)="(?!data:,)', text)  # the page asks for nothing


def test_picture(tmp_path):
    taggram = taggram_of(tmp_path / f"{HOSTILE} 音楽.wav", seconds=241, tags=("a", "b", r"$\x$", "rare"))
    taggram.probabilities[:, 3] = 0.001
    for kind in ("png", "svg", "PDF"):
        check_format(tmp_path / f"picture.{kind}")
        draw_picture(tmp_path / f"picture.{kind}", taggram, "some network")
    image = imread(tmp_path / "picture.png")[..., :3]
    assert image.std() > 0.05
    drawn = (tmp_path / "picture.svg").read_text()
    assert "4:00" in drawn and "Never above 0.07: rare." in drawn
    for name in ("picture.exe", "picture"):
        with pytest.raises(InputError, match="no kind of picture"):
            check_format(tmp_path / name)


def test_what_the_tags_are_worth_stands_beside_them_also_without_scripts(tmp_path):
    worth = Worth(["nobody listened"], {"<low>": 0.699, "high": 0.7})
    song = taggram_of(write_song(tmp_path / "a.wav", 7), tags=("<low>", "high", "new"))
    page = tmp_path / "page.html"
    assert data_and_sound(page, song, worth)[0]["aucs"] == worth.aucs
    assert "nobody listened" in inside(page, "p")
    assert unescape(inside(page, "pre")[0]).splitlines() == as_text(song, 3, worth.aucs).splitlines()[1:]
    assert str(tmp_path) not in page.read_text()
    with rc_context({"svg.fonttype": "none"}):
        draw_picture(tmp_path / "picture.svg", song, "some network", worth)
    texts = re.findall(r'<text style="([^"]*)"[^>]*>([^<]+)</text>', (tmp_path / "picture.svg").read_text())
    assert {"high (0.70)", "new", "nobody listened"} <= {text for _, text in texts}
    assert [text for style, text in texts if "opacity: 0.5" in style] == ["&lt;low&gt; (0.70)"]
