"""`curves`: a motion as ARKit's blendshape curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from . import motion
from .faces import boundaries_option
from .run import Run, recorded


@click.command()
@motion.options(motion.EXPRESSION_OPTIONS)
@motion.options(motion.PATH_OPTIONS)
@motion.options(motion.FILE_OPTIONS)
@motion.options(motion.TIME_OPTIONS)
@boundaries_option
@click.option("-o", "--output", required=True, metavar="FILE", help="The curves, .csv.")
@recorded
def curves(
    run: Run,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    to: str | None,
    keyframes: str | None,
    drive: str | None,
    boundaries_file: str | None,
    output: str,
    **times: Any,
) -> None:
    """Write a motion as ARKit curves, for Blender, Unity, Unreal and what reads Live Link Face.

    The motion is given as for `duchenne animate`; --drive also takes the table beside a film that
    `animate` wrote. docs/recordings.md says which coefficient is which Action Unit.

    \b
    Examples:
      duchenne curves --drive film.csv -o film_arkit.csv
      duchenne curves --expression surprise --ping-pong --fps 60 -o surprise.csv
    """
    motion.require_one({
        "--au": au, "--descriptor": descriptor, "--expression": expression, "--to": to,
        "--sweep": times["sweep"], "--keyframes": keyframes, "--drive": drive,
    })  # fmt: skip
    from ..files import pictures
    from ..motion import arkit
    from ..motion.curves import curves_text

    asked = motion.descriptor_of(au, descriptor, expression, to)
    pictures.check_writable(output, (".csv",))
    run.check_outputs([keyframes, drive], [Path(output)])
    recording = motion.recording(run, drive, times, boundaries_file)
    timeline = motion.read(asked, keyframes, recording, **times)
    if missing := arkit.unmapped(timeline.sides):
        run.note(f"ARKit has no coefficient for {', '.join(missing)}: left out")
    from ..files import codes

    codes.write_atomically(curves_text(timeline).encode(), Path(output))
    run.facts["curves"] = {"frames": len(timeline), "fps": str(timeline.fps)}
    run.wrote(output, f"{len(timeline)} frames, {float(timeline.fps):g} fps")
