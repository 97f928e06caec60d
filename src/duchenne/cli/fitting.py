"""Making and judging boundaries: `fit boundaries`, `score`, `evaluate`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from .. import facs
from .ahead import Crew, crew_options
from .faces import Encoding, generator_option, new_studio, steps_option
from .run import Run, progress_bars, recorded


@click.group()
def fit() -> None:
    """Fit what the package ships: boundaries and the scale of the scores.

    \b
    Examples:
      duchenne fit boundaries -o boundaries.safetensors --work fit
    """


pictures_option: Callable[..., Any] = click.option(
    "--pictures",
    metavar="FOLDER",
    help="The scored faces: pictures, or saved codes. A sub-folder holds one person's.",
)


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
    "side by side, then once without --share.",
)
@crew_options
@generator_option
@recorded
def fit_boundaries(
    run: Run,
    output: str,
    scale: str | None,
    method: str,
    faces: int | None,
    work: str | None,
    share: str | None,
    crew: Crew,
    generator_file: str | None,
    distances: str | None,
    **coded: Any,
) -> None:
    """Find the Action Unit boundaries of the built-in or another generator.

    Needs the weights file `face-landmarker-task`. Pairs takes about 20 minutes on two cores,
    the other methods about ten. With --disfa or --scores the examples are coded faces instead of
    generated ones (docs/fitting.md); each is encoded, for a minute or two, and kept.

    \b
    Examples:
      duchenne fit boundaries -o boundaries.safetensors --work fit
      duchenne fit boundaries -o boundaries.safetensors --work fit --ray auto
      duchenne fit boundaries -o paper.safetensors --method paper --faces 800
      duchenne fit boundaries --disfa DISFA -o disfa.safetensors --work fit
      duchenne fit boundaries --scores au.csv --pictures faces -o own.safetensors
    """
    from .. import boundaries, codes, pixels

    for path in filter(None, (output, scale)):
        pixels.check_writable(path, (codes.SUFFIX,))
    if distances is not None:
        pixels.check_writable(distances, (".csv",))
    labelled = _check_coded(coded, scale, faces, distances)
    if scale is not None and method != "pairs":
        raise click.UsageError("--scale goes with --method pairs")
    if share is not None:
        crew.require_none("divide the work by themselves; leave --share out")
    if labelled:
        _fit_coded(run, output, method, work, share, crew, generator_file, distances, **coded)
        return
    if method != "pairs":
        crew.require_none(f"--method {method} on generated faces is one process's work")
    generator = new_studio(run, generator_file=generator_file).generator
    run.facts["generator"] = generator.fingerprint
    if method == "pairs":
        _responses_ahead(run, generator, faces, work, crew, generator_file)
    with run.stages("fit"), progress_bars() as tell:
        if method == "pairs":
            found, levels = _fit_pairs(generator, faces, work, share, tell)
            if found is None:
                run.say("this share is complete")
                return
        else:
            found, levels = _fit_plain(generator, faces, method, tell), None
    boundaries.save_boundaries(found, Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    if scale is not None:
        from .. import score

        score.save_scale(levels, Path(scale), found.provenance)
        run.wrote(scale)
    run.facts["boundaries"] = dict(found.provenance)


def _pairs_job(generator: Any, faces: int | None, work: str | None) -> tuple[Path, Any]:
    """(work folder, settings) of the fit from matched pairs."""
    from ..fit import recipe
    from ..weights import cache_root

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint
    settings = recipe.RecipeSettings() if faces is None else recipe.RecipeSettings(faces=faces)
    return folder, settings


def _responses_ahead(
    run: Run,
    generator: Any,
    faces: int | None,
    work: str | None,
    crew: Crew,
    generator_file: str | None,
) -> None:
    from ..fit import ahead

    folder, settings = _pairs_job(generator, faces, work)
    crew.work(
        run,
        generator_file,
        lambda studios: ahead.response_files(generator, studios, settings.faces, folder),
    )


def _fit_pairs(
    generator: Any, faces: int | None, work: str | None, share: str | None, tell: Any
) -> tuple[Any, Any]:
    from ..fit import recipe

    folder, settings = _pairs_job(generator, faces, work)
    if share is not None:
        recipe.collect_share(generator, folder, settings, _share(share), tell)
        return None, None
    return recipe.fit(generator, folder, settings, progress=tell)


def _fit_plain(generator: Any, faces: int | None, method: str, tell: Any) -> Any:
    from ..fit import paper
    from ..render import Renderer
    from ..score import Scorer

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
    crew: Crew,
    generator_file: str | None,
    distances: str | None,
    **coded: Any,
) -> None:
    from .. import boundaries, codes
    from ..encode import EncodeCache
    from ..fit import labelled
    from ..weights import cache_root

    part = (0, 1) if share is None else _share(share)
    encoding = Encoding(steps=coded["steps"])
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
        found = labelled.fit(
            studio.renderer, data, method=method, scorer=scorer, provenance=examples, progress=tell
        )
    boundaries.save_boundaries(found, Path(output))
    run.wrote(output)
    run.wrote(Path(output).with_suffix(".json"))
    run.facts["boundaries"] = dict(found.provenance)
    if distances is not None:
        apart = labelled.distances(found, data.w)
        rows = [
            {"face": face, "person": person, **_by_code(row)}
            for face, person, row in zip(data.names, data.people, apart, strict=True)
        ]
        codes.write_atomically(_table(rows).encode(), Path(distances))
        run.wrote(distances)


def _disfa_settings(coded: dict[str, Any]) -> Any:
    from ..fit import disfa

    given = {name: coded[name] for name in ("strong", "per_person", "camera") if coded[name]}
    return disfa.DisfaSettings(**given)


def _codes_ahead(studio: Any, studios: Any, coded: dict[str, Any]) -> Any:
    """The pictures or frames that will be asked for, as a job for workers."""
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

    scores = _read_scores(coded["scores"], coded["pictures"])
    folder, strong = Path(coded["pictures"]), coded["strong"]
    data = imported.collect(folder, scores, studio, strong=strong, share=part, progress=tell)
    return data, imported.described(scores, strong, studio)


def _read_scores(table: str, pictures: str | None) -> Any:
    from .. import coders
    from ..errors import InputError

    if pictures is not None and not Path(pictures).is_dir():
        raise InputError(f"{pictures}: no such folder; give the one with the scored pictures")
    names = [path.name for path in Path(pictures).iterdir()] if pictures else []
    return coders.read_scores(Path(table), names)


def _scorer(run: Run) -> Any:
    """What measures lengths on rendered faces; None, and said, where its weights are not here."""
    from ..errors import WeightsError
    from ..score import Scorer

    try:
        return Scorer()
    except WeightsError as error:
        run.note(f"{error}; lengths are taken from the coded faces")
        return None


def _by_code(values: Any) -> dict[str, float | None]:
    """AU code -> number, None for NaN."""
    rounded = [round(float(value), 3) for value in values]
    return {c: v if v == v else None for c, v in zip(facs.CODES, rounded, strict=True)}


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
@crew_options
@generator_option
@recorded
def fit_encoder(
    run: Run,
    output: str,
    pairs: int | None,
    work: str | None,
    crew: Crew,
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
    from .. import codes, initial, pixels
    from ..weights import cache_root

    curve = Path(output).with_suffix(".json")
    pixels.check_writable(output, (codes.SUFFIX,))
    pixels.check_writable(curve, (".json",))
    generator = new_studio(run, generator_file=generator_file).generator
    run.facts["generator"] = generator.fingerprint
    from ..fit import ahead, encoder

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint / "encoder"
    settings = encoder.EncoderFitSettings()
    if pairs is not None:
        settings = replace(settings, pairs=pairs)
    crew.work(
        run,
        generator_file,
        lambda studios: ahead.pair_files(generator, studios, settings.pairs, folder / "pairs"),
    )
    with run.stages("fit"), progress_bars() as tell:
        network, record = encoder.fit(generator, folder, settings, progress=tell)
    initial.save(network, Path(output), record)
    run.wrote(output)
    codes.write_atomically((json.dumps(record, indent=1) + "\n").encode(), curve)
    run.wrote(curve)


@click.command()
@click.argument("images", nargs=-1)
@click.option("-o", "--output", metavar="FILE", help="Table, .csv or .json; else CSV on stdout.")
@click.option("--face", type=click.IntRange(min=0), default=0, help="Which face of each picture.")
@click.option(
    "--import",
    "table",
    metavar="FILE",
    help="No IMAGES, but another coder's scores in the same form: the CSV of OpenFace or py-feat, "
    "or the folder of FaceLandmarkImg's.",
)
@pictures_option
@recorded
def score(
    run: Run,
    images: tuple[str, ...],
    output: str | None,
    face: int,
    table: str | None,
    pictures: str | None,
) -> None:
    """Measure the twelve Action Units of the faces in IMAGES, 0 to 5.

    Needs the weights file `face-landmarker-task`. docs/scores.md says what each score measures,
    docs/fitting.md which tables --import reads.

    \b
    Examples:
      duchenne score photo.jpg
      duchenne score photo.jpg -o scores.csv
      duchenne score --import pyfeat.csv -o scores.csv
    """
    from .. import pixels

    if bool(images) == (table is not None):
        raise click.UsageError("give IMAGES, or --import and a table")
    if pictures is not None and table is None:
        raise click.UsageError("--pictures goes with --import")
    if output is not None:
        pixels.check_writable(output, (".csv", ".json"))
        run.check_outputs([*images, table], [Path(output)])
    if table is not None:
        scores = _read_scores(table, pictures)
        pairs = zip(scores.names, scores.values, strict=True)
        rows = [{"image": name, **_by_code(values)} for name, values in pairs]
        run.facts["coder"] = {"tool": scores.tool, "notes": list(scores.notes)}
    else:
        rows = _measured(run, images, face)
    if output is None:
        run.say(_table(rows).rstrip())
        return
    text = json.dumps(rows, indent=1) if Path(output).suffix.lower() == ".json" else _table(rows)
    from .. import codes

    codes.write_atomically(text.encode(), Path(output))
    run.wrote(output)


def _measured(run: Run, images: tuple[str, ...], face: int) -> list[dict[str, Any]]:
    from .. import align, pixels
    from ..score import Scorer

    scorer = Scorer()
    rows = []
    for image in images:
        photo = pixels.load_photo(image)
        with run.stages("score"):
            found = align.find(photo, face=face)
            values = scorer.scores(photo.pixels, found.mesh)
        rows.append({"image": image, **_by_code(values)})
    return rows


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
