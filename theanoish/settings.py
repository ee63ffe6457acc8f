"""What an experiment of the paper is made of: one small object that travels with every run and checkpoint."""

from dataclasses import asdict, dataclass, fields
from typing import Any, get_type_hints

from theanoish.errors import InputError
from theanoish.representation import MEL_CHANNELS, RAW, SAMPLE_RATE, WINDOW_SAMPLES, Representation  # noqa: F401

STRIDED_FILTERS = 128
LEARNING_RATE = 0.1  # of all networks (docs/choices.md)

CHOICES = {
    "frontend": ("raw", "mel"),
    "nonlinearity": ("relu", "log-square", "log-absolute"),
    "pooling": ("none", "l2", "max"),
    "windows": ("random", "consecutive"),
}


@dataclass(frozen=True)
class Settings:
    """The settings of one experiment; the defaults are the paper's.

    Attributes
    ----------
    frontend : {"raw", "mel"}
        Input representation (Fig. 1: "mel" is a, "raw" is b, or c with `pooling`).
    length, stride : int
        Samples of a filter of the strided convolution, or of a spectrogram's window, and between two of them (Table 1).
    nonlinearity : {"relu", "log-square", "log-absolute"}
        Of the strided convolution: max(0, x), log(1 + C·x²), log(1 + C·|x|) with C = 10,000 (Table 2).
    pooling : {"none", "l2", "max"}
        Feature pooling after the strided convolution, whose activations are then linear (Table 3).
    pool_size : int
        Adjacent filters in a pool; 1 without pooling.
    dropout : float
        Share of the inputs of each dense layer that is dropped in training (section 4.1 tried 0.5).
    minibatch, updates : int
        Windows an update, and updates in all (section 4.1).
    learning_rate : float
        Of stochastic gradient descent; by default 0.1 for every network, times 1 - `momentum`: momentum m adds each
        step up to 1 / (1 - m) times its size in the long run.
    momentum : float
        Above 0, in Nesterov's form.
    seed : int
        Of initial parameters, sampling and dropout.
    validation_interval : int
        Updates between two validations.
    windows : {"random", "consecutive"}
        Whether a training window starts anywhere in its clip or at a multiple of its own length.
    """

    frontend: str = "raw"
    length: int = 256
    stride: int = 256
    nonlinearity: str = "relu"
    pooling: str = "none"
    pool_size: int = 1
    dropout: float = 0.0
    minibatch: int = 10
    updates: int = 5_000_000
    learning_rate: float = None  # type: ignore[assignment]  # __post_init__ fills it in
    momentum: float = 0.0
    seed: int = 1
    validation_interval: int = 20_000
    windows: str = "random"

    def __post_init__(self) -> None:
        by_network = self.learning_rate is None
        for name, kind in TYPES.items():
            if not (by_network and name == "learning_rate"):
                self._check_type(name, kind)
        for name, choices in CHOICES.items():
            _require(getattr(self, name) in choices, name, getattr(self, name), f"one of {', '.join(choices)}")
        for name in ("length", "stride", "minibatch", "updates", "validation_interval"):
            _require(getattr(self, name) >= 1, name, getattr(self, name), "1 or more")
        _require(0 <= self.momentum < 1, "momentum", self.momentum, "at least 0 and below 1")
        if by_network:
            object.__setattr__(self, "learning_rate", round(LEARNING_RATE * (1 - self.momentum), 12))
        _require(0 < self.learning_rate < float("inf"), "learning_rate", self.learning_rate, "above 0 and finite")
        _require(0 <= self.dropout < 1, "dropout", self.dropout, "at least 0 and below 1")
        _require(0 <= self.seed < 2**32, "seed", self.seed, "from 0 to 4294967295")
        self._check_geometry()
        self._check_pooling()

    def _check_type(self, name: str, kind: type) -> None:
        value = getattr(self, name)
        if kind is float and type(value) is int:
            object.__setattr__(self, name, float(value))
        elif type(value) is not kind:
            _require(False, name, value, f"of type {kind.__name__}")

    def _check_geometry(self) -> None:
        if self.frames < 36:
            raise InputError(
                f"length {self.length} and stride {self.stride} leave {self.frames} frames in a window of "
                f"{WINDOW_SAMPLES} samples; they must leave 36 or more, below which the network has no output"
            )
        if self.frontend == "raw":
            _require(self.length % self.stride == 0, "length", self.length, f"a multiple of the stride, {self.stride}")

    def _check_pooling(self) -> None:
        if self.frontend == "mel":
            _require(self.nonlinearity == "relu", "nonlinearity", self.nonlinearity, "left at relu for mel")
        if self.pooling == "none":
            _require(self.pool_size == 1, "pool_size", self.pool_size, "1 without pooling")
            return
        _require(self.frontend == "raw", "pooling", self.pooling, "none for mel: it follows the strided convolution")
        _require(self.nonlinearity == "relu", "nonlinearity", self.nonlinearity, "left at relu with pooling")
        divides = self.pool_size > 1 and STRIDED_FILTERS % self.pool_size == 0
        _require(divides, "pool_size", self.pool_size, f"2 or more and a divisor of {STRIDED_FILTERS}")

    def frames_of(self, samples: int) -> int:
        """How many whole frames `samples` samples hold."""
        return max(0, (samples - self.length) // self.stride + 1)

    @property
    def frames(self) -> int:
        """Frames in a window."""
        return self.frames_of(WINDOW_SAMPLES)

    @property
    def representation(self) -> Representation:
        """What the network is fed."""
        return RAW if self.frontend == "raw" else Representation(self.length, self.stride)

    @property
    def name(self) -> str:
        """Short name for run folders and tables, such as ``raw_1024_1024_l2_4``."""
        parts = [self.frontend, self.length, self.stride]
        parts += [self.nonlinearity] if self.nonlinearity != "relu" else []
        parts += [self.pooling, self.pool_size] if self.pooling != "none" else []
        parts += ["dropout"] if self.dropout else []
        parts += [self.dropout] if self.dropout not in (0.0, 0.5) else []  # the paper's is half
        return "_".join(map(str, parts))

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Settings":
        """The settings that `as_dict` wrote.

        Raises
        ------
        InputError
            Where a setting is unknown, missing or has a value that it cannot have.
        """
        names = {field.name for field in fields(cls)}
        if set(values) != names:
            raise InputError(f"settings: unknown or missing: {', '.join(sorted(set(values) ^ names))}")
        return cls(**values)


TYPES = get_type_hints(Settings)


def _require(condition: bool, name: str, value: object, what: str) -> None:
    if not condition:
        raise InputError(f"{name.replace('_', ' ')} is {value!r}; it must be {what}")
