"""What an experiment of the paper is made of: one small object that travels with every run and checkpoint."""

import math
import reprlib
from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_type_hints

from theanoish.errors import InputError
from theanoish.representation import MEL_CHANNELS, RAW, WINDOW_SAMPLES, Representation

STRIDED_FILTERS = 128
LEARNING_RATE = 0.1  # of all networks (docs/choices.md)
SLOW = 0.001  # times the learning rate, for strided filters that a full rate would take away from a good start

# One independent stream of random numbers of the seed for each purpose; a further one takes the next number.
INITIAL_PARAMETERS, ORDER, DROPOUT, LEARNED_FILTERS = range(4)


def _setting(default: Any, help: str, choices: tuple[str, ...] = (), least: float = 0, below: float = math.inf) -> Any:
    """A field: its default, what `train.py --help` says of it, and the values that it can have."""
    return field(default=default, metadata={"help": help, "choices": choices, "least": least, "below": below})


@dataclass(frozen=True)
class Settings:
    """The settings of one experiment; the defaults are the paper's. Each field says what it is and can be.

    Raises
    ------
    InputError
        If a setting has a value that it, or the network, cannot have.
    """

    frontend: str = _setting("raw", "input: raw samples or log-mel spectrograms", ("raw", "mel"))
    length: int = _setting(256, "samples of a filter or of a spectrogram's frame", least=1, below=WINDOW_SAMPLES)
    stride: int = _setting(256, "samples between the beginnings of two of them", least=1, below=WINDOW_SAMPLES)
    nonlinearity: str = _setting(
        "relu",
        "of the strided convolution: max(0, x), log(1 + C·x²), log(1 + C·|x|) with C = 10,000 (Table 2)",
        ("relu", "log-square", "log-absolute"),
    )
    pooling: str = _setting(
        "none",
        "feature pooling after the strided convolution, whose activations are then linear (Table 3)",
        ("none", "l2", "max"),
    )
    pool_size: int = _setting(1, "adjacent filters in a pool: 2 or 4 in the paper", least=1, below=STRIDED_FILTERS + 1)
    strided_filters: int = _setting(STRIDED_FILTERS, "filters of the strided convolution", least=1, below=1025)
    initial_filters: str = _setting(
        "random",
        "what they start as: noise, filters that mimic a mel spectrogram, or learned without labels, by independent "
        "subspace analysis or k-means",
        ("random", "mel", "unsupervised", "k-means"),
    )
    fixed_filters: bool = _setting(False, "leave the strided convolution as it starts")
    filters: int = _setting(32, "filters of each of the two other convolutions", least=1, below=1025)
    mel_bands: int = _setting(
        MEL_CHANNELS, "bands of the spectrogram; if fewer than it has, of adjacent ones averaged", least=1, below=129
    )
    dropout: float = _setting(0.0, "share of each dense layer's inputs that is dropped; the paper tried 0.5", below=1)
    minibatch: int = _setting(10, "windows per update", least=1, below=10_001)
    updates: int = _setting(5_000_000, "updates in all", least=1, below=10**12)
    learning_rate: float = _setting(
        None, f"of stochastic gradient descent; {LEARNING_RATE} times 1 - momentum if left out", below=3e38
    )
    strided_rate: float = _setting(
        None,
        f"times the learning rate, of the strided filters and their bias; 1 if left out, and {SLOW} for filters that "
        "do not start as noise",
        below=1001,
    )
    momentum: float = _setting(0.0, "Nesterov's; 0 for plain gradient descent", below=1)
    average: float = _setting(
        0.1,
        "share of the updates so far, the last ones, whose mean parameters are validated, kept and tested; 0 for the "
        "parameters as they are",
        below=1,
    )
    seed: int = _setting(1, "of initial parameters, sampling and dropout", below=2**32)
    validation_interval: int = _setting(20_000, "updates between two validations", least=1, below=10**12)
    windows: str = _setting(
        "random", "training windows: anywhere in a clip, or its consecutive ones", ("random", "consecutive")
    )

    def __post_init__(self) -> None:
        if self.learning_rate is None:
            self._check("momentum")  # each step adds up to 1 / (1 - momentum) times its size in the long run
            object.__setattr__(self, "learning_rate", round(LEARNING_RATE * (1 - self.momentum), 12))
        if self.strided_rate is None:
            object.__setattr__(self, "strided_rate", self._usual_strided_rate)
        for name in TYPES:
            self._check(name)
        _require(self.learning_rate > 0, "learning_rate", self.learning_rate, "above 0")
        _require(self.strided_rate > 0, "strided_rate", self.strided_rate, "above 0, or left out with fixed filters")
        self._check_geometry()
        self._check_combinations()

    def _check(self, name: str) -> None:
        value, kind, can_be = getattr(self, name), TYPES[name], METADATA[name]
        if kind is float and type(value) is int and abs(value) < 2**63:
            value = float(value)
            object.__setattr__(self, name, value)
        _require(type(value) is kind, name, value, f"of type {kind.__name__}")
        if can_be["choices"]:
            _require(value in can_be["choices"], name, value, f"one of {', '.join(can_be['choices'])}")
        else:
            least, below = can_be["least"], can_be["below"]
            _require(least <= value < below, name, value, f"at least {least} and below {below}")

    def _check_geometry(self) -> None:
        if self.frames < 36:
            raise InputError(
                f"length {_shown(self.length)} and stride {_shown(self.stride)} leave {self.frames} frames in a window "
                f"of {WINDOW_SAMPLES} samples; they must leave 36 or more, below which the network has no output"
            )
        if self.frontend == "raw":
            _require(self.length % self.stride == 0, "length", self.length, f"a multiple of the stride, {self.stride}")
        else:
            _require(self.length > 1, "length", self.length, f"2 or more for {self.frontend}")

    def _check_combinations(self) -> None:
        if self.frontend != "raw":
            for name in ("nonlinearity", "strided_filters", "initial_filters", "fixed_filters"):
                default = Settings.__dataclass_fields__[name].default
                _require(
                    getattr(self, name) == default, name, getattr(self, name), f"left at {default} for {self.frontend}"
                )
            divides = MEL_CHANNELS % self.mel_bands == 0
            _require(divides, "mel_bands", self.mel_bands, f"a divisor of {MEL_CHANNELS}")
        else:
            _require(self.mel_bands == MEL_CHANNELS, "mel_bands", self.mel_bands, f"left at {MEL_CHANNELS} for raw")
        if self.frontend != "raw" or self.fixed_filters:
            reason = "fixed ones" if self.fixed_filters else self.frontend
            what = f"left out, as there are no strided filters to train with {reason}"
            _require(self.strided_rate == 1, "strided_rate", self.strided_rate, what)
        if self.initial_filters != "random":
            what = f"l2, with a pool size of 2 or more, for {self.initial_filters} filters"
            _require(self.pooling == "l2", "pooling", self.pooling, what)
        if self.initial_filters in ("unsupervised", "k-means"):
            most = f"at most the length, {self.length}, for filters that are learned without labels"
            _require(self.strided_filters <= self.length, "strided_filters", self.strided_filters, most)
        if self.pooling == "none":
            _require(self.pool_size == 1, "pool_size", self.pool_size, "1 without pooling")
            return
        _require(
            self.frontend == "raw",
            "pooling",
            self.pooling,
            f"none for {self.frontend}: it follows the strided convolution",
        )
        possible = ("relu", "log-square") if self.pooling == "l2" else ("relu",)
        what = f"{' or '.join(possible)} with {self.pooling} pooling"
        _require(self.nonlinearity in possible, "nonlinearity", self.nonlinearity, what)
        divides = self.pool_size > 1 and self.strided_filters % self.pool_size == 0
        _require(divides, "pool_size", self.pool_size, f"2 or more and a divisor of {self.strided_filters}")

    @property
    def frames(self) -> int:
        """Frames in a window."""
        return int(Representation(self.length, self.stride).rows_of(WINDOW_SAMPLES))

    @property
    def representation(self) -> Representation:
        """What the network is fed: samples for the front end "raw", spectrograms for any other."""
        return RAW if self.frontend == "raw" else Representation(self.length, self.stride)

    @property
    def name(self) -> str:
        """Short name for run folders and tables, such as ``raw_1024_1024_l2_4``."""
        parts = [self.frontend, self.length, self.stride]
        parts += [self.nonlinearity] if self.nonlinearity != "relu" else []
        parts += [self.pooling, self.pool_size] if self.pooling != "none" else []
        parts += [f"{self.initial_filters}-filters"] if self.initial_filters != "random" else []
        parts += ["fixed"] if self.fixed_filters else []
        parts += ["rate", f"{self.strided_rate:g}"] if self.strided_rate != self._usual_strided_rate else []
        parts += [self.strided_filters, "strided"] if self.strided_filters != STRIDED_FILTERS else []
        parts += [self.filters, "filters"] if self.filters != 32 else []
        parts += [self.mel_bands, "bands"] if self.mel_bands != MEL_CHANNELS else []
        parts += ["dropout"] if self.dropout else []
        parts += [self.dropout] if self.dropout not in (0.0, 0.5) else []  # the paper's is half
        parts += ["not-averaged"] if not self.average else []
        return "_".join(map(str, parts))

    @property
    def _usual_strided_rate(self) -> float:
        return SLOW if self.initial_filters != "random" and not self.fixed_filters else 1.0

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values, for JSON and checkpoints."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Any) -> "Settings":
        """The settings that `as_dict` wrote.

        Raises
        ------
        InputError
            If a setting is unknown, missing or has a value that it cannot have.
        """
        different = (_LATER | values).keys() ^ TYPES.keys() if isinstance(values, dict) else {"all"}
        if different:
            raise InputError(f"settings: unknown or missing: {', '.join(_shown(name) for name in list(different)[:5])}")
        return cls(**_LATER | values)


# Settings that the first checkpoints lack, and what these were made with. A new setting needs its entry here: without,
# nothing that was trained before can be read.
_LATER: dict[str, Any] = {
    "strided_filters": STRIDED_FILTERS,
    "initial_filters": "random",
    "fixed_filters": False,
    "filters": 32,
    "mel_bands": MEL_CHANNELS,
    "strided_rate": 1.0,
    "average": 0.0,
}
TYPES = get_type_hints(Settings)
METADATA = {field.name: field.metadata for field in fields(Settings)}


def _require(condition: bool, name: str, value: Any, what: str) -> None:
    if not condition:
        raise InputError(f"{name.replace('_', ' ')} is {_shown(value)}; it must be {what}")


def _shown(value: Any) -> str:
    """The value as Python writes it, cut short: it may be a stranger's."""
    return reprlib.repr(value)[:80]
