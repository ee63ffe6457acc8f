"""Gradient descent by hand: from a loss and parameters to an ordered dict of updates, after Lasagne."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytensor
from pytensor.tensor.variable import TensorVariable

Updates = dict[Any, TensorVariable]


def sgd(loss: TensorVariable, parameters: Iterable[Any], learning_rate: float) -> Updates:
    """Plain stochastic gradient descent: ``p := p - learning_rate * dloss/dp``.

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : shared variables
    learning_rate : float

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`.
    """
    parameters = list(parameters)
    rate = np.float32(learning_rate)
    return {p: p - rate * g for p, g in zip(parameters, pytensor.grad(loss, parameters), strict=True)}


def nesterov(loss: TensorVariable, parameters: Iterable[Any], learning_rate: float, momentum: float) -> Updates:
    """Stochastic gradient descent with Nesterov's momentum, in the form that needs the gradient at `p` alone.

    ``v := momentum * v - learning_rate * dloss/dp`` and ``p := p + momentum * v - learning_rate * dloss/dp``

    Parameters
    ----------
    loss : scalar symbolic variable
    parameters : shared variables
    learning_rate, momentum : float

    Returns
    -------
    dict of shared variable to symbolic variable
        In the order of `parameters`, each followed by its velocity, a new shared variable that starts at zero.
    """
    parameters = list(parameters)
    updates: Updates = {}
    for parameter, gradient in zip(parameters, pytensor.grad(loss, parameters), strict=True):
        step = -np.float32(learning_rate) * gradient
        shape = parameter.type.shape
        velocity = pytensor.shared(np.zeros(shape, np.float32), shape=shape)
        updates[parameter] = parameter + np.float32(momentum) * (np.float32(momentum) * velocity + step) + step
        updates[velocity] = np.float32(momentum) * velocity + step
    return updates
