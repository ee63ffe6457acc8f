"""The versions a result depends on, for run folders, checkpoints and data sets."""

import platform
from importlib.metadata import version

_PACKAGES = ("theanoish", "pytensor", "jax", "numba", "numpy", "scipy", "h5py", "scikit-learn")


def versions_in_use() -> dict[str, str]:
    """Version of Python and of each package that takes part in a result."""
    return {"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}}
