"""Bad input, one kind at a time: one line, its own exit code, and no file left behind."""

from __future__ import annotations

import builtins
import struct
import zlib
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import tiny
from click.testing import CliRunner
from PIL import Image
from safetensors.numpy import save_file

from duchenne.cli import commands
from duchenne.cli.fitting_coded import share_of
from duchenne.editing import boundaries
from duchenne.files import codes
from duchenne.types import LatentCode

EDIT = ("--au", "AU12", "-o", "out.png")


def refused(folder: Path, exit_code: int, expected: str, *arguments: str) -> None:
    """The command fails with that code and one line on stderr that holds `expected`."""
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    result = CliRunner().invoke(commands, list(arguments), catch_exceptions=False)
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1, result.stderr
    assert len(result.stderr) <= 500
    assert result.stderr[:-1].isprintable()
    assert result.stderr.startswith("duchenne: error: ")
    assert expected in result.stderr
    assert result.exit_code == exit_code
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


def png_header(width: int, height: int) -> bytes:
    """The start of a PNG that claims a size and holds no pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


# ---------------------------------------------------------------- pictures


@pytest.mark.parametrize("command", ["edit", "animate", "encode"])
@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("text.jpg", b"this is not a picture, whatever its name says", "not a picture"),
        ("empty.png", b"", "empty (0 bytes)"),
        ("huge.png", png_header(30_000, 30_000), "30000x30000 pixels is too large"),
        ("dot.png", png_header(1, 1), "1x1 pixels is too small"),
    ],
)
def test_what_is_no_photo(
    command: str, name: str, content: bytes, expected: str, folder: Path
) -> None:
    (folder / name).write_bytes(content)
    motion = () if command == "encode" else ("--au", "AU12")
    output = {"edit": "out.png", "animate": "out.mp4", "encode": "out.safetensors"}[command]
    refused(folder, 3, expected, command, name, *motion, "-o", output)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_truncated_photo(suffix: str, folder: Path, astronaut: np.ndarray) -> None:
    whole = folder / f"whole{suffix}"
    Image.fromarray(astronaut).save(whole)
    cut = folder / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    refused(folder, 3, f"cut{suffix}: ", "edit", cut.name, *EDIT)


def test_missing_photo_and_folder_for_a_photo(folder: Path) -> None:
    refused(folder, 3, "no such file", "edit", "nobody.jpg", *EDIT)
    refused(folder, 3, "is a folder", "edit", ".", *EDIT)
    refused(folder, 3, "no such file", "edit", "a\nb.jpg", *EDIT)  # a name of two lines


@pytest.mark.usefixtures("tiny_studio")
@pytest.mark.parametrize("mode", ["I;16", "L", "1", "LA", "CMYK", "P", "RGBA", "animated"])
def test_unusual_photos_are_taken(mode: str, folder: Path, astronaut: np.ndarray) -> None:
    image = Image.fromarray(astronaut)
    name = "photo.tif" if mode == "CMYK" else "unusual.png"
    if mode == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16)
        Image.fromarray(grey * 257).save(name)
    elif mode == "animated":
        name = "photo.gif"
        image.save(name, save_all=True, append_images=[image.transpose(Image.Transpose.ROTATE_90)])
    else:
        image.convert(mode).save(name)
    arguments = ["edit", name, *EDIT, "--steps", "1"]
    result = CliRunner().invoke(commands, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    with Image.open("out.png") as image:
        assert image.size == (512, 512)
    assert ("only the first is used" in result.stderr) == (mode == "animated")


@pytest.mark.weights
def test_a_picture_without_a_face(folder: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (300, 300, 3), np.uint8)).save("noise.png")
    refused(folder, 4, "noise.png: no face", "encode", "noise.png", "-o", "code.safetensors")


@pytest.mark.weights
def test_a_face_number_that_is_not_there(folder: Path) -> None:
    refused(folder, 3, "no face number 5", "encode", "photo.jpg", "--face", "5", "-o",
            "code.safetensors")  # fmt: skip


# ---------------------------------------------------------------- Action Units and motion


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--au", "AU99=1", "unknown Action Unit 'AU99'; known are AU1, AU2"),
        ("--au", "smile", "unknown Action Unit"),
        ("--au", "AU12=1.5", "AU12=1.5: an intensity lies between 0 and 1"),
        ("--au", "AU12=-0.1", "an intensity lies between 0 and 1"),
        ("--au", "AU12=nan", "an intensity lies between 0 and 1"),
        ("--au", "AU12=inf", "an intensity lies between 0 and 1"),
        ("--au", "AU12=high", "'high' is not a number"),
        ("--au", "AU12=1,AU12=0.5", "twice"),
        ("--au", "AU12=1,AU12L=0.5", "twice"),
        ("--au", "", "no Action Unit given"),
        ("--descriptor", "0,1,0", "has 12 numbers"),
        ("--descriptor", "0,0,0,0,1,0,1,0,0,0,1,2", "an intensity lies between 0 and 1"),
        ("--descriptor", "0,0,0,0,nan,0,1,0,0,0,1,0", "an intensity lies between 0 and 1"),
        ("--expression", "bliss", "unknown expression 'bliss'; known are happiness"),
    ],
)
@pytest.mark.parametrize("command", ["edit", "animate"])
def test_wrong_expressions(
    command: str, option: str, value: str, expected: str, folder: Path
) -> None:
    refused(folder, 5, expected, command, "photo.jpg", option, value, "-o", "out.webp")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--frames", "0"], "0 frames"),
        (["--fps", "0"], "frame rate 0"),
        (["--fps", "nan"], "frame rate 'nan'"),
        (["--fps", "fast"], "frame rate 'fast'"),
        (["--easing", "bouncy"], "unknown easing 'bouncy'; known are linear"),
        (["--hold", "nan"], "hold of nan s"),
        (["--hold", "-1"], "hold of -1"),
        (["--loop", "0"], "0 repeats"),
    ],
)
def test_wrong_times(options: list[str], expected: str, folder: Path) -> None:
    refused(folder, 3, expected, "animate", "photo.jpg", "--au", "AU12", *options, "-o", "out.mp4")


@pytest.mark.parametrize(
    ("option", "name", "content", "exit_code", "expected"),
    [
        ("--keyframes", "keys.toml", "AU12 = [[0, 0], [1, 2]]", 5, "line 1"),
        ("--keyframes", "keys.toml", "AU12 = [[", 3, "not valid TOML"),
        ("--keyframes", "keys.txt", "AU12", 3, "keyframes are read from .toml or .csv"),
        ("--drive", "drive.csv", "a,b\n1,2\n", 3, "expected columns such as AU12_r"),
        ("--drive", "drive.csv", "", 3, "drive.csv"),
        ("--drive", "drive.csv", None, 3, "drive.csv"),
    ],
)
def test_wrong_motion_files(
    option: str, name: str, content: str | None, exit_code: int, expected: str, folder: Path
) -> None:
    if content is not None:
        (folder / name).write_text(content)
    refused(folder, exit_code, expected, "animate", "photo.jpg", option, name, "-o", "out.mp4")


@pytest.mark.parametrize("option", ["--frames", "--loop", "--hold", "--size", "--steps", "--face"])
@pytest.mark.parametrize("value", ["1_0", "١٢", "9" * 5000, "1e999999999", "½", "", "0x10"])
def test_numbers_of_the_command_line_have_the_strict_form(
    option: str, value: str, folder: Path
) -> None:
    line = ["animate", "photo.jpg", "--au", "AU12", option, value, "-o", "out.mp4"]
    if (option, value) == ("--hold", "1e999999999"):
        value = "1e999999"
    refused(folder, 2, f"{option}: ", *line)


@pytest.mark.parametrize(
    "line",
    [
        ["x" * 100_000],
        ["animate", "--" + "x" * 100_000],
        ["animate", "photo.jpg", "x\ny" * 30_000, "-o", "out.mp4"],
        ["animate", "photo.jpg", "--frames", "9" * 100_000, "-o", "out.mp4"],
        ["fit", "boundaries", "--method", "x\x1b" * 50_000, "-o", "b.safetensors"],
        ["sample", "--seed", "1e999999999", "-o", "a.png"],
        ["sample", "--seed", "-1", "-o", "a.png"],
        ["serve", "--port", "70000"],
        ["batch", "photo.jpg", "--workers", "0", "-o", "out"],
    ],
)
def test_wrong_usage_is_one_short_line(line: list[str], folder: Path) -> None:
    refused(folder, 2, "says more", *line)


@pytest.mark.parametrize(
    "text", ["", "1", "1/2/3", "1_0/20", "١/٢", "2/2", "-1/2", "0/" + "9" * 5000]
)
def test_wrong_shares(text: str) -> None:
    with pytest.raises(click.UsageError, match="--share"):
        share_of(text)


@pytest.mark.parametrize("value", ["nan", "-0.5", "1.5"])
def test_wrong_truncation(value: str, folder: Path) -> None:
    refused(folder, 3, "must lie between 0 and 1", "sample", "--seed", "1", "--truncation", value,
            "-o", "face.png")  # fmt: skip


# ---------------------------------------------------------------- outputs


@pytest.mark.parametrize(
    ("command", "output", "expected"),
    [
        ("edit", "nowhere/out.png", "there is no folder nowhere"),
        ("edit", "photo.jpg/out.png", "there is no folder photo.jpg"),
        ("edit", "out.xyz", "unknown kind of output; use .png"),
        ("edit", "out", "unknown kind of output"),
        ("edit", "photo.jpg", "is an input of this command"),
        ("edit", "./photo.jpg", "is an input of this command"),
        ("animate", "nowhere/out.mp4", "there is no folder nowhere"),
        ("animate", "out.avi", "unknown kind of output; use .mp4"),
        ("animate", "full/", "holds other files"),
        ("encode", "out.png", "use .safetensors"),
        ("encode", "nowhere/out.safetensors", "there is no folder nowhere"),
    ],
)
def test_outputs_are_checked_before_any_work(
    command: str, output: str, expected: str, folder: Path
) -> None:
    (folder / "full").mkdir()
    (folder / "full" / "letter.txt").write_text("keep me")
    motion = () if command == "encode" else ("--au", "AU12")
    refused(folder, 6, expected, command, "photo.jpg", *motion, "-o", output)


def test_a_table_does_not_replace_the_recording(folder: Path) -> None:
    (folder / "drive.csv").write_text("frame,timestamp,confidence,success,AU12_r\n1,0,1,1,2\n")
    refused(folder, 6, "drive.csv: is an input of this command",
            "animate", "photo.jpg", "--drive", "drive.csv", "-o", "drive.mp4")  # fmt: skip


def test_unwritable_places(folder: Path) -> None:
    (folder / "out.csv").mkdir()
    refused(folder, 6, "out.csv: is a folder", "animate", "photo.jpg", "--au", "AU12", "-o",
            "out.mp4")  # fmt: skip
    refused(folder, 6, "use .json", "edit", "photo.jpg", *EDIT, "--json", "record.txt")
    refused(folder, 6, "no folder nowhere", "weights", "list", "--json", "nowhere/record.json")
    refused(folder, 6, "no folder nowhere", "sample", "--seed", "1", "-o", "nowhere/face.png")
    refused(folder, 6, "photo.jpg", "demo", "-o", "photo.jpg/demo")


# ---------------------------------------------------------------- codes and models


def test_what_is_no_code(folder: Path) -> None:
    (folder / "text.safetensors").write_text("not a code")
    refused(
        folder, 3, "text.safetensors: expected a latent code", "edit", "text.safetensors", *EDIT
    )
    refused(folder, 3, "no such file", "edit", "nobody.safetensors", *EDIT)
    save_file({"w": np.zeros((16, 512), np.float32)}, folder / "other.safetensors")
    refused(folder, 3, "its format is 'none'", "edit", "other.safetensors", *EDIT)
    boundaries.save_boundaries(tiny.boundaries(tiny.GENERATOR), folder / "b.safetensors")
    refused(folder, 3, "expected a latent code", "edit", "b.safetensors", *EDIT)


@pytest.mark.usefixtures("tiny_studio")
def test_damaged_and_foreign_codes(folder: Path) -> None:
    good = tiny.TinyStudio().sample(1).code
    codes.write_code(good, folder / "good.safetensors")
    content = (folder / "good.safetensors").read_bytes()
    (folder / "cut.safetensors").write_bytes(content[:-100])
    refused(folder, 3, "cut.safetensors: expected a latent code", "edit", "cut.safetensors", *EDIT)
    codes.write_code(LatentCode(good.w * np.nan, good.generator), folder / "nan.safetensors")
    refused(folder, 3, "expected finite numbers", "edit", "nan.safetensors", *EDIT)
    codes.write_code(LatentCode(good.w, "another-network"), folder / "other.safetensors")
    refused(folder, 8, "belongs to another-network", "edit", "other.safetensors", *EDIT)


@pytest.mark.parametrize(
    "arguments",
    [
        ("sample", "--seed", "1", "-o", "face.png"),
        ("edit", "photo.jpg", *EDIT),
        ("encode", "photo.jpg", "-o", "code.safetensors"),
        ("weights", "fetch"),
        ("weights", "fetch", "face-mesh"),
    ],
)
def test_missing_weights_offline(arguments: tuple[str, ...], folder: Path) -> None:
    refused(folder, 7, "fetching is switched off (offline)", *arguments)


def test_unknown_weights(folder: Path) -> None:
    refused(folder, 7, "'resnet' is no file of weights", "weights", "fetch", "resnet")


def test_the_demo_needs_its_photo(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_skimage(name: str, *rest: Any, **named: Any) -> Any:
        if name.startswith("skimage"):
            raise ImportError(name)
        return real_import(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without_skimage)
    refused(folder, 3, "pip install 'duchenne[demo]'", "demo", "-o", "new")
