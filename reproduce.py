#!/usr/bin/env python3
"""Every experiment of the paper: python reproduce.py trains, tests and tabulates what is not there yet"""

import sys

if __name__ == "__main__":  # before the imports that take seconds
    from theanoish.command import begin_script

    begin_script()

from theanoish.command import run_script
from theanoish.commands.reproduce import main

if __name__ == "__main__":
    sys.exit(run_script(main))
