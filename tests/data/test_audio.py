import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from theanoish.data.audio import AudioError, decode, expected_length

REAL = Path(__file__).resolve().parents[3] / "shared" / "magnatagatune" / "mp3"


def tone(rate, seconds=1.0, channels=1):
    time = np.arange(int(rate * seconds)) / rate
    return np.stack([0.5 / (c + 1) * np.sin(2 * np.pi * (440 + 200 * c) * time) for c in range(channels)], axis=1)


def nearest_int16(values):
    return np.clip(np.rint(values * 32_768), -32_768, 32_767).astype(np.int16)


def test_sixteen_bit_samples_are_unchanged(tmp_path):
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 5000).astype(np.int16)
    for suffix in ("wav", "flac"):
        soundfile.write(tmp_path / f"a.{suffix}", samples, 16_000)
        assert np.array_equal(decode(tmp_path / f"a.{suffix}"), samples)


def test_mp3_is_as_libsndfile_decodes_it_to_16_bit_even_where_it_clips(tmp_path):
    square = np.sign(tone(16_000, 3))[:, 0] * 0.99
    soundfile.write(tmp_path / "a.mp3", square, 16_000)
    expected, _ = soundfile.read(tmp_path / "a.mp3", dtype="int16")
    assert expected.max() == 32_767 and expected.min() == -32_768
    assert np.array_equal(decode(tmp_path / "a.mp3"), expected)


def test_channels_are_averaged(tmp_path):
    stereo = tone(16_000, channels=2)
    soundfile.write(tmp_path / "a.wav", stereo, 16_000, subtype="DOUBLE")
    assert np.abs(decode(tmp_path / "a.wav") - nearest_int16(stereo.mean(axis=1)).astype(int)).max() <= 1


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 32_001])
def test_other_rates_are_resampled_as_by_scipy(tmp_path, rate):
    stereo = tone(rate, channels=2)
    soundfile.write(tmp_path / "a.flac", stereo, rate, subtype="PCM_24")
    divisor = np.gcd(rate, 16_000)
    expected = resample_poly(stereo.mean(axis=1), 16_000 // divisor, rate // divisor)
    decoded = decode(tmp_path / "a.flac")
    assert np.abs(decoded - nearest_int16(expected).astype(int)).max() <= 1
    assert len(decoded) == expected_length(tmp_path / "a.flac")


def test_what_lies_above_8_kHz_does_not_fold_down(tmp_path):
    high = 0.5 * np.sin(2 * np.pi * 15_000 * np.arange(44_100) / 44_100)
    soundfile.write(tmp_path / "a.wav", high, 44_100)
    middle = decode(tmp_path / "a.wav")[1000:-1000].astype(float)
    assert np.sqrt((middle**2).mean()) < 0.01 * 0.5 * 32_768


def test_resampling_beyond_full_scale_clips(tmp_path):
    square = np.sign(tone(48_000))[:, 0]
    soundfile.write(tmp_path / "a.wav", square, 48_000, subtype="FLOAT")
    decoded = decode(tmp_path / "a.wav")
    assert decoded.max() == 32_767 and decoded.min() == -32_768
    assert (np.sign(decoded[100:-100]) == np.sign(resample_poly(square, 1, 3))[100:-100]).all()


def test_odd_files(tmp_path):
    soundfile.write(tmp_path / "8bit.wav", tone(16_000), 16_000, subtype="PCM_U8")
    soundfile.write(tmp_path / "six.wav", tone(48_000, channels=6), 48_000)
    soundfile.write(tmp_path / "a.ogg", tone(22_050), 22_050)
    soundfile.write(tmp_path / "none.wav", np.empty(0), 44_100)
    for name in ("8bit.wav", "six.wav", "a.ogg"):
        assert len(decode(tmp_path / name)) == 16_000, name
    assert len(decode(tmp_path / "none.wav")) == 0


def broken_files(folder):
    (folder / "empty.mp3").touch()
    (folder / "text.mp3").write_text("this is no audio\n" * 500)
    (folder / "text.wav").write_text("this is no audio\n" * 500)
    (folder / "noise.mp3").write_bytes(np.random.default_rng(1).bytes(20_000))
    soundfile.write(folder / "nan.wav", np.array([0.1, np.nan, 0.2]), 16_000, subtype="FLOAT")
    soundfile.write(folder / "infinite.wav", np.array([0.1, np.inf, 0.2]), 16_000, subtype="FLOAT")
    (folder / "folder.mp3").mkdir()
    return {
        "empty.mp3": "empty file (0 bytes)",
        "text.mp3": "libsndfile",
        "text.wav": "libsndfile",
        "noise.mp3": "libsndfile",
        "nan.wav": "not finite",
        "infinite.wav": "not finite",
        "folder.mp3": "",
        "absent.mp3": "No such file",
    }


def test_broken_files_give_their_name_and_the_reason(tmp_path, capfd):
    for name, reason in broken_files(tmp_path).items():
        with pytest.raises(AudioError) as error:
            decode(tmp_path / name)
        assert reason in error.value.reason, name
        assert name in str(error.value) and name not in error.value.reason


def test_broken_headers(tmp_path, capfd):
    for name in ("empty.mp3", "text.mp3", "text.wav", "absent.mp3"):
        reason = broken_files(tmp_path)[name] if not (tmp_path / "text.mp3").exists() else None
        with pytest.raises(AudioError) as error:
            expected_length(tmp_path / name)
        assert reason is None or reason in error.value.reason


def test_truncated_mp3_gives_what_is_left_and_its_header_a_bound(tmp_path):
    soundfile.write(tmp_path / "a.mp3", tone(16_000, 4), 16_000)
    content = (tmp_path / "a.mp3").read_bytes()
    (tmp_path / "b.mp3").write_bytes(content[: len(content) // 2])
    whole, half = decode(tmp_path / "a.mp3"), decode(tmp_path / "b.mp3")
    assert len(whole) == 64_000 and 20_000 < len(half) < 44_000
    assert np.array_equal(half[:20_000], whole[:20_000])
    assert len(half) <= expected_length(tmp_path / "b.mp3")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_for_want_of_permission(tmp_path):
    soundfile.write(tmp_path / "a.wav", tone(16_000), 16_000)
    (tmp_path / "a.wav").chmod(0)
    with pytest.raises(AudioError):
        decode(tmp_path / "a.wav")


@pytest.mark.skipif(not REAL.is_dir(), reason="the three real clips are not beside the repository")
def test_real_clips_have_the_length_that_the_specification_names():
    files = sorted(REAL.glob("*/*.mp3"))
    assert len(files) == 3
    for file in files:
        decoded = decode(file)
        expected, _ = soundfile.read(file, dtype="int16")
        assert len(decoded) == 465_984 and np.array_equal(decoded, expected)
        assert expected_length(file) >= 465_984
