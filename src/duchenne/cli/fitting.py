"""Making what the package ships: `fit boundaries`, `fit encoder`."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .ahead import WorkerOptions, worker_options
from .faces import Encoding, generator_option, new_studio, steps_option
from .run import Run, progress_bars, recorded
from .scoring import by_code, pictures_option, read_scores, table_text


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
@click.option("--faces", type=click.IntRange(min=10), help="How many people to fit on.")
@click.option(
    "--refine/--no-refine",
    "refined",
    default=None,
    help="Improve the normals of --method pairs by what full edits do to many faces and whom "
    "dlib sees in them (the extra `evaluate`). The default.",
)
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
    type=click.FloatRange(1, 5),
    metavar="N",
    help="Intensity, 0 to 5, from which a coded face shows an AU. 4 for --disfa; the strongest "
    "faces for --scores, whatever their intensity.",
)
@click.option(
    "--per-person",
    type=click.IntRange(min=1),
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
    labelled = _check_coded(coded, scale, faces, distances)
    if scale is not None and method != "pairs":
        raise click.UsageError("--scale goes with --method pairs")
    if refined is not None and (labelled or method != "pairs"):
        raise click.UsageError("--refine goes with --method pairs on generated faces")
    if share is not None:
        crew.require_none("divide the work by themselves; leave --share out")
    if labelled:
        _fit_coded(run, output, method, work, share, crew, generator_file, distances, **coded)
        return
    if method != "pairs":
        crew.require_none(f"--method {method} on generated faces is one process's work")
    generator = new_studio(run, generator_file=generator_file).generator
    run.facts["generator"] = generator.fingerprint
    folder, settings = _pairs_job(generator, faces, work, refined)
    if method == "pairs":
        _pairs_ahead(run, generator, settings, folder, crew, generator_file)
    with run.stages("fit"), progress_bars() as tell:
        if method == "pairs":
            fitted, levels = _fit_pairs(generator, settings, folder, share, tell)
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


def _pairs_job(
    generator: Any, faces: int | None, work: str | None, refined: bool | None
) -> tuple[Path, Any]:
    """(work folder, settings) of the fit from matched pairs."""
    from ..fit import recipe
    from ..weights.store import cache_root

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint
    settings = recipe.RecipeSettings() if faces is None else recipe.RecipeSettings(faces=faces)
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
    generator: Any, settings: Any, folder: Path, share: str | None, tell: Any
) -> tuple[Any, Any]:
    from ..fit import recipe

    if share is not None:
        recipe.collect_share(generator, folder, settings, _share(share), tell)
        return None, None
    return recipe.fit(generator, folder, settings, progress=tell)


def _fit_plain(generator: Any, faces: int | None, method: str, tell: Any) -> Any:
    from ..editing.render import Renderer
    from ..fit import paper
    from ..measuring.score import Scorer

    renderer, scorer = Renderer(generator), Scorer()
    samples = paper.sample(renderer, scorer, faces or paper.SAMPLES, tell)
    conditional = method == "conditional"
    return paper.fit(renderer, scorer, samples, conditional=conditional, progress=tell)


def _check_coded(
    coded: dict[str, Any], scale: str | None, faces: int | None, distances: str | None
) -> bool:
    """Whether the examples are coded faces; a UsageError for options that do not go together."""
    disfa, scores, pictures = (coded[name] for name in ("disfa", "scores", "pictures"))
    if disfa is not None and scores is not None:
        raise click.UsageError("give --disfa or --scores, not both")
    if (scores is None) != (pictures is None):
        raise click.UsageError("--scores and --pictures go together")
    if disfa is None and (coded["per_person"] is not None or coded["camera"] is not None):
        raise click.UsageError("--per-person and --camera go with --disfa")
    labelled = disfa is not None or scores is not None
    if not labelled and (coded["strong"] or coded["steps"] or distances):
        raise click.UsageError("--strong, --steps and --distances go with --disfa or --scores")
    if labelled and (scale is not None or faces is not None):
        raise click.UsageError("--scale and --faces are of generated faces, not of coded ones")
    return labelled


def _fit_coded(
    run: Run,
    output: str,
    method: str,
    work: str | None,
    share: str | None,
    crew: WorkerOptions,
    generator_file: str | None,
    distances: str | None,
    **coded: Any,
) -> None:
    from ..editing import boundaries
    from ..editing.edit import signed_distances
    from ..encoding.inversion import EncodeCache
    from ..files import codes
    from ..fit import labelled
    from ..weights.store import cache_root

    part = (0, 1) if share is None else _share(share)
    encoding = Encoding(steps=coded["steps"]).full()
    studio = new_studio(run, encoding, generator_file=generator_file, device="cpu")
    run.facts["generator"] = studio.generator.fingerprint
    folder = Path(work) if work else cache_root() / "fit" / studio.generator.fingerprint / "coded"
    studio.cache = EncodeCache(folder / "codes")
    crew.work(run, generator_file, lambda s: _codes_ahead(studio, s, coded), encoding)
    with run.stages("examples"), progress_bars() as tell:
        if coded["disfa"] is not None:
            data, examples = _disfa_examples(studio, folder, part, coded, tell)
        else:
            data, examples = _scored_examples(studio, part, coded, tell)
    if share is not None:
        run.say("this share is complete")
        return
    with run.stages("fit"), progress_bars() as tell:
        scorer = _scorer(run) if method == "pairs" else None
        fitted = labelled.fit(
            studio.renderer, data, method=method, scorer=scorer, provenance=examples, progress=tell
        )
    boundaries.save_boundaries(fitted, Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    run.facts["boundaries"] = dict(fitted.provenance)
    if distances is not None:
        apart = signed_distances(data.w, fitted.normals, fitted.biases)
        rows = [
            {"face": face, "person": person, **by_code(row)}
            for face, person, row in zip(data.names, data.people, apart, strict=True)
        ]
        codes.write_atomically(table_text(rows).encode(), Path(distances))
        run.wrote(distances)


def _disfa_settings(coded: dict[str, Any]) -> Any:
    from ..fit import disfa

    given = {name: coded[name] for name in ("strong", "per_person", "camera") if coded[name]}
    return disfa.DisfaSettings(**given)


def _codes_ahead(studio: Any, studios: Any, coded: dict[str, Any]) -> Any:
    """The pictures or frames that will be asked for, as a preparation for workers."""
    from ..fit import ahead

    if coded["disfa"] is not None:
        return ahead.codes_of_disfa(Path(coded["disfa"]), studio, studios, _disfa_settings(coded))
    return ahead.codes_of_pictures(Path(coded["pictures"]), studio, studios)


def _disfa_examples(
    studio: Any, folder: Path, part: tuple[int, int], coded: dict[str, Any], tell: Any
) -> tuple[Any, dict[str, Any]]:
    from ..fit import disfa

    settings = _disfa_settings(coded)
    root = Path(coded["disfa"])
    data = disfa.collect(root, studio, folder, settings, share=part, progress=tell)
    return data, disfa.described(settings, studio)


def _scored_examples(
    studio: Any, part: tuple[int, int], coded: dict[str, Any], tell: Any
) -> tuple[Any, dict[str, Any]]:
    from ..fit import imported

    scores = read_scores(coded["scores"], coded["pictures"])
    folder, strong = Path(coded["pictures"]), coded["strong"]
    data = imported.collect(folder, scores, studio, strong=strong, share=part, progress=tell)
    return data, imported.described(scores, strong, studio)


def _scorer(run: Run) -> Any:
    """What measures lengths on rendered faces; None, and said, where its weights are not here."""
    from ..errors import WeightsError
    from ..measuring.score import Scorer

    try:
        return Scorer()
    except WeightsError as error:
        run.note(f"{error}; lengths are taken from the coded faces")
        return None


def _share(text: str) -> tuple[int, int]:
    try:
        k, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise click.UsageError(f"--share {text}: write K/N, for example 0/2") from None
    if not 0 <= k < n:
        raise click.UsageError(f"--share {text}: K counts from 0 to N - 1")
    return k, n


@fit.command("encoder")
@click.option("-o", "--output", required=True, metavar="FILE", help="The network, .safetensors.")
@click.option("--pairs", type=click.IntRange(min=2048), help="How many faces to draw.")
@click.option("--work", metavar="FOLDER", help="Keeps what is done, so that a fit can resume.")
@worker_options
@generator_option
@recorded
def fit_encoder(
    run: Run,
    output: str,
    pairs: int | None,
    work: str | None,
    crew: WorkerOptions,
    generator_file: str | None,
) -> None:
    """Fit v(I), the network that guesses a face's code (section 3.2).

    Draws pairs of codes and pictures, computes their features once, and trains on them: about an
    hour on two cores. A fit that was ended, at any point, goes on where it was. The training curve
    is written beside the network (.json).

    \b
    Examples:
      duchenne fit encoder -o encoder.safetensors --work fit
    """
    from ..encoding import encoder
    from ..files import codes, pictures
    from ..weights.store import cache_root

    curve = Path(output).with_suffix(".json")
    pictures.check_writable(output, (codes.SUFFIX,))
    pictures.check_writable(curve, (".json",))
    generator = new_studio(run, generator_file=generator_file).generator
    run.facts["generator"] = generator.fingerprint
    from ..fit import ahead
    from ..fit import encoder as fitting

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint / "encoder"
    settings = fitting.EncoderFitSettings()
    if pairs is not None:
        settings = replace(settings, pairs=pairs)
    crew.work(
        run,
        generator_file,
        lambda studios: ahead.pair_files(generator, studios, settings.pairs, folder / "pairs"),
    )
    with run.stages("fit"), progress_bars() as tell:
        network, record = fitting.fit(generator, folder, settings, progress=tell)
    encoder.save(network, Path(output), record)
    run.wrote(output)
    codes.write_atomically((json.dumps(record, indent=1) + "\n").encode(), curve)
    run.wrote(curve)
