"""What this machine and its software are: usable cores, what compiles networks, versions that a result depends on."""

import math
import os
import platform
import random
import sys
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from theanoish import __version__

BACKENDS = ("jax", "numba")
# JAX compiles the network within seconds where Numba takes a minute and C a compiler, runs it no slower, and finds a
# GPU by itself.
DEFAULT_BACKEND = "jax"
_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of processor time within a period, of this process's container
_PACKAGES = ("pytensor", "jax", "numba", "numpy", "scipy", "h5py", "scikit-learn")


def usable_cores() -> list[int]:
    """Numbers of the cores this process is held to; of all where it cannot be held to some, as on macOS.

    A container's quota (``docker run --cpus 4``) holds it to none, but pays for so many: then these are any so many,
    as other containers may count the same cores.
    """
    held = hasattr(os, "sched_getaffinity")
    cores = sorted(os.sched_getaffinity(0)) if held else list(range(os.cpu_count() or 1))
    with suppress(OSError, ValueError):  # there is no such file outside, and "max" is no quota
        quota, period = map(int, _QUOTA.read_text().split())
        count = min(len(cores), math.ceil(quota / period))
        cores = sorted(random.Random().sample(cores, count))  # the caller's own random numbers stay as they were
    return cores


def cache_folder() -> Path:
    """Where this project may keep what it can make again, by the platform's custom; perhaps not there yet."""
    if sys.platform == "darwin":
        base = Path.home() / "Library/Caches"
    else:
        named = Path(os.environ.get("XDG_CACHE_HOME", ""))  # not absolute, such as "~/.cache", it is to be ignored
        base = named if named.is_absolute() else Path.home() / ".cache"
    return base / "theanoish"


def processor() -> str:
    """A name that two processors share only if they know the same instructions."""
    described = platform.processor()
    with suppress(OSError):  # there on Linux alone
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        described = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    return f"{platform.machine()}-{crc32(described.encode()):08x}"


def versions_in_use() -> dict[str, str]:
    """Version of Python and of each package that takes part in a result."""
    from importlib.metadata import version

    ours = {"python": platform.python_version(), "theanoish": __version__}  # a clone need not be installed
    return ours | {package: version(package) for package in _PACKAGES}
