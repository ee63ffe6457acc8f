import errno
import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import soundfile

from conftest import INFO_COLUMNS, TAGS, write_csv, write_tables
from stand_ins import wait_for
from theanoish.commands import build as build_command
from theanoish.data import build as builds
from theanoish.data.build import BuildSettings, BuildStopped, build
from theanoish.data.dataset import Dataset
from theanoish.data.mel import log_mel
from theanoish.data.storage import STRUCTURE_BYTES, reserve
from theanoish.errors import InputError
from theanoish.interrupt import StopRequest
from theanoish.machine import versions_in_use
from theanoish.representation import RAW, REPRESENTATIONS, Representation

ROOT = Path(__file__).resolve().parents[2]
NAMES = [representation.name for representation in REPRESENTATIONS]
SCRIPT = ROOT / "preprocess" / "build_h5.py"
OFFICIAL = ROOT.parent / "shared" / "magnatagatune"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture(autouse=True)
def one_worker_is_this_process(monkeypatch):
    """Starting one takes seconds; what they do is for the tests with two, and those of the script."""
    in_processes = builds.in_parallel

    def in_parallel(function, items, workers, array_bytes):
        return map(function, items) if workers == 1 else in_processes(function, items, workers, array_bytes)

    monkeypatch.setattr(builds, "in_parallel", in_parallel)


@pytest.fixture
def settings(tmp_path, make_source):
    """Of ten clips, of which samples only are stored."""
    return BuildSettings(make_source(), tmp_path / "out.h5", (RAW,))


def run(settings, *stop, **changes):
    return build(replace(settings, **changes), *(stop or [StopRequest()]))


def refused(words, settings, **changes):
    with pytest.raises(InputError, match=words):
        run(settings, **changes)


def stopped(settings, clips):
    """Stop a build after some clips. Returns what was told of its progress."""
    stop, told = StopRequest(), []

    def progress(stage, done, total):
        told.append((stage, done))
        stop.requested = stage == "reading clips" and done >= clips

    with pytest.raises(BuildStopped):
        build(settings, stop, progress)
    return told


def run_script(*arguments, **options):
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=300, **options)


def paths_of(source):
    return [str(path.relative_to(source)) for path in sorted(source.rglob("*.wav"))]


def spoil(*clips):
    for clip in clips:
        clip.write_text("no audio at all")


def write_silence(clip, samples):
    soundfile.write(clip, np.zeros(samples, np.int16), 16_000)


def values_of(file, name, clip):
    start, count = file[f"{name}/start"][clip], file[f"{name}/count"][clip]
    return file[f"{name}/values"][start : start + count]


def contents(path):
    """All of a file that a build decides: tables, and the values of each clip."""
    tables = ("tags", "clips/path", "clips/artist", "clips/split", "left_out/path", "left_out/reason")
    with h5py.File(path) as file:
        found = {"labels": file["labels"][:].tolist()} | {name: list(file[name].asstr()[:]) for name in tables}
        for name in set(NAMES) & set(file):
            found[name] = [values_of(file, name, i).tobytes() for i in range(len(file["clips/id"]))]
    return found


def test_file_holds_what_the_source_says(settings, tmp_path):
    summary = run(settings, representations=REPRESENTATIONS, workers=2)
    assert summary.clips == {"train": 6, "validation": 2, "test": 2} and summary.left_out == []
    assert len(summary.odd_lengths) == 10 and summary.odd_lengths[0][2] == 56_000
    dataset = Dataset(settings.output)
    assert dataset.tags == ["guitar", "piano", "slow", "loud"], "by count; slow before loud; never left out"
    assert dataset.splits.tolist() == ["train"] * 6 + ["validation"] * 2 + ["test"] * 2
    assert dataset.ids.tolist() == [2, 4, 5, 7, 9, 10, 3, 8, 1, 6]
    with h5py.File(settings.output) as file:
        for row, (number, path) in enumerate(zip(dataset.ids, dataset.paths, strict=True)):
            samples, _ = soundfile.read(settings.source / path, dtype="int16")
            mel, overlapping = (log_mel(samples, Representation(*each)) for each in ((512, 256), (1024, 512)))
            np.testing.assert_array_equal(values_of(file, "raw", row), samples)
            np.testing.assert_array_equal(values_of(file, "mel_512_256", row), mel)
            np.testing.assert_array_equal(values_of(file, "mel_1024_1024", row), overlapping[::2])
            i = number - 1
            assert dataset.labels[row].tolist() == [1, i % 2, int(i % 3 == 0), int(i % 3 == 0)]
            assert dataset.artists[row] == f"artist {number}" and path.endswith(f"clip_{number}.wav")
        for name in NAMES:
            assert file[f"{name}/values"].chunks is None and file[f"{name}/values"].compression is None
        described = {"length": 512, "stride": 256, "fft_length": 1024, "mel_channels": 128, "compression": 10_000}
        described |= {"lowest_frequency": 0, "highest_frequency": 8000, "window": "Hann, periodic"}
        assert described.items() <= dict(file["mel_512_256"].attrs).items()
        attributes = dict(file.attrs)
    assert attributes["format"] == "theanoish" and attributes["sample_rate"] == 16_000
    assert attributes["source"] == "source" and str(tmp_path) not in str(attributes)
    assert attributes["built_with"] == "--source source"
    assert {"python", "numpy", "h5py", "libsndfile", "theanoish"} <= set(json.loads(attributes["versions"]))
    assert json.loads(attributes["settings"])["representations"] == NAMES


def test_the_options_of_a_build_are_kept(settings, tmp_path, monkeypatch):
    assert builds._built_with(replace(settings, demo=True, allow_missing=True)) == "--demo --allow-missing"
    songs = replace(settings, labels=tmp_path / "my tags.csv", seed=7, clips="tagged")
    assert builds._built_with(songs) == "--songs source --labels 'my tags.csv' --seed 7 --clips tagged"
    (tmp_path / "my tags.csv").touch()
    with pytest.raises(InputError, match="is the table of labels"):
        builds.check_output(replace(songs, output=tmp_path / "my tags.csv", overwrite=True))
    (tmp_path / "link").symlink_to("my tags.csv")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="is the table of labels"):
        builds.check_output(replace(songs, labels=Path("my tags.csv"), output=tmp_path / "link", overwrite=True))


def test_tagged_keeps_only_clips_with_a_kept_tag(settings, make_source):
    source = make_source(210)
    paths = paths_of(source)
    write_tables(source, paths, [[int(i in (2, 5, 8)), 0, 0, 0, 0] for i in range(210)], TAGS)
    summary = run(settings, clips="tagged")
    dataset = Dataset(settings.output)
    assert dataset.tags == ["piano"] and sorted(dataset.paths) == [paths[i] for i in (2, 5, 8)]
    assert [clip.kind for clip in summary.left_out] == ["untagged"] * 207
    spoil(*(source / paths[i] for i in (2, 5)))
    refused("2 of 3 clips cannot be read", settings, clips="tagged", overwrite=True)  # of those that are wanted


def test_known_empty_clips_are_told_from_unexpected_ones_of_which_one_percent_may_be(settings, make_source):
    """Ids and paths as in MagnaTagATune; the unexpected one is 1 of 103, below 1 %, and another would be too much."""
    source = make_source(101)
    clips = [(1000 + i, path) for i, path in enumerate(paths_of(source))]
    clips += [(35644, "6/norine_braun-now-29.mp3"), (55753, "9/no_such_artist-29.mp3")]
    rows = [[clip, 1, path] for clip, path in clips]
    write_csv(source / "annotations_final.csv", [["clip_id", "piano", "mp3_path"], *rows])
    rows = [[clip, 1, "", "", "", "", 0, 29, "", path] for clip, path in clips]
    write_csv(source / "clip_info_final.csv", [INFO_COLUMNS, *rows])
    for _, path in clips[-2:]:
        (source / path).parent.mkdir(exist_ok=True)
        (source / path).touch()
    found = [(clip.id, clip.kind, clip.reason) for clip in run(settings, workers=2).left_out]
    assert found == [(35644, "known empty", "empty file (0 bytes)"), (55753, "unreadable", "empty file (0 bytes)")]
    with h5py.File(settings.output) as file:
        assert file["left_out/id"][:].tolist() == [35644, 55753] and len(file["clips/id"]) == 101
        assert list(file["left_out/kind"].asstr()[:]) == ["known empty", "unreadable"]
    (source / clips[0][1]).write_bytes(b"")
    refused("2 of 103 clips cannot be read, more than the 1% that may be", settings, overwrite=True)
    spoil(source / clips[-2][1])
    refused("3 of 103 clips cannot be read", settings, overwrite=True)


@pytest.mark.parametrize("damage", ["header", "contents"])
def test_one_unreadable_clip_is_left_out_but_more_than_one_percent_are_an_error(settings, damage):
    def damaged(clip):
        if damage == "header":
            spoil(clip)
        else:
            soundfile.write(clip, np.full(56_000, np.nan), 16_000, subtype="FLOAT")

    damaged(settings.source / "c" / "clip_3.wav")
    assert [(clip.id, clip.kind) for clip in run(settings).left_out] == [(3, "unreadable")]
    settings.output.unlink()
    damaged(settings.source / "9" / "clip_5.wav")
    refused(r"2 of 10 clips cannot be read.*\n  clip 5, 9/clip_5\.wav: .*\n  clip 3, c/clip_3\.wav", settings)
    assert sorted(settings.output.parent.iterdir()) == [settings.source]


def test_songs_that_cannot_be_read_are_left_out_whatever_their_share(settings, tmp_path):
    songs, labels = paths_of(settings.source), tmp_path / "labels.csv"
    rows = [f"{song},{'abc'[i % 3]},{i}" for i, song in enumerate(songs)]
    labels.write_text("\n".join(["file,tags,artist", *rows]) + "\n")
    songs = [settings.source / song for song in songs]
    spoil(*songs[:4])
    summary = run(settings, labels=labels)
    assert [clip.kind for clip in summary.left_out] == ["unreadable"] * 4 and sum(summary.clips.values()) == 6
    settings = replace(settings, labels=labels, overwrite=True)
    for song in songs[4:]:
        write_silence(song, 47_999)
    refused(r"no clip can be read that is as long as a window, 3 s:\n  clip 1, ", settings)
    spoil(*songs)
    refused(r"no clip is left to put into a data set:\n  clip 1, .*: libsndfile", settings)


def test_missing_files_are_an_error_unless_allowed(settings):
    for name in ("f/clip_1.wav", "c/clip_3.wav"):
        (settings.source / name).unlink()
    refused(r"2 of 10 clips are missing.*--allow-missing:\n  clip 3, c/clip_3\.wav: No such file", settings)
    summary = run(settings, allow_missing=True)
    assert sum(summary.clips.values()) == 8 and {clip.kind for clip in summary.left_out} == {"missing"}
    for file in settings.source.rglob("*.wav"):
        file.unlink()
    refused("holds none of the 10", settings, allow_missing=True, overwrite=True)


def test_an_existing_file_stays_until_the_new_one_is_complete(settings, tmp_path):
    settings.output.write_text("precious")
    refused("exists already", settings)
    stopped(replace(settings, overwrite=True), 0)
    assert settings.output.read_text() == "precious"
    run(settings, overwrite=True)
    assert len(Dataset(settings.output).ids) == 10 and {path.name for path in tmp_path.iterdir()} == {
        "source",
        "out.h5",
    }


@pytest.mark.parametrize(
    ("change", "resumed"), [("jax", 6), ("numpy", 0), ("clip", 0), ("paths", 0), ("representations", 0)]
)
def test_what_decides_no_array_voids_no_half_built_data_set(settings, monkeypatch, change, resumed):
    paths = paths_of(settings.source)
    for path in paths:
        os.utime(settings.source / path, (0, 0))
    stopped(settings, 6)
    if change == "paths":
        write_tables(settings.source, paths[::-1], [[1, 1, 1, 0, 1]] * 10, TAGS)
    elif change == "clip":
        write_silence(settings.source / "0" / "clip_2.wav", 56_000)  # of the same size
    elif change == "representations":
        settings = replace(settings, representations=(RAW, Representation(256, 256)))
    else:
        monkeypatch.setattr("theanoish.data.plan.versions_in_use", lambda: {**versions_in_use(), change: "99"})
    assert run(settings).resumed == resumed
    with h5py.File(settings.output) as file:
        for row, path in enumerate(file["clips/path"].asstr()):
            samples, _ = soundfile.read(settings.source / path, dtype="int16")
            np.testing.assert_array_equal(values_of(file, "raw", row), samples)


def test_after_a_death_while_the_tables_are_written_all_begins_anew(settings, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(ZeroDivisionError):
        patch.setattr("theanoish.data.build.sync_to_disk", lambda _: 1 / 0)  # between the tables and the final name
        run(settings)
    with (tmp_path / "out.h5.partial").open("r+b") as file:
        file.write(b"\xff" * 96)  # the first bytes of HDF5's own structure
    assert run(settings).resumed == 0
    run(settings, output=tmp_path / "whole.h5")
    assert contents(settings.output) == contents(tmp_path / "whole.h5")


def flac_that_says(path, samples, promised):
    """A FLAC of `samples` with another number of them in its header; 0 is "unknown", as of what went to a pipe."""
    soundfile.write(path, samples, 16_000, format="FLAC")
    content = bytearray(path.read_bytes())
    content[21:26] = ((content[21] & 0xF0) << 32 | promised).to_bytes(5, "big")
    path.write_bytes(content)


LIES = {2: 0, 4: 2**36 - 1, 7: 50_000, 9: 60_000}  # by clip: what its header says of 56,000, or of 600,000


@pytest.mark.parametrize("spare", [None, 0])
def test_headers_that_lie_change_nothing_and_are_told(settings, monkeypatch, spare):
    """Whether or not there is room for clips that are longer than promised."""
    if spare is not None:
        monkeypatch.setattr("theanoish.data.plan.SPARE", spare)
    settings = replace(settings, representations=(RAW, Representation(256, 256)), workers=2)
    generator, truth = np.random.default_rng(5), {}
    for clip, promised in LIES.items():
        truth[clip] = generator.integers(-9000, 9000, 600_000 if clip == 9 else 56_000).astype(np.int16)
        flac_that_says(next(settings.source.rglob(f"clip_{clip}.wav")), truth[clip], promised)
    stopped(settings, 7)
    summary = run(settings)
    assert summary.resumed >= 7 and sum(summary.clips.values()) == 10 and summary.left_out == []
    with h5py.File(settings.output) as file:
        ids = file["clips/id"][:].tolist()
        for clip, samples in truth.items():
            row = ids.index(clip)
            assert file["clips/samples"][row] == len(samples)
            np.testing.assert_array_equal(values_of(file, "raw", row), samples)
            mel = log_mel(samples, Representation(256, 256))
            np.testing.assert_array_equal(values_of(file, "mel_256_256", row), mel)
    assert {clip: remark for clip, _, remark in summary.remarks} == {
        clip: f"its header says {LIES[clip]} samples; holds {len(truth[clip])} samples" for clip in (4, 7, 9)
    }
    assert settings.output.stat().st_size < 20e6  # of the file that promised 137 GB


@pytest.mark.parametrize("damage", ["zeros", "foreign", "cut"])
def test_damaged_results_count_up_to_the_damage(settings, tmp_path, damage):
    stopped(settings, 6)
    results = tmp_path / "out.h5.results"
    lines = results.read_bytes().splitlines(keepends=True)
    lines[4] = {"zeros": bytes(len(lines[4])), "foreign": b"\xff\xfe[[[[\n", "cut": lines[4][:-9]}[damage]
    results.write_bytes(b"".join(lines))
    told = stopped(settings, 8)
    assert ("reading clips", 4) in told and ("reading clips", 3) not in told
    assert run(settings).resumed == 8
    assert len(Dataset(settings.output).ids) == 10


def test_builds_of_one_file_do_not_mix(settings):
    """Neither with one at the same time, nor with one that finished first."""

    def second(stage, done, total):
        if stage == "reading clips":
            refused("another process", settings)

    run(settings, StopRequest(), second)
    assert len(Dataset(settings.output).ids) == 10
    settings.output.unlink()

    def finish_first(stage, done, total):
        if stage == "reading headers" and done == 1:
            settings.output.write_text("the other's")

    with pytest.raises(InputError, match="exists already"):
        run(settings, StopRequest(), finish_first)
    assert settings.output.read_text() == "the other's"


def test_a_limit_on_files_is_an_error_at_every_stage_and_the_rest_is_kept(settings, tmp_path):
    """As a full disk is, which HDF5 answers with a crash: too small for a skeleton, for the arrays, for the tables."""
    output = settings.output
    run(settings, output=tmp_path / "whole.h5")
    with h5py.File(tmp_path / "whole.h5") as file:
        arrays = file["raw/values"].nbytes
    arguments = ["--source", settings.source, "--output", output, "--representations", "raw"]
    for size in (1000, arrays, arrays + STRUCTURE_BYTES):
        limit = (resource.RLIMIT_FSIZE, (size, size))
        done = run_script(*arguments, preexec_fn=lambda limit=limit: resource.setrlimit(*limit))
        assert done.returncode == 2 and "cannot be written" in done.stderr and "Traceback" not in done.stderr
        assert not output.exists()
    done = run_script(*arguments)
    assert done.returncode == 0 and "(10 clips by an earlier run)" in done.stdout
    assert contents(output) == contents(tmp_path / "whole.h5")


def test_odd_names_and_places_of_files(settings, tmp_path, monkeypatch):
    source = settings.source
    (source / "mp3").mkdir()  # empty, beside the clips' folders
    paths = paths_of(source)
    (source / paths[0]).rename(source / "0" / "clip.raw")
    paths[0] = "0/clip.raw"
    write_tables(source, [*paths, f"0/{'x' * 300}.mp3"], [[1, 1, 1, 0, 1]] * 11, TAGS)
    refused(r"1 of 11 clips are missing.*\n  clip 11, 0/xxx.*: File name too long", settings)
    done = run_script("--source", ".", "--representations", "raw", "--allow-missing", cwd=source)
    assert done.returncode == 0, done.stderr
    dataset = Dataset(tmp_path / "source.h5")
    assert "0/clip.raw" in dataset.paths and len(dataset.paths) == 10
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link.h5"
    link.symlink_to(tmp_path / "elsewhere" / "real.h5")
    run(settings, output=link, allow_missing=True)
    assert link.is_symlink() and [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["real.h5"]
    refused("is no file that can be replaced", settings, output=Path("/dev/null"), overwrite=True)
    run(settings, source=source.rename(tmp_path / os.fsdecode(b"caf\xe9")), allow_missing=True)
    with h5py.File(settings.output) as file:
        assert file.attrs["source"] == "caf\ufffd"


def test_a_whole_archive_in_the_folder_is_unpacked(make_source):
    source = make_source()
    paths = [path.replace(".wav", ".mp3") for path in paths_of(source)]
    with zipfile.ZipFile(source / "mp3.zip", "w") as archive:
        for path in paths:
            wav = (source / path).with_suffix(".wav")
            archive.write(wav, path)
            wav.unlink()
    write_tables(source, paths, [[1, 1, 1, 0, 1]] * 10, TAGS)
    done = run_script("--source", source, "--representations", "raw")
    assert done.returncode == 0 and "clips: 10 " in done.stdout, done.stderr


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for the children of a process in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_in_the_middle_then_resumed(tmp_path, make_source, number):
    source, output, results = make_source(160), tmp_path / "out.h5", tmp_path / "out.h5.results"
    command = [sys.executable, SCRIPT, "--source", source, "--output", output, "--workers", "2"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: results.exists() and results.read_text().count("\n") > 64)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert not output.exists() and len(children) >= 2
    wait_for(lambda: not any(Path(f"/proc/{child}").exists() for child in children))
    if number == signal.SIGINT:
        assert process.returncode == 130 and "the same command continues" in errors and "Traceback" not in errors
    settings = BuildSettings(source, output, workers=2)
    summary = run(settings)
    assert 64 <= summary.resumed < 160 and summary.resumed + summary.read == 160
    run(settings, output=tmp_path / "whole.h5")
    assert contents(output) == contents(tmp_path / "whole.h5")


def test_script_prints_a_summary_and_leaves_out_what_is_shorter_than_a_window(tmp_path, make_source):
    source = make_source()
    write_silence(source / "0" / "clip_2.wav", 48_000)
    write_silence(source / "f" / "clip_1.wav", 47_999)
    done = run_script("--source", source, "--representations", "all", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "left out (too short): clip 1, f/clip_1.wav: 47999 samples" in done.stdout
    assert "clips: 9 (6 train, 2 validation, 1 test), 4 tags" in done.stdout
    assert "left out: 1 too short" in done.stdout and "9 clips are not 465984 samples long" in done.stdout
    dataset = Dataset(tmp_path / "source.h5")
    assert dataset.representations == sorted(NAMES)
    with h5py.File(dataset.path) as file:
        row = dataset.ids.tolist().index(2)
        assert file["raw/count"][row] == 48_000 and file["mel_256_256/count"][row] == 187


def test_script_errors(tmp_path, make_source, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    source = make_source()
    (source / "f" / "clip_1.wav").unlink()
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.h5").touch()
    cases = {
        "no such folder; put MagnaTagATune there": ["--source", tmp_path / "nowhere"],
        "no such folder; --songs names": ["--songs", tmp_path / "nowhere", "--labels", tmp_path / "there.h5"],
        "holds no annotations_final.csv": ["--source", tmp_path / "empty"],
        "1 of 10 clips are missing": ["--source", source],
        "exists already": ["--demo", "--source", tmp_path / "demo", "--output", tmp_path / "there.h5"],
        "there.h5 is not a folder": ["--demo", "--source", tmp_path / "demo", "--output", tmp_path / "there.h5/a/b.h5"],
        "it is a folder": ["--demo", "--source", tmp_path / "demo", "--output", tmp_path / "empty"],
        "cannot be written": ["--source", source, "--allow-missing", "--output", tmp_path / "there.h5" / "a.h5"],
        "must be 1 or more": ["--workers", "0"],
    }
    for message, arguments in cases.items():
        with pytest.raises((InputError, OSError, SystemExit)) as ended:
            build_command.main([*map(str, arguments)])
        assert message in f"{ended.value} {capsys.readouterr().err}"
    done = run_script("--source", source)
    assert done.returncode == 2 and "1 of 10 clips are missing" in done.stderr and "Traceback" not in done.stderr
    assert (tmp_path / "there.h5").stat().st_size == 0
    assert not (tmp_path / "demo").exists()  # found before anything was composed


@pytest.mark.skipif(not OFFICIAL.is_dir(), reason="the official files are not beside the repository")
def test_three_real_clips_with_the_official_tables(tmp_path):
    done = run_script("--source", OFFICIAL, "--allow-missing", "--output", tmp_path / "a.h5", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert "clips: 3 (1 train, 0 validation, 2 test), 50 tags" in done.stdout
    assert done.stdout.count("25860") == 1 and "left out: 25860 missing" in done.stdout
    dataset = Dataset(tmp_path / "a.h5")
    assert dataset.splits.tolist() == ["train", "test", "test"] and set(dataset.ids[1:]) == {2, 37386}
    tags = [dataset.tags[i] for i in np.flatnonzero(dataset.labels[dataset.ids.tolist().index(2)])]
    assert tags == ["classical", "strings", "violin", "opera"]
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["raw/count"][:].tolist() == [465_984] * 3
        assert file["mel_256_256/count"][:].tolist() == [1820] * 3


def test_room_is_taken_on_disks_that_reserve_none(tmp_path, monkeypatch):
    """There glibc writes zeros, but not to a file that is open for writing alone or for appending."""

    def write_zeros(descriptor, begin, size):
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        assert flags & os.O_ACCMODE == os.O_RDWR and not flags & os.O_APPEND
        os.pwrite(descriptor, bytes(size), begin)

    monkeypatch.setattr(os, "posix_fallocate", write_zeros)
    (tmp_path / "a").write_bytes(b"before")
    reserve(tmp_path / "a", 9)
    assert (tmp_path / "a").read_bytes() == b"before" + bytes(9)


def test_a_disk_that_fills_up_is_told_before_hdf5_meets_it(settings, tmp_path, monkeypatch):
    """HDF5 would crash. What was taken of the disk until then is given back."""

    def take_a_part(descriptor, begin, size):
        os.pwrite(descriptor, bytes(size // 2), begin)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", take_a_part)
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(OSError, match="No space"):
        reserve(tmp_path / "a", 9)
    assert (tmp_path / "a").read_bytes() == b"before"
    before = sorted(tmp_path.iterdir())
    refused(r"out\.h5: cannot be written \(.*No space", settings)
    assert sorted(tmp_path.iterdir()) == before
