#!/usr/bin/env python3
"""Test a checkpoint, tag by tag: python evaluate.py runs/RUN/checkpoint.pkl"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from theanoish.command import begin_script

    begin_script()

from theanoish.command import run_script
from theanoish.commands.evaluate import main

if __name__ == "__main__":
    sys.exit(run_script(main))
