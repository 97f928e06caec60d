"""Measuring Action Units: `score`, and the tables of other coders."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from .. import facs
from ..reading import places
from . import scoring_films
from .run import Run, recorded
from .values import Decimal, Whole

pictures_option: Callable[..., Any] = click.option(
    "--pictures",
    metavar="FOLDER",
    help="The scored faces: pictures, or saved codes. A sub-folder holds one person's.",
)


@click.command()
@click.argument("images", nargs=-1)
@click.option("-o", "--output", metavar="FILE", help="Table, .csv or .json; else CSV on stdout.")
@click.option(
    "--face",
    type=Whole(0),
    default=0,
    help="Which face of each picture, or of a film; 0 is the largest.",
)
@click.option(
    "--rest",
    type=Decimal(0, 100),
    metavar="P",
    help="Of a film: the percentile of each Action Unit over the film that is this person's rest, "
    "from which its score counts; 30 by default.",
)
@click.option("--no-rest", is_flag=True, help="Of a film: count from the mean neutral face.")
@click.option(
    "--import",
    "table",
    metavar="FILE",
    help="No IMAGES, but another coder's scores in the same form: the CSV of OpenFace, py-feat or "
    "LibreFace, or a folder of them.",
)
@click.option(
    "--confidence",
    type=Decimal(),
    metavar="X",
    help="With --import: faces found with less, 0 to 1, are left out; 0.7 by default.",
)
@pictures_option
@recorded
def score(
    run: Run,
    images: tuple[str, ...],
    output: str | None,
    face: int,
    rest: float | None,
    no_rest: bool,
    table: str | None,
    confidence: float | None,
    pictures: str | None,
) -> None:
    """Measure the Action Units of the faces in IMAGES, 0 to 5.

    A film, or a folder of pictures, gives a table with a row for each frame, in the columns of
    OpenFace 2: time, confidence, gaze, head pose, every Action Unit, left and right. Its face
    is followed. An interrupted run goes on where it was.

    Needs the weights file `face-landmarker-task`. docs/scores.md says what each score measures,
    docs/fitting.md which tables --import reads.

    \b
    Examples:
      duchenne score photo.jpg
      duchenne score photo.jpg -o scores.csv
      duchenne score film.mp4 -o au.csv --json summary.json
      duchenne score frames/ -o au.csv
      duchenne score --import pyfeat.csv -o scores.csv
    """
    from ..files.pictures import check_writable

    if bool(images) == (table is not None):
        raise click.UsageError("give IMAGES, or --import and a table")
    if pictures is not None and table is None:
        raise click.UsageError("--pictures goes with --import")
    if confidence is not None and table is None:
        raise click.UsageError("--confidence goes with --import")
    sequences = [image for image in images if scoring_films.is_sequence(image)]
    if (rest is not None or no_rest) and (not sequences or places.is_folder(sequences[0])):
        raise click.UsageError("--rest and --no-rest are for a film")
    if sequences and len(images) > 1:
        raise click.UsageError(f"{sequences[0]}: give one film or folder at a time, alone")
    if output is not None:
        check_writable(output, (".csv",) if sequences else (".csv", ".json"))
        run.check_outputs([*images, table], [Path(output)])
    if sequences:
        scoring_films.score(run, sequences[0], output, face, _rest(rest, no_rest, output))
        return
    if table is not None:
        scores = read_scores(table, pictures, confidence)
        pairs = zip(scores.names, scores.values, strict=True)
        rows = [{"image": name, **by_code(values)} for name, values in pairs]
        run.facts["coder"] = {"tool": scores.tool, "notes": list(scores.notes)}
    else:
        rows = _measured(run, images, face)
    if output is None:
        run.say(table_text(rows).rstrip())
        return
    text = (
        json.dumps(rows, indent=1) if Path(output).suffix.lower() == ".json" else table_text(rows)
    )
    from ..files import codes

    codes.write_atomically(text.encode(), Path(output))
    run.wrote(output)


def _rest(given: float | None, none: bool, output: str | None) -> float | None:
    """The percentile that is a person's rest, which a film tells only at its end."""
    from ..measuring.film_table import REST

    if none and given is not None:
        raise click.UsageError("give --rest or --no-rest")
    if output is None:
        if given is not None:
            raise click.UsageError("--rest goes with -o: a film tells its rest at its end")
        return None
    return None if none else REST if given is None else given


def _measured(run: Run, images: tuple[str, ...], face: int) -> list[dict[str, Any]]:
    from ..faces import align
    from ..files import pictures
    from ..measuring.score import Scorer

    scorer = Scorer()
    rows = []
    for image in images:
        photo = pictures.load_photo(image)
        with run.stages("score"):
            detected = align.find(photo, face=face)
            values = scorer.scores(photo.pixels, detected.mesh)
        rows.append({"image": image, **by_code(values)})
    return rows


def table_text(rows: list[dict[str, Any]]) -> str:
    """Rows as CSV with a header."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def read_scores(table: str, pictures: str | None, confidence: float | None = None) -> Any:
    """Another coder's table; pictures: the folder of what it scored, whose names tell faces.

    confidence: the least of a face that counts; the library's default if None.
    """
    from ..errors import InputError
    from ..motion import coders
    from ..reading import numbers

    if pictures is not None and not places.is_folder(pictures):
        raise InputError(f"{pictures}: no such folder; give the one with the scored pictures")
    names = [path.name for path in Path(pictures).iterdir()] if pictures else []
    if confidence is None:
        return coders.read_scores(Path(table), names)
    return coders.read_scores(Path(table), names, numbers.number("confidence", confidence, 0, 1))


def by_code(values: Any) -> dict[str, float | None]:
    """AU code -> number, None for NaN."""
    rounded = [round(float(value), 3) for value in values]
    return {c: v if v == v else None for c, v in zip(facs.CODES, rounded, strict=True)}
