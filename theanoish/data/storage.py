"""The HDF5 file of a data set: its layout, written so that many processes can fill it and a crash can be survived.

A file begins as a skeleton: one contiguous array a representation, with room for every clip, at places in the file that
are known at once. Workers write there directly. The tables and the description are added when all arrays are filled.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from theanoish.files import sync_to_disk
from theanoish.representation import LENGTHS_AND_STRIDES, MEL_CHANNELS

RAW = "raw"
REPRESENTATIONS = (RAW, *(f"mel_{length}_{stride}" for length, stride in LENGTHS_AND_STRIDES))


def length_and_stride(representation: str) -> tuple[int, int]:
    """Window length and stride of a representation; (1, 1) for raw samples, so that its frames are its samples."""
    if representation == RAW:
        return 1, 1
    _, length, stride = representation.split("_")
    return int(length), int(stride)


def frames_of(representation: str, samples: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of `values` (samples, or frames) that clips of `samples` samples fill."""
    length, stride = length_and_stride(representation)
    return np.maximum(0, (samples - length) // stride + 1)


def row_bytes(representation: str) -> int:
    """Bytes of one row of `values`."""
    return 2 if representation == RAW else 4 * MEL_CHANNELS


def make_skeleton(path: Path, rows: Mapping[str, int]) -> dict[str, int]:
    """Write a file with an empty array for each representation, and restore its structure where it exists.

    Whatever the arrays of an existing file hold stays; all else is made as new. That heals a file whose writer died
    while it added tables.

    Parameters
    ----------
    rows : dict from representation to int
        Rows of its array.

    Returns
    -------
    dict from representation to int
        Where its array begins in the file, in bytes.
    """
    fresh = path.with_name(f"{path.name}.skeleton")
    with h5py.File(fresh, "w") as file:
        places = {name: _empty_array(file.create_group(name), name, count) for name, count in rows.items()}
    if path.exists():
        _copy_structure(fresh, path, sorted((places[name], rows[name] * row_bytes(name)) for name in rows))
        fresh.unlink()
    else:
        os.replace(fresh, path)
    sync_to_disk(path)
    return places


def _empty_array(group: h5py.Group, name: str, rows: int) -> int:
    """Create `values` without writing it: the file stays sparse until the workers fill it."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    shape = (rows,) if name == RAW else (rows, MEL_CHANNELS)
    kind = h5py.h5t.STD_I16LE if name == RAW else h5py.h5t.IEEE_F32LE
    dataset = h5py.h5d.create(group.id, b"values", kind, h5py.h5s.create_simple(shape), properties)
    return int(dataset.get_offset())


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


def write_table(group: h5py.Group, columns: Mapping[str, ArrayLike]) -> None:
    """Write arrays into a group; text becomes variable-length UTF-8."""
    for name, values in columns.items():
        array = np.asarray(values)
        if array.dtype.kind == "U" or (len(array) == 0 and array.dtype.kind == "f"):  # an empty list is text here
            group.create_dataset(name, data=array.astype(object), dtype=h5py.string_dtype())
        else:
            group.create_dataset(name, data=array)
