"""The start: its formulas in NumPy, and what they are for: numbers of size one at every layer, whatever the data."""

import numpy as np
import pytest

from theanoish.machine import BACKENDS
from theanoish.model.compile import compile_function
from theanoish.model.network import Network
from theanoish.settings import Settings

WINDOWS = 12
VARIANTS = {
    "mel": {"frontend": "mel"},
    "relu": {},
    "log-square": {"nonlinearity": "log-square"},
    "log-absolute": {"nonlinearity": "log-absolute"},
    "l2": {"pooling": "l2", "pool_size": 4},
    "max": {"pooling": "max", "pool_size": 2},
}


def started(seed=1, gain=1.0, **settings):
    """A network that has measured its start on noise, its windows and labels."""
    generator = np.random.default_rng(2)
    network = Network(Settings(**{"length": 1024, "stride": 1024, "seed": seed} | settings), tags=5)
    if network.settings.frontend == "mel":  # large and positive, each channel at another level
        levels = np.linspace(2, 9, 128)
        windows = (levels + generator.standard_normal((WINDOWS, 46, 128))).astype(np.float32)
    else:
        windows = (generator.standard_normal((WINDOWS, 48_000)) * 2000 * gain).astype(np.int16)
    labels = (generator.random((300, 5)) < [0.5, 0.2, 0.05, 0, 1]).astype(np.uint8)
    network.measure_start(windows, labels)
    return network, windows, labels


def layers(network, windows):
    variable = network.window_variable(len(windows))
    outputs = network.layers(variable)
    return dict(zip(outputs, compile_function([variable], list(outputs.values()), "jax")(windows), strict=True))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_layer_sees_numbers_of_size_one(variant):
    network, windows, _ = started(**VARIANTS[variant])
    layer = layers(network, windows)
    values = network.values()
    on_size_one = (np.float64(layer["front end"]) - values["start/centre"]) / values["start/spread"]
    np.testing.assert_allclose(on_size_one.mean(axis=(0, 1)), 0, atol=1e-3)
    assert np.sqrt((on_size_one**2).mean()) == pytest.approx(1, rel=1e-3)
    for name in ("pool1", "pool2", "hidden"):
        assert 0.3 < np.sqrt((np.float64(layer[name]) ** 2).mean()) < 3, name


@pytest.mark.parametrize("variant", ["mel", "relu"])
def test_it_starts_with_the_frequencies_of_the_tags(variant):
    network, windows, labels = started(**VARIANTS[variant])
    probabilities = 1 / (1 + np.exp(-layers(network, windows)["output"]))
    expected = (labels.sum(axis=0) + 1) / (len(labels) + 2)  # of no tag 0 or 1, whose logarithms are infinite
    np.testing.assert_allclose(probabilities, np.tile(expected, (WINDOWS, 1)), rtol=1e-4)


def test_loudness_of_the_data_does_not_matter():
    quiet, loud = (layers(*started(gain=gain)[:2])["front end"] for gain in (0.125, 1))
    np.testing.assert_allclose(loud, quiet, rtol=0.02, atol=0.02)  # but for the rounding to 16 bits


@pytest.mark.parametrize("gain", [0.25, 1])
def test_initial_filters_see_samples_as_they_are(gain):
    """However loud the data: C then acts on the filters' energies as it does on a spectrogram's."""
    network, windows, labels = started(gain=gain, pooling="l2", pool_size=2, nonlinearity="log-square")
    filters = np.random.default_rng(0).standard_normal((128, 1024)).astype(np.float32)
    network.measure_start(windows, labels, filters)
    frames = windows[:, : 46 * 1024].reshape(WINDOWS, 46, 1024) / 32_768
    expected = np.log1p(10_000 * ((frames @ filters.T) ** 2).reshape(WINDOWS, 46, 64, 2).mean(axis=3))
    np.testing.assert_allclose(layers(network, windows)["front end"], expected, rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(network.values()["start/centre"], expected.mean(axis=(0, 1)), rtol=1e-3)


def test_silence_is_no_reason_to_divide_by_nothing():
    network = Network(Settings(length=1024, stride=1024), tags=5)
    network.measure_start(np.zeros((2, 48_000), np.int16), np.zeros((4, 5), np.uint8))
    assert all(np.isfinite(value).all() for value in network.values().values())
    assert network.values()["start/loudness"] == 1


def test_initial_values():
    values = Network(Settings(length=512, stride=512), 300).values()
    spread = {"strided/filters": 0.3 * np.sqrt(2 / 512), "convolution1/filters": np.sqrt(2 / (128 * 8))}
    for name, expected in (spread | {"hidden/weights": np.sqrt(2 / 128)}).items():  # He et al. (2015)
        assert values[name].std() == pytest.approx(expected, rel=0.02)
    logarithmic = Network(Settings(length=512, stride=512, nonlinearity="log-square"), 5).values()
    assert logarithmic["strided/filters"].std() == pytest.approx(np.sqrt(2 / 512), rel=0.02)


@pytest.mark.parametrize("backend", BACKENDS)
def test_working_the_start_into_the_filters_changes_nothing(backend):
    """The first convolution on (h - centre) / spread, written out, on both backends."""
    network, windows, _ = started(frontend="mel")
    variable = network.window_variable(len(windows))
    folded = compile_function([variable], network.layers(variable)["pool1"], backend)(windows)
    plain = Network(network.settings, 5)
    values = network.values()
    plain.set_values(values | {"start/centre": np.zeros(128, np.float32), "start/spread": np.ones(1, np.float32)})
    centred = (windows - values["start/centre"]) / values["start/spread"]
    expected = compile_function([variable], plain.layers(variable)["pool1"], backend)(centred)
    np.testing.assert_allclose(np.asarray(folded), np.asarray(expected), rtol=1e-3, atol=1e-3)


# First two values of each layer with seed 3 and frames of 512, as they were when this was written.
FIRST_VALUES = {
    "mel": [[0.09019670, -0.04838560], [-0.03520160, -0.06768230], [-0.08656720, -0.04669940]],
    "relu": [[0.03826720, -0.04791870], [-0.01419660, 0.03146310], [-0.02992070, 0.01895290], [0.01088040, 0.03587380]],
    "log-square": [[0.1275574, -0.1597291], [-0.0141966, 0.0314631], [-0.0299207, 0.0189529], [0.0108804, 0.0358738]],
    "log-absolute": [[0.1275574, -0.1597291], [-0.0141966, 0.0314631], [-0.0299207, 0.0189529], [0.0108804, 0.0358738]],
    "l2": [[0.03826720, -0.04791870], [-0.02839330, 0.00337420], [0.04403230, 0.01014260], [-0.1424794, 0.1565429]],
    "max": [[0.0382672, -0.0479187], [-0.0200771, -0.0666043], [-0.1007482, -0.0218207], [-0.1843148, -0.0133978]],
}


@pytest.mark.parametrize("what", FIRST_VALUES)
def test_first_values_of_a_seed(what):
    names = ["strided/filters", "convolution1/filters", "convolution2/filters", "hidden/weights"]
    values = Network(Settings(length=512, stride=512, seed=3, **VARIANTS[what]), 5).values()
    first = [values[name].ravel()[:2] for name in names if name in values]
    np.testing.assert_allclose(first, FIRST_VALUES[what], atol=1.1e-7)
    for name in values:
        if name.endswith("bias"):
            assert (values[name] == np.float32(0 if name == "output/bias" else 0.01)).all(), name
