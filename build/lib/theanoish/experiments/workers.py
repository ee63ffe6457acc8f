"""Where the cells of a sweep run: the scripts of a cell as processes, and this machine's cores and GPUs.

`Machine` here and `theanoish.experiments.cluster.Cluster` have the same methods, by which
`theanoish.experiments.sweep.run_cells` deals with both.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from theanoish.experiments.cells import SCRIPTS, Job
from theanoish.machine import usable_cores

DIED = -1  # exit status of a process whose end nobody saw
STOPPED = 130  # of a script at Ctrl-C or SIGTERM
_ATTACHED = Path(__file__).with_name("attached.py")


@dataclass(frozen=True)
class Place:
    """Where one cell computes."""

    # the one core it is held to. A process to each core does more in all than one process on all cores, and always
    # computing with one thread makes a result independent of how many cells ran beside it
    core: int | None = None
    # environment variables that tell JAX which GPU to use, and how much of its memory
    environment: dict[str, str] = field(default_factory=dict)


class Attempt:
    """The scripts of a cell, one after the other as long as they succeed, each in a process that ends with this one.

    Parameters
    ----------
    commands : sequence of list of str
        Names and arguments of this project's scripts.
    log : Path
        What they print is appended to it; its folder, the run's, is made if it is missing.
    place : Place
    """

    def __init__(self, commands: Sequence[Sequence[str]], log: Path, place: Place) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self._commands, self._log, self._place = list(commands), log, place
        self._log_start = log.stat().st_size if log.exists() else 0
        self._asked = False
        self._process = self._next()

    def _next(self) -> subprocess.Popen[bytes]:
        script, *arguments = self._commands.pop(0)
        core = "any" if self._place.core is None else str(self._place.core)
        command = [sys.executable, "-P", str(_ATTACHED), core, str(SCRIPTS / script), *arguments]
        environment = os.environ | self._place.environment
        with self._log.open("ab") as log:
            # in a session of its own, since Ctrl-C shall reach it once, through `stop`
            return subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def poll(self) -> int | None:
        """The exit status, once a script has failed or all are done; None before."""
        status = self._process.poll()
        if status is not None:
            self._process.stdin.close()  # type: ignore[union-attr]
        if status == 0 and self._commands:
            if self._asked:
                return STOPPED
            self._process = self._next()
            return None
        return status

    def stop(self) -> None:
        """Have the script that runs save its state and end, as at SIGTERM."""
        self._asked = True
        self._process.stdin.close()  # type: ignore[union-attr]

    def last_line(self) -> str:
        """The last line that was printed; empty if there is none."""
        with suppress(OSError), self._log.open("rb") as log:
            log.seek(self._log_start)
            lines = log.read().decode(errors="replace").splitlines()
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""


class Machine:
    """This machine, with one cell at each of some places."""

    def __init__(self, places: Sequence[Place]) -> None:
        self._free = list(places)
        self._running: dict[Job, tuple[Attempt, Place]] = {}

    def look(self) -> list[str]:
        """What there is to say about the workers; raises OSError if they are lost for good."""
        return []

    def room(self) -> bool:
        """Whether another cell can start."""
        return bool(self._free)

    def start(self, job: Job) -> None:
        """Start a cell."""
        self._running[job] = Attempt(job.commands(), job.log, self._free[-1]), self._free.pop()

    def ended(self) -> Iterator[tuple[Job, int, str]]:
        """Cells whose processes have ended since it was last asked: the last one's exit status, and the last line."""
        for job, (attempt, place) in list(self._running.items()):
            status = attempt.poll()
            if status is not None:
                del self._running[job]
                self._free.append(place)
                yield job, status, attempt.last_line()

    def stop(self) -> None:
        """Ask all cells to save their state and end."""
        for attempt, _ in self._running.values():
            attempt.stop()


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
