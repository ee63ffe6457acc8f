"""Updates against NumPy recursions in other forms, and against values stored from PyTorch."""

import numpy as np
import pytensor
import pytensor.tensor as pt
import pytest

from theanoish.machine import BACKENDS
from theanoish.model.compile import compile_function
from theanoish.model.descent import descend, initial_memory, mean_weights, nesterov, sgd, zero_velocities
from theanoish.settings import Settings

# PyTorch 2.13: torch.optim.SGD(lr=0.05, momentum=momentum, nesterov=momentum > 0) on 0.5 * sum(a * (p - c) ** 2), the
# parameters after each of five steps. PyTorch's buffer is our velocity divided by -learning_rate; while the learning
# rate stays the same both are one recursion.
START, A, C = np.float32([1.0, -2.0, 0.5]), np.float32([1, 3, 10]), np.float32([0.2, -0.4, 0.8])
TORCH = {
    0.0: [
        [0.95999998, -1.76, 0.64999998],
        [0.92199999, -1.556, 0.72500002],
        [0.88589996, -1.3825999, 0.76250005],
        [0.85160494, -1.2352099, 0.78125006],
        [0.81902468, -1.1099285, 0.79062504],
    ],
    0.9: [
        [0.92400002, -1.544, 0.78499997],
        [0.82282001, -1.02356, 0.92075002],
        [0.70517009, -0.53188944, 0.92146254],
        [0.57932091, -0.135978, 0.86105192],
        [0.45275381, 0.12729093, 0.80334115],
    ],
}
TORCH_BUFFER = [2.3911343, -6.730494, 0.60410666]


def minimise(rule, steps, start=START, backend="jax"):
    """Parameters after each step, and the values of all shared variables at the end."""
    parameter = pytensor.shared(start, shape=(len(start),))
    loss = 0.5 * (A * pt.sqr(parameter - C)).sum()
    updates = rule(loss, {"p": parameter})
    function = compile_function([], loss, backend, updates)
    path = []
    for _ in range(steps):
        function()
        path.append(np.asarray(parameter.get_value()))
    return np.array(path), [np.asarray(variable.get_value()) for variable in updates]


def momentum_of(momentum):
    return lambda loss, p: nesterov(loss, p, zero_velocities(p), momentum, 0.05) if momentum else sgd(loss, p, 0.05)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_five_steps_of_pytorch(momentum, backend):
    path, shared = minimise(momentum_of(momentum), 5, backend=backend)
    np.testing.assert_allclose(path, TORCH[momentum], rtol=1e-6)
    if momentum:
        np.testing.assert_allclose(shared[1], -0.05 * np.array(TORCH_BUFFER), rtol=1e-5)


def test_small_steps_of_large_parameters_keep_their_precision():
    """A velocity computed as the difference of parameters before and after would be rounded to theirs."""
    start = np.float32([1000.0, -2000.0, 500.0])
    _, (_, velocity) = minimise(lambda loss, p: nesterov(loss, p, zero_velocities(p), 0.9, 1e-9), 1, start)
    np.testing.assert_allclose(velocity, -1e-9 * A * (np.float64(start) - C), rtol=1e-6)


def test_updates_follow_the_parameters():
    parameters = {str(n): pytensor.shared(np.zeros(n, np.float32), shape=(n,)) for n in (3, 1, 2)}
    loss = sum(pt.sqr(p).sum() for p in parameters.values())
    velocities = dict(reversed(zero_velocities(parameters).items()))  # found by name, not by position
    updates = list(nesterov(loss, parameters, velocities, 0.9, 0.1))
    assert updates[::2] == list(sgd(loss, parameters, 0.1)) == list(parameters.values())
    assert [(v.name, v.type.shape) for v in updates[1::2]] == [(f"{n}/velocity", (n,)) for n in (3, 1, 2)]
    assert not any(v.get_value().any() for v in updates[1::2])


@pytest.mark.parametrize(
    ("momentum", "average", "remembered"),
    [(0.0, 0.0, []), (0.9, 0.0, ["p/velocity"]), (0.0, 0.1, ["p/mean"]), (0.9, 0.5, ["p/velocity", "p/mean"])],
)
def test_the_rule_that_settings_ask_for(momentum, average, remembered):
    settings = Settings(momentum=momentum, average=average)
    parameters = {"p": pytensor.shared(np.ones(2, np.float32), shape=(2,))}
    memory = initial_memory(settings, parameters)
    assert list(memory) == remembered
    weight = [pt.scalar("weight", dtype="float32")] if average else []
    updates = descend(settings, pt.sqr(parameters["p"]).sum(), parameters, memory, *weight)
    assert set(updates) == {*parameters.values(), *memory.values()}
    if average:
        np.testing.assert_array_equal(memory["p/mean"].get_value(), [1, 1])


def test_weights_of_the_mean_depend_on_the_number_of_the_update_alone():
    weights = mean_weights(0.25, range(8))
    assert weights.dtype == np.float32
    np.testing.assert_allclose(weights, [1, 1, 1, 1, 1 / 1.25, 1 / 1.5, 1 / 1.75, 1 / 2])
    np.testing.assert_array_equal(mean_weights(0.25, range(3, 8)), weights[3:])


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_strided_parameters_step_by_their_own_rate(momentum):
    steps = {}
    for rate in (1.0, 0.01):
        parameters = {n: pytensor.shared(START, name=n, shape=(3,)) for n in ("strided/bias", "hidden/bias")}
        settings = Settings(momentum=momentum, average=0, strided_rate=rate)
        loss = sum(0.5 * (A * pt.sqr(p - C)).sum() for p in parameters.values())
        updates = descend(settings, loss, parameters, initial_memory(settings, parameters))
        compile_function([], loss, "jax", updates)()
        steps[rate] = {name: p.get_value() - START for name, p in parameters.items()}
    np.testing.assert_array_equal(steps[1.0]["hidden/bias"], steps[0.01]["hidden/bias"])
    np.testing.assert_allclose(steps[0.01]["strided/bias"], 0.01 * steps[1.0]["strided/bias"], rtol=1e-3)
    expected = -settings.learning_rate * (1 + momentum) * A * (START - C)
    np.testing.assert_allclose(steps[1.0]["strided/bias"], expected, rtol=1e-5)
