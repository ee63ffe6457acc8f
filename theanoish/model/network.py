"""The paper's network (section 4.1, Fig. 1) as one symbolic graph."""

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.errors import InputError
from theanoish.model.operations import (
    COMPRESSION,
    Convolution,
    Dense,
    RectifiedMaxPool,
    StridedConvolution,
    dropped,
    l2_pooled,
    max_pooled,
    relu,
)
from theanoish.settings import MEL_CHANNELS, STRIDED_FILTERS, WINDOW_SAMPLES, Settings

FILTERS, WIDTH, POOL, HIDDEN_UNITS = 32, 8, 4, 100
# Spectrograms are large and positive, so that the logits would start several units from 0; what brings them back kills
# units, and under dropout all of them. Logits of raw audio start near 0 by themselves.
MEL_OUTPUT_SCALE = 0.1
_INITIAL = 0  # stream of the seed that the initial parameters come from


class Network:
    """Two convolutions, each max-pooled, and two dense layers; for raw audio a strided convolution before them.

    Parameters
    ----------
    settings : Settings
    tags : int
        Output units.

    Attributes
    ----------
    parameters : dict of str to shared variable
        By layer and name, in the order of the layers: "strided/filters", "convolution1/filters", ...
    droppable : int
        Units of a window that dropout may drop: the inputs of both dense layers.
    """

    def __init__(self, settings: Settings, tags: int) -> None:
        self.settings = settings
        generator = np.random.default_rng([settings.seed, _INITIAL])
        if settings.frontend == "raw":
            self.strided = StridedConvolution(
                WINDOW_SAMPLES, STRIDED_FILTERS, settings.length, settings.stride, generator
            )
        channels = MEL_CHANNELS if settings.frontend == "mel" else STRIDED_FILTERS // settings.pool_size
        self.convolution1 = Convolution((settings.frames, channels), FILTERS, WIDTH, generator)
        self.pool1 = RectifiedMaxPool(self.convolution1.output_shape, POOL)
        self.convolution2 = Convolution(self.pool1.output_shape, FILTERS, WIDTH, generator)
        self.pool2 = RectifiedMaxPool(self.convolution2.output_shape, POOL)
        self.flat = int(np.prod(self.pool2.output_shape))
        self.hidden = Dense(self.flat, HIDDEN_UNITS, generator)
        scale = MEL_OUTPUT_SCALE if settings.frontend == "mel" else 1.0
        self.output = Dense(HIDDEN_UNITS, tags, generator, bias=0.0, scale=scale)
        self.droppable = self.flat + HIDDEN_UNITS
        names = ("strided", "convolution1", "pool1", "convolution2", "pool2", "hidden", "output")
        layers = {name: getattr(self, name) for name in names if hasattr(self, name)}
        self.parameters = {f"{n}/{p}": shared for n, layer in layers.items() for p, shared in layer.parameters.items()}

    def window_variable(self, minibatch: int) -> TensorVariable:
        """The symbolic input: int16 (minibatch, 48000) samples or float32 (minibatch, frames, 128) log-mel frames."""
        if self.settings.frontend == "raw":
            return pt.tensor("windows", shape=(minibatch, WINDOW_SAMPLES), dtype="int16")
        return pt.tensor("windows", shape=(minibatch, self.settings.frames, MEL_CHANNELS), dtype="float32")

    def label_variable(self, minibatch: int) -> TensorVariable:
        """The symbolic labels: uint8 (minibatch, tags)."""
        tags = self.output.bias.type.shape[0]
        return pt.tensor("labels", shape=(minibatch, tags), dtype="uint8")

    def mask_variable(self, minibatch: int) -> TensorVariable:
        """The symbolic dropout mask: uint8 (minibatch, droppable), 1 where a unit is kept."""
        return pt.tensor("mask", shape=(minibatch, self.droppable), dtype="uint8")

    def logits(self, windows: TensorVariable, mask: TensorVariable | None = None) -> TensorVariable:
        """What the sigmoid of the top layer takes, float32 (minibatch, tags); with `mask`, under dropout."""
        maps = self._spectrogram_stand_in(windows) if self.settings.frontend == "raw" else windows
        maps = self.pool1(self.convolution1(maps))
        maps = self.pool2(self.convolution2(maps))
        units = maps.reshape((windows.type.shape[0], self.flat))
        if mask is None:
            return self.output(relu(self.hidden(units)))
        units = dropped(units, mask[:, : self.flat], self.settings.dropout)
        return self.output(dropped(relu(self.hidden(units)), mask[:, self.flat :], self.settings.dropout))

    def _spectrogram_stand_in(self, windows: TensorVariable) -> TensorVariable:
        maps = self.strided(windows.astype("float32") * np.float32(1 / 32768))
        match self.settings.pooling, self.settings.nonlinearity:
            case "l2", _:
                return l2_pooled(maps, self.settings.pool_size)
            case "max", _:
                return max_pooled(maps, self.settings.pool_size)
            case _, "log-square":
                return pt.log1p(np.float32(COMPRESSION) * pt.sqr(maps))
            case _, "log-absolute":
                return pt.log1p(np.float32(COMPRESSION) * abs(maps))
            case _:
                return relu(maps)

    def probabilities(self, windows: TensorVariable) -> TensorVariable:
        """Probability of each tag, float32 (minibatch, tags)."""
        return pt.sigmoid(self.logits(windows))

    def loss(
        self, windows: TensorVariable, labels: TensorVariable, mask: TensorVariable | None = None
    ) -> TensorVariable:
        """Binary cross-entropy, mean over minibatch and tags; from the logits, so that it never overflows."""
        logits = self.logits(windows, mask)
        return pt.mean(pt.softplus(logits) - logits * labels)

    def values(self) -> dict[str, NDArray[np.float32]]:
        """The parameters' values by name."""
        return {name: np.asarray(shared.get_value()) for name, shared in self.parameters.items()}

    def set_values(self, values: dict[str, NDArray[np.float32]]) -> None:
        """Give the parameters the values that `values` returned.

        Raises
        ------
        InputError
            Where a name, shape or dtype is another.
        """
        expected = {name: (shared.type.shape, shared.type.dtype) for name, shared in self.parameters.items()}
        given = {name: (value.shape, str(value.dtype)) for name, value in values.items()}
        if given != expected:
            different = sorted(n for n in given.keys() | expected.keys() if given.get(n) != expected.get(n))
            raise InputError(f"parameters {', '.join(different)} do not fit the network of these settings")
        for name, shared in self.parameters.items():
            shared.set_value(values[name])
