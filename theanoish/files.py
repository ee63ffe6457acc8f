"""Writing files so that an interruption never leaves a broken one under its final name."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file beside its place and move it there once it is complete.

    Parameters
    ----------
    path : Path
        Where the file will stand. What stood there before stays until the new file is complete and on disk.

    Yields
    ------
    Path
        The file to write. It is removed where the block raises.
    """
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        yield beside
        sync_to_disk(beside)
        os.replace(beside, path)
        sync_to_disk(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def sync_to_disk(path: Path) -> None:
    """Return only once what was written to the file or folder `path` is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
