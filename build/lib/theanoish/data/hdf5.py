"""HDF5 files of unknown origin: opened, tried and read so that none does harm, and what marks them as this project's.

HDF5's own library crashes on some damaged files, and never comes back from others.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from theanoish.errors import InputError

FORMAT, FORMAT_VERSION = "theanoish", 2
SPLITS = ("train", "validation", "test")
BUILD_AGAIN = "build it again with preprocess/build_h5.py --overwrite"
READING_SECONDS = 30  # of processor time; the tables of MagnaTagATune take a fraction of one
TEXT_AT_A_TIME = 1024
_HERE = str(Path(__file__).resolve().parents[2])  # whence this package comes, wherever the program was started
_READER = """
import signal, sys
from pathlib import Path
sys.path[:] = sys.argv[3:]
signal.signal(signal.SIGPROF, signal.SIG_DFL)
signal.setitimer(signal.ITIMER_PROF, float(sys.argv[2]))
from {module} import {function}
{function}(Path(sys.argv[1]))
"""


def read_apart(read: Callable[[Path], None], path: Path) -> None:
    """Read a file in a process of its own first, whose crash or endless loop is this one's InputError.

    Whatever else is wrong with the file, reading it here will tell.

    Raises
    ------
    InputError
        If reading crashes, or takes more than `READING_SECONDS` of processor time.
    """
    reader = _READER.format(module=read.__module__, function=read.__name__)
    command = [sys.executable, "-c", reader, str(path), str(READING_SECONDS), _HERE, *sys.path]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if ended.returncode < 0:
        how = signal.Signals(-ended.returncode)
        fault = "never comes to an end" if how == signal.SIGPROF else f"crashes ({how.name})"
        raise InputError(f"{path}: is damaged: HDF5 {fault} where it reads it; {BUILD_AGAIN}")


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file, all that can be wrong with it being an InputError."""
    try:
        with h5py.File(path, "r") as file:
            yield file
    except BlockingIOError as error:
        raise InputError(f"{path}: is open for writing in another process; close it there") from error
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise InputError(f"{path}: is no data set that preprocess/build_h5.py wrote, or damaged ({error})") from error


def table_of(file: h5py.File, name: str, dtype: Any) -> h5py.Dataset:
    """An array of the file, which the file itself holds, plainly: what it claims to hold cannot exceed the file.

    Links and external storage, by which a file would have others read, are refused.
    """
    for place in filter(None, (name.rpartition("/")[0], name)):
        link = file.get(place, getlink=True)
        if not isinstance(link, h5py.HardLink):
            raise ValueError(f"lacks '{place}'" if link is None else f"'{place}' leads elsewhere")
    table = file[name]
    if not isinstance(table, h5py.Dataset) or table.dtype != dtype:
        raise ValueError(f"'{name}' is not an array of {np.dtype(dtype)}")
    layout = table.id.get_create_plist().get_layout()
    if table.external or (layout not in (h5py.h5d.COMPACT, h5py.h5d.CONTIGUOUS)):
        raise ValueError(f"'{name}' is not stored contiguous in this file")
    if table.nbytes > table.id.get_storage_size():
        raise ValueError(f"'{name}' is larger than what the file holds")
    return table


def texts_of(file: h5py.File, name: str) -> list[str]:
    """A list of texts, read in parts: many may be one and the same in the file, and fill the memory nevertheless."""
    table = table_of(file, name, h5py.string_dtype()).asstr()
    texts: list[str] = []
    left = os.path.getsize(file.filename)
    for first in range(0, len(table), TEXT_AT_A_TIME):
        texts.extend(table[first : first + TEXT_AT_A_TIME])
        left -= sum(map(len, texts[first:]))
        if left < 0:
            raise ValueError(f"'{name}' holds more text than the file")
    return texts
