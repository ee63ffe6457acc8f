"""Tag probabilities of whole clips: the mean over a clip's consecutive windows (section 4.1)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Windows
from theanoish.model.compile import compile_function, copied_to_device, free_device_memory
from theanoish.model.network import Network

# As many as fit a processor's cache together, or keep an accelerator busy.
WINDOWS_A_CALL, WINDOWS_A_CALL_ON_ACCELERATOR = 16, 512


class Predictor:
    """Predicts clips with a network's present parameters, `windows_a_call` at a time."""

    def __init__(self, network: Network, backend: str) -> None:
        self._on_accelerator = free_device_memory(backend) > 0
        self.windows_a_call = WINDOWS_A_CALL_ON_ACCELERATOR if self._on_accelerator else WINDOWS_A_CALL
        variable = network.window_variable(self.windows_a_call)
        self._probabilities = compile_function([variable], network.probabilities(variable), backend)

    def predict_clips(self, windows: Windows, report: Callable[[int, int], None] | None = None) -> NDArray[np.float32]:
        """Mean probabilities over the consecutive windows of every clip.

        Parameters
        ----------
        windows : Windows
        report : callable, optional
            Called with the number of windows predicted so far, and of all.

        Returns
        -------
        float32 array (clips, tags)
        """
        counts = windows.consecutive
        clips = np.repeat(np.arange(len(counts)), counts)
        numbers = np.concatenate([np.arange(count) for count in counts])
        offsets = windows.consecutive_offsets(numbers)
        batches = self._batches(windows, clips, offsets)
        predicted = []
        for batch in batches:
            predicted.append(self.predict_windows(batch))
            if report:
                report(min(len(predicted) * self.windows_a_call, len(clips)), len(clips))
        probabilities = np.concatenate(predicted)
        first_windows = np.cumsum(counts) - counts
        sums = np.add.reduceat(probabilities[: len(clips)], first_windows, axis=0, dtype=np.float64)
        return (sums / counts[:, None]).astype(np.float32)

    def predict_windows(self, windows: Any) -> NDArray[np.float32]:
        """Probabilities (windows_a_call, tags) of exactly `windows_a_call` windows, in memory or on the device."""
        return np.asarray(self._probabilities(windows))

    def _batches(self, windows: Windows, clips: NDArray[np.int64], offsets: NDArray[np.int64]) -> Iterator[Any]:
        """All windows, `windows_a_call` at a time, each read while the one before is used; the last is filled up."""
        size = self.windows_a_call

        def read(first: int) -> Any:
            batch = np.zeros((size, *windows.shape), windows.dtype)
            chosen = slice(first, first + size)
            windows.read(clips[chosen], offsets[chosen], batch)
            return copied_to_device(batch) if self._on_accelerator else batch

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, 0)
            for first in range(size, len(clips), size):
                batch, ahead = ahead.result(), reader.submit(read, first)
                yield batch
            yield ahead.result()
