"""Nothing asked, nothing changed: a photo of any kind comes out as it went in, without its data."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from command_line import done
from PIL import Image, ImageCms

from duchenne.files import pictures
from duchenne.files.film_formats import FORMATS
from duchenne.types import Pixels

pytestmark = pytest.mark.usefixtures("tiny_studio")

# Display P3's primaries, adapted to D50, as in its ICC profile; sRGB's are in Pillow's.
P3 = {"rXYZ": (0.51512, 0.24120, -0.00105), "gXYZ": (0.29198, 0.69225, 0.04189),
      "bXYZ": (0.15710, 0.06657, 0.78407)}  # fmt: skip


def tags(profile: bytes) -> dict[str, int]:
    """Where the body of each tag of an ICC profile begins."""
    (count,) = struct.unpack_from(">I", profile, 128)
    entries = (struct.unpack_from(">4sII", profile, 132 + 12 * i) for i in range(count))
    return {name.decode(): at for name, at, _ in entries}


def display_p3() -> bytes:
    """sRGB's curve with the primaries of Display P3."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    at = tags(profile)
    for name, colour in P3.items():
        struct.pack_into(">3i", profile, at[name] + 8, *(round(v * 65536) for v in colour))
    return bytes(profile.replace("sRGB".encode("utf-16-be"), "P3  ".encode("utf-16-be")))


def p3_to_srgb(pixels: Pixels) -> np.ndarray:
    """By the formulas."""
    value = pixels / 255
    light = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    at = tags(profile)
    srgb = np.array([struct.unpack_from(">3i", profile, at[name] + 8) for name in P3]) / 65536
    light = np.clip(light @ np.array(list(P3.values())) @ np.linalg.inv(srgb), 0, 1)
    return 255 * np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)


def edited(path: str) -> Pixels:
    """[H, W, 3 or 4], what `edit` makes of a photo of which nothing is asked."""
    done("edit", path, "--au", "AU12=0", "-o", "out.png")
    with Image.open("out.png") as image:
        return np.array(image)


def alpha() -> np.ndarray:
    ramp = np.linspace(0, 255, 512).round().astype(np.uint8)
    return np.broadcast_to(ramp, (512, 512))


def clear(picture: Image.Image) -> Image.Image:
    picture = picture.copy()
    picture.putalpha(Image.fromarray(alpha()))
    return picture


KINDS: dict[str, Callable[[Image.Image], tuple[Image.Image, dict]]] = {
    "colour.jpg": lambda photo: (photo, {"quality": 90}),
    "colour.png": lambda photo: (photo, {}),
    "colour.webp": lambda photo: (photo, {"lossless": True}),
    "grey.png": lambda photo: (photo.convert("L"), {}),
    "grey.jpg": lambda photo: (photo.convert("L"), {}),
    "grey_alpha.png": lambda photo: (clear(photo.convert("L")), {}),
    "alpha.png": lambda photo: (clear(photo), {}),
    "alpha.webp": lambda photo: (clear(photo), {"lossless": True, "exact": True}),
    "palette.png": lambda photo: (photo.quantize(200), {}),
    "palette_clear.png": lambda photo: (photo.quantize(200), {"transparency": 7}),
    "palette_alpha.png": lambda photo: (
        photo.quantize(200), {"transparency": bytes(range(200))}
    ),
    "one_colour_clear.png": lambda photo: (photo, {"transparency": photo.getpixel((9, 9))}),
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_photo(name: str, folder: Path, astronaut: np.ndarray) -> None:
    picture, options = KINDS[name](Image.fromarray(astronaut))
    picture.save(name, **options)
    with Image.open(name) as image:  # as Pillow reads it
        wanted = np.array(image.convert("RGBA" if image.has_transparency_data else "RGB"))
    got = edited(name)
    assert got.shape[2] == (4 if "alpha" in name or "clear" in name else 3)
    assert np.array_equal(got, wanted)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_16_bits(channels: int, folder: Path, astronaut: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (512, 512, 1), np.uint16)
    deep = np.dstack([astronaut, alpha()]).astype(np.uint16)[..., :channels] * 256 + noise
    cv2.imwrite("deep.png", deep[..., [0, 1, 2, 3][:channels]][..., ::-1] if channels == 3
                else (deep[..., [2, 1, 0, 3]] if channels == 4 else deep))  # fmt: skip
    got = edited("deep.png")
    if channels == 1:
        wanted = np.floor(deep / 65535 * 255 + 0.5).repeat(3, axis=2)
        assert np.array_equal(got, wanted)
        return
    assert got.shape[2] == channels
    with Image.open("deep.png") as image:
        assert np.array_equal(got, np.array(image.convert("RGBA" if channels == 4 else "RGB")))
    assert np.abs(got - deep / 257).max() < 1.01  # Pillow has 8 bits of these, cut off


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_on_its_side(orientation: int, folder: Path, astronaut: np.ndarray) -> None:
    turn = {3: 2, 6: 1, 8: -1}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(astronaut, turn)))
    stored.save("turned.png", exif=exif)
    assert np.array_equal(edited("turned.png"), astronaut)
    stored.save("turned.jpg", exif=exif, quality=95)
    with Image.open("turned.jpg") as image:
        assert np.array_equal(edited("turned.jpg"), np.rot90(np.array(image), -turn))
        assert image.getexif()[0x0112] == orientation


@pytest.mark.parametrize("transparent", [False, True])
def test_a_profile_is_converted(transparent: bool, folder: Path, astronaut: np.ndarray) -> None:
    picture = Image.fromarray(astronaut)
    picture = clear(picture) if transparent else picture
    picture.save("p3.png", icc_profile=display_p3())
    got = edited("p3.png")
    assert np.array_equal(got[..., 3:], np.array(picture)[..., 3:])
    assert np.abs(got[..., :3] - p3_to_srgb(astronaut)).max() < 2.5  # dark steps of the curve
    assert np.abs(got[..., :3].astype(int) - astronaut).max() > 10
    with Image.open("out.png") as image:
        assert "icc_profile" not in image.info


def test_24_megapixels(folder: Path, astronaut: np.ndarray) -> None:
    large = astronaut.repeat(8, axis=0).repeat(12, axis=1)[:4000, :6000]
    Image.fromarray(large).save("large.jpg", quality=90)
    with Image.open("large.jpg") as image:
        assert np.array_equal(edited("large.jpg"), np.array(image))


def test_place_device_and_notes_are_left_behind(folder: Path, astronaut: np.ndarray) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = "SecretMaker", "SecretModel"
    exif[0x013B], exif[0x9286] = "SecretArtist", b"ASCII\0\0\0SecretComment"
    exif.get_ifd(0x8769)[0x927C] = b"SecretMakerNote"
    exif.get_ifd(0x8769)[0xA431] = "SecretSerial"
    exif.get_ifd(0x8825)[1], exif.get_ifd(0x8825)[2] = "N", (48.0, 12.0, 5.0)
    exif.get_ifd(0x8825)[29] = "SecretDate"
    Image.fromarray(astronaut).save(
        "in.jpg", exif=exif, xmp=b"<x>SecretXmp</x>", comment=b"SecretJpegComment"
    )
    with Image.open("in.jpg") as image:
        assert image.getexif().get_ifd(0x8825)[29] == "SecretDate"
    for name in ("out.png", "out.jpg", "out.webp"):
        done("edit", "in.jpg", "--au", "AU12=1", "-o", name)
        with Image.open(name) as image:
            assert not image.getexif()
    for suffix in FORMATS:
        done("animate", "in.jpg", "--au", "AU12=1", "--frames", "2", "-o", f"out{suffix}")
    done("animate", "in.jpg", "--au", "AU12=1", "--frames", "2", "-o", "frames/")
    done("encode", "in.jpg", "--steps", "1", "-o", "code.safetensors")
    files = [*Path().glob("out.*"), *Path().glob("frames/*"), Path("code.safetensors")]
    assert len(files) == 3 + len(FORMATS) - 1 + 1 + 2 + 1  # webp is both; a table of the film
    for path in files:
        assert b"Secret" not in path.read_bytes(), path
        assert b"Exif\0\0" not in path.read_bytes(), path


SEPIA = np.array([1.0, 0.82, 0.6])


def toned(astronaut: np.ndarray, colour: np.ndarray) -> Pixels:
    grey = np.asarray(Image.fromarray(astronaut).convert("L"), float)
    return np.rint(grey[..., None] * colour).astype(np.uint8)


def off_tone(picture: Pixels, colour: np.ndarray) -> float:
    """The most grey levels by which a pixel is off the line of its tone."""
    luma = picture @ colour / (colour @ colour)
    return float(np.abs(picture - luma[..., None] * colour).max())


@pytest.mark.parametrize("extra", [(), ("--crop",)])
def test_a_grey_photo_stays_grey_and_sepia_sepia(
    extra: tuple[str, ...], folder: Path, astronaut: np.ndarray
) -> None:
    for colour, most in ((np.ones(3), 1.5), (SEPIA, 4)):  # 3 levels apart are 1.5 off
        Image.fromarray(toned(astronaut, colour)).save("in.png")
        for wish in ("AU12=1,AU26=1", "AU1=1,AU4=1,AU5=1"):
            done("edit", "in.png", "--au", wish, *extra, "-o", "out.png")
            out = pictures.load_photo("out.png").pixels
            assert (not extra) == (out.shape == astronaut.shape)
            assert off_tone(out, colour) <= most
