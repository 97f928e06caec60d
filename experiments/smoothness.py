"""Beyond the paper: how evenly a film moves, and whether anything flickers that should rest."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from duchenne import facs
from duchenne.animate import Subject
from duchenne.editing.boundaries import slot_intensities
from duchenne.evaluate import harness, kept
from duchenne.motion.timeline import from_descriptor
from duchenne.types import Pixels

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, judged
from .context import FRAME, Context, Settings

NAME = "smoothness"
FIGURE = "smoothness"
METHODS = ("default", "paper")
FILMS = ("happiness", "surprise", "anger")
PEOPLE = 2
EVEN = 3.0  # the largest step may be so many times the median step
CELL = 4  # pixels are averaged over cells before they are compared: grain is not motion


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    return len(METHODS) * len(FILMS) * PEOPLE * settings.film * 1.5 * FRAME


def run(context: Context) -> dict[str, Any]:
    """Frame-to-frame changes of linear films, inside and outside the regions."""
    record: dict[str, Any] = {"films": {}}
    for method in METHODS:
        people = context.under(method, context.held_out(PEOPLE))
        done = 0
        for person in people:
            for film in FILMS:
                inputs = {
                    "code": kept.of_code(person.code),
                    "method": kept.of_boundaries(person.studio.boundaries),
                    "descriptor": dict(facs.EXPRESSIONS[film]),
                    "frames": context.settings.film,
                    "version": 1,
                }
                measured = context.keep(
                    "film",
                    inputs,
                    partial(_film, context, person, film),
                )
                record["films"].setdefault(method, {}).setdefault(film, []).append(measured)
                done += 1
                context.progress(f"{NAME}: {method}", done, len(people) * len(FILMS))
    record["files"] = context.save(_figure(record), FIGURE)
    return record


def _film(context: Context, person: Subject, film: str) -> dict[str, list[float]]:
    """Per step between frames: mean change inside, largest change outside, in grey levels."""
    person = replace(person)
    descriptor = facs.EXPRESSIONS[film]
    slots = slot_intensities(descriptor).any(axis=0)
    outside = harness.outside_of(person, np.asarray(slots))
    inside_cells = _cells((~outside).astype(float)) > 0.5
    steps: dict[str, list[float]] = {"inside": [], "outside": []}
    previous: Pixels | None = None
    for frame in person.animate(from_descriptor(descriptor, frames=context.settings.film)):
        if previous is not None:
            change = np.abs(frame.astype(float) - previous).mean(axis=2)
            steps["outside"].append(float(change[outside].max()))
            moved = np.abs(_cells(frame.mean(axis=2)) - _cells(previous.mean(axis=2)))
            steps["inside"].append(round(float(moved[inside_cells].mean()), 5))
        previous = frame
    return steps


def _cells(plane: np.ndarray) -> np.ndarray:
    side = len(plane) // CELL
    return np.asarray(plane.reshape(side, CELL, side, CELL).mean(axis=(1, 3)))


def _figure(record: dict[str, Any]) -> Any:
    figure = figures.new(10, 3)
    for axes, film in zip(figure.subplots(1, len(FILMS)), FILMS, strict=True):
        for method, colour in zip(METHODS, ("tab:blue", "tab:red"), strict=True):
            for n, measured in enumerate(record["films"][method][film]):
                label = method if n == 0 else None
                axes.plot(measured["inside"], color=colour, linewidth=1.2, label=label)
        axes.set_title(film, fontsize=9)
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=7)
    axes.legend(fontsize=8, frameon=False)
    figure.supxlabel("step between frames", fontsize=9)
    figure.supylabel("mean change, levels", fontsize=9)
    return figure


def summary(record: Any, method: str) -> dict[str, float]:
    """uneven: largest over median step, worst film; outside: largest change anywhere outside."""
    films = [f for people in record["films"][method].values() for f in people]
    uneven = [max(f["inside"]) / max(float(np.median(f["inside"])), 1e-9) for f in films]
    return {"uneven": max(uneven), "outside": max(max(f["outside"]) for f in films)}


def claims(records: Records) -> list[Claim]:
    """The paper's statement on smooth interpolation."""
    if NAME not in records:
        return []
    ours, theirs = (summary(records[NAME], method) for method in METHODS)
    text = (
        f"largest step {ours['uneven']:.1f} times the median step (paper's recipe "
        f"{theirs['uneven']:.1f}); largest change outside the regions {ours['outside']:.0f} levels "
        f"({theirs['outside']:.0f})"
    )
    smooth = ours["uneven"] <= EVEN and ours["outside"] == 0
    better = ours["outside"] < theirs["outside"]
    return [
        Claim("3.1, 3.3", "interpolating along the boundary normal makes a smooth animation", text,
              f"a step of more than {EVEN:g} times the median step, or any change outside the "
              "regions",
              judged(smooth, better))
    ]  # fmt: skip


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    rows = []
    for method in METHODS:
        means = summary(record, method)
        rows.append([method, f"{means['uneven']:.2f}", f"{means['outside']:.1f}"])
    return "\n\n".join(
        [
            f"Linear films of {PEOPLE} held-out people. A step is the mean change between two "
            f"frames inside the regions, over cells of {CELL} px; outside is the largest change of "
            "any pixel between two frames where no asked AU has influence: 0 means no flicker.",
            verdicts.picture(FIGURE, "Change from frame to frame inside the regions", ".png"),
            verdicts.table(rows, ["", "largest step / median step", "largest change outside"]),
        ]
    )
