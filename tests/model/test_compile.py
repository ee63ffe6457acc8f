"""Many updates a call must be the very same updates, and their products as fast as XLA makes them."""

import re

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from theanoish.machine import BACKENDS
from theanoish.model.compile import compile_function, copied_to_device, free_device_memory, held_on_device, repeat
from theanoish.model.descent import nesterov, sgd, zero_velocities
from theanoish.model.network import Network
from theanoish.model.operations import relu
from theanoish.settings import Settings
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
    updates = nesterov(loss, weights, zero_velocities(weights), 0.9, 0.02)
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


def test_values_held_on_the_device_stay_there():
    values = generator.integers(-9, 9, (5, 7)).astype(np.int16)
    shared = held_on_device(values)
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
    assert free_device_memory("numba") == 0
    if jax.devices()[0].platform == "cpu":
        assert free_device_memory("jax") == 0


# Products whose left operand is contracted over its first axis, which XLA computes by another routine on a CPU, and why
# they stay: GFLOP/s of benchmarks/products.py, raw 256/256 and raw 1024/1024.
SLOW_PRODUCTS = {
    "raw": {
        (128, 1024): "filters' gradient of the strided layer: 84 and 92, with a transposed copy 74 and 83",
        (460, 128): "gradient by the first convolution's maps: 84 and 76, with a transposed copy 80 and 71",
    },
    "mel": {},
}
LARGE = 10e6  # operations


def slow_products(program):
    """(rows, columns) of a program's large products whose left operand is contracted over its first axis."""
    shapes = {name: tuple(map(int, s.split(","))) for name, s in re.findall(r"%(\S+) = f32\[([\d,]+)\]", program)}
    found, products = set(), re.findall(r"%(\S+) = \S+ dot\([^%]*%([\w.-]+),.*lhs_contracting_dims=\{(\d)\}", program)
    assert products  # else the programs are written in another way
    for product, left, axis in products:
        if axis == "0" and 2 * np.prod(shapes[product]) * shapes[left][0] > LARGE:
            found.add(shapes[product])
    return found


@pytest.mark.parametrize("frontend", SLOW_PRODUCTS)
def test_no_product_is_slow_without_a_reason(frontend):
    if jax.default_backend() != "cpu":
        pytest.skip("a GPU has other routines")
    network = Network(Settings(frontend=frontend, length=1024, stride=1024), tags=50)
    inputs = network.training_inputs()
    loss = network.loss(*inputs)
    blocks, losses, after = repeat(inputs, loss, sgd(loss, network.trained, 0.01), 2)
    function = compile_function(blocks, losses, "jax", after)
    arguments = [jax.ShapeDtypeStruct(v.type.shape, v.type.dtype) for v in function.maker.fgraph.inputs]
    program = function.vm.jit_fn.lower(*arguments).compile().as_text()
    assert slow_products(program) == set(SLOW_PRODUCTS[frontend])
