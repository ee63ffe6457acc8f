"""Files and folders: written whole or not at all, checked before long work, locked against other processes."""

import fcntl
import glob
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from theanoish.errors import InputError

_PARTIAL = re.compile(r".+\.(\d+)\.partial$")
_RUN_FILE = re.compile(r"(settings|log|curve|checkpoint|state|initial_filters)\.\w+\.\d+\.partial")


def check_writable(path: Path) -> None:
    """Find before long work that its result could not be written."""
    if _is_special(path):
        if not os.access(path, os.W_OK):
            raise InputError(f"{path}: cannot be written: no permission")
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder; name a file")
    if target.exists() and not os.access(target, os.W_OK):
        raise InputError(f"{path}: cannot be written: it is write-protected")
    _check_folder(path, target.parent)


def check_outputs(outputs: Iterable[Path | None], inputs: Iterable[Path | None]) -> None:
    """Find before long work results that could not be written, or that would replace each other or what is read."""
    taken = {os.path.realpath(path) for path in inputs if path}
    for path in filter(None, outputs):
        check_writable(path)
        place = os.path.realpath(path)
        if place in taken and not _is_special(path):
            raise InputError(f"{path}: is named twice, to be read or written; name another file to write to")
        taken.add(place)


def check_page(path: Path) -> None:
    """Find that a page would take the place of a song or a checkpoint, its own name having been forgotten."""
    if path.suffix.lower() not in (".html", ".htm", ".xhtml") and not _is_special(path):
        raise InputError(f"{path}: is no name for a page; name a file to write that ends in .html")


def check_creatable(path: Path) -> None:
    """As `check_writable`, if missing folders will be made."""
    if path.parent.exists():
        check_writable(path)
    else:
        _check_folder(path, next(parent for parent in path.absolute().parents if parent.exists()))


def _check_folder(path: Path, folder: Path) -> None:
    if not folder.is_dir():
        missing = "is not a folder" if folder.exists() else "does not exist; make it first"
        raise InputError(f"{path}: cannot be written: {folder} {missing}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{path}: cannot be written: no permission to write to {folder}")


def _is_special(path: Path) -> bool:
    """Whether there is something at `path`, or where it links to, that is neither a file nor a folder.

    What this process prints to counts as such even if it is a file, as /dev/stdout may be: one that is replaced would
    lose what is printed later.
    """
    try:
        there = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return not (stat.S_ISREG(there.st_mode) or stat.S_ISDIR(there.st_mode)) or _stream_at(path) is not None


def _stream_at(path: Path) -> Any:
    """Standard output or standard error, if that is what stands at `path`."""
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        with suppress(OSError):
            if os.path.samestat(path.stat(), os.fstat(number)):
                return stream
    return None


@contextmanager
def lock(path: Path, busy: str) -> Iterator[BinaryIO]:
    """Hold the lock that the file `path` stands for, and yield the file, open for reading and appending.

    Where another process holds it, on this machine or on another that shares the disk, `busy` is the error's message.

    It is made if missing, and stays unless who holds it removes it. By flock, which ends with its process however that
    ends. (The package filelock takes the same lock, but goes by a file's mere presence on file systems that know none,
    and such a file outlives a killed process.)
    """
    with path.open("a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                raise FileNotFoundError
        except (BlockingIOError, FileNotFoundError) as error:  # or who held it has just removed it
            raise InputError(busy) from error
        except OSError as error:
            raise InputError(f"{path}: cannot be locked ({error.strerror}); choose a folder of this machine") from error
        try:
            yield file
        finally:  # closing would leave it to a process that another thread has just forked
            fcntl.flock(file, fcntl.LOCK_UN)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes from the same work on a run folder, and remove what killed ones left of files in it."""
    with lock(folder / "lock", f"{folder}: another process trains this run at the moment"):
        for leftover in folder.glob("*.partial"):
            if _RUN_FILE.fullmatch(leftover.name) and leftover.is_file():
                leftover.unlink()
        yield


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Write a file beside its place and move it there once it is complete.

    A link stays one, and the file that it leads to is replaced. What is no file, such as /dev/null, a pipe or what this
    process prints to, is written to once all is there.

    Parameters
    ----------
    path : Path
        Where the file will stand. What stood there before stays until the new file is complete and on disk.

    Yields
    ------
    Path
        The file to write. It is removed if the block raises.

    Raises
    ------
    OSError
        With `path` as its ``filename``.
    """
    try:
        if _is_special(path):
            with tempfile.TemporaryDirectory() as folder:
                beside = Path(folder) / path.name
                yield beside
                _pour(beside, path)
            return
        target = Path(os.path.realpath(path))
        _remove_leftovers(target)
        beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
        try:
            yield beside
            sync_to_disk(beside)
            if target.exists():
                shutil.copymode(target, beside)
            os.replace(beside, target)
            sync_to_disk(target.parent)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        if error.filename is None or _PARTIAL.search(str(error.filename)):
            error.filename, error.filename2 = str(path), None
        raise


def _pour(file: Path, path: Path) -> None:
    stream = _stream_at(path)
    if stream is None:
        with file.open("rb") as source, path.open("wb") as target:
            shutil.copyfileobj(source, target)
    else:
        stream.flush()
        with suppress(BrokenPipeError):  # nobody reads on, as after `| head`
            stream.buffer.write(file.read_bytes())
            stream.buffer.flush()
        stream.flush()


def _remove_leftovers(target: Path) -> None:
    """Remove what processes of this machine that no longer run had written of `target`."""
    for leftover in target.parent.glob(f"{glob.escape(target.name)}.*.partial"):
        if (written_by := _PARTIAL.search(leftover.name)) and not _is_running(int(written_by[1])):
            leftover.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)  # sends nothing
    except (PermissionError, OverflowError):
        return True
    except ProcessLookupError:
        return False
    return True


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all, as UTF-8; of file names that are not, the odd bytes as ``\\udc..``."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8", errors="backslashreplace")


def write_json(path: Path, values: Any) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """The plain values of a JSON file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        raise InputError(f"{path}: cannot be read ({reason})") from error


def sync_to_disk(path: Path) -> None:
    """Return only once what was written to the file or folder `path` is on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # of a folder many network and shared disks know no such thing: CIFS, vboxsf, WSL's
            raise
    finally:
        os.close(descriptor)


def require_space(folder: Path, needed: int, purpose: str) -> None:
    """Raise InputError if the disk of a folder has no room for `needed` bytes."""
    total, _, free = shutil.disk_usage(folder)
    if total and needed > free:  # some disks do not say their size
        raise InputError(
            f"{folder}: {needed / 1e9:.2f} GB are needed for the {purpose} but {free / 1e9:.2f} GB are free; "
            "make room or name another folder"
        )
