"""Downloads from a server on this machine that behaves well or badly."""

import hashlib
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from theanoish.data import download as module
from theanoish.data.download import OFFICIAL_FILES, RemoteFile, download
from theanoish.errors import InputError

SPECIFICATION = Path(__file__).resolve().parents[3] / "shared" / "paper.md"
LARGE = np.random.default_rng(0).bytes(3_000_000)
CONTENTS = {"small.csv": b'"clip_id"\r\n', "large.zip": LARGE}
FILES = [RemoteFile(name, len(data), hashlib.sha256(data).hexdigest()) for name, data in CONTENTS.items()]


class Server(ThreadingHTTPServer):
    """Serves CONTENTS, and notes what was asked for."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requests: list[tuple[str, int]] = []  # name and first byte
        self.ranges = True
        self.wrong_range = False
        self.drops: list[int] = []  # bytes after which the next answers of large.zip break off
        self.contents = dict(CONTENTS)

    def handle_error(self, *args: object) -> None:
        """Clients that go away are part of these tests."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/data/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name, server = self.path.removeprefix("/data/"), self.server
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        server.requests.append((name, first))
        if name not in server.contents:
            return self.send_error(404)
        first = first if server.ranges else 0
        data = server.contents[name][first:]
        self.send_response(206 if first else 200)
        if first:
            self.send_header("Content-Range", f"bytes {first + server.wrong_range}-{first + len(data) - 1}/*")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        drop = server.drops.pop(0) if server.drops and name == "large.zip" else None
        self.wfile.write(data[:drop])

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def refused(words: str, folder: Path, url: str, files: list[RemoteFile] = FILES) -> None:
    with pytest.raises(InputError, match=words):
        download(folder, url, files)


def completes(server: Server, folder: Path) -> None:
    download(folder, server.url, FILES)
    assert contents(folder) == CONTENTS


def run(server: Server, folder: Path, setup: str) -> subprocess.CompletedProcess[str]:
    """Download in another process, after `setup`, which may define `progress`."""
    program = f"""
import os, resource, signal
from pathlib import Path
from theanoish.data.download import RemoteFile, download
progress = lambda done, total: None
{setup}
download(Path({str(folder)!r}), {server.url!r}, {FILES!r}, progress)
"""
    return subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True)


@pytest.mark.skipif(not SPECIFICATION.exists(), reason="the specification is not beside the repository")
def test_official_files_are_those_of_the_specification() -> None:
    text = SPECIFICATION.read_text()
    for file in OFFICIAL_FILES:
        assert f"{file.sha256}  {file.name}" in text and f"{file.size:,}" in text
    assert module.OFFICIAL_URL in text and len(OFFICIAL_FILES) == 5


def test_fetches_every_file_once(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    download(tmp_path / "new" / "folder", server.url.rstrip("/"), FILES, lambda *counts: seen.append(counts))
    assert contents(tmp_path / "new" / "folder") == CONTENTS
    total = sum(map(len, CONTENTS.values()))
    assert seen == sorted(seen) and seen[-1] == (total, total) and len(seen) > 10
    assert server.requests == [("small.csv", 0), ("large.zip", 0)]
    download(tmp_path / "new" / "folder", server.url, FILES)
    assert len(server.requests) == 2


def test_a_dropped_connection_is_told_and_the_next_call_continues(server: Server, tmp_path: Path) -> None:
    server.drops = [1_000_000, 0]
    for _ in range(2):  # the second time nothing came
        refused(r"large\.zip: .*1000000 .*start again to continue", tmp_path, server.url)
        assert contents(tmp_path)["large.zip.part"] == LARGE[:1_000_000]
    completes(server, tmp_path)
    assert [first for name, first in server.requests if name == "large.zip"] == [0, 1_000_000, 1_000_000]


@pytest.mark.parametrize("ranges", [True, False])
def test_killed_in_the_middle_continues_with_or_without_ranges(server: Server, tmp_path: Path, ranges: bool) -> None:
    server.ranges = ranges
    progress = "progress = lambda done, total: done > 1_500_000 and os.kill(os.getpid(), signal.SIGKILL)"
    assert run(server, tmp_path, progress).returncode == -signal.SIGKILL
    kept = len(contents(tmp_path)["large.zip.part"])
    assert 1_000_000 < kept < 3_000_000
    completes(server, tmp_path)
    assert server.requests[-1] == ("large.zip", kept)


def test_a_part_that_is_complete_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "large.zip.part").write_bytes(LARGE)
    completes(server, tmp_path)
    assert server.requests == [("small.csv", 0)]


@pytest.mark.parametrize("damage", [b"x" + LARGE[1:], LARGE + b"more"])
def test_a_damaged_file_is_named_and_fetched_anew(server: Server, tmp_path: Path, damage: bytes) -> None:
    server.contents["large.zip"] = damage
    refused(r"large\.zip: .*SHA-256", tmp_path, server.url)
    assert contents(tmp_path).keys() == {"small.csv"}
    server.contents = CONTENTS
    completes(server, tmp_path)


def test_a_foreign_file_under_an_official_name_is_kept(server: Server, tmp_path: Path) -> None:
    (tmp_path / "small.csv").write_bytes(b"mine")
    refused(r"small\.csv: .*move it away", tmp_path, server.url)
    assert contents(tmp_path) == {"small.csv": b"mine"}


def test_an_answer_with_other_bytes_is_refused(server: Server, tmp_path: Path) -> None:
    (tmp_path / "large.zip.part").write_bytes(LARGE[:1000])
    server.wrong_range = True
    refused("makes no sense", tmp_path, server.url)
    assert contents(tmp_path)["large.zip.part"] == LARGE[:1000]


def test_no_file_no_network_and_no_address(server: Server, tmp_path: Path) -> None:
    server.contents = {}
    refused(r"small\.csv: cannot be fetched .*404", tmp_path, server.url)
    server.shutdown()
    server.socket.close()
    refused(r"small\.csv: cannot be fetched .*see to the network", tmp_path, server.url)
    refused(r"somewhere/small\.csv: cannot be fetched", tmp_path, "somewhere")


def test_a_disk_without_room_and_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    huge = RemoteFile("huge.zip", 10**18, "0" * 64)
    refused(r"1000000000\.00 GB are needed for the download", tmp_path, server.url, [*FILES, huge])
    assert server.requests == [] and contents(tmp_path) == {}
    (tmp_path / "file").write_text("")
    refused("file/folder: cannot be written", tmp_path / "file" / "folder", server.url)


def test_a_disk_that_fills_up_is_not_the_network(server: Server, tmp_path: Path) -> None:
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    assert "cannot be written: [Errno 27]" in run(server, tmp_path, limit).stderr
    completes(server, tmp_path)
    assert server.requests[-1][1] > 0
