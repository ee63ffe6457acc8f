"""Audio files of any kind as mono 16-bit samples at 16 kHz.

libsndfile decodes, being the fastest. What it cannot open, breaks off or leaves unread goes to FFmpeg (PyAV), which
reads more kinds of files and goes on behind damage. A header is a hint: how long a clip is, its decoded samples say.
"""

import math
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.errors import InputError
from theanoish.representation import FULL_SCALE, SAMPLE_RATE

# What files of music end in; some of these no decoder here can read, so that they are named and not passed over.
SUFFIXES = {
    ".aac", ".ac3", ".aif", ".aifc", ".aiff", ".alac", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp1", ".mp2", ".mp3",
    ".mp4", ".oga", ".ogg", ".opus", ".rf64", ".snd", ".w64", ".wav", ".webm", ".wma", ".wv",
}  # fmt: skip
EMPTY_FILE = "empty file (0 bytes)"
SAMPLE_RATES = (1_000, 384_000)
FINEST_RATIO = 48_000  # of resampling, whose filter is 20 times as long; any rate is met within 0.1 cent
BLOCK = 2**22  # values decoded at a time
LOUDEST = 2  # of full scale; decoders and mixes go beyond 1 by less, floats on a scale of 16 bits by far
UNREAD = 4096  # bytes; tags behind the music are shorter, as a rule
LIKELY_PER_BYTE = 64  # samples at 16 kHz that a byte of music hardly exceeds; silence may
LONGEST_OF_SMALL = 3600 * SAMPLE_RATE  # what a file may unpack to beyond that, so that no small file fills the memory
# Of FFmpeg's, those that hold music themselves: playlists and the like lead to other files and hosts.
FORMATS = "aac,ac3,aiff,ape,asf,au,caf,eac3,flac,matroska,webm,mov,mp4,m4a,3gp,mp3,mpeg,mpegts,ogg,tta,w64,wav,wv"
_ANY = Exception  # decoders raise many kinds, and one odd file must never stop a build
_MISSTATED = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")  # libsndfile's remark about a header


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


@dataclass(frozen=True)
class _Sound:
    """What a decoder gives."""

    mono: NDArray[np.float32]  # (samples,), at the file's own rate, in [-1, 1]
    rate: int
    promised: float  # samples by the header; NaN where it does not say
    unread: int = 0  # bytes of the file that the decoder did not come to
    damaged: int = 0  # places that it left out
    changes: int = 0  # times that its rate or channels are others from there on, as in files that were joined

    @property
    def lacks(self) -> float:
        """Samples that the header promises and that are not there."""
        return self.promised - len(self.mono)

    @property
    def tolerance(self) -> float:
        """Samples by which the header of an MP3 may be wrong, since it is often an estimate."""
        return float(np.nanmax([0.25 * self.rate, 0.02 * self.promised]))


def expected_length(path: Path) -> int:
    """Samples at 16 kHz that a file will hold, by its header; by its size where the header cannot be true.

    Raises
    ------
    AudioError
        Where the file is missing, empty or no audio.
    """
    size = _size(path)
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:
            promised = audio.frames * SAMPLE_RATE / audio.samplerate
    except _ANY as error:
        try:
            with _opened_by_ffmpeg(path) as container:
                promised = (container.duration or 0) / 1e6 * SAMPLE_RATE
        except _ANY as other:
            raise AudioError(path, _reasons(error, other)) from error
    return math.ceil(promised) if 0 < promised <= LIKELY_PER_BYTE * size else size


def audio_files(folder: Path) -> list[Path]:
    """Every audio file below a folder, by its ending, sorted; hidden ones, such as macOS's companions, are left out."""
    files: list[Path] = []
    seen = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:  # a link that leads back
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        files += [Path(parent, name) for name in names if not name.startswith(".")]
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES and path.is_file())


def decode(path: Path) -> NDArray[np.int16]:
    """The samples of `read_audio`."""
    return read_audio(path)[0]


def read_audio(path: Path) -> tuple[NDArray[np.int16], str]:
    """Decode an audio file to mono at 16 kHz.

    Channels are averaged, other sample rates are resampled (polyphase, with an anti-aliasing filter). Samples of a mono
    file at 16 kHz are those that the decoder gives.

    Returns
    -------
    int16 array (samples,)
    str
        Where the file is damaged, not as long as its header says, or on another scale: what was read of it. Mostly "".

    Raises
    ------
    AudioError
        Where the file is missing, empty, broken or no audio.
    """
    size = _size(path)
    most = LIKELY_PER_BYTE * size + LONGEST_OF_SMALL
    sound, error = None, None
    try:
        sound = _by_libsndfile(path, size, most)
    except _ANY as exception:
        error = exception
    if sound is None or sound.unread > UNREAD or abs(sound.lacks) > sound.tolerance:
        try:
            other = _by_ffmpeg(path, most)
            if sound is None or other.changes:  # which libsndfile does not hear, and plays on at the first rate
                sound = other
            elif len(other.mono) > len(sound.mono) + sound.tolerance:
                sound = replace(other, promised=sound.promised)
        except _ANY as exception:
            if error:
                raise AudioError(path, _reasons(error, exception)) from error
    assert sound is not None
    peak = max(float(sound.mono.max(initial=0)), -float(sound.mono.min(initial=0)))
    if not math.isfinite(peak):
        raise AudioError(path, "holds samples that are not finite numbers")
    return _to_int16(_resampled(sound.mono, sound.rate)), _remark(sound, peak)


def _size(path: Path) -> int:
    try:
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise AudioError(path, _reason(error)) from error
    if size == 0:
        raise AudioError(path, EMPTY_FILE)
    return size


def _by_libsndfile(path: Path, size: int, most: int) -> _Sound:
    # By its descriptor, so that the file's name means nothing, and it can be asked how far the decoder came.
    with path.open("rb", buffering=0) as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:
        mono = _joined(_blocks(audio), audio.samplerate, most)
        promised = float("nan") if audio.frames > 2**62 else float(audio.frames)
        if misstated := _MISSTATED.search(audio.extra_info):
            promised *= int(misstated[1]) / max(1, int(misstated[2]))
        return _Sound(mono, audio.samplerate, promised, size - os.lseek(file.fileno(), 0, os.SEEK_CUR))


def _by_ffmpeg(path: Path, most: int) -> _Sound:
    with _opened_by_ffmpeg(path) as container:
        if not container.streams.audio:
            raise ValueError("holds no audio")
        stream = container.streams.audio[0]
        rate, damaged, changes = stream.rate, 0, 0  # the rate of the stream is that of the last frame decoded

        def blocks() -> Iterator[NDArray[np.float32]]:
            nonlocal damaged, changes
            kind: tuple[int, str] | None = None
            packets = container.demux(stream)
            while True:
                try:
                    for frame in next(packets).decode():
                        if kind != (frame.sample_rate, frame.layout.name):
                            changes += kind is not None
                            kind = frame.sample_rate, frame.layout.name
                            to_float = av.AudioResampler(format="fltp", rate=rate)
                        yield from (converted.to_ndarray().mean(axis=0) for converted in to_float.resample(frame))
                except StopIteration:
                    return
                except (av.FFmpegError, ValueError):  # damage
                    damaged += 1

        import av

        mono = _joined(blocks(), rate, most)
        promised = (container.duration / 1e6 if container.duration else float("nan")) * rate
        return _Sound(mono, rate, promised, damaged=damaged, changes=changes)


def _opened_by_ffmpeg(path: Path) -> Any:
    import av  # it takes longer than starting a worker, and few files need it

    options = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
    # up to version 18 metadata that is no UTF-8 is an error unless told otherwise
    lenient = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(str(path), options=options, **lenient)


def _blocks(audio: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    audio.seek(0)  # as soundfile.read does; without it the numbers of an MP3 differ by 1e-7
    # libsndfile's own conversion to 16 bit gives the same numbers, slower.
    while len(block := audio.read(max(1, BLOCK // audio.channels), dtype="float32", always_2d=True)):
        yield block[:, 0] if audio.channels == 1 else sum(block.T) / audio.channels  # many times as fast as `mean`


def _joined(blocks: Iterable[NDArray[np.float32]], rate: int, most: int) -> NDArray[np.float32]:
    """Blocks of samples as one array, where they are at most `most` at 16 kHz."""
    lowest, highest = SAMPLE_RATES
    if not lowest <= rate <= highest:
        raise ValueError(f"its header says {rate} Hz; {lowest} to {highest} Hz can be read")
    kept, samples = [], 0
    for block in blocks:
        kept.append(block)
        samples += len(block)
        if samples * SAMPLE_RATE > most * rate:
            raise ValueError(f"unpacks to more than {most} samples, which no music of its size does")
    return kept[0] if len(kept) == 1 else np.concatenate([*kept, np.empty(0, np.float32)])


def _resampled(mono: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    if rate == SAMPLE_RATE or len(mono) == 0:
        return mono
    from scipy.signal import resample_poly  # importing it takes longer than starting a worker, and few files need it

    ratio = Fraction(SAMPLE_RATE, rate).limit_denominator(FINEST_RATIO)
    resampled: NDArray[np.float32] = resample_poly(mono, ratio.numerator, ratio.denominator)
    return resampled


def _to_int16(mono: NDArray[np.float32]) -> NDArray[np.int16]:
    """Nearest 16-bit values; overwrites `mono`, since fresh memory costs more than the arithmetic."""
    mono *= FULL_SCALE
    np.rint(mono, out=mono)
    np.clip(mono, -FULL_SCALE, FULL_SCALE - 1, out=mono)
    return mono.astype(np.int16)


def _remark(sound: _Sound, peak: float) -> str:
    at_16_khz = SAMPLE_RATE / sound.rate
    remarks = [f"damaged in {sound.damaged} places"] if sound.damaged else []
    remarks += ["its sample rate or channels change"] if sound.changes else []
    if peak > LOUDEST:
        remarks.append(f"its samples reach {peak:.0f} times full scale and are cut off there")
    if abs(sound.lacks) > sound.tolerance:
        remarks.append(f"its header says {sound.promised * at_16_khz:.0f} samples")
    if sound.unread > UNREAD:
        remarks.append(f"its last {sound.unread} bytes are not read")
    return "; ".join([*remarks, f"holds {len(sound.mono) * at_16_khz:.0f} samples"]) if remarks else ""


def _reasons(first: Exception, second: Exception) -> str:
    """Why neither decoder reads a file."""
    return f"{_reason(first)}; FFmpeg: {_reason(second)}"


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return f"libsndfile: {error.error_string}"
    # Of the system and of FFmpeg: what is wrong, without the file's name.
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
