"""What this machine and its software are: the cores a process may use, and the versions that a result depends on."""

import os
import platform
from importlib.metadata import version

from theanoish import __version__

_PACKAGES = ("pytensor", "jax", "numba", "numpy", "scipy", "h5py", "scikit-learn")


def usable_cores() -> list[int]:
    """Numbers of the cores this process is held to; of all where it cannot be held to some, as on macOS."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def versions_in_use() -> dict[str, str]:
    """Version of Python and of each package that takes part in a result."""
    ours = {"python": platform.python_version(), "theanoish": __version__}  # a clone need not be installed
    return ours | {package: version(package) for package in _PACKAGES}
