#!/usr/bin/env python3
"""Tag songs: python tag.py SONG.mp3 --html song.html, or whole folders of them."""

import sys

from theanoish.__main__ import run

if __name__ == "__main__":
    sys.exit(run("tag"))
