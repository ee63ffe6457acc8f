"""Files that are written whole: what stands there before, links, devices, full disks, and what is left of kills."""

import errno
import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from theanoish.errors import InputError
from theanoish.files import (
    check_creatable,
    check_outputs,
    check_writable,
    lock,
    locked,
    read_json,
    require_space,
    write_json,
    write_text,
    written_whole,
)

ROOT = Path(__file__).resolve().parents[1]


def names(folder):
    return sorted(file.name for file in folder.iterdir())


def run_python(program, *arguments, **how):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    program = f"import sys; from pathlib import Path; from theanoish.files import lock, write_text\n{program}"
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], env=environment, check=True, **how)


def test_a_failure_leaves_what_was_there(tmp_path):
    write_text(tmp_path / "a", "before")
    with pytest.raises(ZeroDivisionError), written_whole(tmp_path / "a") as beside:
        beside.write_text("half")
        raise ZeroDivisionError
    assert (tmp_path / "a").read_text() == "before"
    assert names(tmp_path) == ["a"]


def test_a_file_is_on_disk_before_it_takes_its_place_and_the_folder_after(tmp_path, monkeypatch):
    done, replace = [], os.replace
    monkeypatch.setattr("theanoish.files.sync_to_disk", lambda path: done.append(path.name.split(".")[0]))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("replaced"), replace(*paths)))
    write_text(tmp_path / "a", "words")
    assert done == ["a", "replaced", tmp_path.name]


def test_no_output_replaces_an_input_or_another_output(tmp_path):
    song, link = tmp_path / "a.mp3", tmp_path / "link"
    song.write_bytes(b"music")
    link.symlink_to(song)
    check_outputs([tmp_path / "b", None, tmp_path / "c"], [song, None])
    check_outputs([Path("/dev/null"), Path("/dev/null")], [])
    for outputs in ([song], [tmp_path / "b", link], [tmp_path / "b", tmp_path / "b"]):
        with pytest.raises(InputError, match="named twice"):
            check_outputs(outputs, [song])


def test_locking_removes_only_what_a_killed_write_leaves(tmp_path):
    kept = ["report.2024.partial", "magnatagatune.h5.partial", "demo.partial", "log.jsonl.1.partial"]
    for name in ("state.pkl.2024.partial", "initial_filters.npy.7.partial", *kept[:2]):
        (tmp_path / name).touch()
    for name in kept[2:]:
        (tmp_path / name).mkdir()
    with locked(tmp_path):
        assert names(tmp_path) == sorted(["lock", *kept])


def test_links_are_written_through(tmp_path):
    target, link = tmp_path / "folder" / "target", tmp_path / "link"
    target.parent.mkdir()
    link.symlink_to("folder/target")
    for text in ("dangling", "existing"):
        check_writable(link)
        write_text(link, text)
        assert link.is_symlink() and target.read_text() == text
    assert names(target.parent) == ["target"]


def test_pipes_are_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "pipe").read_text()), daemon=True)
    reader.start()
    check_writable(tmp_path / "pipe")
    write_text(tmp_path / "pipe", "words")
    reader.join()
    assert received == ["words"] and names(tmp_path) == ["pipe"]
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_devices_stay_devices(tmp_path):
    check_writable(Path("/dev/null"))
    write_text(Path("/dev/null"), "words")
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    with pytest.raises(OSError, match="space") as error:
        write_text(Path("/dev/full"), "words")
    assert error.value.filename == "/dev/full"


@pytest.mark.parametrize("name", ["/dev/stdout", "printed"])
def test_what_is_printed_to_is_added_to(tmp_path, name):
    """As with `--json /dev/stdout > printed`: nothing printed before or after it is lost."""
    with (tmp_path / "printed").open("w") as printed:
        program = "print('before'); write_text(Path(sys.argv[1]), 'words\\n'); print('after')"
        run_python(program, name, stdout=printed, cwd=tmp_path)
    assert (tmp_path / "printed").read_text() == "before\nwords\nafter\n"
    assert run_python(program, "/dev/stdout", stdout=subprocess.PIPE).stdout == b"before\nwords\nafter\n"


def test_a_full_disk_names_the_file(tmp_path):
    """A limit on the size of files stands for the disk."""
    write_text(tmp_path / "a", "before")
    program = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "try: write_text(Path('a'), 'x' * 10_000)\n"
        "except OSError as error: print(error.filename)"
    )
    assert run_python(program, cwd=tmp_path, stdout=subprocess.PIPE, text=True).stdout == "a\n"
    assert (tmp_path / "a").read_text() == "before" and names(tmp_path) == ["a"]


def test_what_killed_processes_left_is_removed(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f"a.{ended.pid}.partial", f"a.{os.getppid()}.partial", f"ab.{ended.pid}.partial", "a.partial"):
        (tmp_path / name).touch()
    write_text(tmp_path / "a", "words")
    assert names(tmp_path) == sorted(["a", "a.partial", f"a.{os.getppid()}.partial", f"ab.{ended.pid}.partial"])
    (tmp_path / f"[a].{ended.pid}.partial").touch()
    write_text(tmp_path / "[a]", "words")
    assert f"[a].{ended.pid}.partial" not in names(tmp_path)


def test_what_a_process_of_someone_else_writes_stays(tmp_path, monkeypatch):
    (tmp_path / "a.1.partial").touch()
    monkeypatch.setattr(os, "kill", Mock(side_effect=PermissionError))
    write_text(tmp_path / "a", "words")
    assert names(tmp_path) == ["a", "a.1.partial"]


def test_disks_that_do_not_say_their_size_have_room(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (0, 0, 0))
    require_space(tmp_path, 10**9, "data set")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (2 * 10**9, 1, 10**9))
    require_space(tmp_path, 10**9, "data set")
    with pytest.raises(InputError, match=r"1\.00 GB are needed for the data set but 1\.00 GB are free"):
        require_space(tmp_path, 10**9 + 1, "data set")


def test_one_process_holds_a_lock(tmp_path):
    place = tmp_path / "lock"
    with lock(place, "busy"):
        with pytest.raises(subprocess.CalledProcessError) as refused:
            run_python("with lock(Path(sys.argv[1]), 'busy'): pass", place, stderr=subprocess.PIPE)
        assert refused.value.stderr.endswith(b"InputError: busy\n")
    with pytest.raises(subprocess.CalledProcessError):
        run_python("import os, signal\nwith lock(Path(sys.argv[1]), ''): os.kill(os.getpid(), signal.SIGKILL)", place)
    with lock(place, "busy"):  # which the killed one does not hold
        place.unlink()
        with lock(place, "busy"):  # of the next to come
            pass


def test_json_keeps_letters_and_names_that_are_not_utf_8(tmp_path):
    values = {"tag": "köto", "auc": [0.25, None], "data": os.fsdecode(b"caf\xe9.h5")}
    write_json(tmp_path / "a.json", values)
    lines = (tmp_path / "a.json").read_text(encoding="utf-8").splitlines()
    assert lines[1] == '  "tag": "köto",' and lines[-2] == '  "data": "caf\\udce9.h5"'
    assert read_json(tmp_path / "a.json") == values


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000, b"1" * 5000, b"\0" * 100], ids=range(6))
def test_damaged_json(tmp_path, content):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.json: cannot be read"):
        read_json(tmp_path / "a.json")


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    (tmp_path / "a").touch()
    (tmp_path / "a").chmod(0o646)
    write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o646


def test_disks_that_cannot_sync_a_folder(tmp_path, monkeypatch):
    """As CIFS and WSL's; of a file it is an error."""
    sync, refused = os.fsync, []

    def fsync(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode) or refused:
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "a", "text")
    assert (tmp_path / "a").read_text() == "text"
    refused.append(True)
    with pytest.raises(OSError, match="Invalid"):
        write_text(tmp_path / "a", "other")
    assert (tmp_path / "a").read_text() == "text"


def test_places_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    (tmp_path / "protected").touch()
    (tmp_path / "protected folder").mkdir()
    os.mkfifo(tmp_path / "protected pipe")
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: "protected" not in Path(path).name and access(path, mode))
    for place, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "file" / "a", "not a folder"),
        (tmp_path / "missing" / "a", "does not exist"),
        (tmp_path / "protected", "write-protected"),
        (tmp_path / "protected folder" / "a", "no permission to write to"),
        (tmp_path / "protected pipe", "no permission"),
    ):
        with pytest.raises(InputError, match=reason):
            check_writable(place)
    check_creatable(tmp_path / "missing" / "a")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="symbolic links"):
        check_writable(tmp_path / "loop")
    assert names(tmp_path) == ["file", "loop", "protected", "protected folder", "protected pipe"]
