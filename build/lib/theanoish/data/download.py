"""Fetching the official files of MagnaTagATune."""

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from theanoish.errors import InputError
from theanoish.files import require_space

Progress = Callable[[int, int], None]  # bytes done, bytes in all


@dataclass(frozen=True)
class RemoteFile:
    """A file on the server: its name, size in bytes and SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


OFFICIAL_URL = "https://mirg.city.ac.uk/datasets/magnatagatune/"
OFFICIAL_FILES = (
    RemoteFile("annotations_final.csv", 21_517_373, "99b94e95825d4fa576386a5367b9c96e0ec636e9f9c240aceb492f4728f68c3c"),
    RemoteFile("clip_info_final.csv", 8_608_397, "cb6108a10d3a91f0bfd7d2fbec2382559d15f20c8d28093f14e12162a47a3e78"),
    RemoteFile("mp3.zip.001", 1_100_000_000, "f857fe185968773058cc71662c2ef5d8f2d4b7338e3c122cfd52f82dcb9760b9"),
    RemoteFile("mp3.zip.002", 1_100_000_000, "fc2e1ec441755556ed1398b1808f1b08b6034372f8bc27394510c0c58cdb52ce"),
    RemoteFile("mp3.zip.003", 772_769_864, "83a689824c17e82f6eb81cdbc4e4ca239a4cfc1fb41f1a5c80b861caec90450f"),
)
_CHUNK = 2**18  # bytes
_TIMEOUT = 60  # seconds without an answer
_PAUSES = (1, 2, 4, 8)  # seconds before trying again, where nothing came since the last try
_RETRIED = {408, 425, 429, 500, 502, 503, 504}  # HTTP statuses of a server that may do better later


class _DroppedError(Exception):
    """The connection failed in a way that may not last."""


def download(
    folder: Path,
    base_url: str = OFFICIAL_URL,
    files: Sequence[RemoteFile] = OFFICIAL_FILES,
    progress: Progress = lambda done, total: None,
) -> None:
    """Fetch files that are not there yet, and check each.

    What has come of an unfinished file stays as NAME.part, and the next call continues it.

    Parameters
    ----------
    folder : Path
    base_url : str
        Where the files are; their names are appended to it.
    files : sequence of RemoteFile
    progress : callable (bytes done, bytes in all), optional
        What it raises stops the download.

    Raises
    ------
    InputError
        Where there is too little space, the server cannot be reached or lacks a file, or a file is not what it should
        be. A damaged download is removed, so that the next call starts it anew.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not _is_there(folder, file)]
        require_space(folder, sum(file.size - _part_size(folder, file) for file in missing), "download")
        total = sum(file.size for file in files)
        done = total - sum(file.size for file in missing)
        for file in missing:

            def report(here: int, before: int = done) -> None:
                progress(before + here, total)

            _fetch(folder, base_url, file, report)
            done += file.size
    except OSError as error:
        raise InputError(f"{folder}: cannot be written: {error}") from error
    progress(total, total)


def _is_there(folder: Path, file: RemoteFile) -> bool:
    path = folder / file.name
    if not path.exists():
        return False
    if path.stat().st_size != file.size or _sha256(path) != file.sha256:
        raise InputError(f"{path}: is not the file that the server should hold; move it away and start again")
    return True


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _part(folder: Path, file: RemoteFile) -> Path:
    return folder / f"{file.name}.part"


def _part_size(folder: Path, file: RemoteFile) -> int:
    part = _part(folder, file)
    return min(part.stat().st_size, file.size) if part.exists() else 0


def _fetch(folder: Path, base_url: str, file: RemoteFile, report: Callable[[int], None]) -> None:
    part = _part(folder, file)
    part.touch()
    url = f"{base_url.rstrip('/')}/{file.name}"
    furthest, pauses = part.stat().st_size, iter(_PAUSES)
    while part.stat().st_size < file.size:
        try:
            _continue(part, url, file.size, report)
        except _DroppedError as error:
            if part.stat().st_size > furthest:
                furthest, pauses = part.stat().st_size, iter(_PAUSES)
            pause = next(pauses, None)
            if pause is None:
                raise InputError(f"{url}: {error}; check the network and start again to continue") from error
            time.sleep(pause)
    if part.stat().st_size > file.size or _sha256(part) != file.sha256:
        part.unlink()
        raise InputError(
            f"{folder / file.name}: what came is not the official file (its SHA-256 differs) and was removed; "
            "start again to fetch it anew"
        )
    os.replace(part, folder / file.name)


def _continue(part: Path, url: str, size: int, report: Callable[[int], None]) -> None:
    """Ask for the rest of a file once, and append to `part` what comes, at most one byte more than expected."""
    have = part.stat().st_size
    with _ask(url, have) as response:
        if response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            mode = "ab"
        elif response.status == 200:  # the whole file: the server ignores Range
            mode, have = "wb", 0
        else:
            raise InputError(f"{url}: the server's answer to a request for bytes from {have} makes no sense")
        with open(part, mode) as file:
            for chunk in _chunks(response):
                file.write(chunk[: size + 1 - have])
                have = min(have + len(chunk), size + 1)
                report(min(have, size))
                if have > size:
                    return
    if have < size:
        raise _DroppedError(f"the connection ended after {have} of {size} bytes")


def _ask(url: str, first: int) -> Any:
    headers = {"User-Agent": "theanoish"} | ({"Range": f"bytes={first}-"} if first else {})
    try:
        return urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in _RETRIED:
            raise _DroppedError(f"the server answered {error.code} {error.reason}") from error
        raise InputError(f"{url}: the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _DroppedError(f"cannot be reached ({error.reason})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(f"cannot be reached ({error})") from error
    except ValueError as error:
        raise InputError(f"{url}: is not a web address ({error})") from error


def _chunks(response: Any) -> Iterator[bytes]:
    try:
        while chunk := response.read(_CHUNK):
            yield chunk
    except (OSError, http.client.HTTPException) as error:
        raise _DroppedError(f"the connection was lost ({error})") from error
