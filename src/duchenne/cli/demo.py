"""`demo`: the paper's example on a photo that comes with scikit-image."""

from __future__ import annotations

from pathlib import Path

import click

from ..engine.stages import peak_memory
from .faces import Encoding, describe_generator, encoding_options, new_studio
from .run import Run, encoding_bar, recorded


@click.command()
@click.option("-o", "--output", default="out/demo", show_default=True, metavar="FOLDER")
@encoding_options
@recorded
def demo(run: Run, output: str, encoding: Encoding) -> None:
    """Animate a public-domain photo to happiness, with the paper's descriptor.

    Fetches the model files first, if they are not here yet.

    \b
    Examples:
      duchenne demo
      duchenne demo -o out/quick --quality fast
    """
    from .. import demo as library

    library.prepare(Path(output), run.stages)
    studio = new_studio(run, encoding)
    with run.stages("load"):
        describe_generator(run, studio, edits=True)
    with encoding_bar() as progress:
        paths = library.make(Path(output), studio, run.stages, progress=progress)
    for path in paths:
        run.wrote(path)
    for name, seconds in run.stages.seconds.items():
        run.note(f"{name:<18}{seconds:7.1f} s")
    run.note(f"{'in all':<18}{sum(run.stages.seconds.values()):7.1f} s")
    if (peak := peak_memory()) is not None:
        run.note(f"{'peak memory':<18}{peak / 1e9:7.2f} GB")
