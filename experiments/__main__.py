"""`python -m experiments`: the paper's figures and tables, made again and compared."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import click

from duchenne.animate import Studio
from duchenne.cli import OneLineErrors, main
from duchenne.cli.run import Run, progress_bars, recorded
from duchenne.cli.values import Whole
from duchenne.encoding.settings import EncodeSettings
from duchenne.evaluate import harness
from duchenne.evaluate.kept import Kept
from duchenne.files import writing

from . import page, registry
from .context import QUICK, Context, Settings

ALL, PAGE = "all", "page"


@click.command(cls=OneLineErrors, context_settings={"help_option_names": ["-h", "--help"]})
@click.argument(
    "names",
    nargs=-1,
    required=True,
    metavar="NAMES...",
    type=click.Choice([ALL, *registry.NAMES, PAGE]),
)
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Figures, JSON, README.md.")
@click.option("--work", metavar="FOLDER", help="Keeps what is done, so that a run can resume.")
@click.option(
    "--responses",
    metavar="FOLDER",
    help="The --work folder of `fit boundaries`, for the ablations, if not the default one.",
)
@click.option("--photo", "photos", multiple=True, metavar="FILE", help="More photos; repeatable.")
@click.option("--identities", type=Whole(2), help="Held-out people of the tables.")
@click.option("--encoded", type=Whole(1), help="Generated faces that are encoded.")
@click.option("--others", type=Whole(2), help="People of the figures that others report.")
@click.option("--sorted", "sorted_", type=Whole(4), help="People that are sorted into groups.")
@click.option("--set", "of_set", type=Whole(2), help="People of each of the three sets of seeds.")
@click.option(
    "--samples",
    type=Whole(0),
    help="Random faces that the paper's recipe is fitted on; 0 judges expressions without it.",
)
@click.option("--steps", type=Whole(1), help="Of encoding the photos.")
@click.option("--quick", is_flag=True, help="A few people and frames, to try it out.")
@recorded
def experiments(
    run: Run,
    names: tuple[str, ...],
    output: str,
    work: str | None,
    responses: str | None,
    photos: tuple[str, ...],
    identities: int | None,
    encoded: int | None,
    others: int | None,
    sorted_: int | None,
    of_set: int | None,
    samples: int | None,
    steps: int | None,
    quick: bool,
) -> None:
    """Make the figures and claims of the paper's section 4 again, and more.

    NAMES: all, page (only README.md, from the JSON that is there), or some of happiness (Fig. 1),
    distances (Fig. 5), encoding (Figs. 6 to 8), units (Fig. 9), expressions (Fig. 10), tables,
    seeds, comparable, groups, smoothness, photos, ablations and failures. An interrupted run goes
    on where it stopped. Needs `pip install duchenne[experiments]` and the weights file
    `face-landmarker-task`; groups also `apparent-age` and `apparent-gender`.

    \b
    Examples:
      python -m experiments all -o docs/experiments
      python -m experiments units expressions -o out/experiments --quick
      python -m experiments encoding -o out/experiments --encoded 12 --photo anna.jpg
      python -m experiments page -o docs/experiments
    """
    folder = Path(output)
    with writing.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in registry.NAMES if name in names or ALL in names]
    if chosen:
        given = {
            "identities": identities,
            "encoded": encoded,
            "others": others,
            "sorted": sorted_,
            "of_set": of_set,
            "samples": samples,
        }
        settings = replace(
            QUICK if quick else Settings(),
            responses_folder=Path(responses) if responses else None,
            photos=photos,
            **{name: value for name, value in given.items() if value is not None},
        )
        studio = Studio(settings=EncodeSettings() if steps is None else EncodeSettings(steps=steps))
        results = Kept(Path(work) if work else harness.default_work())
        with progress_bars() as tell:
            _run(run, chosen, Context(studio, folder, results, settings, tell))
    run.wrote(page.write(folder))


def _run(run: Run, chosen: list[str], context: Context) -> None:
    """Every chosen experiment, with the time that is left by the estimate."""
    left = registry.estimate(chosen, context.settings)
    run.note(f"about {_minutes(sum(left.values()))} on two free cores, less what is kept")
    for name in chosen:
        start = time.perf_counter()
        with run.stages(name):
            run.wrote(registry.run(name, context))
        del left[name]
        took = time.perf_counter() - start
        run.note(f"{name}: {_minutes(took)}; about {_minutes(sum(left.values()))} left")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f} min"


if __name__ == "__main__":
    main(experiments, "python -m experiments")
