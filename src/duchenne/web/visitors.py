"""Who is there: a cookie, a folder of their own, and the face they work on.

A visitor's folder has a random name that no request ever holds; what can be fetched is looked up
in a table by number. Folders are deleted when visitors leave, when they were idle for too long,
and when the server stops.
"""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import stat
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from ..files.writing import hold
from .jobs import Busy, Job

if TYPE_CHECKING:
    from ..measuring.live import Live
    from ..motion.timeline import Timeline
    from ..types import AlignedFace, Face, LatentCode

_SERIAL = itertools.count(1)
PREFIX = "duchenne-studio-"


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
    """One browser. folder: theirs alone. live: who is before their camera."""

    folder: Path
    seen: float
    address: str = ""
    upload: Upload | None = None
    sitter: Sitter | None = None
    recording: Timeline | None = None
    live: Live | None = None
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

    most, share: how many at a time, of all and of one address. idle_seconds: after which one counts
        as gone.
    """

    def __init__(self, most: int, idle_seconds: float, *, share: int | None = None) -> None:
        self._most, self._share, self._idle = most, share or most, idle_seconds
        self._by_token: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self.root = Path(tempfile.mkdtemp(prefix=PREFIX))  # mode 0700
        self._held = hold(self.root)  # says to others that this server lives
        _delete_of_killed_servers(self.root)

    def find(self, token: str | None) -> Visitor | None:
        """The visitor with this cookie, if there is one; they count as seen now."""
        with self._lock:
            visitor = self._by_token.get(token or "")
            if visitor is not None:
                visitor.seen = time.monotonic()
            return visitor

    def new_file(self, suffix: str) -> Path:
        """A path for what comes from somebody who is no visitor yet."""
        return self.root / f"{secrets.token_hex(8)}{suffix}"

    def enter(self, address: str = "") -> tuple[str, Visitor]:
        """A new visitor and the secret for their cookie. Raises Busy if too many are there.

        It may delete files of others, and so take a while.
        """
        self.sweep()
        with self._lock:
            self._require_room(address)
            token = secrets.token_urlsafe(32)
            folder = Path(tempfile.mkdtemp(dir=self.root))
            visitor = Visitor(folder, time.monotonic(), address)
            self._by_token[token] = visitor
            return token, visitor

    def require_room(self, address: str) -> None:
        """Busy if a new visitor from this address could not enter now."""
        with self._lock:
            self._require_room(address)

    def _require_room(self, address: str) -> None:
        still = [visitor for visitor in self._by_token.values() if not self._is_idle(visitor)]
        if len(still) >= self._most:
            raise Busy(f"{self._most} people are here already; come back in a few minutes")
        if sum(visitor.address == address for visitor in still) >= self._share:
            raise Busy(
                f"{self._share} people of your address are here already; come back in a few minutes"
            )

    def _is_idle(self, visitor: Visitor) -> bool:
        busy = visitor.job is not None and visitor.job.active
        return visitor.seen < time.monotonic() - self._idle and not busy

    def leave(self, token: str) -> None:
        """Forget a visitor and delete everything of theirs."""
        with self._lock:
            visitor = self._by_token.pop(token, None)
        if visitor is not None:
            _delete(visitor)

    def sweep(self) -> int:
        """Let go of everyone who was idle for too long and has no job; returns how many."""
        with self._lock:
            idle = [token for token, visitor in self._by_token.items() if self._is_idle(visitor)]
        for token in idle:
            self.leave(token)
        return len(idle)

    def close(self) -> None:
        """Forget all visitors and delete their files."""
        for token in list(self._by_token):
            self.leave(token)
        shutil.rmtree(self.root, ignore_errors=True)
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def __len__(self) -> int:
        return len(self._by_token)


def _delete(visitor: Visitor) -> None:
    visitor.gone = True
    if visitor.job is not None:
        visitor.job.cancel()
    visitor.sitter = visitor.upload = visitor.recording = visitor.live = None
    visitor.files.clear()
    # A job that still runs cannot put anything back: files are written beside where they belong.
    shutil.rmtree(visitor.folder, ignore_errors=True)


def _delete_of_killed_servers(own: Path) -> None:
    """Delete what visitors of other servers left that were killed: nobody holds it, and it is ours.

    A minute is left to servers that are just starting.
    """
    for other in own.parent.glob(f"{PREFIX}*"):
        try:
            status = other.lstat()
            young = status.st_mtime > own.stat().st_mtime - 60
            if other == own or young or not stat.S_ISDIR(status.st_mode):
                continue
            if status.st_uid != own.stat().st_uid or (held := hold(other)) is None:
                continue
        except OSError:
            continue
        shutil.rmtree(other, ignore_errors=True)
        os.close(held)
