"""Standard output and error that take any text and never fail: printing costs no result.

A name may not be in the terminal's code page, a log's disk may be full, the reader of a pipe gone,
a stream closed from the start. The work goes on; what could not be said is reported at the end.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import time
from typing import Any, TextIO

NAMES = "duchenne-names"
"""How a text is written that the encoding lacks: \\u540d. Bytes of a file's name that are no text
at all become what they were."""
_WAIT = 0.01  # seconds, for a pipe that somebody made non-blocking and nobody empties


class Lasting(io.RawIOBase):
    """A raw stream that keeps its first error for later, and swallows what comes after it."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw
        self.error: OSError | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        while self.error is None:
            try:
                written: int | None = self._raw.write(data)
            except OSError as error:
                self.error = error
            else:
                if written is not None:
                    return written
                time.sleep(_WAIT)
        return len(data)

    def fileno(self) -> int:
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return bool(self._raw.isatty())


_kept: list[Any] = []  # the streams that were replaced: Python would close them
_output: Lasting | None = None


def make_lasting() -> None:
    """Replace sys.stdout and sys.stderr; call it once, before anything is opened or printed."""
    global _output
    codecs.register_error(NAMES, name_error)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file, a film perhaps, would become standard output
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdout, _output = _lasting(sys.stdout)
    sys.stderr, _ = _lasting(sys.stderr)


def _lasting(stream: TextIO | None) -> tuple[TextIO, Lasting | None]:
    if stream is None:  # closed, or a program without a console
        return open(os.devnull, "w", encoding="utf-8"), None  # noqa: PTH123
    _kept.append(stream)
    buffer = stream.buffer
    raw = Lasting(getattr(buffer, "raw", buffer))  # unbuffered (python -u), it is the raw one
    binary = io.BufferedWriter(raw)
    return io.TextIOWrapper(binary, stream.encoding, NAMES, line_buffering=True), raw


def name_error(error: UnicodeError) -> tuple[bytes, int]:
    """The codec's error handler `NAMES`."""
    assert isinstance(error, UnicodeEncodeError), "for writing only"
    text = error.object[error.start : error.end]
    return b"".join(map(_bytes_of, text)), error.end


def _bytes_of(character: str) -> bytes:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # PEP 383: a byte of a file's name that is no text
        return bytes([code - 0xDC00])
    return character.encode("ascii", "backslashreplace")


def take_failure() -> OSError | None:
    """Why standard output did not take everything, asked for once; None if it did."""
    if _output is None:
        return None
    error, _output.error = _output.error, None
    return error


def takes(text: str) -> bool:
    """Whether standard output's encoding has every character of the text."""
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return False
    return True
