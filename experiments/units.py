"""Fig. 9: animations of single Action Units, with the measured curves of all of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from duchenne import facs
from duchenne.animate import Subject
from duchenne.evaluate import harness, kept
from duchenne.evaluate.bars import FACES, SPEARMAN
from duchenne.files.pictures import SourceType
from duchenne.motion.timeline import from_descriptor
from duchenne.types import Pixels

from . import claims as verdicts
from . import figures
from .claims import Claim, Records, columns_of, judged
from .context import FRAME, SCORE, Context, Settings

NAME = "units"
PAPERS = ("AU4", "AU5", "AU6", "AU12", "AU25")  # the rows of Fig. 9
ORDER = (*PAPERS, *(code for code in facs.CODES if code not in PAPERS))
GOOD = ("AU4", "AU12", "AU25")  # "achieves better interpolation"
WEAK = ("AU4", "AU6")  # "less ideal"; the paper names AU4 in both lists
METHODS = ("default", "paper")
PERSON = 0  # which of the held-out people is shown
TILE = 100


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    return len(METHODS) * len(ORDER) * settings.frames * (FRAME + SCORE)


def run(context: Context) -> dict[str, Any]:
    """One strip and its curves for each AU, ours and the paper's recipe."""
    record: dict[str, Any] = {"person": harness.FIRST_SEED + PERSON, "files": []}
    record["columns"] = list(facs.CODES)
    for name in METHODS:
        (person,) = context.under(name, context.held_out(PERSON + 1)[PERSON:])
        strips, curves = {}, {}
        for n, code in enumerate(ORDER):
            strips[code], curves[code] = _animate(context, person, code)
            context.progress(f"{NAME}: {name}", n + 1, len(ORDER))
        record[name] = {code: np.round(curves[code], 3).tolist() for code in ORDER}
        record["files"] += context.save(
            _figure(strips, curves), figure_of(name), SourceType.GENERATED
        )
    return record


def figure_of(method: str) -> str:
    """Stem of the files of a method's figure."""
    return f"fig9_units_{method}"


def _animate(context: Context, person: Subject, code: str) -> tuple[Pixels, np.ndarray]:
    """(strip, [k, 12] measured intensities)."""
    timeline = from_descriptor({code: 1.0}, frames=context.settings.frames)
    frames = list(person.animate(timeline))
    inputs = {
        "code": kept.of_code(person.code),
        "method": kept.of_boundaries(person.studio.boundaries),
        "unit": code,
        "frames": len(frames),
    }
    scores = context.keep(
        "unit_curve",
        inputs,
        lambda: [(harness.scores(f, context.studio.scorer) / facs.FULL).tolist() for f in frames],
    )
    return figures.strip(frames, TILE), np.array(scores)


def _figure(strips: dict[str, Pixels], curves: dict[str, np.ndarray]) -> Any:
    frames = len(curves[ORDER[0]])
    figure = figures.new(0.7 * frames + 3.2, 0.74 * len(ORDER) + 0.5)
    axes = figure.subplots(len(ORDER), 2, width_ratios=[0.7 * frames, 2.2])
    time = np.linspace(0, 1, frames)
    for row, code in enumerate(ORDER):
        levels = [f"{value:.2g}" for value in time] if row == 0 else ()
        figures.show_strip(axes[row, 0], strips[code], code, levels)
        plot = axes[row, 1]
        if row == 0:
            plot.set_title("change of measured intensity", fontsize=7)
        change = curves[code] - curves[code][0]
        for other, name in enumerate(facs.CODES):
            tied = name in facs.UNITS[code].kin
            style = {"color": "tab:orange" if tied else "0.7", "linewidth": 0.8}
            if name != code:
                plot.plot(time, change[:, other], **style)
        plot.plot(time, change[:, facs.INDEX[code]], color="tab:blue", linewidth=2)
        plot.set_ylim(-0.7, 1.3)
        plot.set_yticks([0, 1])
        plot.tick_params(labelsize=6, labelbottom=row == len(ORDER) - 1)
        plot.grid(alpha=0.3)
    return figure


def claims(records: Records) -> list[Claim]:
    """What Fig. 9 and its paragraph in 4.3 say, decided on the held-out people of the tables."""
    if "tables" not in records:
        return []
    ours, theirs = (records["tables"]["generated"][name]["table"] for name in METHODS)
    decided = []
    for code in PAPERS:
        works = _works(ours, code)
        better = ours["leakage"][code] < theirs["leakage"][code] and (
            not _works(theirs, code) or ours["leads"][code] >= theirs["leads"][code]
        )
        word = "good" if code in GOOD else "less ideal" if code in WEAK else "shown"
        if code in GOOD and code in WEAK:
            word = "both good and less ideal"
        text = "; ".join(
            f"{name}: responds {t['responds'][code]:.0%}, Spearman {t['monotone'][code]:.2f}, "
            f"moves most {t['leads'][code]:.0%}, leakage {t['leakage'][code]:.2f}"
            for name, t in zip(("ours", "paper's recipe"), (ours, theirs), strict=True)
        )
        decided.append(
            Claim("Fig. 9", f"{code} is animated by linear interpolation ({word})", text,
                  f"it responds or moves most in fewer than {FACES:.0%} of the faces, or the mean "
                  f"Spearman correlation is below {SPEARMAN:g}",
                  judged(works, better))
        )  # fmt: skip
    return decided


def _works(table: Any, code: str) -> bool:
    """The AU rises, monotonically, and above all AUs that are not tied to it."""
    return bool(
        table["responds"][code] >= FACES
        and table["monotone"][code] >= SPEARMAN
        and table["leads"][code] >= FACES
    )


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    rows = []
    columns = columns_of(record)
    for code in record[METHODS[0]]:
        cells = []
        for name in METHODS:
            change = np.array(record[name][code])
            change = change[-1] - change[0]
            free = [i for i, c in enumerate(columns) if c != code and c not in facs.UNITS[code].kin]
            other = max(free, key=lambda i: abs(change[i]))
            cells += [
                f"{change[columns.index(code)]:+.2f}",
                f"{columns[other]} {change[other]:+.2f}",
            ]
        rows.append([code, *cells])
    header = ["", *(f"{n}: {k}" for n in METHODS for k in ("asked AU", "largest untied other"))]
    return "\n\n".join(
        [
            f"The first five rows are the paper's. Seed {record['person']}, λ from 0 to 1. Beside "
            "each strip: the change of the measured intensity over the frames, the asked AU in "
            "blue, AUs tied to it by anatomy in orange, all others in grey. The verdicts above are "
            "those of all held-out people, not of this one.",
            verdicts.picture(figure_of("default"), "Ours: every AU acts in its own region"),
            verdicts.picture(figure_of("paper"), "The paper's literal recipe on the same person"),
            verdicts.table(rows, header),
        ]
    )
