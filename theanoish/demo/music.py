"""Music for the demo: pieces composed for its instruments by a seeded program."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from theanoish.demo.instruments import INSTRUMENTS, Samples, decay, drum_hits
from theanoish.representation import SAMPLE_RATE

Note = tuple[float, float, int]  # start and duration in beats, semitones above the instrument's middle

_LOW_CUT = butter(2, 30, "highpass", output="sos", fs=SAMPLE_RATE)  # recordings have no offset, which would tell tags
CLIP_SAMPLES = 465_984  # 29.124 s, as every clip of MagnaTagATune


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
    sounds = drum_hits(random)
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
    room = random.normal(size=int(length * SAMPLE_RATE)) * decay(int(length * SAMPLE_RATE), length)
    room *= random.uniform(0.1, 0.5) / np.sqrt(np.sum(room**2))
    mix = mix + fftconvolve(mix.astype(np.float32), room.astype(np.float32))[: len(mix)]
    mix = lfilter([1], [1, -random.uniform(0, 0.5)], mix)
    mix += random.normal(size=len(mix)) * 10 ** (random.uniform(-50, -35) / 20)
    level = 10 ** (random.uniform(*LEVELS[piece.loudness]) / 20)
    sound = sosfilt(_LOW_CUT, np.tanh(mix * (level / np.sqrt(np.mean(mix**2)))))
    return np.clip(sound - sound.mean(), -1, 1)


def compose(clip: int, artist: int, seed: int) -> tuple[Piece, Samples]:
    """Compose one clip, the same for the same numbers: what was drawn, and float64 (465984,) samples in (-1, 1)."""
    random = np.random.default_rng([seed, clip])
    piece = draw_piece(artist, random)
    return piece, _record(_perform(piece, random), piece, random)
