import os
from collections import Counter
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from small_song import write_song
from theanoish.data.audio import AudioError
from theanoish.errors import InputError
from theanoish.representation import RAW, Representation
from theanoish.tagging import songs
from theanoish.tagging.songs import Failure, find_songs, name_of, read_song, read_songs, window_begins

MEL = Representation(1024, 1024)


@pytest.mark.parametrize(
    ("samples", "hop", "begins"),
    [
        (48_000, 3, [0]),  # a window
        (10, 3, [0]),  # less
        (96_000, 3, [0, 48_000]),  # whole windows: none is added
        (96_001, 3, [0, 48_000, 48_001]),  # a rest: a window that ends with the song
        (100_000, 1.5, [0, 24_000, 48_000, 52_000]),
        (100_000, 2.01, [0, 32_160, 52_000]),  # which in binary is a little less
    ],
)
def test_windows_cover_the_song(samples, hop, begins):
    assert window_begins(samples, hop).tolist() == begins


@pytest.mark.parametrize("hop", [-1, 0.09, 3.1, np.nan])
def test_hops_that_cannot_be(hop):
    with pytest.raises(InputError, match="hop"):
        window_begins(100_000, hop)


def test_folders_are_searched_in_order_and_other_files_counted(tmp_path):
    there = "b/2.MP3 b/1.ogg a.flac c.m4b d.mkv b/cover.jpg E.JPG f b/.3.mp3 .b/4.mp3 ...b/...5.mp3"
    for name in there.split():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "g.mp3").symlink_to(tmp_path / "annexed")
    heard, others = "...b/...5.mp3 a.flac b/1.ogg b/2.MP3 c.m4b d.mkv g.mp3", Counter()
    below = [tmp_path / name for name in heard.split()]
    assert find_songs([tmp_path], others) == below
    assert others == {".jpg": 2, "without an ending": 1}
    # what is named is taken whatever its name, also where it is not there or nobody may look; nothing comes twice
    cover, missing, unseen = tmp_path / "b/cover.jpg", tmp_path / "no", tmp_path / ("a" * 300)
    assert find_songs([cover, tmp_path, tmp_path / "c.m4b", missing, unseen]) == [cover, *below, missing, unseen]
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, message in (("empty", "empty: no audio file"), ("pipe", "pipe: is a pipe")):
        with pytest.raises(InputError, match=message):
            find_songs([tmp_path / name])


def test_short_songs_are_followed_by_silence(tmp_path):
    samples = np.arange(1, 1001, dtype=np.int16)
    soundfile.write(tmp_path / "short.wav", samples, 16_000)
    song = read_song(tmp_path / "short.wav", RAW)
    assert (song.samples, song.title, song.artist) == (1000, "", "")
    np.testing.assert_array_equal(song.rows, np.pad(samples, (0, 47_000)))
    assert read_song(tmp_path / "short.wav", MEL).rows.shape == MEL.window_shape
    soundfile.write(tmp_path / "none.wav", samples[:0], 16_000)
    with pytest.raises(AudioError, match="no sound"):
        read_song(tmp_path / "none.wav", RAW)


def encoded(path, codec, of_file, of_sound):
    """A song whose file and stream have such tags."""
    plain = write_song(path.with_name("plain.wav"), 4, rate=48_000)
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        output.metadata.update(of_file)
        stream = output.add_stream(codec, rate=48_000)
        stream.metadata.update(of_sound)
        for frame in [*source.decode(audio=0), None]:
            output.mux(stream.encode(frame))
    return path


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp3", "libmp3lame"), ("a.flac", "flac"), ("a.ogg", "libopus"), ("a.m4a", "aac"), ("a.wav", "pcm_s16le")],
)
def test_title_and_artist_are_those_of_the_file_itself(tmp_path, name, codec):
    tags = {"title": "Jóga\n\x1b[31m <i>", "artist": "Björk" * 50}
    song = read_song(encoded(tmp_path / name, codec, tags, {}), RAW)
    assert (song.title, song.artist) == ("Jóga [31m <i>", "Björk" * 40)


def test_a_files_own_title_counts_before_that_of_its_sound(tmp_path):
    """Which is heard of where there is no other, as in Ogg."""
    for name, titles in (("a.mka", {"title": "whole"}), ("b.mka", {})):
        song = read_song(encoded(tmp_path / name, "pcm_s16le", titles, {"title": "sound"}), RAW)
        assert song.title == titles.get("title", "sound")


def test_titles_of_another_encoding(tmp_path):
    """As ID3v1 and WAV have them, whatever their standards say."""
    song = write_song(tmp_path / "a.wav", 4)
    title = b"INFOINAM" + (6).to_bytes(4, "little") + b"\x8cuvre\0"
    song.write_bytes(song.read_bytes() + b"LIST" + len(title).to_bytes(4, "little") + title)
    content = bytearray(song.read_bytes())
    content[4:8] = (len(content) - 8).to_bytes(4, "little")
    song.write_bytes(content)
    assert songs._read("\udc8cuvre") == "Œuvre"
    assert read_song(song, RAW).title in ("Œuvre", "uvre")  # FFmpeg before version 9 drops what it cannot read


def test_many_processes_read_in_order(tmp_path):
    paths = [tmp_path / f"{i}.wav" for i in (3, 1, 4, 0, 2, 9)]
    for number, path in enumerate(paths):
        soundfile.write(path, np.full(100_000 if number == 0 else 50_000, number, np.int16), 16_000)
    paths[2].write_bytes(b"no audio at all, whatever the name says")
    paths.insert(4, tmp_path / "missing.wav")
    read = list(read_songs(paths, RAW, workers=2))
    assert [song.path for song in read] == paths
    assert "No such file" in read[4].reason
    assert [None if isinstance(song, Failure) else song.rows[0] for song in read] == [0, 1, None, 3, None, 4, 5]


def kill_worker(path, representation):
    if path.name == "deadly.wav":
        os._exit(9)
    return Failure(path, "harmless")


def test_a_song_that_kills_its_worker_is_named_and_the_rest_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(songs, "read_or_explain", kill_worker)
    paths = [tmp_path / name for name in ("a.wav", "deadly.wav", "b.wav", "c.wav", "d.wav")]
    read = list(read_songs(paths, RAW, workers=2))
    assert [song.path for song in read] == paths
    assert [song.reason == "harmless" for song in read] == [True, False, True, True, True]


def test_any_name_can_be_printed_and_spaces_and_joiners_of_any_script_are_kept():
    assert name_of(Path(os.fsdecode(b"caf\xe9.mp3"))) == "caf\ufffd.mp3"
    assert name_of(Path("a\nb\x1b[31m 音楽.mp3")) == "a\ufffdb\ufffd[31m 音楽.mp3"
    for name in ("東京\u3000タワー.mp3", "Encore\u00a0!.mp3", "\U0001f468\u200d\U0001f469.mp3"):
        assert name_of(Path(name)) == name
