"""Files and folders: written whole or not at all, checked before long work, locked against other processes."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from theanoish.errors import InputError


def check_writable(path: Path) -> None:
    """Find before long work that its result could not be written.

    Raises
    ------
    InputError
        Where `path` is a folder, or it stands in none, or in one that must not be written to.
    """
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder; name a file")
    _check_folder(path, path.parent)


def check_creatable(path: Path) -> None:
    """As `check_writable`, where missing folders will be made.

    Raises
    ------
    InputError
        Where `path` is a folder, or the folder that it or the missing ones stand in must not be written to.
    """
    if path.parent.exists():
        check_writable(path)
    else:
        _check_folder(path, next(parent for parent in path.absolute().parents if parent.exists()))


def _check_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        missing = "is not a folder" if folder.exists() else "does not exist; make it first"
        raise InputError(f"{path}: cannot be written: {folder} {missing}")
    if not os.access(folder, os.W_OK):
        raise InputError(f"{path}: cannot be written: no permission to write to {folder}")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes, on this machine or on another that shares the disk, from the same work on a folder.

    What `written_whole` leaves of processes that were killed is removed.

    Raises
    ------
    InputError
        Where another process has locked it, or the file system knows no locks.
    """
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(f"{folder}: another process trains this run at the moment") from error
        except OSError as error:
            raise InputError(
                f"{folder}: cannot be locked ({error.strerror}); choose a folder of this machine"
            ) from error
        for leftover in folder.iterdir():
            if re.fullmatch(r".+\.\d+\.partial", leftover.name):
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
