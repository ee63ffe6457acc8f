"""The places of this machine where a cell can compute: a core or a GPU each."""

import os
import subprocess
import sys
from dataclasses import dataclass, field

from theanoish.machine import usable_cores


@dataclass(frozen=True)
class Place:
    """Where one cell computes.

    Attributes
    ----------
    core : int or None
        The one core it is held to. A process to each core does more in all than one process on all cores, and always
        computing with one thread makes a result independent of how many cells ran beside it.
    environment : dict
        Environment variables that tell JAX which GPU to use, and how much of its memory.
    """

    core: int | None = None
    environment: dict[str, str] = field(default_factory=dict)


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
