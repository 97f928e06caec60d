"""`check`: whether photos serve, before anything is made of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from .faces import face_option
from .run import Run, recorded
from .scoring import by_code

if TYPE_CHECKING:
    from ..measuring.score import Scorer

SHOWN = 1.0  # of 5, from which an Action Unit is named


@click.command()
@click.argument("photos", nargs=-1, required=True)
@face_option
@recorded
def check(run: Run, photos: tuple[str, ...], face: int | None) -> None:
    """Tell whether PHOTOS serve, and what to do where one does not.

    Says how large, turned, sharp and covered the face is, whether its eyes are closed, and which
    Action Units it shows already (with the weights file `face-landmarker-task`). Fails if a photo
    does not serve. --json has the numbers.

    \b
    Examples:
      duchenne check photo.jpg
      duchenne check photo.jpg --json check.json
    """
    from ..errors import InputError, NoFaceFound

    scorer = _scorer()
    rows, failed = [], []
    for photo in photos:
        try:
            with run.stages("check"):
                row = _checked(photo, face, scorer)
        except InputError as error:
            kind = "no face" if isinstance(error, NoFaceFound) else "cannot be used"
            row = {"photo": photo, "serves": False, "shortcomings": [str(error)], "error": kind}
        rows.append(row)
        if not row["serves"]:
            failed.append(photo)
        run.say(_line(row))
        for text in (*row["shortcomings"], *row.get("remarks", ())):
            run.say(f"  {text}")
    run.facts["photos"] = rows
    if failed:
        run.finish()  # the record says why, also when the command fails
        raise InputError(f"{len(failed)} of {len(photos)} photos do not serve: {', '.join(failed)}")


def _scorer() -> Scorer | None:
    from ..errors import WeightsError
    from ..measuring.score import Scorer

    try:
        return Scorer()
    except WeightsError:
        return None


def _checked(photo: str, face: int | None, scorer: Scorer | None) -> dict[str, Any]:
    from ..faces import align
    from ..files import pictures
    from ..moving import suitability

    loaded = pictures.load_photo(photo)
    aligned = align.align(loaded, face=face)
    found = suitability.of(aligned)
    row = {
        "photo": photo,
        "serves": not found.shortcomings,
        "shortcomings": found.shortcomings,
        "remarks": found.remarks,
        "face": aligned.index,
        "faces": aligned.count,
        **{k: v for k, v in asdict(found).items() if k != "covering"},
        "covered": {"share": found.covering.share, "places": found.covering.places},
    }
    if scorer is not None:
        row["scores"] = by_code(scorer.scores(loaded.pixels, aligned.face.mesh))
    return row


def _line(row: dict[str, Any]) -> str:
    if "error" in row:
        return f"{row['photo']}: {row['error']}"
    shown = [
        f"{code} {score:.1f}"
        for code, score in row.get("scores", dict.fromkeys(facs.CODES)).items()
        if score is not None and score >= SHOWN
    ]
    return (
        f"{row['photo']}: {'serves' if row['serves'] else 'does not serve'}; face "
        f"{row['size']:.0f} px, yaw {row['yaw']:.0f}, pitch {row['pitch']:.0f}, roll "
        f"{row['roll']:.0f} degrees, "
        f"sharpness {row['sharpness']:.2f}" + (f"; shows {', '.join(shown)}" if shown else "")
    )
