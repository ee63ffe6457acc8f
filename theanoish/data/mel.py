"""Log-mel spectrograms: log(1 + 10000·x) of the mel power spectrogram (section 4.1, Fig. 1a).

Conventions: periodic Hann windows, no padding at the edges, so frame t covers samples t·stride to t·stride + length - 1
as in the raw front end; samples scaled to [-1, 1); power spectra; an FFT of at least 1024 points; triangular filters on
Slaney's mel scale, each of unit area, from 0 to 8000 Hz. These are librosa's defaults with ``center=False``.
"""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.mel_scale import mel_filters
from theanoish.representation import COMPRESSION, FULL_SCALE, MEL_CHANNELS, RAW, Representation

SHORTEST_FFT = 1024  # at 256 points 13 of the 128 filters lie between two bins and would be empty
BANDS = 4
FRAMES_AT_A_TIME = 128  # more would leave the processor's cache


def log_mel(samples: NDArray[np.int16], representation: Representation) -> NDArray[np.float32]:
    """Log-mel spectrogram of a clip.

    Parameters
    ----------
    samples : int16 array (samples,)
    representation : Representation
        With its windows' length and stride.

    Returns
    -------
    float32 array (frames, 128)
        Frames are ``representation.rows_of(samples)``, none for clips shorter than a window.
    """
    output = np.empty((int(representation.rows_of(len(samples))), MEL_CHANNELS), np.float32)
    if len(output) == 0:
        return output
    length = representation.length
    window, bands = _tables(length)
    windows = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float32), length)[:: representation.stride]
    padded = np.zeros((FRAMES_AT_A_TIME, fft_length(length)), np.float32)
    for first in range(0, len(output), FRAMES_AT_A_TIME):
        block = output[first : first + FRAMES_AT_A_TIME]
        np.multiply(windows[first : first + len(block)], window, out=padded[: len(block), :length])
        power = _power(padded[: len(block)])
        for bins, filters, weights in bands:
            block[:, filters] = power[:, bins] @ weights
        np.log1p(block, out=block)
    return output


def represented(
    samples: NDArray[np.int16], representations: Iterable[Representation]
) -> Iterator[tuple[Representation, NDArray[Any]]]:
    """A clip in several representations; spectrograms of equal length share the frames that they have in common.

    Yields
    ------
    Representation, array (rows, ...)
        Samples as they are, spectrograms as `log_mel`; one after the other, by rising length, so that the memory of one
        serves the next.
    """
    last, finer = RAW, np.empty((0, MEL_CHANNELS), np.float32)
    for wanted in sorted(representations, key=lambda r: (r.length, r.stride)):
        if wanted.is_raw:
            yield wanted, samples
        elif last.length == wanted.length and wanted.stride % last.stride == 0:
            yield wanted, np.ascontiguousarray(finer[:: wanted.stride // last.stride])
        else:
            last, finer = wanted, log_mel(samples, wanted)
            yield wanted, finer


def fft_length(length: int) -> int:
    """Points of the FFT that defines the spectrum of windows of `length` samples."""
    return max(SHORTEST_FFT, length)


def _power(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power spectra (frames, bins) of frames (frames, points)."""
    from scipy.fft import rfft  # importing it takes as long as starting a worker, and samples alone need none

    spectra = rfft(frames)
    power: NDArray[np.float32] = spectra.real**2
    power += spectra.imag**2
    return power


@lru_cache
def _tables(length: int) -> tuple[NDArray[np.float32], list[tuple[slice, slice, NDArray[np.float32]]]]:
    """The window (length,), and `_bands` of the filters, which hold the compression and the full scale."""
    window = np.hanning(length + 1)[:-1].astype(np.float32)
    return window, _bands(mel_filters(fft_length(length)) * (COMPRESSION / FULL_SCALE**2))


def _bands(filters: NDArray[np.float64]) -> list[tuple[slice, slice, NDArray[np.float32]]]:
    """Neighbouring filters together, each group with the bins it needs: most weights are zero.

    A group is its bins, its filters, and the weights (bins, filters) between them.
    """
    bands = []
    for group in np.split(np.arange(MEL_CHANNELS), BANDS):
        used = np.flatnonzero(filters[group].any(axis=0))
        bins, rows = slice(int(used[0]), int(used[-1]) + 1), slice(int(group[0]), int(group[-1]) + 1)
        bands.append((bins, rows, np.ascontiguousarray(filters[rows, bins].T, np.float32)))
    return bands
