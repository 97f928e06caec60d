"""Who is there: a cookie, a folder of their own, and the face they work on.

A visitor's folder has a random name that no request ever holds; what can be fetched is looked up
in a table by number. Folders are deleted when visitors leave, when they were idle for too long,
and when the server stops.
"""

from __future__ import annotations

import itertools
import secrets
import shutil
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from .jobs import Busy, Job

if TYPE_CHECKING:
    from ..motion.timeline import Timeline
    from ..types import AlignedFace, Face, LatentCode

_SERIAL = itertools.count(1)


@dataclass(frozen=True)
class Sitter:
    """The face a visitor works on: its code, and where it came from.

    name: of the file as the visitor knows it, or of the sampled person. photo: its file here.
    seed: of a sampled person. quality: of its encoding, one of `Service.qualities`.
    serial: different for every sitter of this server.
    """

    name: str
    code: LatentCode
    photo: Path | None = None
    aligned: AlignedFace | None = None
    seed: int | None = None
    quality: str | None = None
    serial: int = field(default_factory=lambda: next(_SERIAL))


@dataclass(frozen=True)
class Upload:
    """A photo that came in, and the faces found in it (largest first)."""

    name: str
    path: Path
    size: tuple[int, int]
    faces: tuple[Face, ...]
    shown: Path


@dataclass(frozen=True)
class Stored:
    """A result that can be fetched. name: what the browser saves it as."""

    path: Path
    name: str
    media_type: str


@dataclass
class Visitor:
    """One browser. folder: theirs alone."""

    folder: Path
    seen: float
    upload: Upload | None = None
    sitter: Sitter | None = None
    recording: Timeline | None = None
    job: Job | None = None
    files: dict[int, Stored] = field(default_factory=dict)
    asking: int = 0  # quick questions under way
    newest: int = 0  # number of the latest preview that was asked for
    gone: bool = False

    def new_file(self, suffix: str) -> Path:
        """A path for a file of this visitor that nobody else knows."""
        return self.folder / f"{secrets.token_hex(8)}{suffix}"

    def keep(self, stored: Stored, most: int) -> int:
        """Make a result fetchable; beyond `most` the oldest is deleted. Returns its number."""
        number = next(_SERIAL)
        self.files[number] = stored
        while len(self.files) > most:
            self.files.pop(next(iter(self.files))).path.unlink(missing_ok=True)
        return number

    def require_free(self) -> None:
        """Busy if this visitor's last job has not ended."""
        if self.job is not None and self.job.active:
            raise Busy("one job at a time: wait for the one under way, or cancel it")


class Visitors:
    """All of them, by the secret in their cookie.

    most: how many at a time. idle_seconds: after which one counts as gone.
    """

    def __init__(self, most: int, idle_seconds: float) -> None:
        self._most, self._idle = most, idle_seconds
        self._by_token: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self.root = Path(tempfile.mkdtemp(prefix="duchenne-studio-"))  # mode 0700

    def find(self, token: str | None) -> Visitor | None:
        """The visitor with this cookie, if there is one; they count as seen now."""
        with self._lock:
            visitor = self._by_token.get(token or "")
            if visitor is not None:
                visitor.seen = time.monotonic()
            return visitor

    def enter(self) -> tuple[str, Visitor]:
        """A new visitor and the secret for their cookie. Raises Busy if too many are there."""
        self.sweep()
        with self._lock:
            if len(self._by_token) >= self._most:
                raise Busy(f"{self._most} people are here already; come back in a few minutes")
            token = secrets.token_urlsafe(32)
            folder = Path(tempfile.mkdtemp(dir=self.root))
            visitor = self._by_token[token] = Visitor(folder, time.monotonic())
            return token, visitor

    def leave(self, token: str) -> None:
        """Forget a visitor and delete everything of theirs."""
        with self._lock:
            visitor = self._by_token.pop(token, None)
        if visitor is not None:
            _delete(visitor)

    def sweep(self) -> int:
        """Let go of everyone who was idle for too long and has no job; returns how many."""
        limit = time.monotonic() - self._idle
        with self._lock:
            idle = [
                token
                for token, visitor in self._by_token.items()
                if visitor.seen < limit and not (visitor.job and visitor.job.active)
            ]
        for token in idle:
            self.leave(token)
        return len(idle)

    def close(self) -> None:
        """Forget all visitors and delete their files."""
        for token in list(self._by_token):
            self.leave(token)
        shutil.rmtree(self.root, ignore_errors=True)

    def __len__(self) -> int:
        return len(self._by_token)


def _delete(visitor: Visitor) -> None:
    visitor.gone = True
    if visitor.job is not None:
        visitor.job.cancel()
    visitor.sitter = visitor.upload = visitor.recording = None
    visitor.files.clear()
    # A job that still runs cannot put anything back: files are written beside where they belong.
    shutil.rmtree(visitor.folder, ignore_errors=True)
