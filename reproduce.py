#!/usr/bin/env python3
"""Every experiment of the paper: python reproduce.py trains, tests and tabulates what is not there yet"""

import sys

from theanoish.__main__ import run

if __name__ == "__main__":
    sys.exit(run("reproduce"))
