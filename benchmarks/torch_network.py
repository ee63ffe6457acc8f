"""The network and its training in PyTorch: as its users write it, and the fastest way that was found."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from theanoish.settings import Settings


class Conv1dNetwork(nn.Module):
    """As PyTorch's users write it: ``Conv1d`` on (minibatch, channels, time).

    Parameters
    ----------
    settings : Settings
    flat, tags : int
        Units after the last pooling, and output units.
    """

    channels_first = True

    def __init__(self, settings: Settings, flat: int, tags: int) -> None:
        super().__init__()
        if settings.frontend == "raw":
            self.strided = nn.Conv1d(1, 128, settings.length, settings.stride)
        self.raw = settings.frontend == "raw"
        self.convolution1 = nn.Conv1d(128, 32, 8)
        self.convolution2 = nn.Conv1d(32, 32, 8)
        self.hidden = nn.Linear(flat, 100)
        self.output = nn.Linear(100, tags)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits (minibatch, tags) of int16 samples (minibatch, samples) or float32 frames (minibatch, 128, frames)."""
        maps = windows
        if self.raw:
            maps = functional.relu(self.strided(windows.float().div(32768).unsqueeze(1)))
        for convolution in (self.convolution1, self.convolution2):
            maps = functional.relu(functional.max_pool1d(convolution(maps), 4, ceil_mode=True))
        return self.output(functional.relu(self.hidden(maps.flatten(1))))


class ChannelsLastNetwork(nn.Module):
    """The same with ``Conv2d`` in channels-last memory, and the strided convolution as a product of frames.

    Parameters
    ----------
    settings : Settings
    flat, tags : int
        Units after the last pooling, and output units.
    """

    channels_first = False

    def __init__(self, settings: Settings, flat: int, tags: int) -> None:
        super().__init__()
        if settings.frontend == "raw":
            self.strided = nn.Linear(settings.length, 128)
        self.raw, self.length, self.stride = settings.frontend == "raw", settings.length, settings.stride
        self.convolution1 = nn.Conv2d(128, 32, (1, 8))
        self.convolution2 = nn.Conv2d(32, 32, (1, 8))
        self.hidden = nn.Linear(flat, 100)
        self.output = nn.Linear(100, tags)
        self.to(memory_format=torch.channels_last)

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Logits (minibatch, tags) of int16 samples (minibatch, samples) or float32 frames (minibatch, frames, 128)."""
        maps = windows
        if self.raw:
            maps = functional.relu(self.strided(windows.float().div(32768).unfold(1, self.length, self.stride)))
        maps = maps.permute(0, 2, 1).unsqueeze(2)  # (minibatch, 128, 1, frames), channels last in memory
        for convolution in (self.convolution1, self.convolution2):
            maps = functional.relu(functional.max_pool2d(convolution(maps), (1, 4), ceil_mode=True))
        return self.output(functional.relu(self.hidden(maps.flatten(1))))


class TorchTrainer:
    """Training of a network on clips that are held on the device.

    Parameters
    ----------
    settings : Settings
    values : dict of str to float32 array
        Initial parameters, as `theanoish.model.network.Network.values` gives them.
    clips : int16 array (clips, samples) or float32 array (clips, frames, 128)
    labels : uint8 array (clips, tags)
    kind : class
        `Conv1dNetwork` or `ChannelsLastNetwork`.
    compiled : bool
        Whether by ``torch.compile``.
    """

    def __init__(
        self,
        settings: Settings,
        values: dict[str, NDArray[np.float32]],
        clips: NDArray[Any],
        labels: NDArray[np.uint8],
        kind: type[Conv1dNetwork] | type[ChannelsLastNetwork],
        compiled: bool = False,
    ) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        flat, tags = values["hidden/weights"].shape[0], values["output/bias"].shape[0]
        values = {name: value for name, value in values.items() if not name.startswith("start/")}
        self._shapes = {name: value.shape for name, value in values.items()}
        self._length = 48_000 if settings.frontend == "raw" else settings.frames
        self._network = kind(settings, flat, tags).to(device)
        self._set_values(values)
        swapped = kind.channels_first and clips.ndim == 3
        self._clips = torch.tensor(np.ascontiguousarray(clips.swapaxes(1, 2)) if swapped else clips, device=device)
        self._labels = torch.tensor(labels, dtype=torch.float32, device=device)
        self._loss = nn.BCEWithLogitsLoss()
        self._optimizer = torch.optim.SGD(self._network.parameters(), lr=settings.learning_rate)
        self._logits = torch.compile(self._network) if compiled else self._network
        self._time = -1 if clips.ndim == 2 or kind.channels_first else -2

    def train(self, clips: NDArray[np.int32], offsets: NDArray[np.int32]) -> NDArray[np.float32]:
        """Perform one update for each row of the indices, int32 (updates, minibatch); returns the losses."""
        losses = [self._update(*minibatch) for minibatch in zip(clips.tolist(), offsets.tolist(), strict=True)]
        return torch.stack(losses).cpu().numpy()

    def _update(self, clips: Sequence[int], offsets: Sequence[int]) -> torch.Tensor:
        windows = [self._clips[c].narrow(self._time, o, self._length) for c, o in zip(clips, offsets, strict=True)]
        self._optimizer.zero_grad()
        loss = self._loss(self._logits(torch.stack(windows)), self._labels[clips])
        loss.backward()
        self._optimizer.step()
        return loss.detach()

    def parameters(self) -> dict[str, NDArray[np.float32]]:
        """The present parameters, in the form of the initial ones."""
        return {name: self._to_ours(name, self._parameter(name)) for name in self._shapes}

    def _set_values(self, values: dict[str, NDArray[np.float32]]) -> None:
        with torch.no_grad():
            for name, value in values.items():
                parameter = self._parameter(name)
                parameter.copy_(torch.tensor(self._to_torch(name, value)).reshape(parameter.shape))

    def _parameter(self, name: str) -> torch.Tensor:
        layer, kind = name.split("/")
        parameter: torch.Tensor = getattr(getattr(self._network, layer), "bias" if kind == "bias" else "weight")
        return parameter

    def _to_torch(self, name: str, value: NDArray[np.float32]) -> NDArray[np.float32]:
        if name == "hidden/weights":  # inputs (time, channels) to (channels, time)
            return value.reshape(-1, 32, value.shape[1]).transpose(2, 1, 0).copy()
        if name == "output/weights":
            return value.T.copy()
        return value

    def _to_ours(self, name: str, parameter: torch.Tensor) -> NDArray[np.float32]:
        value = parameter.detach().cpu().numpy().copy()  # the next update writes over the original
        if name == "hidden/weights":
            return value.reshape(len(value), 32, -1).transpose(2, 1, 0).reshape(self._shapes[name])
        if name == "output/weights":
            return value.T
        return value.reshape(self._shapes[name])
