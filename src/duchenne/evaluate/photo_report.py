"""Edits of real photos as tables, requirements and sheets, one way beside another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..animate import Subject
from ..files import sheets
from ..measuring.identity import DLIB, FACENET, JUDGES
from ..types import Pixels
from . import metrics
from .bars import Bar
from .photos import EDITS, FULL, Edited, name_of, photo_of, shown

Array = NDArray[np.float64]
Ways = Mapping[str, Edited]
"""Way of making the pictures -> what it did; the first is the one that requirements are made of."""

ROOM = 0.6  # a face that shows more of an Action Unit already is not asked to show all of it more
RESPONDS = metrics.RESPONDS / facs.FULL  # of the full action
LEAK = 0.2  # the most that other Action Units may change, as a part of the asked change
SHARP = (0.8, 1.25)  # sharpness that looks like the photo's
SHOWN = 6  # edits of a sheet
TILE = 512  # px of a sheet's pictures
NAMES = tuple(EDITS)
EXPRESSIONS = tuple(facs.EXPRESSIONS)
COLUMNS: Mapping[str, str] = {
    "asked": "asked change",
    "leakage": "leakage",
    **{judge.key: f"distance ({judge.name})" for judge in JUDGES.values()},
    "outside": "largest change outside (levels)",
    "sharpness": "sharpness",
}


def asked_change(edited: Edited) -> Array:
    """[P, E] measured change of what was asked: of one Action Unit, or the mean of several.

    For an expression each counts as a part of what was asked of it, so that 1 is as asked.
    """
    found = np.zeros(edited.change.shape[:2])
    for e, name in enumerate(NAMES):
        wanted = _whole(name)
        parts = [edited.change[:, e, facs.INDEX[code]] / value for code, value in wanted.items()]
        found[:, e] = np.mean(parts, axis=0)
        if len(wanted) == 1 and name not in EXPRESSIONS:
            found[:, e] *= next(iter(wanted.values()))
    return found


def leakage(edited: Edited) -> Array:
    """[P, E] mean size of the change of what was not asked, nor is tied to it by anatomy.

    Relative to the asked Action Unit's mean change over the photos, as `metrics.leakage`.
    """
    own = np.maximum(asked_change(edited).mean(axis=0), RESPONDS)
    columns = [
        np.abs(edited.change[:, e][:, _others(name)]).mean(axis=1) / own[e]
        for e, name in enumerate(NAMES)
    ]
    return np.stack(columns, axis=1)


def summary(edited: Edited) -> dict[str, dict[str, float]]:
    """Edit -> column (`COLUMNS`) -> number: means, medians of distances and sharpness, the largest
    change outside."""
    change, leaks = asked_change(edited), leakage(edited)
    rows = {}
    for e, name in enumerate(NAMES):
        row = {"asked": change[:, e].mean(), "leakage": leaks[:, e].mean()}
        for key, values in edited.values.items():
            row[key] = values[:, e].max() if key == "outside" else np.median(values[:, e])
        rows[name] = {key: round(float(value), 3) for key, value in row.items()}
    return rows


def overall(edited: Edited) -> dict[str, Any]:
    """Every Action Unit at 1 and every expression, over all photos: of each judge the median, the
    95 % quantile and the part under its limit; the asked change where there is room, leakage."""
    found: dict[str, Any] = {}
    for title, names in (("single AUs at 1", FULL), ("expressions", EXPRESSIONS)):
        edits = [NAMES.index(name) for name in names]
        found[title] = {
            judge.name: {
                "median": round(float(np.median(far)), 3),
                "95 %": round(float(np.quantile(far, 0.95)), 3),
                f"under {judge.limit:g}": round(float((far < judge.limit).mean()), 3),
            }
            for judge in JUDGES.values()
            for far in [edited.values[judge.key][:, edits]]
        }
    found["asked change where there is room"] = {
        code: round(value, 3) for code, value in change_with_room(edited).items()
    }
    edits = [NAMES.index(name) for name in FULL]
    found["leakage"] = round(float(leakage(edited)[:, edits].mean()), 3)
    return found


def change_with_room(edited: Edited) -> dict[str, float]:
    """AU -> mean change at 1 over the photos that do not show it already; NaN if all do."""
    change = asked_change(edited)
    found = {}
    for i, code in enumerate(facs.CODES):
        room = edited.rest[:, i] < ROOM
        own = change[room, NAMES.index(FULL[i])]
        found[code] = float(own.mean()) if room.any() else float("nan")
    return found


def bars(edited: Edited) -> list[Bar]:
    """What edits of photos must show."""
    full = [NAMES.index(name) for name in FULL]
    mixed = [NAMES.index(name) for name in EXPRESSIONS]
    dlib, facenet = (edited.values[judge.key] for judge in (DLIB, FACENET))
    near = float((dlib[:, full] < DLIB.limit).mean())
    change = {code: v for code, v in change_with_room(edited).items() if not np.isnan(v)}
    worst = max(change, key=lambda code: abs(np.log(max(change[code], 1e-3))))
    leak = float(leakage(edited)[:, full].mean())
    outside = float(edited.values["outside"].max())
    sharp = edited.values["sharpness"]
    like = float(((sharp >= SHARP[0]) & (sharp <= SHARP[1])).mean())
    return [
        Bar(
            f"distance by dlib under {DLIB.limit:g}, AUs at 1",
            "in 97% of the edits",
            f"{near:.0%}",
            near >= 0.97,
        ),
        _at_most("distance by dlib, AUs at 1, median", 0.15, np.median(dlib[:, full])),
        _at_most("distance by FaceNet, AUs at 1, median", 0.25, np.median(facenet[:, full])),
        _at_most("distance by dlib, expressions, median", 0.25, np.median(dlib[:, mixed])),
        Bar(
            "change of the asked AU at 1, where there is room",
            "0.8 to 1.2 for every AU",
            f"worst {worst}: {change[worst]:.2f}",
            all(0.8 <= value <= 1.2 for value in change.values()),
        ),
        _at_most("leakage into other AUs at 1", LEAK, leak),
        Bar("change outside the regions", "0 grey levels", f"{outside:g}", outside == 0),
        Bar(
            f"sharpness of the edited regions {SHARP[0]:g} to {SHARP[1]:g} of the photo's",
            "in 97% of the edits",
            f"{like:.0%}",
            like >= 0.97,
        ),
    ]


def wrong(edited: Edited) -> dict[tuple[int, str], list[str]]:
    """(photo, edit) -> what is wrong with it; an empty list if nothing is."""
    change, leaks = asked_change(edited), leakage(edited)
    found = {}
    for e, name in enumerate(NAMES):
        for p in range(len(edited.photos)):
            unit = None if name in EXPRESSIONS else facs.INDEX[next(iter(_whole(name)))]
            room = unit is None or edited.rest[p, unit] < ROOM
            reasons = [
                f"{judge.name} {edited.values[judge.key][p, e]:.2f}"
                for judge in JUDGES.values()
                if edited.values[judge.key][p, e] >= judge.limit
            ]
            if room and change[p, e] < RESPONDS:
                reasons.append(f"asked {change[p, e]:.2f}")
            if leaks[p, e] > 2 * LEAK:
                reasons.append(f"leaks {leaks[p, e]:.2f}")
            if edited.values["outside"][p, e] > 0:
                reasons.append("changed outside")
            sharp = edited.values["sharpness"][p, e]
            if not SHARP[0] <= sharp <= SHARP[1]:
                reasons.append(f"sharpness {sharp:.2f}")
            found[p, name] = reasons
    return found


def table(ways: Ways) -> list[str]:
    """Markdown: every edit (rows), the ways beside one another in every cell."""
    tables = {way: summary(edited) for way, edited in ways.items()}
    lines = [f"In each cell: {' / '.join(ways)}.", ""] if len(ways) > 1 else []
    lines += ["| | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "---|" * len(COLUMNS)]
    for name in NAMES:
        cells = [
            " / ".join(
                f"{rows[name][key]:.{0 if key == 'outside' else 2}f}" for rows in tables.values()
            )
            for key in COLUMNS
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def overall_table(ways: Ways) -> list[str]:
    """Markdown: each judge's distances of all edits, each way."""
    lines = ["| | | median | 95 % | under half of another person's |", "|---|---|---|---|---|"]
    for way, edited in ways.items():
        for title, judged in overall(edited).items():
            if title in ("single AUs at 1", "expressions"):
                for judge, row in judged.items():
                    median, far, near = row.values()
                    cells = f"{median:.2f} | {far:.2f} | {near:.0%}"
                    lines.append(f"| {way}, {title} | {judge} | {cells} |")
    return lines


def chosen(edited: Edited, seed: int, among: Sequence[str], failing: bool) -> list[tuple[int, str]]:
    """SHOWN edits (photo, edit) at random, of the named photos; of those that fail, if asked."""
    reasons = wrong(edited)
    every = [
        place
        for place, why in reasons.items()
        if edited.photos[place[0]] in among and (why or not failing)
    ]
    order = np.random.default_rng(seed).permutation(len(every))[:SHOWN]
    return [every[k] for k in sorted(order)]


def sheet(
    places: Sequence[tuple[int, str]], ways: Mapping[str, Sequence[Subject]], edited: Edited
) -> Pixels:
    """Rows: the edits; columns: the photo, then each way's picture. uint8 [H, W, 3].

    ways: the same photos in each way. edited: of the first way, whose faults label the rows.
    """
    first = next(iter(ways.values()))
    reasons = wrong(edited)
    rows, labels = [], []
    for p, name in places:
        pictures = [shown(subjects[p], EDITS[name]) for subjects in ways.values()]
        rows.append([photo_of(first[p]), *pictures])
        why = reasons[p, name]
        labels.append("\n".join([name_of(first[p]), name, *why]))
    return sheets.contact_sheet(rows, labels, ["photo", *ways], tile=TILE)


def _whole(name: str) -> dict[str, float]:
    """What an edit asks of each whole Action Unit."""
    return {facs.split_side(code)[0]: value for code, value in EDITS[name].items()}


def _others(name: str) -> NDArray[np.bool_]:
    """[U]: neither asked nor tied to what is."""
    asked = _whole(name)
    tied = {kin for code in asked for kin in facs.UNITS[code].kin}
    return ~np.isin(facs.CODES, [*asked, *tied])


def _at_most(name: str, limit: float, value: Any) -> Bar:
    return Bar(name, f"at most {limit:g}", f"{float(value):.3f}", bool(value <= limit))
