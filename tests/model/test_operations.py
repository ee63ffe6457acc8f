"""Each operation against SciPy or explicit loops, and its gradients against finite differences.

Those on Numba are compared with those on JAX in test_network.py, all at once, as Numba compiles slowly.
"""

from functools import partial

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

import reference
from theanoish.model import operations
from theanoish.model.compile import compile_function

MINIBATCH = 2
generator = np.random.default_rng(0)


def normal(*shape):
    return generator.standard_normal(shape)


def apply(operation, *values):
    """Output of an operation, and the gradients of a weighted sum of it by each input."""
    values = [np.float32(value) for value in values]
    variables = [pt.tensor(f"input{i}", shape=value.shape, dtype="float32") for i, value in enumerate(values)]
    output = operation(*variables)
    weights = np.random.default_rng(1).standard_normal(output.type.shape).astype(np.float32)
    gradients = pytensor.grad((output * weights).sum(), variables)
    output, *gradients = compile_function(variables, [output, *gradients], "jax")(*values)
    return np.asarray(output), weights, [np.asarray(g) for g in gradients]


def check(operation, plain, *values):
    """Compare an operation with `plain`, the same in NumPy."""
    arrays = [np.float32(value) for value in values]
    output, weights, gradients = apply(operation, *arrays)
    assert output.shape == plain(*arrays).shape
    np.testing.assert_allclose(output, plain(*arrays), rtol=1e-5, atol=1e-5)
    for i, gradient in enumerate(gradients):
        weighted = lambda x, i=i: (plain(*arrays[:i], x, *arrays[i + 1 :]) * weights).sum()  # noqa: E731
        np.testing.assert_allclose(gradient, reference.numerical_gradient(weighted, arrays[i]), rtol=1e-3, atol=1e-4)


# length 6, stride 3 overlaps; stride 4 does not; both leave samples over
@pytest.mark.parametrize(("length", "stride"), [(6, 3), (4, 4), (6, 2)])
def test_strided_convolve(length, stride):
    operation = partial(operations.strided_convolve, stride=stride)
    plain = partial(reference.strided_convolution, stride=stride)
    check(operation, plain, normal(MINIBATCH, 23), normal(3, length), normal(3))


def test_convolve():
    """Filters are (width, filters, channels) in memory, and (filters, channels, width) in files."""
    plain = lambda x, f: reference.convolution(x, np.transpose(f, (1, 2, 0)))  # noqa: E731
    check(operations.convolve, plain, normal(MINIBATCH, 9, 3), normal(5, 4, 3))


max_pool_of_4 = partial(operations.rectified_max_pool, size=4)


@pytest.mark.parametrize("time", [8, 9, 11, 3])  # whole pools; one, three and only a partial last one
def test_rectified_max_pool(time):
    maps = normal(MINIBATCH, time, 2) - 5  # padding by zeros would win over them
    maps[0, :4, 0] -= 10  # a pool that is rectified away
    # in the paper's order: bias and rectifier before the maximum
    check(max_pool_of_4, lambda x, b: reference.max_pool(reference.relu(x + b), 4), maps, np.float32([5, 6]))


def test_rectified_max_pool_passes_the_gradient_once_if_inputs_tie():
    maps = np.zeros((1, 10, 3))  # silence: every input of a pool is its maximum
    _, weights, (gradient, for_bias) = apply(max_pool_of_4, maps, np.full(3, 0.01))
    sums = [gradient[:, t : t + 4].sum(axis=1) for t in (0, 4, 8)]
    np.testing.assert_allclose(np.stack(sums, axis=1), weights, rtol=1e-6)
    np.testing.assert_allclose(for_bias, weights.sum(axis=(0, 1)), rtol=1e-5)


def test_rectifiers_pass_no_gradient_at_their_threshold():
    _, _, gradients = apply(max_pool_of_4, np.full((1, 10, 3), -0.01), np.full(3, 0.01))
    assert not any(gradient.any() for gradient in gradients)
    _, _, (gradient,) = apply(operations.relu, np.zeros((2, 3)))
    assert not gradient.any()


def test_max_pool_of_features_passes_the_gradient_once_if_filters_tie():
    _, weights, (gradient,) = apply(partial(operations.max_pool, size=4), np.zeros((1, 2, 8)))
    np.testing.assert_allclose(gradient.reshape(1, 2, 2, 4).sum(axis=3), weights, rtol=1e-6)


@pytest.mark.parametrize("size", [2, 4])
def test_feature_pooling(size):
    maps = normal(MINIBATCH, 3, 8)
    check(partial(operations.l2_pool, size=size), lambda x: reference.l2_pool(x, size), maps)
    check(partial(operations.max_pool, size=size), lambda x: reference.channel_max_pool(x, size), maps)


def test_l2_pool_of_silence_has_a_gradient():
    output, _, (gradient,) = apply(partial(operations.l2_pool, size=4), np.zeros((1, 2, 8)))
    np.testing.assert_allclose(output, 1e-3, rtol=1e-5)
    assert not gradient.any()  # zero, not NaN


def test_relu():
    check(operations.relu, lambda x: np.where(x > 0, x, 0), normal(3, 4))


def test_dropout_keeps_the_expected_sum():
    units, mask = normal(2, 5).astype(np.float32), np.array([[1, 0, 1, 1, 0]] * 2, np.uint8)
    inputs = [pt.tensor("units", shape=(2, 5), dtype="float32"), pt.tensor("mask", shape=(2, 5), dtype="uint8")]
    kept = np.asarray(compile_function(inputs, operations.drop(*inputs, 0.2), "jax")(units, mask))
    np.testing.assert_allclose(kept, np.where(mask, units / 0.8, 0), rtol=1e-6)
    assert operations.drop(*inputs, 0.2).type.dtype == "float32"
