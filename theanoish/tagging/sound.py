"""The sound of a song's page: the song's own file where browsers play it as it was heard, or else one made of it."""

import base64
import io
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import soundfile

from theanoish.data.audio import decode, opened_by_ffmpeg
from theanoish.files import written_whole
from theanoish.representation import SAMPLE_RATE
from theanoish.tagging.taggram import Taggram

# What browsers are known to play, by FFmpeg's names of container and codec.
PLAYED = {
    "mp3": ("audio/mpeg", {"mp3", "mp3float"}),
    "wav": ("audio/wav", {"pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le"}),
    "flac": ("audio/flac", {"flac"}),
    "ogg": ("audio/ogg", {"vorbis", "opus"}),
    "mov,mp4,m4a,3gp,3g2,mj2": ("audio/mp4", {"aac"}),
    "aac": ("audio/aac", {"aac"}),
}
RATES_PLAYED = (8_000, 96_000)
TOLERANCE = 0.25  # seconds between what a file's header says and what is drawn
LARGEST = 150_000_000  # bytes of a sound within a page; a browser reads them in some six seconds


def sound_for(page: Path, taggram: Taggram) -> dict[str, str]:
    """What a page plays, in it or, where it is large, in a folder beside it.

    Returns
    -------
    dict
        ``type``, and ``sound`` in base64 or ``source``, the address of the file beside the page.
    """
    kind, made = _type_of(taggram), b""
    if not kind:
        kind, made = "audio/mpeg", _made_of(taggram)
    if (len(made) or taggram.path.stat().st_size) <= LARGEST:
        return {"type": kind, "sound": base64.b64encode(made or taggram.path.read_bytes()).decode()}
    ending = kind.removeprefix("audio/").replace("mpeg", "mp3")
    file = page.with_name(f"{page.stem}_files") / f"sound.{ending}"
    file.parent.mkdir(exist_ok=True)
    with written_whole(file) as beside:
        if made:
            beside.write_bytes(made)
        else:
            shutil.copyfile(taggram.path, beside)
    return {"type": kind, "source": quote(os.fsencode(f"{file.parent.name}/{file.name}"))}


def _type_of(taggram: Taggram) -> str:
    """The type of a song's file if browsers play it and its header says that it is as long as what was heard; or ""."""
    import av  # slow to import

    if taggram.remark:  # damage and the like, which every browser hears in its own way
        return ""
    try:
        with taggram.path.open("rb") as file, opened_by_ffmpeg(file) as container:
            [stream] = container.streams.audio
            kind, codecs = PLAYED.get(container.format.name, ("", set()))
            lengths = [(container.duration or 0) / av.time_base]
            played = stream.codec_context.name in codecs and RATES_PLAYED[0] <= stream.rate <= RATES_PLAYED[1]
        with (
            suppress(soundfile.SoundFileError),  # which does not open all of them
            taggram.path.open("rb") as file,
            soundfile.SoundFile(file.fileno(), closefd=False) as audio,  # or it would go by a name that ends in .raw
        ):
            lengths.append(audio.frames / audio.samplerate)
            played &= audio.format != "RF64"  # a WAV to FFmpeg
    except (av.FFmpegError, OSError, ValueError):  # one with several sounds, or libsndfile's alone
        return ""
    return kind if played and all(abs(length - taggram.seconds) < TOLERANCE for length in lengths) else ""


def _made_of(taggram: Taggram) -> bytes:
    """A song as MP3, stereo at 44.1 or 48 kHz: as FFmpeg decodes it, or, if that is not what was heard, what was."""
    import av

    made = b""
    with (
        suppress(av.FFmpegError, OSError, ValueError),
        taggram.path.open("rb") as file,
        opened_by_ffmpeg(file) as container,
    ):
        stream = container.streams.best("audio")
        rate = 44_100 if stream.rate % 11_025 == 0 else 48_000
        made = _as_mp3(_frames(container, stream), rate)
    if made and abs(soundfile.info(io.BytesIO(made)).duration - taggram.seconds) < TOLERANCE:
        return made
    heard = av.AudioFrame.from_ndarray(decode(taggram.path)[None], format="s16", layout="mono")
    heard.sample_rate = SAMPLE_RATE
    return _as_mp3([heard], 48_000)


def _frames(container: Any, stream: Any) -> Iterator[Any]:
    """What can be decoded of a stream, past its damaged places."""
    import av

    for packet in container.demux(stream):
        with suppress(av.FFmpegError):
            yield from packet.decode()


def _as_mp3(frames: Iterable[Any], rate: int) -> bytes:
    import av

    made, kind = io.BytesIO(), None
    # at a constant bit rate browsers find every moment
    with soundfile.SoundFile(
        made, "w", rate, 2, format="MP3", bitrate_mode="CONSTANT", compression_level=0.4
    ) as output:
        for frame in frames:
            if kind != (frame.sample_rate, frame.layout.name):
                kind = frame.sample_rate, frame.layout.name
                to_stereo = av.AudioResampler(format="flt", layout="stereo", rate=rate)
            for part in to_stereo.resample(frame):
                output.write(part.to_ndarray().reshape(-1, 2))
    return made.getvalue()
