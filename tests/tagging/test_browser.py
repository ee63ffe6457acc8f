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
TAGS = ["drums", "male vocal", "female vocal", "<b>piano</b>"]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    begins = np.arange(0, 60, 3.0)
    probabilities = np.random.default_rng(1).uniform(0, 0.3, (20, len(TAGS))).astype(np.float32)
    probabilities[14, 1] = 0.9  # the male vocal, from 0:42 on
    song = write_song(folder / "<img src=x onerror=alert(1)>.mp3", 60)
    write_page(folder / "page.html", Taggram(song, 60.0, TAGS, begins, probabilities), "some network")
    return (folder / "page.html").as_uri()


@pytest.fixture(params=[390, 1280])
def page(browser, address, request):
    size = {"width": request.param, "height": 844, "deviceScaleFactor": 1, "mobile": request.param < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(address)
    wait(browser, "return document.querySelector('audio').readyState >= 2")
    return browser


def wait(browser, script, seconds=60):
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, seconds).until(lambda driver: driver.execute_script(script))


def find(page, css):
    return page.find_element("css selector", css)


def moment(page):
    return page.execute_script("return document.querySelector('audio').currentTime")


def press(page, *keys):
    webdriver.ActionChains(page).send_keys(*keys).perform()


KEYS = webdriver.Keys


def test_fits_and_says_nothing_wrong(page):
    width, inner = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert width <= inner
    assert page.get_log("browser") == []  # no error, nothing that the policy forbade
    assert find(page, "h1").text == "<img src=x onerror=alert(1)>"
    assert page.execute_script("return performance.getEntriesByType('resource').length") <= 1  # the blob


def test_a_click_plays_from_there_and_the_line_follows(page):
    strip = find(page, ".strip")
    webdriver.ActionChains(page).move_to_element_with_offset(strip, int(strip.size["width"] / 4), 0).click().perform()
    wait(page, "return !document.querySelector('audio').paused")
    assert moment(page) == pytest.approx(45, abs=3)
    begun = moment(page)
    wait(page, f"return document.querySelector('audio').currentTime > {begun} + 0.5")
    press(page, " ")
    wait(page, "return document.querySelector('audio').paused && document.querySelector('#play').ariaLabel == 'Play'")
    wait(
        page,
        "return Math.abs(document.querySelector('audio').currentTime - document.querySelector('#seek').value) < .1",
    )
    line, field = find(page, "#head").rect, find(page, "#field").rect
    share = (line["x"] + 1 - field["x"]) / field["width"]
    assert share == pytest.approx(moment(page) / 60, abs=0.02)


def test_keys(page):
    press(page, KEYS.ARROW_RIGHT, KEYS.ARROW_RIGHT, KEYS.ARROW_RIGHT, KEYS.ARROW_LEFT)
    assert moment(page) == pytest.approx(6)
    find(page, "#seek").send_keys(KEYS.ARROW_RIGHT)  # where a slider has keys of its own
    assert moment(page) == pytest.approx(9)
    press(page, KEYS.END)
    assert moment(page) == pytest.approx(60, abs=0.1)
    press(page, KEYS.HOME)
    assert moment(page) == 0
    find(page, "#play").send_keys(" ")  # once, not also as the button's own key
    wait(page, "return !document.querySelector('audio').paused")
    press(page, " ")
    wait(page, "return document.querySelector('audio').paused")


def test_a_tag_is_reached_by_keyboard_described_and_played_where_it_is_strongest(page):
    find(page, "#filter").click()
    press(page, KEYS.TAB)
    while page.switch_to.active_element.text != "male vocal":
        press(page, KEYS.TAB)
    button = page.switch_to.active_element
    assert page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", button) == "solid"
    assert "highest 0.90 at 0:42" in find(page, "#status").text
    assert button.get_attribute("aria-label") == find(page, "#status").text
    press(page, KEYS.ENTER)
    wait(page, "return !document.querySelector('audio').paused")
    assert moment(page) == pytest.approx(42, abs=2)
    press(page, " ")
    wait(page, "return document.querySelector('audio').paused")


def test_filter(page):
    find(page, "#filter").send_keys("E VOC")  # a space is a letter here
    shown = [
        row.get_attribute("data-tag") for row in page.find_elements("css selector", "#rows li") if row.is_displayed()
    ]
    assert sorted(shown) == ["female vocal", "male vocal"]
    assert page.execute_script("return document.querySelector('audio').paused")
    find(page, "#filter").send_keys("xyz")
    assert find(page, "#none").is_displayed()


def test_zoom(page):
    map_of = "const map = document.querySelector('#map'); return [map.scrollLeft, map.scrollWidth, map.clientWidth]"
    press(page, KEYS.END)
    find(page, "#closer").click()
    assert not find(page, "#closer").is_enabled()  # a minute in halves: a closer look would show less than 20 s
    left, width, seen = page.execute_script(map_of)
    names = width - find(page, "#field").size["width"]
    assert width - names == pytest.approx(2 * (seen - names), abs=2)
    assert left == pytest.approx(width - seen, abs=2)  # the end, which was moved to
    assert [mark.text for mark in page.find_elements("css selector", "#axis text")][1] == "0:05"
    page.execute_script(
        """const { x, width } = arguments[0].getBoundingClientRect(), at = x + width * 0.75; // in the middle
        const { y } = document.querySelector(".strip").getBoundingClientRect();
        document.elementFromPoint(at, y + 5).dispatchEvent(new MouseEvent("click", { clientX: at, bubbles: true }));""",
        find(page, "#field"),
    )
    assert moment(page) == pytest.approx(45, abs=1)
    page.execute_script("document.querySelector('audio').pause()")
    press(page, "-")
    assert page.execute_script(map_of)[1] == seen


def test_values_under_the_pointer(page):
    if page.execute_script("return innerWidth") < 500:
        pytest.skip("a phone has no pointer")
    row = find(page, "li[data-tag='male vocal']")
    strip = row.find_element("css selector", ".strip")
    offset = int(strip.size["width"] * (43.5 / 60 - 0.5))
    webdriver.ActionChains(page).move_to_element_with_offset(strip, offset, 0).perform()
    assert find(page, "#status").text == "male vocal 0.90 at 0:43"
    assert row.find_element("css selector", ".value").text == "0.90"
    assert find(page, "#column").text == "0:43"
    webdriver.ActionChains(page).move_to_element(find(page, "h1")).perform()
    assert find(page, "#column").text == "mean"


def test_colours_are_where_the_windows_are(browser, tmp_path):
    song = write_song(tmp_path / "a.wav", 10)
    values = np.array([[0.8, 0.0], [0.8, 0.0], [0.05, 0.41], [0.0, 0.1]], np.float32)
    taggram = Taggram(song, 10.0, ["loud & low", "high"], np.array([0.0, 3, 6, 7]), values)
    write_page(tmp_path / "page.html", taggram, "some network")
    browser.get((tmp_path / "page.html").as_uri())
    rows = [
        row.find_elements("css selector", ".strip path") for row in browser.find_elements("css selector", "#rows li")
    ]
    paths = [[(p.get_attribute("class"), p.get_attribute("d")) for p in row if p.get_attribute("d")] for row in rows]
    assert paths == [  # in tenths of the highest probability, edges at 0, 3, 6, 8 and 10 s
        [("c9", "M0 0H6000V1H0z")],
        [("c1", "M8000 0H10000V1H8000z"), ("c5", "M6000 0H8000V1H6000z")],
    ]
    abouts = [row.get_attribute("data-about") for row in browser.find_elements("css selector", "#rows li")]
    assert abouts[0] == f"loud & low: mean 0.41, highest 0.80 at 0:00; strong {parts_as_text(taggram.strong(0), 10)}"
    assert abouts[1] == f"high: mean 0.13, highest 0.41 at 0:06; strong {parts_as_text(taggram.strong(1), 10)}"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    path = tmp_path_factory.mktemp("app") / "app.html"
    write_app(path)
    return path


# What Chromium decodes, at rates that it would resample otherwise than the project does.
KINDS = [("MP3", 44_100), ("MP3", 16_000), ("FLAC", 48_000), ("OGG", 44_100), ("WAV", 22_050), ("M4A", 44_100)]


def test_app_hears_what_python_hears(browser, app, tmp_path):
    songs = [tmp_path / f"{kind} <b>{rate}</b>.{kind.lower()}".replace("/", "\u2044") for kind, rate in KINDS]
    for song, (kind, rate) in zip(songs, KINDS, strict=True):
        if kind == "M4A":
            write_encoded(song, 10, "aac", rate, channels=2)
        else:
            write_song(song, 10, rate=rate, channels=2, format=kind)
    broken = tmp_path / "<i>no music.mp3"
    broken.write_bytes(b"no music")
    browser.get(app.as_uri())
    find(browser, "#files").send_keys("\n".join(map(str, [*songs, broken])))
    wait(browser, "return document.querySelector('#message').textContent == '7 of 7 songs done.'")
    entries = browser.find_elements("css selector", "#songs li")
    assert "cannot be decoded by this browser" in entries[-1].text
    assert entries[-1].text.startswith("<i>no music")
    tagger = load_tagger()
    for song, entry in zip(songs, entries, strict=False):
        entry.find_element("css selector", "button").click()
        assert find(browser, "#title").text == song.stem
        rows = "return [...document.querySelectorAll('#rows li')].map((r) => [r.dataset.tag, r.dataset.about])"
        given = {tag: float(about.split("mean ")[1][:4]) for tag, about in browser.execute_script(rows)}
        assert given == pytest.approx(tagger.tag(song), abs=0.0055)  # of which .005 is rounding
        wait(browser, "return document.querySelector('audio').readyState >= 2")
        assert browser.execute_script("return document.querySelector('audio').duration") == pytest.approx(10, abs=0.3)
    assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []
    requests = "return performance.getEntriesByType('resource').filter((each) => !each.name.startsWith('blob:')).length"
    assert browser.execute_script(requests) == 0
