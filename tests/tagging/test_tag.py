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
from theanoish.tagging.unfinished import Unfinished

SCRIPT = Path(__file__).resolve().parents[2] / "tag.py"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Songs of several kinds, sample rates and channels; two cannot be read."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "more").mkdir(parents=True)
    write_song(folder / "a.mp3", 10, 44_100, 2)
    write_song(folder / "more" / "A.flac", 7, 48_000)
    write_song(folder / "more" / "short.wav", 1, 8_000)
    (folder / "broken.ogg").write_bytes(b"no audio")
    (folder / "cover.\x1b[31mjpg").write_bytes(b"a picture")
    (folder / "unknown.m4a").write_bytes(b"some other kind")
    return folder


@pytest.fixture
def folder(written, tmp_path, monkeypatch):
    """A folder with a copy of the songs in it, to work in."""
    shutil.copytree(written, tmp_path / "songs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_folder_with_everything(folder, mel_checkpoint):
    outputs = ["--json", "all.json", "--csv", "all.csv", "--picture", "pictures", "--html", "pages"]
    command = [sys.executable, SCRIPT, "songs", "--checkpoint", mel_checkpoint, "--top", "2", *outputs]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    tags = "  0.60  high  throughout\n  0.40  loud  throughout\n"
    padded = "shorter than a window of 3 s: followed by silence"
    assert run.stdout == "".join(
        f"songs/{song})\n{tags}" for song in ("a.mp3 (0:10", "more/A.flac (0:07", f"more/short.wav (0:01, {padded}")
    )
    first, broken, *_, unknown, last = errors = run.stderr.splitlines()
    assert (run.returncode, first) == (2, "passed over: 1 .\\x1b[31mjpg")
    assert broken.startswith("songs/broken.ogg: cannot be read: ")
    assert unknown.startswith("songs/unknown.m4a: cannot be read: ")
    assert last == "tag.py: error: 2 of 5 songs could not be read; see above"
    assert not any("Traceback" in line for line in errors)
    values = json.loads(Path("all.json").read_text())
    files = ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert [(song["file"], song["padded"]) for song in values["songs"]] == list(
        zip(files, [False, False, True], strict=True)
    )
    alike = {each["file"]: each["cosine"] for each in values["songs"][0]["alike"]}
    assert alike.keys() == set(files[1:]) and max(alike.values()) <= 1.0001
    assert "Nobody has judged by ear" in values["alike"]
    assert [len(song["windows"]["begins"]) for song in values["songs"]] == [4, 3, 1]
    assert [failure["file"] for failure in values["failed"]] == ["songs/broken.ogg", "songs/unknown.m4a"]
    with Path("all.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == files
    assert list(rows[0]) == ["file", "seconds", "low", "middle", "high", "loud"]
    assert list(rows[0].values())[2:] == ["0.20000", "0.10000", "0.60000", "0.40000"]
    assert {path.name for path in Path("pictures").iterdir()} == {"a.png", "A 2.png", "short.png"}
    assert {path.name for path in Path("pages").iterdir()} == {"a.html", "A 2.html", "short.html", "index.html"}
    assert '"page":"A%202.html"' in Path("pages/index.html").read_text()


def test_interrupted_work_goes_on_behind_what_is_done(folder, mel_checkpoint, monkeypatch, capsys):
    """The second song's page is written, but not its line; of what follows only the start of a line was."""
    for name in ("broken.ogg", "unknown.m4a"):
        Path("songs", name).unlink()
    command = ["songs", "--checkpoint", str(mel_checkpoint), "--csv", "t.csv", "--json", "t.json", "--html", "pages"]
    unfinished = Path("t.csv.unfinished")

    def finished():
        assert main(command) == 0 and not unfinished.exists()
        return [Path(name).read_bytes() for name in ("t.csv", "t.json", "pages/index.html", "pages/A 2.html")]

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

    expected = finished()
    capsys.readouterr()
    songs = ["songs/a.mp3", "songs/more/A.flac", "songs/more/short.wav"]
    assert outcome() == songs
    assert outcome() == songs[2:]
    assert outcome("--again") == songs
    assert outcome("--hop", "1") == songs
    assert outcome() == songs
    Path("pages/a.html").unlink()
    os.utime("songs/more/A.flac", (1, 1))
    assert outcome() == songs
    with unfinished.open("ab") as file:
        file.write(b'{"file": "songs/more/short.wav", "sta')
    assert finished() == expected
    printed = capsys.readouterr()
    assert printed.out.startswith("songs/more/short.wav")
    assert "2 of 3 songs are tagged already; --again begins anew" in printed.err


def test_names_of_pages_are_short_enough():
    """A page's name is longer than its song's by what marks it as unfinished."""
    names = names_within([Path(f"{'é' * 120}{ending}.mp3") for ending in "xy"])
    assert sorted(names.values()) == ["é" * 100, f"{'é' * 100} 2"]
    [name] = names_within([Path(f"{'e' * 199}\N{COMBINING ACUTE ACCENT}.mp3")]).values()
    assert name == "e" * 198  # no letter without its accent


def test_one_song_gets_files_and_a_folder_of_one_folders(folder, raw_checkpoint, capsys):
    """And a run folder stands for its checkpoint."""
    outputs = ["--checkpoint", str(raw_checkpoint.parent), "--hop", "0.5", "--html", "A.html", "--picture", "A.svg"]
    assert main(["songs/more/A.flac", *outputs]) == 0
    printed = capsys.readouterr()
    assert (len(printed.out.splitlines()), printed.err) == (5, "")  # the network has no more tags
    assert Path("A.html").is_file() and Path("A.svg").is_file()
    Path("songs/more/short.wav").unlink()
    outputs[-3:] = ["pages", "--picture", "pictures"]
    assert main(["songs/more", *outputs]) == 0
    assert {path.name for path in Path("pages").iterdir()} == {"A.html", "index.html"}
    assert {path.name for path in Path("pictures").iterdir()} == {"A.png"}


def test_what_the_tags_are_worth_is_said_everywhere(folder, capsys):
    assert main(["songs/a.mp3", "songs/more/A.flac", "--top", "50", "--json", "a.json", "--html", "pages"]) == 0
    printed = capsys.readouterr().out
    assert "  techno (0.92)  " in printed
    for text in (printed, *(Path(name).read_text() for name in ("a.json", "pages/a.html", "pages/index.html"))):
        assert "nobody listened" in text
        assert "Mean AUC 0.87 on 223 test clips" in text
    assert json.loads(Path("a.json").read_text())["worth"]["test_auc"]["guitar"] == pytest.approx(0.7624, abs=1e-4)
    with pytest.raises(InputError, match="1 of 1"):  # and not where there is nothing to say it of
        main(["songs/none.mp3"])
    assert capsys.readouterr().out == ""


def test_a_page_that_tags_may_be_written_beside_songs_tags(folder, mel_checkpoint, capsys):
    for songs in ([], ["songs/a.mp3"]):
        assert main([*songs, "--app", "app.html", "--checkpoint", str(mel_checkpoint)]) == 0
        assert Path("app.html").is_file() and len(capsys.readouterr().out.splitlines()) == 5 * len(songs)
        Path("app.html").unlink()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("nowhere.mp3", "1 of 1 songs could not be read"),
        (".", "--html name folders"),
        ("songs/a.mp3 --hop 5", "hop is 5 s"),
        ("songs/a.mp3 --top 0", "--top"),
        ("songs/a.mp3 --json no/such/folder.json", "cannot be written"),
        ("songs/a.mp3 --json a.txt --csv a.txt", "a.txt: is named twice"),
        ("songs/a.mp3 --html songs/a.mp3", "songs/a.mp3: is the name of an audio file"),
        ("songs/a.mp3 --json ", "names no file"),
        ("songs/a.mp3 --picture a.pgf", "no kind of picture"),
        ("songs/a.mp3 --checkpoint songs/a.mp3", "songs/a.mp3"),
        ("empty", "no audio file"),
        ("--app songs/a.mp3", "songs/a.mp3: is no name for a page"),
    ],
)
def test_what_cannot_be_is_a_message(folder, mel_checkpoint, arguments, message, capsys):
    Path("empty").mkdir()
    Path("page.html").write_text("from before")
    with pytest.raises((InputError, SystemExit)) as caught:
        main(["--checkpoint", str(mel_checkpoint), "--html", "page.html", *arguments.split(" ")])
    assert message in str(caught.value) + capsys.readouterr().err
    assert Path("page.html").read_text() == "from before"
