"""The members of PyTorch's zip archives, in place: stored, checked, never unpacked."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib

from ...errors import WeightsError

MAX_MEMBERS = 100_000
MAX_DIRECTORY = 64 << 20  # bytes that name them


class _File(io.RawIOBase):
    """The bytes as a file for `zipfile`, uncopied.

    It reads an archive's directory at once: here its length and its members are bounded, before
    anything is made of each.
    """

    def __init__(self, view: memoryview) -> None:
        self._view, self._position = view, 0

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = (0, self._position, len(self._view))[whence]
        if start + offset < 0:
            raise OSError("a place before the beginning")
        self._position = start + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        end = len(self._view) if size is None or size < 0 else self._position + size
        part = self._view[self._position : end]
        if len(part) > MAX_DIRECTORY or (piece := bytes(part)).count(b"PK\x01\x02") > MAX_MEMBERS:
            raise WeightsError(f"a zip archive with more than {MAX_MEMBERS} members")
        self._position += len(piece)
        return piece


def members(view: memoryview) -> dict[str, memoryview]:
    """Name to bytes of every member, in place. Refuses compression, overlaps, bad checksums."""
    try:
        with zipfile.ZipFile(_File(view)) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, struct.error) as error:
        raise WeightsError(f"damaged or truncated zip archive: {error}") from None
    found: dict[str, memoryview] = {}
    left = len(view)
    for entry in entries:
        name = entry.filename
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise WeightsError(f"compressed member {name!a}: PyTorch stores, it never compresses")
        left -= entry.file_size
        if left < 0:
            raise WeightsError("a zip archive that claims more bytes than the file has")
        if name in found:
            raise WeightsError(f"two members with the name {name!a}")
        head = bytes(view[entry.header_offset : entry.header_offset + 30])
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise WeightsError(f"damaged zip archive: no header for {name!a}")
        start = entry.header_offset + 30 + sum(struct.unpack("<HH", head[26:30]))
        data = view[start : start + entry.file_size]
        if len(data) != entry.file_size or zlib.crc32(data) != entry.CRC:
            raise WeightsError(f"damaged: the checksum of {name!a} does not match")
        found[name] = data
    return found
