"""Unpacking MagnaTagATune's clips from the parts of their archive."""

import io
import lzma
import os
import re
import shutil
import struct
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from theanoish.data.download import Progress
from theanoish.errors import InputError
from theanoish.files import require_space

_DAMAGE = (  # what zipfile and its decompressors raise about one
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip
_CLIP = re.compile(r"(mp3/)?[0-9a-f]/[^/\\]+\.mp3")  # none leads out of the folder


class _JoinedFiles(io.RawIOBase):
    """Several files read as one, so that the parts of an archive need no second copy on disk."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._files = [open(path, "rb", buffering=0) for path in paths]  # noqa: SIM115 (closed by close)
        *self._starts, self._size = accumulate((path.stat().st_size for path in paths), initial=0)
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, origin + offset)
        return self._position

    def readinto(self, buffer: Any) -> int:
        number = bisect_right(self._starts, self._position) - 1
        self._files[number].seek(self._position - self._starts[number])
        count = self._files[number].readinto(buffer)
        self._position += count
        return count

    def close(self) -> None:
        for file in self._files:
            file.close()
        super().close()


def join_and_unpack(folder: Path, progress: Progress = lambda done, total: None) -> None:
    """Unpack the clips of ``mp3.zip.001``, ``.002``, ... or of ``mp3.zip`` into folders beside them.

    The parts together are one zip file. Clips that are there already, with the right contents, are left as they are.
    What `progress`, called with the bytes done and all bytes, raises stops the work; the next call continues.
    """
    parts = _parts(folder)
    try:
        with io.BufferedReader(_JoinedFiles(parts), 2**16) as joined, zipfile.ZipFile(joined) as archive:
            clips = [info for info in archive.infolist() if _CLIP.fullmatch(info.filename)]
            if not clips:
                raise zipfile.BadZipFile("it holds no folders 0 to f of clips")
            for info in clips:  # before room is asked for them: MP3 is compressed already, so such a size is damage
                if info.file_size > 1000 * info.compress_size:
                    raise zipfile.BadZipFile(f"{info.filename}: {info.file_size} bytes in {info.compress_size}")
            missing = [info for info in clips if not (folder / info.filename).exists()]
            require_space(folder, sum(info.file_size for info in missing), "clips")
            total, done = sum(info.file_size for info in clips), 0
            for info in clips:
                if not _is_unpacked(folder / info.filename, info):
                    _unpack_one(folder, archive, info)
                done += info.file_size
                progress(done, total)
    except (*_DAMAGE, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # bz2 raises one without a number
            raise InputError(f"{folder}: cannot be unpacked: {error}") from error
        raise InputError(
            f"{parts[0]} and the parts after it: damaged or incomplete ({error}); remove them and fetch them again "
            "with --download"
        ) from error


def _parts(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("mp3.zip.[0-9][0-9][0-9]"))
    if not paths and (folder / "mp3.zip").exists():
        return [folder / "mp3.zip"]
    for number in range(1, max(len(paths), 1) + 1):
        if (part := folder / f"mp3.zip.{number:03}") not in paths:
            raise InputError(f"{part}: no such file; fetch it with --download")
    return paths


def _is_unpacked(path: Path, info: zipfile.ZipInfo) -> bool:
    return path.is_file() and path.stat().st_size == info.file_size and zlib.crc32(path.read_bytes()) == info.CRC


def _unpack_one(folder: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> None:
    beside = folder / "unpacking.partial"  # not in its name, which may be as long as names can be
    try:
        with archive.open(info) as packed, open(beside, "wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        (folder / info.filename).parent.mkdir(parents=True, exist_ok=True)
        os.replace(beside, folder / info.filename)
    finally:
        beside.unlink(missing_ok=True)
