"""Fetching the official files of MagnaTagATune."""

import hashlib
import http.client
import os
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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


def download(
    folder: Path,
    base_url: str = OFFICIAL_URL,
    files: Sequence[RemoteFile] = OFFICIAL_FILES,
    progress: Progress = lambda done, total: None,
) -> None:
    """Fetch files that are not there yet, and check each.

    What has come of an unfinished file stays as NAME.part, and the next call continues it. A damaged download is
    removed, so that the next call starts it anew.

    Parameters
    ----------
    base_url : str
        Where the files are; their names are appended to it.
    progress : callable (bytes done, bytes in all), optional
        What it raises stops the download.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        missing = [file for file in files if not _is_there(folder, file)]
        parts = [part for file in missing if (part := _part(folder, file)).exists()]
        require_space(folder, sum(f.size for f in missing) - sum(p.stat().st_size for p in parts), "download")
        total = sum(file.size for file in files)
        done = total - sum(file.size for file in missing)
        for file in missing:
            for here in _fetched(folder, f"{base_url.rstrip('/')}/{file.name}", file):
                progress(done + here, total)
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


def _fetched(folder: Path, url: str, file: RemoteFile) -> Iterator[int]:
    """Fetch what is missing of a file; yield how many bytes of it are there."""
    part = _part(folder, file)
    with open(part, "ab") as target:
        have = target.tell()
        if have < file.size:
            for place, chunk in _received(url, have):
                if place == 0:
                    target.truncate(0)
                target.write(chunk)
                have = place + len(chunk)
                yield min(have, file.size)
                if have > file.size:
                    break
    if have < file.size:
        raise InputError(f"{url}: the connection ended after {have} of {file.size} bytes; start again to continue")
    if have > file.size or _sha256(part) != file.sha256:
        part.unlink()
        raise InputError(
            f"{folder / file.name}: what came is not the official file (its SHA-256 differs) and was removed; "
            "start again to fetch it anew"
        )
    os.replace(part, folder / file.name)


def _received(url: str, first: int) -> Iterator[tuple[int, bytes]]:
    """What the server sends of a file from the byte `first` on, or of all where it knows no ranges: places and bytes.

    Apart from the writing, so that errors of the network and of the disk are not confused.
    """
    headers = {"User-Agent": "theanoish"} | ({"Range": f"bytes={first}-"} if first else {})
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
            place = first if response.status == 206 else 0
            if place and not response.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
                raise ValueError(f"its answer to a request for bytes from {first} makes no sense")
            while chunk := response.read(_CHUNK):
                yield place, chunk
                place += len(chunk)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise InputError(
            f"{url}: cannot be fetched ({error}); see to the network and start again to continue"
        ) from error
