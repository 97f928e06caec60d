"""Many faces at once: `stimuli` and `batch`, on this machine or on a Ray cluster."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import motion
from .animation import generated_option, paste_option
from .endings import add_option
from .faces import (
    Encoding,
    boundaries_option,
    describe_generator,
    encoding_options,
    generator_option,
    new_studio,
    opening_of,
)
from .run import Run, progress_bars, recorded
from .values import Whole

if TYPE_CHECKING:
    from ..engine.base import Build, Slots, Throughput
    from ..stimuli.measuring import Means

WORKER_OPTIONS: tuple[motion.Decorator, ...] = (
    click.option(
        "--workers",
        type=Whole(1),
        metavar="N",
        help="How many at once; by default as many as cores and memory carry.",
    ),
    click.option(
        "--threads",
        type=Whole(1),
        metavar="N",
        help="Cores of each worker, 1 by default. Another number gives slightly other pixels.",
    ),
    click.option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster, host:port; auto is the one of this machine, or a new one. "
        "Needs pip install 'duchenne[ray]'.",
    ),
)
ENGINE_OPTIONS: tuple[motion.Decorator, ...] = (
    *WORKER_OPTIONS,
    click.option("--retry", is_flag=True, help="Try again what could not be made before."),
)


@click.command()
@click.argument("design_file", metavar="DESIGN")
@click.option("-o", "--output", required=True, metavar="FOLDER", help="The set.")
@motion.options(ENGINE_OPTIONS)
@generator_option
@boundaries_option
@recorded
def stimuli(
    run: Run,
    design_file: str,
    output: str,
    workers: int | None,
    threads: int | None,
    ray: str | None,
    retry: bool,
    generator_file: str | None,
    boundaries_file: str | None,
) -> None:
    """Make a set of controlled faces: people x conditions x intensities.

    DESIGN is a TOML file; docs/stimuli.md explains it. The set holds the files, manifest.csv with
    what was asked and measured of each, a codebook, contact sheets, a quality report and a README.
    Called again after it was ended, it goes on where it was.

    \b
    Examples:
      duchenne stimuli design.toml -o set/
      duchenne stimuli design.toml -o set/ --workers 1
    """
    from ..stimuli import build, design
    from ..stimuli.casting import design_text
    from ..stimuli.measuring import Means

    asked = design.read_design(design_file)
    text = design_text(Path(design_file))
    run.read("design", design_file)
    means = Means.found()
    encoding = Encoding().full() if asked.output.generated else None
    facts = _fingerprints(run, means, generator_file, boundaries_file, encoding)
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    opening = opening_of(encoding, **files, device="cpu")
    drawing = build.drawing_of(asked, opening, means)
    slots, throughput = open_slots(drawing, workers, threads, ray)
    facts["threads"] = throughput.threads
    with run.stages("all"), progress_bars() as tell:
        result = build.build(
            asked, text, output, slots, facts, throughput, retry=retry, progress=tell
        )
    run.facts |= {
        "throughput": throughput.facts(),
        "people": result.people,
        "rejected": result.rejected,
        "outliers": result.outliers,
        "failed": result.failed,
    }
    run.wrote(output, f"{len(result.rows)} files of {result.people} people")
    run.note(
        f"{result.outliers} outliers and {result.failed} failures: see "
        f"{Path(output) / 'quality.md'}"
    )
    run.note(summary_of(throughput))


@click.command()
@click.argument("source", metavar="INPUTS")
@motion.options(motion.EXPRESSION_OPTIONS)
@add_option
@click.option("-o", "--output", required=True, metavar="FOLDER", help="Where the results go.")
@click.option(
    "--format",
    "suffix",
    default=".png",
    show_default=True,
    cls=motion.FormatOption,
    help="Of the results: .png, .jpg, .webp, or a film: {in_sets}.",
)
@click.option(
    "--size",
    type=Whole(64, 4096),
    metavar="N",
    help="Side in pixels, of a photo the longer one; as it is by default.",
)
@paste_option
@click.option(
    "--keep",
    metavar="PATH",
    help="A mask of the photos' size, or a folder of masks (.png) named as the photos are: where "
    "it is white, a photo stays.",
)
@generated_option
@encoding_options
@motion.options(ENGINE_OPTIONS)
@generator_option
@boundaries_option
@recorded
def batch(
    run: Run,
    source: str,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    add: bool,
    output: str,
    suffix: str,
    size: int | None,
    paste: bool | None,
    keep: str | None,
    generated: bool,
    encoding: Encoding,
    workers: int | None,
    threads: int | None,
    ray: str | None,
    retry: bool,
    generator_file: str | None,
    boundaries_file: str | None,
) -> None:
    """Put one expression on many photos or saved codes.

    INPUTS is a folder, a glob in quotes, or a CSV with a column `file` and, if they differ, `au`,
    `descriptor`, `expression`, `face` and `keep` (a mask). manifest.csv says of every input what
    was made and measured, or why not. Called again after it was ended, it goes on where it was.

    \b
    Examples:
      duchenne batch photos/ --expression happiness -o happy/
      duchenne batch "codes/*.safetensors" --au AU12=0.6 --size 256 -o smiles/
    """
    from ..files import folders, pictures
    from ..files.film_formats import set_suffixes
    from ..stimuli import batch as batches
    from ..stimuli import papers
    from ..stimuli.design import Match, Output
    from ..stimuli.drawing import Drawing
    from ..stimuli.measuring import Means

    given = [name for name in (au, descriptor, expression) if name is not None]
    if len(given) > 1:
        raise click.UsageError("give only one of --au, --descriptor and --expression")
    known = dict.fromkeys((*pictures.STILLS, *set_suffixes()))
    if suffix not in known:
        raise click.UsageError(f"--format {suffix}: use {', '.join(known)}")
    asked = motion.descriptor_of(au, descriptor, expression)
    found = batches.find_inputs(source, asked, keep)
    named = expression is not None
    inputs = [
        replace(one, ends=not add and (named if one.ends is None else one.ends)) for one in found
    ]
    if others := batches.left_out(source):
        run.facts["left_out"] = others
        run.note(f"{source}: left out {folders.counts_text(others)}: neither photos nor codes")
    if generated and any(given.keep is not None for given in inputs):
        raise click.UsageError("masks of --keep are for photos' own pixels, not for --generated")
    form = Output(size=size, paste_back=paste is not False, generated=generated)
    encoding = encoding.full() if generated else encoding
    film = suffix not in pictures.STILLS
    form = replace(form, still="" if film else suffix, film=suffix if film else "")
    means = Means.found()
    facts = _fingerprints(run, means, generator_file, boundaries_file, encoding)
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    opening = opening_of(encoding, **files, device="cpu")
    drawing = Drawing(opening, form, Match(), means)
    slots, throughput = open_slots(drawing, workers, threads, ray)
    facts["threads"] = throughput.threads
    with run.stages("all"), progress_bars() as tell:
        result = batches.run(
            inputs,
            form,
            output,
            slots,
            facts,
            throughput,
            settings={**asdict(encoding), "add": add},
            retry=retry,
            progress=lambda done, total: tell("batch", done, total),
        )
    run.facts |= {"throughput": throughput.facts(), "done": result.done, "failed": result.failed}
    run.wrote(output, f"{result.done} files, {result.failed} inputs failed")
    if result.failed:
        run.note(f"why inputs failed: {Path(output) / 'manifest.csv'}")
    opaque = sum(row.get("transparency") == papers.OVER_WHITE for row in result.rows)
    if opaque:
        run.note(f"{opaque} transparent photos are laid over white: .png, .webp and .webm keep it")
    run.note(summary_of(throughput))


def _fingerprints(
    run: Run,
    means: Means,
    generator_file: str | None,
    boundaries_file: str | None,
    encoding: Encoding | None = None,
) -> dict[str, Any]:
    """Which networks and boundaries draw; what is wrong with them is said before any work."""
    from ..stimuli import papers

    with run.stages("load"):
        files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
        studio = new_studio(run, encoding, **files, device="cpu")
        describe_generator(run, studio, edits=True)
        facts = papers.fingerprints(studio, means)
        if encoding is not None and encoding.encoder is not None:
            facts["encoder"] = studio.inversion.encoder_version
        return facts


def open_slots(
    build: Build, workers: int | None, threads: int | None, ray: str | None
) -> tuple[Slots, Throughput]:
    """Places for workers, here or on a cluster."""
    from ..engine.base import Throughput
    from ..engine.capacity import THREADS, crew

    each = threads or THREADS
    if ray is None:
        from ..engine.local import LocalSlots

        here = crew(workers, each)
        local = LocalSlots(build, here.workers, here.threads)
        return local, Throughput(here.workers, here.threads, "this machine")
    from ..engine.on_ray import RaySlots

    slots = RaySlots(build, workers, each, ray)
    return slots, Throughput(slots.count, each, f"ray {ray}")


def summary_of(throughput: Throughput) -> str:
    facts = throughput.facts()
    stages = ", ".join(f"{name} {s:.1f} s" for name, s in facts["worker_seconds"].items())
    return (
        f"{facts['items']} in {facts['seconds']:.1f} s, {facts['items_per_second']:.2f} a second, "
        f"{facts['workers']} workers with {facts['threads_each']} threads"
        + (f", {facts['retries']} retries" if facts["retries"] else "")
        + (f"; {stages}" if stages else "")
    )
