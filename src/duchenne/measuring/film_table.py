"""The table of a measured film: OpenFace 2's columns by their names and units, and some more.

frame, face_id, timestamp, confidence, success, gaze, head pose, AUxx_r from 0 to 5 and AUxx_c, 0 or
1, as FeatureExtraction writes them (version 2.2.0). A frame without the face has zeros, as there.
What is above the person's own rest counts, as there; here the rest is a percentile over the film.
Ours are the units that OpenFace does not code, the left and right sides (AU12L_r), and for folders
the name of each picture.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .. import facs
from .film import Observed
from .sides import SIDED

PRESENT = 1.0  # FACS intensity A: what counts as there in the columns AUxx_c
# Percentile of a score over a film that is taken for the person's rest. A higher one followed films
# of synthetic people still better (docs/scores.md), a lower one bears units that are there longer.
REST = 30.0
FEW = 25  # frames with a face, of which fewer do not tell a rest
_BINS, _FINEST = 4000, 0.01  # of scores from -20 to 20: the quantiles of a film in flat memory

_AXES = "xyz"
_HEAD = (
    *("frame", "face_id", "timestamp", "confidence", "success"),
    *(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in _AXES),
    *("gaze_angle_x", "gaze_angle_y"),
    *(f"pose_{kind}{axis}" for kind in "TR" for axis in _AXES),
)
_SIDES = tuple((code, side) for code in SIDED for side in range(len(facs.SIDES)))


def _numbers() -> Iterator[tuple[int, str]]:
    """The numbers under which units are written, OpenFace's 45 for closed eyes among them."""
    for unit in facs.ACTION_UNITS:
        for number in (unit.number, *facs.also_known_as(unit.code)):
            yield number, unit.code


NUMBERS: tuple[tuple[int, str], ...] = tuple(sorted(_numbers()))
IMAGE = "image"


def columns(folder: bool) -> list[str]:
    """The names of the columns. folder: of a folder of pictures."""
    strengths = [_strength(number) for number, _ in NUMBERS]
    presences = [f"AU{number:02d}_c" for number, _ in NUMBERS]
    by_side = [f"AU{facs.UNITS[code].number:02d}{facs.SIDES[side]}_r" for code, side in _SIDES]
    return [*_HEAD, *strengths, *presences, *by_side, *([IMAGE] if folder else [])]


def _strength(number: int) -> str:
    return f"AU{number:02d}_r"


def row(observed: Observed, face: int, folder: bool) -> list[str]:
    """The cells of one frame, scores as they are measured: `Rest` makes them what is told.

    face: which one was asked for.
    """
    seen = observed.seen
    cells = [str(observed.number), str(face), f"{observed.time:.6f}"]
    if seen is None:
        cells += ["0"] * (len(columns(folder=False)) - len(cells))
    else:
        where = seen.head
        directions = (*where.gaze.reshape(-1), *where.gaze_angles)
        scores = [seen.scores[facs.INDEX[code]] for _, code in NUMBERS]
        cells += [f"{seen.confidence:.3f}", "1"]
        cells += _texts(directions, 4) + _texts(where.place, 1) + _texts(where.angles, 4)
        cells += _texts(scores, 3) + [str(int(score >= PRESENT)) for score in scores]
        cells += _texts([seen.by_side[facs.INDEX[code], side] for code, side in _SIDES], 3)
    return [*cells, *([observed.name] if folder else [])]


def _texts(values: Sequence[float] | np.ndarray, digits: int) -> list[str]:
    return [f"{value + 0.0:.{digits}f}" for value in np.round(values, digits)]


class Rest:
    """A person at rest over a film, learnt row by row, and taken off every row then."""

    def __init__(self) -> None:
        names = columns(folder=False)
        self._success = names.index("success")
        self._scores = [i for i, name in enumerate(names) if name.endswith("_r")]
        self._names = [names[i] for i in self._scores]
        self._present = {names.index(name): name[:-1] + "r" for name in names if name[-2:] == "_c"}
        self._counts = np.zeros((len(self._scores), _BINS), np.uint32)
        self._levels = np.zeros(len(self._scores))
        self.frames = 0

    def learn(self, cells: Sequence[str]) -> None:
        """One more row of the film."""
        if cells[self._success] == "0":
            return
        values = np.array([float(cells[i]) for i in self._scores])
        bins = np.clip(np.floor(values / _FINEST) + _BINS // 2, 0, _BINS - 1).astype(int)
        self._counts[np.arange(len(bins)), bins] += 1
        self.frames += 1

    def take(self, percentile: float) -> None:
        """From now on scores count from this percentile of what was learnt, within 0.01."""
        reached = self._counts.cumsum(axis=1) >= max(percentile / 100 * self.frames, 1)
        self._levels = (reached.argmax(axis=1) - _BINS // 2) * _FINEST

    def levels(self) -> dict[str, float]:
        """Of each Action Unit, JSON-ready: the score that counts as 0."""
        found = dict(zip(self._names, self._levels.tolist(), strict=True))
        return {code: round(found[_strength(facs.UNITS[code].number)], 3) for code in facs.CODES}

    def above(self, cells: Sequence[str]) -> list[str]:
        """A row as it is told: scores above the rest, 0 to 5."""
        told = list(cells)
        if cells[self._success] == "0":
            return told
        values = np.array([float(cells[i]) for i in self._scores]) - self._levels
        values = np.clip(values, 0, facs.FULL)
        for i, text in zip(self._scores, _texts(values, 3), strict=True):
            told[i] = text
        known = dict(zip(self._names, values, strict=True))
        for i, name in self._present.items():
            told[i] = str(int(known[name] >= PRESENT))
        return told


class Summary:
    """What a film shows, counted row by row: for --json and for the last line on the screen."""

    def __init__(self, folder: bool) -> None:
        names = columns(folder)
        self._success, self._time = names.index("success"), names.index("timestamp")
        self._units = {code: names.index(_strength(facs.UNITS[code].number)) for code in facs.CODES}
        self.frames = self.with_face = 0
        self.seconds = 0.0
        self._sums = dict.fromkeys(facs.CODES, 0.0)
        self._most = dict.fromkeys(facs.CODES, 0.0)
        self._without: list[list[int]] = []

    def add(self, cells: Sequence[str]) -> None:
        """One more row."""
        self.frames += 1
        self.seconds = float(cells[self._time])
        if cells[self._success] == "0":
            if self._without and self._without[-1][1] == self.frames - 1:
                self._without[-1][1] = self.frames
            else:
                self._without.append([self.frames, self.frames])
            return
        self.with_face += 1
        for code, column in self._units.items():
            value = float(cells[column])
            self._sums[code] += value
            self._most[code] = max(self._most[code], value)

    def facts(self) -> dict[str, object]:
        """JSON-ready; `without_face`: first and last frame of every stretch, counted from 1."""
        count = max(self.with_face, 1)
        return {
            "frames": self.frames,
            "seconds": round(self.seconds, 6),
            "frames_with_face": self.with_face,
            "without_face": self._without,
            "mean": {code: round(value / count, 3) for code, value in self._sums.items()},
            "highest": self._most,
        }
