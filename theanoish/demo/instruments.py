"""The demo's instruments: a table of what makes their sounds differ, and one function that plays a note of any."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import lfilter

from theanoish.representation import SAMPLE_RATE

Samples = NDArray[np.float64]
# Numbers of partials, their frequencies in Hz, and a character from 0 to 1 that is the player's -> amplitudes.
Spectrum = Callable[[NDArray[np.float64], NDArray[np.float64], float], NDArray[np.float64]]


@dataclass(frozen=True)
class Instrument:
    """How an instrument sounds; times are in seconds."""

    middle: int  # the pitch around which it plays, as a MIDI number
    spectrum: Spectrum
    attack: float
    release: float
    bright: float = np.inf  # until its treble is 60 dB down
    dark: float = np.inf  # until its bass is
    players: int = 1  # each a little out of tune
    breath: float = 0.0  # noise


def _sung(k: NDArray[np.float64], hertz: NDArray[np.float64], character: float) -> NDArray[np.float64]:
    formants = np.array([730, 1090, 2440]) * (0.8 + 0.5 * character)
    return (np.exp(-(((hertz[:, None] - formants) / 150) ** 2)) * [1, 0.5, 0.25]).sum(axis=1) + 0.02 / k


INSTRUMENTS = {
    "guitar": Instrument(57, lambda k, hertz, c: np.abs(np.sin(k * (0.5 + 0.3 * c))) / k, 0.002, 0.03, 0.5, 2),
    "piano": Instrument(64, lambda k, hertz, c: k ** (-1.5 - 0.5 * c), 0.004, 0.06, 1, 5),
    "harpsichord": Instrument(64, lambda k, hertz, c: np.sin(k * (0.3 + 0.3 * c)) ** 2, 0.001, 0.02, 1.5, 1.5),
    "strings": Instrument(62, lambda k, hertz, c: k ** (-0.8 - 0.4 * c), 0.15, 0.12, players=3),
    "choir": Instrument(58, _sung, 0.08, 0.1, players=3),
    "flute": Instrument(77, lambda k, hertz, c: np.exp(-(1.2 + c) * (k - 1)), 0.05, 0.06, breath=0.05),
    "organ": Instrument(58, lambda k, hertz, c: np.isin(k, (1, 2, 3, 4, 6, 8)) * k ** (-0.3 - c / 2), 0.012, 0.025),
    "synth": Instrument(60, lambda k, hertz, c: (k % 2) * k ** (-0.5 - 0.4 * c), 0.005, 0.05, 2, players=2),
    "bass": Instrument(36, lambda k, hertz, c: k ** (-1.3 - c), 0.006, 0.04, 3, 3),
}


def note(name: str, frequency: float, samples: int, character: float, random: Generator) -> Samples:
    """A note of the instrument `name`, of `frequency` in Hz."""
    how = INSTRUMENTS[name]
    sound = random.normal(0, how.breath, samples)
    sound[1:] -= sound[:-1].copy()  # breath hisses
    for _ in range(how.players):
        detuned = frequency * (1 + random.normal(0, 0.003) * (how.players > 1))
        partials = np.arange(1.0, 7600 // detuned + 1)
        bright = how.spectrum(partials, detuned * partials, character)
        sound += _tone(bright, detuned, samples) * decay(samples, how.bright)
        sound += _tone(bright / partials**2, detuned, samples) * decay(samples, how.dark)
    rise = np.arange(samples) / (how.attack * SAMPLE_RATE)
    return sound * np.minimum(1, np.minimum(rise, rise[::-1] * how.attack / how.release))


def _tone(amplitudes: NDArray[np.float64], frequency: float, samples: int) -> Samples:
    period = np.fft.irfft(np.r_[0, -1j * amplitudes, np.zeros(1024 - len(amplitudes))]) * 1024
    return period[(2048 * frequency / SAMPLE_RATE * np.arange(samples)).astype(int) & 2047]


def decay(samples: int, seconds: float) -> Samples:
    """An envelope that falls by 60 dB in `seconds`."""
    return np.exp(-6.9 / (seconds * SAMPLE_RATE) * np.arange(samples))


def drum_hits(random: Generator) -> dict[str, Samples]:
    """One sound for each drum of a kit of its own."""
    time = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    noise = random.normal(size=(2, len(time)))
    low, body = random.uniform(45, 65), random.uniform(160, 220)
    kick = np.sin(2 * np.pi * (low * time - 4 * np.exp(-time / 0.03))) * decay(len(time), 0.35)
    snare = noise[0] * decay(len(time), 0.2) + np.sin(2 * np.pi * body * time) * decay(len(time), 0.15)
    hat = lfilter([1, -1], [1], noise[1]) * decay(len(time), random.uniform(0.04, 0.12))
    return {"kick": kick, "snare": 0.5 * snare, "hat": 0.25 * hat}
