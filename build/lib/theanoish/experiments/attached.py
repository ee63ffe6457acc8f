"""Run a script that stops with the process that started it: python -P attached.py CORE SCRIPT ARGUMENTS...

Standard input is a pipe that the starter holds. Once it closes it, or has died in whatever way, the script is stopped
as by SIGTERM. The system closes the pipes of the dead, so that no death is missed, however early.
CORE is the number of the core to hold the script to, or "any". That comes first, as numerical libraries choose their
number of threads by it when they are loaded.
"""

import os
import runpy
import signal
import sys
import threading
from pathlib import Path


def main(core: str, script: str, *arguments: str) -> None:
    if core != "any":
        os.sched_setaffinity(0, {int(core)})
    threading.Thread(target=_stop_with_starter, daemon=True).start()
    sys.argv = [script, *arguments]
    sys.path.insert(0, str(Path(script).parent))
    runpy.run_path(script, run_name="__main__")


def _stop_with_starter() -> None:
    os.read(0, 1)  # nobody writes, so that it returns at the end
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main(*sys.argv[1:])
