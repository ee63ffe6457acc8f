#!/usr/bin/env python3
"""Make the HDF5 data set that train.py and evaluate.py read: of MagnaTagATune, or of your own songs."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the clone, as for the scripts at its top
    from theanoish.__main__ import run

    sys.exit(run("build"))
