"""What a file is, by its first bytes, whatever its name says: the pictures that are read, and what
else people give for one, with the way out.

Another format is another line of a table.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

from PIL import Image

HEAD = 512  # bytes that tell what a file is

READ = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".jpx", ".j2k", ".jpf", ".jpc"),
    "HEIF": (".heic", ".heif", ".hif"),  # with the extra `heic`
}
"""Pillow's name of a format, and the suffixes of its files. Raster formats only: Pillow would also
run Ghostscript (EPS) or render (WMF)."""
PHOTO_SUFFIXES = tuple(suffix for suffixes in READ.values() for suffix in suffixes)

_EXPORT = "save it as JPEG or PNG in the program that made it"
RAW = (
    "a camera raw file, which needs developing; export it as JPEG or TIFF with the camera's program"
)
_FILM = "a film, not a picture; give one frame of it: `ffmpeg -i FILM -frames:v 1 face.png`"
_ARCHIVE = "an archive or an office document, not a picture; take the pictures out of it first"
_HEIC = (
    "a HEIC picture, as phones take them; pip install 'duchenne[heic]' reads it, or save it as "
    "JPEG (on an iPhone: Settings, Camera, Formats, Most Compatible)"
)
_JXL = "a JPEG XL picture, which is not read; save it as JPEG or PNG (djxl PICTURE face.png)"
_AVIF = "an AVIF picture, which this build of Pillow lacks; take Pillow's wheel or save it as PNG"

_MARKS: tuple[tuple[str, tuple[tuple[int, bytes], ...]], ...] = (
    (_JXL, ((0, b"\xff\x0a"),)),
    (_JXL, ((0, b"\0\0\0\x0cJXL \r\n\x87\n"),)),
    (f"a JPEG XR picture, which is not read; {_EXPORT}", ((0, b"II\xbc"),)),
    (RAW, ((0, b"FUJIFILMCCD-RAW"),)),
    (RAW, ((0, b"IIRO"),)),  # Olympus, and the next two
    (RAW, ((0, b"IIRS"),)),
    (RAW, ((0, b"MMOR"),)),
    (RAW, ((0, b"IIU\0"),)),  # Panasonic, Leica
    (RAW, ((0, b"FOVb"),)),  # Sigma
    (RAW, ((0, b"\0MRM"),)),  # Minolta
    (RAW, ((6, b"HEAPCCDR"),)),  # Canon's first
    (f"a Photoshop document; {_EXPORT}", ((0, b"8BPS"),)),
    (f"a GIMP document; {_EXPORT}", ((0, b"gimp xcf"),)),
    (f"a Clip Studio document; {_EXPORT}", ((0, b"CSFCHUNK"),)),
    (f"an OpenEXR picture with light beyond white; {_EXPORT}", ((0, b"v/1\x01"),)),
    (f"a Radiance picture with light beyond white; {_EXPORT}", ((0, b"#?R"),)),
    (f"a DICOM picture; {_EXPORT}", ((128, b"DICM"),)),
    (f"a FITS picture; {_EXPORT}", ((0, b"SIMPLE  ="),)),
    (f"a DDS texture; {_EXPORT}", ((0, b"DDS "),)),
    (f"a QOI picture, which is not read; {_EXPORT}", ((0, b"qoif"),)),
    (f"a BPG picture, which is not read; {_EXPORT}", ((0, b"BPG\xfb"),)),
    ("an icon, not a photo; give the photo itself", ((0, b"\0\0\x01\0"),)),
    ("an icon, not a photo; give the photo itself", ((0, b"icns"),)),
    ("a PDF, not a picture; save its picture as JPEG or PNG (pdfimages -all)", ((0, b"%PDF-"),)),
    (f"a PostScript drawing, not a picture; {_EXPORT}", ((0, b"%!PS"),)),
    (f"a PostScript drawing, not a picture; {_EXPORT}", ((0, b"\xc5\xd0\xd3\xc6"),)),
    (f"a Windows metafile, not a picture; {_EXPORT}", ((0, b"\xd7\xcd\xc6\x9a"),)),
    (f"a Windows metafile, not a picture; {_EXPORT}", ((40, b" EMF"),)),
    (_FILM, ((0, b"\x1aE\xdf\xa3"),)),  # Matroska, WebM
    (_FILM, ((0, b"RIFF"), (8, b"AVI "))),
    (_FILM, ((0, b"0&\xb2u\x8ef\xcf\x11"),)),  # WMV
    (_FILM, ((0, b"FLV\x01"),)),
    (_FILM, ((0, b"\0\0\x01\xba"),)),  # MPEG program stream, and the elementary one
    (_FILM, ((0, b"\0\0\x01\xb3"),)),
    (_FILM, ((0, b"G"), (188, b"G"), (376, b"G"))),  # MPEG transport stream
    (_FILM, ((4, b"G"), (196, b"G"), (388, b"G"))),  # the same, from camcorders
    (_FILM, ((0, b"OggS"),)),
    *(
        (_FILM, ((0, b"\0"), (4, box))) for box in (b"moov", b"mdat", b"wide", b"free", b"skip")
    ),  # old .mov
    ("a sound, not a picture; give a photo", ((0, b"RIFF"), (8, b"WAVE"))),
    ("a sound, not a picture; give a photo", ((0, b"ID3"),)),
    ("a sound, not a picture; give a photo", ((0, b"fLaC"),)),
    *(
        (_ARCHIVE, ((0, mark),))
        for mark in (b"PK\x03\x04", b"Rar!", b"7z\xbc\xaf", b"\x1f\x8b", b"BZh", b"\xfd7zXZ")
    ),
    (_ARCHIVE, ((0, b"\xd0\xcf\x11\xe0"),)),
    (_ARCHIVE, ((0, b"{\\rtf"),)),
    ("a NumPy array, not a picture; save it as PNG", ((0, b"\x93NUMPY"),)),
    ("an HDF5 file, not a picture; save the picture in it as PNG", ((0, b"\x89HDF"),)),
    ("a MATLAB file, not a picture; save the picture in it as PNG", ((0, b"MATLAB"),)),
    (
        "what macOS keeps beside a file, not the picture; give the one without ._ in its name",
        ((0, b"\0\x05\x16\x07"),),
    ),
    (
        "a pointer of Git LFS, not the picture; `git lfs pull` gets that",
        ((0, b"version https://git-lfs"),),
    ),
)
# Brands of ISO media files (ISO/IEC 23008-12, annex B, and the AVIF specification).
_HEIC_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"}
_AVIF_BRANDS = {b"avif", b"avis"}


def brands(head: bytes) -> list[bytes]:
    """Of an ISO media file (HEIC, AVIF, MP4, MOV, CR3): the major brand, then the compatible ones.

    Empty for other files.
    """
    if head[4:8] != b"ftyp":
        return []
    end = min(int.from_bytes(head[:4]), len(head))
    return [head[8:12], *(head[i : i + 4] for i in range(16, end - 3, 4))]


def is_heic(head: bytes) -> bool:
    """A still picture in HEVC: HEIC, however its main brand is called."""
    named = set(brands(head))
    return bool(named & _HEIC_BRANDS) and not named & _AVIF_BRANDS


def ready_for_heic() -> bool:
    """Let Pillow read HEIC; False without the optional reader (the extra `heic`)."""
    try:
        import pillow_heif
    except ImportError:
        return False
    if "HEIF" not in Image.OPEN:  # the photo alone: neither previews nor depth maps
        pillow_heif.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return True


def readers(head: bytes) -> Iterator[tuple[str, Any]]:
    """The formats that a file may have, with Pillow's class for each."""
    Image.init()
    heic = is_heic(head)
    if heic and not ready_for_heic():
        return
    for kind in ("HEIF",) if heic else READ:  # AVIF shares brands with it
        reader, accept = Image.OPEN.get(kind, (None, None))  # None: not in this build of Pillow
        if reader is not None and (accept is None or accept(head[:16]) is True):
            yield kind, reader


def explained(head: bytes) -> str | None:
    """What a file is that cannot be read as a picture, and what to do; None if nobody knows.

    head: its first HEAD bytes.
    """
    for what, marks in _MARKS:
        if all(head.startswith(mark, place) for place, mark in marks):
            return what
    if found := brands(head):
        named = set(found)
        if found[0] == b"crx ":
            return RAW
        if named & _AVIF_BRANDS:
            return _AVIF
        return _HEIC if is_heic(head) or found[0] in (b"mif1", b"msf1") else _FILM
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if b"<svg" in text:
        return f"an SVG drawing, not a picture; {_EXPORT}"
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page, not a picture; save the picture itself from the browser"
    if head and not any(head):
        return "all zeros at its beginning, not a picture; get a whole copy"
    return None


# ---------------------------------------------------------------- camera raw in TIFF's clothes

_DIRECTORIES = 32  # that are looked into; cameras write up to six
_ENTRIES = 500  # of a directory that are looked at
_PHOTOMETRIC, _SUB_DIRECTORIES, _DNG_VERSION = 262, 330, 50706  # tags of TIFF 6, TIFF/EP and DNG
_SENSOR = {32803, 34892}  # photometric: colour filter array, linear raw


def is_raw(file: BinaryIO) -> bool:
    """Whether a TIFF is a camera's raw file: NEF, ARW, CR2, DNG, PEF and others.

    Pillow opens those as TIFF and gives the preview that is in front: a stamp of 160x120 pixels.
    """
    file.seek(0)
    head = file.read(16)
    if head[8:10] == b"CR":  # Canon, CR2
        return True
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(head[:4])
    if order is None:
        return False
    try:
        return any(
            tag == _DNG_VERSION or (tag == _PHOTOMETRIC and value in _SENSOR)
            for tag, value in _tags(file, order, struct.unpack(f"{order}I", head[4:8])[0])
        )
    except struct.error:  # it breaks off; what reads it will say so
        return False


def _tags(file: BinaryIO, order: str, first: int) -> Iterator[tuple[int, int]]:
    """Tag and first value of the entries of all directories, those below others included."""
    waiting, seen = [first], set[int]()
    while waiting and len(seen) < _DIRECTORIES:
        place = waiting.pop(0)
        if place == 0 or place in seen:
            continue
        seen.add(place)
        file.seek(place)
        (count,) = struct.unpack(f"{order}H", file.read(2))
        entries = file.read(12 * count + 4)
        waiting += struct.unpack_from(f"{order}I", entries, 12 * count)
        for i in range(0, 12 * min(count, _ENTRIES), 12):
            tag, kind, values = struct.unpack_from(f"{order}HHI", entries, i)
            (value,) = struct.unpack_from(f"{order}{'H' if kind == 3 else 'I'}", entries, i + 8)
            yield tag, value
            if tag == _SUB_DIRECTORIES and values > 1:
                file.seek(value)
                count_read = min(values, _DIRECTORIES)
                waiting += struct.unpack(f"{order}{count_read}I", file.read(4 * count_read))
            elif tag == _SUB_DIRECTORIES:
                waiting.append(value)
