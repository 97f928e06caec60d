"""`fit encoder`: the network v(I), which guesses a face's code."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click

from .ahead import WorkerOptions, worker_options
from .faces import generator_option, new_studio
from .run import Run, progress_bars, recorded
from .values import Whole


@click.command("encoder")
@click.option("-o", "--output", required=True, metavar="FILE", help="The network, .safetensors.")
@click.option("--pairs", type=Whole(2048), help="How many faces to draw.")
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

    pictures.check_writable(output, (codes.SUFFIX,))
    curve = Path(output).with_suffix(".json")
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
