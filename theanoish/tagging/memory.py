"""Sound that a program has in memory, as a song."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.representation import FULL_SCALE, WINDOW_SAMPLES, Representation
from theanoish.tagging.songs import Song


def song_of(samples: NDArray[Any], sample_rate: int | None, representation: Representation) -> Song:
    """As `theanoish.tagging.songs.read_song`, of samples as `at_16_khz` takes them."""
    from theanoish.data.mel import represented  # only to listen, so that a network is loaded sooner

    whole = at_16_khz(samples, sample_rate)
    padded = np.pad(whole, (0, max(0, WINDOW_SAMPLES - len(whole))))
    [(_, rows)] = represented(padded, [representation])
    return Song(Path("samples in memory"), len(whole), rows, "")


def at_16_khz(samples: NDArray[Any], sample_rate: int | None) -> NDArray[np.int16]:
    """Mono samples at 16 kHz, int16 (samples,).

    Parameters
    ----------
    samples : int16 or float array (samples,) or (samples, channels)
        Floats are in [-1, 1). Channels are averaged.
    sample_rate : int

    Raises
    ------
    InputError
        If there is no sample rate, or samples are none, not finite, or of another dtype or shape.
    """
    from theanoish.data.audio import LOUDEST, SAMPLE_RATES, resampled, to_int16  # only to listen, too

    if sample_rate is None or not SAMPLE_RATES[0] <= sample_rate <= SAMPLE_RATES[1]:
        raise InputError(f"sample_rate is {sample_rate}; give the samples per second of the array")
    values = np.asarray(samples)
    channels_first = values.ndim == 2 and values.shape[1] > len(values)  # as librosa and torchaudio have it
    of_sound = values.dtype == np.int16 or values.dtype.kind == "f"
    if values.ndim not in (1, 2) or values.size == 0 or channels_first or not of_sound:
        raise InputError(
            f"samples are {values.dtype}, shape {values.shape}; they must be int16 or floats in [-1, 1), with shape "
            "(samples,) or (samples, channels)"
        )
    if not np.isfinite(values).all():
        raise InputError("samples hold numbers that are not finite; mend them")
    mono: NDArray[np.float32] = values.astype(np.float32) / np.float32(FULL_SCALE if values.dtype == np.int16 else 1)
    if (peak := float(np.abs(mono).max())) > LOUDEST:
        raise InputError(f"samples reach {peak:.0f} times full scale; floats must be in [-1, 1)")
    mono = mono.mean(axis=1) if mono.ndim == 2 else mono
    return np.concatenate([to_int16(part) for part in resampled([mono], round(sample_rate))])
