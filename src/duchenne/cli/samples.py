"""`sample`: synthetic people."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..errors import InputError
from .faces import describe_generator, generator_option, new_studio, size_option
from .run import Run, recorded, with_bar
from .values import Decimal, Whole

if TYPE_CHECKING:
    from ..types import LatentCode


@click.command()
@click.option("--seed", type=Whole(0), required=True, help="Chooses the person.")
@click.option(
    "--truncation",
    type=Decimal(),
    metavar="PSI",
    help="0 gives the average face, 1 the most varied ones; 0.7 by default.",
)
@click.option(
    "--count",
    type=Whole(1),
    metavar="N",
    help="Draw N people, of this seed and the next ones, into the folder -o: seed_000007.png and "
    "its code, and so on. What is there already is kept.",
)
@click.option("-o", "--output", required=True, metavar="FILE", help="The picture, .png.")
@size_option
@generator_option
@recorded
def sample(
    run: Run,
    seed: int,
    truncation: float | None,
    count: int | None,
    output: str,
    size: int | None,
    generator_file: str | None,
) -> None:
    """Draw a synthetic person; the same seed gives the same bytes.

    The latent code is saved beside the picture, for `animate` and `edit`.

    \b
    Examples:
      duchenne sample --seed 7 -o face.png
      duchenne sample --seed 7 --truncation 0.5 -o plain_face.png
      duchenne sample --seed 7 --count 3 -o faces
    """
    from ..files import codes, pictures

    if truncation is not None and not 0 <= truncation <= 1:
        raise InputError(f"truncation {truncation:g}: must lie between 0 and 1")
    if count is not None:
        _sample_many(run, range(seed, seed + count), truncation, Path(output), size, generator_file)
        return
    pictures.check_writable(output)
    code_path = Path(output).with_suffix(codes.SUFFIX)
    pictures.check_writable(code_path, (codes.SUFFIX,))
    run.check_outputs([generator_file], [Path(output), code_path])
    with run.stages("load"):
        studio = new_studio(run, generator_file=generator_file)
        describe_generator(run, studio)
    with run.stages("sample"):
        options = {} if truncation is None else {"truncation": truncation}
        code = studio.sample(seed, **options).code
        drawn = studio.renderer.still(code.w, size)
    run.facts["code"] = dict(code.provenance)
    pictures.save_image(drawn, output)
    run.wrote(output)
    codes.write_code(code, code_path)
    run.wrote(code_path)


def _sample_many(
    run: Run,
    seeds: range,
    truncation: float | None,
    folder: Path,
    size: int | None,
    generator_file: str | None,
) -> None:
    """People and their codes in a folder; another coder can score the pictures by name."""
    from ..errors import OutputError
    from ..files import codes, pictures, writing

    if folder.suffix:
        raise OutputError(f"{folder}: with --count the output is a folder; leave out the suffix")
    with writing.reporting_disk_errors(folder):
        folder.mkdir(exist_ok=True)
    with run.stages("load"):
        studio = new_studio(run, generator_file=generator_file)
        describe_generator(run, studio)
    options = {} if truncation is None else {"truncation": truncation}
    with run.stages("sample"):
        for seed in with_bar(seeds, len(seeds), "sampling"):
            picture = folder / f"seed_{seed:06d}.png"
            code_path = picture.with_suffix(codes.SUFFIX)
            code = studio.sample(seed, **options).code
            if picture.exists() and _holds(code_path, code):
                continue
            pictures.save_image(studio.renderer.still(code.w, size), picture)
            codes.write_code(code, code_path)  # last: it says that the picture is there
    run.wrote(folder, f"{len(seeds)} people")


def _holds(path: Path, code: LatentCode) -> bool:
    """Whether a file has this code already."""
    from ..files import codes

    try:
        kept = codes.read_code(path)
    except InputError:
        return False
    return kept.generator == code.generator and kept.w.tobytes() == code.w.tobytes()
