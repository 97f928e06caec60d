"""`fit photos`: how much farther photos move than the pictures of their look-alikes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import click

from .. import facs
from .faces import boundaries_option, generator_option, new_studio
from .run import Run, progress_bars, recorded
from .values import Whole

PEOPLE = 8


@click.command("photos")
@click.option("-o", "--output", required=True, metavar="FILE", help="The boundaries, .safetensors.")
@click.option(
    "--people",
    type=Whole(0),
    default=PEOPLE,
    show_default=True,
    help="Generated people to measure.",
)
@click.option("--photos", metavar="FOLDER", help="Also these photos.")
@click.option(
    "--units", metavar="LIST", help="Only these Action Units, AU7,AU10; the others keep theirs."
)
@boundaries_option
@generator_option
@recorded
def photos_gains(
    run: Run,
    output: str,
    people: int,
    photos: str | None,
    units: str | None,
    boundaries_file: str | None,
    generator_file: str | None,
) -> None:
    """Find how much farther than its look-alike's picture a photo has to move.

    Boundaries get a gain for each Action Unit, so that what is asked is what is measured on the
    finished picture. Needs the weights file `face-landmarker-task`; half a minute a face.

    \b
    Examples:
      duchenne fit photos -o boundaries.safetensors
      duchenne fit photos --photos portraits -o boundaries.safetensors
      duchenne fit photos --units AU7,AU10 -o boundaries.safetensors
    """
    from ..editing import boundaries
    from ..files import codes, folders, pictures
    from ..fit import photos as fitting

    pictures.check_writable(output, (codes.SUFFIX,))
    files = folders.photos_in(photos) if photos else []
    if not files and not people:
        raise click.UsageError("no people and no photos: give --people N, --photos FOLDER or both")
    studio = new_studio(run, boundaries_file=boundaries_file, generator_file=generator_file)
    chosen = studio.units if units is None else facs.units(units)
    names = [p.stem for p in files] + [f"{people} generated people"]

    sources: Iterable[Any] = chain(files, fitting.generated_people(studio, people))
    with run.stages("fit"), progress_bars() as tell:
        count = len(files) + people
        fitted = fitting.fit(studio, sources, lambda done: tell("faces", done, count), units=chosen)
    kept = studio.boundaries
    before = [fitting.without(r, fitted.units) for r in kept.provenance.get("photos", [])]
    before = [record for record in before if record["units"]]
    record = {**kept.provenance, "photos": [*before, fitted.provenance(names)]}
    gain = fitted.added_to(kept.photo_gain)
    boundaries.save_boundaries(replace(kept, photo_gain=gain, provenance=record), Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    run.facts["boundaries"] = record
