"""A checkpoint whose predictions are known, and a real browser, if one is installed."""

import shutil
from functools import partial

import numpy as np
import pytest

from small_data import small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.interrupt import StopRequest
from theanoish.settings import Settings
from theanoish.training import checkpoint
from theanoish.training.run import start_run

PROBABILITIES = np.array([0.2, 0.1, 0.6, 0.4], np.float32)
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium, if it, its driver and selenium are installed; `get_log("browser")` has what it complains of."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    from selenium.webdriver.support.ui import WebDriverWait

    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("no chromium with chromedriver is installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(chromedriver))
    driver.find, driver.all = (partial(find, "css selector") for find in (driver.find_element, driver.find_elements))
    driver.wait = lambda script: WebDriverWait(driver, 60).until(lambda _: driver.execute_script(f"return {script}"))
    yield driver
    driver.quit()


@pytest.fixture(params=[390, 1280])
def window(browser, request):
    """The browser, as wide as a phone and as a screen."""
    size = {"width": request.param, "height": 844, "deviceScaleFactor": 1, "mobile": request.param < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    return browser


@pytest.fixture(scope="session")
def raw_checkpoint(tmp_path_factory):
    """Of a raw network whose top layer ignores its input: every window has the tags' `PROBABILITIES`."""
    settings = Settings(length=1024, stride=1024, updates=2, validation_interval=2)
    return make_checkpoint(tmp_path_factory.mktemp("raw"), settings, representations=["raw"])


@pytest.fixture(scope="session")
def mel_checkpoint(tmp_path_factory):
    """Of a spectrogram network, as `raw_checkpoint`."""
    settings = small_settings(updates=2, validation_interval=2)
    return make_checkpoint(tmp_path_factory.mktemp("mel"), settings, representations=[(1024, 1024)])


def make_checkpoint(folder, settings, representations):
    dataset = Dataset(write_small_data(folder / "small.h5", representations=representations))
    with StopRequest() as stop:
        start_run(folder / "run", settings, dataset, "jax").train(stop, lambda progress: None)
    path = folder / "run" / "checkpoint.pkl"
    saved = checkpoint.load(path, checkpoint.CHECKPOINT)
    saved["parameters"]["output/weights"][:] = 0
    saved["parameters"]["output/bias"][:] = np.log(PROBABILITIES / (1 - PROBABILITIES))
    checkpoint.save(path, checkpoint.CHECKPOINT, saved)
    return path
