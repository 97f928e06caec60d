"""Pictures with other chunks, sizes, bytes: they are read, or refused in one line."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from fuzzed import cases, changed, taken
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from duchenne.files import pictures

SIDE = 72
MOST_PIXELS = 1_000_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), np.uint8)


def _saved(kind: str, mode: str = "RGB", **more: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(_PIXELS).convert(mode).save(stream, kind, **more)
    return stream.getvalue()


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[274], exif[271] = 6, "camera"
    return exif


WHOLE = {
    "jpeg": _saved("JPEG", exif=_exif()), "png": _saved("PNG"), "palette": _saved("PNG", "P"),
    "alpha": _saved("PNG", "RGBA"), "grey": _saved("PNG", "L"), "gif": _saved("GIF"),
    "webp": _saved("WEBP"), "tiff": _saved("TIFF"), "bmp": _saved("BMP"),
}  # fmt: skip


def chunks(content: bytes) -> list[tuple[bytes, bytes]]:
    """The kinds and bodies of a PNG."""
    found, at = [], len(SIGNATURE)
    while at < len(content):
        (length,) = struct.unpack(">I", content[at : at + 4])
        found.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return found


def png(parts: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG with right lengths and checksums."""
    return SIGNATURE + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )


@st.composite
def chunked(draw: st.DrawFn) -> bytes:
    """A PNG whose checksums are right and whose chunks are not."""
    parts = chunks(WHOLE[draw(st.sampled_from(("png", "palette", "alpha", "grey")))])
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(parts) - 1))
        kind, body = parts[at]
        match draw(st.integers(0, 5)):
            case 0:
                parts[at] = (kind, draw(changed(body)))
            case 1:
                side = st.sampled_from((0, 1, 63, 64, 20_000, 20_001, 2**31 - 1, 2**32 - 1))
                values = (draw(side), draw(side), *draw(st.binary(min_size=5, max_size=5)))
                parts[0] = (b"IHDR", struct.pack(">II5B", *values))
            case 2:
                parts.insert(at, parts[draw(st.integers(0, len(parts) - 1))])
            case 3:
                del parts[at]
            case 4:
                name = draw(st.sampled_from((b"iCCP", b"eXIf", b"tRNS", b"gAMA", b"acTL", b"zTXt")))
                junk = draw(st.binary(max_size=64))
                parts.insert(
                    1, (name, b"x\0\0" + zlib.compress(junk) if draw(st.booleans()) else junk)
                )
            case 5:
                parts[at] = (kind, body + zlib.compress(bytes(200_000)))
        if not parts:
            break
    return png(parts)


def read(content: bytes, folder: Path) -> None:
    path = folder / "photo.png"
    path.write_bytes(content)
    photo = taken(pictures.load_photo, path, max_pixels=MOST_PIXELS)
    if photo is not None:
        height, width, channels = photo.pixels.shape
        assert photo.pixels.dtype == np.uint8
        assert channels == 3
        assert min(height, width) >= 64
        assert height * width <= MOST_PIXELS


@pytest.mark.parametrize("name", WHOLE)
@cases(40)
@given(data=st.data())
def test_changed_pictures(name: str, data: st.DataObject, tmp_path: Path) -> None:
    read(data.draw(changed(WHOLE[name])), tmp_path)


@cases(200)
@given(content=chunked())
def test_chunks(content: bytes, tmp_path: Path) -> None:
    read(content, tmp_path)
