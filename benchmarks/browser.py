"""How fast the page that tags is in headless Chromium: python benchmarks/browser.py SONG... [--checkpoint ...]

Needs selenium, chromium and chromedriver. Time is that of the page from choosing a song to its tags: decoding,
resampling and the network, in one worker.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver

from theanoish.tagging.app import write_app

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "app.html")
        write_app(page, args.checkpoint)
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or "chromium"
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            for song in args.songs:
                measure(browser, page, song)
        finally:
            browser.quit()


def measure(browser: webdriver.Chrome, page: Path, song: Path) -> None:
    browser.get(page.as_uri())
    begin = time.perf_counter()
    browser.find_element("css selector", "#files").send_keys(str(song.resolve()))
    while not browser.execute_script("return document.querySelector('#message').textContent"):
        time.sleep(0.01)
    took = time.perf_counter() - begin
    seconds = float(browser.execute_script("return document.querySelector('#seek').max") or 0)
    print(f"{song.name}: {seconds:.0f} s of music in {took:.2f} s, {seconds / took:.0f} times as fast as playing")


if __name__ == "__main__":
    main()
