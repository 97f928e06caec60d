"""What people give for a photo: read, or named with the way out, whatever the file's name says."""

from __future__ import annotations

import io
import struct
import warnings
from pathlib import Path

import numpy as np
import pytest
from command_line import run
from PIL import Image

from duchenne.errors import InputError
from duchenne.files import folders, kinds
from duchenne.files.pictures import load_photo
from duchenne.stimuli import batch

SMILE = {"AU12": 1.0}


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO media file, and the beginning of another."""
    body = b"ftyp" + major + bytes(4) + b"".join(compatible)
    return struct.pack(">I", len(body) + 4) + body + b"\0\0\0\x20meta" + bytes(40)


def tiff(entries: list[tuple[int, int, int]], *below: list[tuple[int, int, int]]) -> bytes:
    """A TIFF of directories of (tag, type, value); those after the first are sub-directories."""
    content = b"II*\0" + struct.pack("<I", 8)
    first = 8 + 2 + 12 * (len(entries) + 1) + 4
    places = [first + 4 * len(below)]
    for directory in below:
        places.append(places[-1] + 2 + 12 * len(directory) + 4)
    value = first if len(below) > 1 else places[0]
    entries = [*entries, (330, 4, value)]
    for number, directory in enumerate((entries, *below)):
        content += struct.pack("<H", len(directory))
        for tag, kind, value in directory:
            count = len(below) if tag == 330 else 1
            content += struct.pack("<HHII", tag, kind, count, value)
        content += bytes(4)
        if number == 0:
            content += struct.pack(f"<{len(below)}I", *places[: len(below)])
    return content


SENSOR = [(254, 4, 0), (262, 3, 32803)]
PREVIEW = [(254, 4, 1), (262, 3, 2)]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\xff\x0a" + bytes(40), "a JPEG XL picture"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40), "a JPEG XL picture"),
        (ftyp(b"crx ", b"isom"), "a camera raw file"),
        (b"FUJIFILMCCD-RAW 0201", "a camera raw file"),
        (b"IIRO\x08\0\0\0" + bytes(40), "a camera raw file"),
        (b"IIU\0\x18\0\0\0" + bytes(40), "a camera raw file"),
        (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "a camera raw file"),
        (tiff(PREVIEW, PREVIEW, SENSOR), "a camera raw file"),  # as NEF
        (tiff(PREVIEW, SENSOR), "a camera raw file"),  # as ARW
        (tiff([(50706, 1, 1025)], PREVIEW), "a camera raw file"),  # DNG
        (tiff(PREVIEW, [(262, 3, 34892)]), "a camera raw file"),  # a phone's raw
        (b"8BPS\0\x01", "a Photoshop document"),
        (b"gimp xcf v011", "a GIMP document"),
        (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
        (b"%PDF-1.7\n", "a PDF, not a picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "a PostScript drawing, not a picture"),
        (ftyp(b"isom", b"avc1", b"mp41"), "a film, not a picture"),
        (ftyp(b"qt  "), "a film, not a picture"),
        (b"\0\0\0\x08wide\0\0\1\0mdat", "a film, not a picture"),
        (b"\x1aE\xdf\xa3\x01", "a film, not a picture"),
        (b"RIFF\x10\0\0\0AVI LIST", "a film, not a picture"),
        (b"RIFF\x10\0\0\0WAVEfmt ", "a sound"),
        (b"PK\x03\x04\x14\0", "an archive or an office document"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (bytes(128) + b"DICM", "a DICOM picture"),
        (b"\0\x05\x16\x07\0\x02\0\0", "what macOS keeps beside a file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (bytes(4096), "all zeros at its beginning"),
    ],
)
def test_what_is_no_picture_is_named_by_its_bytes(
    content: bytes, what: str, tmp_path: Path
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError) as refusal:
        load_photo(path)
    message = str(refusal.value)
    assert message.startswith(f"{path}: is {what}")
    assert "\n" not in message
    assert "; " in message or ", " in message  # what to do


def test_a_plain_tiff_is_no_raw_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    for compression in (None, "tiff_lzw", "jpeg"):
        Image.new("RGB", (64, 64), "red").save(path, compression=compression)
        assert load_photo(path).pixels.shape == (64, 64, 3)
    path.write_bytes(tiff(PREVIEW, SENSOR)[:40])  # broken off
    with pytest.raises(InputError, match=r"a\.tif: "):
        load_photo(path)
    assert not kinds.is_raw(io.BytesIO(path.read_bytes()))
    loop = struct.pack("<HHHIII", 1, 330, 4, 1, 8, 8)  # a directory below itself, and after itself
    assert not kinds.is_raw(io.BytesIO(b"II*\0\x08\0\0\0" + loop))


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_heic_without_its_reader(
    brand: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kinds, "ready_for_heic", lambda: False)
    path = tmp_path / "IMG_0001.jpg"
    path.write_bytes(ftyp(brand, b"mif1", b"heic"))
    with pytest.raises(InputError, match=r"is a HEIC picture.*'duchenne\[heic\]'.*save it as JPEG"):
        load_photo(path)


@pytest.mark.parametrize("name", ["IMG_0001.heic", "IMG_0001.jpg"])
def test_heic_with_its_reader(name: str, tmp_path: Path, astronaut: np.ndarray) -> None:
    pytest.importorskip("pillow_heif")
    assert kinds.ready_for_heic()
    exif = Image.Exif()
    exif[0x0112] = 6  # taken with the phone on its side
    path = tmp_path / name
    Image.fromarray(astronaut).save(path, "HEIF", quality=95, exif=exif.tobytes())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pixels = load_photo(path).pixels
    upright = np.rot90(astronaut, -1)
    assert pixels.shape == upright.shape
    assert np.abs(pixels.astype(int) - upright).mean() < 4
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(InputError, match="HEIF file"):
        load_photo(path)


def test_avif_that_this_pillow_cannot_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.init()
    monkeypatch.setitem(Image.OPEN, "AVIF", (None, lambda prefix: "not in this build"))
    path = tmp_path / "a.avif"
    path.write_bytes(ftyp(b"avif", b"mif1", b"miaf"))
    with pytest.raises(InputError, match="an AVIF picture, which this build of Pillow lacks"):
        load_photo(path)


def test_every_suffix_of_what_is_read_is_taken() -> None:
    """As Pillow knows them, but for animations and what no camera or program writes any more."""
    Image.init()
    rare = {".apng", ".avifs", ".j2c", ".jpm", ".pfm", ".heics", ".heifs", ".icb"}
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in kinds.READ}
    assert known - rare <= set(kinds.PHOTO_SUFFIXES)


# ---------------------------------------------------------------- what a batch takes


def test_a_batch_counts_what_it_leaves_out(tmp_path: Path) -> None:
    names = ["a.jfif", "b.jpe", "c.HEIC", "d.safetensors", "deep/e.jpg", "f.mp4", "g.MP4", "h.txt"]
    for name in (*names, "README", ".DS_Store", "._a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()
    inputs = batch.find_inputs(str(tmp_path), SMILE)
    assert [given.stem for given in inputs] == ["a", "b", "c", "d", "deep/e"]
    left = {"hidden": 2, ".mp4": 2, "without suffix": 1, ".txt": 1}
    assert batch.left_out(str(tmp_path)) == left
    assert folders.counts_text(left) == "2 hidden, 2 .mp4, 1 without suffix, 1 .txt"
    assert batch.left_out(f"{tmp_path}/*.mp4") == {".mp4": 1}
    with pytest.raises(InputError, match=r"no photos or codes there, only 1 \.txt;"):
        batch.find_inputs(f"{tmp_path}/*.txt*", SMILE)
    (tmp_path / "table.csv").write_text("file\na.jfif\n")
    assert batch.left_out(str(tmp_path / "table.csv")) == {}


@pytest.mark.parametrize("name", ["anna [1].jpg", "who?.jpg", "star*.jpg", "[a-b]/x.jpg"])
def test_a_name_that_looks_like_a_pattern_is_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    (tmp_path / "anna 1.jpg").touch()
    (tmp_path / "whom.jpg").touch()
    assert [given.path for given in batch.find_inputs(str(path), SMILE)] == [path]
    within = batch.find_inputs(str(path.parent), SMILE)
    assert path in [given.path for given in within]


def test_the_command_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.mov").touch()
    result = run("batch", tmp_path, "--au", "AU12", "-o", tmp_path / "out")
    assert result.exit_code == 3
    assert "no photos or codes there, only 1 .mov" in result.stderr


def test_photos_of_a_folder_come_with_a_word_on_the_rest(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("b.jpg", "a.heic", "c.mp4", "._b.jpg", "README"):
        (tmp_path / name).touch()
    (tmp_path / "deep.png").mkdir()
    assert [path.name for path in folders.photos_in(tmp_path)] == ["a.heic", "b.jpg"]
    for left_out in ("1 .mp4", "1 hidden", "1 without suffix", "not photos"):
        assert left_out in caplog.text
    for name in ("a.heic", "b.jpg"):
        (tmp_path / name).unlink()
    with pytest.raises(InputError, match="no pictures; give a folder with"):
        folders.photos_in(tmp_path)
