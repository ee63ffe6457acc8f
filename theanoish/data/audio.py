"""Audio files of any kind that libsndfile reads, as mono 16-bit samples at 16 kHz."""

import math
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.settings import SAMPLE_RATE

FULL_SCALE = 32_768
EMPTY_FILE = "empty file (0 bytes)"


class AudioError(InputError):
    """A file that cannot be decoded.

    Attributes
    ----------
    reason : str
        Why, without the file's name.
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


def length_by_header(path: Path) -> int:
    """Samples at 16 kHz that a file's header promises, an upper bound of what `decode` returns.

    Raises
    ------
    AudioError
        Where the file is missing, empty or no audio.
    """
    try:
        if path.stat().st_size == 0:
            raise AudioError(path, EMPTY_FILE)
        with path.open("rb") as file, soundfile.SoundFile(file) as audio:
            return math.ceil(audio.frames * SAMPLE_RATE / audio.samplerate)
    except (OSError, soundfile.SoundFileError) as error:
        raise AudioError(path, _reason(error)) from error


def decode(path: Path) -> NDArray[np.int16]:
    """Decode an audio file to mono at 16 kHz.

    Channels are averaged, other sample rates are resampled (polyphase, with an anti-aliasing filter). Samples of a mono
    file at 16 kHz are those that the decoder gives.

    Returns
    -------
    int16 array (samples,)

    Raises
    ------
    AudioError
        Where the file is missing, empty, broken or no audio.
    """
    try:
        if path.stat().st_size == 0:
            raise AudioError(path, EMPTY_FILE)
        # libsndfile's own conversion to 16 bit gives the same numbers, slower.
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, MemoryError, soundfile.SoundFileError) as error:
        raise AudioError(path, _reason(error)) from error
    if not np.isfinite(samples.sum()):
        raise AudioError(path, "holds samples that are not finite numbers")
    mono = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return _to_int16(_resampled(mono, rate))


def _resampled(mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == SAMPLE_RATE or len(mono) == 0:
        return mono
    from scipy.signal import resample_poly  # importing it takes longer than starting a worker, and few files need it

    divisor = math.gcd(rate, SAMPLE_RATE)
    resampled: NDArray[np.float32] = resample_poly(mono, SAMPLE_RATE // divisor, rate // divisor)
    return resampled


def _to_int16(mono: NDArray[np.float32]) -> NDArray[np.int16]:
    """Nearest 16-bit values; overwrites `mono`, since fresh memory costs more than the arithmetic."""
    mono *= FULL_SCALE
    np.rint(mono, out=mono)
    np.clip(mono, -FULL_SCALE, FULL_SCALE - 1, out=mono)
    return mono.astype(np.int16)


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return f"libsndfile: {error.error_string}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
