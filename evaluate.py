#!/usr/bin/env python3
"""Test a checkpoint, tag by tag: python evaluate.py runs/RUN/checkpoint.pkl"""

import sys

from theanoish.__main__ import run

if __name__ == "__main__":
    sys.exit(run("evaluate"))
