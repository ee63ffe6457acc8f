"""The demo's instruments: frequency in Hz, samples, a character from 0 to 1 that is the player's own -> one note."""

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from theanoish.representation import SAMPLE_RATE

Samples = NDArray[np.float64]


def _waveform(frequency: float, samples: int, spectrum: Callable[[NDArray], NDArray], vibrato: float = 0) -> Samples:
    """A tone whose partial k, of frequency k * `frequency`, has the amplitude ``spectrum(k)``."""
    time = np.arange(samples) / SAMPLE_RATE
    if vibrato:
        time += vibrato * np.sin(2 * np.pi * 5.3 * time)
    table = np.zeros(1025, complex)
    partials = np.arange(1, int(7600 / frequency) + 1)
    table[partials] = -1j * spectrum(partials)
    period = 1024 * np.fft.irfft(table)
    return period[(2048 * frequency * time).astype(np.int32) & 2047]


def decay(samples: int, seconds: float) -> Samples:
    """An envelope that falls by 60 dB in `seconds`."""
    return np.exp(-6.9 / (seconds * SAMPLE_RATE) * np.arange(samples))


def _swell(samples: int, attack: float, release: float) -> Samples:
    """An envelope that rises, stays and falls; `attack` and `release` in seconds."""
    rise = np.arange(samples) / (attack * SAMPLE_RATE)
    return np.minimum(1, np.minimum(rise, rise[::-1] * attack / release))


def _guitar(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    """A plucked string after Karplus and Strong: noise in a loop of one period that loses its treble."""
    period = SAMPLE_RATE / frequency
    delay = int(period - 1)
    damping = 0.1 + 0.4 * character
    loop = np.convolve([delay + 2 - period, period - 1 - delay], [damping / 2, 1 - damping, damping / 2])
    loop *= 10 ** (-3 / (frequency * 3))  # 60 dB in 3 seconds
    string = np.zeros(samples + 2 * delay + 3)
    noise = random.uniform(-1, 1, delay)
    string[3 : delay + 3] = noise - noise.mean()  # what has an offset would keep it: the loop hardly loses any
    for start in range(delay + 3, samples + delay + 3, delay):
        string[start : start + delay] = np.convolve(string[start - delay - 3 : start], loop, "valid")
    return string[3 : samples + 3] * _swell(samples, 0.001, 0.03)


def _piano(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    struck = _waveform(frequency, samples, lambda k: k ** (-0.9 - 0.4 * character)) * decay(samples, 0.7)
    ringing = _waveform(frequency * 1.001, samples, lambda k: k**-2.2) * decay(samples, 4)
    return (struck + ringing) * _swell(samples, 0.004, 0.06)


def _harpsichord(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    def plucked(k: NDArray) -> NDArray:
        return k**-0.3 * np.sin(np.pi * k * (0.08 + 0.1 * character)) ** 2

    octave = _waveform(2 * frequency, samples, plucked)
    return (_waveform(frequency, samples, plucked) + 0.5 * octave) * decay(samples, 1.5) * _swell(samples, 0.001, 0.02)


def _ensemble(frequency: float, samples: int, spectrum: Callable[[NDArray], NDArray], random: Generator) -> Samples:
    players = [(1 + random.normal(0, 0.003), random.uniform(0.0001, 0.0003)) for _ in range(3)]
    return np.sum([_waveform(frequency * detuned, samples, spectrum, depth) for detuned, depth in players], axis=0)


def _strings(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    bowed = _ensemble(frequency, samples, lambda k: k ** (-0.8 - 0.4 * character), random)
    return bowed * _swell(samples, 0.12 + 0.1 * character, 0.12)


def _choir(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    vowels = ((730, 1090, 2440), (300, 870, 2240), (530, 1840, 2480), (570, 840, 2410))  # formants in Hz
    formants = np.array(vowels[random.integers(len(vowels))]) * (0.95 + 0.2 * character)

    def sung(k: NDArray) -> NDArray:
        resonances = np.exp(-(((k[:, None] * frequency - formants) / 120) ** 2)) * [1, 0.5, 0.25]
        return resonances.sum(axis=1) + 0.02 / k

    return _ensemble(frequency, samples, sung, random) * _swell(samples, 0.08, 0.1)


def _flute(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    blown = _waveform(frequency, samples, lambda k: np.exp(-(1.2 + character) * (k - 1)), 0.0002)
    breath = lfilter([1, -1], [1, -1.2, 0.6], random.normal(0, 0.03 + 0.05 * character, samples))
    return (blown + breath) * _swell(samples, 0.05, 0.06)


def _organ(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    stops = np.zeros(9)
    stops[[1, 2, 3, 4, 6, 8]] = (1, 0.9, 0.3 + 0.5 * character, 0.6, 0.3, 0.5 - 0.3 * character)
    pipes = _waveform(frequency, samples, lambda k: np.where(k <= 8, stops[np.minimum(k, 8)], 0))
    return pipes * _swell(samples, 0.012, 0.025)


def _synth(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    shape = 1 + (character > 0.5)  # sawtooth, or square: odd partials alone
    bright = _waveform(frequency, samples, lambda k: np.where(k % shape == shape - 1, 1 / k, 0))
    bright += _waveform(frequency * 1.006, samples, lambda k: np.where(k % shape == shape - 1, 1 / k, 0))
    dark = _waveform(frequency, samples, lambda k: np.where(k % shape == shape - 1, k**-2.5, 0))
    closing = decay(samples, 1 + 2 * character)  # a filter that closes
    return (bright * closing + 2 * dark * (1 - closing)) * _swell(samples, 0.005, 0.05)


def _bass(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    plucked = _waveform(frequency, samples, lambda k: k ** (-1.3 - character))
    return plucked * decay(samples, 3) * _swell(samples, 0.006, 0.04)


INSTRUMENTS = {  # with the pitch around which each plays
    "guitar": (_guitar, 57),
    "piano": (_piano, 64),
    "harpsichord": (_harpsichord, 64),
    "strings": (_strings, 62),
    "choir": (_choir, 58),
    "flute": (_flute, 77),
    "organ": (_organ, 58),
    "synth": (_synth, 60),
    "bass": (_bass, 36),
}


def drum_hits(random: Generator) -> dict[str, Samples]:
    """One sound for each drum of a kit of its own."""
    time = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    noise = random.normal(size=(2, len(time)))
    low, body = random.uniform(45, 65), random.uniform(160, 220)
    kick = np.sin(2 * np.pi * (low * time - 4 * np.exp(-time / 0.03))) * decay(len(time), 0.35)
    snare = noise[0] * decay(len(time), 0.2) + np.sin(2 * np.pi * body * time) * decay(len(time), 0.15)
    hat = lfilter([1, -1], [1], noise[1]) * decay(len(time), random.uniform(0.04, 0.12))
    return {"kick": kick, "snare": 0.5 * snare, "hat": 0.25 * hat}
