"""Predictions of clips against the mean over windows that were sliced by h5py and computed by NumPy."""

import jax
import numpy as np
import pytest

import reference
from small_data import clip_of, small_settings, write_small_data
from theanoish.data.dataset import Dataset
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training.prediction import WINDOWS_A_CALL, Predictor


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return Dataset(write_small_data(tmp_path_factory.mktemp("data") / "small.h5"))


def network_of(settings):
    """A network whose top layer, which starts at 0, tells windows apart."""
    network = Network(settings, tags=4)
    weights = np.random.default_rng(settings.seed).normal(0, 0.3, (100, 4)).astype(np.float32)
    network.set_values(network.values() | {"output/weights": weights})
    return network


def expected_of(dataset, network, row):
    """Mean over the consecutive windows of a clip, one by one."""
    settings = network.settings
    clip = clip_of(dataset.path, settings.representation.name, row)
    hop = 1 if settings.frontend == "raw" else settings.stride
    size = 48_000 if settings.frontend == "raw" else settings.frames
    begins = [k * 48_000 // hop for k in range(len(clip_of(dataset.path, "raw", row)) // 48_000)]
    values = network.values()
    return np.mean([reference.probabilities(settings, values, clip[None, b : b + size])[0] for b in begins], axis=0)


def test_clips_are_means_over_their_windows(dataset):
    settings = small_settings()
    network = network_of(settings)
    rows = np.arange(24)[::-1]
    windows = dataset.windows(settings, rows)
    assert windows.consecutive.sum() > WINDOWS_A_CALL  # more than one call, the last one not full
    assert len(set(windows.consecutive)) > 1
    reports = []
    predicted = Predictor(network, "jax").predict_clips(windows, lambda *report: reports.append(report)).probabilities
    total = windows.consecutive.sum()
    assert reports == [(done, total) for done in (*range(WINDOWS_A_CALL, total, WINDOWS_A_CALL), total)]
    expected = [expected_of(dataset, network, row) for row in rows]
    np.testing.assert_allclose(predicted, expected, rtol=1e-3)
    assert np.ptp(predicted, axis=0).min() > 1e-3  # clips differ, so that mixing them up would show


def test_batches_sent_to_an_accelerator(dataset, monkeypatch):
    """On a CPU that is told to be one, with batches of another size."""
    network = network_of(small_settings())
    windows = dataset.windows(network.settings, np.arange(24))
    expected = Predictor(network, "jax").predict_clips(windows).probabilities
    monkeypatch.setattr("theanoish.training.prediction.free_device_memory", lambda backend: 1000)
    monkeypatch.setattr("theanoish.training.prediction.WINDOWS_A_CALL_ON_ACCELERATOR", 7)
    predictor = Predictor(network, "jax")
    compute, batches = predictor._compute, []
    monkeypatch.setattr(predictor, "_compute", lambda batch: batches.append(batch) or compute(batch))
    np.testing.assert_allclose(predictor.predict_clips(windows).probabilities, expected, rtol=1e-5)
    assert len(batches) > 3
    assert all(isinstance(batch, jax.Array) and len(batch) == 7 for batch in batches)


def test_raw_clips_and_new_parameters(dataset):
    network = network_of(Settings(length=1024, stride=1024))
    predictor = Predictor(network, "jax")
    windows = dataset.windows(network.settings, np.array([2, 21]))
    before = predictor.predict_clips(windows).probabilities
    network.set_values(network_of(Settings(length=1024, stride=1024, seed=9)).values())
    after = predictor.predict_clips(windows).probabilities  # with the parameters of now, not of the compilation
    assert abs(after - before).max() > 1e-3
    assert list(predictor.predict_clips(windows).silent) == ["strided", "convolution1", "convolution2", "hidden"]
    np.testing.assert_allclose(after, [expected_of(dataset, network, row) for row in (2, 21)], rtol=1e-3)


def test_shares_of_silent_units(dataset):
    """Units whose bias no input can outweigh are silent, and no others of that layer; windows all alike are noticed."""
    network = network_of(small_settings())
    predictor, windows = Predictor(network, "jax"), dataset.windows(small_settings(), np.arange(24))
    predicted = predictor.predict_clips(windows)
    assert list(predicted.silent) == ["convolution1", "convolution2", "hidden"] and not predicted.all_alike
    for layer, units in (("hidden", 25), ("convolution2", 16), ("convolution1", 8)):  # each overrules the one before
        bias = network.parameters[f"{layer}/bias"]
        bias.set_value(np.where(np.arange(bias.type.shape[0]) < units, -1e9, 1e9).astype(np.float32))
        assert predictor.predict_clips(windows).silent[layer] == units / bias.type.shape[0]
    windows.read = lambda clips, offsets, into: into.fill(3)
    assert predictor.predict_clips(windows).all_alike


def test_a_unit_that_one_window_wakes_is_not_silent(dataset):
    """Wherever among all the windows it is; and what fills up the last call wakes none."""
    settings = small_settings()
    network = Network(settings, tags=1)
    zero = {name: np.zeros_like(value) for name, value in network.values().items() if name.startswith(("hid", "out"))}
    zero["hidden/weights"][:, 0] = 1  # the other units see nothing
    zero["output/weights"][0] = 1  # so that the logit is the unit
    network.set_values(network.values() | zero)
    windows = dataset.windows(settings, np.arange(24))
    numbers = [(clip, number) for clip, count in enumerate(windows.consecutive) for number in range(count)]
    clips, offsets = np.transpose(numbers)
    played = np.empty((len(clips), *windows.shape), windows.dtype)
    windows.read(clips, windows.consecutive_offsets(offsets), played)
    *_, second, loudest = np.sort(reference.logits(settings, network.values(), played)[:, 0])
    assert len(clips) % WINDOWS_A_CALL  # the last call is not full
    assert loudest > 1.0003 * second > 0  # further apart than single precision errs
    predictor = Predictor(network, "jax")
    for threshold, silent in (((second + loudest) / 2, 0.99), (loudest * 1.01, 1.0)):
        bias = np.append(-threshold, np.zeros(99)).astype(np.float32)
        network.set_values(network.values() | {"hidden/bias": bias})
        assert predictor.predict_clips(windows).silent["hidden"] == silent
