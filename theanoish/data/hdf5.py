"""HDF5 files of unknown origin: tried and read so that none does harm, and what marks them as this project's."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from theanoish.errors import InputError, typed

FORMAT, FORMAT_VERSION = "theanoish", 2
SPLITS = ("train", "validation", "test")
READING_SECONDS = 60  # the tables of MagnaTagATune take a fraction of one
TEXT_AT_A_TIME = 1024
_ALARM = """
import os, select, signal, sys
if not select.select([0], [], [], float(sys.argv[1]))[0]:
    os.write(2, os.fsencode(sys.argv[2]))
    os.kill(os.getppid(), signal.SIGKILL)
"""


def build_again(options: str = "") -> str:
    """What to do about a data set that is not good enough, and was built with `options`."""
    return f"build it again with {typed('build')} --overwrite {options}".rstrip()


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file, all that can be wrong with it being an InputError.

    HDF5 never comes back from some damaged files; then the process ends with a message.
    """
    try:
        with (
            _alarm(f"{path}: is damaged: HDF5 never comes to an end where it reads it; {build_again()}"),
            _open(path) as file,
        ):
            yield file
    except BlockingIOError as error:
        raise InputError(f"{path}: is open for writing in another process; close it there") from error
    except (OSError, KeyError, ValueError, TypeError, AttributeError, IndexError, RuntimeError) as error:
        raise InputError(f"{path}: is no data set that theanoish build wrote, or damaged ({error})") from error


@contextmanager
def _alarm(message: str) -> Iterator[None]:
    """End this process with a message if the block takes `READING_SECONDS`.

    Another process waits: while HDF5 runs, Python comes neither to its handlers of signals nor to its other threads.
    """
    command = [sys.executable, "-ISc", _ALARM, str(READING_SECONDS), f"error: {message}\n"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True):  # which ends with its input
        yield


def _open(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except BlockingIOError:
        raise
    except OSError as error:
        if "unable to lock" not in str(error):
            raise
        return h5py.File(path, "r", locking=False)  # the disk knows no locks, which reading does without


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
