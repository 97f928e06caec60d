"""`fit covering`: the network that finds what covers a face."""

from __future__ import annotations

import json
from pathlib import Path

import click

from .faces import new_studio
from .run import Run, progress_bars, recorded
from .values import Whole


@click.command("covering")
@click.option("-o", "--output", required=True, metavar="FILE", help="The network, .safetensors.")
@click.option("--faces", type=Whole(2), default=350, show_default=True)
@click.option("--steps", type=Whole(2), default=600, show_default=True)
@click.option(
    "--seed", type=Whole(0, 2**62), default=50_000, show_default=True, help="Of the first face."
)
@recorded
def fit_covering(run: Run, output: str, faces: int, steps: int, seed: int) -> None:
    """Fit the network that finds what covers a face.

    Draws people of the built-in generator, and glasses, hands, microphones, hair, masks and other
    things over them: about half an hour on two cores.

    \b
    Examples:
      duchenne fit covering -o covering.safetensors
    """
    from ..files import codes, pictures
    from ..fit import covering
    from ..moving.finder import save

    pictures.check_writable(output, (codes.SUFFIX,))
    record = Path(output).with_suffix(".json")
    pictures.check_writable(record, (".json",))
    studio = new_studio(run)
    facts = {
        "generator": studio.generator.fingerprint,
        "faces": faces,
        "steps": steps,
        "seed": seed,
    }
    with run.stages("fit"), progress_bars() as tell:
        people = covering.gather(
            studio, faces, seed=seed, progress=lambda done, total: tell("faces", done, total)
        )
        network = covering.fit(
            people, steps=steps, progress=lambda done, total: tell("steps", done, total)
        )
    save(network, Path(output), facts)
    run.wrote(output)
    codes.write_atomically((json.dumps(facts, indent=1) + "\n").encode(), record)
    run.wrote(record)
