"""Files that appear whole or not at all, and what a killed program left of them.

A file is written beside its final name and renamed when it is complete. Until then its writer holds
a lock on it, which the system frees when the process dies: so a later run can tell what is dead.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: nothing is locked, and so nothing counts as dead
    fcntl = None  # type: ignore[assignment]

from ..errors import OutputError

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}(\.\w+)?")
"""The names of files that are being written."""

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)  # no room: on the disk, in a file, for a user
_SHOWN = 40  # bytes of the final name in a temporary one: a name may have 255
_PATIENCE = 5.0  # seconds; a turn takes milliseconds, but its holder may have been stopped
_YOUNG = 60.0  # seconds in which a file without a lock may be one that is just being made


@contextmanager
def reporting_disk_errors(path: Path) -> Iterator[None]:
    """Turn an OSError (a full disk, a vanished folder) into the OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{path}: could not be written ({reason(error)})") from error


def reason(error: OSError) -> str:
    """What went wrong, without the name of a temporary file, and what to do about a full disk."""
    what = str(error.strerror or error)
    return f"{what}; make room, or write elsewhere" if error.errno in FULL else what


def followed(path: Path) -> Path:
    """Where an output goes: a link stays, and what it names is written.

    Raises OutputError for a link that leads in a circle.
    """
    if not path.is_symlink():
        return path
    end = Path(os.path.realpath(path))
    if end.is_symlink():
        raise OutputError(f"{path}: is a link that leads in a circle; give another name")
    return end


def shortened(name: str) -> str:
    """The beginning of a name, so short that something may be added; whole characters."""
    return os.fsencode(name)[:_SHOWN].decode("utf-8", "ignore")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path`, with its suffix, that takes its place when the block ends.

    On any exception, an interrupt included, it is removed and an old file at `path` stays as it
    was. Where `path` is a link, the file that it names is replaced. Raises OutputError if the file
    cannot be made or moved.
    """
    with temporary(path) as fresh:
        yield fresh
        settle({fresh: path})


@contextmanager
def temporary(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """An empty file, or folder, beside `path` and with its suffix; gone when the block ends.

    What killed runs left of the same output is removed first. Raises OutputError.
    """
    end = followed(path)
    stem, suffix = (end.name, "") if folder else (path.stem, path.suffix)
    shown = shortened(stem)
    with reporting_disk_errors(path):
        while True:
            fresh = end.with_name(f".{shown}.{secrets.token_hex(4)}{suffix}")
            fresh.mkdir() if folder else fresh.touch(exist_ok=False)
            lock = hold(fresh)
            if lock is None or _is(lock, fresh):
                break
            os.close(lock)  # another run took it for dead before it was locked
    try:
        _remove_dead(fresh, f".{shown}.", suffix)
        yield fresh
    finally:
        _remove(fresh)
        if lock is not None:
            os.close(lock)


def settle(finished: Mapping[Path, Path]) -> None:
    """Give finished files and folders of `temporary` their final names.

    finished: temporary -> final path. Several are one step for every other process that does the
    same: two runs with one output leave the files of one of them. Raises OutputError.
    """
    ends = {fresh: (path, followed(path)) for fresh, path in finished.items()}
    for fresh, (path, _) in ends.items():
        if fresh.is_file():
            with reporting_disk_errors(path), fresh.open("rb") as file:
                os.fsync(file.fileno())  # the name must not change before the bytes are safe
    with ExitStack() as turns:
        if len(ends) > 1 or any(fresh.is_dir() for fresh in ends):
            # By their real paths: one folder twice would be waited for in vain.
            for parent in sorted({os.path.realpath(end.parent) for _, end in ends.values()}):
                turns.enter_context(_turn(Path(parent)))
        for fresh, (path, end) in ends.items():
            with reporting_disk_errors(path):
                if fresh.is_dir():
                    _replace_folder(fresh, end)
                else:
                    fresh.replace(end)


def _replace_folder(fresh: Path, path: Path) -> None:
    """Two renames; killed between them, the old folder is beside it as .NAME.xxxxxxxx.old."""
    retired = fresh.with_name(f"{fresh.name}.old")
    if path.exists():
        path.rename(retired)
    try:
        fresh.rename(path)
    except OSError:
        if retired.exists():
            retired.rename(path)
        raise
    shutil.rmtree(retired, ignore_errors=True)


# ---------------------------------------------------------------- locks


def hold(path: Path) -> int | None:
    """A file descriptor that holds the lock of a file or folder; None if it cannot be had.

    The system lets go of it when the process ends, however that is.
    """
    if fcntl is None:
        return None
    try:
        held = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another, or a disk without locks
        os.close(held)
        return None
    return held


def _is(held: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(held), path.stat())
    except OSError:
        return False


@contextmanager
def _turn(folder: Path) -> Iterator[None]:
    """Nobody else has a turn in this folder meanwhile, unless they keep theirs for too long."""
    end = time.monotonic() + _PATIENCE
    while (held := hold(folder)) is None and fcntl is not None and time.monotonic() < end:
        time.sleep(0.005)
    try:
        yield
    finally:
        if held is not None:
            os.close(held)


# ---------------------------------------------------------------- the dead


@functools.lru_cache(maxsize=8)
def _leftovers(folder: Path) -> tuple[str, ...]:
    """Names that look temporary; read once, for a folder may hold thousands of other files."""
    with suppress(OSError):
        return tuple(name for name in os.listdir(folder) if TEMPORARY.fullmatch(name))  # noqa: PTH208
    return ()


def _remove_dead(fresh: Path, start: str, suffix: str) -> None:
    """Remove what killed runs left of this output: nobody holds its lock, and it is not new."""
    known = _leftovers(fresh.parent)
    for name in known:
        digits = name.removeprefix(start).removesuffix(suffix)
        other = fresh.with_name(name)
        if name != start + digits + suffix or not re.fullmatch("[0-9a-f]{8}", digits):
            continue
        if other == fresh or (held := hold(other)) is None:
            continue
        try:
            if fresh.stat().st_mtime - other.stat().st_mtime > _YOUNG:  # by the disk's own clock
                for part in known:  # a format may have kept frames beside the file
                    if suffix and part.rpartition(".")[0] == start + digits:
                        _remove(fresh.with_name(part))
                _remove(other)
        except OSError:
            pass  # its owner, or another run, was faster
        finally:
            os.close(held)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
