"""Tag probabilities of whole clips: the mean over a clip's consecutive windows (section 4.1)."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from theanoish.model.compile import compile_function, copied_to_device, free_device_memory
from theanoish.model.network import Network

if TYPE_CHECKING:  # a network that only tags needs no data sets, and is loaded sooner
    from theanoish.data.dataset import Windows

# As many as fit a processor's cache together, or keep an accelerator busy.
WINDOWS_A_CALL, WINDOWS_A_CALL_ON_ACCELERATOR = 16, 512


@dataclass(frozen=True)
class ClipPredictions:
    """What a network makes of clips."""

    probabilities: NDArray[np.float32]  # (clips, tags)
    # of each rectified layer, the share of units that are 0 for every window of the clips. A unit that is so for
    # the training clips gets no gradient, so that nothing can wake it
    silent: dict[str, float]
    all_alike: bool  # whether the windows do not differ from each other, so that no network could tell the clips apart


class Predictor:
    """Predicts clips with a network's present parameters, `windows_a_call` at a time."""

    def __init__(self, network: Network, backend: str) -> None:
        self._on_accelerator = free_device_memory(backend) > 0
        self.windows_a_call = WINDOWS_A_CALL_ON_ACCELERATOR if self._on_accelerator else WINDOWS_A_CALL
        variable = network.window_variable(self.windows_a_call)
        rectified = network.rectified(variable)
        self._layers = list(rectified)
        highest = [maps.max(axis=tuple(range(maps.ndim - 1))) for maps in rectified.values()]
        self._compute = compile_function([variable], [network.probabilities(variable), *highest], backend)

    def predict_clips(self, windows: "Windows", report: Callable[[int, int], None] | None = None) -> ClipPredictions:
        """Mean probabilities over the consecutive windows of every clip, and which units they leave silent.

        Parameters
        ----------
        windows : Windows
        report : callable, optional
            Called with the number of windows predicted so far, and of all.
        """
        counts = windows.consecutive
        clips = np.repeat(np.arange(len(counts)), counts)
        numbers = np.concatenate([np.arange(count) for count in counts])
        offsets = windows.consecutive_offsets(numbers)
        parts: list[list[NDArray[Any]]] = []
        first, all_alike = None, True
        for batch in self._batches(windows, clips, offsets):
            first = batch[0] if first is None else first
            all_alike = all_alike and bool((batch == first).all())
            parts.append([np.asarray(output) for output in self._compute(batch)])
            if report:
                report(min(len(parts) * self.windows_a_call, len(clips)), len(clips))
        probabilities, *highest = zip(*parts, strict=True)
        first_windows = np.cumsum(counts) - counts
        sums = np.add.reduceat(np.concatenate(probabilities)[: len(clips)], first_windows, axis=0, dtype=np.float64)
        shares = [round(float(np.mean(np.max(layer, axis=0) <= 0)), 4) for layer in highest]
        silent = dict(zip(self._layers, shares, strict=True))
        return ClipPredictions((sums / counts[:, None]).astype(np.float32), silent, all_alike)

    def predict_windows(self, windows: Any) -> NDArray[np.float32]:
        """Probabilities (windows_a_call, tags) of exactly `windows_a_call` windows, in memory or on the device."""
        return np.asarray(self._compute(windows)[0])

    def _batches(self, windows: "Windows", clips: NDArray[np.int64], offsets: NDArray[np.int64]) -> Iterator[Any]:
        """All windows, `windows_a_call` at a time, each read while the one before is used.

        The last call is filled up with the last window, which wakes no unit that it has not woken.
        """
        size = self.windows_a_call

        def read(first: int) -> Any:
            batch = np.empty((size, *windows.shape), windows.dtype)
            chosen = np.minimum(np.arange(first, first + size), len(clips) - 1)
            windows.read(clips[chosen], offsets[chosen], batch)
            return copied_to_device(batch) if self._on_accelerator else batch

        with ThreadPoolExecutor(1) as reader:
            ahead = reader.submit(read, 0)
            for first in range(size, len(clips), size):
                batch, ahead = ahead.result(), reader.submit(read, first)
                yield batch
            yield ahead.result()
