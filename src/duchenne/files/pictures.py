"""Pictures in and out: the only code that turns floats into bytes, and files into pixels.

Files are read with Pillow behind limits that are checked on the header, and written atomically with
a machine-readable mark that says they are synthetic.
"""

from __future__ import annotations

import io
import logging
import mmap
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile, ImageOps, PngImagePlugin

from ..errors import InputError, OutputError
from ..types import Photo, Pixels
from . import kinds
from .transparency import is_transparent, over_white, photo_of
from .writing import followed, replacing, reporting_disk_errors

log = logging.getLogger(__name__)

MAX_PIXELS = 100_000_000  # beyond the largest phone and studio cameras; 300 MB decoded
MAX_SIDE = 20_000
MIN_SIDE = 64  # below the smallest face the detector finds
STILLS = (".png", ".jpg", ".webp")  # a choice among formats offers these
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")  # that are written
TRANSPARENT_SUFFIXES = (".png", ".webp")  # of these
# Of zlib, 1 to 9: a photo takes an eighth more room than with 6 and a quarter of its time, which
# for 22 megapixels is longer than everything else.
PNG_EFFORT = 1


# ---------------------------------------------------------------- floats and bytes


def to_uint8(x: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Network range to bytes: -1, 0, 1 become 0, 128, 255; beyond is clipped; same shape.

    x: float, any shape, without NaN. Each byte owns an equal share of [-1, 1]: the value is scaled
    by 127.5 around 127.5 and rounded half up.
    """
    scaled = x * np.float32(127.5)
    scaled += np.float32(128.0)  # 127.5 + the 0.5 that makes truncation round half up
    assert not np.isnan(scaled.min(initial=0.0)), "NaN among the pixels"
    return np.clip(scaled, 0.0, 255.0, out=scaled).astype(np.uint8)


def to_float(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes to network range: 0 and 255 become -1 and 1; to_uint8(to_float(p)) is p."""
    assert pixels.dtype == np.uint8, f"uint8 pixels expected, not {pixels.dtype}"
    return pixels.astype(np.float32) / np.float32(127.5) - np.float32(1.0)


def from_planes(planes: NDArray[np.floating[Any]]) -> Pixels:
    """A network's picture, float [3, H, W] in [-1, 1], to contiguous uint8 [H, W, 3]."""
    assert planes.shape == (3, *planes.shape[-2:]), f"[3, H, W] expected, not {planes.shape}"
    return np.ascontiguousarray(to_uint8(planes).transpose(1, 2, 0))


def to_planes(pixels: Pixels) -> NDArray[np.float32]:
    """uint8 [H, W, 3] to a network's contiguous float32 [3, H, W] in [-1, 1]."""
    assert pixels.shape == (*pixels.shape[:2], 3), f"[H, W, 3] expected, not {pixels.shape}"
    return to_float(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


# ---------------------------------------------------------------- reading

# warnings.catch_warnings changes the whole process: one thread at a time may do it.
_DECODING = threading.Lock()


def load_photo(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Photo:
    """Decode a picture file to upright sRGB.

    EXIF orientation is applied; an embedded colour profile is converted to sRGB; 16-bit samples
    are scaled, not clipped; transparency is kept beside the pixels (`Photo.rgba`), which are laid
    over white, as viewers show it; of an animation the first frame is taken, with a logged warning.
    Raises InputError, with the file's name, for everything that is not a picture of 64x64 to
    max_pixels (no side above 20,000).
    """
    path = Path(path)
    with _reading(path) as file, _DECODING, warnings.catch_warnings():
        # Ours are the limits and the messages; Pillow's warnings (large, odd metadata) add nothing.
        warnings.simplefilter("ignore")
        kind, image = _open_header(file, path)
        _check_size(image.size, path, max_pixels)
        if kind != "JPEG" and getattr(image, "is_animated", False):
            # (A JPEG with more pictures holds a phone's preview or depth map, not a film.)
            log.warning("%s: has several frames or pages; only the first is used", path)
        try:
            image.load()
            return photo_of(_srgb(_upright(image, path), path), str(path))
        except InputError:
            raise
        except Exception as error:  # the format plugins raise whatever their parsing trips over
            raise InputError(
                f"{path}: a damaged or truncated {kind} file ({error}); get a whole copy"
            ) from error


def as_photo(source: str | os.PathLike[str] | Pixels | Image.Image | Photo) -> Photo:
    """A photo as `load_photo` gives it; InputError for an array not uint8 [H, W, 3 or 4]."""
    if isinstance(source, Photo):
        return source
    if isinstance(source, Image.Image):
        name = Path(getattr(source, "filename", "") or "picture")
        return photo_of(_srgb(_upright(source, name), name), str(name))
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] not in (3, 4):
            raise InputError(
                f"an array {source.dtype} {source.shape}: expected uint8 [H, W, 3] or [H, W, 4]"
            )
        return photo_of(source, "photo")
    return load_photo(source)


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """The open file, or the InputError that says why there is none."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give a file")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is not a regular file; give the path of one")
        file = path.open("rb")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except PermissionError:
        raise InputError(f"{path}: may not be read; change its permissions") from None
    except (OSError, ValueError) as error:  # a name too long, a null byte
        raise InputError(f"{path}: cannot be opened ({error})") from None
    with file:
        yield file


def _open_header(file: BinaryIO, path: Path) -> tuple[str, ImageFile.ImageFile]:
    """What Image.open does, but with our limits instead of its own: nothing is decoded yet."""
    head = file.read(kinds.HEAD)
    if not head:
        raise InputError(f"{path}: is empty (0 bytes); get a whole copy")
    for kind, factory in kinds.readers(head):
        if kind == "TIFF" and kinds.is_raw(file):
            raise InputError(f"{path}: is {kinds.RAW}")
        file.seek(0)
        try:
            return kind, factory(file, str(path))
        except Exception as error:  # see load_photo
            raise InputError(
                f"{path}: begins like a {kind} file but cannot be read ({error}); get a whole copy"
            ) from error
    if what := kinds.explained(head):
        raise InputError(f"{path}: is {what}")
    raise InputError(f"{path}: not a picture; expected JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF")


def _check_size(size: tuple[int, int], path: Path, max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels or max(size) > MAX_SIDE:
        raise InputError(
            f"{path}: {width}x{height} pixels is too large; at most "
            f"{max_pixels // 1_000_000} megapixels and {MAX_SIDE} a side; scale it down"
        )
    if min(size) < MIN_SIDE:
        raise InputError(
            f"{path}: {width}x{height} pixels is too small; at least {MIN_SIDE}x{MIN_SIDE}"
        )


def _upright(image: Image.Image, path: Path) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception as error:  # a photo is worth more than its broken metadata
        log.warning("%s: unreadable EXIF (%s); its orientation is ignored", path, error)
        return image


def _srgb(image: Image.Image, path: Path) -> Pixels:
    """Any mode that Pillow decodes to uint8 [H, W, 3] sRGB, or [H, W, 4] with its transparency."""
    profile = image.info.get("icc_profile")
    if image.mode.startswith("I"):
        image = _grey16_to_8(image, path)
    elif image.mode == "F":
        raise InputError(f"{path}: floating-point pixels; save it with 8 or 16 bits a channel")
    if image.mode == "1":
        image = image.convert("L")
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("L", "LA") else "RGBA")
        alpha = np.asarray(image.getchannel("A"))
        image = image.convert(image.mode[:-1])  # the colours alone, those that nobody sees too
    elif image.mode == "P":
        image = image.convert("RGB")
    if profile:
        image = _convert_profile(image, profile, path)
    colours = np.array(image.convert("RGB"))  # a writable copy of our own
    return colours if alpha is None else np.dstack([colours, alpha])


def _grey16_to_8(image: Image.Image, path: Path) -> Image.Image:
    """Modes I;16* and I (how Pillow holds 16-bit grey) to L, rounded to nearest."""
    values = np.asarray(image, dtype=np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise InputError(f"{path}: 32-bit grey pixels; save it with 8 or 16 bits a channel")
    return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))


def _convert_profile(image: Image.Image, profile: bytes, path: Path) -> Image.Image:
    """From the embedded ICC profile to sRGB; a profile that does not fit is ignored, and said."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(source):
            return image  # converting would only add rounding
        converted = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError) as error:
        log.warning("%s: unusable colour profile (%s); taken as sRGB", path, error)
        return image
    assert converted is not None  # only in-place conversion returns None
    return converted


# ---------------------------------------------------------------- the synthetic mark


_SOURCE_TYPE = re.compile(rb"http://cv\.iptc\.org/newscodes/digitalsourcetype/[A-Za-z]+")


class SourceType(StrEnum):
    """IPTC digital source types (cv.iptc.org/newscodes/digitalsourcetype) that apply here."""

    GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    """Every pixel comes from the generator: a sampled face, an aligned crop rendered anew."""
    EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
    """A photo whose pixels were moved, or into which a rendered face was put back."""


def xmp_packet(source: SourceType) -> bytes:
    """The XMP packet (ISO 16684-1) that declares the digital source type."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about=""'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
        ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        "<xmp:CreatorTool>duchenne</xmp:CreatorTool>"
        f"<Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def read_synthetic_mark(path: str | os.PathLike[str]) -> str | None:
    """The IPTC digital source type that a picture or video declares, or None.

    XMP is stored uncompressed just so that it can be found by scanning a file of any format
    (ISO 16684-1, packet scanning); this reads every format that the library writes. Compares equal
    to a SourceType. Raises InputError if the file cannot be read.
    """
    with _reading(Path(path)) as file:
        if os.fstat(file.fileno()).st_size == 0:
            return None  # mmap refuses an empty file
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            mark = _SOURCE_TYPE.search(content)
            return mark.group().decode("ascii") if mark else None


# ---------------------------------------------------------------- writing


def check_writable(path: str | os.PathLike[str], suffixes: Iterable[str] = IMAGE_SUFFIXES) -> None:
    """Raise OutputError unless `path` names a file that can be written; call it before long work.

    Looks at the suffix, at the folder and at whether a file can really be made there. An existing
    file is fine: it will be replaced. So is a link: the file that it names will be.
    """
    path = Path(path)
    suffixes = tuple(suffixes)
    if path.suffix.lower() not in suffixes:
        raise OutputError(f"{path}: unknown kind of output; use {', '.join(suffixes)}")
    with reporting_disk_errors(path):  # a name too long is one
        end = followed(path)
        if end.is_dir():
            raise OutputError(f"{path}: is a folder; give a file name")
        if not end.parent.is_dir():
            raise OutputError(f"{path}: there is no folder {end.parent}; create it first")
        if end.exists() and not end.is_file():
            raise OutputError(f"{path}: is not a regular file; give another name")
        with tempfile.TemporaryFile(dir=end.parent):
            pass  # a trial is the only sure test: permissions do not tell of read-only disks


def save_image(
    pixels: Pixels,
    path: str | os.PathLike[str],
    *,
    source: SourceType | None = SourceType.GENERATED,
) -> None:
    """Write uint8 [H, W, 3] as PNG (lossless), JPEG (quality 95, 4:4:4) or WebP (quality 95).

    pixels: or [H, W, 4], straight RGBA, which a JPEG shows over white, with a logged warning.
    source: the synthetic mark; None only for pixels of the photo itself. The same pixels give the
    same bytes. The file appears whole or not at all. Raises OutputError.
    """
    path = Path(path)
    check_writable(path)
    suffix = path.suffix.lower()
    if is_transparent(pixels) and suffix not in TRANSPARENT_SUFFIXES:
        log.warning(
            "%s: %s has no transparency, so it is laid over white; %s keep it",
            *(path, suffix, " and ".join(TRANSPARENT_SUFFIXES)),
        )
    with replacing(path) as temporary, reporting_disk_errors(path):
        _write(pixels, suffix, source, temporary)


def image_bytes(
    pixels: Pixels, suffix: str, *, source: SourceType | None = SourceType.GENERATED
) -> bytes:
    """The content of the file that `save_image` would write, for pictures that go elsewhere.

    suffix: one of IMAGE_SUFFIXES.
    """
    stream = io.BytesIO()
    _write(pixels, suffix, source, stream)
    return stream.getvalue()


def _write(pixels: Pixels, suffix: str, source: SourceType | None, target: Path | BinaryIO) -> None:
    assert suffix in IMAGE_SUFFIXES, f"one of {IMAGE_SUFFIXES}, not {suffix}"
    assert pixels.dtype == np.uint8, f"uint8 pixels expected, not {pixels.dtype}"
    assert pixels.shape[2:] in ((3,), (4,)), f"[H, W, 3 or 4] expected, not {pixels.shape}"
    if suffix not in TRANSPARENT_SUFFIXES:
        pixels = over_white(pixels)
    kind, options = _format(suffix, source)
    Image.fromarray(pixels).save(target, kind, **options)


def _format(suffix: str, source: SourceType | None) -> tuple[str, dict[str, Any]]:
    """Pillow's name of the format of a suffix, and its options, the synthetic mark among them."""
    xmp = xmp_packet(source) if source is not None else b""
    match suffix:
        case ".png":
            text = PngImagePlugin.PngInfo()
            if xmp:
                text.add_itxt("XML:com.adobe.xmp", xmp.decode())
            return "PNG", {"pnginfo": text, "compress_level": PNG_EFFORT}
        case ".webp":
            return "WEBP", {"quality": 95, "xmp": xmp}
        case _:
            options: dict[str, Any] = {"quality": 95, "subsampling": 0}
            return "JPEG", {**options, "xmp": xmp} if xmp else options
