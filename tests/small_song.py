"""A song that is made here."""

import av
import numpy as np
import soundfile


def write_song(path, seconds, rate=16_000, channels=1, **how):
    """A chord over noise that grows louder, different in each channel."""
    generator = np.random.default_rng(round(seconds * 1000))
    time = np.arange(round(seconds * rate)) / rate
    chord = np.sin(2 * np.pi * time[:, None] * (300, 1100)[:channels]) * np.linspace(0.05, 0.4, len(time))[:, None]
    soundfile.write(path, chord + generator.standard_normal(chord.shape) * 0.02, rate, **how)
    return path


def write_encoded(path, seconds, codec, rate=48_000, channels=1):
    """The same as FFmpeg encodes it, in a file of the kind that its name ends in."""
    wav = write_song(path.with_name("source.wav"), seconds, rate, channels)
    with av.open(str(wav)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream(codec, rate=rate)
        for frame in [*source.decode(audio=0), None]:
            output.mux(stream.encode(frame))
    return path
