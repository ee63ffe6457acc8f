"""What stands in audio files beside the sound: tags behind it, marks of encryption."""

import mmap
import os
import re
from typing import BinaryIO, Literal

# Byte order and bytes of a chunk's size, by what a file of chunks begins with.
_CHUNKS: dict[bytes, tuple[Literal["little", "big"], int]] = {
    b"RIFF": ("little", 4),
    b"RF64": ("little", 4),
    b"FORM": ("big", 4),
    b"RIFX": ("big", 4),
    b"caff": ("big", 8),
}
_SOUND = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"caff", b"data", b"SSND", b"fLaC", b"OggS")  # no tag begins so
# How encryption shows in MP4 (sample entries), ASF (two objects) and Matroska (an element and its method).
_ENCRYPTED = re.compile(
    rb"enca|drms|aavd|\xfb\xb3\x11\x22\x23\xbd\xd2\x11|\x14\xe6\x8a\x29\x22\x26\x17\x4c|\x50\x35.{1,8}\x47\xe1",
    re.DOTALL,
)
# How MP4, Opus in Ogg, True Audio and Flash begin.
_BEGINNINGS = [
    re.compile(kind, re.DOTALL) for kind in (rb"\0\0\0.ftyp", b"OpusHead", b"TTA1\1\0", rb"FLV\x01.\0\0\0\t")
]
_NOT_ZERO, _CHUNK_NAME = re.compile(rb"[^\0]"), re.compile(rb"[ -~]{4}")


def _mapped(file: BinaryIO) -> mmap.mmap:
    """A file's content; private, since disks that are read past the cache (FUSE with direct_io) share no mapping."""
    return mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def second_begin(file: BinaryIO) -> int | None:
    """Where a second file begins behind the first, of kinds of which decoders play the first without a word."""
    with _mapped(file) as content:
        for kind in _BEGINNINGS:
            if kind.search(content, 0, 64) and (second := kind.search(content, 4096)):  # several streams begin together
                return second.start()
    return None


def end_of_chunks(file: BinaryIO) -> int | None:
    """Where a WAV or AIFF ends by its header; None if that does not say, or for other files."""
    file.seek(0)
    head = file.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"FORM") or head[8:] not in (b"WAVE", b"AIFF", b"AIFC"):
        return None
    size = int.from_bytes(head[4:8], _CHUNKS[head[:4]][0])
    return 8 + size if size > 4 else None


def unread(file: BinaryIO, begin: int | None) -> int:
    """Bytes of a file from the first at or after `begin` that is no tag, chunk beside the sound, or padding."""
    size = os.fstat(file.fileno()).st_size
    if begin is None or begin >= size:
        return 0
    with _mapped(file) as content:
        order, width = _CHUNKS.get(content[:4], ("little", 4))
        end = _begin_of_tags(content)
        while found := _NOT_ZERO.search(content, begin, max(begin, end)):
            begin = found.start()
            head = content[begin : begin + 16]
            if head[:3] == b"ID3" and head[3:4] != b" ":  # with a space it is a chunk of AIFF
                length = 10 + _seven_bits(head[6:10])
            elif head[:8] == b"APETAGEX":
                length = 32 + int.from_bytes(head[12:16], "little")
            elif _CHUNK_NAME.match(head) and head[:4] not in _SOUND:
                length = 4 + width + int.from_bytes(head[4 : 4 + width], order)
            else:
                length = 0
            if not 0 < length <= size - begin:
                return size - begin
            begin += length
    return 0


def _begin_of_tags(content: mmap.mmap) -> int:
    """Where the tags at the end of a file begin, which say at their own end what they are.

    Some have no other mark, and decoders that read ahead stop inside of others.
    """
    end = len(content)
    while end > 0:
        foot = content[max(0, end - 32) : end]
        if content[end - 128 : end - 125] == b"TAG":  # ID3v1, perhaps its extension before it
            length = 355 if content[end - 355 : end - 351] == b"TAG+" else 128
        elif foot[:8] == b"APETAGEX":
            length = int.from_bytes(foot[12:16], "little")  # without its header, if it has one
        elif foot[-10:-7] == b"3DI":
            length = 20 + _seven_bits(foot[-4:])
        elif foot[-9:] in (b"LYRICS200", b"LYRICSEND"):
            length = end - max(content.rfind(b"LYRICSBEGIN", 0, end), 0)
        else:
            break
        if not 0 < length < end:
            break
        end -= length
    return end


def _seven_bits(number: bytes) -> int:
    """A size as ID3v2 writes it."""
    return sum((byte & 127) << shift for byte, shift in zip(number, (21, 14, 7, 0), strict=False))


def is_encrypted(file: BinaryIO) -> bool:
    """Whether a file bears a mark of encryption; damaged ones may by chance."""
    with _mapped(file) as content:
        return _ENCRYPTED.search(content) is not None
