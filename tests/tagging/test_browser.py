"""The pages in a real browser, if Chromium, its driver and selenium are installed: they play, seek, filter, listen to
keys and tag, and nothing in them stands over the edge of a phone."""

import numpy as np
import pytest

from small_song import write_encoded, write_song
from theanoish.tagging.app import write_app
from theanoish.tagging.page import write_page
from theanoish.tagging.tables import parts_as_text
from theanoish.tagging.tagger import load_tagger
from theanoish.tagging.taggram import Taggram

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
KEYS = webdriver.Keys
TAGS = ["drums", "male vocal", "female vocal", "<b>piano</b>"]
AUDIO, MAP = "document.querySelector('audio')", "document.querySelector('#map')"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    probabilities = np.random.default_rng(1).uniform(0, 0.3, (20, len(TAGS))).astype(np.float32)
    probabilities[14, 1] = 0.9  # the male vocal, from 0:42 on
    song = write_song(folder / "<img src=x onerror=alert(1)>.mp3", 60)
    write_page(folder / "page.html", Taggram(song, 60.0, TAGS, np.arange(0, 60, 3.0), probabilities), "some network")
    return (folder / "page.html").as_uri()


@pytest.fixture
def page(window, address):
    window.get(address)
    window.wait(f"{AUDIO}.readyState >= 2")
    return window


def moment(page):
    return page.execute_script(f"return {AUDIO}.currentTime")


def press(page, *keys):
    webdriver.ActionChains(page).send_keys(*keys).perform()


def plays_then_pauses(page):
    page.wait(f"!{AUDIO}.paused")
    press(page, " ")
    page.wait(f"{AUDIO}.paused && document.querySelector('#play').ariaLabel == 'Play'")


def test_fits_and_says_nothing_wrong(page):
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.get_log("browser") == []  # no error, nothing that the policy forbade
    assert page.find("h1").text == "<img src=x onerror=alert(1)>"
    assert page.execute_script("return performance.getEntriesByType('resource').length") <= 1  # the blob


def test_a_click_plays_from_there_and_the_line_follows(page):
    strip = page.find(".strip")
    webdriver.ActionChains(page).move_to_element_with_offset(strip, int(strip.size["width"] / 4), 0).click().perform()
    page.wait(f"!{AUDIO}.paused")
    begun = moment(page)
    assert begun == pytest.approx(45, abs=3)
    page.wait(f"{AUDIO}.currentTime > {begun} + 0.5")
    plays_then_pauses(page)
    page.wait(f"Math.abs({AUDIO}.currentTime - document.querySelector('#seek').value) < .1")
    line, field = page.find("#head").rect, page.find("#field").rect
    assert (line["x"] + 1 - field["x"]) / field["width"] == pytest.approx(moment(page) / 60, abs=0.02)


def test_keys(page):
    press(page, KEYS.ARROW_RIGHT, KEYS.ARROW_RIGHT, KEYS.ARROW_RIGHT, KEYS.ARROW_LEFT)
    assert moment(page) == pytest.approx(6)
    page.find("#seek").send_keys(KEYS.ARROW_RIGHT)  # where a slider has keys of its own
    assert moment(page) == pytest.approx(9)
    press(page, KEYS.END)
    assert moment(page) == pytest.approx(60, abs=0.1)
    press(page, KEYS.HOME)
    assert moment(page) == 0
    page.find("#play").send_keys(" ")  # once, not also as the button's own key
    plays_then_pauses(page)


def test_a_tag_is_found_by_keyboard_described_and_played_where_it_is_strongest(page):
    page.find("#filter").send_keys("E VOC")  # a space is a letter here
    shown = [row.get_attribute("data-tag") for row in page.all("#rows li") if row.is_displayed()]
    assert sorted(shown) == ["female vocal", "male vocal"]
    assert page.execute_script(f"return {AUDIO}.paused")
    press(page, KEYS.TAB)
    while page.switch_to.active_element.text != "male vocal":
        press(page, KEYS.TAB)
    button = page.switch_to.active_element
    assert page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", button) == "solid"
    assert "highest 0.90 at 0:42" in page.find("#status").text
    assert button.get_attribute("aria-label") == page.find("#status").text
    press(page, KEYS.ENTER)
    page.wait(f"!{AUDIO}.paused")
    assert moment(page) == pytest.approx(42, abs=2)


def test_zoom(page):
    press(page, KEYS.END)
    page.find("#closer").click()
    assert not page.find("#closer").is_enabled()  # a minute in halves: a closer look would show less than 20 s
    left, width, seen = page.wait(f"[{MAP}.scrollLeft, {MAP}.scrollWidth, {MAP}.clientWidth]")
    names = width - page.find("#field").size["width"]
    assert width - names == pytest.approx(2 * (seen - names), abs=2)
    assert left == pytest.approx(width - seen, abs=2)  # the end, which was moved to
    assert page.all("#axis text")[1].text == "0:05"
    page.execute_script(
        """const { x, width } = arguments[0].getBoundingClientRect(), at = x + width * 0.75; // in the middle
        const { y } = document.querySelector(".strip").getBoundingClientRect();
        document.elementFromPoint(at, y + 5).dispatchEvent(new MouseEvent("click", { clientX: at, bubbles: true }));""",
        page.find("#field"),
    )
    assert moment(page) == pytest.approx(45, abs=1)
    press(page, "-")
    assert page.execute_script(f"return {MAP}.scrollWidth") == seen


def test_values_under_the_pointer(page):
    if page.execute_script("return innerWidth") < 500:
        pytest.skip("a phone has no pointer")
    row = page.find("li[data-tag='male vocal']")
    strip = row.find_element("css selector", ".strip")
    offset = int(strip.size["width"] * (43.5 / 60 - 0.5))
    webdriver.ActionChains(page).move_to_element_with_offset(strip, offset, 0).perform()
    assert page.find("#status").text == "male vocal 0.90 at 0:43"
    assert (row.find_element("css selector", ".value").text, page.find("#column").text) == ("0.90", "0:43")
    webdriver.ActionChains(page).move_to_element(page.find("h1")).perform()
    assert page.find("#column").text == "mean"


def test_colours_are_where_the_windows_are(browser, tmp_path):
    values = np.array([[0.8, 0.0], [0.8, 0.0], [0.05, 0.41], [0.0, 0.1]], np.float32)
    song = write_song(tmp_path / "a.wav", 10)
    taggram = Taggram(song, 10.0, ["loud & low", "high"], np.array([0.0, 3, 6, 7]), values)
    write_page(tmp_path / "page.html", taggram, "some network")
    browser.get((tmp_path / "page.html").as_uri())
    paths = [(path.get_attribute("class"), path.get_attribute("d")) for path in browser.all("#rows .strip path")]
    assert [path for path in paths if path[1]] == [  # in tenths of the highest probability, edges at 0, 3, 6, 8, 10 s
        ("c9", "M0 0H6000V1H0z"),
        ("c1", "M8000 0H10000V1H8000z"),
        ("c5", "M6000 0H8000V1H6000z"),
    ]
    assert [row.get_attribute("data-about") for row in browser.all("#rows li")] == [
        f"loud & low: mean 0.41, highest 0.80 at 0:00; strong {parts_as_text(taggram.strong(0), 10)}",
        f"high: mean 0.13, highest 0.41 at 0:06; strong {parts_as_text(taggram.strong(1), 10)}",
    ]


# What Chromium decodes, at rates that it would resample otherwise than the project does.
KINDS = [("MP3", 44_100), ("MP3", 16_000), ("FLAC", 48_000), ("OGG", 44_100), ("WAV", 22_050), ("M4A", 44_100)]
KINDS += [("OPUS", 48_000), ("WEBM", 48_000)]  # whose bytes may look like an MP3's, whatever stands in them
ENCODED = {"M4A": "aac", "OPUS": "libopus", "WEBM": "libopus"}


def test_app_hears_what_python_hears(browser, tmp_path):
    write_app(tmp_path / "app.html")
    songs = [tmp_path / f"{kind} <b>{rate}<\u2044b>.{kind.lower()}" for kind, rate in KINDS]
    for song, (kind, rate) in zip(songs, KINDS, strict=True):
        if kind in ENCODED:
            write_encoded(song, 10, ENCODED[kind], rate, channels=2)
        else:
            write_song(song, 10, rate=rate, channels=2, format=kind)
    broken = tmp_path / "<i>no music.mp3"
    broken.write_bytes(b"no music")
    browser.get((tmp_path / "app.html").as_uri())
    browser.find("#files").send_keys("\n".join(map(str, [*songs, broken])))
    browser.wait("document.querySelector('#message').textContent == '9 of 9 songs done.'")
    *entries, last = browser.all("#songs li")
    assert last.text.startswith("<i>no music") and "cannot be decoded by this browser" in last.text
    tagger = load_tagger()
    for song, entry in zip(songs, entries, strict=True):
        entry.find_element("css selector", "button").click()
        assert browser.find("#title").text == song.stem
        rows = browser.wait("[...document.querySelectorAll('#rows li')].map((r) => [r.dataset.tag, r.dataset.about])")
        given = {tag: float(about.split("mean ")[1][:4]) for tag, about in rows}
        assert given == pytest.approx(tagger.tag(song), abs=0.0055)  # of which .005 is rounding
        browser.wait(f"{AUDIO}.readyState >= 2")
        assert browser.execute_script(f"return {AUDIO}.duration") == pytest.approx(10, abs=0.3)
    assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []
    resources = browser.execute_script("return performance.getEntriesByType('resource').map((each) => each.name)")
    assert all(name.startswith("blob:") for name in resources)
