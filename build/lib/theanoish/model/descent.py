"""Gradient descent by hand: from a loss and parameters to an ordered dict of updates, after Lasagne."""

from typing import Any

import numpy as np
import pytensor
from pytensor.tensor.variable import TensorVariable

from theanoish.settings import Settings

Updates = dict[Any, TensorVariable]
Shared = dict[str, Any]


def initial_memory(settings: Settings, parameters: Shared) -> Shared:
    """What the update rule of `settings` remembers from update to update, as shared variables by name.

    That is nothing for plain gradient descent, and for momentum a velocity of 0 for each parameter, called
    "<parameter>/velocity".
    """
    return zero_velocities(parameters) if settings.momentum else {}


def descend(settings: Settings, loss: TensorVariable, parameters: Shared, memory: Shared) -> Updates:
    """The updates of the rule that `settings` ask for, with the `memory` that `initial_memory` made for it."""
    if settings.momentum:
        return nesterov(loss, parameters, memory, settings.learning_rate, settings.momentum)
    return sgd(loss, parameters, settings.learning_rate)


def sgd(loss: TensorVariable, parameters: Shared, learning_rate: float) -> Updates:
    """Plain stochastic gradient descent: ``p := p - learning_rate * dloss/dp``.

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : dict of str to shared variable
    learning_rate : float

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`.
    """
    rate, variables = np.float32(learning_rate), list(parameters.values())
    return {p: p - rate * gradient for p, gradient in zip(variables, _gradients(loss, variables), strict=True)}


def nesterov(
    loss: TensorVariable, parameters: Shared, velocities: Shared, learning_rate: float, momentum: float
) -> Updates:
    """Stochastic gradient descent with Nesterov's momentum, in the form that needs the gradient at `p` alone.

    ``v := momentum * v - learning_rate * dloss/dp`` and ``p := p + momentum * v - learning_rate * dloss/dp``

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : dict of str to shared variable
    velocities : dict of str to shared variable
        As `zero_velocities` makes them.
    learning_rate, momentum : float

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`, each followed by its velocity.
    """
    rate, decay, variables = np.float32(learning_rate), np.float32(momentum), list(parameters.values())
    updates: Updates = {}
    for name, parameter, gradient in zip(parameters, variables, _gradients(loss, variables), strict=True):
        step, velocity = -rate * gradient, velocities[f"{name}/velocity"]
        updates[parameter] = parameter + decay * (decay * velocity + step) + step
        updates[velocity] = decay * velocity + step
    return updates


def _gradients(loss: TensorVariable, variables: list[Any]) -> list[Any]:
    return list(pytensor.grad(loss, variables))  # type: ignore[arg-type]  # which it types as perhaps None


def zero_velocities(parameters: Shared) -> Shared:
    """A shared variable of zeros for each of `parameters`, called "<parameter>/velocity"."""
    shapes = {f"{name}/velocity": parameter.type.shape for name, parameter in parameters.items()}
    return {n: pytensor.shared(np.zeros(shape, np.float32), name=n, shape=shape) for n, shape in shapes.items()}
