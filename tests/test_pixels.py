"""Pictures in and out, every bad input one by one."""

import io
import logging
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from refusal import refusal

from duchenne.errors import InputError, OutputError
from duchenne.files import pictures, sheets, writing
from duchenne.files.pictures import SourceType, load_photo, read_synthetic_mark, save_image

RED, GREEN = (200, 40, 30), (20, 180, 60)


def quarters(height=96, width=80):
    """Top left quarter green on red: any flip or rotation shows."""
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = RED
    picture[: height // 2, : width // 2] = GREEN
    return picture


def saved(tmp_path, name, image, **options):
    path = tmp_path / name
    image.save(path, **options)
    return path


def refused(path, *words):
    """load_photo raises one clear line that names the file."""
    message = refusal(InputError, load_photo, path)  # (warnings are errors in all tests)
    assert message.startswith(str(path))
    for word in words:
        assert word in message
    return message


# ---------------------------------------------------------------- floats and bytes


def test_the_three_anchors_and_clipping():
    x = np.array([-1.0, 0.0, 1.0, -3.0, 7.0, np.inf, -np.inf], np.float32)
    assert pictures.to_uint8(x).tolist() == [0, 128, 255, 0, 255, 255, 0]


def test_every_byte_survives_the_round_trip():
    every = np.arange(256, dtype=np.uint8)
    there = pictures.to_float(every)
    assert there.dtype == np.float32
    assert there[0] == -1.0
    assert there[255] == 1.0
    assert (pictures.to_uint8(there) == every).all()


def test_the_argument_is_not_changed():
    x = np.zeros(5, np.float32)
    pictures.to_uint8(x)
    assert (x == 0).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_float_types_agree(dtype):
    x = np.linspace(-1, 1, 9).astype(dtype)
    assert pictures.to_uint8(x).tolist() == [0, 32, 64, 96, 128, 159, 191, 223, 255]


def test_nan_is_a_programming_error():
    with pytest.raises(AssertionError, match="NaN"):
        pictures.to_uint8(np.array([0.0, np.nan]))


def test_planes():
    picture = quarters()
    planes = pictures.to_planes(picture)
    assert planes.shape == (3, 96, 80)
    assert planes.flags.c_contiguous
    back = pictures.from_planes(planes)
    assert back.flags.c_contiguous
    assert (back == picture).all()
    with pytest.raises(AssertionError):
        pictures.from_planes(np.zeros((96, 80, 3)))
    with pytest.raises(AssertionError):
        pictures.to_planes(np.zeros((3, 96, 80), np.uint8))


# ---------------------------------------------------------------- reading what is good


@pytest.mark.parametrize("suffix", ["png", "tiff", "bmp", "gif", "ppm"])
def test_lossless_formats(tmp_path, suffix):
    photo = load_photo(saved(tmp_path, f"a.{suffix}", Image.fromarray(quarters())))
    assert photo.name.endswith(f"a.{suffix}")
    assert (photo.pixels == quarters()).all()
    assert photo.pixels.flags.writeable


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats(tmp_path, suffix):
    path = saved(tmp_path, f"a.{suffix}", Image.fromarray(quarters()), quality=95)
    assert load_photo(path).pixels[10, 10].tolist() == pytest.approx(GREEN, abs=4)
    assert load_photo(path).pixels[80, 60].tolist() == pytest.approx(RED, abs=4)


def test_the_suffix_does_not_matter(tmp_path):
    Image.fromarray(quarters()).save(tmp_path / "a.jpg", "PNG")
    assert (load_photo(tmp_path / "a.jpg").pixels == quarters()).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, suffix, orientation):
    # what a camera stores for an upright picture, by the EXIF table (row 0 / column 0 meanings)
    stored = {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: np.rot90(p, 1),
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: np.rot90(p, -1),
    }[orientation](quarters())
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    photo = load_photo(saved(tmp_path, f"a.{suffix}", image, exif=exif))
    assert photo.pixels.shape == (96, 80, 3)
    assert photo.pixels[20, 20].tolist() == pytest.approx(GREEN, abs=12)
    assert photo.pixels[80, 20].tolist() == pytest.approx(RED, abs=12)
    assert photo.pixels[20, 60].tolist() == pytest.approx(RED, abs=12)


def test_broken_exif_is_ignored_with_a_warning(tmp_path, caplog):
    buffer = io.BytesIO()
    Image.fromarray(quarters()).save(
        buffer, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"
    )
    (tmp_path / "a.jpg").write_bytes(buffer.getvalue())
    assert load_photo(tmp_path / "a.jpg").pixels.shape == (96, 80, 3)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_is_scaled(tmp_path, suffix):
    values = np.linspace(0, 65535, 80 * 96).astype(np.uint16).reshape(96, 80)
    got = load_photo(saved(tmp_path, f"a.{suffix}", Image.fromarray(values))).pixels
    expected = np.floor(values / 65535 * 255 + 0.5)
    assert np.abs(got - expected[..., None]).max() == 0
    assert got.min() == 0
    assert got.max() == 255


def test_16_bit_colour_is_scaled(tmp_path):
    # Pillow cannot write this, so the PNG is put together by hand
    values = np.linspace(0, 65535, 64).astype(">u2")
    row = b"\0" + np.stack([values, values[::-1], values // 2], axis=1).astype(">u2").tobytes()

    def chunk(kind, body):
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    header = struct.pack(">IIBBBBB", 64, 64, 16, 2, 0, 0, 0)
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row * 64))
        + chunk(b"IEND", b"")
    )
    got = load_photo(path).pixels
    assert got[5, :, 0].tolist() == pytest.approx(values / 65535 * 255, abs=1)
    assert got[5, :, 1].tolist() == pytest.approx(values[::-1] / 65535 * 255, abs=1)


def test_other_depths_of_grey(tmp_path):
    wide = np.full((64, 64), 70000, np.int32)
    refused(saved(tmp_path, "i.tiff", Image.fromarray(wide)), "32-bit")
    real = np.full((64, 64), 0.5, np.float32)
    refused(saved(tmp_path, "f.tiff", Image.fromarray(real)), "floating-point")
    bits = Image.fromarray(np.eye(64, dtype=np.uint8) * 255).convert("1")
    assert (load_photo(saved(tmp_path, "b.png", bits)).pixels[3, 3] == 255).all()


def test_grey_palette_and_cmyk(tmp_path):
    grey = Image.fromarray(np.full((64, 64), 77, np.uint8))
    assert (load_photo(saved(tmp_path, "g.png", grey)).pixels == 77).all()
    palette = Image.fromarray(quarters()).quantize(4)
    assert (load_photo(saved(tmp_path, "p.png", palette)).pixels == quarters()).all()
    cmyk = Image.fromarray(quarters()).convert("CMYK")
    for name in ("c.tiff", "c.jpg"):
        got = load_photo(saved(tmp_path, name, cmyk)).pixels
        assert got[10, 10].tolist() == pytest.approx(GREEN, abs=6)


def test_alpha_is_laid_over_white(tmp_path):
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 0] = 255
    rgba[:, :32, 3] = 255
    rgba[:, 32:48, 3] = 128
    got = load_photo(saved(tmp_path, "a.png", Image.fromarray(rgba))).pixels
    assert got[0, 0].tolist() == [255, 0, 0]
    assert got[0, 40].tolist() == pytest.approx([255, 127, 127], abs=1)
    assert got[0, 60].tolist() == [255, 255, 255]


def test_transparent_palette_colour(tmp_path):
    image = Image.fromarray(quarters()).quantize(4)
    index = image.getpixel((70, 90))
    got = load_photo(saved(tmp_path, "t.png", image, transparency=index)).pixels
    assert got[90, 70].tolist() == [255, 255, 255]
    assert got[0, 0].tolist() == list(GREEN)


def wide_gamut_profile():
    """An RGB profile with sRGB's red and green primaries exchanged, from sRGB's own bytes."""
    blob = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, green = blob.index(b"rXYZ"), blob.index(b"gXYZ")
    blob[red : red + 4], blob[green : green + 4] = blob[green : green + 4], blob[red : red + 4]
    # another description, so that it is not taken for sRGB (stored as UTF-16 and maybe ASCII)
    for text in ("sRGB".encode("utf-16-be"), b"sRGB"):
        blob = blob.replace(text, bytes(len(text) - 1) + b"x" if len(text) > 4 else b"swap")
    return bytes(blob)


def test_embedded_profiles_are_converted(tmp_path, caplog):
    image = Image.fromarray(quarters())
    swapped = load_photo(saved(tmp_path, "a.png", image, icc_profile=wide_gamut_profile())).pixels
    assert swapped[10, 10].tolist() == pytest.approx([180, 20, 60], abs=3)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    same = load_photo(saved(tmp_path, "b.png", image, icc_profile=srgb)).pixels
    assert (same == quarters()).all()
    assert not caplog.records
    broken = load_photo(saved(tmp_path, "c.png", image, icc_profile=b"nonsense")).pixels
    assert (broken == quarters()).all()
    assert "colour profile" in caplog.text


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_of_an_animation_the_first_frame(tmp_path, suffix, caplog):
    first, second = Image.fromarray(quarters()), Image.new("RGB", (80, 96), "black")
    options = {"lossless": True} if suffix == "webp" else {}
    path = saved(tmp_path, f"a.{suffix}", first, save_all=True, append_images=[second], **options)
    with caplog.at_level(logging.WARNING):
        assert (load_photo(path).pixels == quarters()).all()
    assert "only the first" in caplog.text


# ---------------------------------------------------------------- reading what is not


def test_missing_folder_empty_and_text(tmp_path):
    refused(tmp_path / "none.jpg", "no such file")
    refused(tmp_path, "folder")
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png", "0 bytes")
    (tmp_path / "note.jpg").write_text("dear diary")
    refused(tmp_path / "note.jpg", "not a picture")
    (tmp_path / "art.eps").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n")
    refused(tmp_path / "art.eps", "not a picture")


def test_odd_paths():
    refused(Path("/dev/null"), "regular file")
    # Messages are cut in their middle.
    assert refusal(InputError, load_photo, "x" * 5000 + ".jpg").startswith("x" * 60)
    message = refusal(InputError, load_photo, "a\0b.jpg")  # one line, whatever a name holds
    assert message.startswith("a b.jpg: cannot be opened")


def test_no_permission(tmp_path, monkeypatch):
    path = saved(tmp_path, "a.png", Image.fromarray(quarters()))

    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)  # chmod does not stop root
    refused(path, "may not be read", "permissions")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "bmp", "gif", "avif", "jp2"])
@pytest.mark.parametrize("part", [0.02, 0.5, 0.9])
def test_truncated(tmp_path, suffix, part):
    noise = np.random.default_rng(0).integers(0, 255, (96, 80, 3), np.uint8)
    whole = saved(tmp_path, f"whole.{suffix}", Image.fromarray(noise)).read_bytes()
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole[: int(len(whole) * part)])
    refused(cut, "get a whole copy")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff", "gif"])
def test_damaged_bytes_never_escape_as_tracebacks(tmp_path, suffix):
    whole = saved(tmp_path, f"w.{suffix}", Image.fromarray(quarters())).read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / f"d.{suffix}"
    outcomes = set()
    for _ in range(60):
        blob = bytearray(whole)
        for place in random.integers(4, len(blob), 8):
            blob[place] = random.integers(256)
        path.write_bytes(blob)
        try:
            assert load_photo(path).pixels.dtype == np.uint8
            outcomes.add("read")
        except InputError as error:
            outcomes.add(f"refused: {str(error).startswith(str(path))}")
    assert outcomes <= {"read", "refused: True"}
    assert "refused: True" in outcomes


def png_header(width, height):
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + header
        + struct.pack(">I", zlib.crc32(header))
        + struct.pack(">I", 10)
        + b"IDAT"
        + bytes(14)
    )


@pytest.mark.parametrize(
    ("width", "height"), [(30_000, 30_000), (12_000, 12_000), (20_001, 64), (64, 20_001)]
)
def test_too_large_is_refused_by_the_header(tmp_path, width, height):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))  # no pixels follow: decoding would say "truncated"
    refused(path, f"{width}x{height}", "at most", "100 megapixels")


def test_large_but_allowed_without_a_warning(tmp_path):
    # between Pillow's own warning (89 megapixels) and our limit
    path = tmp_path / "wide.png"
    path.write_bytes(png_header(10_000, 9_900))
    refused(path, "damaged or truncated")


@pytest.mark.parametrize("size", [(1, 1), (63, 200), (200, 63)])
def test_too_small(tmp_path, size):
    path = saved(tmp_path, "small.png", Image.new("RGB", size))
    refused(path, f"{size[0]}x{size[1]}", "at least 64x64")


def test_smallest_and_pillow_limit_untouched(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    photo = load_photo(saved(tmp_path, "ok.png", Image.new("RGB", (64, 64))))
    assert photo.pixels.shape == (64, 64, 3)
    assert before == Image.MAX_IMAGE_PIXELS


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "PNG"])
def test_save_is_marked_repeatable_and_readable(tmp_path, suffix):
    one, two = tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}"
    save_image(quarters(), one)
    save_image(quarters(), two)
    assert one.read_bytes() == two.read_bytes()
    assert read_synthetic_mark(one) == SourceType.GENERATED
    with Image.open(one) as image:
        xmp = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    text = xmp if isinstance(xmp, str) else xmp.decode()
    assert f"DigitalSourceType>{SourceType.GENERATED}<" in text
    got = load_photo(one).pixels
    assert np.abs(got[10, 10].astype(int) - GREEN).max() <= (0 if suffix.lower() == "png" else 4)
    save_image(quarters(), one, source=SourceType.EDITED)
    assert read_synthetic_mark(one) == SourceType.EDITED
    save_image(quarters(), one, source=None)
    assert read_synthetic_mark(one) is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [one.name, two.name]


def test_png_is_lossless(tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)
    save_image(noise, tmp_path / "a.png")
    assert (load_photo(tmp_path / "a.png").pixels == noise).all()


def test_new_files_have_ordinary_permissions(tmp_path):
    save_image(quarters(), tmp_path / "a.png")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_what_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "dir.png").mkdir()
    (tmp_path / "file").touch()
    for name, word in {
        "a.tiff": ".png, .jpg",
        "a": "unknown kind",
        "dir.png": "is a folder",
        "no/a.png": "create it first",
        "file/a.png": "there is no folder",
    }.items():
        message = refusal(OutputError, pictures.check_writable, tmp_path / name)
        assert message.startswith(str(tmp_path / name))
        assert word in message

    def denied(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(pictures.tempfile, "TemporaryFile", denied)
    with pytest.raises(OutputError, match="Permission denied"):
        pictures.check_writable(tmp_path / "a.png")


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    save_image(quarters(), path)
    before = path.read_bytes()

    def full(self, file, *_args, **_kwargs):
        Path(file).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match="No space left"):
        save_image(quarters(), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_an_interrupt_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def interrupted():
        with writing.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_wrong_pixels_are_programming_errors(tmp_path):
    for bad in (quarters().astype(np.float32), quarters()[..., 0], quarters()[..., :2]):
        with pytest.raises(AssertionError):
            save_image(bad, tmp_path / "a.png")


def test_mark_of_other_files(tmp_path):
    (tmp_path / "empty").touch()
    assert read_synthetic_mark(tmp_path / "empty") is None
    with pytest.raises(InputError, match="no such file"):
        read_synthetic_mark(tmp_path / "none.png")


def test_contact_sheet():
    black = np.zeros((100, 50, 3), np.uint8)
    sheet = sheets.contact_sheet(
        [[quarters(), black], [black]], ["first row", "second"], ["neutral", "AU12"], tile=128
    )
    assert sheet.dtype == np.uint8
    assert sheet.shape[0] > 2 * 128
    assert sheet.shape[1] > 2 * 128
    assert (sheet[-1] == 255).all()
    assert (sheet[:10, :10] == 255).all()
    labels = sheet[:, : sheet.shape[1] - 2 * 130 - 2]
    assert labels.min() < 100  # something is written beside the rows
    plain = sheets.contact_sheet([[black, black]], tile=64)
    assert plain.shape == (64 + 2 * 2, 2 * 66 + 2, 3)
    with pytest.raises(AssertionError):
        sheets.contact_sheet([[]])
