#!/usr/bin/env python3
"""Tag songs: python tag.py SONG.mp3 --html song.html, or whole folders of them."""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from theanoish.command import begin_script

    begin_script()

from theanoish.command import run_script
from theanoish.commands.tag import main

if __name__ == "__main__":
    sys.exit(run_script(main))
