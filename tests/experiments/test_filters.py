import numpy as np
import pytest
import scipy.signal

from theanoish.experiments.filters import (
    describe,
    describe_pools,
    describe_spectra,
    dominant_frequencies,
    filters_of,
    initial_filters,
    low_passed,
    peak_energy,
    selectivity_threshold,
    similarities,
    spectra,
)
from theanoish.model.network import Network
from theanoish.settings import Settings


def tones(frequencies, length=512, phase=0.3):
    return np.sin(2 * np.pi * np.asarray(frequencies)[:, None] * np.arange(length) / 16_000 + phase)


def noise(filters=128, length=512, seed=0):
    return np.random.default_rng(seed).standard_normal((filters, length))


def test_filters_are_those_that_the_network_correlates_the_signal_with():
    network = Network(Settings(length=512, stride=512), tags=3)
    strided = network.strided
    filters = filters_of(network)
    signal = noise(1, 48_000)[0].astype(np.float32)
    frames = np.asarray(strided(strided.filters.type.clone(dtype="float32", shape=(1, 48_000))("signal")).eval(
        {"signal": signal[None]}
    ))  # fmt: skip
    by_scipy = scipy.signal.correlate(signal, filters[5], mode="valid")[::512]
    np.testing.assert_allclose(frames[0, :, 5] - strided.bias.get_value()[5], by_scipy, rtol=1e-3, atol=1e-4)


def test_initial_filters_are_those_of_the_seed():
    settings = Settings(length=512, stride=512, seed=7)
    np.testing.assert_array_equal(initial_filters(settings), filters_of(Network(settings, tags=50)))


def test_dominant_frequency_of_pure_tones():
    frequencies = [100.0, 440.0, 1000.0, 3333.3, 7000.0]
    for phase in (0.0, 1.0, 2.0):
        np.testing.assert_allclose(dominant_frequencies(tones(frequencies, 1024, phase)), frequencies, atol=6)


def test_spectra_agree_with_scipy_and_peak_at_one():
    filters = noise(3)
    _, by_scipy = scipy.signal.freqz(filters[1], worN=2049, include_nyquist=True)
    np.testing.assert_allclose(spectra(filters)[1], abs(by_scipy) / abs(by_scipy).max(), atol=1e-9)
    assert spectra(filters).max(axis=1) == pytest.approx(np.ones(3))
    assert not spectra(np.zeros((1, 512))).any()  # a dead filter stays white and breaks nothing


@pytest.mark.parametrize("length", [256, 512, 1024])
def test_tones_are_frequency_selective_and_noise_is_not(length):
    threshold = selectivity_threshold(length)
    assert (peak_energy(tones([200, 900, 1800, 4000], length)) > 0.93).all()
    assert (peak_energy(noise(1000, length, seed=5)) > threshold).mean() == pytest.approx(0.01, abs=0.01)
    # a tone as strong as the noise it is in is found
    noisy = tones(np.full(200, 1000.0), length) * np.sqrt(2) + noise(200, length)
    assert (peak_energy(noisy) > threshold).mean() > 0.99


def test_numbers_of_spectra():
    linear = np.linspace(50, 950, 80)
    numbers = describe_spectra(np.concatenate([tones(linear), tones(np.linspace(1500, 3000, 28)), noise(20)]))
    assert numbers["filters"] == 128
    assert numbers["selective"] == pytest.approx(108 / 128, abs=0.02)
    by_noise = dominant_frequencies(noise(20))
    assert numbers["dominant_below_1000"] == (80 + (by_noise < 1000).sum()) / 128
    assert numbers["dominant_above_3500"] == (by_noise > 3500).sum() / 128
    assert describe_spectra(tones(linear))["rise_below_1000"] == pytest.approx(
        {"hz_a_filter": 900 / 79, "r_squared": 1.0}, rel=0.01
    )
    assert describe_spectra(tones([5000, 6000]))["rise_below_1000"] is None


def test_low_pass_removes_what_is_high_and_shifts_nothing():
    low, high = tones([300], 1024), tones([6000], 1024)
    middle = slice(200, -200)  # away from the edges
    np.testing.assert_allclose(low_passed(low + high)[0, middle], low[0, middle], atol=0.01)


def test_similarities_agree_with_scipy():
    filters = noise(4, 64)
    values = similarities(filters)
    for i, j in ((0, 1), (2, 3), (3, 0)):
        by_scipy = scipy.signal.correlate(filters[i], filters[j]).max()
        by_scipy /= np.linalg.norm(filters[i]) * np.linalg.norm(filters[j])
        assert values[i, j] == pytest.approx(by_scipy)
        assert values[j, i] == pytest.approx(by_scipy)
    assert np.diag(values) == pytest.approx(np.ones(4))


def test_shifted_copies_are_alike_and_pools_of_them_stand_out():
    short = noise(8, 300)
    copies = np.zeros((8, 4, 512))
    for pool, filter_ in enumerate(short):
        for place in range(4):
            copies[pool, place, 50 * place : 50 * place + 300] = filter_
    filters = copies.reshape(32, 512)
    assert similarities(filters)[0, 1:4] == pytest.approx(np.ones(3))
    numbers = describe_pools(filters, 4)
    assert numbers["within"] == pytest.approx(1)
    assert numbers["between"] < 0.3
    assert numbers["alike"] == 1
    # the same filters in pools that mix them are not alike
    mixed = describe_pools(copies.swapaxes(0, 1).reshape(32, 512), 4)
    assert mixed["within"] < 0.3
    assert mixed["alike"] < 0.5


def test_describe_compares_learned_with_initial_filters():
    settings = Settings(length=1024, stride=1024, pooling="l2", pool_size=4)
    start = initial_filters(settings)
    numbers = describe(settings, start)
    for part in ("spectra", "pools", "pools_low_passed"):
        assert numbers[part]["learned"] == numbers[part]["initial"]
    learned = describe(settings, tones(np.linspace(50, 3000, 128), 1024))
    assert learned["spectra"]["learned"]["selective"] == 1
    assert learned["spectra"]["initial"] == numbers["spectra"]["initial"]
    assert "pools" not in describe(Settings(), initial_filters(Settings()))
