"""Batches with real worker processes, on the tiny generator: bad inputs, kills, resuming."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from command_line import run
from here import HereSlots
from PIL import Image

from duchenne import animate
from duchenne.cli import many
from duchenne.engine.base import Outcome
from duchenne.errors import InputError
from duchenne.faces import align, landmarks
from duchenne.faces.warp import apply, invert
from duchenne.files import codes
from duchenne.files.pictures import SourceType, read_synthetic_mark
from duchenne.stimuli import batch
from duchenne.stimuli.measuring import Means
from duchenne.types import Pixels

TESTS = Path(__file__).parent


MEETING = "DUCHENNE_TEST_MEETING"  # a folder in which a run's workers wait until two are there


def open_tiny(threads: int) -> animate.Studio:
    """The tiny generator in a worker process, whose landmarks are golden too."""
    if MEETING in os.environ:
        meet(Path(os.environ[MEETING]))
    tiny.see_golden()
    align.align = tiny.golden_align
    landmarks.mesh_of_aligned = golden_mesh
    return tiny.TinyStudio()


def meet(folder: Path) -> None:
    """So that each of two workers gets something to do, however much faster one of them starts."""
    (folder / str(os.getpid())).touch()
    end = time.monotonic() + 120
    while len(list(folder.iterdir())) < 2:
        assert time.monotonic() < end, "the other worker does not come"
        time.sleep(0.05)


def golden_mesh(face: Pixels) -> np.ndarray:
    mesh = tiny.golden_face("astronaut").mesh
    to_picture = invert(align.canonical(mesh, len(face)))
    plane = apply(to_picture, mesh[:, :2].astype(float))
    return np.concatenate([plane, mesh[:, 2:]], axis=1).astype(np.float32)


@pytest.fixture
def tiny_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`batch` and `stimuli` run for real, processes and all, but on the tiny generator."""
    use_tiny_workers(monkeypatch.setattr)


@pytest.fixture
def workers_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started for a worker."""
    monkeypatch.setattr("duchenne.engine.local.LocalSlots", HereSlots)


@pytest.fixture
def tiny_here(tiny_workers: None, workers_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As `tiny_workers`, without processes."""
    monkeypatch.setattr(many, "opening_of", lambda *encoding, **files: open_here)
    monkeypatch.setattr(align, "align", tiny.golden_align)
    monkeypatch.setattr(landmarks, "mesh_of_aligned", golden_mesh)


def open_here(threads: int) -> animate.Studio:
    return tiny.TinyStudio()


def use_tiny_workers(replace: object = setattr) -> None:
    assert callable(replace)
    replace(many, "opening_of", lambda *encoding, **files: open_tiny)
    replace(many, "new_studio", lambda run, *encoding, **files: tiny.TinyStudio())
    tiny.see_golden(replace)
    replace(Means, "found", lambda: Means(scores=False, identity=False))


def manifest(folder: str | Path) -> list[dict[str, str]]:
    with (Path(folder) / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def write_codes(folder: Path, count: int) -> None:
    folder.mkdir(exist_ok=True)
    for i in range(count):
        codes.write_code(tiny.TinyStudio().sample(i).code, folder / f"face{i:03d}.safetensors")


# ---------------------------------------------------------------- inputs


def test_a_folder_a_glob_and_a_table_name_inputs(tmp_path: Path) -> None:
    for name in (
        "a.jpg",
        "a.png",
        "deep/b.JPG",
        "deep/notes.txt",
        ".hidden/c.jpg",
        "d.safetensors",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    smile = {"AU12": 1.0}
    inputs = batch.find_inputs(str(tmp_path), smile)
    assert [given.stem for given in inputs] == ["a_jpg", "a_png", "d", "deep/b"]
    assert [j.stem for j in batch.find_inputs(f"{tmp_path}/*.jpg", smile)] == ["a"]
    table = tmp_path / "table.csv"
    table.write_text("file,au,face\na.jpg,AU1=0.5,1\ndeep/b.JPG,,\na.jpg,AU2,\n")
    one, two, three = batch.find_inputs(str(table), smile)
    assert (one.stem, one.descriptor, one.face) == ("a_jpg", {"AU1": 0.5}, 1)
    assert (two.stem, two.descriptor, two.face) == ("deep/b", smile, None)
    assert (three.stem, three.descriptor) == ("a_jpg_2", {"AU2": 1.0})


@pytest.mark.parametrize(
    "content",
    [
        b"file, au, Face\na.jpg, AU1=0.5, 1.0\n",
        b"\xef\xbb\xbfFILE;Au;FACE;;\r\na.jpg;AU1=0.5;1,0;;\r\n;;;;\r\n",
        "file\tau\tface\r\na.jpg\tAU1=0.5\t1\r\n".encode("utf-16"),
        b'"face","au","file"\n1e0,"AU1=0.5",a.jpg,\n',
    ],
)
def test_a_table_in_any_spelling(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    (given,) = batch.find_inputs(str(tmp_path / "t.csv"), None)
    assert (given.stem, given.descriptor, given.face) == ("a", {"AU1": 0.5}, 1)


def test_columns_that_are_not_read_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "t.csv").write_text("file,au,person,faces\na.jpg,AU12,anna,2\n")
    batch.find_inputs(str(tmp_path / "t.csv"), None)
    assert "columns that are not read: person, faces; known are file, au," in caplog.text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,au\na.jpg,AU12=1,AU6=1\n", "line 2: 3 cells where the header has 2; quote cells"),
        ("file,au,face\na.jpg,AU12,1.5\n", "line 2, column face: '1.5' is not a whole number"),
        ("file,au,face\na.jpg,AU12,-1\n", "line 2: face -1; they count from 0"),
        ("file,au\n,AU12\n", "line 2: no file"),
        ("file,au,expression\na.jpg,AU12,anger\n", "line 2: fill one of au, expression"),
        ("file,au,AU\na.jpg,AU12,AU6\n", "line 1: column au is there 2 times"),
        ("photo\na.jpg\n", "expected a column `file`"),
        ("file,au\na.jpg,AU99\n", "line 2: unknown Action Unit"),
        ("file,face\na.jpg,first\n", "line 2, column face: 'first' is not a number"),
        ("file\na.jpg\n", "line 2: no expression"),
        ("file\n", "no photos or codes there"),
        ("", "expected a column `file`"),
        ("\n\n", "expected a column `file`"),
        ("file,au\n..,AU12\n", "line 2: '..' is a folder; name a file"),
        ("file,au\n/,AU12\n", "line 2: '/' is a folder; name a file"),
        ("file,au\n" + "a.jpg,AU12\n" * 500 + "a\0.jpg,AU12\n", "is no name of a file"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        batch.find_inputs(str(tmp_path / "t.csv"), None)


def test_nothing_to_do_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no photos or codes there"):
        batch.find_inputs(str(tmp_path), {"AU12": 1.0})
    with pytest.raises(InputError, match="give --au"):
        batch.find_inputs(str(tmp_path), None)


def test_expressions_of_one_photo_are_not_drawn_side_by_side() -> None:
    """Two workers would encode it twice."""
    inputs = [batch.Input(name, Path(name), f"{name}{i}", {}) for name in "aab" for i in range(2)]
    order = [(given.name, given.stem) for given in batch._apart(inputs)]
    assert [name for name, _ in order] == ["a", "b", "a", "b", "a", "a"]
    assert sorted(order) == sorted((given.name, given.stem) for given in inputs)


# ---------------------------------------------------------------- the command


@pytest.mark.usefixtures("tiny_here")
def test_a_bad_photo_is_reported_and_does_not_stop_the_rest(folder: Path) -> None:
    photos = folder / "photos"
    photos.mkdir()
    (folder / "photo.jpg").rename(photos / "good.jpg")
    (photos / "bad.jpg").write_bytes(b"no picture")
    write_codes(photos, 1)
    done = run("batch", "photos/", "--au", "AU12=0.5,AU1R=1", "-o", "out", "--json", "run.json")
    assert done.exit_code == 0, done.stderr
    assert "2 files, 1 inputs failed" in done.stdout
    bad, code, good = manifest("out")
    assert "photos/bad.jpg: not a picture" in bad["error"]
    assert bad["file"] == ""
    assert (good["file"], good["faces"], good["width"]) == ("good.png", "3", "512")
    assert (good["descriptor"], good["asked_AU1"]) == ("AU12=0.5,AU1R=1", "0.5")
    assert code["width"] == "128"  # the tiny generator's crop: a code has no photo
    assert read_synthetic_mark("out/good.png") == SourceType.EDITED
    assert read_synthetic_mark("out/face000.png") == SourceType.GENERATED
    expected = tiny.TinyStudio().face(photos / "face000.safetensors")
    drawn = expected.edit({"AU12": 0.5, "AU1R": 1.0})
    np.testing.assert_array_equal(np.asarray(Image.open("out/face000.png")), drawn)
    assert '"items": 3' in (folder / "run.json").read_text()
    before = contents(folder / "out")
    again = run("batch", "photos/", "--au", "AU12=0.5,AU1R=1", "-o", "out")
    assert again.exit_code == 0
    assert contents(folder / "out") == before
    # Mended, it is tried again; so is a photo that has changed.
    (photos / "bad.jpg").write_bytes((photos / "good.jpg").read_bytes())
    run("batch", "photos/", "--au", "AU12=0.5,AU1R=1", "-o", "out")
    assert [row["error"] for row in manifest("out")] == ["", "", ""]
    other = run("batch", "photos/", "--au", "AU12=1", "--size", "64", "-o", "out")
    assert other.exit_code == 6
    assert "begun with other settings (output)" in other.stderr


@pytest.mark.usefixtures("tiny_here")
def test_a_mask_for_some_of_the_photos(folder: Path) -> None:
    photo = np.asarray(Image.open("photo.jpg"))
    Image.open("photo.jpg").save("other.jpg")
    (folder / "masks").mkdir()
    everything = Image.new("L", photo.shape[1::-1], 255)
    everything.save("masks/photo.png")
    Image.new("L", (64, 64)).save("small.png")
    line = ("batch", "*.jpg", "--au", "AU12", "--workers", "1", "-o", "out", "--keep")
    assert run(*line, "masks").exit_code == 0
    other, kept = manifest("out")
    assert np.array_equal(np.asarray(Image.open("out/photo.png")), photo)
    assert not np.array_equal(np.asarray(Image.open("out/other.png")), Image.open("other.jpg"))
    assert (bool(other["keep_sha256"]), bool(kept["keep_sha256"])) == (False, True)
    # A mask that has changed is a reason to work again, as a photo is.
    everything.point(lambda _: 0).save("masks/photo.png")
    assert run(*line, "masks").exit_code == 0
    assert not np.array_equal(np.asarray(Image.open("out/photo.png")), photo)
    Path("t.csv").write_text("file,keep\nphoto.jpg,small.png\n")
    assert run("batch", "t.csv", "--au", "AU12", "-o", "t", "--workers", "1").exit_code == 0
    (row,) = manifest("t")
    assert row["error"].startswith("small.png: 64x64 pixels, but its photo has 512x512")
    assert run(*line, "nowhere").exit_code == 3


@pytest.mark.usefixtures("tiny_here")
def test_films_and_sizes(folder: Path) -> None:
    write_codes(folder / "codes", 1)
    line = ("batch", "codes/*.safetensors", "--expression", "anger", "--size", "64", "-o")
    assert run(*line, "films", "--format", ".mp4", "--workers", "1").exit_code == 0
    (row,) = manifest("films")
    assert (row["kind"], row["frames"], row["width"]) == ("film", "24", "64")
    assert read_synthetic_mark("films/face000.mp4") == SourceType.GENERATED
    assert run(*line, "x", "--format", ".bmp").exit_code == 2
    assert run(*line, "x", "--au", "AU1").exit_code == 2


@pytest.mark.usefixtures("tiny_here", "tiny_studio")
def test_the_generators_pictures_of_photos(folder: Path) -> None:
    line = ("batch", "*.jpg", "--au", "AU12=1", "--workers", "1", "-o")
    for extra, shown in (((), "moved"), (("--generated",), "generated")):
        out = shown
        done = run(*line, out, "--crop", *extra)
        assert done.exit_code == 0, done.stderr
        (row,) = manifest(out)
        assert row["shown"] == shown
        face = tiny.TinyStudio().face("photo.jpg")
        wanted = replace(face, generated=shown == "generated").edit({"AU12": 1.0})
        with Image.open(f"{out}/photo.png") as image:
            np.testing.assert_array_equal(np.asarray(image), wanted)
    assert read_synthetic_mark("moved/photo.png") == SourceType.EDITED
    assert read_synthetic_mark("generated/photo.png") == SourceType.GENERATED
    again = run(*line, "moved", "--crop", "--generated")
    assert again.exit_code == 6
    assert run(*line, "pasted", "--generated").exit_code == 0
    assert read_synthetic_mark("pasted/photo.png") == SourceType.EDITED


def test_generated_pictures_need_a_full_encoding(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def opened(encoding: object = None, **_: object) -> None:
        asked.append(encoding)
        raise InputError("enough")

    monkeypatch.setattr(many, "_fingerprints", lambda *_: {})
    monkeypatch.setattr(many, "opening_of", opened)
    (folder / "d.toml").write_text(
        '[people]\nphotos = ["photo.jpg"]\n[conditions]\nhappy = "happiness"\n'
        "[output]\ngenerated = true\n"
    )
    (folder / "e.toml").write_text((folder / "d.toml").read_text().replace("true", "false"))
    run("batch", "*.jpg", "--au", "AU12", "--generated", "-o", "out")
    run("batch", "*.jpg", "--au", "AU12", "--generated", "--quality", "fast", "-o", "out")
    run("stimuli", "d.toml", "-o", "out")
    run("stimuli", "e.toml", "-o", "out")
    full, fast, design, own = asked
    assert (full.quality, fast.quality, design.quality, own) == (
        "balanced",
        "fast",
        "balanced",
        None,
    )


@pytest.mark.usefixtures("tiny_here")
def test_inputs_that_are_not_there_count_as_failed(folder: Path) -> None:
    write_codes(folder / "codes", 1)
    (folder / "t.csv").write_text("file,au\ncodes/face000.safetensors,AU12\nnone.jpg,AU1\n")
    assert run("batch", "t.csv", "-o", "out", "--workers", "1", "--json", "r.json").exit_code == 0
    assert [row["error"] for row in manifest("out")] == [
        "", "none.jpg: cannot be read (No such file or directory)",
    ]  # fmt: skip
    throughput = json.loads((folder / "r.json").read_text())["throughput"]
    assert (throughput["items"], throughput["failed"]) == (2, 1)


# ---------------------------------------------------------------- kills


def pause_at(rows: int, until: Path) -> None:
    """Batches of this process stand still once so many rows are recorded, until a file is there.

    So what is done to them in the meantime comes in time, however slow the one who does it is.
    """
    record = batch._Batch.record

    def record_later(self: batch._Batch, outcome: Outcome) -> None:
        while len(self._out.rows) >= rows and not until.exists():
            time.sleep(0.01)
        record(self, outcome)

    batch._Batch.record = record_later  # type: ignore[method-assign]


def tiny_command(folder: Path, *options: str) -> list[str]:
    """A batch on folder/codes, on the tiny generator, in a process of its own.

    Two more arguments: the output, and the number of rows at which it waits to be killed.
    """
    script = folder / "run.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from pathlib import Path
        sys.path.insert(0, {str(TESTS)!r})
        if __name__ == "__main__":
            import test_batch
            from duchenne.cli import main
            test_batch.use_tiny_workers()
            output, rows = sys.argv[1:]
            test_batch.pause_at(int(rows), Path("go on"))
            sys.argv[1:] = ["batch", "codes", "--au", "AU12=1", *{options!r}, "-o", output]
            main()
        """)
    )
    return [sys.executable, str(script)]


def lines(journal: Path) -> int:
    return journal.read_bytes().count(b"\n") if journal.exists() else 0


@pytest.mark.slow
@pytest.mark.usefixtures("tiny_here")
def test_a_batch_that_is_killed_ends_as_one_that_was_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kill -9 in the middle; begun in processes, resumed here. Ten kills: test_engine.py."""
    monkeypatch.chdir(tmp_path)
    write_codes(tmp_path / "codes", 8)
    line = ("batch", "codes", "--au", "AU12=1", "--workers", "1", "-o")
    assert run(*line, "whole").exit_code == 0
    rng = random.Random(1)
    goal = rng.randint(1, 5)
    journal = tmp_path / "killed" / ".duchenne" / "journal"
    command = [*tiny_command(tmp_path, "--workers", "1"), "killed", str(goal + 2)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and lines(journal) <= goal:
            time.sleep(0.0005)
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
    reached = lines(journal) - 1
    assert goal <= reached < 8, "the kill came in the middle"
    recorded = journal.read_text().rpartition("\n")[0]
    pictures = (tmp_path / "killed").glob("*.png")
    kept = {p: p.stat().st_mtime_ns for p in pictures if p.name in recorded}
    assert len(kept) == reached
    assert run(*line, "killed").exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept, "what was there is made again"
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert len(manifest("whole")) == 8


def test_an_interrupted_batch_says_what_is_there(tmp_path: Path) -> None:
    write_codes(tmp_path / "codes", 6)
    command = [*tiny_command(tmp_path, "--workers", "1"), "out", "2"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while process.poll() is None and lines(tmp_path / "out" / ".duchenne" / "journal") < 3:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate()
    there = [p for p in (tmp_path / "out").iterdir() if p.name[0] != "."]
    assert {p.suffix for p in there} == {".png", ".csv"}
    assert process.returncode == 130
    assert said.splitlines()[-1] == f"duchenne: interrupted; complete are {len(there)} files in out"
