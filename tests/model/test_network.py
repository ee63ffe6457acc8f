"""The whole network against a second implementation in plain NumPy, and its sizes against the paper's."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest
from sklearn.metrics import log_loss

import reference
from theanoish.errors import InputError
from theanoish.machine import BACKENDS
from theanoish.model.compile import compile_function
from theanoish.model.network import Network, to_file
from theanoish.settings import Settings

generator = np.random.default_rng(0)
TABLE_1 = [(1024, 1024), (1024, 512), (512, 512), (512, 256), (256, 256)]
VARIANTS = [
    {"frontend": "mel"},
    {"frontend": "raw"},
    {"nonlinearity": "log-square"},
    {"nonlinearity": "log-absolute"},
    {"pooling": "l2", "pool_size": 4},
    {"pooling": "max", "pool_size": 2},
    {"frontend": "mel", "dropout": 0.5},
    {"frontend": "mel", "mel_bands": 64},
    {"pooling": "l2", "pool_size": 2, "nonlinearity": "log-square", "strided_filters": 256, "filters": 48},
]


def make_network(**settings):
    """A network of the cheapest resolution, with biases that differ from unit to unit and a start other than none."""
    network = Network(Settings(**{"length": 1024, "stride": 1024, "minibatch": 2} | settings), tags=5)
    values = network.values()
    values |= {n: generator.normal(0, 0.1, v.shape).astype(np.float32) for n, v in values.items() if "bias" in n}
    values["output/weights"] = generator.normal(0, 0.1, (100, 5)).astype(np.float32)
    values["start/centre"] = generator.normal(1, 0.5, network.channels).astype(np.float32)
    values["start/spread"] = np.float32([1.7])
    if "start/loudness" in values:
        values["start/loudness"] = np.float32([0.3])
    network.set_values(values)
    return network


def make_inputs(network):
    """Symbolic inputs, and random values for them."""
    variables = network.training_inputs()
    shape = variables[0].type.shape
    if network.settings.frontend == "raw":
        windows = generator.integers(-20_000, 20_000, shape).astype(np.int16)
    else:
        windows = generator.exponential(1, shape).astype(np.float32)
    values = [windows, generator.integers(0, 2, (len(windows), 5)).astype(np.uint8)]
    if network.settings.dropout:
        values.append(generator.integers(0, 2, (len(windows), network.droppable)).astype(np.uint8))
    return variables, values


@pytest.mark.parametrize(
    ("length", "stride", "flat"), [(*row, flat) for row, flat in zip(TABLE_1, [32, 128, 128, 320, 320], strict=True)]
)
@pytest.mark.parametrize("frontend", ["mel", "raw"])
def test_sizes_of_table_1(frontend, length, stride, flat):
    network = Network(Settings(frontend=frontend, length=length, stride=stride), tags=50)
    assert network.flat == flat
    strided = (length + 1) * 128 if frontend == "raw" else 0
    rest = (128 * 8 + 1) * 32 + (32 * 8 + 1) * 32 + (flat + 1) * 100 + (100 + 1) * 50
    assert sum(v.size for n, v in network.values().items() if not n.startswith("start/")) == strided + rest


def test_larger_networks():
    network = Network(Settings(pooling="l2", pool_size=2, strided_filters=256, filters=64), tags=50)
    shapes = [value.shape for name, value in network.values().items() if name.endswith(("filters", "weights"))]
    assert shapes == [(256, 256), (64, 128, 8), (64, 64, 8), (640, 100), (100, 50)]
    assert list(network.shapes.values()) == [
        (48_000, 1), (187, 256), (187, 128), (180, 64), (45, 64), (38, 64), (10, 64), (100,), (50,)
    ]  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS, ids=lambda v: "-".join(map(str, v.values())))
def test_forward_pass(changes):
    network = make_network(**changes)
    variables, (windows, labels, *mask) = make_inputs(network)
    outputs = [network.logits(variables[0], *variables[2:]), network.loss(*variables)]
    outputs.append(network.probabilities(variables[0]))  # without dropout
    logits, loss, probabilities = compile_function(variables, outputs, "jax")(windows, labels, *mask)
    expected = reference.logits(network.settings, network.values(), windows, *mask)
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-4)
    assert loss == pytest.approx(reference.cross_entropy(expected, labels), rel=1e-4)
    expected = reference.probabilities(network.settings, network.values(), windows)
    np.testing.assert_allclose(probabilities, expected, rtol=1e-3)


def test_gradients_agree_with_the_slope_of_the_loss():
    """Along a random direction for each parameter, in the double precision of the reference."""
    network = make_network(frontend="raw", minibatch=1)
    variables, (windows, labels) = make_inputs(network)
    _, gradients = gradients_of(network, "jax", variables, (windows, labels))
    values = network.values()
    for name, gradient in gradients.items():
        direction = generator.standard_normal(gradient.shape)

        def loss(step, name=name, direction=direction):
            moved = values | {name: values[name] + step * direction}
            return reference.cross_entropy(reference.logits(network.settings, moved, windows), labels)

        slope = (loss(1e-6) - loss(-1e-6)) / 2e-6
        scale = float(np.linalg.norm(gradient))
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-2, abs=2e-3 * scale), name


def test_numba_and_jax_agree():
    network = make_network(frontend="raw", pooling="l2", pool_size=4, dropout=0.5)
    variables, values = make_inputs(network)
    values[0][1, 20_000:] = 0  # silence, where the inputs of a pool are equal
    loss, gradients = gradients_of(network, "jax", variables, values)
    numba_loss, numba_gradients = gradients_of(network, "numba", variables, values)
    assert numba_loss == pytest.approx(loss, rel=1e-5)
    for name, gradient in gradients.items():
        tolerance = 1e-4 * abs(gradient).max()
        np.testing.assert_allclose(numba_gradients[name], gradient, rtol=1e-3, atol=tolerance, err_msg=name)


def gradients_of(network, backend, variables, values):
    loss = network.loss(*variables)
    outputs = [loss, *pytensor.grad(loss, list(network.parameters.values()))]
    loss, *gradients = compile_function(variables, outputs, backend)(*values)
    return float(loss), dict(zip(network.parameters, map(to_file, gradients), strict=True))


class FixedLogits(Network):
    """The loss of the network for logits given."""

    def __init__(self, logits):
        self._logits = logits

    def logits(self, windows, mask=None):
        return self._logits


def loss_of_logits(values, labels, backend):
    logits = pt.tensor("logits", shape=values.shape, dtype="float32")
    targets = pt.tensor("labels", shape=values.shape, dtype="uint8")
    loss = FixedLogits(logits).loss(None, targets)
    function = compile_function([logits, targets], [loss, pytensor.grad(loss, logits)], backend)
    return [np.asarray(output) for output in function(values.astype(np.float32), labels.astype(np.uint8))]


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_of_logits(backend):
    logits = generator.normal(0, 3, (4, 5))
    logits[0] = 0  # where a formula with |x| or max(0, x) would have another gradient
    labels = generator.integers(0, 2, (4, 5))
    loss, gradient = loss_of_logits(logits, labels, backend)
    probabilities = 1 / (1 + np.exp(-logits))
    expected = np.mean([log_loss(y, p, labels=[0, 1]) for y, p in zip(labels.T, probabilities.T, strict=True)])
    assert loss.dtype == np.float32
    assert loss == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(gradient, (probabilities - labels) / labels.size, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_loss_of_extreme_logits(backend):
    logits, labels = np.array([[1e30, -1e30, 1e4, -1e4, 100, -100]]), np.array([[1, 0, 0, 1, 1, 0]])
    loss, gradient = loss_of_logits(logits, labels, backend)
    assert loss == pytest.approx(2e4 / 6, rel=1e-5)
    np.testing.assert_allclose(gradient, np.array([[0, 0, 1, -1, 0, 0]]) / 6, atol=1e-7)


def test_names_show_in_the_graph():
    network = make_network(frontend="raw")
    text = pytensor.dprint(network.loss(*network.training_inputs()), file="str")
    assert all(name in text for name in [*network.parameters, *network.constants, "convolve", "rectified_max_pool"])


def test_values_that_do_not_fit_are_refused():
    network = Network(Settings(), 5)
    bias = np.zeros(5, np.float32)
    for name, wrong in (("output/surplus", bias), ("output/bias", bias[:4]), ("output/bias", np.float64(bias))):
        with pytest.raises(InputError, match=name):
            network.set_values(network.values() | {name: wrong})
    with pytest.raises(InputError, match="hidden/bias"):
        network.set_values({n: v for n, v in network.values().items() if n != "hidden/bias"})
