"""The compiled updates of one experiment, run in blocks: many updates a call, fed from a data set."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.data.dataset import Dataset
from theanoish.errors import InputError
from theanoish.model.compile import compile_function, free_device_memory, repeat
from theanoish.model.descent import nesterov, sgd
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.training.feeding import ReadAhead, Resident
from theanoish.training.sampling import draw_masks

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
    """

    def __init__(self, settings: Settings, dataset: Dataset, backend: str, resident: bool | None = None) -> None:
        self.settings, self.backend = settings, backend
        rows = dataset.rows("train")
        windows = dataset.windows(settings, rows)
        room = _DEVICE_SHARE * free_device_memory(backend)
        if resident is None:
            size = int(windows.counts.sum()) * int(np.prod(windows.shape[1:])) * windows.dtype.itemsize
            resident = size < room
        labels = dataset.labels[rows]
        self._feed: Resident | ReadAhead
        if resident:
            self._feed = Resident(windows, labels, settings)
        else:
            self._feed = ReadAhead(windows, labels, settings, to_accelerator=room > 0)
        self.network = Network(settings, len(dataset.tags))
        self._define_update()
        self._compiled: dict[int, Any] = {}

    def _define_update(self) -> None:
        settings, network = self.settings, self.network
        self._inputs = [network.window_variable(settings.minibatch), network.label_variable(settings.minibatch)]
        if settings.dropout:
            self._inputs.append(network.mask_variable(settings.minibatch))
        self._loss = network.loss(*self._inputs)
        parameters = network.parameters.values()
        if settings.momentum:
            self._updates = nesterov(self._loss, parameters, settings.learning_rate, settings.momentum)
        else:
            self._updates = sgd(self._loss, parameters, settings.learning_rate)
        velocities = [variable for variable in self._updates if variable not in set(parameters)]
        self._velocities = dict(zip(network.parameters, velocities, strict=False))  # none without momentum

    def velocities(self) -> dict[str, NDArray[np.float32]]:
        """The velocities of the momentum by the names of their parameters; empty without momentum."""
        return {name: np.asarray(variable.get_value()) for name, variable in self._velocities.items()}

    def set_velocities(self, values: dict[str, NDArray[np.float32]]) -> None:
        """Give the velocities the values that `velocities` returned.

        Raises
        ------
        InputError
            Where a name or shape is another.
        """
        expected = {name: variable.type.shape for name, variable in self._velocities.items()}
        if {name: value.shape for name, value in values.items()} != expected:
            raise InputError("velocities do not fit the network of these settings")
        for name, variable in self._velocities.items():
            variable.set_value(values[name])

    def _function(self, updates: int) -> Any:
        if updates not in self._compiled:
            blocks, losses, after = repeat(self._inputs, self._loss, self._updates, updates)
            inputs, givens = self._feed.graph_inputs(blocks[:2])
            self._compiled[updates] = compile_function([*inputs, *blocks[2:]], losses, self.backend, after, givens)
        return self._compiled[updates]

    def run(self, first: int, stop: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """Perform the updates `first` to ``stop - 1``.

        Yields
        ------
        int, float32 array
            Updates done in all, and the losses of the last few, after every block of them.
        """
        blocks = [range(i, min(i + UPDATES_A_CALL, stop)) for i in range(first, stop, UPDATES_A_CALL)]
        for block, examples in zip(blocks, self._feed.blocks(blocks), strict=True):
            losses = np.asarray(self._function(len(block))(*examples, *self._masks(block)))
            yield block.stop, losses

    def _masks(self, updates: range) -> list[NDArray[np.uint8]]:
        if not self.settings.dropout:
            return []
        shape = (self.settings.minibatch, self.network.droppable)
        return [draw_masks(shape, self.settings.dropout, self.settings.seed, updates.start, len(updates))]
