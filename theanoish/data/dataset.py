"""The HDF5 data set that `preprocess/build_h5.py` writes: labels in memory, windows read from the file.

The file's layout is described in the README. Samples and frames are stored contiguous and uncompressed, so a window is
one read at a known place, without HDF5 in between; that is what keeps training from waiting for its input.
"""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.representation import SAMPLE_RATE, WINDOW_SAMPLES, Representation
from theanoish.settings import Settings

SPLITS = ("train", "validation", "test")


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
    ids : int64 array (clips,)
    paths, artists : list of str (clips)
    splits : str array (clips,)
        "train", "validation" or "test".
    attributes : dict
        The file's own description: which clips were kept, versions, settings.

    Raises
    ------
    InputError
        Where the file is missing, is no data set of this project or contradicts itself.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"{path}: no such file; build it with preprocess/build_h5.py or name another with --data")
        try:
            with h5py.File(path, "r") as file:
                self._read_tables(file)
        except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{path}: not a data set that preprocess/build_h5.py wrote ({error})") from error
        self._check()

    def _read_tables(self, file: h5py.File) -> None:
        if file.attrs.get("format") != "theanoish" or file.attrs.get("format_version") != 1:
            raise ValueError("attribute 'format' or 'format_version' is another")
        if missing := {"sample_rate", "tags_kept"} - file.attrs.keys():
            raise ValueError(f"lacks attribute {', '.join(sorted(missing))}")
        self.attributes: dict[str, Any] = dict(file.attrs)
        self.tags: list[str] = list(file["tags"].asstr()[:])
        self.labels: NDArray[np.uint8] = file["labels"][:]
        self.ids: NDArray[np.int64] = file["clips/id"][:]
        self.paths: list[str] = list(file["clips/path"].asstr()[:])
        self.artists: list[str] = list(file["clips/artist"].asstr()[:])
        self.splits = np.array(file["clips/split"].asstr()[:], dtype=str)
        self.representations = sorted(name for name in file if name == "raw" or name.startswith("mel_"))

    def _check(self) -> None:
        clips = len(self.ids)
        binary = self.labels.dtype == np.uint8 and self.labels.max(initial=0) <= 1
        if self.labels.shape != (clips, len(self.tags)) or self.labels.size == 0 or not binary:
            raise InputError(
                f"{self.path}: 'labels' must be 0 or 1, uint8, with shape (clips, tags), ({clips}, {len(self.tags)})"
            )
        if not len(self.paths) == len(self.artists) == len(self.splits) == clips:
            raise InputError(f"{self.path}: the tables of 'clips' differ in length; build the file again")
        if not set(self.splits) <= set(SPLITS):
            raise InputError(f"{self.path}: 'clips/split' must be {', '.join(SPLITS)}, not {set(self.splits)}")

    def fingerprint(self) -> str:
        """A short text that differs between data sets with other clips, splits, tags or labels."""
        digest = hashlib.sha256(self.labels.tobytes() + self.ids.tobytes())
        digest.update("\n".join([*self.tags, *self.splits]).encode())
        return digest.hexdigest()[:16]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Rows of the clips of a split.

        Raises
        ------
        InputError
            Where the split has no clip.
        """
        rows = np.flatnonzero(self.splits == split)
        if len(rows) == 0:
            raise InputError(
                f"{self.path}: no clip in split '{split}'; folders 0 to b are for training, c for validation, "
                "d to f for testing"
            )
        return rows

    def windows(self, settings: Settings, rows: NDArray[np.int64]) -> "Windows":
        """The windows of the clips `rows` in the representation that `settings` ask for.

        Raises
        ------
        InputError
            Where the file lacks the representation, or it is damaged.
        """
        name = settings.representation.name
        if name not in self.representations:
            raise InputError(
                f"{self.path}: has no '{name}', only {', '.join(self.representations)}; "
                "build it again with preprocess/build_h5.py --overwrite --representations "
                f"{' '.join([*self.representations, name])}"
            )
        try:
            return Windows(self.path, settings.representation, settings.windows == "random", rows)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise InputError(f"{self.path}: '{name}' cannot be read ({error}); build the file again") from error


class Windows:
    """Windows of some clips, read straight from the HDF5 file; by one thread at a time.

    Attributes
    ----------
    shape : tuple of int
        Of one window: (48000,) samples or (frames, 128).
    dtype : numpy dtype
        int16 for samples, float32 for frames.
    counts : int64 array (clips,)
        Samples or frames of each clip.
    """

    def __init__(self, path: Path, representation: Representation, random: bool, rows: NDArray[np.int64]) -> None:
        self.dtype, self.shape = representation.dtype, representation.window_shape
        self._hop, self._random = representation.stride, random
        with h5py.File(path, "r") as file:
            group = file[representation.name]
            values = group["values"]
            self._starts: NDArray[np.int64] = group["start"][:][rows]
            self.counts: NDArray[np.int64] = group["count"][:][rows]
            self._offset = values.id.get_offset()
            self._check(values, int(file.attrs["sample_rate"]))
        self._row_bytes = representation.row_bytes
        self._file = path.open("rb", buffering=0)

    def _check(self, values: h5py.Dataset, sample_rate: int) -> None:
        if sample_rate != SAMPLE_RATE:
            raise ValueError(f"sample rate {sample_rate}, not {SAMPLE_RATE}")
        if values.dtype != self.dtype or values.shape[1:] != self.shape[1:] or self._offset is None:
            raise ValueError(f"'values' is not a contiguous {self.dtype} array of shape (all, {self.shape[1:]})")
        if self._starts.min() < 0 or (self._starts > len(values) - self.counts).any():
            raise ValueError("'start' and 'count' point outside 'values'")
        if self.counts.min() < self.shape[0]:
            raise ValueError(f"a clip is shorter than a window, {self.shape[0]}")

    @property
    def choices(self) -> NDArray[np.int64]:
        """How many training windows each clip offers, shape (clips,)."""
        return self.counts - self.shape[0] + 1 if self._random else self.consecutive

    @property
    def consecutive(self) -> NDArray[np.int64]:
        """How many consecutive windows each clip holds, shape (clips,)."""
        samples = self.counts if self._hop == 1 else (self.counts - self.shape[0]) * self._hop + WINDOW_SAMPLES
        return samples // WINDOW_SAMPLES

    def training_offsets(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the training windows numbered `windows` (below `choices`) begin in their clips."""
        return windows if self._random else self.consecutive_offsets(windows)

    def consecutive_offsets(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where the consecutive windows numbered `windows` begin, in samples or frames.

        A frame that a spectrogram's window starts with begins less than a stride before the window itself.
        """
        return windows * WINDOW_SAMPLES // self._hop

    def read(self, clips: NDArray[np.int64], offsets: NDArray[np.int64], into: NDArray[Any]) -> None:
        """Read one window of each of `clips` at `offsets` into `into`, shape (len(clips), *shape).

        Raises
        ------
        InputError
            Where the file ends before the window does.
        """
        places = self._starts[clips] + offsets
        for i in np.argsort(places):  # a disk serves rising places fastest
            self._fill(into[i], int(places[i]))

    def read_whole_clips(self) -> NDArray[Any]:
        """All clips in one array (clips, longest, ...), zero behind the end of shorter ones.

        Raises
        ------
        InputError
            Where the file ends before a clip does.
        """
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
                raise InputError("the data set ends inside a clip: the file was cut off; build it again")
            buffer = buffer[read:]
