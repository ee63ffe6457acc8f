"""Compiled updates on minibatches of noise that lie in memory: what is left when nothing is read."""

from collections.abc import Callable
from typing import Any, cast

import jax
import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.graph.replace import vectorize_graph
from pytensor.tensor.variable import TensorVariable

from synthetic import TAGS
from theanoish.model.compile import compile_function, repeat
from theanoish.model.descent import Updates, sgd
from theanoish.model.network import Network
from theanoish.settings import Settings


def compiled_updates(settings: Settings, updates: int, replicas: int = 1) -> Callable[[], NDArray[np.float32]]:
    """A call of so many updates, of one network or of several at once; returns the losses (updates, ...)."""
    network = Network(settings, TAGS)
    inputs = network.training_inputs()
    loss = network.loss(*inputs)
    after_one = sgd(loss, network.parameters, settings.learning_rate)
    if replicas > 1:
        inputs, loss, after_one = replicate(inputs, loss, after_one, replicas)
    blocks, losses, after = repeat(inputs, loss, after_one, updates)
    function = compile_function(blocks, losses, "jax", after)
    values = [jax.device_put(noise(block.type.shape, block.type.dtype)) for block in blocks]
    return lambda: np.asarray(function(*values))


def replicate(
    inputs: list[TensorVariable], loss: TensorVariable, updates: Updates, count: int
) -> tuple[list[TensorVariable], TensorVariable, Updates]:
    """Turn the update of one network into that of `count` networks, as one graph with a leading axis."""
    many = [pt.tensor(v.name, shape=(count, *v.type.shape), dtype=v.type.dtype) for v in inputs]
    held = [
        pytensor.shared(np.stack([variable.get_value()] * count), shape=(count, *variable.type.shape))
        for variable in updates
    ]
    replacements: dict[Any, Any] = dict(zip([*inputs, *updates], [*many, *held], strict=True))
    losses, *after = cast(Any, vectorize_graph)([loss, *updates.values()], replacements)
    return many, losses, dict(zip(held, after, strict=True))


def noise(shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Windows or labels; of larger shapes the first values are the same."""
    generator = np.random.default_rng(0)
    match dtype:
        case "int16":
            return (generator.standard_normal(shape, np.float32) * 4000).astype(np.int16)
        case "uint8":
            return (generator.random(shape) < 0.1).astype(np.uint8)
        case _:
            return generator.standard_exponential(shape, np.float32)
