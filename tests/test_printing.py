"""Whatever is printed, and wherever it goes, no result is lost by it."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import tiny

from duchenne.cli import streams
from duchenne.files import codes

# The program as it is installed, on the tiny generator.
MODULE = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import tiny
from duchenne import animate, cli
animate.Studio = tiny.TinyStudio
tiny.see_golden()
cli.main()
"""
NAME = "名前 é\U0001f600 \udcff"  # no code page has all of it, and the last is no text at all
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no full device here")


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", MODULE, *arguments]
    return subprocess.run(command, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload]


def environment(encoding: str) -> Mapping[str, str]:
    return {**os.environ, "PYTHONIOENCODING": encoding}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "anna.safetensors"
    codes.write_code(tiny.TinyStudio().sample(1).code, path)
    return path


def film(code: Path, name: str = NAME) -> tuple[list[str], Path]:
    """A command that makes a short film and its table; the film's path."""
    path = code.parent / f"{name}.gif"
    return ["animate", str(code), "--au", "AU12", "--frames", "2", "-o", str(path)], path


def test_a_name_outside_the_code_page(code: Path) -> None:
    arguments, path = film(code)
    record = code.parent / "record.json"
    done = program(
        *arguments, "--json", str(record), stdout=subprocess.PIPE, env=environment("cp1252")
    )
    assert done.returncode == 0, done.stderr
    assert path.is_file()
    with path.with_suffix(".csv").open(newline="") as table:
        assert len(list(csv.reader(table))) == 3
    assert record.is_file()
    assert len(done.stdout.splitlines()) == 2  # the film and its table


@full
def test_a_full_device_costs_an_announcement_only(code: Path) -> None:
    arguments, path = film(code, "smile")
    with open("/dev/full", "wb") as device:  # noqa: PTH123
        done = program(*arguments, stdout=device)
    assert done.returncode == 0, done.stderr
    assert path.is_file()
    assert path.with_suffix(".csv").is_file()
    said = done.stderr.decode().splitlines()[-1]
    assert said.startswith("duchenne: warning: standard output: could not be written (No space")
    assert said.endswith("smile.csv")


def test_streams_that_are_closed(code: Path) -> None:
    """Neither does a film become standard output, which any library may print to."""
    arguments, path = film(code, "smile")
    script = f"import os; os.closerange(0, 3); os.execv({sys.executable!r}, "
    script += f"{[sys.executable, '-c', MODULE, *arguments]!r})"
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == 0
    assert path.read_bytes().startswith(b"GIF89a")
    assert path.with_suffix(".csv").is_file()


@full
@pytest.mark.parametrize(
    "arguments", [["weights", "list"], ["weights", "--help"], ["--help"], ["--version"]]
)
def test_what_is_printed_only_is_not_lost_in_silence(arguments: list[str]) -> None:
    command = [sys.executable, "-c", "from duchenne.cli import main; main()", *arguments]
    with open("/dev/full", "wb") as device:  # noqa: PTH123
        done = subprocess.run(command, stdout=device, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 6
    assert done.stderr.decode() == (
        "duchenne: error: standard output: could not be written (No space left on device)\n"
    )


def test_json_on_a_poor_terminal_is_json() -> None:
    command = [sys.executable, "-c", JSON_OF_A_NAME]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment("cp1252"))
    assert json.loads(done.stdout)["settings"]["name"] == "é名\U0001f600"


JSON_OF_A_NAME = """
from duchenne.cli import run, streams
streams.make_lasting()
run.Run("none", {"name": "\\u00e9\\u540d\\U0001f600"}, "-").finish()
"""


def test_every_character_is_written_in_any_encoding() -> None:
    codecs.register_error(streams.NAMES, streams.name_error)
    assert "é名".encode("ascii", streams.NAMES) == rb"\xe9\u540d"
    assert NAME.encode("utf-8", streams.NAMES) == "名前 é\U0001f600 ".encode() + b"\xff"


def test_a_stream_keeps_its_first_error_and_takes_the_rest() -> None:
    class Broken(io.RawIOBase):
        def __init__(self) -> None:
            self.errors = [OSError(5, "gone"), OSError(28, "full")]
            self.waits = 2

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int | None:
            if self.waits:
                self.waits -= 1
                return None  # a non-blocking pipe that is full
            raise self.errors.pop(0)

    lasting = streams.Lasting(Broken())
    assert [lasting.write(b"12"), lasting.write(b"345")] == [2, 3]
    assert lasting.error is not None
    assert lasting.error.strerror == "gone"


BAR = """
from duchenne.cli import streams
streams.make_lasting()
from duchenne.cli.run import with_bar
assert sum(with_bar(range(3), 3, "rendering")) == 3
"""


def test_a_bar_is_for_terminals() -> None:
    """In a pipe, a log and a notebook nothing is said; a terminal is left as it was."""
    piped = subprocess.run([sys.executable, "-c", BAR], capture_output=True, check=True)
    assert (piped.stdout, piped.stderr) == (b"", b"")
    pty = pytest.importorskip("pty", reason="no terminal can be made here")
    import fcntl
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    subprocess.run([sys.executable, "-c", BAR], stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 4096).decode()  # all of it: the program has ended
    os.close(ours)
    assert "rendering:   0%|" in shown
    assert "| 0/3 [" in shown
    assert shown.endswith("\r")
    assert shown.split("\r")[-2].strip() == ""
