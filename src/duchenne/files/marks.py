"""The synthetic mark in films: IPTC's digital source type, in XMP where each format has room.

Pictures get theirs in `pictures`.
"""

from __future__ import annotations

import os
import shutil
import struct
import tempfile
import uuid
import zlib
from pathlib import Path

import av

from ..errors import OutputError
from .names import for_ffmpeg
from .pictures import SourceType, read_synthetic_mark, xmp_packet

_XMP_BOX = uuid.UUID("be7acfcb-97a9-42e8-9c71-999491e3afac").bytes  # XMP specification, part 3


def mark_mp4(path: Path, source: SourceType) -> None:
    """A top-level uuid box at the end: no offset in the file changes."""
    xmp = xmp_packet(source)
    with path.open("ab") as file:
        file.write(struct.pack(">I4s16s", 24 + len(xmp), b"uuid", _XMP_BOX) + xmp)


def mark_gif(path: Path, source: SourceType) -> None:
    """An application extension before the first picture, behind the one that asks for a loop.

    The packet is not cut into sub-blocks: readers that walk them are led out of it by the 258
    bytes of the "magic trailer" (XMP specification, part 3).
    """
    leave = b"\x01" + bytes(range(255, -1, -1)) + b"\x00"
    with path.open("rb") as file:
        head = file.read(13 + 3 * 256 + 19)  # screen descriptor, largest palette, loop extension
    palette = 3 << ((head[10] & 7) + 1) if head[10] & 0x80 else 0
    at = 13 + palette
    if head[at : at + 14] == b"\x21\xff\x0bNETSCAPE2.0":
        at += 19
    _insert(path, at, b"\x21\xff\x0bXMP DataXMP" + xmp_packet(source) + leave)


def mark_apng(path: Path, source: SourceType) -> None:
    """An iTXt chunk behind the header, where readers that stop at the pixels still find it."""
    body = b"iTXtXML:com.adobe.xmp\0\0\0\0\0" + xmp_packet(source)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    _insert(path, 8 + 25, chunk)  # signature and IHDR


def mark_webp(path: Path, source: SourceType) -> None:
    """An "XMP " chunk at the end and its flag in VP8X (WebP container specification)."""
    with path.open("rb") as file:
        head = file.read(30)
    if head[12:16] != b"VP8X":  # libwebp writes a film of one frame as a plain picture
        with av.open(for_ffmpeg(path)) as picture:
            width, height = picture.streams.video[0].width, picture.streams.video[0].height
        sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        _insert(path, 12, b"VP8X" + struct.pack("<I4x", 10) + sides)
    xmp = xmp_packet(source)
    with path.open("r+b") as file:
        file.seek(20)
        flags = file.read(1)[0] | 0x04
        file.seek(20)
        file.write(bytes([flags]))
        file.seek(0, os.SEEK_END)
        file.write(b"XMP " + struct.pack("<I", len(xmp)) + xmp + b"\0" * (len(xmp) % 2))
        riff_size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", riff_size))


def _insert(path: Path, offset: int, content: bytes) -> None:
    """Put bytes into a file, without reading all of it into memory."""
    with path.open("rb") as old, tempfile.TemporaryFile(dir=path.parent) as rest:
        old.seek(offset)
        shutil.copyfileobj(old, rest)
        rest.seek(0)
        with path.open("r+b") as new:
            new.seek(offset)
            new.write(content)
            shutil.copyfileobj(rest, new)


def require_mark(path: Path, source: SourceType) -> None:
    """For containers without room for XMP: their comment, written with the frames, is the mark."""
    if read_synthetic_mark(path) != source:
        raise OutputError(f"{path}: the film does not say that it is synthetic; it is not written")
