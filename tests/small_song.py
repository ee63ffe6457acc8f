"""A song that is made here."""

import numpy as np
import soundfile


def write_song(path, seconds, rate=16_000, channels=1, **how):
    """A chord over noise that grows louder, different in each channel."""
    generator = np.random.default_rng(round(seconds * 1000))
    time = np.arange(round(seconds * rate)) / rate
    chord = np.sin(2 * np.pi * time[:, None] * (300, 1100)[:channels]) * np.linspace(0.05, 0.4, len(time))[:, None]
    soundfile.write(path, chord + generator.standard_normal(chord.shape) * 0.02, rate, **how)
    return path
