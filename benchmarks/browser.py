"""How fast the page that tags is in headless Chromium: python benchmarks/browser.py SONG... [--checkpoint FILE]

Needs selenium, chromium and chromedriver. Time is that of the page from choosing a song to its tags: reading, decoding,
resampling, the network and drawing; each song is tagged in a browser of its own. Behind `taskset -c 1` it is that of
one core.
"""

import argparse
import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver

from theanoish.tagging.app import write_app

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("songs", nargs="+", type=Path)
    parser.add_argument("--checkpoint", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder, "app.html")
        write_app(page, args.checkpoint)
        for number, song in enumerate(args.songs):
            options = webdriver.ChromeOptions()
            for flag in (*FLAGS, f"--user-data-dir={folder}/{number}"):
                options.add_argument(flag)
            options.binary_location = shutil.which("chromium") or ""
            browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
            browser.get(page.as_uri())
            time.sleep(2)  # of a browser that begins
            begin = time.perf_counter()
            browser.find_element("css selector", "#files").send_keys(str(song.resolve()))
            while not browser.execute_script("return document.querySelector('#message').textContent"):
                time.sleep(0.05)
            took = time.perf_counter() - begin
            seconds = float(browser.execute_script("return document.querySelector('#seek').max") or 0)
            print(
                f"{song.name}: {seconds:.0f} s of music in {took:.2f} s, {seconds / took:.0f} times as fast as playing"
            )
            browser.quit()


if __name__ == "__main__":
    main()
