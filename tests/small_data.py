"""A small HDF5 data set in the layout of docs/format.md, written by h5py alone, to train and evaluate on."""

from functools import cache
from pathlib import Path

import h5py
import numpy as np

from theanoish.settings import Settings

TAGS = ["low", "middle", "high", "loud"]
SPLITS = ["train"] * 12 + ["validation"] * 6 + ["test"] * 6
MEL_SETTINGS = [(1024, 1024), (512, 256)]
MEL_CHANNELS = 128


def write_small_data(path: Path, *, representations=("raw", *MEL_SETTINGS), labels=None, **attributes) -> Path:
    """24 clips of 100,000 to 200,000 samples, each tag one audible thing, with gaps of poison between clips.

    A gap that is ever read shows: as full-scale noise in "raw" and as NaN in "mel_...", which makes any loss NaN.
    """
    labels, signals = _clips(None if labels is None else tuple(map(tuple, labels.tolist())))
    lengths, clips = [len(signal) for signal in signals], len(signals)
    with h5py.File(path, "w") as file:
        file.attrs.update({"format": "theanoish", "format_version": 2, "sample_rate": 16_000, "tags_kept": "all"})
        file.attrs.update(attributes)
        file["tags"], file["labels"] = TAGS, labels
        file["clips/id"] = np.arange(clips) + 100
        file["clips/samples"] = lengths
        file["clips/split"] = SPLITS
        file["clips/artist"] = [f"artist {i // 5}" for i in range(clips)]  # artist 2 is in train and validation
        for name in ("path", "album", "title"):
            file[f"clips/{name}"] = [f"{name} {i}" for i in range(clips)]
        for name in representations:
            if name == "raw":
                _write_values(file.create_group("raw"), signals, np.int16, 32767)
            else:
                group = file.create_group(f"mel_{name[0]}_{name[1]}")
                _write_values(group, [_spectrogram(s, *name) for s in signals], np.float32, np.nan)
    return path


@cache
def _clips(labels):
    """Labels and samples of the clips."""
    generator = np.random.default_rng(3)
    if labels is None:
        labels = generator.integers(0, 2, (len(SPLITS), len(TAGS)), dtype=np.uint8)
        for split in set(SPLITS):  # every tag has positive and negative clips in every split
            first = SPLITS.index(split)
            labels[first], labels[first + 1] = (1, 0, 1, 0), (0, 1, 0, 1)
    labels = np.array(labels, np.uint8)
    lengths = generator.integers(100_000, 200_000, len(SPLITS))
    return labels, [_signal(generator, row, length) for row, length in zip(labels, lengths, strict=True)]


def _signal(generator, labels, length):
    time = np.arange(length) / 16_000
    signal = generator.standard_normal(length) * 0.01
    for label, frequency in zip(labels, (200, 900, 3000), strict=False):
        signal += 0.2 * label * np.sin(2 * np.pi * frequency * time + generator.uniform(0, 6))
    return signal * (1.0 if labels[3] else 0.3)


def _spectrogram(signal, length, stride):
    """Not the mel scale, which these tests have no use for: the first 128 channels of a spectrum."""
    frames = np.lib.stride_tricks.sliding_window_view(signal, length)[::stride]
    return np.log1p(abs(np.fft.rfft(frames, axis=1))[:, :MEL_CHANNELS])


def _write_values(group, clips, dtype, poison):
    counts = np.array([len(clip) for clip in clips])
    starts = 7 + np.cumsum(counts + 11) - (counts + 11)
    values = np.full((starts[-1] + counts[-1] + 13, *clips[0].shape[1:]), poison, dtype)
    for clip, start in zip(clips, starts, strict=True):
        values[start : start + len(clip)] = clip * 32767 if dtype == np.int16 else clip
    group["values"], group["start"], group["count"] = values, starts, counts


def clip_of(path: Path, representation: str, row: int) -> np.ndarray:
    """All samples or frames of a clip, read by h5py."""
    with h5py.File(path) as file:
        group = file[representation]
        start, count = group["start"][row], group["count"][row]
        return group["values"][start : start + count]


def small_settings(**changes) -> Settings:
    """The cheapest network of Table 1, with everything that a run must carry: momentum and dropout."""
    network = {"frontend": "mel", "length": 1024, "stride": 1024, "minibatch": 3, "dropout": 0.5, "momentum": 0.9}
    return Settings(**(network | {"learning_rate": 0.01, "updates": 120, "validation_interval": 60} | changes))
