"""Slaney's mel scale and its bank of triangular filters, as librosa has them by default (Fig. 1a)."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theanoish.representation import MEL_CHANNELS, SAMPLE_RATE


def mel_filters(points: int, bands: int = MEL_CHANNELS) -> NDArray[np.float64]:
    """Triangular filters from 0 to 8000 Hz, equally spaced in mel, each of unit area in Hz.

    Parameters
    ----------
    points : int
        Points of the FFT whose power spectrum they weigh.
    bands : int

    Returns
    -------
    float64 array (bands, points // 2 + 1)
    """
    bins = np.fft.rfftfreq(points, 1 / SAMPLE_RATE)
    edges = mel_to_hz(np.linspace(0, hz_to_mel(SAMPLE_RATE / 2), bands + 2))
    low, centre, high = (edges[i : bands + i, None] for i in range(3))
    triangles = np.maximum(0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
    return np.asarray(triangles * 2 / (high - low))


def hz_to_mel(frequency: ArrayLike) -> NDArray[np.float64]:
    """Linear below 1000 Hz, where 15 mel are reached, then 27 mel for every factor of 6.4."""
    frequency = np.asarray(frequency, float)
    return np.where(
        frequency < 1000, frequency * 3 / 200, 15 + 27 * np.log(np.maximum(frequency, 1) / 1000) / np.log(6.4)
    )


def mel_to_hz(mels: ArrayLike) -> NDArray[np.float64]:
    """The inverse of `hz_to_mel`."""
    mels = np.asarray(mels, float)
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))
