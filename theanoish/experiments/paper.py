"""The paper's experiments, results and findings (section 4, Tables 1 to 3): nothing else knows these numbers."""

import statistics
from dataclasses import dataclass, replace
from functools import partial

from theanoish.representation import LENGTHS_AND_STRIDES
from theanoish.settings import Settings


@dataclass(frozen=True)
class Row:
    """One result of the paper: a network in one of its tables."""

    names: tuple[str, ...]  # of the table's row and column
    settings: Settings  # of the experiment, with the paper's defaults for the rest
    auc: float | None = None  # mean test AUC on MagnaTagATune, in Tables 1 to 3; of any network, see `paper_auc`


@dataclass(frozen=True)
class Finding:
    """A sentence of the paper as a difference of test AUCs."""

    name: str  # what is subtracted from what
    # of networks' names, or `REGRESSION`: the first one's AUC minus the second one's, the mean over several pairs
    pairs: tuple[tuple[str, str], ...]
    paper: float | None  # the difference in the paper's tables; None if it gives no number
    in_paper: bool = True  # whether the paper says anything of it


_SIZES = LENGTHS_AND_STRIDES[:5]  # of Table 1; others may follow
_TABLE_1 = ((0.8690, 0.8366), (0.8726, 0.8365), (0.8793, 0.8386), (0.8793, 0.8408), (0.8815, 0.8487))
_TABLE_2 = (
    ("rectified linear", "max(0, x)", "relu", 0.8366),
    ("logarithmic", "log(1 + C·x²)", "log-square", 0.7508),
    ("logarithmic", "log(1 + C·|x|)", "log-absolute", 0.7487),
)
_TABLE_3 = (
    ("no pooling", "none", 1, 0.8366),
    ("L2 pooling", "l2", 2, 0.8387),
    ("L2 pooling", "l2", 4, 0.8387),
    ("max-pooling", "max", 2, 0.8183),
    ("max-pooling", "max", 4, 0.8280),
)
_raw_1024 = partial(Settings, frontend="raw", length=1024, stride=1024)

# Table 1: the five input resolutions, and which front end in the second part of the row's name.
TABLE_1 = tuple(
    Row((str(length), str(stride), frontend), Settings(frontend=frontend, length=length, stride=stride), auc)
    for (length, stride), (mel, raw) in zip(_SIZES, _TABLE_1, strict=True)
    for frontend, auc in (("mel", mel), ("raw", raw))
)
TABLE_2 = tuple(
    Row((name, formula), _raw_1024(nonlinearity=nonlinearity), auc) for name, formula, nonlinearity, auc in _TABLE_2
)
TABLE_3 = tuple(
    Row((name, str(size)), _raw_1024(pooling=pooling, pool_size=size), auc) for name, pooling, size, auc in _TABLE_3
)
# Section 4.1: dropout in the dense layers "did not affect performance significantly"; there are no numbers with it.
DROPOUT = tuple(
    Row((frontend, str(dropout)), Settings(frontend=frontend, length=256, stride=256, dropout=dropout))
    for frontend in ("mel", "raw")
    for dropout in (0.0, 0.5)
)
# Section 5: what the paper leaves for future work, with what each part of it must be compared with.
_mel_256 = partial(Settings, frontend="mel", length=256, stride=256)
_raw_256 = partial(Settings, frontend="raw", length=256, stride=256)
_pairs = partial(_raw_256, pooling="l2", pool_size=2)
_log_pairs = partial(_pairs, nonlinearity="log-square")
_full_rate = {"strided_rate": 1.0}  # like any other layer, which takes the filters away from their start
_SLOW = "L2 of 2, log, mel-initialised, trained slowly"
_LARGE_SLOW = f"256 filters, {_SLOW}"
_LARGEST_SLOW = f"{_LARGE_SLOW}, 64 filters per convolution"
FUTURE = tuple(
    Row((name,), settings)
    for name, settings in (
        ("spectrograms, 128 bands", _mel_256()),
        ("spectrograms, 128 bands, not averaged", _mel_256(average=0.0)),
        ("spectrograms, 64 bands", _mel_256(mel_bands=64)),
        ("spectrograms, 128 bands, 64 filters per convolution", _mel_256(filters=64)),
        ("raw audio", _raw_256()),
        ("raw audio, not averaged", _raw_256(average=0.0)),
        ("L2 pooling of 2", _pairs()),
        ("L2 of 2, log", _log_pairs()),
        ("L2 of 2, mel-initialised", _pairs(initial_filters="mel", **_full_rate)),
        ("L2 of 2, mel-initialised, trained slowly", _pairs(initial_filters="mel")),
        ("L2 of 2, log, mel-initialised", _log_pairs(initial_filters="mel", **_full_rate)),
        (_SLOW, _log_pairs(initial_filters="mel")),
        ("L2 of 2, log, mel-initialised, fixed", _log_pairs(initial_filters="mel", fixed_filters=True)),
        ("L2 of 2, log, unsupervised", _log_pairs(initial_filters="unsupervised", **_full_rate)),
        ("L2 of 2, log, unsupervised, trained slowly", _log_pairs(initial_filters="unsupervised")),
        ("L2 of 2, log, k-means", _log_pairs(initial_filters="k-means", **_full_rate)),
        ("L2 of 2, log, k-means, trained slowly", _log_pairs(initial_filters="k-means")),
        ("256 filters, L2 of 2, log", _log_pairs(strided_filters=256)),
        (
            "256 filters, L2 of 2, log, mel-initialised",
            _log_pairs(initial_filters="mel", strided_filters=256, **_full_rate),
        ),
        (_LARGE_SLOW, _log_pairs(initial_filters="mel", strided_filters=256)),
        (_LARGEST_SLOW, _log_pairs(initial_filters="mel", strided_filters=256, filters=64)),
    )
)
# Networks that the figures show: the architecture in its three variants, learned filters, pools of learned filters.
FIGURE_1 = (_raw_1024(frontend="mel"), _raw_1024(), _raw_1024(pooling="l2", pool_size=4))
FIGURES_2_AND_3 = Settings(frontend="raw", length=512, stride=512)
FIGURE_4 = FIGURE_1[2]
TABLES = {"1": TABLE_1, "2": TABLE_2, "3": TABLE_3, "dropout": DROPOUT, "future": FUTURE}
_PAPER_AUCS = {row.settings.name: row.auc for row in (*TABLE_1, *TABLE_2, *TABLE_3)}


REGRESSION = "log-mel statistics"  # no network, but what networks must beat: a row of the baselines
MAGNATAGATUNE_TAGS = {
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
    "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
    "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo", "man",
    "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello", "no voice",
    "weird", "country", "female voice", "metal", "choral",
}  # fmt: skip


def paper_auc(settings: Settings) -> float | None:
    """The paper's test AUC for the same network; None if it has none.

    Training settings, such as the learning rate, which the paper does not give, do not matter.
    """
    return _PAPER_AUCS.get(replace(settings, average=0.1).name)  # which names only tell from none


def _paper_difference(pairs: tuple[tuple[str, str], ...]) -> float | None:
    aucs = [(_PAPER_AUCS.get(first), _PAPER_AUCS.get(second)) for first, second in pairs]
    differences = [first - second for first, second in aucs if first is not None and second is not None]
    return statistics.fmean(differences) if len(differences) == len(pairs) else None


# What the paper finds in its tables, from which a replication may differ; the contrasts of a sweep are made of it.
_FRONT_ENDS = tuple((f"mel_{length}_{stride}", f"raw_{length}_{stride}") for length, stride in _SIZES)
_STRIDES = tuple(
    (f"{frontend}_{length}_{length // 2}", f"{frontend}_{length}_{length}")
    for length in (1024, 512)
    for frontend in ("mel", "raw")
)
_BESIDE_1024 = {
    "log(1 + C·x²) - rectifier": "log-square",
    "log(1 + C·|x|) - rectifier": "log-absolute",
    "L2 pooling of 2 - none": "l2_2",
    "L2 pooling of 4 - none": "l2_4",
    "max-pooling of 2 - none": "max_2",
    "max-pooling of 4 - none": "max_4",
}
_IN_PAPER = tuple(
    Finding(name, pairs, _paper_difference(pairs))
    for name, pairs in (
        *((f"spectrograms - raw audio, {mel[4:].replace('_', '/')}", ((mel, raw),)) for mel, raw in _FRONT_ENDS),
        ("spectrograms - raw audio, mean of the five", _FRONT_ENDS),
        ("256/256 - 1024/1024, spectrograms", (("mel_256_256", "mel_1024_1024"),)),
        ("256/256 - 1024/1024, raw audio", (("raw_256_256", "raw_1024_1024"),)),
        ("stride of half a length - of a whole one, mean of four", _STRIDES),
        *((name, ((f"raw_1024_1024_{end}", "raw_1024_1024"),)) for name, end in _BESIDE_1024.items()),
        ("dropout - none, spectrograms", (("mel_256_256_dropout", "mel_256_256"),)),
        ("dropout - none, raw audio", (("raw_256_256_dropout", "raw_256_256"),)),
    )
)
# Section 5 only wishes; what each part of the table of future work changes, and what is then left to the spectrograms.
_of = {row.names[0]: row.settings.name for row in FUTURE}
_MEL, _MEL_64, _RAW = "spectrograms, 128 bands", "spectrograms, 64 bands", "raw audio"
_MEL_LARGEST = f"{_MEL}, 64 filters per convolution"
_ROOT = "L2 of 2, mel-initialised"
_LOG, _FULL, _FIXED = "L2 of 2, log", "L2 of 2, log, mel-initialised", "L2 of 2, log, mel-initialised, fixed"
_STEPS = (
    ("averaged - not, spectrograms", _MEL, f"{_MEL}, not averaged"),
    ("averaged - not, raw audio", _RAW, f"{_RAW}, not averaged"),
    ("64 bands - 128, spectrograms", _MEL_64, _MEL),
    ("log - root, random filters", _LOG, "L2 pooling of 2"),
    ("mel-initialised - random, root", _ROOT, "L2 pooling of 2"),
    ("mel-initialised - random, log", _FULL, _LOG),
    ("fixed - trained, mel-initialised, log", _FIXED, _FULL),
    ("trained slowly - at the full rate, mel-initialised, log", _SLOW, _FULL),
    ("trained slowly - at the full rate, mel-initialised, root", f"{_ROOT}, trained slowly", _ROOT),
    ("trained slowly - fixed, mel-initialised, log", _SLOW, _FIXED),
    ("mel-initialised, log, trained slowly - 64 bands, spectrograms", _SLOW, _MEL_64),  # of as many channels
    ("mel-initialised, log, fixed - 64 bands, spectrograms", _FIXED, _MEL_64),
    *(
        contrast
        for start in ("unsupervised", "k-means")
        for contrast in (
            (f"{start} - random, log", f"{_LOG}, {start}", _LOG),
            (
                f"trained slowly - at the full rate, {start}, log",
                f"{_LOG}, {start}, trained slowly",
                f"{_LOG}, {start}",
            ),
            (f"{start}, trained slowly - random, log", f"{_LOG}, {start}, trained slowly", _LOG),
        )
    ),
    ("256 filters - 128, random, log", f"256 filters, {_LOG}", _LOG),
    ("256 filters - 128, mel-initialised, log", f"256 filters, {_FULL}", _FULL),
    ("256 filters - 128, mel-initialised, log, trained slowly", _LARGE_SLOW, _SLOW),
    ("64 filters per convolution - 32, 256 filters trained slowly", _LARGEST_SLOW, _LARGE_SLOW),
    ("64 filters per convolution - 32, spectrograms", _MEL_LARGEST, _MEL),
    ("64 filters per convolution, 256 filters trained slowly - spectrograms", _LARGEST_SLOW, _MEL_LARGEST),
)
FINDINGS = (
    *_IN_PAPER,
    Finding("spectrograms, 256/256 - logistic regression", (("mel_256_256", REGRESSION),), None, in_paper=False),
    Finding("raw audio, 256/256 - logistic regression", (("raw_256_256", REGRESSION),), None, in_paper=False),
    *(Finding(name, ((_of[first], _of[second]),), None, in_paper=False) for name, first, second in _STEPS),
    *(
        Finding(f"{row} - {other}", ((_of[row], _of[other]),), None, in_paper=False)
        for other in (_RAW, _MEL)
        for row in _of
        if not row.startswith((_RAW, "spectrograms"))
    ),
)
