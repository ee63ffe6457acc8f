"""The page of all songs, in a real browser if one is installed, and what is alike."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from small_song import write_song
from theanoish.tagging import likeness
from theanoish.tagging.index import write_index
from theanoish.tagging.page import write_page
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import Worth

HOSTILE = "<script>alert(1)</script> & \"quotes' {{data}}"
LAST = HOSTILE.replace("/", "")
WORTH = Worth(["nobody <i>listened"], {"low": 0.9, "<b>high": 0.69, "mid": 0.7})
TAGS = ["low", "<b>high", "mid", "loud"]
SONGS = {  # by file: title, artist, seconds, means, hidden units
    "Rock/b.mp3": ("Señor 10", "Björk", 61, (0.2, 0.9, 0.3, 0.0), (1, 0, 0)),
    "Rock/a.mp3": ("Señor 9", "", 3600, (0.8, 0.1, 0.3, 0.0), (0.8, 0.6, 0)),
    "Folk/c.mp3": ("", "Zoë", 7, (0.5, 0.5, 0.3, 0.1), (0, 1, 0)),
    f"Folk/{LAST}.mp3": ("", HOSTILE, 59, (0.4, 0.2, 0.3, 0.0), (0, 0, 1)),
}


def test_alike_is_what_brute_force_finds(monkeypatch):
    """Also where the songs are compared in parts, and two are nearly the same."""
    monkeypatch.setattr(likeness, "_BLOCK", 7)
    units = np.random.default_rng(1).random((20, 9), np.float32) * np.arange(1, 21, dtype=np.float32)[:, None]
    units[13] = 3 * units[2] + np.eye(9, dtype=np.float32)[0] / 2
    found = likeness.nearest(list(units))
    unit = units / np.linalg.norm(units, axis=1, keepdims=True)
    for song, (others, cosines) in enumerate(zip(found, unit @ unit.T, strict=True)):
        expected = [other for other in np.argsort(-cosines) if other != song][:5]
        assert [other for other, _ in others] == expected
        np.testing.assert_allclose([cosine for _, cosine in others], cosines[expected], rtol=1e-5)
    assert found[2][0] == (13, pytest.approx(1, abs=0.01))


def test_alike_needs_others_and_takes_silence():
    silent = np.zeros(3, np.float32)
    assert likeness.nearest([]) == []
    assert likeness.nearest([silent]) == [[]]
    assert likeness.nearest([silent, np.ones(3, np.float32)]) == [[(1, 0)], [(0, 0)]]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    path = tmp_path_factory.mktemp("pages") / "index.html"
    pairs = []
    for number, (file, (title, artist, seconds, means, units)) in enumerate(SONGS.items()):
        values, hidden = np.array([means], np.float32), np.array(units, np.float32)
        song = Taggram(Path("Music", file), float(seconds), TAGS, np.zeros(1), values, "", title, artist, hidden)
        pairs.append((Path(os.fsdecode(b"caf\xe9 #%d?.html" % number)), song))
    write_index(path, pairs, likeness.nearest([song.units for _, song in pairs]), TAGS, "network <i>", WORTH)
    return path


def test_names_are_text_and_links_lead_to_any_file_name(index):
    text = index.read_text()
    assert text.count("<script") == 2  # data, and the page's own
    assert not re.search(r'\bon\w+="|\b(src|href)="(?!data:,)|style="', text)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text)[1])
    assert [song["page"] for song in data["songs"]] == [f"caf%E9%20%23{number}%3F.html" for number in range(4)]
    assert data["songs"][3]["artist"] == HOSTILE
    assert data["chosen"] == [0, 1, 2]  # by what all songs have together
    assert "nobody &lt;i&gt;listened" in text and "Nobody has judged by ear" in text


@pytest.fixture
def page(window, index):
    window.get(index.as_uri())
    return window


def titles(page):
    return [row.text for row in page.all("tbody th[scope=row] a") if row.is_displayed()]


def sorted_by(page):
    ways = {each.get_attribute("data-key"): each.get_attribute("aria-sort") for each in page.all("thead th")}
    return {key: way for key, way in ways.items() if way != "none"}


FILE_ORDER = ["Señor 10", "Señor 9", "c", LAST]


def test_songs_stand_by_folder_and_nothing_over_the_edge(page):
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.get_log("browser") == []
    assert titles(page) == FILE_ORDER
    assert [each.text for each in page.all("th[scope=rowgroup]")] == ["Music/Rock", "Music/Folk"]
    row = page.find("tbody tr:not(.group)").text
    assert "Björk" in row and "1:01" in row and "<b>high 0.90, mid 0.30, low 0.20" in row


def test_tags_and_names_sort(page):
    """Within folders, and all together; a tag's likeliest first, numbers in names by value, then the other way."""
    low = page.find("th[data-key='0'] button")
    low.send_keys("\ue007")
    assert titles(page) == ["Señor 9", "Señor 10", "c", LAST]
    page.find("#grouped").click()
    assert (titles(page), sorted_by(page)) == (["Señor 9", "c", LAST, "Señor 10"], {"0": "descending"})
    low.click()
    assert (titles(page), sorted_by(page)) == (["Señor 10", LAST, "c", "Señor 9"], {"0": "ascending"})
    low.click()
    assert (titles(page), sorted_by(page)) == (FILE_ORDER, {})
    page.find("#sort option[value=title]").click()
    assert titles(page) == [LAST, "c", "Señor 9", "Señor 10"]
    page.find("#sort option[value=seconds]").click()
    assert titles(page) == ["c", LAST, "Señor 10", "Señor 9"]


def test_search_folder_and_least_probability_together(page):
    search, low, high = page.find("#search"), *page.all("th[data-key='0'] input, th[data-key='1'] input")
    search.send_keys("SENOR ")
    assert (titles(page), page.find("#count").text) == (["Señor 10", "Señor 9"], "2 of 4 songs")
    assert sum(each.is_displayed() for each in page.all("th[scope=rowgroup]")) == 1
    high.send_keys("0.9")
    assert titles(page) == ["Señor 10"]
    high.send_keys(*"\ue003" * 3)  # backspace
    search.send_keys("bjork")
    assert titles(page) == ["Señor 10"]  # each word counts
    search.send_keys(*"\ue003" * 11)
    low.send_keys("0.3")
    assert titles(page) == ["Señor 9", "c", LAST]
    page.find("#folder option[value='Music/Folk']").click()
    assert titles(page) == ["c", LAST]
    page.find("summary").click()
    page.find("#choices label:first-child input").click()  # and with its column goes what it asked for
    page.find("#folder option[value='']").click()
    assert titles(page) == FILE_ORDER


def test_alike_songs_are_shown_from_the_keyboard(page):
    button = page.find("tbody th[scope=row] button")
    assert button.get_attribute("aria-label") == "What sounds like Señor 10"
    button.send_keys("\ue007")
    assert button.get_attribute("aria-expanded") == "true"
    entries = page.all(".alike li")
    assert [entry.text for entry in entries][:2] == ["Señor 9 0.80", "c Zoë, 0.00"]
    assert page.find(".alike li a").get_attribute("href").endswith("/caf%E9%20%231%3F.html")
    page.find("#search").send_keys("zoe")
    assert titles(page) == ["c"] and not entries[0].is_displayed()


def test_tags_that_may_be_chance_are_faint(page, tmp_path):
    """On the page of a song, too."""
    assert [tag.text for tag in page.all("thead .faint button")] == ["<b>high"]
    page.find("summary").click()
    labels = page.all("#choices label")
    assert [label.text for label in labels] == ["low (0.90)", "<b>high (0.69)", "mid (0.70)", "loud"]
    labels[3].click()
    assert page.all("thead th.tag")[-1].text.split("\n")[0] == "loud"
    song = Taggram(write_song(tmp_path / "a.wav", 4), 4.0, TAGS, np.zeros(1), np.full((1, 4), 0.5, np.float32))
    write_page(tmp_path / "a.html", song, "some network", WORTH)
    page.get((tmp_path / "a.html").as_uri())
    assert [row.get_attribute("textContent")[:11] for row in page.all("#rows .faint")] == ["<b>high0.69"]
    abouts = [row.get_attribute("data-about").partition("; AUC ")[2] for row in page.all("#rows li")]
    assert abouts == ["0.90 in the test", "0.69 in the test", "0.70 in the test", ""]
