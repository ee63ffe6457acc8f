"""Measures of filters against SciPy, and on filters of which it is known what they are."""

import h5py
import numpy as np
import pytest
import scipy.signal

from small_data import SPLITS, clip_of, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.experiments.filters import (
    describe,
    describe_pools,
    describe_spectra,
    dominant_frequencies,
    is_at_zero,
    low_passed,
    mean_spectrum,
    noise_filters,
    peak_energy,
    similarities,
    spectra,
    threshold,
)
from theanoish.settings import Settings


def tones(frequencies, length=512, phase=0.3):
    return np.sin(2 * np.pi * np.asarray(frequencies)[:, None] * np.arange(length) / 16_000 + phase)


def noise(filters=128, length=512, seed=0):
    return np.random.default_rng(seed).standard_normal((filters, length))


def gabors(frequencies):
    return tones(frequencies) * np.hanning(512)


def mel_spaced(count, lowest=50, highest=7000):
    """Linear to 1000 Hz and logarithmic above, as Slaney's scale."""
    mels = np.linspace(lowest * 3 / 200, 15 + 27 * np.log(highest / 1000) / np.log(6.4), count)
    return np.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))


@pytest.fixture(scope="module")
def decibels():
    """Mean spectrum of two minutes of chords: notes of eight harmonics, most of them low, in a little noise."""
    generator = np.random.default_rng(1)
    time = np.arange(16_000) / 16_000
    seconds = []
    for _ in range(120):
        notes = 110 * 2 ** (generator.integers(0, 24, 3) / 12)
        partials = (notes[:, None] * np.arange(1, 9)).ravel()
        strengths = np.tile(1 / np.arange(1, 9) ** 1.5, 3)
        seconds.append(strengths @ np.sin(2 * np.pi * partials[:, None] * time + generator.uniform(0, 6, (24, 1))))
    music = np.concatenate(seconds) + 0.02 * generator.standard_normal(120 * 16_000)
    power = scipy.signal.welch(music, nperseg=4096)[1]
    return 10 * np.log10(power / power.max())


@pytest.mark.parametrize("length", [1024, 6000])  # the second longer than most transforms
def test_dominant_frequency_of_pure_tones(length):
    frequencies = [100.0, 440.0, 1000.0, 3333.3, 7000.0]
    for phase in (0.0, 1.0, 2.0):
        np.testing.assert_allclose(dominant_frequencies(tones(frequencies, length, phase)), frequencies, atol=6)
    assert noise_filters(length).shape[1] == length


def test_spectra_agree_with_scipy_and_peak_at_one():
    filters = noise(3)
    _, by_scipy = scipy.signal.freqz(filters[1], worN=2049, include_nyquist=True)
    np.testing.assert_allclose(spectra(filters)[1], abs(by_scipy) / abs(by_scipy).max(), atol=1e-9)
    assert not spectra(np.zeros((1, 512))).any()  # a dead filter stays white and breaks nothing


@pytest.mark.parametrize("length", [256, 512, 1024])
def test_tones_are_frequency_selective_and_noise_is_not(length):
    least = threshold(noise_filters(length))
    assert (peak_energy(tones([200, 900, 1800, 4000], length)) > 0.93).all()
    assert (peak_energy(noise(1000, length, seed=5)) > least).mean() == pytest.approx(0.01, abs=0.01)
    # a tone as strong as the noise it is in is found
    noisy = tones(np.full(200, 1000.0), length) * np.sqrt(2) + noise(200, length)
    assert (peak_energy(noisy) > least).mean() > 0.99


def test_of_two_tones_the_stronger_has_its_share_of_the_energy():
    alone, both = peak_energy(tones([500])), peak_energy(2 * tones([500]) + tones([3000]))
    assert 0.93 < alone < 1 and both / alone == pytest.approx(4 / 5, abs=0.01)


def test_a_peak_is_at_zero_up_to_one_period_in_a_filter():
    time = np.arange(512) / 512
    waves = np.cos(2 * np.pi * np.array([0, 0.3, 1.2, 2])[:, None] * time)
    assert is_at_zero(np.concatenate([waves, 0 * waves[:1]])).tolist() == [True, True, False, False, True]
    below = np.sin(2 * np.pi * 0.8 * time)[None]
    assert dominant_frequencies(below) > 10 and is_at_zero(below)


def test_coloured_noise_has_the_covariance_of_its_spectrum(decibels):
    filters = noise_filters(512, decibels)
    expected = np.fft.irfft(10 ** (decibels / 10))[:512]
    covariance = filters.T @ filters / len(filters)
    for start in (0, 200, 511):  # stationary, and without a seam
        lags = np.abs(np.arange(512) - start)
        np.testing.assert_allclose(covariance[start], expected[lags], atol=0.1 * expected[0])


def test_what_has_no_frequency_is_told_from_gabor_filters_on_the_mel_scale(decibels):
    """Above white noise is nearly all that music alone explains, which is why that says little."""
    frequencies = mel_spaced(128)
    numbers = describe(gabors(frequencies), noise(), 1, decibels)
    assert "pools" not in numbers
    np.testing.assert_array_equal(numbers["mean_spectrum"], decibels)
    found = numbers["spectra"]
    assert list(found) == ["learned", "initial", "white noise", "coloured noise"]
    kinds = {"one tone": gabors(np.full(128, 440.0)), "offsets": 1 + 0.1 * noise()}
    found |= {name: describe_spectra(filters, numbers["thresholds"]) for name, filters in kinds.items()}
    of = {name: [row[name] for row in found.values()] for name in found["learned"]}
    for name, expected, off in (
        ("above_white_noise", [128, 0, 0, 128, 128, 0], 10),
        ("above_coloured_noise", [128, 0, 0, 0, 128, 0], 4),
        ("at_0_hz", [0, 0, 0, 0, 0, 128], 4),
    ):
        assert of[name] == pytest.approx(expected, abs=off)
    assert of["bands"][4:] == [1, 0]
    assert max(of["bands"][1:4]) <= 10
    assert of["rise"][1] is of["rise"][4] is None
    assert of["rise"][3] < 6
    learned = found["learned"]
    assert learned["above_white_noise"] == learned["above_coloured_noise"] == learned["filters"] == 128
    assert learned["at_0_hz"] == 0
    assert learned["bands"] >= 29
    assert learned["below_1000"] == (frequencies < 1000).sum()
    assert learned["above_3500"] == (frequencies > 3500).sum()
    assert learned["rise"] == pytest.approx(np.diff(frequencies)[0], rel=0.01)
    assert learned["r_squared"] > 0.999
    assert learned["median_peak_energy"] > 0.99


def test_mean_spectrum_is_that_of_the_training_split_alone(tmp_path):
    path = write_small_data(tmp_path / "small.h5")
    measured = mean_spectrum(Dataset(path), Settings())
    clips = [clip_of(path, "raw", row).astype(float) for row in range(SPLITS.count("train"))]
    power = sum(  # by blocks of 4096 samples of whole clips
        (abs(np.fft.rfft(clip[: len(clip) // 4096 * 4096].reshape(-1, 4096) * np.hanning(4096))) ** 2).mean(axis=0)
        for clip in clips
    )
    expected = 10 * np.log10(power / power.max())
    assert measured.max() == 0
    np.testing.assert_array_equal(measured, measured.round(1))
    assert np.abs(measured - expected)[1:].mean() < 1
    peaks = [round(frequency * 4096 / 16_000) for frequency in (200, 900, 3000)]  # the tones
    np.testing.assert_allclose(measured[peaks], expected[peaks], atol=1)
    assert measured[-1] == pytest.approx(expected[-1], abs=1.5)  # one-sided as well, though half of a bin
    with h5py.File(path, "r+") as file:
        start = file["raw/start"][SPLITS.index("validation")]
        file["raw/values"][start:] = noise(1, len(file["raw/values"]) - start)[0] * 10_000
    np.testing.assert_array_equal(mean_spectrum(Dataset(path), Settings()), measured)
    with h5py.File(path, "r+") as file:
        file["raw/values"][:] = 8000
    offset = mean_spectrum(Dataset(path), Settings())  # which counts: a filter may answer to it
    assert offset[0] == 0 and (offset[3:] < -60).all()


def test_low_pass_is_that_of_the_filter_as_the_network_uses_it():
    """A filter in a signal of zeros, low-passed there, is what stands at its place."""
    sections = scipy.signal.butter(4, 2000, fs=16_000, output="sos")
    filters = noise(filters=3)
    there = np.pad(filters, ((0, 0), (2000, 2000)))
    expected = scipy.signal.sosfiltfilt(sections, there, axis=1)[:, 2000:-2000]
    np.testing.assert_allclose(low_passed(filters), expected, atol=1e-6)


def test_similarities_agree_with_scipy():
    filters = noise(4, 64)
    lengths = np.linalg.norm(filters, axis=1)
    by_scipy = [[scipy.signal.correlate(one, other).max() for other in filters] for one in filters]
    np.testing.assert_allclose(similarities(filters), by_scipy / np.outer(lengths, lengths))


def test_shifted_copies_are_alike_and_pools_of_them_stand_out():
    copies = np.zeros((8, 4, 512))
    for place in range(4):
        copies[:, place, 50 * place : 50 * place + 300] = noise(8, 300)
    numbers = describe_pools(copies.reshape(32, 512), 4)
    assert numbers["within"] == pytest.approx(1)
    assert numbers["random"] < 0.4
    assert numbers["alike"] == numbers["pools"] == 8
    # the same filters in pools that mix them are not alike
    mixed = describe_pools(copies.swapaxes(0, 1).reshape(32, 512), 4)
    assert mixed["within"] < 0.3
    assert mixed["alike"] < 4
