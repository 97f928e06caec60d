"""Making what the package ships: `fit boundaries`, and the group of all fits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import facs
from .ahead import WorkerOptions, worker_options
from .faces import boundaries_option, generator_option, new_studio, steps_option
from .fitting_coded import check_coded, fit_coded, share_of
from .run import Run, progress_bars, recorded
from .scoring import pictures_option
from .values import Decimal, Whole


@click.group()
def fit() -> None:
    """Fit what the package ships: boundaries and the scale of the scores.

    \b
    Examples:
      duchenne fit boundaries -o boundaries.safetensors --work fit
    """


@fit.command("boundaries")
@click.option("-o", "--output", required=True, metavar="FILE", help="The boundaries, .safetensors.")
@click.option("--scale", metavar="FILE", help="Also the scale of the scores, .safetensors.")
@click.option(
    "--method",
    type=click.Choice(["pairs", "paper", "conditional"]),
    default="pairs",
    show_default=True,
    help="pairs: matched pairs, regional. paper: section 3.3 to the letter. conditional: the "
    "paper's with InterFaceGAN's projection.",
)
@click.option("--faces", type=Whole(10), help="How many people to fit on.")
@click.option(
    "--refine/--no-refine",
    "refined",
    default=None,
    help="Improve the normals of --method pairs by what full edits do to many faces and whom "
    "dlib sees in them (the extra `evaluate`). The default.",
)
@click.option(
    "--units",
    metavar="LIST",
    help="Fit only these Action Units, AU7,AU10; the others stay as in --boundaries, or as built "
    "in, and their scores as built in.",
)
@boundaries_option
@click.option("--disfa", metavar="FOLDER", help="Fit on a copy of DISFA instead: coded films.")
@click.option(
    "--scores",
    metavar="FILE",
    help="Fit on --pictures instead, scored by another coder: the CSV of OpenFace or py-feat, or "
    "the folder of FaceLandmarkImg's.",
)
@pictures_option
@click.option(
    "--strong",
    type=Decimal(1, 5),
    metavar="N",
    help="Intensity, 0 to 5, from which a coded face shows an AU. 4 for --disfa; the strongest "
    "faces for --scores, whatever their intensity.",
)
@click.option(
    "--per-person",
    type=Whole(1),
    metavar="N",
    help="Frames of one person for each AU, and half of the neutral ones (--disfa).",
)
@click.option("--camera", type=click.Choice(["left", "right"]), help="Of --disfa; left by default.")
@steps_option
@click.option(
    "--distances", metavar="FILE", help="Also each coded face's distances from them, .csv."
)
@click.option("--work", metavar="FOLDER", help="Keeps what is done, so that a fit can resume.")
@click.option(
    "--share",
    metavar="K/N",
    help="Only collect every N-th face (or person of DISFA), from the K-th: run N such processes "
    "side by side, then once without --share. --workers divides the rest as well.",
)
@worker_options
@generator_option
@recorded
def fit_boundaries(
    run: Run,
    output: str,
    scale: str | None,
    method: str,
    faces: int | None,
    refined: bool | None,
    units: str | None,
    boundaries_file: str | None,
    work: str | None,
    share: str | None,
    crew: WorkerOptions,
    generator_file: str | None,
    distances: str | None,
    **coded: Any,
) -> None:
    """Find the Action Unit boundaries of the built-in or another generator.

    Needs the weights file `face-landmarker-task`. Pairs takes about an hour on two cores with
    --workers 2, the other methods about ten minutes. With --disfa or --scores the examples are
    coded faces instead of generated ones (docs/fitting.md); each is encoded, for half a minute,
    and kept.

    \b
    Examples:
      duchenne fit boundaries -o boundaries.safetensors --work fit
      duchenne fit boundaries -o boundaries.safetensors --work fit --ray auto
      duchenne fit boundaries -o more.safetensors --units AU7,AU10
      duchenne fit boundaries -o paper.safetensors --method paper --faces 800
      duchenne fit boundaries --disfa DISFA -o disfa.safetensors --work fit
      duchenne fit boundaries --scores au.csv --pictures faces -o own.safetensors
    """
    from ..editing import boundaries
    from ..files import codes, pictures
    from ..fit.boundaries import scikit_learn

    scikit_learn("svm")  # what is missing is said before half an hour is spent
    for path in filter(None, (output, scale)):
        pictures.check_writable(path, (codes.SUFFIX,))
    if distances is not None:
        pictures.check_writable(distances, (".csv",))
    labelled = check_coded(coded, scale, faces, distances)
    if scale is not None and method != "pairs":
        raise click.UsageError("--scale goes with --method pairs")
    if refined is not None and (labelled or method != "pairs"):
        raise click.UsageError("--refine goes with --method pairs on generated faces")
    if (units is not None or boundaries_file is not None) and (labelled or method != "pairs"):
        raise click.UsageError("--units goes with --method pairs on generated faces")
    if boundaries_file is not None and units is None:
        raise click.UsageError("--boundaries goes with --units: what the others are taken from")
    if share is not None:
        crew.require_none("divide the work by themselves; leave --share out")
    if labelled:
        fit_coded(run, output, method, work, share, crew, generator_file, distances, **coded)
        return
    if method != "pairs":
        crew.require_none(f"--method {method} on generated faces is one process's work")
    generator = new_studio(run, generator_file=generator_file).generator
    run.facts["generator"] = generator.fingerprint
    folder, settings = _pairs_job(generator, faces, work, refined, units)
    kept = None if units is None else _kept(boundaries_file)
    if kept is not None:  # said before half an hour is spent
        kept.boundaries.require_space(generator.fingerprint)
    if method == "pairs":
        _pairs_ahead(run, generator, settings, folder, crew, generator_file)
    with run.stages("fit"), progress_bars() as tell:
        if method == "pairs":
            fitted, levels = _fit_pairs(generator, settings, folder, share, kept, tell)
            if fitted is None:
                run.say("this share is complete")
                return
        else:
            fitted, levels = _fit_plain(generator, faces, method, tell), None
    boundaries.save_boundaries(fitted, Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    if scale is not None:
        from ..measuring import score

        score.save_scale(levels, Path(scale), fitted.provenance)
        run.wrote(scale)
    run.facts["boundaries"] = dict(fitted.provenance)


def _kept(boundaries_file: str | None) -> Any:
    """What the Action Units that are not fitted are taken from."""
    from ..editing import boundaries
    from ..fit import recipe
    from ..measuring import score

    before = (
        boundaries.built_in()
        if boundaries_file is None
        else boundaries.load_boundaries(Path(boundaries_file))
    )
    return recipe.Kept(before, score.built_in_scale())


def _pairs_job(
    generator: Any, faces: int | None, work: str | None, refined: bool | None, units: str | None
) -> tuple[Path, Any]:
    """(work folder, settings) of the fit from matched pairs."""
    from ..fit import recipe
    from ..weights.store import cache_root

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint
    settings = recipe.RecipeSettings() if faces is None else recipe.RecipeSettings(faces=faces)
    if units is not None:
        settings = replace(settings, units=facs.units(units))
    return folder, replace(settings, refine=None) if refined is False else settings


def _pairs_ahead(
    run: Run,
    generator: Any,
    settings: Any,
    folder: Path,
    crew: WorkerOptions,
    generator_file: str | None,
) -> None:
    from ..fit import ahead
    from ..measuring import dlib_identity

    if settings.refine:
        dlib_identity.network_file()  # what is missing is said before half an hour is spent
    crew.work(
        run,
        generator_file,
        lambda studios: ahead.response_files(generator, studios, settings.faces, folder),
    )
    if settings.refine:
        crew.work(
            run,
            generator_file,
            lambda studios: ahead.refined_files(generator, studios, settings, folder),
        )


def _fit_pairs(
    generator: Any, settings: Any, folder: Path, share: str | None, kept: Any, tell: Any
) -> tuple[Any, Any]:
    from ..fit import recipe

    if share is not None:
        recipe.collect_share(generator, folder, settings, share_of(share), tell)
        return None, None
    return recipe.fit(generator, folder, settings, kept=kept, progress=tell)


def _fit_plain(generator: Any, faces: int | None, method: str, tell: Any) -> Any:
    from ..editing.render import Renderer
    from ..fit import paper
    from ..measuring.score import Scorer

    renderer, scorer = Renderer(generator), Scorer()
    samples = paper.sample(renderer, scorer, faces or paper.SAMPLES, tell)
    conditional = method == "conditional"
    return paper.fit(renderer, scorer, samples, conditional=conditional, progress=tell)
