"""Each layer against SciPy or explicit loops, and its gradients against finite differences.

The layers on Numba are compared with those on JAX in test_network.py, all at once, as Numba compiles slowly.
"""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import reference
from theanoish.model import operations as layers
from theanoish.model.compile import compile_function

MINIBATCH = 2
generator = np.random.default_rng(0)


def apply(layer, values):
    """Output of a layer for an input, and the gradients of a weighted sum of it by the input and the parameters."""
    variable = pt.tensor("input", shape=values.shape, dtype="float32")
    output = layer(variable)
    weights = np.random.default_rng(1).standard_normal(output.type.shape).astype(np.float32)
    parameters = list(getattr(layer, "parameters", {}).values())
    gradients = pytensor.grad((output * weights).sum(), [variable, *parameters])
    output, *gradients = compile_function([variable], [output, *gradients], "jax")(values.astype(np.float32))
    return np.asarray(output), weights, [np.asarray(g) for g in gradients]


def check(layer, plain, values):
    """Compare a layer with `plain`, a NumPy function of the input and the layer's parameters."""
    arrays = [values.astype(np.float32), *(p.get_value() for p in getattr(layer, "parameters", {}).values())]
    output, weights, gradients = apply(layer, values)
    np.testing.assert_allclose(output, plain(*arrays), rtol=1e-5, atol=1e-5)
    for i, gradient in enumerate(gradients):
        weighted = lambda x, i=i: (plain(*arrays[:i], x, *arrays[i + 1 :]) * weights).sum()  # noqa: E731
        np.testing.assert_allclose(gradient, reference.numerical_gradient(weighted, arrays[i]), rtol=1e-3, atol=1e-4)


def randomised(layer):
    """The layer with biases that differ from unit to unit, which a test of them needs."""
    for parameter in layer.parameters.values():
        shape = parameter.type.shape
        parameter.set_value(generator.standard_normal(shape).astype(np.float32))
    return layer


# length 6, stride 3 overlaps; stride 4 does not; both leave samples over
@pytest.mark.parametrize(("length", "stride"), [(6, 3), (4, 4), (6, 2)])
def test_strided_convolution(length, stride):
    layer = randomised(layers.StridedConvolution(23, 3, length, stride, generator))
    assert layer.output_shape == ((23 - length) // stride + 1, 3)
    signal = generator.standard_normal((MINIBATCH, 23))
    check(layer, lambda x, f, b: reference.strided_convolution(x, f, b, stride), signal)


def test_convolution():
    layer = randomised(layers.Convolution((9, 3), 4, 5, generator))
    assert layer.output_shape == (5, 4)
    check(layer, reference.convolution, generator.standard_normal((MINIBATCH, 9, 3)))


def test_convolution_as_explicit_loops():
    layer = layers.Convolution((6, 2), 3, 4, generator)
    maps, filters = generator.standard_normal((MINIBATCH, 6, 2)), layer.filters.get_value()
    expected = np.zeros((MINIBATCH, 3, 3))
    for n, t, o, c, k in np.ndindex(MINIBATCH, 3, 3, 2, 4):
        expected[n, t, o] += maps[n, t + k, c] * filters[k, o, c]
    np.testing.assert_allclose(apply(layer, maps)[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("time", [8, 9, 11, 3])  # whole pools; one, three and only a partial last one
def test_max_pool(time):
    layer = layers.RectifiedMaxPool((time, 2), 4)
    assert layer.output_shape == (-(-time // 4), 2)
    layer.bias.set_value(np.float32([5, 6]))
    maps = generator.standard_normal((MINIBATCH, time, 2)) - 5  # padding by zeros would win over them
    maps[0, :4, 0] -= 10  # a pool that is rectified away
    # in the paper's order: bias and rectifier before the maximum
    check(layer, lambda x, b: reference.max_pool(reference.relu(x + b), 4), maps)


def test_max_pool_passes_the_gradient_once_where_inputs_tie():
    maps = np.zeros((1, 10, 3))  # silence: every input of a pool is its maximum
    _, weights, (gradient, for_bias) = apply(layers.RectifiedMaxPool((10, 3), 4), maps)
    sums = [gradient[:, t : t + 4].sum(axis=1) for t in (0, 4, 8)]
    np.testing.assert_allclose(np.stack(sums, axis=1), weights, rtol=1e-6)
    np.testing.assert_allclose(for_bias, weights.sum(axis=(0, 1)), rtol=1e-5)


def test_rectifiers_pass_no_gradient_at_their_threshold():
    maps = np.full((1, 10, 3), -layers.RELU_BIAS)
    _, _, gradients = apply(layers.RectifiedMaxPool((10, 3), 4), maps)
    assert not any(gradient.any() for gradient in gradients)
    _, _, (gradient,) = apply(layers.relu, np.zeros((2, 3)))
    assert not gradient.any()


def test_max_pooling_of_features_passes_the_gradient_once_where_filters_tie():
    _, weights, (gradient,) = apply(lambda x: layers.max_pooled(x, 4), np.zeros((1, 2, 8)))
    np.testing.assert_allclose(gradient.reshape(1, 2, 2, 4).sum(axis=3), weights, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 4])
def test_feature_pooling(size):
    maps = generator.standard_normal((MINIBATCH, 3, 8))
    check(lambda x: layers.l2_pooled(x, size), lambda x: reference.l2_pool(x, size), maps)
    check(lambda x: layers.max_pooled(x, size), lambda x: reference.channel_max_pool(x, size), maps)


def test_l2_pooling_of_silence_has_a_gradient():
    output, _, (gradient,) = apply(lambda x: layers.l2_pooled(x, 4), np.zeros((1, 2, 8)))
    np.testing.assert_allclose(output, 1e-3, rtol=1e-5)
    assert not gradient.any()  # zero, not NaN


def test_dense():
    units = generator.standard_normal((MINIBATCH, 5))
    check(randomised(layers.Dense(5, 3, generator)), lambda x, w, b: x @ w + b, units)


def test_relu():
    check(layers.relu, lambda x: np.where(x > 0, x, 0), generator.standard_normal((3, 4)))


def test_dropout_keeps_the_expected_sum():
    units, mask = generator.standard_normal((2, 5)).astype(np.float32), np.array([[1, 0, 1, 1, 0]] * 2, np.uint8)
    inputs = [pt.tensor("units", shape=(2, 5), dtype="float32"), pt.tensor("mask", shape=(2, 5), dtype="uint8")]
    kept = np.asarray(compile_function(inputs, layers.dropped(*inputs, 0.2), "jax")(units, mask))
    np.testing.assert_allclose(kept, np.where(mask, units / 0.8, 0), rtol=1e-6)
    assert layers.dropped(*inputs, 0.2).type.dtype == "float32"


def test_initial_values():
    dense = layers.Dense(400, 300, np.random.default_rng(5))
    assert dense.weights.get_value().std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)  # He et al. (2015)
    convolution = layers.Convolution((20, 64), 100, 8, np.random.default_rng(5))
    assert convolution.filters.get_value().std() == pytest.approx(np.sqrt(2 / (64 * 8)), rel=0.02)
    strided = layers.StridedConvolution(2048, 128, 512, 512, np.random.default_rng(5))
    assert strided.filters.get_value().std() == pytest.approx(np.sqrt(2 / 512), rel=0.02)
    assert (strided.bias.get_value() > 0).all()
