"""tag.py as a user runs it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from small_song import write_song
from theanoish.commands.tag import main, names_within
from theanoish.errors import InputError
from theanoish.tagging.songs import find_songs
from theanoish.tagging.unfinished import Unfinished

ROOT = Path(__file__).resolve().parents[2]


def tag(folder, *arguments):
    command = [sys.executable, str(ROOT / "tag.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Songs of several kinds, sample rates and channels; two cannot be read."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "more").mkdir(parents=True)
    write_song(folder / "a.mp3", 10, 44_100, 2)
    write_song(folder / "more" / "A.flac", 7, 48_000)
    write_song(folder / "more" / "short.wav", 1, 8_000)
    (folder / "broken.ogg").write_bytes(b"no audio")
    (folder / "cover.jpg").write_bytes(b"a picture")
    (folder / "unknown.m4a").write_bytes(b"some other kind")
    return folder


@pytest.fixture
def songs(written, tmp_path):
    return Path(shutil.copytree(written, tmp_path / "songs"))


def test_a_folder_with_everything(songs, mel_checkpoint):
    folder = songs.parent
    run = tag(
        folder, "songs", "--checkpoint", mel_checkpoint, "--top", 2,
        "--json", "all.json", "--csv", "all.csv", "--picture", "pictures", "--html", "pages",
    )  # fmt: skip
    assert run.returncode == 2
    assert run.stdout.splitlines() == [
        "songs/a.mp3 (0:10)",
        "  0.60  high  throughout",
        "  0.40  loud  throughout",
        "songs/more/A.flac (0:07)",
        "  0.60  high  throughout",
        "  0.40  loud  throughout",
        "songs/more/short.wav (0:01, shorter than a window of 3 s: followed by silence)",
        "  0.60  high  throughout",
        "  0.40  loud  throughout",
    ]
    errors = run.stderr.splitlines()
    assert errors.pop(0) == "passed over: 1 .jpg"
    assert errors[0].startswith("songs/broken.ogg: cannot be read: ")
    assert errors[1].startswith("songs/unknown.m4a: cannot be read: ")
    assert errors[-1] == "tag.py: error: 2 of 5 songs could not be read; see above"
    assert not any("Traceback" in line for line in errors)
    values = json.loads((folder / "all.json").read_text())
    assert [song["file"] for song in values["songs"]] == ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert [song["padded"] for song in values["songs"]] == [False, False, True]
    alike = {each["file"]: each["cosine"] for each in values["songs"][0]["alike"]}
    assert alike.keys() == {"songs/more/A.flac", "songs/more/short.wav"} and max(alike.values()) <= 1.0001
    assert "Nobody has judged by ear" in values["alike"]
    assert [len(song["windows"]["begins"]) for song in values["songs"]] == [4, 3, 1]
    assert [failure["file"] for failure in values["failed"]] == ["songs/broken.ogg", "songs/unknown.m4a"]
    with (folder / "all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == [song["file"] for song in values["songs"]]
    assert list(rows[0]) == ["file", "seconds", "low", "middle", "high", "loud"]
    assert [rows[0][name] for name in ("low", "middle", "high", "loud")] == ["0.20000", "0.10000", "0.60000", "0.40000"]
    assert {path.name for path in (folder / "pictures").iterdir()} == {"a.png", "A 2.png", "short.png"}
    assert {path.name for path in (folder / "pages").iterdir()} == {"a.html", "A 2.html", "short.html", "index.html"}
    assert '"page":"A%202.html"' in (folder / "pages" / "index.html").read_text()


def test_interrupted_work_goes_on_behind_what_is_done(songs, mel_checkpoint, monkeypatch, capsys):
    """The second song's page is written, but not its line; of what follows only the start of a line was."""
    folder = songs.parent
    monkeypatch.chdir(folder)
    for name in ("broken.ogg", "unknown.m4a"):
        (songs / name).unlink()
    command = ["songs", "--checkpoint", str(mel_checkpoint), "--csv", "t.csv", "--json", "t.json", "--html", "pages"]
    assert main(command) == 0
    expected = [Path(name).read_bytes() for name in ("t.csv", "t.json", "pages/index.html", "pages/A 2.html")]
    assert not Path("t.csv.unfinished").exists()

    def interrupted(self, song, add=Unfinished.add):
        if song.path.name == "short.wav":
            raise KeyboardInterrupt
        add(self, song)

    def outcome(*more):
        for path in ("t.csv", "t.json"):
            Path(path).unlink(missing_ok=True)
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Unfinished, "add", interrupted)
            main([*command, *more])
        assert not Path("t.csv").exists()
        return [line.split(" (")[0] for line in capsys.readouterr().out.splitlines() if line.startswith("songs")]

    capsys.readouterr()
    assert outcome() == ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert outcome() == ["songs/more/short.wav"]
    assert outcome("--again") == ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert outcome("--hop", "1") == ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert len(outcome()) == 3
    (folder / "pages" / "a.html").unlink()
    os.utime(songs / "more" / "A.flac", (1, 1))
    assert len(outcome()) == 3
    with Path("t.csv.unfinished").open("ab") as file:
        file.write(b'{"file": "songs/more/short.wav", "sta')
    assert main(command) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("songs/more/short.wav")
    assert "2 of 3 songs are tagged already; --again begins anew" in printed.err
    assert [Path(name).read_bytes() for name in ("t.csv", "t.json", "pages/index.html", "pages/A 2.html")] == expected
    assert not Path("t.csv.unfinished").exists()


def test_names_of_pages_are_short_enough_and_hidden_folders_are_left_out(songs):
    """A page's name is longer than its song's by what marks it as unfinished."""
    (songs / ".AppleDouble").mkdir()
    (songs / ".AppleDouble" / "b.wav").write_bytes(b"no audio")
    names = names_within([Path(f"{'é' * 120}{ending}.mp3") for ending in "xy"])
    assert sorted(names.values()) == ["é" * 100, f"{'é' * 100} 2"]
    assert len(find_songs([songs])) == 5


def test_a_folder_of_one_song_gets_folders_too(songs, mel_checkpoint, monkeypatch):
    """And a run folder stands for its checkpoint."""
    monkeypatch.chdir(songs.parent)
    for name in ("a.mp3", "broken.ogg", "unknown.m4a", "more/short.wav"):
        (songs / name).unlink()
    assert main(["songs", "--checkpoint", str(mel_checkpoint.parent), "--html", "pages", "--picture", "pictures"]) == 0
    assert {path.name for path in (songs.parent / "pages").iterdir()} == {"A.html", "index.html"}
    assert {path.name for path in (songs.parent / "pictures").iterdir()} == {"A.png"}


def test_one_song(songs, raw_checkpoint, monkeypatch, capsys):
    folder = songs.parent
    monkeypatch.chdir(folder)
    outputs = ["--hop", "0.5", "--html", "A.html", "--picture", "A.svg"]
    assert main([str(songs / "more" / "A.flac"), "--checkpoint", str(raw_checkpoint), *outputs]) == 0
    printed = capsys.readouterr()
    assert (len(printed.out.splitlines()), printed.err) == (5, "")  # the network has no more tags
    assert (folder / "A.html").is_file()
    assert (folder / "A.svg").is_file()


def test_what_the_tags_are_worth_is_said_everywhere(songs, monkeypatch, capsys):
    monkeypatch.chdir(songs.parent)
    command = ["songs/a.mp3", "songs/more/A.flac", "--top", "50", "--json", "a.json", "--html", "pages"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    assert "  techno (0.90)  " in printed
    files = ("a.json", "pages/a.html", "pages/index.html")
    for text in (printed, *(Path(name).read_text() for name in files)):
        assert "nobody listened" in text
        assert "Mean AUC 0.86 on 223 test clips" in text
    assert json.loads(Path("a.json").read_text())["worth"]["test_auc"]["guitar"] == pytest.approx(0.7519, abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["songs/cover.jpg"], "1 of 1 songs could not be read"),
        (["nowhere.mp3"], "1 of 1 songs could not be read"),
        (["."], "--html name folders"),
        (["songs/a.mp3", "--hop", "5"], "hop is 5 s"),
        (["songs/a.mp3", "--top", "0"], "--top"),
        (["songs/a.mp3", "--json", "no/such/folder.json"], "cannot be written"),
        (["songs/a.mp3", "--json", "a.txt", "--csv", "a.txt"], "a.txt: is named twice"),
        (["songs/a.mp3", "--html", "songs/a.mp3"], "songs/a.mp3: is the name of an audio file"),
        (["songs/a.mp3", "--json", ""], "names no file"),
        (["songs/a.mp3", "--picture", "a.pgf"], "no kind of picture"),
        (["songs/a.mp3", "--picture", "a.txt"], "no kind of picture"),
        (["songs/a.mp3", "--checkpoint", "songs/a.mp3"], "songs/a.mp3"),
        (["empty"], "no audio file"),
    ],
)
def test_what_cannot_be_is_a_message(songs, mel_checkpoint, arguments, message, monkeypatch, capsys):
    monkeypatch.chdir(songs.parent)
    Path("empty").mkdir()
    Path("page.html").write_text("from before")
    with pytest.raises((InputError, SystemExit)) as caught:
        main(["--checkpoint", str(mel_checkpoint), "--html", "page.html", *arguments])
    assert message in str(caught.value) + capsys.readouterr().err
    assert Path("page.html").read_text() == "from before"
