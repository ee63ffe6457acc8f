"""Tag probabilities of whole clips: the mean over a clip's consecutive windows (section 4.1)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.backend import compile_function
from theanoish.dataset import Windows
from theanoish.network import Network

WINDOWS_A_CALL = 64


class Predictor:
    """Predicts clips with a network's present parameters.

    Parameters
    ----------
    network : Network
    backend : {"jax", "numba"}
    """

    def __init__(self, network: Network, backend: str) -> None:
        variable = network.window_variable(WINDOWS_A_CALL)
        self._probabilities = compile_function([variable], network.probabilities(variable), backend)

    def predict_clips(self, windows: Windows) -> NDArray[np.float32]:
        """Mean probabilities over the consecutive windows of every clip.

        Returns
        -------
        float32 array (clips, tags)
        """
        counts = windows.consecutive
        clips = np.repeat(np.arange(len(counts)), counts)
        numbers = np.concatenate([np.arange(count) for count in counts])
        offsets = windows.consecutive_offsets(numbers)
        probabilities = np.concatenate([self.predict_windows(batch) for batch in _batches(windows, clips, offsets)])
        first_windows = np.cumsum(counts) - counts
        sums = np.add.reduceat(probabilities[: len(clips)], first_windows, axis=0, dtype=np.float64)
        return (sums / counts[:, None]).astype(np.float32)

    def predict_windows(self, windows: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (WINDOWS_A_CALL, tags) of exactly WINDOWS_A_CALL windows."""
        return np.asarray(self._probabilities(windows))


def _batches(windows: Windows, clips: NDArray[np.int64], offsets: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """The windows in batches of WINDOWS_A_CALL, each read while the one before it is used; the last is filled up."""

    def read(first: int) -> NDArray[Any]:
        batch = np.zeros((WINDOWS_A_CALL, *windows.shape), windows.dtype)
        chosen = slice(first, first + WINDOWS_A_CALL)
        windows.read(clips[chosen], offsets[chosen], batch)
        return batch

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read, 0)
        for first in range(WINDOWS_A_CALL, len(clips), WINDOWS_A_CALL):
            batch, ahead = ahead.result(), reader.submit(read, first)
            yield batch
        yield ahead.result()
