"""What the tagger makes of files, against NumPy's network on windows that were cut by hand."""

import doctest
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import reference
import theanoish
from small_song import write_song
from theanoish.errors import InputError
from theanoish.model.network import Network
from theanoish.settings import Settings
from theanoish.tagging.tagger import Tagger, load_tagger
from theanoish.tagging.worth import standard_error
from theanoish.weights import DEFAULT_MODEL

TAGS = ["low", "middle", "high", "loud"]


def tagger_of(settings):
    """A tagger with random parameters, and their values; untrained networks give all windows the same."""
    network = Network(settings, len(TAGS))
    values = network.values()
    values["output/weights"] = np.random.default_rng(2).normal(0, 0.2, (100, len(TAGS))).astype(np.float32)
    network.set_values(values)
    return Tagger(network, TAGS), values


RAW, MEL = Settings(length=1024, stride=1024), Settings(frontend="mel", length=1024, stride=512)


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    return write_song(tmp_path_factory.mktemp("songs") / "song.wav", 100_000 / 16_000, subtype="PCM_16")


def test_raw_windows_and_the_units_that_the_output_layer_sees(song):
    tagger, values = tagger_of(RAW)
    samples, _ = soundfile.read(song, dtype="int16")
    taggram, units = tagger.windows(song, hop=1.5), tagger.embed(song, hop=1.5)
    assert taggram.begins.tolist() == [0, 1.5, 3, 3.25]
    windows = np.stack([samples[begin : begin + 48_000] for begin in (0, 24_000, 48_000, 52_000)])
    expected = reference.probabilities(RAW, values, windows)
    np.testing.assert_allclose(taggram.probabilities, expected, rtol=1e-3)
    assert np.ptp(expected, axis=0).min() > 1e-4  # windows differ, so that mixing them up would show
    np.testing.assert_allclose(list(tagger.tag(song).values()), -np.sort(-tagger.windows(song).means))
    np.testing.assert_array_equal(tagger.filters, values["strided/filters"])
    logits = units @ values["output/weights"] + values["output/bias"]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), taggram.probabilities, rtol=1e-4)
    np.testing.assert_allclose(taggram.units, units.mean(axis=0), rtol=1e-4)


def test_the_digest_is_another_for_other_settings_and_for_any_other_parameter():
    tagger, values = tagger_of(MEL)
    digests = {tagger.digest, tagger_of(Settings(frontend="mel", length=1024, stride=512, seed=2))[0].digest}
    for name in values:
        other, _ = tagger_of(MEL)
        other.network.set_values(values | {name: values[name] + np.float32(1)})
        digests.add(other.digest)
    assert len(digests) == 2 + len(values)
    assert tagger_of(MEL)[0].digest in digests


def test_spectrogram_windows_begin_with_the_last_frame_before_them(song):
    import librosa

    tagger, values = tagger_of(MEL)
    samples, _ = soundfile.read(song, dtype="float32")
    mel = librosa.feature.melspectrogram(y=samples, sr=16_000, n_fft=1024, hop_length=512, center=False, n_mels=128)
    frames = np.log1p(10_000 * mel).T.astype(np.float32)
    windows = np.stack([frames[begin : begin + 92] for begin in (0, 48_000 // 512, 52_000 // 512)])
    taggram = tagger.windows(song)
    np.testing.assert_allclose(taggram.probabilities, reference.probabilities(MEL, values, windows), rtol=1e-3)
    with pytest.raises(InputError, match="spectrograms"):
        _ = tagger.filters


def test_more_windows_than_a_call_takes_are_each_as_if_alone(tmp_path):
    tagger, values = tagger_of(RAW)
    song = write_song(tmp_path / "long.wav", 60.5)
    taggram = tagger.windows(song)
    assert len(taggram.begins) == 21
    samples, _ = soundfile.read(song, dtype="int16")
    for number in (0, 16, 20):
        begin = round(taggram.begins[number] * 16_000)
        alone = tagger.windows(samples[begin : begin + 48_000], sample_rate=16_000)
        np.testing.assert_allclose(alone.probabilities[0], taggram.probabilities[number], rtol=1e-4)
    for layer, use in (("output", tagger.windows), ("hidden", tagger.embed)):  # predictions that are no numbers
        values[f"{layer}/bias"][:] = np.nan
        tagger.network.set_values(values)
        with pytest.raises(InputError, match="not finite"):
            use(song)


@pytest.fixture
def model(mel_checkpoint, tmp_path):
    return shutil.copy(mel_checkpoint, tmp_path / "model.pkl")


def test_rare_tags_are_left_out_unless_asked_for(model, song):
    assert load_tagger(model).tags == TAGS  # without a card
    card = model.with_suffix(".json")
    card.write_text(json.dumps({"reliable_tags": ["low", "high"], "rare_tags": ["middle", "loud"]}))
    tagger = load_tagger(model)
    assert tagger.tags == ["low", "high"]
    assert {tag: round(value, 4) for tag, value in tagger.tag(song).items()} == {"high": 0.6, "low": 0.2}
    assert load_tagger(model, all_tags=True).tags == TAGS
    damage = {text: r"model\.json" for text in ("[]", "{", '{"rare_tags": 3}', "{}")}
    for text, message in (damage | {json.dumps({"rare_tags": TAGS}): "every tag"}).items():
        card.write_text(text)
        with pytest.raises(InputError, match=message):
            load_tagger(model)


def test_tags_whose_test_may_be_chance_are_left_out(model):
    """By the scores of the checkpoint's own update; of 50 clips with 10 positives, an AUC of .68 may be chance."""
    rows = [{"tag": tag, "auc": auc, "positives": 10} for tag, auc in zip(TAGS, [0.9, 0.68, 0.72, None], strict=True)]
    scores, file = {"update": 2, "mean_auc": 0.77, "clips": 50, "tags": rows}, model.with_name("test.json")
    file.write_text(json.dumps(scores))
    tagger = load_tagger(model)
    assert tagger.tags == ["low", "high", "loud"]
    assert tagger.worth.aucs == {"low": 0.9, "middle": 0.68, "high": 0.72}
    assert tagger.worth.sentences[0].startswith("Mean AUC 0.77 on 50 test clips")
    assert load_tagger(model, all_tags=True).tags == TAGS
    for other in ({"update": 1}, {"tags": [row | {"auc": 0.5} for row in rows]}):  # of all, rather than none
        file.write_text(json.dumps(scores | other))
        assert load_tagger(model).tags == TAGS


def test_the_error_of_an_auc_is_that_of_many_tests():
    """Of exponential scores, for which the formula is exact: an AUC of .8 with 10 of 50 clips."""
    random = np.random.default_rng(1)
    positives, negatives = random.exponential(4, (20_000, 10, 1)), random.exponential(1, (20_000, 1, 40))
    aucs = (positives > negatives).mean(axis=(1, 2))
    assert aucs.mean() == pytest.approx(0.8, abs=0.005)
    assert standard_error(0.8, 10, 50) == pytest.approx(aucs.std(), rel=0.02)


def test_the_raw_weights_name_no_woman():
    """Its test AUC of .66 may be chance."""
    tagger = load_tagger(DEFAULT_MODEL.with_name("raw_256_256.pkl"))
    assert not {"woman", "female", "indian"} & set(tagger.tags)
    assert {"techno", "ambient", "voice"} <= set(tagger.tags)
    assert "not what a person heard" in tagger.worth.sentences[0]


def test_the_documented_example(raw_checkpoint, song, tmp_path, monkeypatch):
    shutil.copy(raw_checkpoint, tmp_path)
    write_song(tmp_path / "song.wav", 7)
    monkeypatch.chdir(tmp_path)
    examples = doctest.DocTestFinder().find(theanoish.load, "load", globs={})
    assert sum(len(example.examples) for example in examples) > 6
    for example in examples:
        assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize(
    ("code", "spared"),
    [
        ("theanoish.load", "numpy scipy jax pytensor h5py soundfile matplotlib"),
        ("theanoish.load().tags", "theanoish.data av soxr h5py soundfile matplotlib"),  # what only songs need
    ],
)
def test_what_import_and_load_need_not_they_do_not_import(code, spared):
    code = f"import sys, theanoish; {code}; print(*[name for name in {spared.split()} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


SHIPPED = {  # probabilities of both windows of `made_sound`, as they were when each was shipped
    "mel_256_256": {"techno": [0.4237, 0.2676], "rock": [0.0052, 0.0533], "electronic": [0.1671, 0.0843]},
    "raw_256_256": {"guitar": [0.0952, 0.0151], "drums": [0.0777, 0.0474], "rock": [0.0109, 0.0635]},
    "instruments": {"woodwind": [0.9030, 0.1830], "percussion": [0.0483, 1.0000], "loud": [0.2040, 0.8953]},
}


def made_sound(path):
    """Five seconds: a swelling 220 Hz with short high tones, then noise over a low tone."""
    time = np.arange(80_000) / 16_000
    tones = 0.3 * np.sin(2 * np.pi * 220 * time) * (1 + np.sin(6 * np.pi * time)) / 2
    tones += 0.1 * np.sin(2 * np.pi * 1760 * time) * (time % 0.5 < 0.1)
    noise = 0.05 * np.random.default_rng(1).standard_normal(80_000) + 0.3 * np.sin(2 * np.pi * 80 * time)
    soundfile.write(path, np.where(time < 2.5, tones, noise), 16_000, subtype="PCM_16")
    return path


@pytest.mark.parametrize(("name", "means"), SHIPPED.items())
def test_the_weights_that_ship_say_what_they_said_then(tmp_path, name, means):
    """A format, a constant or a formula that changes would have them say something else, or nothing."""
    tagger = load_tagger(DEFAULT_MODEL.with_name(f"{name}.pkl"), all_tags=True)
    taggram = tagger.windows(made_sound(tmp_path / "made.wav"))
    assert taggram.begins.tolist() == [0, 2]
    for tag, expected in means.items():
        np.testing.assert_allclose(taggram.probabilities[:, tagger.tags.index(tag)], expected, atol=1e-3, err_msg=tag)


def test_what_ships_is_loaded_without_a_name():
    tagger = theanoish.load()
    assert (tagger.name, len(tagger.tags), tagger.tags[1]) == ("mel_256_256", 35, "classical")
