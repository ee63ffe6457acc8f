"""The compiled updates of one experiment, run in blocks: many updates a call, fed from a data set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.model.compile import compile_function, free_device_memory, repeat
from theanoish.model.descent import MEAN, Shared, descend, initial_memory, mean_weights
from theanoish.model.initial_filters import mel_filters_in_time
from theanoish.model.network import Network
from theanoish.model.start import WINDOWS_MEASURED
from theanoish.settings import Settings
from theanoish.training.feeding import ReadAhead, Resident, draw_windows
from theanoish.training.sampling import draw_masks
from theanoish.training.unsupervised import FRAMES, learn_filters

UPDATES_A_CALL = 50
_DEVICE_SHARE = 0.8  # of its free memory that resident clips may take


class Trainer:
    """A network, its training clips and its compiled updates; knows nothing of files, validation or progress.

    Parameters
    ----------
    settings : Settings
    dataset : Dataset
    backend : {"jax", "numba"}
    resident : bool, optional
        Whether the training clips are held on the device; by default where that is an accelerator with room for them.

    Attributes
    ----------
    network : Network
        The one that the descent moves.
    """

    def __init__(self, settings: Settings, dataset: Dataset, backend: str, resident: bool | None = None) -> None:
        self.settings, self.backend = settings, backend
        self.network = Network(settings, len(dataset.tags))
        self._memory: Shared | None = None
        self._compiled: dict[int, Any] = {}
        rows = dataset.rows("train")
        self._windows, self._labels = windows, labels = dataset.windows(settings, rows), dataset.labels[rows]
        room = _DEVICE_SHARE * free_device_memory(backend)
        if resident is None:
            held = len(rows) * int(windows.counts.max())  # every clip as long as the longest
            size = held * int(np.prod(windows.shape[1:])) * windows.dtype.itemsize
            resident = size < room
        self._feed: ReadAhead | Resident
        if not resident:
            self._feed = ReadAhead(windows, labels, settings, to_accelerator=room > 0)
        else:
            self._feed = Resident(windows, labels, settings)

    def measure_start(self, filters: NDArray[np.float32] | None = None) -> None:
        """Measure what a new network starts from, with `filters` as its strided convolution's if they are not noise."""
        self.network.measure_start(self._first_windows(WINDOWS_MEASURED), self._labels, filters)

    @property
    def memory(self) -> Shared:
        """What the update rule remembers, by name: made when it is first asked for, from the network as it is then."""
        if self._memory is None:
            self._memory = initial_memory(self.settings, self.network.trained)
        return self._memory

    @property
    def averaged(self) -> Network:
        """The network with the mean parameters: what counts. It is the network itself if the settings ask for none."""
        means = {name: self.memory[name + MEAN] for name in self.network.trained if self.settings.average}
        return self.network.with_parameters(means)

    def initial_filters(self) -> NDArray[np.float32] | None:
        """What the settings have the strided convolution start as, (filters, length), or learn it; None for noise."""
        filters, pool_size, length = self.settings.strided_filters, self.settings.pool_size, self.settings.length
        match self.settings.initial_filters:
            case "random":
                return None
            case "mel":
                return mel_filters_in_time(filters, pool_size, length).astype(np.float32)
            case method:
                per_window = self._windows.shape[0] // length
                windows = self._first_windows(-(-FRAMES // per_window))
                frames = windows[:, : per_window * length].reshape(-1, length)
                return learn_filters(method, frames, filters, pool_size, self.settings.seed, self.backend)

    def _first_windows(self, count: int) -> NDArray[Any]:
        """The windows that the first updates will see."""
        updates = range(-(-count // self.settings.minibatch))
        clips, offsets = draw_windows(self._windows, self.settings, updates)
        windows = np.empty((count, *self._windows.shape), self._windows.dtype)
        self._windows.read(clips[:count], offsets[:count], windows)
        return windows

    def _compile(self, count: int) -> Any:
        """All that is compiled to train: `count` updates, as a function from what the feed brings to the losses."""
        inputs = self.network.training_inputs()
        loss = self.network.loss(*inputs)
        weight = [pt.scalar("weight", dtype="float32")] if self.settings.average else []
        updates = descend(self.settings, loss, self.network.trained, self.memory, *weight)
        blocks, losses, after = repeat([*inputs, *weight], loss, updates, count)
        windows, labels, *others = blocks
        feed_inputs, givens = self._feed.graph_inputs([windows, labels])
        return compile_function([*feed_inputs, *others], losses, self.backend, after, givens)

    def run(self, first: int, stop: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Perform the updates `first` to ``stop - 1``.

        Yields
        ------
        int, float32 array
            Updates done in all, and the losses of the last few, after every block of them.
        """
        blocks = [range(i, min(i + UPDATES_A_CALL, stop)) for i in range(first, stop, UPDATES_A_CALL)]
        for block, examples in zip(blocks, self._feed.blocks(blocks), strict=True):
            if len(block) not in self._compiled:
                self._compiled[len(block)] = self._compile(len(block))
            losses = np.asarray(self._compiled[len(block)](*examples, *self._masks(block), *self._weights(block)))
            yield block.stop, losses

    def _masks(self, updates: range) -> list[NDArray[np.uint8]]:
        if not self.settings.dropout:
            return []
        shape = (self.settings.minibatch, self.network.droppable)
        return [draw_masks(shape, self.settings.dropout, self.settings.seed, updates.start, len(updates))]

    def _weights(self, updates: range) -> list[NDArray[np.float32]]:
        return [mean_weights(self.settings.average, updates)] if self.settings.average else []
