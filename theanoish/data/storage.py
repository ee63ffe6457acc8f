"""The HDF5 file of a data set: its layout, written so that a crash can be survived.

A file begins with one contiguous array per representation, at a place that is known at once: clips are written there
one behind the other, without HDF5. The tables and the description are added when all clips are there.
"""

import os
from collections.abc import Callable, Mapping, Sequence
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
COPIED = 2**24  # bytes at a time
STRUCTURE_BYTES = 2**17  # what HDF5 needs beside arrays and tables, at most


def first_row(begin: Any, representation: Representation) -> Any:
    """Where a clip begins in `values` if those before it have `begin` samples, an integer or an array of them."""
    return -(-begin // representation.stride)


class Arrays:
    """The arrays of an unfinished data set, to which clips are appended.

    Parameters
    ----------
    samples : int
        Those of all clips that the arrays hold.
    room : int
        Samples to make room for, where they hold none.
    """

    def __init__(self, path: Path, representations: Sequence[Representation], samples: int, room: int) -> None:
        self.path, self.samples = path, samples
        if samples == 0:
            _make_room(path, representations, room)
        with h5py.File(path) as file:
            values = {r: file[f"{r.name}/values"] for r in representations}
            self._places = {r: int(array.id.get_offset()) for r, array in values.items()}
            self._rows = {r: len(array) for r, array in values.items()}

    def append(self, samples: int, clip: Sequence[tuple[Representation, NDArray[Any]]]) -> None:
        """Write a clip's representations behind those of the clips before it."""
        while any(first_row(self.samples + samples, r) > rows for r, rows in self._rows.items()):
            self._double()
        with self.path.open("r+b") as file:
            for representation, values in clip:
                file.seek(self._places[representation] + first_row(self.samples, representation) * values[:1].nbytes)
                file.write(values.data)
        self.samples += samples

    def _double(self) -> None:
        """Move to a file with twice the room: headers promised less than there is."""
        beside = self.path.with_name(f"{self.path.name}.larger")
        try:
            larger = Arrays(beside, list(self._rows), 0, 2 * min(rows * r.stride for r, rows in self._rows.items()))
            with self.path.open("rb") as source, beside.open("r+b") as target:
                for r, place in self._places.items():
                    source.seek(place)
                    target.seek(larger._places[r])
                    left = self._rows[r] * r.row_bytes  # no byte more: HDF5's own structures lie between the arrays
                    while chunk := source.read(min(left, COPIED)):
                        left -= target.write(chunk)
            os.replace(beside, self.path)
        finally:
            beside.unlink(missing_ok=True)
        self._places, self._rows = larger._places, larger._rows


def _make_room(path: Path, representations: Sequence[Representation], samples: int) -> None:
    rows = {representation: first_row(samples, representation) for representation in representations}
    path.unlink(missing_ok=True)
    reserve(path, STRUCTURE_BYTES)
    with path.open("r+b") as file:  # as long as it will be, which the file system may not allow
        file.truncate(STRUCTURE_BYTES + sum(rows[r] * r.row_bytes for r in rows))
    with h5py.File(path, "w") as file:
        for representation, count in rows.items():
            _make_array(file.create_group(representation.name), representation, count)
    status = path.stat()
    require_space(path, status.st_size - status.st_blocks * 512, "data set")  # the file is sparse until it is filled
    sync_to_disk(path)


def reserve(path: Path, size: int) -> None:
    """Take `size` bytes behind the end of a file from the disk: HDF5 crashes where it meets a full one."""
    path.touch()
    # Not "ab": on disks that reserve nothing, as NFS and exFAT, glibc writes, but not to a file open for appending.
    with path.open("r+b") as file:
        end = file.seek(0, os.SEEK_END)
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), end, size)
            else:  # macOS
                require_space(path, size, "data set")
        except OSError:
            file.truncate(end)
            raise


def _make_array(group: h5py.Group, representation: Representation, rows: int) -> None:
    """Create `values` without writing it."""
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.CONTIGUOUS)
    properties.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple((rows, *representation.row_shape))
    h5py.h5d.create(group.id, b"values", h5py.h5t.py_create(representation.dtype), space, properties)


def write_tables(
    path: Path,
    tables: Mapping[str, NDArray[Any] | list[str]],
    attributes: Mapping[str, Mapping[str, Any]],
    begin: Callable[[], None],
) -> None:
    """Add to a file tables by name, and attributes by group; lists are text and become variable-length UTF-8.

    `begin` is called once there is room for them, before the file changes: whoever dies after that leaves it damaged.
    """
    reserve(path, STRUCTURE_BYTES + sum(map(_table_bytes, tables.values())))
    begin()
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
    attributes: dict[str, dict[str, Any]] = {"/": common}
    for each in representations:
        if not each.is_raw:
            attributes[each.name] = {
                "length": each.length,
                "stride": each.stride,
                "fft_length": fft_length(each.length),
                "mel_channels": MEL_CHANNELS,
                "lowest_frequency": 0.0,
                "highest_frequency": SAMPLE_RATE / 2,
                "compression": COMPRESSION,
                "window": "Hann, periodic",
                "filters": "triangular on Slaney's mel scale, unit area",
            }
    return attributes
