"""The HDF5 data set that `preprocess/build_h5.py` writes: labels in memory, windows read from the file.

docs/format.md describes the file's layout. Samples and frames are stored contiguous and uncompressed, so a window is
one read at a known place, without HDF5 in between; that is what keeps training from waiting for its input.
"""

import hashlib
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from theanoish.data.hdf5 import FORMAT, FORMAT_VERSION, SPLITS, build_again, opened, table_of, texts_of
from theanoish.errors import InputError, typed
from theanoish.representation import REPRESENTATIONS, SAMPLE_RATE, WINDOW_SAMPLES, Representation
from theanoish.settings import Settings


class Dataset:
    """Labels and names of all clips of an HDF5 data set, and the way to their windows.

    Parameters
    ----------
    path : Path
        The HDF5 file.

    Attributes
    ----------
    tags : list of str
    labels : uint8 array (clips, tags)
    ids, samples : int64 arrays (clips,)
        Numbers of the clips, and their lengths at 16 kHz.
    paths, artists, titles : list of str (clips)
    splits : str array (clips,)
        "train", "validation" or "test".
    representations : list of str
        Their names.
    tags_kept : str
        Which clips it keeps: "all" readable ones, or only "tagged" ones.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"{path}: no such file; build it with {typed('build')} or name another with --data")
        self._identity = _identity(path)
        with opened(path) as file:
            self._read_tables(file)
        self._check()

    def _read_tables(self, file: h5py.File) -> None:
        if file.attrs.get("format") != FORMAT:
            raise ValueError(f"attribute 'format' is not {FORMAT!r}")
        self._built_with = str(file.attrs.get("built_with", ""))
        if (version := file.attrs.get("format_version")) != FORMAT_VERSION:
            raise ValueError(f"its format is version {version}, not {FORMAT_VERSION}; {build_again(self._built_with)}")
        if (rate := file.attrs["sample_rate"]) != SAMPLE_RATE:
            raise ValueError(f"sample rate {rate}, not {SAMPLE_RATE}")
        self.tags_kept = str(file.attrs["tags_kept"])
        self.tags = texts_of(file, "tags")
        self.labels: NDArray[np.uint8] = table_of(file, "labels", np.uint8)[:]
        self.ids: NDArray[np.int64] = table_of(file, "clips/id", np.int64)[:]
        self.samples: NDArray[np.int64] = table_of(file, "clips/samples", np.int64)[:]
        names = ("path", "artist", "title")
        self.paths, self.artists, self.titles = (texts_of(file, f"clips/{name}") for name in names)
        splits = texts_of(file, "clips/split")
        if not set(splits) <= set(SPLITS):
            raise ValueError(f"'clips/split' must be {', '.join(SPLITS)}")
        self.splits = np.array(splits, dtype=str)
        self.representations = sorted({each.name for each in REPRESENTATIONS} & set(file))

    def _check(self) -> None:
        clips = len(self.samples)
        shape = (clips, len(self.tags))
        if self.labels.shape != shape or self.labels.size == 0 or self.labels.max() > 1:
            raise InputError(f"{self.path}: 'labels' must be 0 or 1, uint8, with shape (clips, tags), {shape}")
        lengths = {len(self.paths), len(self.artists), len(self.titles), len(self.splits)}
        if lengths != {clips} or not self.ids.shape == self.samples.shape == (clips,):
            raise InputError(f"{self.path}: the tables of 'clips' differ in length; build the file again")

    def fingerprint(self) -> str:
        """A short text that differs between data sets with other clips, splits, tags or labels."""
        digest = hashlib.sha256(self.labels.tobytes() + self.ids.tobytes())
        digest.update("\n".join([*self.tags, *self.splits]).encode())
        return digest.hexdigest()[:16]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of the clips of a split."""
        rows = np.flatnonzero(self.splits == split)
        if len(rows) == 0:
            raise InputError(
                f"{self.path}: no clip in split '{split}'; of MagnaTagATune, folders 0 to b are for training, c for "
                "validation, d to f for testing; of your own songs, the labels' column 'split' says it"
            )
        return rows

    def windows(self, settings: Settings, rows: NDArray[np.int64]) -> "Windows":
        """The windows of the clips `rows` in the representation that `settings` ask for."""
        representation = settings.representation
        if representation not in REPRESENTATIONS:
            names = ", ".join(each.name for each in REPRESENTATIONS)
            raise InputError(f"there is no data set with '{representation.name}'; there are {names}")
        if representation.name not in self.representations:
            wanted = [*self.representations, representation.name]
            raise InputError(
                f"{self.path}: has no '{representation.name}', only {', '.join(self.representations)}; "
                f"{build_again(self._built_with)} --representations {' '.join(wanted)}"
            )
        windows = Windows(self.path, representation, settings.windows == "random", rows)
        if windows.identity != self._identity:
            raise InputError(f"{self.path}: was replaced while it was in use; start again")
        return windows


class Windows:
    """Windows of some clips, read straight from the HDF5 file; by one thread at a time.

    Parameters
    ----------
    path : Path
        The HDF5 file.
    representation : Representation
    random : bool
        Whether a training window begins anywhere in its clip or at a multiple of its own length.
    rows : int64 array (clips,)

    Attributes
    ----------
    shape : tuple of int
        Of one window: (48000,) samples or (frames, 128).
    dtype : numpy dtype
        int16 for samples, float32 for frames.
    counts : int64 array (clips,)
        Samples or frames of each clip.
    consecutive : int64 array (clips,)
        How many windows follow each other in each clip: as many for spectrograms as for samples.
    """

    def __init__(self, path: Path, representation: Representation, random: bool, rows: NDArray[np.int64]) -> None:
        self.dtype, self.shape = representation.dtype, representation.window_shape
        self._hop, self._random, self._row_bytes = representation.stride, random, representation.row_bytes
        self._file = path.open("rb", buffering=0)
        self.identity = _identity(self._file.fileno())
        with opened(path) as file:
            values = table_of(file, f"{representation.name}/values", self.dtype)
            starts, counts, samples = (
                table_of(file, name, np.int64)[:]
                for name in (f"{representation.name}/start", f"{representation.name}/count", "clips/samples")
            )
            if values.shape[1:] != self.shape[1:] or not starts.shape == counts.shape == samples.shape:
                raise ValueError(f"'{representation.name}/values', 'start' or 'count' has another shape")
            self._starts, self.counts = starts[rows], counts[rows]
            self.consecutive: NDArray[np.int64] = samples[rows] // WINDOW_SAMPLES
            self._offset = values.id.get_offset()
            if self._offset is None:
                raise ValueError(f"'{representation.name}/values' is not stored contiguous in this file")
            if self._starts.min() < 0 or (self._starts > len(values) - self.counts).any():
                raise ValueError("'start' and 'count' point outside 'values'")
            if samples[rows].min() < WINDOW_SAMPLES or (self.counts != representation.rows_of(samples[rows])).any():
                raise ValueError(f"a clip is shorter than a window, {self.shape[0]}, or 'count' is not as 'samples'")

    @property
    def choices(self) -> NDArray[np.int64]:
        """How many training windows each clip offers, shape (clips,)."""
        return self.counts - self.shape[0] + 1 if self._random else self.consecutive

    def training_offsets(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the training windows numbered `windows` (below `choices`) begin in their clips."""
        return windows if self._random else self.consecutive_offsets(windows)

    def consecutive_offsets(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the consecutive windows numbered `windows` begin, in samples or frames.

        A frame that a spectrogram's window starts with begins less than a stride before the window itself.
        """
        return windows * WINDOW_SAMPLES // self._hop

    def read(self, clips: NDArray[np.int64], offsets: NDArray[np.int64], into: NDArray[Any]) -> None:
        """Read one window of each of `clips` at `offsets` into `into`, shape (len(clips), *shape)."""
        places = self._starts[clips] + offsets
        for i in np.argsort(places):  # a disk serves rising places fastest
            self._fill(into[i], int(places[i]))

    def read_whole_clips(self) -> NDArray[Any]:
        """All clips in one array (clips, longest, ...), zero behind the end of shorter ones."""
        clips = np.zeros((len(self.counts), int(self.counts.max()), *self.shape[1:]), self.dtype)
        for clip, start, count in zip(clips, self._starts, self.counts, strict=True):
            self._fill(clip[:count], int(start))
        return clips

    def _fill(self, into: NDArray[Any], place: int) -> None:
        self._file.seek(self._offset + place * self._row_bytes)
        buffer = into.data.cast("B")
        while buffer:  # one call reads at most 2 GiB
            read = self._file.readinto(buffer)
            if not read:
                raise InputError(f"{self._file.name}: ends inside a clip: the file was cut off; {build_again()}")
            buffer = buffer[read:]


def _identity(file: Path | int) -> tuple[int, int, int, int]:
    """What tells a file from another that takes its place."""
    status = os.stat(file)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
