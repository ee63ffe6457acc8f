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


def expected_of(dataset, settings, network, row):
    """Mean over the consecutive windows of a clip, one by one."""
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
    predicted = Predictor(network, "jax").predict_clips(windows, lambda *report: reports.append(report))
    total = windows.consecutive.sum()
    assert reports == [
        (min(done, total), total) for done in range(WINDOWS_A_CALL, total + WINDOWS_A_CALL, WINDOWS_A_CALL)
    ]
    expected = [expected_of(dataset, settings, network, row) for row in rows]
    np.testing.assert_allclose(predicted, expected, rtol=1e-3)
    assert np.ptp(predicted, axis=0).min() > 1e-3  # clips differ, so that mixing them up would show


def test_batches_sent_to_an_accelerator(dataset, monkeypatch):
    """On a CPU that is told to be one, with batches of another size."""
    settings = small_settings()
    network = network_of(settings)
    windows = dataset.windows(settings, np.arange(24))
    expected = Predictor(network, "jax").predict_clips(windows)
    monkeypatch.setattr("theanoish.training.prediction.free_device_memory", lambda backend: 1000)
    monkeypatch.setattr("theanoish.training.prediction.WINDOWS_A_CALL_ON_ACCELERATOR", 7)
    predictor = Predictor(network, "jax")
    predict, batches = predictor.predict_windows, []
    monkeypatch.setattr(predictor, "predict_windows", lambda batch: batches.append(batch) or predict(batch))
    np.testing.assert_allclose(predictor.predict_clips(windows), expected, rtol=1e-5)
    assert len(batches) > 3
    assert all(isinstance(batch, jax.Array) and len(batch) == 7 for batch in batches)


def test_raw_clips_and_new_parameters(dataset):
    settings = Settings(length=1024, stride=1024)
    network = network_of(settings)
    predictor = Predictor(network, "jax")
    windows = dataset.windows(settings, np.array([2, 21]))
    before = predictor.predict_clips(windows)
    network.set_values(network_of(Settings(length=1024, stride=1024, seed=9)).values())
    after = predictor.predict_clips(windows)  # with the parameters of now, not of the compilation
    assert abs(after - before).max() > 1e-3
    np.testing.assert_allclose(after, [expected_of(dataset, settings, network, row) for row in (2, 21)], rtol=1e-3)
