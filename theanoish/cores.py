"""The cores of this machine that a process may use."""

import os


def usable_cores() -> list[int]:
    """Numbers of the cores this process is held to; of all where it cannot be held to some, as on macOS."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))
