"""Where the cells of a sweep run: the scripts of a cell as processes, and this machine's cores and GPUs."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from theanoish.experiments.cells import SCRIPTS
from theanoish.machine import usable_cores

STOPPED = 130  # exit status of a script at Ctrl-C or SIGTERM
_POLL_SECONDS = 0.2
_ATTACHED = Path(__file__).with_name("attached.py")

# Runs a cell's scripts somewhere: their names and arguments, their log, and whether to stop; see `run_here`. It raises
# ConnectionError once that place is lost.
Runner = Callable[[Sequence[Sequence[str]], Path, Callable[[], bool]], tuple[int, str]]


@dataclass(frozen=True)
class Place:
    """Where one cell computes."""

    # the one core it is held to. A process to each core does more in all than one process on all cores, and always
    # computing with one thread makes a result independent of how many cells ran beside it
    core: int | None = None
    # environment variables that tell JAX which GPU to use, and how much of its memory
    environment: dict[str, str] = field(default_factory=dict)


def run_here(
    commands: Sequence[Sequence[str]], log: Path, stop: Callable[[], bool], place: Place = Place()
) -> tuple[int, str]:
    """Run scripts one after the other as long as they succeed, each in a process that ends with this one.

    Parameters
    ----------
    commands : sequence of list of str
        Names and arguments of this project's scripts.
    log : Path
        What they print is appended to it.
    stop : callable
        Asked now and then; once it is true, the script that runs saves its state and ends, as at SIGTERM.
    place : Place

    Returns
    -------
    int, str
        Exit status of the last script, and the last line that was printed; empty if there is none.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start, status = log.stat().st_size if log.exists() else 0, 0
    core = "any" if place.core is None else str(place.core)
    how: dict[str, Any] = {"stdin": subprocess.PIPE, "env": os.environ | place.environment}
    how["start_new_session"] = True  # since Ctrl-C shall reach it once, through `stop`
    for script, *arguments in commands:
        if stop():
            status = STOPPED
        if status:
            break
        command = [sys.executable, "-P", str(_ATTACHED), core, str(SCRIPTS / script), *arguments]
        with log.open("ab") as output, subprocess.Popen(command, stdout=output, stderr=output, **how) as process:
            while process.poll() is None:
                if stop():
                    process.stdin.close()  # type: ignore[union-attr]
                time.sleep(_POLL_SECONDS)
        status = process.returncode
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return status, next((line.strip() for line in reversed(lines) if line.strip()), "")


def places_here(backend: str, workers: int | None) -> list[Place]:
    """The places of this machine: its GPUs if the backend has any, its cores otherwise.

    Parameters
    ----------
    backend : {"jax", "numba"}
    workers : int, optional
        How many; by default one per GPU, or one per core.
    """
    gpus = _count_gpus() if backend == "jax" else 0
    if gpus:
        return _places_on_gpus(gpus, workers or gpus)
    cores = usable_cores()
    can_hold = hasattr(os, "sched_setaffinity")  # not so on macOS
    return [Place(cores[i % len(cores)] if can_hold else None) for i in range(workers or len(cores))]


def _places_on_gpus(gpus: int, workers: int) -> list[Place]:
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(gpus)]
    share = f"{0.9 / -(-workers // gpus):.3f}"  # of a GPU's memory, which JAX else reserves for one process
    return [
        Place(None, {"CUDA_VISIBLE_DEVICES": names[i % gpus], "XLA_PYTHON_CLIENT_MEM_FRACTION": share})
        for i in range(workers)
    ]


def _count_gpus() -> int:
    """GPUs that JAX sees; asked in another process, since JAX would take their memory in this one."""
    question = "import jax; print(0 if jax.default_backend() == 'cpu' else jax.local_device_count())"
    answer = subprocess.run([sys.executable, "-c", question], capture_output=True, text=True, check=False)
    return int(answer.stdout) if answer.returncode == 0 else 0
