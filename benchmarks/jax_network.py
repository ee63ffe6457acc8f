"""The network and its training written by hand in JAX, without PyTensor: what this project must be level with."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial, reduce
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from theanoish.model.network import POOL, from_file, to_file
from theanoish.settings import Settings

Parameters = dict[str, Any]
Convolve = Callable[[Any, Any], Any]
Pool = Callable[[Any, Any], Any]


class JaxTrainer:
    """Training of a network without pooled features, on clips that are held on the device.

    Parameters
    ----------
    settings : Settings
        With a stride that equals the length.
    values : dict of str to float32 array
        Initial parameters, as `theanoish.model.network.Network.values` gives them.
    clips : int16 array (clips, samples) or float32 array (clips, frames, 128)
    labels : uint8 array (clips, tags)
    convolve, pool : callable
        How to convolve and to pool: two of the functions below.
    updates_a_call : int
        1 for one call an update, otherwise ``lax.scan`` over so many.
    """

    def __init__(
        self,
        settings: Settings,
        values: dict[str, NDArray[np.float32]],
        clips: NDArray[Any],
        labels: NDArray[np.uint8],
        convolve: Convolve,
        pool: Pool,
        updates_a_call: int,
    ) -> None:
        self._updates_a_call = updates_a_call
        arrays = {name: jnp.asarray(from_file(value)) for name, value in values.items()}
        self._start = {name: value for name, value in arrays.items() if name.startswith("start/")}
        self._parameters = {name: value for name, value in arrays.items() if name not in self._start}
        self._clips, self._labels = jnp.asarray(clips), jnp.asarray(labels)
        self._update = partial(_update, partial(_loss, convolve, pool, settings), settings)
        self._window_length = 48_000 if settings.frontend == "raw" else settings.frames
        self._scan = jax.jit(self._scanned, donate_argnums=0)
        self._single = jax.jit(self._update_resident, donate_argnums=0)

    def train(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Perform one update for each row of the indices, int32 (updates, minibatch); returns the losses."""
        step = self._train_scanned if self._updates_a_call > 1 else self._train_singly
        return np.asarray(step(clips, offsets))

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters, in the form of the initial ones."""
        return {name: to_file(value) for name, value in self._parameters.items()}

    def train_on_blocks(self, blocks: Iterable[list[Any]]) -> Iterator[NDArray[np.float32]]:
        """Perform the updates of each block, windows and labels (updates, minibatch, ...); yields their losses."""

        def scanned(parameters: Parameters, start: Parameters, *seen: Any) -> Any:
            return lax.scan(lambda carried, minibatch: self._update(carried, start, *minibatch), parameters, seen)

        scan = jax.jit(scanned, donate_argnums=0)
        for block in blocks:
            self._parameters, losses = scan(self._parameters, self._start, *block)
            yield np.asarray(losses)

    def _train_singly(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> Any:
        losses = []
        for minibatch in zip(clips, offsets, strict=True):
            self._parameters, loss = self._single(self._parameters, self._start, self._clips, self._labels, *minibatch)
            losses.append(loss)
        return jnp.stack(losses)

    def _train_scanned(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> Any:
        losses = []
        for first in range(0, len(clips), self._updates_a_call):
            block = slice(first, first + self._updates_a_call)
            self._parameters, some = self._scan(
                self._parameters, self._start, self._clips, self._labels, clips[block], offsets[block]
            )
            losses.append(some)
        return jnp.concatenate(losses)

    def _scanned(
        self, parameters: Parameters, start: Parameters, data: Any, labels: Any, clips: Any, offsets: Any
    ) -> Any:
        def body(carried: Parameters, minibatch: Any) -> Any:
            return self._update_resident(carried, start, data, labels, *minibatch)

        return lax.scan(body, parameters, (clips, offsets))

    def _update_resident(
        self, parameters: Parameters, start: Parameters, data: Any, labels: Any, clips: Any, offsets: Any
    ) -> Any:
        windows = [_cut(data, clip, offset, self._window_length) for clip, offset in zip(clips, offsets, strict=True)]
        return self._update(parameters, start, jnp.stack(windows), labels[clips])


def lax_convolution(maps: Any, filters: Any) -> Any:
    """XLA's own convolution of (minibatch, time, channels) with (width, filters, channels)."""
    return lax.conv_general_dilated(maps, filters, (1,), "VALID", dimension_numbers=("NWC", "WOI", "NWC"))


def sum_of_products(maps: Any, filters: Any) -> Any:
    """One matrix product for each tap."""
    time = maps.shape[1] - len(filters) + 1
    return sum(maps[:, tap : tap + time] @ taps.T for tap, taps in enumerate(filters))


@jax.custom_vjp
def shift_add(maps: Any, filters: Any) -> Any:
    """One matrix product with all taps of all filters, then the sum of the taps' shifted outputs."""
    width, time = len(filters), maps.shape[1] - len(filters) + 1
    taps = (maps @ _rows(filters).T).reshape(*maps.shape[:2], width, -1)
    return sum(taps[:, tap : tap + time, tap] for tap in range(width))


def _shift_add_forward(maps: Any, filters: Any) -> tuple[Any, tuple[Any, Any]]:
    return shift_add(maps, filters), (maps, filters)


def _shift_add_backward(inputs: tuple[Any, Any], gradient: Any) -> tuple[Any, Any]:
    maps, filters = inputs
    (width, outputs, channels), (minibatch, time) = filters.shape, maps.shape[:2]
    padded = jnp.pad(gradient.transpose(2, 0, 1), ((0, 0), (0, 0), (width - 1, width - 1)))
    taps = jnp.stack([padded[:, :, width - 1 - tap :][:, :, :time] for tap in range(width)])
    taps = taps.reshape(width * outputs, minibatch * time)
    for_filters = taps @ maps.reshape(-1, channels)
    return (taps.T @ _rows(filters)).reshape(maps.shape), for_filters.reshape(filters.shape)


shift_add.defvjp(_shift_add_forward, _shift_add_backward)


def _rows(filters: Any) -> Any:
    return filters.reshape(-1, filters.shape[2])


def max_pool(maps: Any, bias: Any) -> Any:
    """Maximum, bias and rectifier as they are written down."""
    return jax.nn.relu(_pools(maps).max(axis=2) + bias)


@jax.custom_vjp
def rectified_max_pool(maps: Any, bias: Any) -> Any:
    """Maximum, bias and rectifier, whose gradient is given to which input won."""
    pools = _pools(maps)
    return jax.nn.relu(reduce(jnp.maximum, [pools[:, :, i] for i in range(POOL)]) + bias)


def _rectified_max_pool_forward(maps: Any, bias: Any) -> tuple[Any, tuple[Any, Any]]:
    return rectified_max_pool(maps, bias), (maps, bias)


def _rectified_max_pool_backward(inputs: tuple[Any, Any], gradient: Any) -> tuple[Any, Any]:
    maps, bias = inputs
    pools = _pools(maps)
    threshold = jnp.broadcast_to(-bias, (*pools.shape[:2], 1, len(bias)))
    winner = jnp.concatenate([threshold, pools], axis=2).argmax(axis=2, keepdims=True)
    for_pools = jnp.where(winner == jnp.arange(1, POOL + 1)[:, None], gradient[:, :, None], 0)
    for_maps = for_pools.reshape(len(maps), -1, len(bias))[:, : maps.shape[1]]
    return for_maps, jnp.where(winner != 0, gradient[:, :, None], 0).sum(axis=(0, 1, 2))


rectified_max_pool.defvjp(_rectified_max_pool_forward, _rectified_max_pool_backward)


def _pools(maps: Any) -> Any:
    minibatch, time, channels = maps.shape
    padded = jnp.pad(maps, ((0, 0), (0, -time % POOL), (0, 0)), constant_values=-jnp.inf)
    return padded.reshape(minibatch, -1, POOL, channels)


def _update(
    loss: Callable[..., Any], settings: Settings, parameters: Parameters, start: Parameters, windows: Any, labels: Any
) -> tuple[Parameters, Any]:
    value, gradients = jax.value_and_grad(loss)(parameters, start, windows, labels)
    rate = settings.learning_rate
    return jax.tree.map(lambda parameter, gradient: parameter - rate * gradient, parameters, gradients), value


def _cut(data: Any, clip: Any, offset: Any, length: int) -> Any:
    start = (clip, offset) + (0,) * (data.ndim - 2)
    return lax.dynamic_slice(data, start, (1, length, *data.shape[2:]))[0]


def _loss(
    convolve: Convolve,
    pool: Pool,
    settings: Settings,
    parameters: Parameters,
    start: Parameters,
    windows: Any,
    labels: Any,
) -> Any:
    maps = windows
    if settings.frontend == "raw":
        frames = windows[:, : settings.frames * settings.length].reshape(len(windows), settings.frames, -1)
        frames = frames.astype(jnp.float32) * (1 / 32768 / start["start/loudness"])
        maps = jax.nn.relu(frames @ parameters["strided/filters"].T + parameters["strided/bias"])
    filters = parameters["convolution1/filters"] / start["start/spread"]
    bias = parameters["convolution1/bias"] - (filters * start["start/centre"]).sum(axis=(0, 2))
    maps = pool(convolve(maps, filters), bias)
    maps = pool(convolve(maps, parameters["convolution2/filters"]), parameters["convolution2/bias"])
    units = maps.reshape(len(maps), -1)
    units = jax.nn.relu(units @ parameters["hidden/weights"] + parameters["hidden/bias"])
    logits = units @ parameters["output/weights"] + parameters["output/bias"]
    return jnp.mean(jax.nn.softplus(logits) - logits * labels)
