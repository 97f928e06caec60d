"""`evaluate`: boundaries measured on faces that no fit has seen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .run import Run, progress_bars, recorded

if TYPE_CHECKING:
    from ..animate import Studio, Subject
    from ..evaluate.kept import Kept

SHOWN = 6  # people on the contact sheets, photos first


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
    "--recipes/--no-recipes",
    default=True,
    show_default=True,
    help="Compare with the paper's recipe and with InterFaceGAN's projection, fitted first (about "
    "ten minutes) unless --boundaries gives paper=FILE and conditional=FILE.",
)
@click.option(
    "--identities", type=click.IntRange(min=2), default=24, show_default=True, help="How many."
)
@click.option(
    "--photo", "photos", multiple=True, metavar="FILE", help="Judge photos as well; repeatable."
)
@click.option("--work", metavar="FOLDER", help="Keeps what is done, so that a run can resume.")
@recorded
def evaluate(
    run: Run,
    output: str,
    files: tuple[str, ...],
    recipes: bool,
    identities: int,
    photos: tuple[str, ...],
    work: str | None,
) -> None:
    """Edit held-out faces with every Action Unit at five levels, and measure.

    For each AU: how many faces respond, monotonicity, leakage into the other AUs, identity by two
    recognisers, change outside the regions, change of pose; then every requirement, passed or
    failed. Generated identities and photos are counted apart. Needs `pip install
    duchenne[evaluate]` and the weights files `face-landmarker-task` and `face-outsider` (87 MB,
    fetched). About 40 minutes on two cores; what is done is kept.

    \b
    Examples:
      duchenne evaluate -o report
      duchenne evaluate -o report --no-recipes --photo anna.jpg --photo ben.jpg
      duchenne evaluate -o report --boundaries paper=paper.safetensors
    """
    from ..animate import Studio
    from ..evaluate import harness, report
    from ..evaluate.kept import Kept
    from ..files import pictures

    folder = Path(output)
    with pictures.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    recognisers = harness.Recognisers.load()
    results = Kept(Path(work) if work else harness.default_work())
    studio = Studio()
    with run.stages("recipes"), progress_bars() as tell:
        studios = _studios(studio, files, recipes, results, tell)
    with run.stages("encode"):
        people = {"generated identities": harness.held_out(studio, identities)}
        if photos:
            people["photos"] = [studio.face(photo) for photo in photos]
    with run.stages("evaluate"), progress_bars() as tell:
        measured = _measure(studios, people, recognisers, results, tell)
    facts = {
        "identities": identities,
        "photos": len(photos),
        "first_seed": harness.FIRST_SEED,
        "generator": studio.generator.fingerprint,
        "scorer": "this project's own (see docs/scores.md)",
        "recogniser": "dlib face_recognition_resnet_model_v1, same person under 0.6",
        "second recogniser": "FaceNet 20180408-102900, same person under 1.1",
    }
    for written in report.write(folder, measured, facts):
        run.wrote(written)
    for who, lines in report.requirements(measured).items():
        for bar in lines:
            run.say(f"{'pass' if bar.passed else 'FAIL'}  {who}: {bar.name}: {bar.found}")
    with run.stages("contact sheets"):
        shown = [*people.get("photos", []), *people["generated identities"]][:SHOWN]
        for name, picture in (
            ("action_units.jpg", report.sheet(shown)),
            ("expressions.jpg", report.expressions(shown)),
        ):
            pictures.save_image(picture, folder / name)
            run.wrote(folder / name)


def _studios(
    studio: Studio, files: tuple[str, ...], with_recipes: bool, results: Kept, tell: Any
) -> dict[str, Studio]:
    """Name of the method -> its studio, `default` first."""
    from ..editing.boundaries import load_boundaries
    from ..evaluate import harness, recipes

    studios = {"default": studio}
    for text in files:
        name, _, path = text.partition("=")
        if not path or name in studios:
            raise click.UsageError(f"--boundaries {text}: write NAME=FILE, each name once")
        studios[name] = harness.with_boundaries(studio, load_boundaries(Path(path)))
    for name in recipes.NAMES if with_recipes else ():
        if name not in studios:
            found = recipes.recipe(name, studio, results, progress=tell)
            studios[name] = harness.with_boundaries(studio, found)
    return studios


def _measure(
    studios: dict[str, Studio],
    people: dict[str, list[Subject]],
    recognisers: Any,
    results: Kept,
    tell: Any,
) -> dict[str, dict[str, Any]]:
    """Whose faces -> method -> measurements."""
    from dataclasses import replace

    from ..evaluate import harness

    return {
        who: {
            name: harness.evaluate(
                [replace(subject, studio=studio) for subject in subjects],
                recognisers,
                results,
                progress=lambda done, total, what=f"{name}, {who}": tell(what, done, total),  # type: ignore[misc]
            )
            for name, studio in studios.items()
        }
        for who, subjects in people.items()
    }
