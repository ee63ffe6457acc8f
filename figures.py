#!/usr/bin/env python3
"""The paper's figures from a checkpoint, with the numbers behind them: python figures.py checkpoint.pkl"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from theanoish.command import begin_script

    begin_script()

from theanoish.command import run_script
from theanoish.commands.figures import main

if __name__ == "__main__":
    sys.exit(run_script(main))
