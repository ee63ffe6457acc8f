"""Writing files so that an interruption never leaves a broken one under its final name."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from theanoish.errors import InputError


def check_writable(path: Path) -> None:
    """Find before long work that its result could not be written.

    Raises
    ------
    InputError
        Where `path` is a folder, or the folder it stands in is missing or must not be written to.
    """
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder; name a file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: there is no folder {path.parent}; make it first")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path}: cannot be written: no permission to write to {path.parent}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes, on this machine or on another that shares the disk, from the same work on a folder.

    Leftovers of processes that were killed while they wrote are removed.

    Raises
    ------
    InputError
        Where another process has locked it.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another process trains this run at the moment") from error
        for leftover in folder.glob("*.partial"):
            leftover.unlink()
        yield


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
