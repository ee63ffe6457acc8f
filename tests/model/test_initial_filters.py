"""Filters from a closed form: by their definition, and on sound against spectrograms."""

import librosa
import numpy as np
import pytest
import scipy.linalg

from theanoish.mel_scale import mel_filters
from theanoish.model.initial_filters import mel_filters_in_time


def band_matrix(triangle, length):
    """Q of the energy xᵀQx of one band, from the definition: (length, length)."""
    window = np.hanning(length + 1)[:-1]
    lags = abs(np.arange(length)[:, None] - np.arange(length))
    radians = 2 * np.pi * np.arange(4097) / 8192
    return (triangle / 8 @ np.cos(np.outer(radians, np.arange(length))))[lags] * window[:, None] * window


@pytest.mark.parametrize(
    ("filters", "length", "kept"),
    [(128, 256, 0.75), (128, 512, 0.57), (128, 1024, 0.37), (256, 256, 0.88), (256, 512, 0.75), (256, 1024, 0.57)],
)
def test_share_of_energy_that_pairs_keep(filters, length, kept):
    pairs = mel_filters_in_time(filters, 2, length)
    assert pairs.shape == (filters, length)
    energies = (pairs**2).sum(axis=1).reshape(-1, 2).mean(axis=1)
    window = np.hanning(length + 1)[:-1]
    totals = mel_filters(8192, filters // 2).sum(axis=1) / 8 * (window**2).sum()  # traces of the bands' matrices
    assert np.mean(energies / totals) == pytest.approx(kept, abs=0.006)


@pytest.mark.parametrize("pool_size", [2, 4])
def test_a_pool_is_the_best_approximation_of_its_band(pool_size):
    pools = mel_filters_in_time(128, pool_size, 256).reshape(-1, pool_size, 256)
    for band in range(0, len(pools), 5):
        matrix = band_matrix(mel_filters(8192, len(pools))[band], 256)
        left = np.linalg.eigvalsh(matrix - pools[band].T @ pools[band] / pool_size)
        expected = np.sort(np.append(np.linalg.eigvalsh(matrix)[:-pool_size], np.zeros(pool_size)))
        np.testing.assert_allclose(left, expected, atol=1e-9 * np.abs(matrix).max())


def test_signs_do_not_hang_on_the_solver(monkeypatch):
    """An eigenvector is as good with the other sign, and solvers differ in which they give."""
    expected, solve = mel_filters_in_time(32, 2, 64), scipy.linalg.eigh

    def solve_with_other_signs(*arguments, **options):
        values, vectors = solve(*arguments, **options)
        return values, -vectors

    monkeypatch.setattr(scipy.linalg, "eigh", solve_with_other_signs)
    np.testing.assert_array_equal(mel_filters_in_time(32, 2, 64), expected)


def test_pairs_are_a_wave_and_the_same_a_quarter_later():
    pairs = mel_filters_in_time(128, 2, 512).reshape(64, 2, 512)
    mirrored = np.roll(pairs[:, :, ::-1], 1, axis=2)  # about sample 256
    np.testing.assert_allclose(mirrored[:, 0], pairs[:, 0], atol=1e-9)
    np.testing.assert_allclose(mirrored[:, 1], -pairs[:, 1], atol=1e-9)
    peaks = np.abs(np.fft.rfft(pairs, 4096)).argmax(axis=2) * 16_000 / 4096
    centres = librosa.mel_frequencies(66, fmax=8000)[1:-1]
    assert (np.diff(peaks.mean(axis=1)) > 0).all(), "pools rise in frequency"
    assert (abs(peaks[3:] - centres[3:, None]) < 25).all(), "each pair lies at its band's centre"


def test_many_filters_a_pool_are_the_spectrogram():
    """Nothing is left of a band but its own filters, so that every sound has the spectrogram's energies."""
    samples = (3000 * np.random.default_rng(4).standard_normal((16, 256))).astype(np.int16) / 32_768
    spectra = np.abs(np.fft.rfft(samples * np.hanning(257)[:-1], 8192)) ** 2 / 8
    expected = spectra @ librosa.filters.mel(sr=16_000, n_fft=8192, n_mels=16, dtype=float).T
    filters = mel_filters_in_time(16 * 128, 128, 256)
    ours = ((samples @ filters.T) ** 2).reshape(16, 16, 128).mean(axis=2)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
