"""How a network starts: every layer sees numbers of size one, and the network predicts the tags' frequencies.

The paper names no initialisation. With this one a single learning rate serves all networks of Tables 1 to 3
(docs/choices.md has what was measured of that, and what was not).
"""

from typing import Any

import numpy as np
import pytensor
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.representation import FULL_SCALE
from theanoish.settings import INITIAL_PARAMETERS, Settings

WINDOWS_MEASURED = 100
RELU_BIAS = 0.01  # small and positive
STRIDED_SCALE = 0.3  # small filters turn faster at the same rate; logarithms do not need it, as they pass on 1 / input

Values = dict[str, NDArray[np.float32]]


def initial_parameters(settings: Settings, shapes: dict[str, tuple[int, ...]]) -> Values:
    """Weights from N(0, 2 / fan-in), after He et al. (2015); the top layer's are 0, as are its biases.

    Parameters
    ----------
    settings : Settings
    shapes : dict of str to tuple of int
        Of the parameters by name: strided filters (filters, length), filters (width, filters, channels), weights
        (inputs, units), biases (units,).
    """
    generator = np.random.default_rng([settings.seed, INITIAL_PARAMETERS])
    values = {}
    for name, shape in shapes.items():
        if name == "output/weights":
            value = np.zeros(shape)
        elif name.endswith("bias"):
            value = np.full(shape, 0 if name == "output/bias" else RELU_BIAS)
        else:
            units = shape[0] if name == "strided/filters" else shape[1]
            value = generator.standard_normal(shape) * np.sqrt(2 * units / np.prod(shape))
        values[name] = value.astype(np.float32)
    if "strided/filters" in values and not settings.nonlinearity.startswith("log"):
        values["strided/filters"] *= np.float32(STRIDED_SCALE)
    return values


def loudness(windows: NDArray[np.int16]) -> NDArray[np.float32]:
    """What raw samples are divided by: their root mean square, in [-1, 1), as an array of shape (1,)."""
    return _never_zero(np.sqrt(np.mean(np.square(windows / FULL_SCALE), keepdims=True)).reshape(1))


def centre_and_spread(windows: NDArray[Any], variable: TensorVariable, maps: TensorVariable) -> tuple[Any, Any]:
    """What the first convolution's input h is made of size one with, as (h - centre) / spread.

    Parameters
    ----------
    windows : array (windows, ...)
        Of the training split, the value of `variable`.
    maps : symbolic variable (windows, time, channels)
        The spectrogram or what stands for it, as a function of `variable`. It is computed by PyTensor's Python
        implementation, whatever the backend, so that all backends start from the same numbers.

    Returns
    -------
    centre : float32 array (channels,)
        Mean of each channel.
    spread : float32 array (1,)
        Root mean square of what remains.
    """
    values = pytensor.function([variable], maps, mode="FAST_COMPILE")(windows).astype(np.float64)
    centre = values.mean(axis=(0, 1))
    return centre.astype(np.float32), _never_zero(np.sqrt(np.mean((values - centre) ** 2)).reshape(1))


def log_odds(labels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The top layer's bias for labels (clips, tags): log((n_t + 1) / (n - n_t + 1)) for n_t of n clips with tag t."""
    tagged = labels.sum(axis=0, dtype=np.int64)
    return np.log((tagged + 1) / (len(labels) - tagged + 1)).astype(np.float32)


def _never_zero(value: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of silence, or of a single colour, all is 0: then nothing needs to be divided."""
    return np.where(value > 0, value, 1).astype(np.float32)
