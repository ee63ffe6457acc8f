#!/usr/bin/env python3
"""The paper's figures from a checkpoint, with the numbers behind them: python figures.py checkpoint.pkl"""

import sys

from theanoish.__main__ import run

if __name__ == "__main__":
    sys.exit(run("figures"))
