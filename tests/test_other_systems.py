"""Windows and macOS, as far as one system can tell: names, missing modules, processes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from duchenne.errors import InputError
from duchenne.files.names import sameness, unportable
from duchenne.stimuli import batch, casting
from duchenne.stimuli.design import read_design

WITHOUT = ("fcntl", "grp", "pwd", "resource", "termios", "pty", "syslog")
NO_CALLS = (
    *("fork", "forkpty", "getuid", "geteuid", "getpgid", "killpg", "mkfifo", "sched_getaffinity"),
    *("sched_setaffinity", "setsid", "statvfs", "posix_fallocate", "getloadavg", "sysconf"),
)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Smile.png", "smile.PNG", True),
        ("Stra\u00dfe", "STRASSE", True),
        ("Zoe\u0308", "zo\u00eb", True),  # macOS takes letters apart
        ("smile", "smiles", False),
        ("a-b", "a_b", False),
    ],
)
def test_names_that_are_one_file(one: str, other: str, same: bool) -> None:
    assert (sameness(one) == sameness(other)) is same


@pytest.mark.parametrize(
    "name",
    ["con", "Aux.png", "set/NUL/a.png", "com1.tar.gz", "a:b", "a?", 'a"b', "a\\b", "a.", "a /b"],
)
def test_names_that_windows_cannot_have(name: str) -> None:
    assert unportable(name)


@pytest.mark.parametrize(
    "name", ["s00007_smile_both_1.00.png", "conny/lipt.png", "Zo\u00eb", ".hidden"]
)
def test_names_that_every_system_has(name: str) -> None:
    assert not unportable(name)


def design(folder: Path, text: str) -> Path:
    path = folder / "design.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            '[conditions]\nSmile = "AU12"\nsmile = "AU6"',
            "two files the same name, which on Windows",
        ),
        ('[conditions]\naux = "AU12"\n[output]\npattern = "{condition}/{identity}"', "is a device"),
        (
            '[conditions]\na = "AU12"\n[output]\npattern = "{identity}:{condition}"',
            "no name of Win",
        ),
    ],
)
def test_a_set_whose_files_some_system_cannot_have(text: str, says: str, tmp_path: Path) -> None:
    path = design(tmp_path, f"neutral = false\n{text}\n[people]\nseeds = [1]\n")
    with pytest.raises(InputError, match=says):
        read_design(path)


def test_people_who_are_one_person_elsewhere(tmp_path: Path) -> None:
    for name in ("Anna.jpg", "anna.png", "nul.jpg"):
        (tmp_path / name).write_bytes(b"x")
    for photos, says in (
        ('"Anna.jpg", "anna.png"', "case does not count"),
        ('"nul.jpg"', "device"),
    ):
        asked = read_design(design(tmp_path, f"[people]\nphotos = [{photos}]\n"))
        with pytest.raises(InputError, match=says):
            casting.named_people(asked)


def test_photos_that_differ_in_case_get_files_of_their_own(tmp_path: Path) -> None:
    for name in ("a.jpg", "A.jpg", "a.PNG", "b.jpg"):
        (tmp_path / name).touch()
    stems = [given.stem for given in batch.find_inputs(str(tmp_path), {"AU12": 1.0})]
    assert len({sameness(stem) for stem in stems}) == len(stems) == 4
    assert "b" in stems


def test_nothing_is_needed_that_posix_alone_has() -> None:
    """Every module is imported, and a folder written and locked, without what Windows lacks."""
    code = f"""
    import os, sys
    # Libraries have a way of their own on each system; here they are Linux's.
    import av, cv2, filelock, h5py, openvino, PIL.Image, pooch, psutil, scipy, tqdm, torch
    try:
        import uvicorn
    except ImportError:
        pass
    for name in {WITHOUT}:
        sys.modules[name] = None
    for name in {NO_CALLS}:
        if hasattr(os, name):
            delattr(os, name)
    import importlib, pkgutil, tempfile, duchenne
    for found in pkgutil.walk_packages(duchenne.__path__, "duchenne."):
        importlib.import_module(found.name)
    from duchenne import cores
    from duchenne.engine.capacity import crew
    from duchenne.engine.folder import OutputFolder
    assert cores.usable() >= 1 and crew().workers >= 1
    with tempfile.TemporaryDirectory() as folder, OutputFolder(folder + "/set", {{}}) as out:
        out.record("a", {{"file": "a.png"}}, b"A")
        out.finish("a")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_processes_are_started_afresh() -> None:
    """As Windows and macOS start them; a fork would also copy threads and locks."""
    package = Path(__file__).parents[1] / "src" / "duchenne"
    texts = [path.read_text() for path in package.rglob("*.py")]
    assert any('get_context("spawn")' in text for text in texts)
    for forbidden in (
        "os.fork",
        'get_context("fork',
        "multiprocessing.Process(",
        "multiprocessing.Pool(",
    ):
        assert not any(forbidden in text for text in texts)
