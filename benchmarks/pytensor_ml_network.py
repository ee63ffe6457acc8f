"""The network and its training by pytensor-ml's layers (needs Python 3.12 or newer)."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable
from pytensor_ml.layers import Conv1D, Linear, MaxPool1D

from theanoish.model.compile import compile_function
from theanoish.model.descent import sgd
from theanoish.model.network import POOL, WIDTH
from theanoish.settings import Settings


class PytensorMlTrainer:
    """Training of a network on clips in memory, one update a call.

    Parameters
    ----------
    settings : Settings
    values : dict of str to float32 array
        Initial parameters, as `theanoish.model.network.Network.values` gives them.
    clips : int16 array (clips, samples) or float32 array (clips, frames, 128)
    labels : uint8 array (clips, tags)
    """

    def __init__(
        self, settings: Settings, values: dict[str, NDArray[np.float32]], clips: NDArray[Any], labels: NDArray[np.uint8]
    ) -> None:
        values = {name: value for name, value in values.items() if not name.startswith("start/")}
        self._clips, self._labels, self._names = clips, labels, list(values)
        raw, (flat, hidden) = settings.frontend == "raw", values["hidden/weights"].shape
        self._length = 48_000 if raw else settings.frames
        self._layers: dict[str, Any] = {
            "convolution1": Conv1D("convolution1", in_channels=128, out_channels=32, kernel_size=WIDTH),
            "convolution2": Conv1D("convolution2", in_channels=32, out_channels=32, kernel_size=WIDTH),
            "hidden": Linear("hidden", n_in=flat, n_out=hidden),
            "output": Linear("output", n_in=hidden, n_out=labels.shape[1]),
        }
        if raw:
            strided = {"kernel_size": settings.length, "stride": settings.stride}
            self._layers["strided"] = Conv1D("strided", in_channels=1, out_channels=128, **strided)
        for name, value in values.items():
            self._variable(name).set_value(_to_theirs(name, value))
        self._update = self._compile(settings)

    def _compile(self, settings: Settings) -> Any:
        shape = (settings.minibatch, self._length, *self._clips.shape[2:])
        windows = pt.tensor("windows", shape=shape, dtype=self._clips.dtype.name)
        labels = pt.tensor("labels", shape=(settings.minibatch, self._labels.shape[1]), dtype="uint8")
        logits = self._logits(windows)
        loss = pt.mean(pt.softplus(logits) - logits * labels)
        updates = sgd(loss, {name: self._variable(name) for name in self._names}, settings.learning_rate)
        return compile_function([windows, labels], loss, "jax", updates)

    def _logits(self, windows: TensorVariable) -> TensorVariable:
        maps: Any = windows
        if "strided" in self._layers:
            maps = pt.maximum(self._layers["strided"]((windows.astype("float32") / np.float32(32768))[:, :, None]), 0)
        for name in ("convolution1", "convolution2"):
            maps = self._layers[name](maps)
            missing = -maps.type.shape[1] % POOL
            padded = pt.pad(maps, ((0, 0), (0, missing), (0, 0)), constant_values=-np.inf) if missing else maps
            maps = pt.maximum(MaxPool1D(kernel_size=POOL)(padded), 0)
        units = pt.maximum(self._layers["hidden"](maps.reshape((maps.shape[0], -1))), 0)
        logits: TensorVariable = self._layers["output"](units)
        return logits

    def train(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Perform one update for each row of the indices, int32 (updates, minibatch); returns the losses."""
        losses = []
        for numbers, begins in zip(clips, offsets, strict=True):
            windows = [self._clips[c, o : o + self._length] for c, o in zip(numbers, begins, strict=True)]
            losses.append(self._update(np.stack(windows), self._labels[numbers]))
        return np.array(losses, np.float32)

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters, in the form of the initial ones."""
        return {name: _to_ours(name, np.asarray(self._variable(name).get_value())) for name in self._names}

    def _variable(self, name: str) -> Any:
        layer, kind = name.split("/")
        return self._layers[layer].b if kind == "bias" else self._layers[layer].W


def _to_theirs(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    """Filters (filters, channels, width) as (width, channels, filters)."""
    if not name.endswith("filters"):
        return value
    return np.ascontiguousarray(value.reshape(len(value), -1, value.shape[-1]).T)


def _to_ours(name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
    if not name.endswith("filters"):
        return value
    filters = value.T
    return np.ascontiguousarray(filters[:, 0] if name.startswith("strided") else filters)
