"""Front ends: what stands between the windows that a network is fed and its first convolution (section 4.2, Fig. 1).

Each is one class, and `FRONT_ENDS` says which one a setting's name means; `Network` knows nothing else of them.
"""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import pytensor.tensor as pt
from pytensor.tensor.variable import TensorVariable

from theanoish.model.operations import l2_pool, max_pool, mean_square_pool, merge_bands, relu, strided_convolve
from theanoish.representation import COMPRESSION, FULL_SCALE, MEL_CHANNELS, WINDOW_SAMPLES
from theanoish.settings import Settings

Shapes = dict[str, tuple[int, ...]]

# What follows the strided convolution, by pooling (Table 3) and nonlinearity (Table 2), for pools of `size` filters.
AFTER_STRIDED: dict[tuple[str, str], Callable[[TensorVariable, int], TensorVariable]] = {
    ("none", "relu"): lambda maps, size: relu(maps),
    ("none", "log-square"): lambda maps, size: pt.log1p(np.float32(COMPRESSION) * pt.sqr(maps)),
    ("none", "log-absolute"): lambda maps, size: pt.log1p(np.float32(COMPRESSION) * abs(maps)),
    ("l2", "relu"): l2_pool,
    ("l2", "log-square"): lambda maps, size: pt.log1p(np.float32(COMPRESSION) * mean_square_pool(maps, size)),
    ("max", "relu"): max_pool,
}


class FrontEnd(Protocol):
    """What each has; it is made of the settings alone."""

    shapes: Shapes  # of each layer's output for one window, from "input" on: (time, channels)
    parameters: Shapes  # of each parameter, by layer and name
    channels: int  # of its output
    rectified: str  # the layer whose units its output is, if these can fall silent; else empty

    def maps(self, parameters: dict[str, Any], windows: TensorVariable) -> TensorVariable:
        """float32 (minibatch, frames, channels) of windows, with parameters and constants of the start by name."""


class Spectrogram:
    """A log-mel spectrogram, computed before; adjacent bands may be averaged (Fig. 1a)."""

    rectified = ""

    def __init__(self, settings: Settings) -> None:
        self.channels = settings.mel_bands
        self.parameters: Shapes = {}
        self.shapes: Shapes = {"input": (settings.frames, MEL_CHANNELS)}
        if self.channels < MEL_CHANNELS:
            self.shapes["bands"] = (settings.frames, self.channels)

    def maps(self, parameters: dict[str, Any], windows: TensorVariable) -> TensorVariable:
        return merge_bands(windows, MEL_CHANNELS // self.channels) if self.channels < MEL_CHANNELS else windows


class StridedConvolution:
    """A strided convolution of raw audio, a nonlinearity and, perhaps, feature pooling (Fig. 1b and c)."""

    def __init__(self, settings: Settings) -> None:
        kind = settings.pooling, settings.nonlinearity
        self._after, self._pool_size, self._stride = AFTER_STRIDED[kind], settings.pool_size, settings.stride
        filters = settings.strided_filters
        self.channels = filters // settings.pool_size
        self.parameters: Shapes = {"strided/filters": (filters, settings.length), "strided/bias": (filters,)}
        self.shapes: Shapes = {"input": (WINDOW_SAMPLES, 1), "strided": (settings.frames, filters)}
        if settings.pooling != "none":
            self.shapes["pooling"] = (settings.frames, self.channels)
        self.rectified = "strided" if kind == ("none", "relu") else ""

    def maps(self, parameters: dict[str, Any], windows: TensorVariable) -> TensorVariable:
        signal = windows.astype("float32") * (np.float32(1 / FULL_SCALE) / parameters["start/loudness"])
        maps = strided_convolve(signal, parameters["strided/filters"], parameters["strided/bias"], self._stride)
        return self._after(maps, self._pool_size)


FRONT_ENDS: dict[str, Callable[[Settings], FrontEnd]] = {"raw": StridedConvolution, "mel": Spectrogram}
