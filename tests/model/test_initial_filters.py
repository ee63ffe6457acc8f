"""Filters from a closed form: by their definition, and on sound against spectrograms, without any training."""

import librosa
import numpy as np
import pytest

from theanoish.data.mel import log_mel
from theanoish.mel_scale import mel_filters
from theanoish.model.initial_filters import mel_filters_in_time
from theanoish.representation import Representation

RNG = np.random.default_rng(4)
TIME = np.arange(8 * 16_000) / 16_000


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


def test_pairs_are_a_wave_and_the_same_a_quarter_later():
    pairs = mel_filters_in_time(128, 2, 512).reshape(64, 2, 512)
    mirrored = np.roll(pairs[:, :, ::-1], 1, axis=2)  # about sample 256
    np.testing.assert_allclose(mirrored[:, 0], pairs[:, 0], atol=1e-9)
    np.testing.assert_allclose(mirrored[:, 1], -pairs[:, 1], atol=1e-9)
    peaks = np.abs(np.fft.rfft(pairs, 4096)).argmax(axis=2) * 16_000 / 4096
    centres = librosa.mel_frequencies(66, fmax=8000)[1:-1]
    assert (np.diff(peaks.mean(axis=1)) > 0).all(), "pools rise in frequency"
    assert (abs(peaks[3:] - centres[3:, None]) < 25).all(), "each pair lies at its band's centre"


def music():
    """Three notes a second with overtones and decay, a bass and a noisy beat, loud and soft parts; int16."""
    sound = 0.02 * RNG.standard_normal(len(TIME)) * np.exp(-8 * (TIME % 0.5))
    for i in range(24):
        since = TIME - i / 3
        fundamental = 440 * 2 ** (RNG.integers(-24, 20) / 12)
        decay = np.where(since >= 0, np.exp(-3 * np.maximum(since, 0)), 0)
        for overtone in range(1, 12):
            if overtone * fundamental < 7800:
                phase = RNG.uniform(0, 6)
                sound += 0.2 / overtone * decay * np.sin(2 * np.pi * overtone * fundamental * since + phase)
    return (20_000 * np.clip(sound * (0.2 + (TIME > 4)), -1, 1)).astype(np.int16)


def pooled_activations(samples, filters, pool_size):
    """What a network without training sees of frames that follow each other: (frames, pools)."""
    frames = samples[: len(samples) // filters.shape[1] * filters.shape[1]].reshape(-1, filters.shape[1]) / 32_768
    return np.log1p(10_000 * ((frames @ filters.T) ** 2).reshape(len(frames), -1, pool_size).mean(axis=2))


def mean_correlation(ours, theirs):
    """Mean over bands of the correlation over time."""
    return np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(ours.T, theirs.T, strict=True)])


def random_filters(like):
    """Noise of the same norms."""
    noise = RNG.standard_normal(like.shape)
    return noise * (np.linalg.norm(like, axis=1) / np.linalg.norm(noise, axis=1))[:, None]


@pytest.mark.parametrize(("length", "correlation"), [(256, 0.95), (512, 0.9), (1024, 0.8)])
def test_pooled_pairs_follow_the_spectrogram_of_the_same_clip(length, correlation):
    samples, pairs = music(), mel_filters_in_time(256, 2, length)
    spectrogram = log_mel(samples, Representation(length, length))
    ours = pooled_activations(samples, pairs, 2)
    control = pooled_activations(samples, random_filters(pairs), 2)
    assert mean_correlation(ours, spectrogram) > correlation
    assert mean_correlation(control, spectrogram) < correlation - 0.2
    assert abs(ours - spectrogram).mean() < abs(control - spectrogram).mean() / 2


def test_many_filters_a_pool_are_the_spectrogram():
    samples = music()[:4096]
    frames = samples.reshape(16, 256) / 32_768 * np.hanning(257)[:-1]
    spectra = np.abs(np.fft.rfft(frames, 8192)) ** 2 / 8  # sums over an eighth of the steps of the spectrograms'
    expected = np.log1p(10_000 * spectra @ librosa.filters.mel(sr=16_000, n_fft=8192, n_mels=16, dtype=float).T)
    ours = pooled_activations(samples, mel_filters_in_time(16 * 128, 128, 256), 128)
    np.testing.assert_allclose(ours, expected, rtol=1e-5)
