"""The page and the picture as files; what the page does in a browser is `test_browser.py`'s."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import av
import numpy as np
import pytest
import soundfile
from matplotlib import rc_context
from matplotlib.font_manager import fontManager
from matplotlib.image import imread

from small_song import write_song
from theanoish.errors import InputError
from theanoish.tagging.page import write_page
from theanoish.tagging.picture import check_format, draw_picture
from theanoish.tagging.tables import as_text
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import Worth

HOSTILE = "<script>alert(1)</script> & \"quotes' {{data}} $x_1$"


class Elements(HTMLParser):
    """Start tags with their attributes, and the text within each kind of element."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in ("meta", "link", "input", "path", "rect", "line"):
            self._open.append((tag, dict(attributes).get("id")))

    def handle_endtag(self, tag):
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data):
        if self._open:
            kind, name = self._open[-1]
            self.texts.setdefault(name or kind, []).append(data)


def taggram_of(path, seconds=7.0, tags=("low", "high")):
    generator = np.random.default_rng(1)
    begins = np.append(np.arange(0, max(seconds - 3, 0.1), 3), max(seconds - 3, 0))
    probabilities = generator.uniform(0, 0.7, (len(begins), len(tags))).astype(np.float32)
    return Taggram(path, seconds, list(tags), begins, probabilities)


def data_and_sound(page):
    """What a page draws, and the bytes that it plays."""
    texts = Elements(page.read_text()).texts
    return json.loads(texts["data"][0]), base64.b64decode(texts.get("sound", [""])[0], validate=True)


def encoded(path, codec, rate=48_000, **how):
    """A song as FFmpeg writes it, into what the path's ending names."""
    wav = write_song(path.with_name("source.wav"), 7, rate=rate, **how)
    with av.open(str(wav)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        for frame in [*source.decode(audio=0), None]:
            output.mux(stream.encode(frame))
    return path


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
    ],
)
def test_files_that_browsers_play_are_embedded_as_they_are(tmp_path, name, how, kind):
    make = encoded if "codec" in how else lambda path, **how: write_song(path, 7, **how)
    song = make(tmp_path / name, **how)
    write_page(tmp_path / "page.html", taggram_of(song), "some network")
    data, sound = data_and_sound(tmp_path / "page.html")
    assert (data["type"], sound) == (kind, song.read_bytes())


@pytest.mark.parametrize(
    ("name", "how", "rate"),
    [
        ("a.aiff", {"rate": 96_000, "channels": 2}, 48_000),
        ("a.au", {"rate": 22_050}, 44_100),
        ("law.wav", {"subtype": "ULAW"}, 48_000),
        ("large.wav", {"format": "RF64"}, 48_000),
        ("fast.flac", {"rate": 192_000}, 48_000),
        ("libsndfile's alone.wve", {"rate": 8_000, "subtype": "ALAW", "format": "WVE"}, 48_000),
        ("a.mp2", {"codec": "mp2"}, 48_000),
        ("a.m4a", {"codec": "alac", "rate": 44_100, "channels": 2}, 44_100),
    ],
)
def test_other_sound_is_made_into_mp3_in_stereo(tmp_path, name, how, rate):
    make = encoded if "codec" in how else lambda path, **how: write_song(path, 7, **how)
    write_page(tmp_path / "page.html", taggram_of(make(tmp_path / name, **how)), "some network")
    data, sound = data_and_sound(tmp_path / "page.html")
    about = soundfile.info(io.BytesIO(sound))
    assert (data["type"], about.format, about.channels, about.samplerate) == ("audio/mpeg", "MP3", 2, rate)
    assert about.duration == pytest.approx(7, abs=0.2)
    assert soundfile.read(io.BytesIO(sound))[0].std() > 0.05


def test_sound_is_made_anew_where_browsers_would_hear_something_else(tmp_path):
    song = write_song(tmp_path / "a.wav", 7)
    write_page(tmp_path / "page.html", replace(taggram_of(song), remark="damaged in 1 places"), "some network")
    assert data_and_sound(tmp_path / "page.html")[0]["type"] == "audio/mpeg"
    content = bytearray(song.read_bytes())
    content[40:44] = (16_000 * 2 * 5).to_bytes(4, "little")  # 5 s, as a browser would play it
    song.write_bytes(content)
    write_page(tmp_path / "page.html", taggram_of(song), "some network")
    assert data_and_sound(tmp_path / "page.html")[0]["type"] == "audio/mpeg"


@pytest.mark.parametrize(("name", "kept"), [("a #1.flac", True), ("a.aiff", False)])
def test_large_sound_lies_beside_the_page(tmp_path, monkeypatch, name, kept):
    monkeypatch.setattr("theanoish.tagging.sound.LARGEST", 10_000)
    song = write_song(tmp_path / name, 7)
    page = tmp_path / "50% a.html"
    write_page(page, taggram_of(song), "some network")
    data, sound = data_and_sound(page)
    file = tmp_path / unquote(data["source"])
    assert (sound, file.parent) == (b"", tmp_path / "50% a_files")
    assert (file.read_bytes() == song.read_bytes()) == kept
    assert file.suffix == (".flac" if kept else ".mp3")
    assert "50% a_files: keep that beside this page" in page.read_text()


def test_tags_are_read_without_scripts(tmp_path):
    song = taggram_of(write_song(tmp_path / "a.wav", 7), tags=("<low>", "high"))
    write_page(tmp_path / "page.html", song, "some network", Worth([], {"high": 0.81}))
    [text] = Elements((tmp_path / "page.html").read_text()).texts["pre"]
    assert text.splitlines() == as_text(song, 2, {"high": 0.81}).splitlines()[1:]
    assert str(tmp_path) not in (tmp_path / "page.html").read_text()


def test_letters_come_from_any_font_that_is_there(tmp_path):
    if not any("Thai" in font.name for font in fontManager.ttflist):
        pytest.skip("no Thai font is installed")
    pictures = []
    for name in ("\u0e01\u0e02\u0e04", "\u0e14\u0e15\u0e16"):
        draw_picture(tmp_path / "picture.png", taggram_of(tmp_path / f"{name}.wav"), "some network")
        pictures.append(imread(tmp_path / "picture.png"))
    assert not np.array_equal(*pictures)  # as boxes, they would be


def test_names_cannot_become_elements(tmp_path):
    song = write_song(tmp_path / f"{HOSTILE.replace('/', '')}.wav", 7)
    tags = (HOSTILE, "x</script><script>alert(2)</script>")
    write_page(tmp_path / "page.html", taggram_of(song, tags=tags), f"network {HOSTILE}")
    text = (tmp_path / "page.html").read_text()
    page = Elements(text)
    assert sum(tag == "script" for tag, _ in page.tags) == 5  # data, sound, no weights and network, and the page's own
    assert "".join(page.texts["title"]) == 2 * song.stem
    assert set(json.loads(page.texts["data"][0])["tags"]) == set(tags)
    assert not re.search(r'\b(src|href)="(?!data:,)', text)  # the page asks for nothing


def test_picture(tmp_path):
    taggram = taggram_of(tmp_path / f"{HOSTILE.replace('/', '')} 音楽.wav", seconds=241, tags=("a", "b", r"$\x$"))
    for kind in ("png", "svg", "PDF"):
        check_format(tmp_path / f"picture.{kind}")
        draw_picture(tmp_path / f"picture.{kind}", taggram, "some network")
    image = imread(tmp_path / "picture.png")[..., :3]
    assert image.std() > 0.05
    assert b"4:00" in (tmp_path / "picture.svg").read_bytes() or image.shape[1] == 1500
    for name in ("picture.exe", "picture", "picture.html"):
        with pytest.raises(InputError, match="no kind of picture"):
            check_format(tmp_path / name)


def test_what_the_tags_are_worth_stands_beside_them(tmp_path):
    worth = Worth(["nobody listened"], {"low": 0.699, "high": 0.7})
    song = taggram_of(write_song(tmp_path / "a.wav", 7), tags=("low", "high", "new"))
    write_page(tmp_path / "page.html", song, "some network", worth)
    page = Elements((tmp_path / "page.html").read_text())
    assert json.loads(page.texts["data"][0])["aucs"] == worth.aucs
    assert "nobody listened" in page.texts["p"]
    with rc_context({"svg.fonttype": "none"}):
        draw_picture(tmp_path / "picture.svg", song, "some network", worth)
    texts = re.findall(r'<text style="([^"]*)"[^>]*>([^<]+)</text>', (tmp_path / "picture.svg").read_text())
    assert {"low (0.70)", "high (0.70)", "new", "nobody listened"} <= {text for _, text in texts}
    assert [text for style, text in texts if "opacity: 0.5" in style] == ["low (0.70)"]
