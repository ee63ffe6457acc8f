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


def shared_normal(generator: np.random.Generator, shape: Shape, fan_in: int, scale: float = 1.0) -> Any:
    """A shared variable with values from N(0, 2 / fan_in), after He et al. (2015), times `scale`."""
    values = generator.standard_normal(shape) * np.sqrt(2.0 / fan_in) * scale
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
    gradient is written out in the same form: the output's gradient, once for each tap and shifted, below each other,
    serves both the filters' and the input's. Its long axis, minibatch and time, comes last, and each tap of each filter
    is a row, (width, filters, channels), as XLA's fastest product for the filters' gradient has it.
    """

    def __init__(self, input_shape: Shape, filters: int, width: int, generator: np.random.Generator) -> None:
        self.time, self.channels = input_shape
        self.width, self.n_filters = width, filters
        self.output_shape = (self.time - width + 1, filters)
        self.filters = shared_normal(generator, (width, filters, self.channels), fan_in=self.channels * width)
        self.parameters = {"filters": self.filters}

    def __call__(self, maps: TensorVariable) -> TensorVariable:
        inputs = [maps.type(), self.filters.type()]
        op = OpFromGraph(inputs, [self._forward(*inputs)], inline=True, pullback=self._pullback)
        return op(maps, self.filters)

    def _forward(self, maps: TensorVariable, filters: TensorVariable) -> TensorVariable:
        minibatch, (time, outputs) = maps.type.shape[0], self.output_shape
        taps = self._all_times(maps).dot(self._rows(filters).T)
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
        # (minibatch, time, filters) -> (filters, minibatch, time), with room for every shift on both sides
        padded = pt.zeros((self.n_filters, minibatch, self.time + self.width - 1), dtype=maps.dtype)
        padded = pt.set_subtensor(padded[:, :, self.width - 1 : self.time], gradients[0].transpose((2, 0, 1)))
        # tap k of output t saw input t + k, so input t passes its gradient to tap k of output t - k
        starts = range(self.width - 1, -1, -1)
        taps = pt.stack([padded[:, :, start : start + self.time] for start in starts])
        taps = taps.reshape((self.width * self.n_filters, minibatch * self.time))
        for_maps = taps.T.dot(self._rows(filters))
        for_filters = taps.dot(self._all_times(maps))
        return [for_maps.reshape(maps.type.shape), for_filters.reshape(filters.type.shape)]

    def _all_times(self, maps: TensorVariable) -> TensorVariable:
        return maps.reshape((maps.type.shape[0] * self.time, self.channels))

    def _rows(self, filters: TensorVariable) -> TensorVariable:
        return filters.reshape((self.width * self.n_filters, self.channels))


class RectifiedMaxPool:
    """Maximum over `size` neighbouring time steps, a bias for each channel and the rectifier, as one operation.

    The last pool may be a partial one. Bias and rectifier after the maximum give the same maps as before it, at a
    fraction of the work.

    Parameters
    ----------
    input_shape : (int, int)
        Time and channels.
    size : int

    Notes
    -----
    All that the gradient needs is which input won, or that none was above the rectifier's threshold, minus the bias.
    Among equal inputs the first wins: PyTensor's gradient of a maximum would go to each of them in full, and so come to
    a multiple of itself wherever the music pauses.
    """

    def __init__(self, input_shape: Shape, size: int) -> None:
        self.time, self.channels = input_shape
        self.size = size
        self.output_shape = (-(-self.time // size), self.channels)
        self.bias = shared_constant(RELU_BIAS, self.channels)
        self.parameters = {"bias": self.bias}

    def __call__(self, maps: TensorVariable) -> TensorVariable:
        inputs = [maps.type(), self.bias.type()]
        op = OpFromGraph(inputs, [self._forward(*inputs)], inline=True, pullback=self._pullback)
        return op(maps, self.bias)

    def _forward(self, maps: TensorVariable, bias: TensorVariable) -> TensorVariable:
        pools = self._pools(maps)
        # maxima of whole slices, which XLA joins with the sum of the convolution's taps before them
        highest = pools[:, :, 0]
        for i in range(1, self.size):
            highest = pt.maximum(highest, pools[:, :, i])
        return relu(highest + bias)

    def _pullback(
        self, inputs: list[TensorVariable], outputs: list[TensorVariable], gradients: list[TensorVariable]
    ) -> list[TensorVariable]:
        maps, bias = inputs
        pools = self._pools(maps)
        minibatch, (n_pools, channels) = maps.type.shape[0], self.output_shape
        threshold = pt.broadcast_to(-bias, (minibatch, n_pools, 1, channels))
        winner = pt.argmax(pt.concatenate([threshold, pools], axis=2), axis=2, keepdims=True)
        gradient = pt.expand_dims(gradients[0], 2)
        places = np.arange(1, self.size + 1).reshape((-1, 1))
        for_pools = pt.switch(pt.eq(winner, places), gradient, np.float32(0))
        for_maps = for_pools.reshape((minibatch, n_pools * self.size, channels))[:, : self.time]
        for_bias = pt.switch(pt.neq(winner, 0), gradient, np.float32(0)).sum(axis=(0, 1, 2))
        return [for_maps, for_bias]

    def _pools(self, maps: TensorVariable) -> TensorVariable:
        """(minibatch, time, channels) -> (minibatch, pools, size, channels)"""
        minibatch, (pools, channels) = maps.type.shape[0], self.output_shape
        missing = pools * self.size - self.time
        if missing:
            lowest = pt.full((minibatch, missing, channels), -np.inf, dtype=maps.dtype)
            maps = pt.concatenate([maps, lowest], axis=1)
        return maps.reshape((minibatch, pools, self.size, channels))


class Dense:
    """A fully connected layer, without nonlinearity.

    Parameters
    ----------
    inputs, units : int
    generator : numpy Generator
        For the initial weights.
    bias : float
        Its initial value.
    scale : float
        Factor on the initial weights.
    """

    def __init__(
        self, inputs: int, units: int, generator: np.random.Generator, bias: float = RELU_BIAS, scale: float = 1.0
    ) -> None:
        self.weights = shared_normal(generator, (inputs, units), fan_in=inputs, scale=scale)
        self.bias = shared_constant(bias, units)
        self.parameters = {"weights": self.weights, "bias": self.bias}

    def __call__(self, units: TensorVariable) -> TensorVariable:
        return units.dot(self.weights) + self.bias


def relu(maps: TensorVariable) -> TensorVariable:
    """max(0, x), elementwise; its gradient needs the output alone, so that the input need not be kept for it."""

    def pullback(
        inputs: list[TensorVariable], outputs: list[TensorVariable], gradients: list[TensorVariable]
    ) -> list[TensorVariable]:
        return [pt.switch(pt.gt(outputs[0], np.float32(0)), gradients[0], np.float32(0))]

    inputs = [maps.type()]
    return OpFromGraph(inputs, [pt.maximum(inputs[0], np.float32(0))], inline=True, pullback=pullback)(maps)


def l2_pooled(maps: TensorVariable, size: int) -> TensorVariable:
    """Root mean square of each `size` adjacent channels, with a stabilising constant (section 4.4)."""
    return pt.sqrt(pt.mean(pt.sqr(_grouped(maps, size)), axis=3) + np.float32(L2_STABILISER))


def max_pooled(maps: TensorVariable, size: int) -> TensorVariable:
    """Maximum of each `size` adjacent channels: maxout units (section 4.4). The first of equals has the gradient."""

    def pullback(
        inputs: list[TensorVariable], outputs: list[TensorVariable], gradients: list[TensorVariable]
    ) -> list[TensorVariable]:
        winner = pt.argmax(inputs[0], axis=3, keepdims=True)
        return [pt.switch(pt.eq(winner, np.arange(size)), pt.expand_dims(gradients[0], 3), np.float32(0))]

    pools = _grouped(maps, size)
    inputs = [pools.type()]
    return OpFromGraph(inputs, [inputs[0].max(axis=3)], inline=True, pullback=pullback)(pools)


def _grouped(maps: TensorVariable, size: int) -> TensorVariable:
    minibatch, time, channels = maps.type.shape
    return maps.reshape((minibatch, time, channels // size, size))


def dropped(units: TensorVariable, mask: TensorVariable, rate: float) -> TensorVariable:
    """Units that `mask` keeps, scaled so that their expected sum stays the same."""
    return units * mask.astype(units.dtype) * np.float32(1 / (1 - rate))
