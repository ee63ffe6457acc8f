"""The page in a real browser, if Chromium, its driver and selenium are installed: it plays, seeks, filters, listens to
keys, and nothing in it stands over the edge of a phone."""

import shutil

import numpy as np
import pytest

from small_song import write_song
from theanoish.tagging.page import write_page
from theanoish.tagging.taggram import Taggram

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="no chromium with chromedriver is installed")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
TAGS = ["drums", "male vocal", "female vocal", "<b>piano</b>"]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


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
