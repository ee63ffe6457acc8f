#!/usr/bin/env python3
"""Train one network of the paper: python train.py --frontend raw --length 256 --stride 256"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from theanoish.command import begin_script

    begin_script()

from theanoish.command import run_script
from theanoish.commands.train import main

if __name__ == "__main__":
    sys.exit(run_script(main))
