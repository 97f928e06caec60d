"""Whose rows a recording's are: one face among several, under several labels, in order of time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .coded import CodedTable

Array = NDArray[np.float64]
Places = NDArray[np.int64]

CROWDED = 0.5  # of the frames hold several faces without names: a place tells them apart
# Nobody moves so: by more than the width of a face, at more than so many widths a second.
JUMP, JUMP_SPEED = 1.0, 5.0
_SHOWN = 4  # labels in a note


@dataclass(frozen=True)
class Followed:
    """rows: [m] places of the followed face's rows, one a frame, in order. keys: [m] its frames."""

    rows: Places
    keys: Array


def follow(table: CodedTable, keys: Array, face: str | None, notes: list[str]) -> Followed:
    """One row a frame: of the asked face, or of the one with the most trusted frames.

    Labels that never share a frame with it are taken for the same face, which is noted. Raises
    InputError for a face that is not there, and for two recordings in one table.
    """
    chosen = np.flatnonzero(_one_face(table, keys, face, notes))
    rows = _one_a_frame(table, keys, chosen, notes)
    if (np.diff(keys[rows]) < 0).any():
        notes.append("rows were not in the order of time: sorted")
        rows = rows[np.argsort(keys[rows], kind="stable")]
    return Followed(rows, keys[rows])


def _one_face(
    table: CodedTable, keys: Array, face: str | None, notes: list[str]
) -> NDArray[np.bool_]:
    """[n] the rows of the followed face, whatever it is called."""
    known = list(dict.fromkeys(name for name in table.faces.tolist() if name))
    if face is not None and face not in known:
        there = ", ".join(known) if known else "none is named"
        raise InputError(f"{table.path}: there is no face {face!r}; in the file: {there}")
    if not known:
        return np.ones(len(keys), bool)
    frames = {name: set(keys[table.faces == name].tolist()) for name in known}
    counts = Counter(table.faces[table.trusted].tolist())
    by_count = sorted(known, key=lambda name: -counts[name])
    joined = by_count[:1] if face is None else [face]
    seen = set(frames[joined[0]])
    for name in by_count if face is None else ():
        if seen.isdisjoint(frames[name]):
            joined.append(name)
            seen |= frames[name]
    if len(known) > 1:
        joined.sort(key=known.index)
        share = len(seen) / len(np.unique(keys))
        shown = ", ".join(known[:_SHOWN]) + (", ..." if len(known) > _SHOWN else "")
        names = " and ".join(joined) if len(joined) <= _SHOWN else f"{len(joined)} of them"
        alone = "" if len(joined) == 1 else ", which are never in one frame and taken for one face"
        notes.append(
            f"{len(known)} faces ({shown}): following {names}{alone}, in {100 * share:.0f} % of "
            "the frames"
        )
    return np.isin(table.faces, joined)


def _one_a_frame(table: CodedTable, keys: Array, chosen: Places, notes: list[str]) -> Places:
    """The chosen rows, of each frame the one with the best score, then the nearest to before."""
    groups: dict[float, list[int]] = {}
    for row in chosen.tolist():
        groups.setdefault(keys[row], []).append(row)
    several = sum(len(rows) > 1 for rows in groups.values())
    if not several:
        return chosen
    back = np.flatnonzero(np.diff(keys[chosen]) < 0)
    if len(back):
        _refuse_restart(table, int(chosen[back[0] + 1]))
    crowded = several > CROWDED * len(groups) and not np.isnan(table.widths[chosen]).any()
    kept: list[int] = []
    before: int | None = None
    for rows in groups.values():
        best = max(rows, key=lambda row: _rank(table, row, before, by_place=crowded))
        kept.append(best)
        before = best if table.trusted[best] or before is None else before
    if crowded:
        notes.append(
            f"several faces without names in {several} of {len(groups)} frames: following the one "
            "that is nearest to where it was"
        )
    else:
        notes.append(
            f"{len(chosen) - len(kept)} of {len(chosen)} rows dropped, of frames with more than "
            "one: the best score is kept, then the nearest face"
        )
    return np.array(kept)


def _rank(
    table: CodedTable, row: int, before: int | None, *, by_place: bool
) -> tuple[float, float, float]:
    """What is compared of a frame's rows; the first of equal ones wins."""
    score = float(np.nan_to_num(table.scores[row], nan=-1.0))
    apart = 0.0 if before is None else _apart(table, before, row)
    near = -float(np.nan_to_num(apart, nan=np.inf))
    trusted = float(table.trusted[row])
    return (trusted, near, score) if by_place and before is not None else (trusted, score, near)


def _refuse_restart(table: CodedTable, row: int) -> None:
    names = table.names()
    files = "" if names is None else " (" + ", ".join(dict.fromkeys(names.tolist())) + ")"
    raise InputError(
        f"{table.path} line {table.lines[row]}: the frames start again; the table holds more than "
        f"one recording{files if len(files) < 200 else ''}, give one of them"
    )


def _apart(table: CodedTable, one: int, other: int) -> float:
    """How far two rows' faces are apart, in widths of a face; NaN if nobody says."""
    distance = np.hypot(*(table.centres[one] - table.centres[other]))
    return float(distance / max((table.widths[one] + table.widths[other]) / 2, 1e-9))


def note_jumps(table: CodedTable, times: Array, notes: list[str]) -> None:
    """Say where a face is suddenly elsewhere. table: in order; times: [n] seconds."""
    rows = np.flatnonzero(table.trusted & ~np.isnan(table.widths))
    jumps = []
    for one, other in zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True):
        apart = _apart(table, one, other)
        if apart > JUMP and apart > JUMP_SPEED * (times[other] - times[one]):
            jumps.append(other)
    if jumps:
        more = f" and {len(jumps) - 1} times more" if len(jumps) > 1 else ""
        notes.append(
            f"the face jumps at {times[jumps[0]]:.2f} s (line {table.lines[jumps[0]]}){more}: it "
            "may be another person from there"
        )
