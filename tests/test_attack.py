"""The harness that is run by hand before a release still fits what it attacks: one damaged input of each kind."""

import subprocess
import sys
from pathlib import Path

from mutations import KINDS


def test_one_mutation_of_each_kind():
    command = [sys.executable, Path(__file__).with_name("attack.py"), "--mutations", str(len(KINDS))]
    command += ["--kills", "0", "--signals", "0", "--disks", "0"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert run.stdout.count("library, ") == len(KINDS)
