"""Beyond the paper: free real photos, their own pixels moved, beside the generator's pictures."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from duchenne.animate import Subject
from duchenne.encoding.settings import LOOK_ALIKE, preset
from duchenne.evaluate import photo_report, report
from duchenne.evaluate import photos as edits
from duchenne.evaluate.bars import Bar
from duchenne.evaluate.photos import Edited
from duchenne.files.pictures import SourceType
from duchenne.measuring import likeness
from duchenne.measuring.identity import JUDGES

from . import claims as verdicts
from . import figures, free_photos
from .claims import Claim, Records
from .context import DESCRIBE, FRAME, SCORE, Context, Settings

NAME = "photos"
OWN, DRAWN = "own pixels", "generator"
FIGURES = ("photos_at_random", "photos_failures")
ENCODE_FAST = 25.0  # seconds


def seconds(settings: Settings) -> float:
    """Estimated on two free cores."""
    edit = 4 * FRAME + SCORE + 3 * DESCRIBE
    return len(free_photos.FILES) * (2 * len(edits.EDITS) * edit + ENCODE_FAST)


def run(context: Context) -> dict[str, Any]:
    """Edit every photo in both ways, measure, and show some edits of those in the public domain."""
    paths = free_photos.fetch(context.results.folder / "free_photos")
    full = context.studio.replace(settings=preset("fast"))
    quick = context.studio.replace(settings=LOOK_ALIKE)
    ways = {
        OWN: [quick.face(path) for path in paths],
        DRAWN: [replace(full.face(path), generated=True) for path in paths],
    }
    edited = {
        way: edits.evaluate(
            subjects,
            context.judges,
            context.results,
            progress=partial(context.progress, f"{NAME}: {way}"),
        )
        for way, subjects in ways.items()
    }
    own = edited[OWN]
    record: dict[str, Any] = {
        "photos": list(own.photos),
        "seed": context.settings.seed,
        "ways": {way: as_json(found) for way, found in edited.items()},
        "one_person": _one_person(context, dict(zip(own.photos, ways[OWN], strict=True))),
        "files": [],
    }
    for stem, failing in zip(FIGURES, (False, True), strict=True):
        places = photo_report.chosen(own, context.settings.seed, free_photos.PUBLIC_DOMAIN, failing)
        if places:
            path = context.output / f"{stem}.jpg"
            figures.write_jpeg(photo_report.sheet(places, ways, own), path, SourceType.EDITED)
            record["files"].append(path.name)
    return record


def _one_person(context: Context, photos: dict[str, Subject]) -> dict[str, Any]:
    """Kept: from the first photo's expression to the second's, and back."""
    one, other = (photos[name] for name in free_photos.ONE_PERSON)
    found = {}
    for first, second in ((one, other), (other, one)):
        names = [edits.name_of(subject) for subject in (first, second)]
        inputs = {
            "of": edits.inputs_of(first),
            "towards": edits.inputs_of(second),
            "differing_by": likeness.DIFFER,
        }
        found[" to ".join(names)] = context.keep(
            "towards", inputs, partial(edits.towards, first, second, context.judges)
        )
    return found


def as_json(edited: Edited) -> dict[str, Any]:
    """What `from_json` reads."""
    arrays = {"rest": edited.rest, "change": edited.change, **edited.values}
    return {name: np.round(values, 4).tolist() for name, values in arrays.items()}


def from_json(record: dict[str, Any], photos: list[str]) -> Edited:
    """The measurements of one way."""
    arrays = {name: np.array(values) for name, values in record.items()}
    return Edited(tuple(photos), arrays.pop("rest"), arrays.pop("change"), arrays)


def claims(records: Records) -> list[Claim]:
    """The paper measures nothing on photos."""
    return []


def section(records: Records) -> str:
    """The part of the page."""
    record = records[NAME]
    ways = {way: from_json(one, record["photos"]) for way, one in record["ways"].items()}
    lines: list[Bar] = photo_report.bars(ways[OWN])
    parts = [
        f"{len(record['photos'])} photos under free licences (`experiments/free_photos.py`; whose "
        "faces are missing among them stands there); three of them (astronaut, biden, giunchedi) "
        "took part in the fit of the photos' gains. What is measured is the finished "
        f"picture. {OWN.capitalize()}: the photo moved as a similar face changes. "
        f"{DRAWN.capitalize()}: `--generated --quality fast`, the edited regions pasted into the "
        "photo.",
        "**Requirements on the photo's own pixels**",
        "\n".join(report.requirement_table(lines)),
        "\n".join(photo_report.overall_table(ways)),
        "**Every edit**",
        "\n".join(photo_report.table(ways)),
        "**One person, two photos.** `obama.jpg` and `obama2.jpg` show one man with two "
        "expressions; each was given those measured Action Units of the other that they differ in "
        "(`Subject.reach`).",
        _one_person_table(record["one_person"]),
    ]
    shown = [
        f"![{title}, drawn at random: the photo, {', '.join(ways)}]({stem}.jpg)"
        for stem, title in zip(FIGURES, ("Edits", "Failures"), strict=True)
        if f"{stem}.jpg" in record["files"]
    ]
    return "\n\n".join(
        [*parts, f"Edits of the photos in the public domain, seed {record['seed']}:", *shown]
    )


def _one_person_table(found: dict[str, Any]) -> str:
    rows = []
    for pair, one in found.items():
        wanted, measured, rest = (
            np.array([*one[k].values()]) for k in ("targets", "measured", "rest")
        )
        off = [float(np.abs(values - wanted).mean()) for values in (rest, measured)]
        for judge in JUDGES.values():
            cells = [f"{one[name][judge.key]:.2f}" for name in ("real", "from_own", "to_other")]
            rows.append([pair, judge.name, *cells, f"{off[0]:.2f} -> {off[1]:.2f}"])
    header = [
        "",
        "",
        "between the two photos",
        "edited to its own photo",
        "edited to the other photo",
        "mean distance from the other's AUs",
    ]
    return verdicts.table(rows, header)
