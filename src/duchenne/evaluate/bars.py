"""What the boundaries must show, as lines that pass or fail; computed, never typed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..measuring.identity import JUDGES, Judge
from . import metrics
from .harness import Measured

FACES = 0.9  # part of the faces in which an Action Unit must do what it should
SPEARMAN = 0.95
OF_THE_PAPERS = 1 / 3
OF_THE_TARGET = 0.25
EDITS = 0.95  # part of the edits that must keep the person


@dataclass(frozen=True)
class Bar:
    """One requirement: what it says, what was wanted, what was found.

    value: the number that decides; None in records of older versions.
    """

    name: str
    wanted: str
    found: str
    passed: bool
    value: float | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "wanted": self.wanted,
            "found": self.found,
            "passed": self.passed,
            "value": self.value,
        }


def bars(measured: Measured, paper: Measured | None = None) -> list[Bar]:
    """Every requirement on the default boundaries.

    paper: the same faces under the paper's recipe; without it, leakage is not compared with it.
    """
    table = measured.table()
    leakage = _mean(table["leakage"])
    change = float(measured.last["outside"].max())
    requirements = [
        _worst("every AU responds", table["responds"], FACES, "of the faces"),
        _worst("every AU is monotone", table["monotone"], SPEARMAN, "Spearman"),
        _worst("every AU moves most", table["leads"], FACES, "of the faces"),
        Bar(
            "leakage into other AUs, mean over AUs",
            f"at most {OF_THE_TARGET:g} of the target's change",
            f"{leakage:.3f}",
            leakage <= OF_THE_TARGET,
            leakage,
        ),
        *(_same_person(judge, measured.last[judge.key]) for judge in JUDGES.values()),
        Bar("change outside the regions", "0 grey levels", f"{change:g}", change == 0, change),
    ]
    if paper is not None:
        theirs = float(metrics.leakage(paper.scores, paper.codes).mean())
        part = leakage / max(theirs, 1e-9)
        line = Bar(
            "leakage against the paper's recipe",
            "at most a third",
            f"{leakage:.3f} against {theirs:.3f}, {part:.2f} of it",
            part <= OF_THE_PAPERS,
            part,
        )
        requirements.insert(4, line)
    return requirements


def _same_person(judge: Judge, distances: NDArray[np.float64]) -> Bar:
    near = float((distances < judge.limit).mean())
    unasked = "" if judge.asked else ", which no fit has asked"
    return Bar(
        f"identity distance by {judge.name}{unasked}, under {judge.limit:g} at E = 1",
        f"in {EDITS:.0%} of the edits",
        f"in {near:.0%}; the {EDITS:.0%} quantile is {float(np.quantile(distances, EDITS)):.2f}",
        near >= EDITS,
        near,
    )


def tied(codes: Collection[str] = facs.CODES) -> str:
    """Those of the Action Units that are not held against one another, as text."""
    kin = {code: [k for k in facs.UNITS[code].kin if k in codes] for code in codes}
    return "; ".join(f"{code}: {', '.join(others)}" for code, others in kin.items() if others)


def _worst(name: str, values: Mapping[str, float], least: float, unit: str) -> Bar:
    code = min(values, key=lambda key: values[key])
    share = unit == "of the faces"
    wanted = f"at least {least:.0%} {unit}" if share else f"{unit} of at least {least:g}"
    value = f"{values[code]:.0%}" if share else f"{values[code]:.3f}"
    return Bar(name, wanted, f"worst {code}: {value}", values[code] >= least, values[code])


def _mean(values: Mapping[str, float]) -> float:
    return float(np.mean(list(values.values())))
