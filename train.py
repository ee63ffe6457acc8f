#!/usr/bin/env python3
"""Train one network of the paper: python train.py --frontend raw --length 256 --stride 256"""

import sys

from theanoish.__main__ import run

if __name__ == "__main__":
    sys.exit(run("train"))
