"""The paper's network (section 4.1, Fig. 1) as one symbolic graph."""

import copy
from typing import Any

import numpy as np
import pytensor
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.errors import InputError
from theanoish.model.front_ends import FRONT_ENDS, Shapes
from theanoish.model.operations import convolve, drop, pooled_length, rectified_max_pool, relu
from theanoish.model.start import centre_and_spread, initial_parameters, log_odds, loudness
from theanoish.settings import Settings

WIDTH, POOL, HIDDEN_UNITS = 8, 4, 100


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
    constants : dict of str to shared variable
        What `measure_start` measures and training leaves as it is: "start/centre" (channels,), "start/spread" (1,) and,
        for raw audio, "start/loudness" (1,).
    channels : int
        Of the first convolution's input.
    flat, droppable : int
        Inputs of the first dense layer, and of both: the units of a window that dropout may drop.

    Raises
    ------
    InputError
        If the pooling and nonlinearity of `settings` are none that a strided convolution has.
    """

    def __init__(self, settings: Settings, tags: int) -> None:
        self.settings = settings
        self.front_end = FRONT_ENDS[settings.frontend](settings)
        self.shapes = self.front_end.shapes | _shapes_behind(settings, tags)
        self.channels = self.front_end.channels
        self.flat = int(np.prod(self.shapes["pool2"]))
        self.droppable = self.flat + HIDDEN_UNITS
        # The names of parameters and constants, here and in the front ends, are those that files hold (`checkpoint`).
        shapes = self._parameter_shapes()
        self.parameters = _shared(initial_parameters(settings, shapes))
        self.constants = _shared(
            {"start/centre": np.zeros(self.channels, np.float32), "start/spread": np.ones(1, np.float32)}
        )
        if settings.representation.is_raw:
            self.constants |= _shared({"start/loudness": np.ones(1, np.float32)})

    def _parameter_shapes(self) -> Shapes:
        """Of each parameter, in memory: filters are (width, filters, channels) there."""
        filters, (tags,) = self.settings.filters, self.shapes["output"]
        return self.front_end.parameters | {
            "convolution1/filters": (WIDTH, filters, self.channels),
            "convolution1/bias": (filters,),
            "convolution2/filters": (WIDTH, filters, filters),
            "convolution2/bias": (filters,),
            "hidden/weights": (self.flat, HIDDEN_UNITS),
            "hidden/bias": (HIDDEN_UNITS,),
            "output/weights": (HIDDEN_UNITS, tags),
            "output/bias": (tags,),
        }

    def window_variable(self, minibatch: int) -> TensorVariable:
        """The symbolic input: int16 (minibatch, 48000) samples or float32 (minibatch, frames, 128) log-mel frames."""
        fed = self.settings.representation
        return pt.tensor("windows", shape=(minibatch, *fed.window_shape), dtype=fed.dtype.name)

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
        maps = layer["front end"] = self._front_end(windows)
        filters, bias = self._on_size_one(p["convolution1/filters"], p["convolution1/bias"])
        maps = layer["pool1"] = rectified_max_pool(convolve(maps, filters), bias, size=POOL)
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

    def _front_end(self, windows: TensorVariable) -> TensorVariable:
        """The spectrogram, or what stands for it: float32 (minibatch, frames, channels)."""
        return self.front_end.maps(self.parameters | self.constants, windows)

    def _on_size_one(self, filters: TensorVariable, bias: TensorVariable) -> tuple[TensorVariable, TensorVariable]:
        """Filters and bias that give for maps h what the given ones give for (h - centre) / spread, at less work."""
        filters = filters / self.constants["start/spread"]
        return filters, bias - (filters * self.constants["start/centre"]).sum(axis=(0, 2))

    @property
    def trained(self) -> dict[str, Any]:
        """The parameters that training changes: all of them, but for the strided convolution's if it is fixed."""
        fixed = self.settings.fixed_filters
        return {n: variable for n, variable in self.parameters.items() if not (fixed and n.startswith("strided/"))}

    def with_parameters(self, others: dict[str, Any]) -> "Network":
        """This network with other shared variables in place of some parameters; the rest it has in common."""
        network = copy.copy(self)
        network.parameters = self.parameters | others
        return network

    def measure_start(
        self, windows: NDArray[Any], labels: NDArray[np.uint8], filters: NDArray[np.float32] | None = None
    ) -> None:
        """Measure what the network starts from (`theanoish.model.start`): the constants, and the top layer's bias.

        Parameters
        ----------
        windows : int16 (windows, 48000) or float32 (windows, frames, 128) array
            Of the training split.
        labels : uint8 array (clips, tags)
            Of the whole training split.
        filters : float32 array (filters, length), optional
            What the strided convolution starts as, for samples in [-1, 1), in place of what was drawn.
        """
        if "start/loudness" in self.constants:
            self.constants["start/loudness"].set_value(loudness(windows))
        if filters is not None:  # which the samples, divided by their loudness, must not feel
            self.parameters["strided/filters"].set_value(filters * self.constants["start/loudness"].get_value())
            self.parameters["strided/bias"].set_value(np.zeros(len(filters), np.float32))
        variable = self.window_variable(len(windows))
        centre, spread = centre_and_spread(windows, variable, self._front_end(variable))
        self.constants["start/centre"].set_value(centre)
        self.constants["start/spread"].set_value(spread)
        self.parameters["output/bias"].set_value(log_odds(labels))

    def rectified(self, windows: TensorVariable) -> dict[str, TensorVariable]:
        """Outputs, (minibatch, ..., units), of the layers that end in a rectifier, whose units can fall silent."""
        layer = self.layers(windows)
        outputs = {"convolution1": layer["pool1"], "convolution2": layer["pool2"], "hidden": layer["hidden"]}
        if self.front_end.rectified:
            outputs = {self.front_end.rectified: layer["front end"]} | outputs
        return outputs

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
        """Parameters and constants by name, in the layout of files: filters as (filters, channels, width)."""
        return {name: to_file(shared.get_value()) for name, shared in (self.parameters | self.constants).items()}

    def set_values(self, values: dict[str, NDArray[np.float32]]) -> None:
        """Give parameters and constants the values that `values` returned.

        Raises
        ------
        InputError
            If a name, shape or dtype is another.
        """
        set_all(self.parameters | self.constants, values, "parameters")


def _shared(values: dict[str, NDArray[np.float32]]) -> dict[str, Any]:
    return {name: pytensor.shared(value, name=name, shape=value.shape) for name, value in values.items()}


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


def _shapes_behind(settings: Settings, tags: int) -> Shapes:
    """Of each layer's output behind the front end, for one window."""
    shapes: Shapes = {}
    time = settings.frames
    for number in (1, 2):
        shapes[f"convolution{number}"] = (time - WIDTH + 1, settings.filters)
        time = pooled_length(time - WIDTH + 1, POOL)
        shapes[f"pool{number}"] = (time, settings.filters)
    return shapes | {"hidden": (HIDDEN_UNITS,), "output": (tags,)}
