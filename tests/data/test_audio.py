import os
import re
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from scipy.signal import resample_poly

from theanoish.data.audio import AudioError, decode, expected_length, read_audio

REAL = Path(__file__).resolve().parents[3] / "shared" / "magnatagatune" / "mp3"


def tone(rate=16_000, seconds=1.0, channels=1):
    time = np.arange(int(rate * seconds)) / rate
    return np.stack([0.5 / (c + 1) * np.sin(2 * np.pi * (440 + 200 * c) * time) for c in range(channels)], axis=1)


def write(path, samples, rate=16_000, **how):
    soundfile.write(path, samples, rate, **how)
    return path


def nearest_int16(values):
    return np.clip(np.rint(values * 32_768), -32_768, 32_767).astype(np.int16)


def test_sixteen_bit_samples_are_unchanged(tmp_path):
    samples = np.random.default_rng(0).integers(-32_768, 32_768, 5000).astype(np.int16)
    for suffix in ("wav", "flac"):
        assert np.array_equal(decode(write(tmp_path / f"a.{suffix}", samples)), samples)


def test_mp3_is_as_libsndfile_decodes_it_to_16_bit_even_where_it_clips(tmp_path):
    path = write(tmp_path / "a.mp3", np.sign(tone(seconds=3))[:, 0] * 0.99)
    expected, _ = soundfile.read(path, dtype="int16")
    assert expected.max() == 32_767 and expected.min() == -32_768
    assert np.array_equal(decode(path), expected)


@pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 32_001])
def test_other_rates_are_resampled_as_by_scipy_in_blocks_of_any_size(tmp_path, monkeypatch, rate):
    """Noise has all frequencies, those above 8 kHz, too, which must not fold down."""
    stereo = np.random.default_rng(0).uniform(-0.5, 0.5, (3 * rate + 17, 2))
    path = write(tmp_path / "a.flac", stereo, rate, subtype="PCM_24")
    divisor = np.gcd(rate, 16_000)
    expected = resample_poly(stereo.mean(axis=1), 16_000 // divisor, rate // divisor)
    decoded = decode(path)
    assert np.abs(decoded - nearest_int16(expected).astype(int)).max() <= 1
    assert len(decoded) == expected_length(path)
    monkeypatch.setattr("theanoish.data.audio.BLOCK", 4001)
    assert np.array_equal(decode(path), decoded)


@pytest.mark.parametrize(
    ("scale", "said"), [(1.0, ""), (3.9, ""), (4.5, "2 times full scale"), (32_768, "16384 times")]
)
def test_floats_on_another_scale_are_told(tmp_path, scale, said):
    values = scale * tone()
    samples, remark = read_audio(write(tmp_path / "a.wav", values, subtype="FLOAT"))
    assert np.array_equal(samples, nearest_int16(values)[:, 0])
    assert said in remark if said else not remark


def test_samples_beyond_full_scale_below_zero_are_told(tmp_path):
    _, remark = read_audio(write(tmp_path / "a.wav", -9 * abs(tone()), subtype="FLOAT"))
    assert "4 times full scale" in remark


def test_resampling_beyond_full_scale_clips(tmp_path):
    square = np.sign(tone(48_000))[:, 0]
    decoded = decode(write(tmp_path / "a.wav", square, 48_000, subtype="FLOAT"))
    assert decoded.max() == 32_767 and decoded.min() == -32_768
    assert (np.sign(decoded[100:-100]) == np.sign(resample_poly(square, 1, 3))[100:-100]).all()


@pytest.mark.parametrize(
    ("name", "rate", "channels", "how"),
    [("8bit.wav", 16_000, 1, {"subtype": "PCM_U8"}), ("six.wav", 48_000, 6, {}), ("a.ogg", 22_050, 1, {})],
)
def test_odd_files(tmp_path, name, rate, channels, how):
    assert len(decode(write(tmp_path / name, tone(rate, 1, channels), rate, **how))) == 16_000
    assert len(decode(write(tmp_path / name, np.empty((0, channels)), rate, **how))) == 0


BROKEN = {
    "empty.mp3": (Path.touch, "empty file (0 bytes)"),
    "text.mp3": (lambda path: path.write_text("this is no audio\n" * 500), "libsndfile"),
    "text.wav": (lambda path: path.write_text("this is no audio\n" * 500), "libsndfile"),
    "noise.mp3": (lambda path: path.write_bytes(np.random.default_rng(1).bytes(20_000)), "libsndfile"),
    "nan.wav": (lambda path: write(path, [0.1, np.nan, 0.2], subtype="FLOAT"), "not finite"),
    "infinite.wav": (lambda path: write(path, [0.1, np.inf, 0.2], subtype="FLOAT"), "not finite"),
    "folder.mp3": (Path.mkdir, ""),
    "pipe.wav": (os.mkfifo, "is a pipe"),
    "absent.mp3": (lambda path: None, "No such file"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_give_their_name_and_the_reason(tmp_path, name):
    make, reason = BROKEN[name]
    make(tmp_path / name)
    for read in (decode, expected_length) if "finite" not in reason and reason else (decode,):
        with pytest.raises(AudioError) as error:
            read(tmp_path / name)
        assert reason in error.value.reason
        assert name in str(error.value) and name not in error.value.reason


def test_truncated_mp3_gives_what_is_left_and_its_header_a_bound(tmp_path):
    content = write(tmp_path / "a.mp3", tone(seconds=4)).read_bytes()
    (tmp_path / "b.mp3").write_bytes(content[: len(content) // 2])
    whole, half = decode(tmp_path / "a.mp3"), decode(tmp_path / "b.mp3")
    assert len(whole) == 64_000 and 20_000 < len(half) < 44_000
    assert np.array_equal(half[:20_000], whole[:20_000])
    assert len(half) <= expected_length(tmp_path / "b.mp3")
    # FFmpeg would give a few samples more, and others
    (tmp_path / "b.mp3").write_bytes(content[: len(content) * 2 // 3])
    as_libsndfile = soundfile.read(tmp_path / "b.mp3", dtype="float32")[0]
    np.testing.assert_array_equal(decode(tmp_path / "b.mp3"), nearest_int16(as_libsndfile))


def packets_of(stream, samples, kind="fltp"):
    frame = av.AudioFrame.from_ndarray(samples[None], kind, "mono")
    frame.sample_rate = stream.rate
    return [*stream.encode(frame), *stream.encode(None)]


def encoded(path, samples, rate=16_000, container=None, codec="aac", options=None):
    """Write AAC, which libsndfile does not read, or by another codec of FFmpeg."""
    with av.open(str(path), "w", format=container, options=options) as container:
        container.mux(packets_of(container.add_stream(codec, rate=rate, layout="mono"), np.float32(samples)))
    return path


@pytest.mark.parametrize("suffix", ["m4a", "aac", "mka"])
def test_what_libsndfile_cannot_open_is_read_by_ffmpeg(tmp_path, suffix):
    samples = tone(44_100, 5)[:, 0]
    decoded, remark = read_audio(encoded(tmp_path / f"a.{suffix}", samples, 44_100))
    assert remark == ""
    expected = resample_poly(samples, 160, 441)
    assert abs(len(decoded) - len(expected)) < 1600
    alike = np.correlate(decoded[8000:24_000] / 32_768, expected[8000 - 1100 : 24_000 + 1100], "full").max()
    assert alike > 0.98 * np.sum(expected[8000:24_000] ** 2)


def test_bytes_before_the_first_frame_of_an_mp3(tmp_path):
    content = write(tmp_path / "a.mp3", tone(seconds=4)).read_bytes()
    (tmp_path / "b.mp3").write_bytes(bytes(700) + b"\r\n" + content)
    clean, other = decode(tmp_path / "a.mp3"), decode(tmp_path / "b.mp3")
    lag = len(other) - len(clean)  # the encoder's delay, which its header would have told
    assert 0 <= lag < 2400
    assert max(np.corrcoef(clean[5000:40_000], other[5000 + i : 40_000 + i])[0, 1] for i in range(lag + 1)) > 0.999


def headed(path, offset, value):
    """Overwrite four bytes of a file's header."""
    content = bytearray(path.read_bytes())
    content[offset : offset + 4] = value.to_bytes(4, "little")
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("promised", "read", "remark"),
    [
        (0, 64_000, "its header says 0 samples; holds 64000 samples"),  # a recorder that was killed
        (2**32 - 1, 64_000, "its header says 2147483648 samples; holds 64000 samples"),  # a pipe
        (256_000, 64_000, "its header says 128000 samples; holds 64000 samples"),  # cut off
        (64_000, 32_000, "its last 64000 bytes are not read; holds 32000 samples"),
        (128_000, 64_000, ""),
    ],
)
def test_lengths_of_wav_files_that_their_headers_misstate(tmp_path, promised, read, remark):
    samples = np.random.default_rng(0).integers(-9000, 9000, 64_000).astype(np.int16)
    decoded, found = read_audio(headed(write(tmp_path / "a.wav", samples), 40, promised))
    assert np.array_equal(decoded, samples[:read]) and found == remark


@pytest.mark.parametrize("marked", [False, True])
def test_damage_in_the_middle_is_left_out_and_told(tmp_path, monkeypatch, marked):
    """Also where something in it looks like a mark of encryption: what is heard is not encrypted."""
    if marked:
        monkeypatch.setattr("theanoish.data.audio.is_encrypted", lambda _: True)
    content = bytearray(write(tmp_path / "a.mp3", tone(seconds=10)).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 1500] = np.random.default_rng(0).bytes(1500)
    (tmp_path / "a.mp3").write_bytes(content)
    decoded, remark = read_audio(tmp_path / "a.mp3")
    assert 0.8 * 160_000 < len(decoded) < 160_000
    assert remark.startswith("damaged in ") and remark.endswith(f"holds {len(decoded)} samples")


def joined(folder, parts, header):
    """An MP3 of 440 Hz, of parts that each have a rate and seconds."""
    content = b""
    for rate, seconds in parts:
        wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(seconds * rate) / rate)
        options = {"write_xing": str(header), "id3v2_version": "0"}
        content += encoded(folder / "part", wave, rate, "mp3", codec="libmp3lame", options=options).read_bytes()
    (folder / "joined.mp3").write_bytes(content)
    return folder / "joined.mp3"


@pytest.mark.parametrize("header", [0, 1])
@pytest.mark.parametrize(("first", "second"), [(44_100, 22_050), (22_050, 44_100)])
def test_joined_files_of_other_rates_are_heard_at_their_own_speed(tmp_path, first, second, header):
    """440 Hz for 6 s, twice; libsndfile plays the second part at the first one's rate, or stops before it."""
    samples, remark = read_audio(joined(tmp_path, [(first, 6), (second, 6)], header))
    assert len(samples) == pytest.approx(12 * 16_000, rel=0.02)
    assert "its sample rate or channels change" in remark
    for part in (samples[16_000:64_000], samples[-64_000:-16_000]):
        spectrum = abs(np.fft.rfft(part * np.hanning(len(part))))
        assert spectrum.argmax() * 16_000 / len(part) == pytest.approx(440, abs=1)


def test_a_short_joined_part_does_not_pass_for_more_of_the_first(tmp_path):
    """Of which libsndfile makes 90 s."""
    samples, remark = read_audio(joined(tmp_path, [(22_050, 60), (44_100, 2)], header=0))
    assert len(samples) == pytest.approx(62 * 16_000, rel=0.01) and "sample rate or channels change" in remark


@pytest.mark.parametrize("rate", [1, 999, 67_124_864, 15_999_989])
def test_impossible_sample_rates_are_refused_at_once(tmp_path, rate):
    with pytest.raises(AudioError, match=f"its header says {rate} Hz"):
        decode(headed(write(tmp_path / "a.wav", tone()), 24, rate))


def test_what_unpacks_to_far_more_than_music_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("theanoish.data.audio.LONGEST_OF_SMALL", 60 * 16_000)
    path = write(tmp_path / "a.flac", np.zeros(40_000_000, np.int16))
    with pytest.raises(AudioError, match="unpacks to more than"):
        decode(path)
    slower = write(tmp_path / "b.flac", np.zeros(2_600_000, np.int16), 48_000)  # 54 s
    assert len(decode(slower)) == pytest.approx(2_600_000 / 3, abs=1)
    assert expected_length(path) <= 64 * path.stat().st_size


@pytest.mark.parametrize(
    "playlist",
    ["#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n{}\n#EXT-X-ENDLIST\n", "ffconcat version 1.0\nfile '{}'\n"],
    ids=["m3u8", "concat"],
)
def test_playlists_do_not_lead_to_other_files(tmp_path, playlist):
    write(tmp_path / "secret.wav", tone(seconds=4))
    for name in ("a.mp3", "a.m3u8"):
        (tmp_path / name).write_text(playlist.format("secret.wav"))
        with pytest.raises(AudioError, match="FFmpeg"):
            decode(tmp_path / name)


def test_a_name_says_nothing_of_what_is_in_a_file(tmp_path):
    content = write(tmp_path / "a.wav", tone()).read_bytes()
    for name in ("a.raw", "a.RAW", "a.mp3", "a"):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(decode(tmp_path / name), decode(tmp_path / "a.wav"))


@pytest.mark.skipif(not REAL.is_dir(), reason="the three real clips are not beside the repository")
def test_real_clips_have_the_length_that_the_specification_names():
    files = sorted(REAL.glob("*/*.mp3"))
    assert len(files) == 3
    for file in files:
        decoded = decode(file)
        expected, _ = soundfile.read(file, dtype="int16")
        assert len(decoded) == 465_984 and np.array_equal(decoded, expected)
        assert expected_length(file) >= 465_984


PICTURE = np.random.default_rng(1).integers(1, 255, 60_000).astype(np.uint8).tobytes()
ID3V2 = b"ID3\x03\0\0\0\0\x03\x50" + bytes(3 * 128 + 0x50)
APE = [b"APETAGEX" + (2000).to_bytes(4, "little") + (60_032).to_bytes(4, "little") + bytes(16)]
APE += [PICTURE, b"APETAGEX" + APE[0][8:16] + bytes(7) + b"\x80" + bytes(8)]


@pytest.mark.parametrize(
    ("behind", "is_lost"),
    [
        (b"LIST" + (6_000).to_bytes(4, "little") + PICTURE[:6000], False),
        (b"id3 " + (len(ID3V2)).to_bytes(4, "little") + ID3V2, False),
        (b"".join(APE) + b"TAG" + PICTURE[:125], False),
        (b"LYRICSBEGIN" + PICTURE + b"060011LYRICS200" + b"TAG" + PICTURE[:125], False),
        (PICTURE + APE[2][:23] + bytes(9), False),  # of version 1, without a header
        (b"ID3\x04\0\x10\0\x03\x54\x60" + PICTURE + b"3DI\x04\0\x10\0\x03\x54\x60", False),
        (bytes(60_000), False),
        (PICTURE, True),
        (b"LIST" + (2**31).to_bytes(4, "little") + PICTURE, True),  # which cannot be true
    ],
)
@pytest.mark.parametrize("kind", ["WAV", "FLAC", "OGG", "MP3"])
def test_tags_behind_the_sound_are_none_of_it(tmp_path, kind, behind, is_lost):
    clean = decode(write(tmp_path / "a", tone(seconds=4), format=kind))
    with (tmp_path / "a").open("ab") as file:
        file.write(behind)
    samples, remark = read_audio(tmp_path / "a")
    assert bool(remark) == is_lost
    assert np.array_equal(samples, clean) or is_lost


def test_chunks_of_an_aiff_are_none_of_its_sound(tmp_path):
    """Their sizes have the largest byte first."""
    with write(tmp_path / "a", tone(seconds=4), format="AIFF").open("ab") as file:
        file.write(b"ID3 " + (len(ID3V2) + 60_000).to_bytes(4, "big") + ID3V2 + PICTURE)
    assert read_audio(tmp_path / "a")[1] == ""


@pytest.mark.parametrize("kind", ["wav", "m4a", "opus", "mka"])
def test_joined_files_are_heard_or_told(tmp_path, kind):
    samples = 0.3 * np.random.default_rng(0).standard_normal(64_000)
    if kind in ("m4a", "mka"):
        encoded(tmp_path / "a", samples, container={"m4a": "mp4", "mka": "matroska"}[kind])
    else:
        write(tmp_path / "a", samples, **{"opus": {"format": "OGG", "subtype": "OPUS"}, "wav": {"format": "WAV"}}[kind])
    content = (tmp_path / "a").read_bytes()
    assert read_audio(tmp_path / "a")[1] == ""
    (tmp_path / "b").write_bytes(2 * content)
    samples, remark = read_audio(tmp_path / "b")
    if kind in ("wav", "m4a"):
        assert len(samples) < 68_000 and re.fullmatch(r"its last \d+ bytes are not read; holds \d+ samples", remark)
        assert abs(int(remark.split()[2]) - len(content)) < 8
    else:
        assert len(samples) > 127_000 and "header says" in remark and "not read" not in remark


@pytest.mark.parametrize(("second", "is_told"), [(-1.0, True), (-0.6, True), (-0.4, False), (0.5, False)])
def test_channels_are_averaged_and_told_where_they_cancel(tmp_path, second, is_told):
    first = tone()[:, 0]
    samples, remark = read_audio(write(tmp_path / "a.wav", np.stack([first, second * first], 1)))
    assert ("channels cancel" in remark) == is_told
    assert np.abs(samples - nearest_int16((1 + second) / 2 * first).astype(int)).max() <= 1


@pytest.mark.parametrize("default", [0, 1])
def test_the_stream_that_a_file_marks_as_default_is_heard(tmp_path, default):
    """Of a silent one and one of tones."""
    with av.open(str(tmp_path / "a.mka"), "w") as container:
        streams = [container.add_stream("pcm_s16le", rate=16_000, layout="mono") for _ in range(2)]
        streams[default].disposition = av.stream.Disposition.default
        for stream, loudness in zip(streams, (0, 20_000), strict=True):
            container.mux(packets_of(stream, (loudness * tone(seconds=2)[:, 0]).astype(np.int16), "s16"))
    assert (decode(tmp_path / "a.mka").max() > 5000) == default


def test_encrypted_sound_is_named(tmp_path):
    content = encoded(tmp_path / "a.m4a", np.random.default_rng(0).uniform(-0.5, 0.5, 64_000)).read_bytes()
    begin, end = content.index(b"mdat") + 8, content.index(b"moov")
    noise = np.random.default_rng(0).bytes(max(0, end - begin))
    assert noise
    (tmp_path / "a.m4a").write_bytes(content[:begin] + noise + content[begin + len(noise) :] + b"\0\0\0\x0cfreeenca")
    with pytest.raises(AudioError, match="is encrypted"):
        decode(tmp_path / "a.m4a")
