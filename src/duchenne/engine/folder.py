"""An output folder with one writer, which knows what it holds: kill it, run it again, it goes on.

    DIR/.duchenne/lock       held by the running process; the system frees it when that dies
    DIR/.duchenne/journal    one line of JSON for every finished row, flushed before the next

A file is moved into place whole, and only then recorded. So after a kill at any moment every
recorded file is there, and a file without a record is made again with the same bytes. A finished
folder has its journal in the order of the design and not of the clock: two runs of the same
design leave equal folders, hidden files included.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from ..errors import OutputError
from ..files import codes
from ..files.writing import TEMPORARY, reporting_disk_errors
from ..reading import places

PRIVATE = ".duchenne"
FORMAT = "duchenne-journal-1"

Row = Mapping[str, Any]


class OutputFolder:
    """The folder of one run; use it in a `with` block.

    settings: what every file depends on, JSON-ready; another run must have the same ones to go on.
    Raises OutputError if another process is writing here, if the folder holds other files, or
    belongs to other settings.
    """

    def __init__(self, folder: str | Path, settings: Mapping[str, Any]) -> None:
        self.path = Path(folder)
        self.settings = json.loads(json.dumps(settings, sort_keys=True))
        self.rows: dict[str, dict[str, Any]] = {}
        private = self.path / PRIVATE
        self._journal = private / "journal"
        self._lock = FileLock(private / "lock")

    def __enter__(self) -> OutputFolder:
        if (
            places.is_folder(self.path)
            and any(self.path.iterdir())
            and not self._journal.parent.is_dir()
        ):
            raise OutputError(
                f"{self.path}: holds files of something else; give a new or an empty folder"
            )
        with reporting_disk_errors(self.path):
            self._journal.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise OutputError(
                    f"{self.path}: another duchenne is writing into this folder; wait for it, or "
                    "give another folder"
                ) from None
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def _open(self) -> None:
        with reporting_disk_errors(self.path):
            for path in self.path.rglob(".*"):  # what a killed run was writing
                if TEMPORARY.fullmatch(path.name) and path.is_file():
                    path.unlink()
        lines = self._lines()
        if lines:
            self._require_same(lines[0]["settings"])
        self.rows = {row["key"]: row for row in lines[1:]}
        self._rewrite(self.rows.values())  # without half a line at its end

    def _lines(self) -> list[Any]:
        """The journal's lines; the last one may be cut off by a kill or a full disk."""
        if not self._journal.exists():
            return []
        with reporting_disk_errors(self._journal):
            text = self._journal.read_text("utf-8")
        lines = []
        for number, line in enumerate(text.splitlines(), 1):
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                if number < len(text.splitlines()):
                    raise OutputError(
                        f"{self._journal}: line {number} is damaged; give an empty folder"
                    ) from None
        if lines and not _is_journal(lines):
            raise OutputError(
                f"{self._journal}: is no journal of this version; what the folder holds stays: run "
                "the same command into a new folder"
            )
        return lines

    def _require_same(self, recorded: Mapping[str, Any]) -> None:
        names = sorted({*recorded, *self.settings})
        differing = [name for name in names if recorded.get(name) != self.settings.get(name)]
        if "version" in differing or set(recorded) != set(self.settings):
            raise OutputError(
                f"{self.path}: was begun by another version of duchenne ({', '.join(differing)} "
                "differ), which draws otherwise; what the folder holds stays: run the same command "
                "into a new folder"
            )
        if differing:
            raise OutputError(
                f"{self.path}: was begun with other settings ({', '.join(differing)}); give an "
                "empty folder, or the old settings to go on"
            )

    def has(self, key: str) -> bool:
        """Whether a row is recorded and its file, if it has one, is still what was written."""
        row = self.rows.get(key)
        if row is None or not row.get("file"):
            return row is not None
        path = self.path / row["file"]
        return path.is_file() and sha256_of(path) == str(row["sha256"])

    def record(self, key: str, row: Row, content: bytes | None = None) -> None:
        """Put a file in place (named by row["file"], below the folder) and note its row.

        The row gets the file's sha256. None: a row about a file that could not be made.
        """
        entry: dict[str, Any] = {"key": key, **row}
        if content is not None:
            self.write(row["file"], content)
            entry["sha256"] = hashlib.sha256(content).hexdigest()
        self.rows[key] = entry
        with reporting_disk_errors(self._journal), self._journal.open("a", encoding="utf-8") as out:
            out.write(_line(entry))
            out.flush()
            os.fsync(out.fileno())

    def write(self, name: str, content: bytes) -> None:
        """A file below the folder, whole or not at all."""
        path = self.path / name
        with reporting_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        codes.write_atomically(content, path)

    def remove(self, names: Iterable[str]) -> None:
        """Delete files below the folder; those that are gone already do not matter."""
        for name in names:
            with reporting_disk_errors(self.path / name):
                (self.path / name).unlink(missing_ok=True)

    def write_table(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        """A CSV with these columns; what a row lacks stays empty."""
        text = io.StringIO()
        table = csv.DictWriter(text, columns, restval="", extrasaction="ignore")
        table.writeheader()
        table.writerows(rows)
        self.write(name, text.getvalue().encode(errors="surrogateescape"))

    def finish(self, order: Iterable[str]) -> None:
        """The journal in its final order; rows that the order does not name are dropped."""
        self.rows = {key: self.rows[key] for key in order}
        self._rewrite(self.rows.values())

    def _rewrite(self, rows: Iterable[Row]) -> None:
        head = {"format": FORMAT, "settings": self.settings}
        codes.write_atomically("".join(map(_line, (head, *rows))).encode(), self._journal)


def _is_journal(lines: Sequence[Any]) -> bool:
    """Whether the first line has format and settings, and the others, which are rows, keys."""
    if not all(isinstance(line, dict) for line in lines) or lines[0].get("format") != FORMAT:
        return False
    return isinstance(lines[0].get("settings"), dict) and all("key" in row for row in lines[1:])


def sha256_of(path: Path) -> str:
    """Of a file's content, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry, sort_keys=True) + "\n"
