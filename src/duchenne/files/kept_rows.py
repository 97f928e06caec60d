"""What a long job has done so far, in a hidden file beside its output: the next run goes on.

One line of JSON each, the settings first; a line counts when it is whole.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from filelock import FileLock, Timeout

from ..errors import OutputError
from .writing import reporting_disk_errors


class KeptRows:
    """Use it in a `with` block. What it holds stays there until `remove`.

    output: the file that the job writes in the end. settings: what its rows depend on, JSON-ready;
    what was kept under others is thrown away. Raises OutputError if another process works on it.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any]) -> None:
        self.path = output.with_name(f".{output.name}.partial")
        self._settings = json.loads(json.dumps(settings, sort_keys=True))
        self._lock = FileLock(output.with_name(f".{output.name}.lock"))
        self._file: IO[bytes] | None = None
        self.count = 0
        self.last: Any = None

    def __enter__(self) -> KeptRows:
        with reporting_disk_errors(self.path):
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise OutputError(
                    f"{self.path}: another duchenne is writing it; wait for it, or choose another "
                    "name"
                ) from None
            self._file = self.path.open("a+b")
            self._file.seek(0)
            self._file.truncate(self._whole())
            if self._file.tell() == 0:
                self._write(self._settings)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._file is not None
        self._file.close()
        self._lock.release()
        Path(self._lock.lock_file).unlink(missing_ok=True)

    def _whole(self) -> int:
        """Bytes up to the last whole line; 0 if the settings are others."""
        assert self._file is not None
        end = 0
        for number, line in enumerate(self._file):
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if entry is None or (number == 0 and entry != self._settings):
                break
            end += len(line)
            if number:
                self.count, self.last = number, entry
        self._file.seek(end)
        return end

    def add(self, entry: Any) -> None:
        """One more, safe on the disk when this returns."""
        with reporting_disk_errors(self.path):
            self._write(entry)
        self.count, self.last = self.count + 1, entry

    def _write(self, entry: Any) -> None:
        assert self._file is not None
        self._file.write(json.dumps(entry).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def __iter__(self) -> Iterator[Any]:
        """All entries, one after the other."""
        with self.path.open("rb") as file:
            next(file)
            yield from map(json.loads, file)

    def remove(self) -> None:
        """The job is done."""
        with reporting_disk_errors(self.path):
            self.path.unlink(missing_ok=True)
