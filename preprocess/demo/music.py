"""Music for the demo: instruments, and pieces composed for them by a seeded program."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from theanoish.representation import SAMPLE_RATE

Samples = NDArray[np.float64]
Note = tuple[float, float, int]  # start and duration in beats, semitones above the instrument's middle

_LOW_CUT = butter(2, 30, "highpass", output="sos", fs=SAMPLE_RATE)  # recordings have no offset, which would tell tags
CLIP_SAMPLES = 465_984  # 29.124 s, as every clip of MagnaTagATune


# ---- Instruments: frequency in Hz, samples, a character from 0 to 1 that is the player's own -> samples of one note


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


def _decay(samples: int, seconds: float) -> Samples:
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
    struck = _waveform(frequency, samples, lambda k: k ** (-0.9 - 0.4 * character)) * _decay(samples, 0.7)
    ringing = _waveform(frequency * 1.001, samples, lambda k: k**-2.2) * _decay(samples, 4)
    return (struck + ringing) * _swell(samples, 0.004, 0.06)


def _harpsichord(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    def plucked(k: NDArray) -> NDArray:
        return k**-0.3 * np.sin(np.pi * k * (0.08 + 0.1 * character)) ** 2

    octave = _waveform(2 * frequency, samples, plucked)
    return (_waveform(frequency, samples, plucked) + 0.5 * octave) * _decay(samples, 1.5) * _swell(samples, 0.001, 0.02)


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
    closing = _decay(samples, 1 + 2 * character)  # a filter that closes
    return (bright * closing + 2 * dark * (1 - closing)) * _swell(samples, 0.005, 0.05)


def _bass(frequency: float, samples: int, character: float, random: Generator) -> Samples:
    plucked = _waveform(frequency, samples, lambda k: k ** (-1.3 - character))
    return plucked * _decay(samples, 3) * _swell(samples, 0.006, 0.04)


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


def _drum_hits(random: Generator) -> dict[str, Samples]:
    """One sound for each drum of a kit of its own."""
    time = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    noise = random.normal(size=(2, len(time)))
    low, body = random.uniform(45, 65), random.uniform(160, 220)
    kick = np.sin(2 * np.pi * (low * time - 4 * np.exp(-time / 0.03))) * _decay(len(time), 0.35)
    snare = noise[0] * _decay(len(time), 0.2) + np.sin(2 * np.pi * body * time) * _decay(len(time), 0.15)
    hat = lfilter([1, -1], [1], noise[1]) * _decay(len(time), random.uniform(0.04, 0.12))
    return {"kick": kick, "snare": 0.5 * snare, "hat": 0.25 * hat}


# ---- Composition


@dataclass(frozen=True)
class Style:
    """What a style of music draws from: instruments, chances of (slow, medium, fast) and so on."""

    instruments: tuple[str, ...]
    tempo: tuple[float, float, float]  # chances of slow, medium, fast
    loudness: tuple[float, float, float]  # chances of quiet, medium, loud
    chords: float  # chances that these play
    bass: float
    drums: float
    reverberation: float  # seconds until 60 dB down


STYLES = {
    "classical": Style(
        ("piano", "strings", "flute", "harpsichord", "organ", "choir"),
        (0.4, 0.3, 0.3), (0.4, 0.4, 0.2), 0.6, 0.0, 0.0, 1.2,
    ),
    "rock": Style(("guitar", "organ", "piano", "synth"), (0.1, 0.5, 0.4), (0.0, 0.3, 0.7), 0.8, 0.8, 0.95, 0.3),
    "ambient": Style(
        ("synth", "choir", "strings", "flute", "piano"), (0.7, 0.3, 0.0), (0.7, 0.3, 0.0), 0.8, 0.2, 0.05, 2.0
    ),
    "techno": Style(("synth", "organ", "choir"), (0.0, 0.3, 0.7), (0.0, 0.4, 0.6), 0.7, 0.8, 1.0, 0.4),
    "folk": Style(
        ("guitar", "flute", "harpsichord", "strings"), (0.3, 0.4, 0.3), (0.3, 0.6, 0.1), 0.6, 0.3, 0.25, 0.5
    ),
}  # fmt: skip
TEMPI = {"slow": (50, 68), "medium": (88, 108), "fast": (138, 172)}  # beats a minute
LEVELS = {"quiet": (-36, -29), "medium": (-24, -19), "loud": (-14, -10)}  # root mean square, dB of full scale
_RHYTHMS = ((1, 1, 1, 1), (2, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (1, 0.5, 0.5, 2), (0.5,) * 8)
_PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (5, 3, 0, 4), (0, 1, 4, 0))  # degrees of the scale
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))  # major and minor, in semitones
_BAR = 4  # beats
TAGS = (*INSTRUMENTS, "drums", "solo", "slow", "fast", "quiet", "loud", *STYLES)


@dataclass(frozen=True)
class Piece:
    """What was drawn for one clip; the tags say it."""

    style: str
    lead: str
    chords: str | None
    bass: bool
    drums: bool
    tempo: str
    loudness: str
    key: int

    @property
    def tags(self) -> set[str]:
        drawn = {self.style, self.lead, self.chords, self.tempo, self.loudness}
        drawn |= {"bass"} if self.bass else set()
        drawn |= {"drums"} if self.drums else set()
        drawn |= {"solo"} if not (self.chords or self.bass or self.drums) else set()
        return {tag for tag in TAGS if tag in drawn}  # medium is no tag


def draw_piece(artist: int, random: Generator) -> Piece:
    """Draw a piece in the artist's style, seldom in another, with the artist's favourite instrument more often."""
    names = list(STYLES)
    name = names[artist % len(names)] if random.random() < 0.75 else random.choice(names)
    style = STYLES[name]
    favourite = style.instruments[artist // len(names) % len(style.instruments)]
    lead, other = random.choice(style.instruments, 2, replace=False)
    if favourite != other and random.random() < 0.3:
        lead = favourite
    return Piece(
        style=str(name),
        lead=str(lead),
        chords=str(other) if random.random() < style.chords else None,
        bass=random.random() < style.bass,
        drums=random.random() < style.drums,
        tempo=str(random.choice(list(TEMPI), p=style.tempo)),
        loudness=str(random.choice(list(LEVELS), p=style.loudness)),
        key=int(random.integers(12)),
    )


def _melody(scale: list[int], roots: Sequence[int], random: Generator) -> Iterator[Note]:
    """A walk along the scale, with two rhythms that return, that starts each bar on a note of its chord."""
    rhythms = [_RHYTHMS[i] for i in random.integers(len(_RHYTHMS), size=2)]
    degree = 7
    for bar, root in enumerate(roots):
        beat = 0.0
        for duration in rhythms[random.integers(2)]:
            degree = int(np.clip(degree + random.integers(-2, 3), 3, 12))
            if beat == 0:
                degree += min((root - degree + step for step in (0, 2, 4, 7, 9, 11)), key=abs)
            yield bar * _BAR + beat, duration, scale[degree]
            beat += duration


def _accompaniment(scale: list[int], roots: Sequence[int], random: Generator) -> Iterator[Note]:
    """Each bar's chord: held, repeated or broken."""
    manner = random.choice(["held", "repeated", "broken"])
    for bar, root in enumerate(roots):
        chord = [scale[root + step] for step in (0, 2, 4)]
        if manner == "broken":
            yield from ((bar * _BAR + i / 2, 1, chord[(0, 1, 2, 1)[i % 4]]) for i in range(8))
        else:
            duration = _BAR if manner == "held" else 1
            yield from ((bar * _BAR + i, duration, pitch) for i in range(0, _BAR, duration) for pitch in chord)


def _bass_line(scale: list[int], roots: Sequence[int], random: Generator) -> Iterator[Note]:
    step = float(random.choice([0.5, 1, 2]))
    for bar, root in enumerate(roots):
        yield from ((float(bar * _BAR + beat), step * 0.9, scale[root]) for beat in np.arange(0, _BAR, step))


def drum_pattern(style: str, bars: int, random: Generator) -> Iterator[tuple[float, str]]:
    """When which drum is hit, in beats."""
    kicks = (0, 1, 2, 3) if style == "techno" else (0, 2, 2.5) if random.random() < 0.5 else (0, 1.5, 2)
    hats = np.arange(0, _BAR, random.choice([0.5, 1]))
    for bar in range(bars):
        for drum, beats in (("kick", kicks), ("snare", (1, 3)), ("hat", hats)):
            yield from ((bar * _BAR + beat, drum) for beat in beats)


# ---- From a piece to samples


def _play(notes: Iterator[Note], instrument: str, beat: float, random: Generator) -> Samples:
    """Play notes, with `beat` in seconds, at a root mean square of 1."""
    sound, centre = INSTRUMENTS[instrument]
    character = random.random()
    track = np.zeros(CLIP_SAMPLES)
    for start, duration, pitch in notes:
        frequency = 440 * 2 ** ((pitch + centre - 69) / 12)
        first = int((start * beat + random.uniform(0, 0.01)) * SAMPLE_RATE)
        note = sound(frequency, int(duration * beat * SAMPLE_RATE), character, random) * random.uniform(0.6, 1)
        track[first : first + len(note)] += note[: max(0, CLIP_SAMPLES - first)]
    return track / np.sqrt(np.mean(track**2))


def play_drums(hits: Iterator[tuple[float, str]], beat: float, random: Generator) -> Samples:
    """Play hits, with `beat` in seconds, on a kit of their own, at a root mean square of 1."""
    sounds = _drum_hits(random)
    track = np.zeros(CLIP_SAMPLES)
    for start, drum in hits:
        first = int(start * beat * SAMPLE_RATE)
        hit = sounds[drum] * random.uniform(0.7, 1)
        track[first : first + len(hit)] += hit[: max(0, CLIP_SAMPLES - first)]
    return track / np.sqrt(np.mean(track**2))


def _perform(piece: Piece, random: Generator) -> Samples:
    """All parts of a piece, mixed."""
    beat = 60 / random.uniform(*TEMPI[piece.tempo])
    bars = int(CLIP_SAMPLES / SAMPLE_RATE / beat / _BAR) + 1
    scale = _SCALES[random.integers(2)]
    steps = [piece.key - 6 + 12 * octave + step for octave in (-1, 0, 1) for step in scale]
    roots = (_PROGRESSIONS[random.integers(len(_PROGRESSIONS))] * bars)[:bars]
    mix = _play(_melody(steps, roots, random), piece.lead, beat, random)
    if piece.style == "rock":
        mix = np.tanh(random.uniform(1, 4) * mix)
    if piece.chords:
        mix += random.uniform(0.4, 0.9) * _play(_accompaniment(steps[7:], roots, random), piece.chords, beat, random)
    if piece.bass:
        mix += random.uniform(0.4, 0.9) * _play(_bass_line(steps[7:], roots, random), "bass", beat, random)
    if piece.drums:
        mix += random.uniform(0.5, 1.2) * play_drums(drum_pattern(piece.style, bars, random), beat, random)
    return mix


def _record(mix: Samples, piece: Piece, random: Generator) -> Samples:
    """Put a mix in a room, before a microphone with its own colour and noise, at the piece's loudness."""
    length = STYLES[piece.style].reverberation * random.uniform(0.5, 1.2)
    room = random.normal(size=int(length * SAMPLE_RATE)) * _decay(int(length * SAMPLE_RATE), length)
    room *= random.uniform(0.1, 0.5) / np.sqrt(np.sum(room**2))
    mix = mix + fftconvolve(mix.astype(np.float32), room.astype(np.float32))[: len(mix)]
    mix = lfilter([1], [1, -random.uniform(0, 0.5)], mix)
    mix += random.normal(size=len(mix)) * 10 ** (random.uniform(-50, -35) / 20)
    level = 10 ** (random.uniform(*LEVELS[piece.loudness]) / 20)
    sound = sosfilt(_LOW_CUT, np.tanh(mix * (level / np.sqrt(np.mean(mix**2)))))
    return np.clip(sound - sound.mean(), -1, 1)


def compose(clip: int, artist: int, seed: int) -> tuple[Piece, Samples]:
    """Compose and synthesise one clip, the same for the same numbers.

    Parameters
    ----------
    clip, artist, seed : int

    Returns
    -------
    Piece
        What was drawn.
    float64 array (465984,)
        The samples, mono at 16 kHz, in (-1, 1).
    """
    random = np.random.default_rng([seed, clip])
    piece = draw_piece(artist, random)
    return piece, _record(_perform(piece, random), piece, random)
