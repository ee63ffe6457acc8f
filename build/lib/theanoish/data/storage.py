"""The HDF5 file of a data set: its layout, written so that many processes can fill it and a crash can be survived.

A file begins as a skeleton: one contiguous array per representation, with room for every clip, at places that are known
at once. Workers write there directly. The tables and the description are added when all arrays are filled.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from theanoish.data.hdf5 import FORMAT, FORMAT_VERSION
from theanoish.data.mel import fft_length
from theanoish.files import require_space, sync_to_disk
from theanoish.representation import COMPRESSION, MEL_CHANNELS, SAMPLE_RATE, Representation

ABOUT = (
    "Clips are in the order train, validation, test. In each representation, clip i is "
    "values[start[i] : start[i] + count[i]]; rows of 'values' that belong to no clip mean nothing. 'raw' holds int16 "
    "samples (divide by 32768), 'mel_<length>_<stride>' log(1 + 10000 x) of mel power spectrograms, one row a frame; "
    "frame t begins at sample t * stride. labels[i, j] is 1 where clip i has tags[j], clips/samples its samples at "
    "16 kHz. 'left_out' lists the clips that are not in the file."
)
STRUCTURE_BYTES = 2**17  # what HDF5 needs beside arrays and tables, at most


def first_row(begin: int, representation: Representation) -> int:
    """Where a clip begins in `values` if `begin` samples are set aside for those before it."""
    return -(-begin // representation.stride)


def make_skeleton(path: Path, representations: Sequence[Representation], samples: int) -> dict[Representation, int]:
    """Write a file with an empty array for each representation, and restore its structure where it exists.

    Whatever the arrays of an existing file hold stays; all else is made as new. That heals a file whose writer died
    while it added tables.

    Parameters
    ----------
    samples : int
        To make room for.

    Returns
    -------
    dict from Representation to int
        Where its array begins in the file, in bytes.

    Raises
    ------
    InputError
        Where the disk is too small.
    """
    rows = {representation: first_row(samples, representation) for representation in representations}
    fresh = path.with_name(f"{path.name}.skeleton")
    try:
        reserve(fresh, STRUCTURE_BYTES)
        with fresh.open("r+b") as file:  # as long as it will be, which the file system may not allow
            file.truncate(STRUCTURE_BYTES + sum(rows[r] * r.row_bytes for r in rows))
        with h5py.File(fresh, "w") as file:
            places = {r: _empty_array(file.create_group(r.name), r, count) for r, count in rows.items()}
        if path.exists():
            _copy_structure(fresh, path, sorted((places[r], rows[r] * r.row_bytes) for r in rows))
        else:
            os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)
    status = path.stat()
    needed = status.st_size - status.st_blocks * 512  # the file is sparse until it is filled
    require_space(path, needed, "data set")
    sync_to_disk(path)
    return places


def reserve(path: Path, size: int) -> None:
    """Take `size` bytes behind the end of a file from the disk, so that HDF5 never meets a full disk: it crashes there.

    Raises
    ------
    InputError, OSError
        Where the disk has not got them.
    """
    with path.open("ab") as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), end, size)
            else:  # macOS
                require_space(path, size, "data set")
        except OSError:
            file.truncate(end)
            raise


def _empty_array(group: h5py.Group, representation: Representation, rows: int) -> int:
    """Create `values` without writing it: the file stays sparse until the workers fill it."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((rows, *representation.row_shape))
    kind = h5py.h5t.py_create(representation.dtype)
    return int(h5py.h5d.create(group.id, b"values", kind, space, properties).get_offset())


def _copy_structure(fresh: Path, path: Path, arrays: Sequence[tuple[int, int]]) -> None:
    size = fresh.stat().st_size
    begins = [0, *(place + length for place, length in arrays)]
    ends = [*(place for place, _ in arrays), size]
    with fresh.open("rb") as source, path.open("r+b") as target:
        for begin, end in zip(begins, ends, strict=True):
            source.seek(begin)
            target.seek(begin)
            target.write(source.read(end - begin))
        target.truncate(size)


def write_tables(
    path: Path, tables: Mapping[str, NDArray[Any] | list[str]], attributes: Mapping[str, Mapping[str, Any]]
) -> None:
    """Add to a file tables by name, and attributes by group; lists are text and become variable-length UTF-8.

    Raises
    ------
    InputError, OSError
        Where the disk is full; the file is as it was.
    """
    reserve(path, STRUCTURE_BYTES + sum(map(_table_bytes, tables.values())))
    with h5py.File(path, "r+") as file:
        for name, values in tables.items():
            if isinstance(values, list):
                file.create_dataset(name, (len(values),), h5py.string_dtype())[:] = np.array(values, object)
            else:
                file[name] = values
        for name, described in attributes.items():
            file[name].attrs.update(described)


def _table_bytes(values: NDArray[Any] | list[str]) -> int:
    """More than HDF5 takes for a table."""
    if isinstance(values, list):
        return 4096 + 2 * sum(len(text.encode()) + 64 for text in values)
    return 4096 + values.nbytes


def description(representations: Sequence[Representation]) -> dict[str, dict[str, Any]]:
    """Attributes by group, which say what is in the file."""
    common = {"format": FORMAT, "format_version": FORMAT_VERSION, "about": ABOUT, "sample_rate": SAMPLE_RATE}
    return {"/": common} | {r.name: _how_computed(r) for r in representations if not r.is_raw}


def _how_computed(representation: Representation) -> dict[str, Any]:
    return {
        "length": representation.length,
        "stride": representation.stride,
        "fft_length": fft_length(representation.length),
        "mel_channels": MEL_CHANNELS,
        "lowest_frequency": 0.0,
        "highest_frequency": SAMPLE_RATE / 2,
        "compression": COMPRESSION,
        "window": "Hann, periodic",
        "filters": "triangular on Slaney's mel scale, unit area",
    }
