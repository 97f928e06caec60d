"""`evaluate`: boundaries measured on faces that no fit has seen."""

from __future__ import annotations

from pathlib import Path

import click

from .fitting import progress_bars
from .run import Run, recorded


@click.command()
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Tables and pictures.")
@click.option(
    "--boundaries",
    "files",
    multiple=True,
    metavar="NAME=FILE",
    help="Boundaries to compare with the built-in ones, which are `default`; may be repeated.",
)
@click.option(
    "--identities", type=click.IntRange(min=2), default=24, show_default=True, help="How many."
)
@click.option("--photo", "photos", multiple=True, metavar="FILE", help="Photos to judge as well.")
@recorded
def evaluate(
    run: Run, output: str, files: tuple[str, ...], identities: int, photos: tuple[str, ...]
) -> None:
    """Edit held-out faces with every Action Unit at five levels, and measure.

    For each AU: how many faces respond, monotonicity, leakage into the other AUs, identity, change
    outside the regions, change of pose. Needs the weights file `face-landmarker-task` and
    `pip install duchenne[evaluate]`.

    \b
    Examples:
      duchenne evaluate -o report
      duchenne evaluate -o report --boundaries paper=paper.safetensors
    """
    from .. import pixels
    from ..animate import Studio
    from ..boundaries import load_boundaries
    from ..evaluate import harness, report
    from ..evaluate.identity import Recogniser

    folder = Path(output)
    with pixels.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    recogniser = Recogniser()
    studios = {"default": Studio()}
    for text in files:
        name, _, path = text.partition("=")
        if not path or name in studios:
            raise click.UsageError(f"--boundaries {text}: write NAME=FILE, each name once")
        studios[name] = Studio(boundaries=load_boundaries(Path(path)))
    results = {}
    with run.stages("evaluate"), progress_bars() as tell:
        for name, studio in studios.items():
            subjects = harness.held_out(studio, identities)
            subjects += [studio.face(photo) for photo in photos]
            results[name] = harness.evaluate(
                subjects,
                studio.scorer,
                recogniser,
                lambda done, total, name=name: tell(name, done, total),  # type: ignore[misc]
            )
    facts = {
        "identities": identities,
        "photos": len(photos),
        "first_seed": harness.FIRST_SEED,
        "generator": studios["default"].generator.fingerprint,
        "scorer": "this project's own (see docs/scores.md)",
        "recogniser": "dlib face_recognition_resnet_model_v1, same person under 0.6",
    }
    for written in report.write(folder, results, facts):
        run.wrote(written)
    shown = harness.held_out(studios["default"], 6)
    for name, picture in (
        ("action_units.jpg", report.sheet(shown)),
        ("expressions.jpg", report.expressions(shown)),
    ):
        pixels.save_image(picture, folder / name)
        run.wrote(folder / name)
