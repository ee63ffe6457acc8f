"""Music for the demo: pieces composed for its instruments by a seeded program."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from scipy.signal import butter, lfilter, sosfilt

from theanoish.demo.instruments import INSTRUMENTS, Samples, drum_hits, note
from theanoish.representation import SAMPLE_RATE, USUAL_SAMPLES

Note = tuple[float, float, int]  # start and duration in beats, semitones above the instrument's middle

_LOW_CUT = butter(2, 30, "highpass", output="sos", fs=SAMPLE_RATE)  # recordings have no offset, which would tell tags


@dataclass(frozen=True)
class Style:
    """What a style of music draws from."""

    instruments: tuple[str, ...]
    tempo: tuple[float, float, float]  # chances of slow, medium, fast
    loudness: tuple[float, float, float]  # chances of quiet, medium, loud
    chords: float  # chances that these play
    bass: float
    drums: float


STYLES = {
    "classical": Style(
        ("piano", "strings", "flute", "harpsichord", "organ", "choir"), (0.4, 0.3, 0.3), (0.4, 0.4, 0.2), 0.6, 0, 0
    ),
    "rock": Style(("guitar", "organ", "piano", "synth"), (0.1, 0.5, 0.4), (0, 0.3, 0.7), 0.8, 0.8, 0.95),
    "ambient": Style(("synth", "choir", "strings", "flute", "piano"), (0.7, 0.3, 0), (0.7, 0.3, 0), 0.8, 0.2, 0.05),
    "techno": Style(("synth", "organ", "choir"), (0, 0.3, 0.7), (0, 0.4, 0.6), 0.7, 0.8, 1),
    "folk": Style(("guitar", "flute", "harpsichord", "strings"), (0.3, 0.4, 0.3), (0.3, 0.6, 0.1), 0.6, 0.3, 0.25),
}
TEMPI = {"slow": (50, 68), "medium": (88, 108), "fast": (138, 172)}  # beats a minute
LEVELS = {"quiet": (-36, -29), "medium": (-24, -19), "loud": (-14, -10)}  # root mean square, dB of full scale
TAGS = (*INSTRUMENTS, "drums", "solo", "slow", "fast", "quiet", "loud", *STYLES)
_RHYTHMS = ((1, 1, 1, 1), (2, 1, 1), (1.5, 0.5, 1, 1), (0.5, 0.5, 1, 0.5, 0.5, 1), (1, 0.5, 0.5, 2), (0.5,) * 8)
_PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (5, 3, 0, 4), (0, 1, 4, 0))  # degrees of the scale
_SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10))  # major and minor, in semitones
_BAR = 4  # beats


@dataclass(frozen=True)
class Piece:
    """What was drawn for one clip; the tags say it."""

    style: str
    parts: tuple[str, ...]  # instruments: of the melody, perhaps of chords, then perhaps "bass" and "drums"
    tempo: str
    loudness: str
    key: int

    @property
    def tags(self) -> set[str]:
        solo = {"solo"} if len(self.parts) == 1 else set()
        return {self.style, *self.parts, self.tempo, self.loudness, *solo} & set(TAGS)  # medium is no tag


def draw_piece(artist: int, random: Generator) -> Piece:
    """Draw a piece in the artist's style, seldom in another."""
    names = list(STYLES)
    name = str(names[artist % len(names)] if random.random() < 0.75 else random.choice(names))
    style = STYLES[name]
    lead, chords = (str(instrument) for instrument in random.choice(style.instruments, 2, replace=False))
    chances = {chords: style.chords, "bass": style.bass, "drums": style.drums}
    return Piece(
        style=name,
        parts=(lead, *(part for part, chance in chances.items() if random.random() < chance)),
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


def _repeated(scale: list[int], roots: Sequence[int], steps: Sequence[int], duration: float) -> Iterator[Note]:
    """Notes of each bar's chord, all bar long."""
    for bar, root in enumerate(roots):
        for beat in np.arange(0, _BAR, duration):
            yield from ((bar * _BAR + float(beat), 0.95 * duration, scale[root + step]) for step in steps)


def mixed(sounds: Iterable[tuple[float, Samples]]) -> Samples:
    """Sounds that begin at given seconds, at a root mean square of 1 together."""
    track = np.zeros(USUAL_SAMPLES)
    for start, sound in sounds:
        place = track[int(start * SAMPLE_RATE) :][: len(sound)]
        place += sound[: len(place)]
    return track / np.sqrt(np.mean(track**2))


def _play(notes: Iterator[Note], name: str, beat: float, random: Generator) -> Iterator[tuple[float, Samples]]:
    """When each note begins and how it sounds, with `beat` in seconds."""
    character, middle = random.random(), INSTRUMENTS[name].middle
    for start, duration, pitch in notes:
        hertz, samples = 440 * 2 ** ((pitch + middle - 69) / 12), int(duration * beat * SAMPLE_RATE)
        sound = note(name, hertz, samples, character, random)
        yield start * beat + random.uniform(0, 0.01), sound * random.uniform(0.6, 1)


def play_drums(style: str, bars: int, beat: float, random: Generator) -> Iterator[tuple[float, Samples]]:
    """When each drum is hit, and how it sounds: a kit of its own."""
    sounds = drum_hits(random)
    kicks = (0, 1, 2, 3) if style == "techno" else (0, 2, 2.5) if random.random() < 0.5 else (0, 1.5, 2)
    hats = np.arange(0, _BAR, random.choice([0.5, 1]))
    for bar in range(bars):
        for drum, beats in (("kick", kicks), ("snare", (1, 3)), ("hat", hats)):
            yield from (((bar * _BAR + place) * beat, sounds[drum] * random.uniform(0.7, 1)) for place in beats)


def _perform(piece: Piece, random: Generator) -> Samples:
    """All parts of a piece, mixed."""
    beat = 60 / random.uniform(*TEMPI[piece.tempo])
    bars = int(USUAL_SAMPLES / SAMPLE_RATE / beat / _BAR) + 1
    scale = _SCALES[random.integers(2)]
    steps = [piece.key - 6 + 12 * octave + step for octave in (-1, 0, 1) for step in scale]
    roots = (_PROGRESSIONS[random.integers(len(_PROGRESSIONS))] * bars)[:bars]
    lead, *others = piece.parts
    mix = mixed(_play(_melody(steps, roots, random), lead, beat, random))
    for part in others:
        if part == "drums":
            sounds = play_drums(piece.style, bars, beat, random)
        else:
            chord, durations = ((0,), (0.5, 1, 2)) if part == "bass" else ((0, 2, 4), (1, _BAR))
            sounds = _play(_repeated(steps[7:], roots, chord, float(random.choice(durations))), part, beat, random)
        mix += random.uniform(0.4, 1) * mixed(sounds)
    return mix


def compose(clip: int, artist: int, seed: int) -> tuple[Piece, Samples]:
    """Compose one clip, the same for the same numbers: what was drawn, and float64 (465984,) samples in (-1, 1).

    Its microphone has a colour and noise of its own.
    """
    random = np.random.default_rng([seed, clip])
    piece = draw_piece(artist, random)
    mix = lfilter([1], [1, -random.uniform(0, 0.5)], _perform(piece, random))
    mix += random.normal(size=len(mix)) * 10 ** (random.uniform(-50, -35) / 20)
    level = 10 ** (random.uniform(*LEVELS[piece.loudness]) / 20)
    sound = sosfilt(_LOW_CUT, np.tanh(mix * (level / np.sqrt(np.mean(mix**2)))))
    return piece, np.clip(sound - sound.mean(), -1, 1)
