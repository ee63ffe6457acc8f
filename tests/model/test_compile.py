"""Many updates a call must be the very same updates."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from theanoish.machine import BACKENDS
from theanoish.model.compile import (
    compile_function,
    copied_to_device,
    free_device_memory,
    hold_on_device,
    repeat,
)
from theanoish.model.descent import nesterov, zero_velocities
from theanoish.model.operations import relu
from theanoish.training.feeding import _aligned

generator = np.random.default_rng(0)
EXAMPLES = generator.standard_normal((6, 3, 4)).astype(np.float32)
TARGETS = generator.standard_normal((6, 3, 2)).astype(np.float32)


def train(backend, count):
    """Six updates of a small network, `count` a call: losses and all shared variables after them."""
    generator, shapes = np.random.default_rng(1), {"first": (4, 5), "second": (5, 2)}
    weights = {n: pytensor.shared(generator.standard_normal(s).astype(np.float32), shape=s) for n, s in shapes.items()}
    scale = pytensor.shared(np.float32([0.7]), shape=(1,))  # what no update changes must reach every update too
    inputs = [pt.tensor(n, shape=(3, width), dtype="float32") for n, width in (("examples", 4), ("targets", 2))]
    loss = pt.sqr(relu(inputs[0].dot(weights["first"]) * scale).dot(weights["second"]) - inputs[1]).mean()
    updates = nesterov(loss, weights, zero_velocities(weights), 0.02, 0.9)
    blocks, losses, after = repeat(inputs, loss, updates, count)
    function = compile_function(blocks, losses, backend, after)
    calls = range(0, len(EXAMPLES), count)
    losses = np.concatenate([function(EXAMPLES[i : i + count], TARGETS[i : i + count]) for i in calls])
    return [losses, *(np.asarray(variable.get_value()) for variable in updates)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_updates_a_call_do_not_matter(backend):
    single, triple = train(backend, 1), train(backend, 3)
    assert len(set(single[0].tolist())) == 6  # the examples differ, so that their order would show
    for one, three in zip(single, triple, strict=True):
        np.testing.assert_array_equal(one, three)


def test_repeat_is_sgd():
    """Against the same updates compiled without `repeat`, each in a call."""
    weights, rate = np.float32([1.0, -1.0]), np.float32(0.1)
    shared, x = pytensor.shared(weights, shape=(2,)), pt.tensor("x", shape=(2,), dtype="float32")
    loss = pt.sqr(shared * x).sum()
    blocks, losses, after = repeat([x], loss, {shared: shared - rate * pytensor.grad(loss, shared)}, 4)
    xs = generator.standard_normal((4, 2)).astype(np.float32)
    losses = compile_function(blocks, losses, "jax", after)(xs)
    for x, loss in zip(xs, losses, strict=True):
        assert loss == pytest.approx(((weights * x) ** 2).sum(), rel=1e-5)
        weights = weights - rate * 2 * weights * x**2
    np.testing.assert_allclose(shared.get_value(), weights, rtol=1e-5)


def test_values_held_on_the_device_stay_there():
    import jax

    shared = pytensor.shared(np.zeros((1, 1), np.int16))
    values = generator.integers(-9, 9, (5, 7)).astype(np.int16)
    hold_on_device(shared, values)
    row = pt.iscalar("row")
    function = compile_function([row], shared[row], "jax")
    np.testing.assert_array_equal(function(np.int32(3)), values[3])
    assert isinstance(shared.container.storage[0], jax.Array)


def test_copies_on_the_device_stay_as_they_were():
    values = _aligned((1000,), np.dtype(np.int16))  # which JAX takes as it is where it can
    values[:] = 0
    copy = copied_to_device(values)
    values[:] = 1
    assert not np.asarray(copy).any()


def test_no_device_memory_without_an_accelerator():
    import jax

    assert free_device_memory("numba") == 0
    if jax.devices()[0].platform == "cpu":
        assert free_device_memory("jax") == 0
