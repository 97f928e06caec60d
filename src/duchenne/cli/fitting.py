"""Making and judging boundaries: `fit boundaries`, `score`, `evaluate`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from .. import facs
from .faces import generator_option, new_studio
from .run import Run, recorded


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
@click.option("--work", metavar="FOLDER", help="Keeps what is done, so that a fit can resume.")
@click.option(
    "--share",
    metavar="K/N",
    help="Only collect every N-th face, from the K-th: run N such processes side by side, then "
    "once without --share.",
)
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
    generator_file: str | None,
) -> None:
    """Find the Action Unit boundaries of the built-in or another generator.

    Needs the weights file `face-landmarker-task`. Pairs takes about 20 minutes on two cores,
    the other methods about ten.

    \b
    Examples:
      duchenne fit boundaries -o boundaries.safetensors --work fit
      duchenne fit boundaries -o paper.safetensors --method paper --faces 800
    """
    from .. import boundaries, codes, pixels

    for path in filter(None, (output, scale)):
        pixels.check_writable(path, (codes.SUFFIX,))
    if scale is not None and method != "pairs":
        raise click.UsageError("--scale goes with --method pairs")
    generator = new_studio(run, generator_file=generator_file, device="cpu").generator
    run.facts["generator"] = generator.fingerprint
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


def _fit_pairs(
    generator: Any, faces: int | None, work: str | None, share: str | None, tell: Any
) -> tuple[Any, Any]:
    from ..fit import recipe
    from ..weights import cache_root

    folder = Path(work) if work else cache_root() / "fit" / generator.fingerprint
    settings = recipe.RecipeSettings() if faces is None else recipe.RecipeSettings(faces=faces)
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


def _share(text: str) -> tuple[int, int]:
    try:
        k, n = (int(part) for part in text.split("/"))
    except ValueError:
        raise click.UsageError(f"--share {text}: write K/N, for example 0/2") from None
    if not 0 <= k < n:
        raise click.UsageError(f"--share {text}: K counts from 0 to N - 1")
    return k, n


@click.command()
@click.argument("images", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", help="Table, .csv or .json; else CSV on stdout.")
@click.option("--face", type=click.IntRange(min=0), default=0, help="Which face of each picture.")
@recorded
def score(run: Run, images: tuple[str, ...], output: str | None, face: int) -> None:
    """Measure the twelve Action Units of the faces in IMAGES, 0 to 5.

    Needs the weights file `face-landmarker-task`. docs/scores.md says what each score measures.

    \b
    Examples:
      duchenne score photo.jpg
      duchenne score photo.jpg -o scores.csv
    """
    from .. import align, pixels
    from ..score import Scorer

    if output is not None:
        pixels.check_writable(output, (".csv", ".json"))
    scorer = Scorer()
    rows = []
    for image in images:
        photo = pixels.load_photo(image)
        with run.stages("score"):
            found = align.find(photo, face=face)
            values = scorer.scores(photo.pixels, found.mesh)
        scores = {code: round(float(v), 3) for code, v in zip(facs.CODES, values, strict=True)}
        rows.append({"image": image, **scores})
    if output is None:
        run.say(_table(rows).rstrip())
        return
    text = json.dumps(rows, indent=1) if Path(output).suffix.lower() == ".json" else _table(rows)
    from .. import codes

    codes.write_atomically(text.encode(), Path(output))
    run.wrote(output)


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar for each named stage of a long job, on stderr where that is a terminal."""
    from tqdm import tqdm

    bars: dict[str, Any] = {}

    def tell(stage: str, done: int, total: int) -> None:
        if stage not in bars:
            bars[stage] = tqdm(desc=stage, total=total, disable=None)
        bars[stage].update(done - bars[stage].n)

    try:
        yield tell
    finally:
        for bar in bars.values():
            bar.close()
