"""Units that have fallen silent: 0 for whatever is played, so that no gradient can wake them."""

from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray

from theanoish.data.dataset import Windows
from theanoish.model.compile import compile_function
from theanoish.model.network import Network

WINDOWS = 256  # that are played to find out
_AT_ONCE = 16


class Silence:
    """Finds the silent units of a network's rectified layers.

    Parameters
    ----------
    network : Network
    windows : Windows
        Consecutive windows of these clips are played, spread evenly over them.
    backend : {"jax", "numba"}

    Attributes
    ----------
    all_alike : bool
        Whether the windows do not differ from each other, so that no network could tell them apart.
    """

    def __init__(self, network: Network, windows: Windows, backend: str) -> None:
        self._played = _spread(windows)
        self.all_alike = bool((self._played == self._played[0]).all())
        variable = network.window_variable(_AT_ONCE)
        layers = network.rectified(variable)
        self._layers = list(layers)
        heard = [pt.gt(maps, 0).any(axis=tuple(range(maps.ndim - 1))) for maps in layers.values()]
        self._heard = compile_function([variable], heard, backend)

    def shares(self) -> dict[str, float]:
        """The share of units of each layer that are silent for all windows, with the network's present parameters."""
        parts = [self._heard(self._played[i : i + _AT_ONCE]) for i in range(0, len(self._played), _AT_ONCE)]
        heard = [np.any(layer, axis=0) for layer in zip(*parts, strict=True)]
        return {name: round(float(1 - np.mean(units)), 4) for name, units in zip(self._layers, heard, strict=True)}


def _spread(windows: Windows) -> NDArray[Any]:
    """WINDOWS windows at most, evenly spread; the last are repeated to fill up a call."""
    counts = windows.consecutive
    chosen = np.unique(np.linspace(0, counts.sum() - 1, WINDOWS).astype(np.int64))
    chosen = np.pad(chosen, (0, -len(chosen) % _AT_ONCE), mode="edge")
    ends = np.cumsum(counts)
    clips = np.searchsorted(ends, chosen, side="right")
    played = np.empty((len(chosen), *windows.shape), windows.dtype)
    windows.read(clips, windows.consecutive_offsets(chosen - (ends - counts)[clips]), played)
    return played
