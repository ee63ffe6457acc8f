"""A trained network that tags songs."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytensor.tensor as pt
from numpy.typing import NDArray

from theanoish.errors import InputError, MissingFileError
from theanoish.machine import DEFAULT_BACKEND, usable_cores
from theanoish.model.compile import compile_function, free_device_memory
from theanoish.model.network import Network
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.memory import song_of
from theanoish.tagging.songs import WINDOW_SECONDS, Failure, Song, read_song, read_songs, window_begins
from theanoish.tagging.taggram import Taggram
from theanoish.tagging.worth import UNKNOWN, Worth, read_worth
from theanoish.training.checkpoint import load_network
from theanoish.training.prediction import WINDOWS_A_CALL, WINDOWS_A_CALL_ON_ACCELERATOR
from theanoish.weights import DEFAULT_MODEL, checkpoint_at

LAYERS = ("hidden", "pool2", "pool1", "front end")
HEARD = "heard"  # probabilities, and behind them the hidden units
Sound = str | Path | NDArray[Any]


class Tagger:
    """A trained network and what it makes of audio files; `theanoish.load` makes one.

    Files may be of any length and of any kind that libsndfile or FFmpeg reads. A window lasts 3 s; what is left at the
    end of a song is heard in a window that ends with it. A file shorter than a window is followed by silence.

    Parameters
    ----------
    network : Network
    tags : list of str
        Of the network's outputs.
    left_out : set of str
        Tags that are never named.
    worth : Worth

    Attributes
    ----------
    tags : list of str
        Without those left out.
    worth : Worth
        What its card or the scores of its run say of them.
    network : Network
    columns : list of int
        Of `tags` among the network's outputs.
    name : str
        Of the network, such as mel_256_256.
    representation : Representation
        What it takes.
    """

    def __init__(
        self, network: Network, tags: list[str], left_out: frozenset[str] = frozenset(), worth: Worth = UNKNOWN
    ) -> None:
        self.network = network
        self.columns = [column for column, tag in enumerate(tags) if tag not in left_out]
        self.tags = [tags[column] for column in self.columns]
        self.worth = worth
        self.name = network.settings.name
        self._compiled: dict[str, Any] = {}  # by layer, once it is asked for
        self.representation = network.settings.representation

    def __getstate__(self) -> dict[str, Any]:
        """Without what is compiled, to be sent to another machine."""
        return {name: value for name, value in vars(self).items() if name != "_windows_a_call"} | {"_compiled": {}}

    def __repr__(self) -> str:
        return f"<theanoish network {self.name}, {len(self.tags)} tags: {', '.join(self.tags[:3])}, ...>"

    def tag(self, sound: Sound, sample_rate: int | None = None) -> dict[str, float]:
        """Mean probability of each tag over the windows of a song, the likeliest first; arguments as of `windows`."""
        taggram = self.windows(sound, sample_rate=sample_rate)
        return {self.tags[column]: float(taggram.means[column]) for column in taggram.order}

    def windows(self, sound: Sound, hop: float = WINDOW_SECONDS, sample_rate: int | None = None) -> Taggram:
        """Probabilities of the windows of a song.

        Parameters
        ----------
        sound : path, or int16 or float array (samples,) or (samples, channels)
            Floats are in [-1, 1). An array needs its `sample_rate`.
        hop : float
            Seconds between the beginnings of two windows, from 0.1 to 3.
        sample_rate : int, optional

        Returns
        -------
        Taggram
            ``probabilities`` (windows, tags) and ``begins`` (windows,), in seconds, are its arrays.

        Raises
        ------
        AudioError
            If the file is empty, broken or no audio.
        MissingFileError
            If there is no such file; it is a FileNotFoundError.
        InputError
            If `hop` or the array cannot be used, or the network's predictions are not finite.
        """
        return self.listen(self._song(sound, sample_rate), hop)

    def tag_many(
        self, paths: Iterable[str | Path], hop: float = WINDOW_SECONDS, client: Any = None
    ) -> Iterator[Taggram | Failure]:
        """The taggrams of many songs, in their order, while every core decodes those to come.

        A file that cannot be read is a `Failure` with its path and reason, and no error. With a `distributed.Client`
        its workers decode and compute them; they see the same files under the same paths.
        """
        if client is not None:
            from theanoish.tagging.cluster import tag_on_cluster

            return tag_on_cluster(client, self, map(Path, paths), hop)
        return tag_songs(self, map(Path, paths), hop, workers=len(usable_cores()))

    def embed(
        self, sound: Sound, hop: float = WINDOW_SECONDS, layer: str = "hidden", sample_rate: int | None = None
    ) -> NDArray[np.float32]:
        """What a layer gives for each window that `windows` has.

        Parameters
        ----------
        layer : {"hidden", "pool2", "pool1", "front end"}

        Returns
        -------
        float32 array (windows, 100) of the hidden units, or (windows, time, channels)
        """
        if layer not in LAYERS:
            raise InputError(f"there is no layer {layer!r}; there are {', '.join(LAYERS)}")
        song = self._song(sound, sample_rate)
        return self._of_windows(self._layer(layer), song, window_begins(song.samples, hop))

    def _song(self, sound: Sound, sample_rate: int | None) -> Song:
        if not isinstance(sound, str | Path):
            return song_of(sound, sample_rate, self.representation)
        if not Path(sound).exists():
            raise MissingFileError(f"{sound}: no such file")
        return read_song(Path(sound), self.representation)

    @property
    def filters(self) -> NDArray[np.float32]:
        """Filters of the strided convolution, float32 (filters, length).

        Raises
        ------
        InputError
            If the network takes spectrograms, and so has none.
        """
        if not self.representation.is_raw:
            raise InputError(f"{self.name} takes spectrograms: only a network that takes raw audio has such filters")
        return self.network.values()["strided/filters"]

    def listen(self, song: Song, hop: float = WINDOW_SECONDS) -> Taggram:
        """As `windows`, of a song that has been read."""
        begins = window_begins(song.samples, hop)
        values = self._of_windows(self._layer(HEARD), song, begins)
        [outputs] = self.network.shapes["output"]
        return Taggram(
            path=song.path,
            seconds=song.samples / SAMPLE_RATE,
            tags=self.tags,
            begins=begins / SAMPLE_RATE,
            probabilities=values[:, self.columns],
            remark=song.remark,
            title=song.title,
            artist=song.artist,
            units=values[:, outputs:].mean(axis=0),
        )

    @property
    def digest(self) -> str:
        """Of settings and parameters: what tells two networks of one name apart."""
        digest = hashlib.sha256(repr(self.network.settings).encode())
        for value in self.network.values().values():
            digest.update(value.tobytes())
        return digest.hexdigest()

    @cached_property
    def _windows_a_call(self) -> int:
        return WINDOWS_A_CALL_ON_ACCELERATOR if free_device_memory(DEFAULT_BACKEND) > 0 else WINDOWS_A_CALL

    def _layer(self, name: str) -> Any:
        if name not in self._compiled:
            variable = self.network.window_variable(self._windows_a_call)
            layers = self.network.layers(variable)
            heard = pt.concatenate([self.network.probabilities(variable), layers["hidden"]], axis=1)
            self._compiled[name] = compile_function([variable], (layers | {HEARD: heard})[name], DEFAULT_BACKEND)
        return self._compiled[name]

    def _of_windows(self, compute: Callable[[Any], Any], song: Song, begins: NDArray[np.int64]) -> NDArray[np.float32]:
        """What a compiled function gives for the windows of a song at `begins`."""
        values = np.concatenate([compute(batch) for batch in self._batches(song, begins)])[: len(begins)]
        if not np.isfinite(values).all():
            raise InputError(f"{song.path}: predictions are not finite: the checkpoint is damaged")
        return values

    def _batches(self, song: Song, begins: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
        """The windows at `begins`, as many as a compiled call takes; the last are filled up with zeros."""
        shape, size = self.representation.window_shape, self._windows_a_call
        first_rows = begins // self.representation.stride
        for first in range(0, len(begins), size):
            batch = np.zeros((size, *shape), self.representation.dtype)
            for window, row in zip(batch, first_rows[first : first + size], strict=False):
                window[:] = song.rows[row : row + shape[0]]
            yield batch


def tag_songs(
    tagger: Tagger, paths: Iterable[Path], hop: float = WINDOW_SECONDS, workers: int = 1
) -> Iterator[Taggram | Failure]:
    """The taggrams of songs, in their order, while `workers` processes decode those to come."""
    for song in read_songs(paths, tagger.representation, workers):
        yield song if isinstance(song, Failure) else tagger.listen(song, hop)


def load_tagger(path: Path | None = None, all_tags: bool = False) -> Tagger:
    """The tagger of a checkpoint; by default of the weights that come with this project.

    Parameters
    ----------
    path : Path, optional
        Of a checkpoint or of the run folder that holds it; "mel", "raw" and "instruments" are our own.
    all_tags : bool
        Also the tags that the model's card, the JSON file beside the checkpoint, calls too rare to trust, and those
        whose test AUC, there or in the run's test.json, may be chance. If that is so of all others, none is left out.

    Raises
    ------
    InputError
        If the checkpoint or its card is missing or cannot be used.
    """
    path = checkpoint_at(path) if path else DEFAULT_MODEL
    if path.is_dir():
        path /= "checkpoint.pkl"
    if not path.exists():
        raise MissingFileError(f"{path}: no such file; name a checkpoint or the run folder that holds it")
    saved, network = load_network(path)
    worth = read_worth(path, saved["update"])
    left_out = frozenset() if all_tags else worth.rare
    if left_out >= set(saved["tags"]):
        raise InputError(f"{path.with_suffix('.json')}: calls every tag too rare; take them all: all_tags, --all-tags")
    if not all_tags and not left_out | worth.chance >= set(saved["tags"]):
        left_out |= worth.chance
    return Tagger(network, saved["tags"], left_out, worth)
