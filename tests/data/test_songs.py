"""Own songs: tables of many forms, splits, and a folder of many formats on its way into a data set."""

import os
import subprocess
import sys
from pathlib import Path

import av
import h5py
import numpy as np
import pytest
import soundfile

from theanoish.data.annotations import Annotations
from theanoish.data.dataset import Dataset
from theanoish.data.folder import audio_files
from theanoish.data.songs import draw_split, read_labels, too_small
from theanoish.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
FORMATS = [("wav", 44_100), ("flac", 48_000), ("mp3", 22_050), ("ogg", 32_000), ("m4a", 44_100), ("aiff", 8_000)]


def write_table(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding)
    return path


def read(folder, text, encoding="utf-8"):
    return read_labels(folder, write_table(folder.parent / "labels.csv", text, encoding), seed=1)


def refused(words, folder, text):
    with pytest.raises(InputError, match=words):
        read(folder, text)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "songs" / "Björk").mkdir(parents=True)
    for name in ("a.mp3", "b.wav", "Björk/c.flac", "unlisted.ogg", "cover.jpg", "._a.mp3"):
        (tmp_path / "songs" / name).touch()
    return tmp_path / "songs"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("file,tags,artist\na.mp3,rock; loud,X\nb.wav,,Y\nBjörk/c.flac,loud,X\n", "utf-8"),
        ('file;tags;artist\r\na.mp3;"rock;loud";X\r\nb.wav;;Y\r\nBjörk/c.flac;loud;X\r\n', "utf-8-sig"),
        ("File\tArtist\tloud\trock\na.mp3\tX\t1\t1\nb.wav\tY\t0\t\nBjo\u0308rk\\c.flac\tX\t1\t0\n", "utf-8"),
        ('file,tags,artist,notes,\na.mp3,loud;rock,X,fine,\nb.wav,;,Y,,\nBjörk/c.flac,loud,X,"2\nlines",\n', "utf-8"),
    ],
    ids=["commas", "semicolons with BOM", "columns of tags, Windows' and macOS' paths", "columns for others"],
)  # fmt: skip
def test_tables_of_many_forms_say_the_same(folder, text, encoding):
    songs, notes = read(folder, text, encoding)
    assert songs.paths == ["a.mp3", "b.wav", "Björk/c.flac"] and songs.artists == ["X", "Y", "X"]
    assert songs.tags == ["loud", "rock"] and songs.labels.tolist() == [[1, 1], [0, 0], [1, 0]]
    assert songs.ids.tolist() == [1, 2, 3] and songs.splits[0] == songs.splits[2]
    assert "drawn by artist with seed 1" in notes[0] and "1 audio files\n  unlisted.ogg" in notes[1]


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        ("file,loud,rock\na.mp3,TRUE,TRUE\nb.wav,FALSE,FALSE\n{}/Björk/c.flac,TRUE,\n", "utf-8", ""),
        ("filename,loud,rock\na.mp3,1,1\nb.wav,0,0\nc.flac,1,0\n", "utf-8", ""),
        ("FILE;Loud;Rock\na.mp3;1.0;yes\nb.wav;no;0.0\nc.flac;x;\n", "utf-16", "UTF-16"),
        ("sep=;\nfile;loud;rock\na.mp3;1,0;WAHR\nb.wav;0,00;FALSCH\nBjörk/c.flac;1,00;n\n", "utf-8-sig", ""),
        ("file,loud,rock\nsongs/a.mp3,✓,on\n./b.wav,,NA\n{}/../link/Björk/c.flac,t,f\n", "utf-8", ""),
        ("file,loud,rock\nfile://{}/a%2Emp3,1.00,y\nb.wav,nan,-\nfile://{}/Bj%C3%B6rk/c.flac,oui,non\n", "utf-8", ""),
        ('Filename,Genre\na.mp3,"loud,rock"\nb.wav,\nBjörk/c.flac,"rock,loud"\n', "cp1252", "Windows-1252"),
    ],
)
def test_tables_as_spreadsheets_and_programs_write_them(folder, text, encoding, note):
    (folder.parent / "link").symlink_to(folder)
    songs, notes = read(folder, text.format(folder, folder), encoding)
    assert songs.paths == ["a.mp3", "b.wav", "Björk/c.flac"]
    assert [tag.casefold() for tag in songs.tags] == ["loud", "rock"]
    assert songs.labels.tolist() == [[1, 1], [0, 0], [1, int("Genre" in text)]]
    assert note in "".join(notes)


EXPORTS = {
    "Mp3tag": (
        "utf-16",
        "Title;Artist;Album;Track;Year;Length;Size;Last Modified;Path;Filename;Genre;\n"
        "One;X;A;1;2000;3:34;8.17 MB;6/19/2013;D:\\Music\\;a.mp3;loud|rock;\n"
        "Two;Y;A;2;2000;3:34;8.17 MB;6/19/2013;D:\\Music\\;b.wav;;\n"
        "Three;X;B;1;2000;3:34;8.17 MB;6/19/2013;D:\\Music\\Björk\\;c.flac;rock|loud;\n",
    ),
    "Rekordbox": (
        "utf-16",
        "#\tArtwork\tTrack Title\tArtist\tMy Tag\tGenre\tBPM\tTime\tKey\tLocation\tDate Added\n"
        "1\t\tOne\tX\t\tloud, rock\t128.00\t04:32\t8A\t/Users/x/Music/a.mp3\t2025-01-01\n"
        "2\t\tTwo\tY\t\t\t128.00\t04:32\t8A\t/Users/x/Music/b.wav\t2025-01-01\n"
        "3\t\tThree\tX\t\trock, loud\t128.00\t04:32\t8A\t/Users/x/Music/Björk/c.flac\t2025-01-01\n",
    ),
    "beet export -f csv": (
        "utf-8",
        "acoustid_id,album,artist,bpm,genre,path,title,year\n,A,X,0,loud; rock,/home/x/Music/a.mp3,One,2000\n"
        ",A,Y,0,,/home/x/Music/b.wav,Two,2000\n,B,X,0,rock; loud,/home/x/Music/Björk/c.flac,Three,2000\n",
    ),
}


@pytest.mark.parametrize("program", EXPORTS)
def test_exports_of_programs_for_music(folder, program):
    """From another computer; two files of a name are told apart by the folders behind which they stand."""
    (folder / "Björk" / "a.mp3").touch()
    encoding, text = EXPORTS[program]
    songs, _ = read(folder, text, encoding)
    assert songs.paths == ["a.mp3", "b.wav", "Björk/c.flac"] and songs.artists == ["X", "Y", "X"]
    assert songs.tags == ["loud", "rock"] and songs.labels.tolist() == [[1, 1], [0, 0], [1, 1]]


def test_titles_of_rekordbox_in_quotation_marks_are_read_as_they_are(folder):
    titles = ['"Heroes" (Live)', '"Heroes', '12" mix"']
    rows = [
        f"{title}\t{rest}\n" for title, rest in zip(titles, ("a.mp3\t", "b.wav\trock", "c.flac\trock"), strict=True)
    ]
    assert read(folder, "".join(["Track Title\tLocation\tGenre\n", *rows]), "utf-16")[0].titles == titles
    songs, _ = read(folder, 'title\tfile\ttags\n"A ""B"""\ta.mp3\t"loud;\nrock"\n', "utf-16")
    assert (songs.titles, songs.tags) == (['A "B"'], ["loud", "rock"])


def test_commas_that_make_no_tags_of_several_songs_stay(folder):
    songs, notes = read(folder, 'file,tags\na.mp3,"slow, sad"\nb.wav,slow\n')
    assert songs.tags == ["slow", "slow, sad"] and "no semicolon" in notes[-1]
    songs, _ = read(
        folder, 'file,tags\na.mp3,"slow, sad"\nb.wav,"sad, slow"\nc.flac,"slow, odd, sad"\nunlisted.ogg,sad\n'
    )
    assert songs.tags == ["odd", "sad", "slow"]  # fewer than as a whole, though one of them is one song's


def test_lists_as_pandas_and_numpy_write_them(folder):
    songs, _ = read(
        folder, "file,tags\na.mp3,\"['slow', 'sad']\"\nb.wav,['sad']\nc.flac,['slow' 'sad']\nunlisted.ogg,[live\n"
    )
    assert songs.tags == ["[live", "sad", "slow"]
    assert songs.labels.sum(axis=0).tolist() == [1, 3, 2]


def test_two_forms_of_a_name_are_two_files_and_one_name_in_two_folders_is_asked_for(folder):
    for name in ("caf\u00e9.mp3", "cafe\u0301.mp3", "Björk/a.mp3", "Björk/d.mp3"):
        (folder / name).touch()
    text = "file,tags\ncaf\u00e9.mp3,x\ncafe\u0301.mp3,y\na.mp3,x\nBjörk/a.mp3,y\nd.mp3,x\n"
    songs, _ = read(folder, text)
    assert songs.paths == ["caf\u00e9.mp3", "cafe\u0301.mp3", "a.mp3", "Björk/a.mp3", "Björk/d.mp3"]
    (folder / "more").mkdir()
    (folder / "more" / "d.mp3").touch()
    refused("more than one file has this name", folder, text)


def test_tags_are_the_same_however_their_accents_are_written(folder):
    songs, _ = read(folder, "file,tags\na.mp3,caf\u00e9\nb.wav,cafe\u0301\n")
    assert songs.tags == ["caf\u00e9"] and songs.labels.tolist() == [[1], [1]]


def test_links_to_folders_are_followed_once_and_hidden_folders_are_left_out(folder):
    for path in (folder / ".AppleDouble" / "a.mp3", folder.parent / "elsewhere" / "d.mp3"):
        path.parent.mkdir()
        path.touch()
    (folder / "linked").symlink_to(folder.parent / "elsewhere")
    (folder / "Björk" / "loop").symlink_to(folder)
    found = [str(path.relative_to(folder)) for path in audio_files(folder)]
    assert found == ["Björk/c.flac", "a.mp3", "b.wav", "linked/d.mp3", "unlisted.ogg"]


def test_all_faults_come_in_one_message_ten_lines_each(folder):
    bad = "".join(f"x{i}.mp3,maybe,train\n" for i in range(15))
    text = f"file,loud,split\na.mp3,1,train\n.//a.mp3,0,test\n,1,test\n../b.wav,1,test\nb.wav,1,dev\nb.wav,1\n{bad}"
    with pytest.raises(InputError) as error:
        read(folder, text)
    message = str(error.value)
    assert "labels.csv: cannot be used:" in message
    assert "a file has more than one row\n  line 3: 'a.mp3', as in line 2" in message
    assert "'file' must name a file in the folder\n  line 4: ''\n  line 5: '../b.wav'" in message
    assert "'split' must be train, validation, test\n  line 6: 'dev'" in message
    assert "another number of fields than the header\n  line 7: 2, not 3" in message
    assert message.count("'maybe'") == 10 and "line 17, 'loud': 'maybe'\n  and 5 more" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column 'file'"),
        ("name,tags\na.mp3,rock\n", "has no column 'file', only 'name', 'tags'"),
        ("#\tTrack Title\tArtist\tGenre\n1\tOne\tX\trock\n", "no column 'file'.*add 'Location'"),  # Rekordbox
        ("/home/x/Music/a.mp3,rock\n", "first line must name the columns"),  # beet ls -f '$path,$genre'
        ("Title;Year;Path;Filename;\nOne;2000;D:\\;a.mp3;\n", "or export genres, too"),
        ("file,tags\n", "no song has a tag"),
        ("file,tags\na.mp3,\n", "no song has a tag"),
        ("file,rock\na.mp3,0.7\n", "must hold 1, 0 or nothing.*\n  line 2, 'rock': '0.7'"),
        ("file,rock,rock \na.mp3,1,0\n", "more than one column 'rock'"),
        ("file,Tags,tags\na.mp3,a,b\n", "more than one column 'tags'"),
    ],
)
def test_tables_without_use_are_named(folder, text, message):
    refused(message, folder, text)


def test_a_split_of_ones_own_is_kept_and_artists_across_it_are_named(folder):
    text = "file,tags,artist,split\na.mp3,rock,X,train\nb.wav,rock,Y,Validation\nBjörk/c.flac,loud,X,test\n"
    songs, notes = read(folder, text)
    assert songs.splits.tolist() == ["train", "validation", "test"]
    assert notes[:2] == ["split: as in the table", "warning: 1 artists are in more than one split\n  X"]
    songs, notes = read(folder, text.replace("X", "").replace("Y", ""))
    assert not any("more than one split" in note for note in notes)  # of nobody nothing is known


def test_drawn_splits_keep_artists_together_and_tags_in_proportion():
    """Against drawing artists at random: the shares of tags are several times nearer to those asked for."""
    generator = np.random.default_rng(0)
    artist = generator.integers(0, 150, 600)
    labels = (generator.random((150, 8)) < np.linspace(0.05, 0.5, 8))[artist].astype(np.uint8)
    groups = [f"artist {i}" for i in artist]
    asked = {"train": 0.7, "validation": 0.15, "test": 0.15}

    def error(splits):
        return max(
            abs(labels[splits == s].sum(axis=0) / labels.sum(axis=0) - share).max() for s, share in asked.items()
        )

    splits = draw_split(labels, groups, seed=1)
    assert all(len(set(splits[artist == i])) == 1 for i in set(artist))
    assert abs(np.mean(splits == "train") - 0.7) < 0.03
    at_random = [np.array(generator.choice(list(asked), 150, p=list(asked.values())))[artist] for _ in range(20)]
    assert error(splits) < 0.5 * min(map(error, at_random)) and error(splits) < 0.05
    assert np.array_equal(splits, draw_split(labels, groups, seed=1))
    assert not np.array_equal(splits, draw_split(labels, groups, seed=2))
    assert "".join(split[1] for split in splits[:30]) == "rrrrrrrrarrrrrraarrererrrerrra"  # as when this was written


def warnings_of(splits, tags, labels):
    names, rows = [str(i) for i in range(len(splits))], np.arange(len(splits))
    return too_small(Annotations(Path(), rows, names, names, names, names, splits, tags, labels), rows)


@pytest.mark.parametrize(
    ("tag_of", "cannot"), [((0, 0, 1, 1, 0, 1), ["validation"]), ((0, 1, 0, 1, 1, 1), ["test"]), ((0, 1) * 3, [])]
)
def test_a_split_in_which_no_tag_can_be_scored_is_told_before_hours_of_training(tag_of, cannot):
    splits = np.repeat(["train", "validation", "test"], 2)
    warnings = warnings_of(splits, ["high"], np.array(tag_of, np.uint8)[:, None])
    assert [each.split("'")[1] for each in warnings if "with and without" in each] == cannot


def test_splits_and_tags_with_few_songs_are_named():
    sizes = {"train": 30, "validation": 10, "test": 9}
    columns = [[10, 3, 3], [9, 3, 3], [10, 2, 3], [21, 3, 3]]  # of each tag, its songs in each split
    songs = [np.arange(size) < np.array(columns)[:, i, None] for i, size in enumerate(sizes.values())]
    labels = np.concatenate(songs, axis=1).T.astype(np.uint8)
    assert warnings_of(np.repeat(list(sizes), list(sizes.values())), ["a", "b", "c", "d"], labels) == [
        "warning: 2 tags have too few songs to train in 'train'\n  b (9 of 30)\n  d (21 of 30)",
        "warning: 1 tags have too few songs to score in 'validation'\n  c (2 of 10)",
        "warning: split 'test' has 9 songs; what it says means little",
    ]


def write_audio(path, samples, rate):
    if path.suffix != ".m4a":
        soundfile.write(path, samples, rate)
        return
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.float32(samples)[None], "fltp", "mono")
        frame.sample_rate = rate
        container.mux([*stream.encode(frame), *stream.encode(None)])


def test_forty_songs_in_six_formats_become_a_data_set(tmp_path):
    songs, generator = tmp_path / "My songs", np.random.default_rng(0)
    songs.mkdir()
    rows, seconds = [], 4 + 0.25 * np.arange(40)
    for i in range(40):
        suffix, rate = FORMATS[i % 6]
        frequency = (300, 2500)[i % 2]
        time = np.arange(int(seconds[i] * rate)) / rate
        write_audio(songs / f"song {i}.{suffix}", 0.3 * np.sin(2 * np.pi * frequency * time), rate)
        rows.append(f"song {i}.{suffix};{('low', 'high')[i % 2]};artist {generator.integers(20)}\n")
    labels = write_table(tmp_path / "labels.csv", "".join(["file;tags;artist\n", *rows]))
    command = [sys.executable, ROOT / "preprocess" / "build_h5.py", "--songs", songs, "--labels", labels]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--workers", "2"], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "split: drawn by artist with seed 1" in done.stdout and "warning: split 'validation' has" in done.stdout
    assert "clips: 40 (" in done.stdout and "left out: none" in done.stdout
    dataset = Dataset(tmp_path / "My songs.h5")
    assert dataset.tags == ["high", "low"] and set(dataset.splits) == {"train", "validation", "test"}
    with h5py.File(dataset.path) as file:
        for row, path in enumerate(dataset.paths):
            number = int(path.split()[1].split(".")[0])
            start, count = file["raw/start"][row], file["raw/count"][row]
            assert abs(count - 16_000 * seconds[number]) < 2200, path  # encoders pad by up to two frames
            spectrum = abs(np.fft.rfft(file["raw/values"][start : start + count][8000:40_000]))
            assert abs(np.argmax(spectrum) / 2 - (300, 2500)[number % 2]) < 2
            assert dataset.labels[row].tolist() == [number % 2, 1 - number % 2]
        for artist in set(dataset.artists):
            assert len({s for s, a in zip(dataset.splits, dataset.artists, strict=True) if a == artist}) == 1
