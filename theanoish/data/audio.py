"""Audio files of any kind as mono 16-bit samples at 16 kHz.

libsndfile decodes, being the fastest. What it cannot open, breaks off or leaves unread goes to FFmpeg (PyAV), which
reads more kinds of files and goes on behind damage. A header is a hint: how long a clip is, its decoded samples say.
Files are decoded, mixed and resampled block by block, so that only the samples at 16 kHz are kept.
"""

import math
import os
import re
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import reduce
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from theanoish.data.containers import end_of_chunks, is_encrypted, second_begin, unread
from theanoish.errors import InputError
from theanoish.representation import FULL_SCALE, SAMPLE_RATE

EMPTY_FILE = "empty file (0 bytes)"
NO_FILE = "is a pipe or device, which cannot be searched; save the song as a file first"
SAMPLE_RATES = (1_000, 3_000_000)  # DSD's, in bytes, is above those of PCM
FINEST_RATIO = 48_000  # of resampling, whose filter is 20 times as long; any rate is met within 0.1 cent
BLOCK = 2**21  # values decoded or resampled at a time
LOUDEST = 2  # of full scale; decoders and mixes go beyond 1 by less, floats on a scale of 16 bits by far
UNREAD = 4096  # bytes; less is no music
CANCELLED = 0.2  # of the power that the mean of the channels would have if they had nothing to do with each other
LIKELY_PER_BYTE = 64  # samples at 16 kHz that a byte of music hardly exceeds; silence may
LONGEST_OF_SMALL = 3600 * SAMPLE_RATE  # what a file may unpack to beyond that, so that no small file fills the memory
_ANY = Exception  # decoders raise many kinds, and one odd file must never stop a build
_MISSTATED = re.compile(r"(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)")  # libsndfile's remark about a header


class AudioError(InputError):
    """A file that is missing, empty, broken or no audio; `reason` says why, without its name."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.reason = reason


@dataclass(frozen=True)
class _Sound:
    """What a decoder gives."""

    samples: NDArray[np.int16]  # (samples,), mono at 16 kHz
    frames: int  # at the file's own rate
    rate: int
    peak: float  # of the mean of the channels, in full scales
    cancelled: bool  # whether the channels cancel each other in it
    promised: float = float("nan")  # frames by the header; NaN where it does not say
    unread: int = 0  # bytes behind the sound that are none of its tags
    damaged: int = 0  # places that were left out
    changes: int = 0  # times that its rate or channels are others from there on, as in files that were joined

    @property
    def lacks(self) -> float:
        """Frames that the header promises and that are not there."""
        return self.promised - self.frames

    @property
    def tolerance(self) -> float:
        """Frames by which the header of an MP3 may be wrong, since it is often an estimate."""
        return float(np.nanmax([0.25 * self.rate, 0.02 * self.promised]))


def expected_length(path: Path) -> int:
    """Samples at 16 kHz that a file will hold, by its header; by its size where the header cannot be true."""
    size = _size(path)
    try:
        with path.open("rb") as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:
            promised = audio.frames * SAMPLE_RATE / audio.samplerate
    except _ANY as error:
        try:
            with path.open("rb") as file, opened_by_ffmpeg(file) as container:
                promised = (container.duration or 0) / 1e6 * SAMPLE_RATE
        except _ANY as other:
            raise AudioError(path, _reasons(error, other)) from error
    return math.ceil(promised) if 0 < promised <= LIKELY_PER_BYTE * size else size


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
            elif other.frames > sound.frames + sound.tolerance:
                sound = replace(other, promised=sound.promised)
        except _ANY as exception:
            if error:
                raise AudioError(path, _reasons(error, exception)) from error
    assert sound is not None
    return sound.samples, _remark(sound)


def _size(path: Path) -> int:
    try:
        status = path.stat()
    except (OSError, ValueError) as error:
        raise AudioError(path, _reason(error)) from error
    if not stat.S_ISREG(status.st_mode) and not stat.S_ISDIR(status.st_mode):
        raise AudioError(path, NO_FILE)
    if status.st_size == 0:
        raise AudioError(path, EMPTY_FILE)
    return status.st_size


def _by_libsndfile(path: Path, size: int, most: int) -> _Sound:
    # By its descriptor, so that the file's name means nothing, and it can be asked how far the decoder came.
    with path.open("rb", buffering=0) as file, soundfile.SoundFile(file.fileno(), closefd=False) as audio:
        sound = _at_16_khz(_blocks(audio), audio.samplerate, most)
        promised = float("nan") if audio.frames > 2**62 else float(audio.frames)
        if misstated := _MISSTATED.search(audio.extra_info):
            promised *= int(misstated[1]) / max(1, int(misstated[2]))
        behind = second_begin(file) or os.lseek(file.fileno(), 0, os.SEEK_CUR)
        return replace(sound, promised=promised, unread=unread(file, behind))


def _by_ffmpeg(path: Path, most: int) -> _Sound:
    with path.open("rb") as file, opened_by_ffmpeg(file) as container:
        stream = container.streams.best("audio")
        if stream is None:
            raise ValueError("holds no audio")
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
                        yield from (converted.to_ndarray() for converted in to_float.resample(frame))
                except StopIteration:
                    return
                except (av.FFmpegError, ValueError):  # damage
                    damaged += 1

        import av

        sound = _at_16_khz(blocks(), rate, most)
        says = container.duration and container.format.name != "aac"  # which has no header: FFmpeg guesses
        promised = (container.duration / 1e6 if says else float("nan")) * rate
        if damaged and not sound.frames > promised / 2 and is_encrypted(file):
            raise ValueError("is encrypted, as some bought or streamed music is")
        chained = container.format.name == "ogg"  # all of which is played
        behind = unread(file, None if chained else end_of_chunks(file) or second_begin(file))
        return replace(sound, promised=promised, unread=behind, damaged=damaged, changes=changes)


def opened_by_ffmpeg(file: BinaryIO) -> Any:
    import av  # it takes longer than starting a worker, and few files need it

    options = {"protocol_whitelist": "none"}  # playlists and the like lead to other files and hosts
    # up to version 18 metadata that is no UTF-8 is an error unless told otherwise
    lenient = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
    return av.open(file, options=options, **lenient)


def _blocks(audio: soundfile.SoundFile) -> Iterator[NDArray[np.float32]]:
    audio.seek(0)  # as soundfile.read does; without it the numbers of an MP3 differ by 1e-7
    # libsndfile's own conversion to 16 bit gives the same numbers, slower.
    while len(block := audio.read(max(1, BLOCK // audio.channels), dtype="float32", always_2d=True)):
        yield block.T


def _at_16_khz(blocks: Iterable[NDArray[np.float32]], rate: int, most: int) -> _Sound:
    """Blocks (channels, frames), mixed and resampled, where they are at most `most` samples at 16 kHz."""
    lowest, highest = SAMPLE_RATES
    if not lowest <= rate <= highest:
        raise ValueError(f"its header says {rate} Hz; {lowest} to {highest} Hz can be read")
    frames, peak = 0, 0.0
    mixed_power, apart_power = 0.0, 0.0

    def mixed() -> Iterator[NDArray[np.float32]]:
        nonlocal frames, peak, mixed_power, apart_power
        for block in blocks:
            mono: NDArray[np.float32] = block[0]
            if len(block) > 1:
                mono = reduce(np.add, block) / len(block)  # many times as fast as `mean`
            frames += len(mono)
            if frames * SAMPLE_RATE > most * rate:
                raise ValueError(f"unpacks to more than {most} samples, which no music of its size does")
            highest = max(float(mono.max(initial=0)), -float(mono.min(initial=0)))
            if not math.isfinite(highest):
                raise ValueError("holds samples that are not finite numbers")
            peak = max(peak, highest)
            if len(block) > 1:
                mixed_power += float(np.vdot(mono, mono))
                apart_power += sum(float(np.vdot(channel, channel)) for channel in block) / len(block) ** 2
            yield mono

    samples = [to_int16(part) for part in resampled(mixed(), rate)]
    joined = samples[0] if len(samples) == 1 else np.concatenate([*samples, np.empty(0, np.int16)])
    return _Sound(joined, frames, rate, peak, mixed_power < CANCELLED * apart_power)


def resampled(blocks: Iterable[NDArray[np.float32]], rate: int) -> Iterator[NDArray[np.float32]]:
    """Blocks at 16 kHz: the same numbers as if all were resampled in one."""
    if rate == SAMPLE_RATE:
        yield from blocks
        return
    from scipy.signal import resample_poly  # importing it takes longer than starting a worker, and few files need it

    ratio = Fraction(SAMPLE_RATE, rate).limit_denominator(FINEST_RATIO)
    up, down = ratio.numerator, ratio.denominator
    reach = down * math.ceil((10 * max(up, down) + up) / (up * down))  # of the filter: 10 zeros on either side
    skipped, silence = reach // down * up, np.zeros(reach, np.float32)
    held, length = [silence], 0  # from `reach` before the next frame on

    for block in blocks:
        held.append(block)
        length += len(block)
        if length >= BLOCK + reach:
            joined = np.concatenate(held)
            whole = (length - reach) // down * down
            yield resample_poly(joined[: whole + 2 * reach], up, down)[skipped : skipped + whole // down * up]
            held, length = [joined[whole:].copy()], length - whole
    if length:
        rest = resample_poly(np.concatenate([*held, silence]), up, down)
        yield rest[skipped : skipped + -(-length * up // down)]


def to_int16(mono: NDArray[np.float32]) -> NDArray[np.int16]:
    """Nearest 16-bit values."""
    scaled = mono * np.float32(FULL_SCALE)
    np.rint(scaled, out=scaled)
    np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1, out=scaled)
    return scaled.astype(np.int16)


def _remark(sound: _Sound) -> str:
    at_16_khz = SAMPLE_RATE / sound.rate
    remarks = [f"damaged in {sound.damaged} places"] if sound.damaged else []
    remarks += ["its sample rate or channels change"] if sound.changes else []
    if sound.cancelled:
        remarks.append("its channels cancel each other, so that their mean, which is heard, lacks most of its sound")
    if sound.peak > LOUDEST:
        remarks.append(f"its samples reach {sound.peak:.0f} times full scale and are cut off there")
    if abs(sound.lacks) > sound.tolerance:
        remarks.append(f"its header says {sound.promised * at_16_khz:.0f} samples")
    if sound.unread > UNREAD:
        remarks.append(f"its last {sound.unread} bytes are not read")
    return "; ".join([*remarks, f"holds {len(sound.samples)} samples"]) if remarks else ""


def _reasons(first: Exception, second: Exception) -> str:
    """Why neither decoder reads a file."""
    one, other = _reason(first), _reason(second)
    return one if one == other else f"{one}; FFmpeg: {other}"


def _reason(error: Exception) -> str:
    if isinstance(error, soundfile.LibsndfileError):
        return f"libsndfile: {error.error_string}"
    # Of the system and of FFmpeg: what is wrong, without the file's name.
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
