"""The table beside an edited film: what was added to every frame, and where a face was seen."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..faces.regions import SLOTS
from ..files import pictures
from ..files.writing import replacing, reporting_disk_errors
from .film import Shown

_OF_SIDE = [[i for i, slot in enumerate(SLOTS) if slot.endswith(side)] for side in facs.SIDES]


@contextmanager
def tabled(
    frames: Iterable[Shown], path: Path, uneven: NDArray[np.bool_]
) -> Iterator[Iterator[Shown]]:
    """The same frames; their table is written line by line while they pass, and appears whole at
    the end of the block, if nothing went wrong in it.

    frame (from 1), time in seconds, face (0 or 1), presence (0 to 1), and what was added of each
    Action Unit. uneven: [U], those that have a column for either side too. OutputError.
    """
    pictures.check_writable(path, (".csv",))
    both = np.flatnonzero(uneven)
    names = [facs.CODES[unit] + side for unit in both for side in facs.SIDES]
    with (
        replacing(path) as temporary,
        reporting_disk_errors(path),
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["frame", "time", "face", "presence", *facs.CODES, *names])

        def passing() -> Iterator[Shown]:
            for shown in frames:
                sides = _sides(shown.table)
                values = [*sides.mean(axis=1), *sides[both].ravel()]
                frame = shown.frame
                cells = [frame.index + 1, f"{frame.time:.6f}", int(shown.presence > 0)]
                table.writerow([*cells, f"{shown.presence:.3f}", *(f"{v:.6g}" for v in values)])
                yield shown

        yield passing()


def _sides(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """[U, 8], in `regions.SLOTS` -> [U, 2], on `facs.SIDES`: a unit lies in one area only."""
    return np.stack([table[:, slots].sum(axis=1) for slots in _OF_SIDE], axis=1)
