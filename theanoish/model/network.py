"""The paper's network (section 4.1, Fig. 1) as one symbolic graph."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.errors import InputError
from theanoish.model.operations import (
    convolve,
    drop,
    l2_pool,
    max_pool,
    pooled_length,
    rectified_max_pool,
    relu,
    strided_convolve,
)
from theanoish.representation import COMPRESSION, FULL_SCALE, MEL_CHANNELS, WINDOW_SAMPLES
from theanoish.settings import STRIDED_FILTERS, Settings

FILTERS, WIDTH, POOL, HIDDEN_UNITS = 32, 8, 4, 100
RELU_BIAS = 0.01  # small and positive, so that no unit starts out dead
# Spectrograms are large and positive, so that the logits would start several units from 0; what brings them back kills
# units, and under dropout all of them. Logits of raw audio start near 0 by themselves.
MEL_OUTPUT_SCALE = 0.1
_INITIAL = 0  # stream of the seed that the initial parameters come from

# What follows the strided convolution, by pooling (Table 3) and nonlinearity (Table 2), for pools of `size` filters.
AFTER_STRIDED: dict[tuple[str, str], Callable[[TensorVariable, int], TensorVariable]] = {
    ("none", "relu"): lambda maps, size: relu(maps),
    ("none", "log-square"): lambda maps, size: pt.log1p(np.float32(COMPRESSION) * pt.sqr(maps)),
    ("none", "log-absolute"): lambda maps, size: pt.log1p(np.float32(COMPRESSION) * abs(maps)),
    ("l2", "relu"): lambda maps, size: l2_pool(maps, size),
    ("max", "relu"): lambda maps, size: max_pool(maps, size),
}


class Network:
    """Two convolutions, each max-pooled, and two dense layers; for raw audio a strided convolution before them.

    Parameters
    ----------
    settings : Settings
    tags : int
        Output units.

    Attributes
    ----------
    shapes : dict of str to tuple of int
        Shape of each layer's output for one window, from the windows to the tags: (time, channels) or (units,).
    parameters : dict of str to shared variable
        By layer and name, in the order of the layers: "strided/filters", "strided/bias", "convolution1/filters", ...
    droppable : int
        Units of a window that dropout may drop: the inputs of both dense layers.

    Raises
    ------
    InputError
        If the pooling and nonlinearity of `settings` are none of `AFTER_STRIDED`.
    """

    def __init__(self, settings: Settings, tags: int) -> None:
        if (settings.pooling, settings.nonlinearity) not in AFTER_STRIDED:
            raise InputError(f"no network has pooling {settings.pooling} and nonlinearity {settings.nonlinearity}")
        self.settings = settings
        self.shapes = _shapes(settings, tags)
        self.flat = int(np.prod(self.shapes["pool2"]))
        self.droppable = self.flat + HIDDEN_UNITS
        self.parameters = {
            name: pytensor.shared(value, name=name, shape=value.shape)
            for name, value in _initial_values(settings, self.shapes).items()
        }

    def window_variable(self, minibatch: int) -> TensorVariable:
        """The symbolic input: int16 (minibatch, 48000) samples or float32 (minibatch, frames, 128) log-mel frames."""
        if self.settings.frontend == "raw":
            return pt.tensor("windows", shape=(minibatch, WINDOW_SAMPLES), dtype="int16")
        return pt.tensor("windows", shape=(minibatch, *self.shapes["input"]), dtype="float32")

    def training_inputs(self) -> list[TensorVariable]:
        """The symbolic inputs of `loss`: windows, uint8 labels (minibatch, tags) and, with dropout, its masks.

        A mask is uint8, (minibatch, droppable), and 1 for units that are kept.
        """
        minibatch = self.settings.minibatch
        labels = pt.tensor("labels", shape=(minibatch, *self.shapes["output"]), dtype="uint8")
        masks = pt.tensor("masks", shape=(minibatch, self.droppable), dtype="uint8")
        return [self.window_variable(minibatch), labels, *([masks] if self.settings.dropout else [])]

    def layers(self, windows: TensorVariable, masks: TensorVariable | None = None) -> dict[str, TensorVariable]:
        """The output of every layer, from the windows to the logits: Fig. 1 read downwards.

        With `masks` the dense layers are under dropout.
        """
        p, settings, layer = self.parameters, self.settings, {}
        maps = windows
        if settings.frontend == "raw":
            signal = windows.astype("float32") * np.float32(1 / FULL_SCALE)
            maps = strided_convolve(signal, p["strided/filters"], p["strided/bias"], settings.stride)
            maps = AFTER_STRIDED[settings.pooling, settings.nonlinearity](maps, settings.pool_size)
            layer["strided"] = maps
        maps = convolve(maps, p["convolution1/filters"])
        maps = layer["pool1"] = rectified_max_pool(maps, p["convolution1/bias"], size=POOL)
        maps = convolve(maps, p["convolution2/filters"])
        maps = layer["pool2"] = rectified_max_pool(maps, p["convolution2/bias"], size=POOL)
        units = maps.reshape((windows.type.shape[0], self.flat))
        if masks is not None:
            units = drop(units, masks[:, : self.flat], settings.dropout)
        units = layer["hidden"] = relu(units.dot(p["hidden/weights"]) + p["hidden/bias"])
        if masks is not None:
            units = drop(units, masks[:, self.flat :], settings.dropout)
        layer["output"] = units.dot(p["output/weights"]) + p["output/bias"]
        return layer

    def logits(self, windows: TensorVariable, masks: TensorVariable | None = None) -> TensorVariable:
        """What the sigmoid of the top layer takes, float32 (minibatch, tags)."""
        return self.layers(windows, masks)["output"]

    def probabilities(self, windows: TensorVariable) -> TensorVariable:
        """Probability of each tag, float32 (minibatch, tags)."""
        return pt.sigmoid(self.logits(windows))

    def loss(
        self, windows: TensorVariable, labels: TensorVariable, masks: TensorVariable | None = None
    ) -> TensorVariable:
        """Binary cross-entropy, mean over minibatch and tags; from the logits, so that it never overflows."""
        logits = self.logits(windows, masks)
        loss = pt.mean(pt.softplus(logits) - logits * labels)
        loss.name = "loss"
        return loss

    def values(self) -> dict[str, NDArray[np.float32]]:
        """The parameters' values by name, in the layout of files: filters as (filters, channels, width)."""
        return {name: to_file(shared.get_value()) for name, shared in self.parameters.items()}

    def set_values(self, values: dict[str, NDArray[np.float32]]) -> None:
        """Give the parameters the values that `values` returned.

        Raises
        ------
        InputError
            If a name, shape or dtype is another.
        """
        set_all(self.parameters, values, "parameters")


def to_file(value: Any) -> NDArray[np.float32]:
    """A shared variable's value in the layout of files; in memory, filters are (width, filters, channels)."""
    array = np.asarray(value)
    return np.ascontiguousarray(array.transpose(1, 2, 0)) if array.ndim == 3 else array


def from_file(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of `to_file`."""
    return np.ascontiguousarray(array.transpose(2, 0, 1)) if array.ndim == 3 else array


def set_all(variables: dict[str, Any], values: dict[str, NDArray[np.float32]], what: str) -> None:
    """Give shared variables the values of a file.

    Raises
    ------
    InputError
        If a name, shape or dtype is another; `what` is how the message calls them.
    """
    arrays = {name: from_file(value) for name, value in values.items()}
    expected = {name: (variable.type.shape, variable.type.dtype) for name, variable in variables.items()}
    given = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    if given != expected:
        different = sorted(n for n in given.keys() | expected.keys() if given.get(n) != expected.get(n))
        raise InputError(f"{what} {', '.join(different)} do not fit the network of these settings")
    for name, variable in variables.items():
        variable.set_value(arrays[name])


def _shapes(settings: Settings, tags: int) -> dict[str, tuple[int, ...]]:
    frames, shapes = settings.frames, {}
    if settings.frontend == "mel":
        shapes["input"] = (frames, MEL_CHANNELS)
    else:
        shapes["input"] = (WINDOW_SAMPLES, 1)
        shapes["strided"] = (frames, STRIDED_FILTERS)
        if settings.pooling != "none":
            shapes["pooling"] = (frames, STRIDED_FILTERS // settings.pool_size)
    time = frames
    for number in (1, 2):
        shapes[f"convolution{number}"] = (time - WIDTH + 1, FILTERS)
        time = pooled_length(time - WIDTH + 1, POOL)
        shapes[f"pool{number}"] = (time, FILTERS)
    return shapes | {"hidden": (HIDDEN_UNITS,), "output": (tags,)}


def _initial_values(settings: Settings, shapes: dict[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Weights from N(0, 2 / fan-in), after He et al. (2015); biases before rectifiers small and positive."""
    generator = np.random.default_rng([settings.seed, _INITIAL])

    def normal(shape: tuple[int, ...], fan_in: int, scale: float = 1.0) -> NDArray[np.float32]:
        return (generator.standard_normal(shape) * np.sqrt(2.0 / fan_in) * scale).astype(np.float32)

    def bias(units: int, value: float = RELU_BIAS) -> NDArray[np.float32]:
        return np.full(units, value, np.float32)

    values = {}
    if settings.frontend == "raw":
        values["strided/filters"] = normal((STRIDED_FILTERS, settings.length), settings.length)
        values["strided/bias"] = bias(STRIDED_FILTERS)
    channels = shapes[list(shapes)[list(shapes).index("convolution1") - 1]][1]
    for number in (1, 2):
        values[f"convolution{number}/filters"] = normal((WIDTH, FILTERS, channels), channels * WIDTH)
        values[f"convolution{number}/bias"] = bias(FILTERS)
        channels = FILTERS
    flat, (tags,) = int(np.prod(shapes["pool2"])), shapes["output"]
    values["hidden/weights"] = normal((flat, HIDDEN_UNITS), flat)
    values["hidden/bias"] = bias(HIDDEN_UNITS)
    scale = MEL_OUTPUT_SCALE if settings.frontend == "mel" else 1.0
    values["output/weights"] = normal((HIDDEN_UNITS, tags), HIDDEN_UNITS, scale)
    values["output/bias"] = bias(tags, 0.0)
    return values
