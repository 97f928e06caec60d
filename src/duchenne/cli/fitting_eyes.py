"""`fit eyes`: the scores of the Action Units that are drawn by moving the eyes."""

from __future__ import annotations

from pathlib import Path

import click

from .faces import new_studio
from .run import Run, progress_bars, recorded


@click.command("eyes")
@click.option("-o", "--output", required=True, metavar="FILE", help="The scale, .safetensors.")
@recorded
def fit_eyes(run: Run, output: str) -> None:
    """Fit the scores of closing eyes and of gaze.

    Both are drawn by moving the picture and need no boundary; all other scores stay as they are.
    Needs the weights file face-landmarker-task; some minutes.

    \b
    Examples:
      duchenne fit eyes -o scores.safetensors
    """
    from ..files import codes, pictures
    from ..fit import eyes
    from ..measuring import score
    from ..moving.eyes import UNITS

    pictures.check_writable(output, (codes.SUFFIX,))
    studio = new_studio(run)
    with run.stages("fit"), progress_bars() as tell:
        scale = eyes.fit(studio, score.built_in_scale(), progress=tell)
    facts = {
        "generator": studio.generator.fingerprint,
        "units": list(UNITS),
        "first_seed": eyes.FIRST_SEED,
        "population": eyes.POPULATION,
        "faces": eyes.FACES,
    }
    before = score.built_in_provenance()
    score.save_scale(scale, Path(output), {**before, "added": [*before.get("added", []), facts]})
    run.wrote(output)
