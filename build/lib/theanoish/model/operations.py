"""What the paper's networks compute, as pure functions of symbolic variables, each beside its gradient.

Feature maps are float32 of shape (minibatch, time, channels). Shapes are static throughout, since JAX compiles nothing
else and both backends are faster for it. PyTensor has no multi-channel convolution and no pooling; the formulations
here are the ones that were measured fastest (docs/speed.md).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.compile.builders import OpFromGraph
from pytensor.tensor.variable import TensorVariable

L2_STABILISER = 1e-6
_ZERO = np.float32(0)

Operation = Callable[..., TensorVariable]
Gradient = Callable[..., list[TensorVariable]]


def with_gradient(gradient: Gradient) -> Callable[[Operation], Operation]:
    """Make a function of symbolic variables one named operation of the graph, with a gradient written by hand.

    Parameters
    ----------
    gradient : callable
        Takes the operation's inputs, its output and the gradient by its output, and returns those by each input.
        Keyword arguments of the operation, which are constants, are handed on to it.
    """

    def decorate(forward: Operation) -> Operation:
        @wraps(forward)
        def operation(*inputs: TensorVariable, **constants: Any) -> TensorVariable:
            def pullback(inputs: Any, outputs: Any, gradients: Any) -> list[TensorVariable]:
                return gradient(*inputs, outputs[0], gradients[0], **constants)

            own = [variable.type() for variable in inputs]
            op = OpFromGraph(own, [forward(*own, **constants)], inline=True, pullback=pullback, name=forward.__name__)
            output: Any = op(*inputs)
            return output

        return operation

    return decorate


def strided_convolve(
    signal: TensorVariable, filters: TensorVariable, bias: TensorVariable, stride: int
) -> TensorVariable:
    """(minibatch, samples), (filters, length), (filters,) -> (minibatch, frames, filters)

    The layer that stands for the spectrogram (section 4.2, Fig. 1b). The signal is cut into blocks of `stride` samples;
    a frame is ``length / stride`` neighbouring blocks side by side, and the convolution is one matrix product of all
    frames with all filters. Without overlap that copies nothing. The filters are rows, since XLA computes their
    gradient a quarter faster than that of columns.
    """
    (minibatch, samples), (units, length) = signal.type.shape, filters.type.shape
    frames, overlap = (samples - length) // stride + 1, length // stride
    blocks = frames + overlap - 1
    blocked = signal[:, : blocks * stride].reshape((minibatch, blocks, stride))
    framed = pt.concatenate([blocked[:, i : i + frames] for i in range(overlap)], axis=2)
    product = framed.reshape((minibatch * frames, length)).dot(filters.T)
    return (product + bias).reshape((minibatch, frames, units))


def _convolve_gradient(
    maps: TensorVariable, filters: TensorVariable, output: TensorVariable, gradient: TensorVariable
) -> list[TensorVariable]:
    """The output's gradient, once for each tap and shifted, below each other, serves both inputs.

    Its long axis, minibatch and time, comes last, as XLA's fastest product for the filters' gradient has it.
    """
    (minibatch, time, channels), (width, units, _) = maps.type.shape, filters.type.shape
    # (minibatch, time, filters) -> (filters, minibatch, time), with room for every shift on both sides
    padded = pt.zeros((units, minibatch, time + width - 1), dtype=maps.dtype)
    padded = pt.set_subtensor(padded[:, :, width - 1 : time], gradient.transpose((2, 0, 1)))
    # tap k of output t saw input t + k, so input t passes its gradient to tap k of output t - k
    taps = pt.stack([padded[:, :, start : start + time] for start in range(width - 1, -1, -1)])
    taps = taps.reshape((width * units, minibatch * time))
    for_maps = taps.T.dot(filters.reshape((width * units, channels)))
    for_filters = taps.dot(maps.reshape((minibatch * time, channels)))
    return [for_maps.reshape(maps.type.shape), for_filters.reshape(filters.type.shape)]


@with_gradient(_convolve_gradient)
def convolve(maps: TensorVariable, filters: TensorVariable) -> TensorVariable:
    """(minibatch, time, channels), (width, filters, channels) -> (minibatch, time - width + 1, filters)

    Convolution over time, "valid": output t sees inputs t to t + width - 1. One matrix product of all inputs with every
    tap of every filter, then the sum of the taps' shifted outputs.
    """
    (minibatch, time, channels), (width, units, _) = maps.type.shape, filters.type.shape
    taps = maps.reshape((minibatch * time, channels)).dot(filters.reshape((width * units, channels)).T)
    taps = taps.reshape((minibatch, time, width, units))
    total = taps[:, : time - width + 1, 0]
    for tap in range(1, width):
        total = total + taps[:, tap : tap + time - width + 1, tap]
    return total


def _pools(maps: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels) -> (minibatch, pools, size, channels), the last pool filled up with -inf."""
    minibatch, time, channels = maps.type.shape
    pools = pooled_length(time, size)
    if missing := pools * size - time:
        lowest = pt.full((minibatch, missing, channels), -np.inf, dtype=maps.dtype)
        maps = pt.concatenate([maps, lowest], axis=1)
    return maps.reshape((minibatch, pools, size, channels))


def pooled_length(time: int, size: int) -> int:
    """How many pools of `size` cover `time` steps, the last one perhaps in part."""
    return -(-time // size)


def _rectified_max_pool_gradient(
    maps: TensorVariable, bias: TensorVariable, output: TensorVariable, gradient: TensorVariable, size: int
) -> list[TensorVariable]:
    """All that it needs is which input won, or that none was above the rectifier's threshold, minus the bias.

    Among equal inputs the first wins: PyTensor's gradient of a maximum would go to each of them in full, and so come to
    a multiple of itself wherever the music pauses.
    """
    (minibatch, time, channels), pools = maps.type.shape, _pools(maps, size)
    n_pools = pools.type.shape[1]
    threshold = pt.broadcast_to(-bias, (minibatch, n_pools, 1, channels))
    winner = pt.argmax(pt.concatenate([threshold, pools], axis=2), axis=2, keepdims=True)
    gradient = pt.expand_dims(gradient, 2)
    for_pools = pt.switch(pt.eq(winner, np.arange(1, size + 1).reshape((-1, 1))), gradient, _ZERO)
    for_maps = for_pools.reshape((minibatch, n_pools * size, channels))[:, :time]
    for_bias = pt.switch(pt.neq(winner, 0), gradient, _ZERO).sum(axis=(0, 1, 2))
    return [for_maps, for_bias]


@with_gradient(_rectified_max_pool_gradient)
def rectified_max_pool(maps: TensorVariable, bias: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels), (channels,) -> (minibatch, ceil(time / size), channels)

    Maximum over `size` neighbouring time steps, the bias and the rectifier. Bias and rectifier after the maximum give
    the same maps as before it, at a fraction of the work.
    """
    pools = _pools(maps, size)
    # maxima of whole slices, which XLA joins with the sum of the convolution's taps before them
    highest = pools[:, :, 0]
    for i in range(1, size):
        highest = pt.maximum(highest, pools[:, :, i])
    return relu(highest + bias)


def _relu_gradient(maps: TensorVariable, output: TensorVariable, gradient: TensorVariable) -> list[TensorVariable]:
    """From the output alone, so that the input need not be kept for it."""
    return [pt.switch(pt.gt(output, _ZERO), gradient, _ZERO)]


@with_gradient(_relu_gradient)
def relu(maps: TensorVariable) -> TensorVariable:
    """max(0, x), elementwise."""
    return pt.maximum(maps, _ZERO)


def _grouped(maps: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels) -> (minibatch, time, pools, size)"""
    minibatch, time, channels = maps.type.shape
    return maps.reshape((minibatch, time, channels // size, size))


def mean_square_pool(maps: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels) -> (minibatch, time, channels / size): mean square of `size` adjacent channels."""
    return pt.mean(pt.sqr(_grouped(maps, size)), axis=3)


def l2_pool(maps: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels) -> (minibatch, time, channels / size)

    Root mean square of each `size` adjacent channels, with a stabilising constant (section 4.4).
    """
    return pt.sqrt(mean_square_pool(maps, size) + np.float32(L2_STABILISER))


def merge_bands(spectrogram: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, bands) -> (minibatch, time, bands / size)

    Log-mel spectrograms of `size` adjacent bands averaged, whose triangles become trapezoids of unit area.
    """
    return pt.log1p(pt.mean(_grouped(pt.expm1(spectrogram), size), axis=3))


def _maxout_gradient(groups: TensorVariable, output: TensorVariable, gradient: TensorVariable) -> list[TensorVariable]:
    """The first of equals has it."""
    winner = pt.argmax(groups, axis=3, keepdims=True)
    return [pt.switch(pt.eq(winner, np.arange(groups.type.shape[3])), pt.expand_dims(gradient, 3), _ZERO)]


@with_gradient(_maxout_gradient)
def _maxout(groups: TensorVariable) -> TensorVariable:
    """(minibatch, time, pools, size) -> (minibatch, time, pools)"""
    return groups.max(axis=3)


def max_pool(maps: TensorVariable, size: int) -> TensorVariable:
    """(minibatch, time, channels) -> (minibatch, time, channels / size)

    Maximum of each `size` adjacent channels: maxout units (section 4.4).
    """
    return _maxout(_grouped(maps, size))


def drop(units: TensorVariable, mask: TensorVariable, rate: float) -> TensorVariable:
    """(minibatch, units), (minibatch, units) -> (minibatch, units)

    The units that `mask` keeps, scaled so that their expected sum stays the same.
    """
    return units * mask.astype(units.dtype) * np.float32(1 / (1 - rate))
