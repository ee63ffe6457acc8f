"""Bringing minibatches to the compiled updates: read ahead from the file, or cut on the device from resident clips."""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray
from pytensor.tensor.variable import TensorVariable

from theanoish.data.dataset import Windows
from theanoish.model.compile import copied_to_device, held_on_device
from theanoish.settings import Settings
from theanoish.training.sampling import draw_examples

_BUFFERS = 3  # one in use, two being read ahead
_ALIGNMENT = 64  # bytes


class ReadAhead:
    """Reads the windows of coming updates from the file in a thread of its own, while updates are computed.

    Memory is three blocks of windows, whatever the size of the file, and as many on an accelerator too small for all
    clips, which is sent coming blocks while it computes. An epoch takes one window of a clip, a tenth of it: blocks of
    whole clips would be ten times as much to send.

    Parameters
    ----------
    windows : Windows
        Of the training clips.
    labels : uint8 array (clips, tags)
    settings : Settings
    to_accelerator : bool
        Whether to send the blocks there.
    """

    def __init__(
        self, windows: Windows, labels: NDArray[np.uint8], settings: Settings, to_accelerator: bool = False
    ) -> None:
        self._windows, self._labels, self._settings = windows, labels, settings
        self._to_accelerator = to_accelerator

    def graph_inputs(self, blocks: list[TensorVariable]) -> tuple[list[TensorVariable], dict[Any, Any]]:
        """Inputs and givens of the compiled function, for symbolic blocks of windows and labels."""
        return blocks, {}

    def blocks(self, updates: list[range]) -> Iterator[list[Any]]:
        """Windows and labels of each range of updates, (updates, minibatch, ...).

        They are overwritten once the next are asked for, but for the arrays of an accelerator.
        """
        longest = max(map(len, updates))
        shape = (longest, self._settings.minibatch, *self._windows.shape)
        buffers = [_aligned(shape, self._windows.dtype) for _ in range(min(_BUFFERS, len(updates)))]
        with ThreadPoolExecutor(1) as reader:
            ahead: deque[Future[list[Any]]] = deque()
            try:
                for i, block in enumerate(updates):
                    ahead.append(reader.submit(self._read, block, buffers[i % _BUFFERS]))
                    if len(ahead) == _BUFFERS:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                reader.shutdown(cancel_futures=True)

    def _read(self, updates: range, buffer: NDArray[Any]) -> list[Any]:
        clips, offsets = draw_windows(self._windows, self._settings, updates)
        block = buffer[: len(updates)]
        self._windows.read(clips, offsets, block.reshape(-1, *self._windows.shape))
        examples = [block, self._labels[clips].reshape(*block.shape[:2], -1)]
        return [copied_to_device(values) for values in examples] if self._to_accelerator else examples


class Resident:
    """Holds all training clips on the device and cuts windows there, so that an update takes two indices an example.

    Parameters
    ----------
    windows : Windows
        Of the training clips.
    labels : uint8 array (clips, tags)
    settings : Settings
    """

    def __init__(self, windows: Windows, labels: NDArray[np.uint8], settings: Settings) -> None:
        self._windows, self._settings = windows, settings
        self._clips, self._labels = held_on_device(windows.read_whole_clips()), held_on_device(labels)

    def graph_inputs(self, blocks: list[TensorVariable]) -> tuple[list[TensorVariable], dict[Any, Any]]:
        """Inputs and givens of the compiled function, for symbolic blocks of windows and labels."""
        windows, labels = blocks
        shape = windows.type.shape[:2]  # (updates, minibatch)
        clips = pt.tensor("clips", shape=shape, dtype="int32")
        offsets = pt.tensor("offsets", shape=shape, dtype="int32")
        times = offsets[:, :, None] + pt.arange(self._windows.shape[0], dtype="int32")
        cut = pt.specify_shape(self._clips[clips[:, :, None], times], windows.type.shape)
        return [clips, offsets], {windows: cut, labels: pt.specify_shape(self._labels[clips], labels.type.shape)}

    def blocks(self, updates: list[range]) -> Iterator[list[NDArray[Any]]]:
        """Clips and offsets of each range of updates, int32 (updates, minibatch)."""
        for block in updates:
            examples = draw_windows(self._windows, self._settings, block)
            yield [a.astype(np.int32).reshape(len(block), -1) for a in examples]


def _aligned(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An empty array that JAX takes as it is on a CPU; one that begins elsewhere it copies at every call."""
    size = int(np.prod(shape)) * dtype.itemsize
    memory = np.empty(size + _ALIGNMENT, np.uint8)
    begin = -memory.ctypes.data % _ALIGNMENT
    return memory[begin : begin + size].view(dtype).reshape(shape)


def draw_windows(windows: Windows, settings: Settings, updates: range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Clips and offsets, (examples,), of the windows that some updates see, one minibatch after the other."""
    first, count = updates.start * settings.minibatch, len(updates) * settings.minibatch
    clips, chosen = draw_examples(windows.choices, settings.seed, first, count, settings.minibatch)
    return clips, windows.training_offsets(chosen)
