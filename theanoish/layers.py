"""The layers of the paper's networks: each owns its shared variables and maps a symbolic input to a symbolic output.

Feature maps are float32 of shape (minibatch, time, channels). Shapes are static throughout, since JAX compiles nothing
else and both backends are faster for it. PyTensor has no multi-channel convolution and no pooling; the formulations
here are the ones that were measured fastest (README, "Speed").
"""

from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.tensor.variable import TensorVariable

Shape = tuple[int, ...]
RELU_BIAS = 0.01  # small and positive, so that no unit starts out dead
COMPRESSION = 10_000.0  # C of the logarithmic nonlinearities (section 4.2)
L2_STABILISER = 1e-6


def shared_normal(generator: np.random.Generator, shape: Shape, fan_in: int) -> Any:
    """A shared variable with values from N(0, 2 / fan_in), after He et al. (2015)."""
    values = generator.standard_normal(shape) * np.sqrt(2.0 / fan_in)
    return pytensor.shared(values.astype(np.float32), shape=shape)


def shared_constant(value: float, units: int) -> Any:
    """A shared variable of shape (units,) with equal values."""
    return pytensor.shared(np.full(units, value, np.float32), shape=(units,))


class StridedConvolution:
    """Strided convolution of the raw signal, the layer that stands for the spectrogram (section 4.2, Fig. 1b).

    Parameters
    ----------
    samples : int
        Length of the input.
    filters, length, stride : int
        `length` must be a multiple of `stride`.
    generator : numpy Generator
        For the initial filters.

    Notes
    -----
    The signal is cut into blocks of `stride` samples; a frame is ``length / stride`` neighbouring blocks side by side,
    and the convolution is one matrix product of all frames with all filters. Without overlap that copies nothing. The
    filters are rows, (filters, length), since XLA computes their gradient a quarter faster than that of columns.
    """

    def __init__(self, samples: int, filters: int, length: int, stride: int, generator: np.random.Generator) -> None:
        self.length, self.stride = length, stride
        self.output_shape = ((samples - length) // stride + 1, filters)
        self.filters = shared_normal(generator, (filters, length), fan_in=length)
        self.bias = shared_constant(RELU_BIAS, filters)
        self.parameters = {"filters": self.filters, "bias": self.bias}

    def __call__(self, signal: TensorVariable) -> TensorVariable:
        minibatch, (frames, filters) = signal.type.shape[0], self.output_shape
        overlap = self.length // self.stride
        blocks = frames + overlap - 1
        # (minibatch, samples) -> (minibatch, blocks, stride) -> (minibatch, frames, length)
        blocked = signal[:, : blocks * self.stride].reshape((minibatch, blocks, self.stride))
        framed = pt.concatenate([blocked[:, i : i + frames] for i in range(overlap)], axis=2)
        product = framed.reshape((minibatch * frames, self.length)).dot(self.filters.T)
        return (product + self.bias).reshape((minibatch, frames, filters))


class Convolution:
    """Convolution over time, "valid": output t sees inputs t to t + width - 1.

    Parameters
    ----------
    input_shape : (int, int)
        Time and channels.
    filters, width : int
    generator : numpy Generator
        For the initial filters.

    Notes
    -----
    One matrix product of all inputs with every tap of every filter, then the sum of the taps' shifted outputs. The
    gradient is written out in the same form: the output's gradient, once for each tap and shifted, side by side, serves
    both the filters' and the input's.
    """

    def __init__(self, input_shape: Shape, filters: int, width: int, generator: np.random.Generator) -> None:
        self.time, self.channels = input_shape
        self.width, self.n_filters = width, filters
        self.output_shape = (self.time - width + 1, filters)
        self.filters = shared_normal(generator, (self.channels, width, filters), fan_in=self.channels * width)
        self.parameters = {"filters": self.filters}

    def __call__(self, maps: TensorVariable) -> TensorVariable:
        inputs = [maps.type(), self.filters.type()]
        op = OpFromGraph(inputs, [self._forward(*inputs)], inline=True, pullback=self._pullback)
        return op(maps, self.filters)

    def _forward(self, maps: TensorVariable, filters: TensorVariable) -> TensorVariable:
        minibatch, (time, outputs) = maps.type.shape[0], self.output_shape
        taps = maps.reshape((minibatch * self.time, self.channels)).dot(self._flat(filters))
        taps = taps.reshape((minibatch, self.time, self.width, outputs))
        total = taps[:, :time, 0]
        for tap in range(1, self.width):
            total = total + taps[:, tap : tap + time, tap]
        return total

    def _pullback(
        self, inputs: list[TensorVariable], outputs: list[TensorVariable], gradients: list[TensorVariable]
    ) -> list[TensorVariable]:
        maps, filters = inputs
        minibatch = maps.type.shape[0]
        padded = pt.zeros((minibatch, self.time + self.width - 1, self.n_filters), dtype=maps.dtype)
        padded = pt.set_subtensor(padded[:, self.width - 1 : self.time], gradients[0])
        # tap k of output t saw input t + k, so input t passes its gradient to tap k of output t - k
        starts = range(self.width - 1, -1, -1)
        taps = pt.stack([padded[:, start : start + self.time] for start in starts], axis=2)
        taps = taps.reshape((minibatch * self.time, self.width * self.n_filters))
        for_maps = taps.dot(self._flat(filters).T).reshape(maps.type.shape)
        for_filters = maps.reshape((minibatch * self.time, self.channels)).T.dot(taps)
        return [for_maps, for_filters.reshape(filters.type.shape)]

    def _flat(self, filters: TensorVariable) -> TensorVariable:
        return filters.reshape((self.channels, self.width * self.n_filters))


class MaxPool:
    """Maximum over `size` neighbouring time steps; the last pool may be a partial one.

    Parameters
    ----------
    input_shape : (int, int)
        Time and channels.
    size : int
    """

    def __init__(self, input_shape: Shape, size: int) -> None:
        self.time, self.channels = input_shape
        self.size = size
        self.output_shape = (-(-self.time // size), self.channels)

    def __call__(self, maps: TensorVariable) -> TensorVariable:
        minibatch, (pools, channels) = maps.type.shape[0], self.output_shape
        missing = pools * self.size - self.time
        if missing:
            lowest = pt.full((minibatch, missing, channels), -np.inf, dtype=maps.dtype)
            maps = pt.concatenate([maps, lowest], axis=1)
        return maximum(maps.reshape((minibatch, pools, self.size, channels)), axis=2)


class Bias:
    """Adds one learned number to every unit or feature map."""

    def __init__(self, units: int, value: float = RELU_BIAS) -> None:
        self.bias = shared_constant(value, units)
        self.parameters = {"bias": self.bias}

    def __call__(self, maps: TensorVariable) -> TensorVariable:
        return maps + self.bias


class Dense:
    """A fully connected layer, without nonlinearity.

    Parameters
    ----------
    inputs, units : int
    generator : numpy Generator
        For the initial weights.
    bias : float
        Its initial value.
    """

    def __init__(self, inputs: int, units: int, generator: np.random.Generator, bias: float = RELU_BIAS) -> None:
        self.weights = shared_normal(generator, (inputs, units), fan_in=inputs)
        self.bias = shared_constant(bias, units)
        self.parameters = {"weights": self.weights, "bias": self.bias}

    def __call__(self, units: TensorVariable) -> TensorVariable:
        return units.dot(self.weights) + self.bias


def relu(maps: TensorVariable) -> TensorVariable:
    """max(0, x), elementwise."""
    return pt.maximum(maps, np.float32(0))


def l2_pooled(maps: TensorVariable, size: int) -> TensorVariable:
    """Root mean square of each `size` adjacent channels, with a stabilising constant (section 4.4)."""
    return pt.sqrt(pt.mean(pt.sqr(_grouped(maps, size)), axis=3) + np.float32(L2_STABILISER))


def max_pooled(maps: TensorVariable, size: int) -> TensorVariable:
    """Maximum of each `size` adjacent channels: maxout units (section 4.4)."""
    return maximum(_grouped(maps, size), axis=3)


def maximum(maps: TensorVariable, axis: int) -> TensorVariable:
    """Maximum over an axis, whose gradient goes to the first of equal maxima.

    PyTensor's own would go to each of them in full, and so come to a multiple of itself wherever the music pauses.
    """

    def pullback(
        inputs: list[TensorVariable], outputs: list[TensorVariable], gradients: list[TensorVariable]
    ) -> list[TensorVariable]:
        winner = pt.argmax(inputs[0], axis=axis, keepdims=True)
        places = np.arange(maps.type.shape[axis]).reshape([-1 if i == axis else 1 for i in range(maps.ndim)])
        return [pt.switch(pt.eq(winner, places), pt.expand_dims(gradients[0], axis), np.float32(0))]

    inputs = [maps.type()]
    return OpFromGraph(inputs, [inputs[0].max(axis=axis)], inline=True, pullback=pullback)(maps)


def _grouped(maps: TensorVariable, size: int) -> TensorVariable:
    minibatch, time, channels = maps.type.shape
    return maps.reshape((minibatch, time, channels // size, size))


def dropped(units: TensorVariable, mask: TensorVariable, rate: float) -> TensorVariable:
    """Units that `mask` keeps, scaled so that their expected sum stays the same."""
    return units * mask.astype(units.dtype) * np.float32(1 / (1 - rate))
