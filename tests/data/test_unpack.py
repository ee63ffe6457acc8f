"""Archives that are whole, damaged or hostile."""

import io
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

from theanoish.data.unpack import join_and_unpack
from theanoish.errors import InputError

CLIPS = {f"{folder}/clip_{number}.mp3": np.random.default_rng(number).bytes(5000 + number)
         for number, folder in enumerate("0123456789abcdef")} | {"6/empty.mp3": b""}  # fmt: skip


def write_parts(folder: Path, members: dict[str, bytes], parts: int = 3) -> None:
    """A zip file of `members`, cut into parts as the official one."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    data = buffer.getvalue()
    size = -(-len(data) // parts)
    for number in range(parts):
        (folder / f"mp3.zip.{number + 1:03}").write_bytes(data[number * size : (number + 1) * size])


def clips_in(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.glob("*/*")}


def refused(words: str, folder: Path) -> None:
    with pytest.raises(InputError, match=words):
        join_and_unpack(folder)


@pytest.mark.parametrize("parts", [1, 3, 100])
def test_unpacks_every_clip(tmp_path: Path, parts: int) -> None:
    write_parts(tmp_path, CLIPS | {"0/": b"", "readme.txt": b"no clip"}, parts)
    seen: list[tuple[int, int]] = []
    join_and_unpack(tmp_path, lambda *counts: seen.append(counts))
    assert clips_in(tmp_path) == CLIPS
    total = sum(map(len, CLIPS.values()))
    assert seen == sorted(seen) and len(seen) == len(CLIPS) and seen[-1] == (total, total)
    assert not list(tmp_path.glob("*.partial")) and not (tmp_path / "readme.txt").exists()


def test_unpacking_continues_and_repairs_what_is_wrong(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    write_parts(tmp_path, CLIPS)
    with pytest.raises(KeyboardInterrupt):
        join_and_unpack(tmp_path, stop)
    done = clips_in(tmp_path)
    assert 5 < len(done) < 12 and all(CLIPS[name] == data for name, data in done.items())
    times = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/*")}
    (tmp_path / "0/clip_0.mp3").write_bytes(bytes(5000))  # the right size, after a power cut
    (tmp_path / "1/clip_1.mp3").write_bytes(b"short")
    join_and_unpack(tmp_path)
    assert clips_in(tmp_path) == CLIPS
    assert {path.parent.name for path, time in times.items() if path.stat().st_mtime_ns != time} == {"0", "1"}


@pytest.mark.parametrize("name", ["../evil.mp3", "/tmp/evil.mp3", "0/../../evil.mp3", "..\\evil.mp3", "C:evil.mp3"])
def test_what_would_leave_the_folder_is_passed_over(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    write_parts(folder, CLIPS | {name: b"evil"})
    join_and_unpack(folder)
    assert clips_in(folder) == CLIPS and [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damage_at_any_place_is_an_error_that_names_the_archive(tmp_path, method, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10**6))  # less than a damaged size
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr("0/clip.mp3", clip := np.random.default_rng(0).bytes(300))
    content = buffer.getvalue()
    refused = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "mp3.zip").write_bytes(damaged)
        shutil.rmtree(tmp_path / "0", ignore_errors=True)
        try:
            join_and_unpack(tmp_path)
        except InputError as error:
            refused += 1
            assert "mp3.zip" in str(error) and "damaged" in str(error)
        else:
            assert clips_in(tmp_path) in ({}, {"0/clip.mp3": clip})
    assert refused > 200


def test_missing_parts_are_named(tmp_path: Path) -> None:
    refused(r"mp3\.zip\.001: no such file", tmp_path)
    write_parts(tmp_path, {"clips/a.mp3": b"elsewhere"}, 1)
    refused("holds no folders 0 to f", tmp_path)
    (tmp_path / "mp3.zip.001").write_bytes(b"PK")  # shorter than any archive's end
    refused("damaged or incomplete", tmp_path)
    write_parts(tmp_path, CLIPS)
    (tmp_path / "mp3.zip.003").rename(tmp_path / "last")
    refused("damaged or incomplete", tmp_path)
    (tmp_path / "last").rename(tmp_path / "mp3.zip.003")
    (tmp_path / "mp3.zip.002").unlink()
    refused(r"mp3\.zip\.002: no such file", tmp_path)


def test_too_little_space_is_told_before_anything_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_parts(tmp_path, CLIPS)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000))
    refused("needed for the clips", tmp_path)
    assert clips_in(tmp_path) == {}
