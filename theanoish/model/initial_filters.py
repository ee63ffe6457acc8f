"""Strided filters that mimic a mel spectrogram before any training (the paper's section 5 wishes for them).

A frame x has in mel band k the energy E_k = Σ_f T_k(f) ((c_f·x)² + (s_f·x)²), T_k being the band's triangle and c_f and
s_f a cosine and a sine under a Hann window. That is a quadratic form, and the largest p of its eigenvectors, each times
the root of its eigenvalue, are the p filters whose squares sum to the best approximation of E_k by p squares.
"""

import numpy as np
from numpy.typing import NDArray

from theanoish.mel_scale import mel_filters

_GRID = 8192  # points; fine enough for the narrowest of 128 bands
_SPECTROGRAM_GRID = 1024  # points over which the project's spectrograms of up to 1024 samples sum power


def mel_filters_in_time(filters: int, pool_size: int, length: int) -> NDArray[np.float64]:
    """Filters whose pools' mean squares approximate the energies of ``filters // pool_size`` mel bands.

    Parameters
    ----------
    filters, pool_size : int
        Filters in all, and adjacent ones in a pool; the second divides the first.
    length : int
        Samples of a filter.

    Returns
    -------
    float64 array (filters, length)
        For samples in [-1, 1). Pools rise in frequency; within a pool filters that are symmetric about sample
        ``length / 2`` come before antisymmetric ones.
    """
    window = np.hanning(length + 1)[:-1]
    triangles = mel_filters(_GRID, filters // pool_size) * (_SPECTROGRAM_GRID / _GRID)
    return np.sqrt(pool_size) * np.concatenate([_strongest(triangle, window, pool_size) for triangle in triangles])


def _strongest(triangle: NDArray[np.float64], window: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """The `count` eigenvectors of one band's energy that hold most of it, times the roots of their eigenvalues.

    Cosines about the window's middle are orthogonal to sines, so the two are solved apart. Together they would not be
    unique: a cosine's eigenvalue is its sine's up to rounding, which then decides on the phase of both.
    """
    bins = np.flatnonzero(triangle)
    import scipy.linalg  # not above, as it takes long and few networks need it

    phases = 2 * np.pi / _GRID * np.outer(bins, np.arange(len(window)) - len(window) / 2)
    values, vectors = [], []
    for wave in (np.cos, np.sin):
        table = np.sqrt(triangle[bins, None]) * window * wave(phases)
        highest = [max(0, len(bins) - count), len(bins) - 1]
        eigenvalues, left = scipy.linalg.eigh(table @ table.T, subset_by_index=highest)
        left, eigenvalues = left[:, ::-1], eigenvalues[::-1]
        signs = np.sign(np.arange(1, len(bins) + 1) @ left)  # of the two that are as good, the same one everywhere
        values.append(eigenvalues)
        vectors.append((signs * left).T @ table)
    strongest = np.sort(np.argsort(-np.concatenate(values), kind="stable")[:count])
    return np.concatenate(vectors)[strongest]
