"""The demo: its form against the real data set's, its tags against what librosa hears in the samples."""

import csv
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from sklearn.metrics import roc_auc_score

import theanoish.demo.make as demo
import theanoish.demo.music as demo_music
from conftest import INFO_COLUMNS
from theanoish.errors import InputError

SPLITS = {**dict.fromkeys("0123456789ab", "train"), "c": "validation", **dict.fromkeys("def", "test")}


def pieces(clips: int, seed: int = 1) -> list[demo_music.Piece]:
    """What is drawn for each clip, without the samples."""
    return [demo_music.draw_piece(clip % demo.ARTISTS, np.random.default_rng([seed, clip])) for clip in range(clips)]


@cache
def compose(clip: int, seed: int = 1) -> np.ndarray:
    return demo_music.compose(clip, clip % demo.ARTISTS, seed)[1]


def samples_with(tag: str, count: int) -> list[np.ndarray]:
    chosen = (clip for clip, piece in enumerate(pieces(1000)) if tag in piece.tags)
    return [compose(clip) for clip in islice(chosen, count)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo") / "music"
    demo.make_demo(folder, clips=6, workers=2)
    return folder


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def test_tables_have_the_official_form(folder: Path) -> None:
    lines = (folder / "annotations_final.csv").read_bytes().split(b"\r\n")
    assert len(lines) == 1 + 6 + 1 and lines[-1] == b""
    assert all(value[:1] == value[-1:] == b'"' for line in lines[:-1] for value in line.split(b"\t"))
    info, annotations = (read(folder / f"{name}_final.csv") for name in ("clip_info", "annotations"))
    assert list(info[0]) == INFO_COLUMNS
    assert list(annotations[0]) == ["clip_id", *demo_music.TAGS, "mp3_path"]
    clips = [[(row["clip_id"], row["mp3_path"]) for row in table] for table in (info, annotations)]
    assert clips[0] == clips[1]
    assert {row[tag] for row in annotations for tag in demo_music.TAGS} == {"0", "1"}


def test_files_are_clips_as_in_magnatagatune(folder: Path) -> None:
    paths = [folder / row["mp3_path"] for row in read(folder / "annotations_final.csv")]
    for path in paths:
        sound = soundfile.info(path)
        assert (sound.format, sound.samplerate, sound.channels) == ("MP3", 16_000, 1)
        assert len(soundfile.read(path)[0]) == 465_984
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == list("0123456789abcdef")
    assert np.corrcoef(soundfile.read(paths[0])[0], compose(0))[0, 1] > 0.98  # it sounds as it was composed


def test_files_do_not_depend_on_the_number_of_processes(folder: Path, tmp_path: Path) -> None:
    demo.make_demo(tmp_path / "alone", clips=6, workers=1)
    files = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    assert len(files) == 6 + 3
    assert all((folder / path).read_bytes() == (tmp_path / "alone" / path).read_bytes() for path in files)


def test_a_clip_depends_on_its_number_and_the_seed() -> None:
    assert np.array_equal(compose(4, seed=3), compose.__wrapped__(4, seed=3))
    assert (demo.VERSION, np.abs(compose(4, seed=3)).sum()) == (3, pytest.approx(25900.508, abs=0.01)), "a new version"
    assert not any(np.array_equal(compose(4, seed=3), compose(*other)) for other in ((4, 4), (5, 3)))


def test_every_tag_has_positives_and_negatives_in_every_split_and_artists_do_not_cross() -> None:
    clips = demo.DEFAULT_CLIPS
    drawn = pieces(clips)
    rows = [demo.describe(clip, piece) for clip, piece in enumerate(drawn)]
    assert len({row["mp3_path"] for row in rows}) == len(rows)
    folders = {(row["artist"], row["mp3_path"][0]) for row in rows}
    assert len(folders) == len({artist for artist, _ in folders}) == 44
    splits = [SPLITS[row["mp3_path"][0]] for row in rows]
    totals = Counter(splits)
    assert totals["train"] > 0.5 * clips and min(totals.values()) >= 40
    positives = Counter((split, tag) for split, piece in zip(splits, drawn, strict=True) for tag in piece.tags)
    for split in totals:
        for tag in demo_music.TAGS:
            assert 4 <= positives[split, tag] <= totals[split] - 4, (split, tag)


def test_offsets_do_not_tell_tags() -> None:
    """The size of a clip's mean over its root mean square is no music. With offsets, guitars had an AUC of 0.88."""
    sounds = [np.rint(32_767 * compose(clip)) for clip in range(48)]
    offsets = [abs(sound.mean()) / np.sqrt(np.mean(sound**2)) for sound in sounds]
    drawn = pieces(48)
    labels = [[tag in piece.tags for piece in drawn] for tag in demo_music.TAGS]
    areas = [roc_auc_score(tagged, offsets) for tagged in labels if 8 <= sum(tagged) <= 40]
    assert len(areas) >= 8
    assert np.mean(np.maximum(areas, np.subtract(1, areas))) < 0.65  # 0.57 is expected of chance


def percussive_share(sound: np.ndarray) -> float:
    harmonic, percussive = librosa.decompose.hpss(np.abs(librosa.stft(sound[:80_000])))
    return float(np.sum(percussive**2) / np.sum(harmonic**2 + percussive**2))


@pytest.mark.parametrize(
    ("tag", "other", "measure", "ratio"),
    [("loud", "quiet", lambda s: np.sqrt(np.mean(s**2)), 3), ("drums", "classical", percussive_share, 2)],
)
def test_tags_are_heard(tag: str, other: str, measure: Callable[[np.ndarray], float], ratio: float) -> None:
    with_it, without = ([measure(sound) for sound in samples_with(each, 5)] for each in (tag, other))
    assert min(with_it) > ratio * max(without)


def test_fast_has_a_higher_tempo_than_slow() -> None:
    """Pulses a minute, as librosa finds them in drums."""
    tempo = {}
    for name in ("slow", "fast"):
        beat = 60 / np.mean(demo_music.TEMPI[name])
        hits = demo_music.play_drums("rock", 8, beat, np.random.default_rng(0))
        sound = demo_music.mixed(hits)[: int(8 * 4 * beat * 16_000)]
        onsets = librosa.onset.onset_detect(y=sound, sr=16_000, units="time")
        tempo[name] = len(onsets) / (8 * 4 * beat)
    assert tempo["fast"] > 1.8 * tempo["slow"]


@pytest.mark.parametrize("instrument", sorted(demo_music.INSTRUMENTS))
@pytest.mark.parametrize("frequency", [110.0, 261.63, 440.0])
def test_instruments_play_in_tune(instrument: str, frequency: float) -> None:
    note = demo_music.note(instrument, frequency, 24_000, 0.4, np.random.default_rng(0))
    assert len(note) == 24_000 and np.isfinite(note).all()
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note)), 2**18))
    bins = np.arange(0.8, 1.2, 0.0005) * frequency * 2**18 / 16_000
    partials = [spectrum[np.rint(k * bins).astype(int)] for k in range(1, 7) if k * 1.2 * frequency < 8000]
    heard = bins[np.argmax(np.sum(partials, axis=0))] * 16_000 / 2**18  # where a comb of harmonics fits best
    assert abs(12 * np.log2(heard / frequency)) < 0.3


def test_instruments_differ_in_spectrum_and_envelope() -> None:
    """A middle C of each: its share of treble, and how much of its first half second is left after one second."""
    descriptions = []
    for name in demo_music.INSTRUMENTS.keys() - {"bass"}:  # which its low notes tell apart
        note = demo_music.note(name, 261.63, 32_000, 0.4, np.random.default_rng(0))
        mel = librosa.power_to_db(librosa.feature.melspectrogram(y=note, sr=16_000, n_mels=40), top_db=60)
        descriptions.append(np.r_[mel[:, :8].mean(axis=1), mel[:, 32:40].mean(axis=1)] - mel.max())
    distances = [np.sqrt(np.mean((a - b) ** 2)) for i, a in enumerate(descriptions) for b in descriptions[:i]]
    assert min(distances) > 5  # dB


def test_finished_demo_is_left_alone_and_another_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    demo.make_demo(folder, clips=6)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    with pytest.raises(InputError, match="'clips': 7"):
        demo.make_demo(folder, clips=7)
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(InputError, match="remove it or name another"):
        demo.make_demo(tmp_path, clips=6)
    assert (tmp_path / "mine").read_text() == "precious"


def test_two_at_once_do_not_mix(tmp_path: Path) -> None:
    def second(done: int, total: int) -> None:
        with pytest.raises(InputError, match=r"demo: the demo is being composed by another process"):
            demo.make_demo(tmp_path / "demo", clips=2, workers=1)

    demo.make_demo(tmp_path / "demo", clips=2, progress=second, workers=1)
    assert len(list((tmp_path / "demo").rglob("*.mp3"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


def test_what_a_run_that_was_stopped_or_killed_leaves(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []

    def stop(done: int, total: int) -> None:
        seen.append((done, total))
        if done == 2:
            raise KeyboardInterrupt

    (tmp_path / "demo.partial" / "0").mkdir(parents=True)
    (tmp_path / "demo.partial" / "0" / "half.mp3").write_bytes(b"half")
    with pytest.raises(KeyboardInterrupt):
        demo.make_demo(tmp_path / "demo", clips=6, progress=stop, workers=1)
    assert list(tmp_path.iterdir()) == [] and seen == [(1, 6), (2, 6)]
