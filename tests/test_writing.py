"""Files that appear whole: their temporary names, links, locks, and what killed runs leave."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command_line import done

from duchenne import facs
from duchenne.errors import OutputError
from duchenne.evaluate.kept import Kept
from duchenne.files import films, pictures, writing
from duchenne.files.film_formats import FORMATS
from duchenne.motion.timeline import Timeline

GREY = np.full((64, 64, 3), 90, np.uint8)
LONG = "\N{GRINNING FACE}" * 62  # 248 bytes, and four of a suffix: the most are 255
LINE = Timeline(np.zeros((2, len(facs.CODES))), 24)


@pytest.fixture(autouse=True)
def _read_anew() -> None:
    writing._leftovers.cache_clear()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [*pictures.STILLS, *FORMATS, ".csv", ".safetensors"])
def test_the_longest_names_are_written(suffix: str, tmp_path: Path) -> None:
    stem = LONG if len(suffix) <= 4 else LONG[:-2]
    path = tmp_path / f"{stem}{suffix}"
    if suffix in pictures.STILLS:
        pictures.save_image(GREY, path)
    elif suffix in FORMATS:
        films.write_frames([GREY, GREY], path, fps=24, timeline=LINE)
        assert path.with_suffix(".csv").is_file()
    else:
        with writing.replacing(path) as fresh:
            fresh.write_text("whole")
    assert path.is_file()
    assert not [name for name in names(tmp_path) if name.startswith(".")]


@pytest.mark.parametrize("name", ["x" * 252 + ".png", LONG + "\N{GRINNING FACE}.mp4"])
def test_a_name_too_long_is_one_line(name: str, tmp_path: Path) -> None:
    check = pictures.check_writable if name.endswith("png") else films.check_writable
    with pytest.raises(OutputError, match="File name too long"):
        check(tmp_path / name)


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    for name in ("a.png", "a.mp4", "a.csv"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / f"far_{name}")
    pictures.save_image(GREY, tmp_path / "a.png")
    films.write_frames([GREY], tmp_path / "a.mp4", fps=24, timeline=LINE)
    assert names(tmp_path / "disk") == ["far_a.csv", "far_a.mp4", "far_a.png"]
    assert all((tmp_path / name).is_symlink() for name in ("a.png", "a.mp4", "a.csv"))


def test_a_linked_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk" / "frames").mkdir(parents=True)
    (tmp_path / "frames").symlink_to(tmp_path / "disk" / "frames")
    for count in (1, 2):
        films.write_frames([GREY] * count, tmp_path / "frames", fps=24)
        assert (tmp_path / "frames").is_symlink()
        assert len(names(tmp_path / "disk" / "frames")) == count
    assert names(tmp_path / "disk") == ["frames"]
    assert names(tmp_path) == ["disk", "frames"]


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "a.png")
    (tmp_path / "c.png").symlink_to("/dev/full")
    (tmp_path / "d.png").symlink_to(tmp_path / "no" / "d.png")
    for name, word in {"a": "circle", "c": "regular file", "d": "create it first"}.items():
        with pytest.raises(OutputError, match=word):
            pictures.save_image(GREY, tmp_path / f"{name}.png")


# ---------------------------------------------------------------- killed runs

KILLED = """
import os, signal, sys
import numpy as np
from duchenne.files import films
def frames():
    yield np.zeros((64, 64, 3), np.uint8)
    if sys.argv[2] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    print("here", flush=True)
    sys.stdin.read()
films.write_frames(frames(), sys.argv[1], fps=24)
"""


def age(folder: Path) -> None:
    for path in folder.glob(".*"):
        os.utime(path, (0, 0))


@pytest.mark.parametrize("name", ["out.mp4", "out.gif", "out"])
def test_what_a_killed_run_left_is_removed_later(name: str, tmp_path: Path) -> None:
    path = str(tmp_path / name)
    subprocess.run([sys.executable, "-c", KILLED, path, "kill"], check=False)
    assert any(writing.TEMPORARY.fullmatch(left) for left in names(tmp_path))
    films.write_frames([GREY], path, fps=24)
    assert len(names(tmp_path)) > 1  # it may still be one that is being begun
    age(tmp_path)
    writing._leftovers.cache_clear()
    films.write_frames([GREY], path, fps=24)
    assert names(tmp_path) == [name]


def test_what_is_being_written_or_is_not_ours_stays(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    others = [".out.0a1b2c3d.webm", ".other.0a1b2c3d.mp4", ".out.0a1b2c3.mp4", ".out.x.mp4"]
    for name in others:
        (tmp_path / name).touch()
    old = tmp_path / ".frames.0a1b2c3d.old"
    old.mkdir()
    command = [sys.executable, "-c", KILLED, str(path), "live"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (alive,) = set(names(tmp_path)) - {*others, old.name}
        age(tmp_path)
        films.write_frames([GREY], path, fps=24)
        films.write_frames([GREY], tmp_path / "frames", fps=24)
        assert {alive, *others, old.name} <= set(names(tmp_path))
        process.communicate()
    assert process.returncode == 0
    assert alive not in names(tmp_path)


# ---------------------------------------------------------------- two with one output

RACE = """
import sys
import time
import numpy as np
from duchenne import facs
from duchenne.files import films
from duchenne.motion.timeline import Timeline
value = int(sys.argv[2])
for _ in range(40):
    line = Timeline(np.full((value, len(facs.CODES)), value / 10), 24)
    frames = [np.full((64, 64, 3), 20 * value + i, np.uint8) for i in range(value)]
    films.write_frames(frames, sys.argv[1], fps=24, timeline=line)
"""


@pytest.mark.parametrize("name", ["out.mp4", "out"])
def test_film_and_table_are_of_one_process(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    commands = [[sys.executable, "-c", RACE, str(path), str(value)] for value in (2, 7)]
    running = [subprocess.Popen(command, stderr=subprocess.PIPE) for command in commands]
    ended = [process.communicate()[1].decode() for process in running]
    assert not any("Error" in said for said in ended), ended
    with films.sidecar_path(path).open() as file:
        count = len(list(csv.DictReader(file)))
    shown = len(names(path)) if path.is_dir() else len(list(films.read_video(path)))
    assert shown == count
    assert len(names(tmp_path)) == 2


# ---------------------------------------------------------------- caches


@pytest.mark.usefixtures("tiny_studio")
def test_a_cache_that_cannot_be_written_costs_no_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "file").touch()  # no folder can be made in it, whoever asks
    monkeypatch.setenv("DUCHENNE_CACHE", str(folder / "file"))
    done("encode", "photo.jpg", "--steps", "1", "-o", "code.safetensors")
    assert (folder / "code.safetensors").is_file()
    assert caplog.text.count("not kept for the next time") == 1
    caplog.clear()
    assert Kept(folder / "file" / "kept").get("a", {"b": 1}, lambda: [2]) == [2]
    assert caplog.text.count("not kept for the next time") == 1


@pytest.mark.usefixtures("tiny_studio")
def test_a_full_disk_under_the_cache_costs_no_result(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    whole = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if path.parent.name != "codes":
            return whole(path, content)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    done("encode", "photo.jpg", "--steps", "1", "-o", "code.safetensors")
    assert (folder / "code.safetensors").is_file()
    assert "No space left" in caplog.text


def test_a_folder_named_in_two_ways_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The frames' folder is known by its whole path, their table by its name alone."""
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    films.write_frames([GREY, GREY], "frames/", fps=24, timeline=LINE)
    assert time.monotonic() - start < writing._PATIENCE / 2
    assert names(tmp_path) == ["frames", "frames.csv"]
