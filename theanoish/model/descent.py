"""Gradient descent by hand: from a loss and parameters to an ordered dict of updates, after Lasagne."""

from typing import Any

import numpy as np
import pytensor
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.settings import Settings

Updates = dict[Any, TensorVariable]
Shared = dict[str, Any]
MEAN = "/mean"  # what memory, and so a state file, calls a parameter's mean: "<parameter>/mean"


def initial_memory(settings: Settings, parameters: Shared) -> Shared:
    """What the update rule of `settings` remembers from update to update, as shared variables by name.

    For momentum that is a velocity of 0 for each parameter, called "<parameter>/velocity", and for an average its mean,
    called "<parameter>/mean", which begins as the parameter is now.
    """
    memory = zero_velocities(parameters) if settings.momentum else {}
    if settings.average:
        for name, parameter in parameters.items():
            mean = np.array(parameter.get_value())
            memory[name + MEAN] = pytensor.shared(mean, name=name + MEAN, shape=mean.shape)
    return memory


def descend(
    settings: Settings, loss: TensorVariable, parameters: Shared, memory: Shared, weight: TensorVariable | None = None
) -> Updates:
    """The updates of the rule that `settings` ask for, with the `memory` that `initial_memory` made for it.

    `weight` is that of the new parameters in their mean, a scalar (`mean_weights`); the descent never sees the mean.
    """
    rates = settings.learning_rate, settings.strided_rate
    if settings.momentum:
        updates = nesterov(loss, parameters, memory, settings.momentum, *rates)
    else:
        updates = sgd(loss, parameters, *rates)
    if weight is not None:
        for name, parameter in parameters.items():
            mean = memory[name + MEAN]
            updates[mean] = (np.float32(1) - weight) * mean + weight * updates[parameter]
    return updates


def mean_weights(average: float, updates: range) -> NDArray[np.float32]:
    """What the parameters after each of `updates` weigh in their mean: 1 / max(1, average · t) after the t-th.

    After t updates the mean then spans about the last ``average * t`` of them, at whatever t training is stopped.

    Parameters
    ----------
    average : float
    updates : range
        Counted from 0.

    Returns
    -------
    float32 array (updates,)
    """
    done = np.arange(updates.start, updates.stop) + 1
    return (1 / np.maximum(1, average * done)).astype(np.float32)


def sgd(loss: TensorVariable, parameters: Shared, learning_rate: float, strided_rate: float = 1) -> Updates:
    """Plain stochastic gradient descent: ``p := p - rate * dloss/dp``.

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : dict of str to shared variable
    learning_rate, strided_rate : float
        Their product is the rate of the strided convolution's parameters, the first that of all others.

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`.
    """
    updates = Updates()
    for name, gradient in _gradients(loss, parameters).items():
        rate = _rate_of(name, learning_rate, strided_rate)
        updates[parameters[name]] = parameters[name] - rate * gradient
    return updates


def nesterov(
    loss: TensorVariable,
    parameters: Shared,
    velocities: Shared,
    momentum: float,
    learning_rate: float,
    strided_rate: float = 1,
) -> Updates:
    """Stochastic gradient descent with Nesterov's momentum, in the form that needs the gradient at `p` alone.

    ``v := momentum * v - rate * dloss/dp`` and ``p := p + momentum * v - rate * dloss/dp``

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : dict of str to shared variable
    velocities : dict of str to shared variable
        As `zero_velocities` makes them.
    momentum : float
    learning_rate, strided_rate : float
        As for `sgd`.

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`, each followed by its velocity.
    """
    decay, updates = np.float32(momentum), Updates()
    for name, gradient in _gradients(loss, parameters).items():
        rate, parameter = _rate_of(name, learning_rate, strided_rate), parameters[name]
        step, velocity = -rate * gradient, velocities[f"{name}/velocity"]
        updates[parameter] = parameter + decay * (decay * velocity + step) + step
        updates[velocity] = decay * velocity + step
    return updates


def _gradients(loss: TensorVariable, parameters: Shared) -> dict[str, Any]:
    gradients: Any = pytensor.grad(loss, list(parameters.values()))  # which it types as perhaps None
    return dict(zip(parameters, gradients, strict=True))


def _rate_of(name: str, learning_rate: float, strided_rate: float) -> np.float32:
    return np.float32(learning_rate * (strided_rate if name.startswith("strided/") else 1))


def zero_velocities(parameters: Shared) -> Shared:
    """A shared variable of zeros for each of `parameters`, called "<parameter>/velocity"."""
    shapes = {f"{name}/velocity": parameter.type.shape for name, parameter in parameters.items()}
    return {n: pytensor.shared(np.zeros(shape, np.float32), name=n, shape=shape) for n, shape in shapes.items()}
