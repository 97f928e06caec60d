"""`animate` and `edit`: a photo or a code with Action Units added, as a film or a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import motion
from .faces import (
    boundaries_option,
    face_option,
    generator_option,
    is_code,
    open_subject,
    steps_option,
)
from .run import Run, recorded, with_bar

if TYPE_CHECKING:
    from ..pixels import SourceType

paste_option: Callable[..., Any] = click.option(
    "--paste-back/--crop",
    "paste",
    default=None,
    help="Put the face back into the photo (the default for photos), or give the aligned square.",
)


@click.command()
@click.argument("source", metavar="INPUT")
@motion.options(motion.EXPRESSION_OPTIONS, motion.FILE_OPTIONS)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    help=".mp4, .webm, .gif, .webp or .apng, or a folder/ for PNGs.",
)
@motion.options(motion.TIME_OPTIONS)
@paste_option
@face_option
@steps_option
@generator_option
@boundaries_option
@recorded
def animate(
    run: Run,
    source: str,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    keyframes: str | None,
    drive: str | None,
    output: str,
    paste: bool | None,
    face: int | None,
    steps: int | None,
    generator_file: str | None,
    boundaries_file: str | None,
    **times: Any,
) -> None:
    """Animate the face of INPUT, a photo or a saved code (.safetensors).

    Give the motion by one of --au, --descriptor, --expression, --keyframes and --drive. A table of
    every frame's Action Units is written beside the film (.csv).

    \b
    Examples:
      duchenne animate photo.jpg --expression happiness -o happy.mp4
      duchenne animate photo.jpg --au AU12=1,AU6=0.8 --ping-pong -o smile.gif
      duchenne animate photo.jpg --au AU12L=0.6 --easing natural -o smirk.webp
      duchenne animate anna.safetensors --keyframes keys.toml -o anna/
      duchenne animate photo.jpg --drive openface.csv --crop -o driven.mp4
    """
    motion.require_one({
        "--au": au, "--descriptor": descriptor, "--expression": expression,
        "--keyframes": keyframes, "--drive": drive,
    })  # fmt: skip
    asked = motion.descriptor_of(au, descriptor, expression)
    from .. import pixels, video

    paste = _paste(source, paste)
    sidecar = video.sidecar_path(output)
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    inputs = [source, keyframes, drive, *files.values()]
    run.check_outputs(inputs, [Path(output), sidecar])
    pixels.check_writable(sidecar, (".csv",))
    moves = motion.read(asked, keyframes, drive, **times)
    video.check_writable(output, moves.left.fps)

    subject = open_subject(run, source, face=face, steps=steps, **files)
    with run.stages("prepare"):
        _ = subject.scene  # compiles the generator, renders the face as it is, finds its regions
    tables = moves.tables()
    with run.stages("render and write"):
        frames = with_bar(subject.frames(tables, paste=paste), len(tables), "rendering")
        written = video.write_frames(frames, output, fps=moves.left.fps, source=_mark(paste))
    width, height = written.size
    run.facts["film"] = {
        "frames": written.frames, "fps": str(written.fps), "width": width, "height": height,
    }  # fmt: skip
    run.wrote(
        output,
        f"{written.frames} frames, {width}x{height}, {float(written.fps):g} fps, "
        f"{written.bytes / 1e6:.1f} MB",
    )
    video.write_sidecar(sidecar, moves.left.times, moves.intensities())
    run.wrote(sidecar)
    run.note(str(run.stages))


@click.command()
@click.argument("source", metavar="INPUT")
@motion.options(motion.EXPRESSION_OPTIONS)
@click.option(
    "--target",
    metavar="LIST",
    help="Measured intensities instead of added ones: AU12=0 takes a smile away. Needs the "
    "weights file face-landmarker-task.",
)
@click.option("-o", "--output", required=True, metavar="FILE", help="The picture, .png or .jpg.")
@paste_option
@face_option
@steps_option
@generator_option
@boundaries_option
@recorded
def edit(
    run: Run,
    source: str,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    target: str | None,
    output: str,
    paste: bool | None,
    face: int | None,
    steps: int | None,
    generator_file: str | None,
    boundaries_file: str | None,
) -> None:
    """Draw the face of INPUT, a photo or a saved code, with an expression at full intensity.

    \b
    Examples:
      duchenne edit photo.jpg --au AU1=1,AU2=1 -o raised_brows.png
      duchenne edit photo.jpg --descriptor 0,0,0,0,1,0,1,0,0,0,1,0 -o happy.jpg
      duchenne edit anna.safetensors --expression surprise -o anna_surprise.png
      duchenne edit photo.jpg --target AU12=0,AU25=0 -o neutral_mouth.png
    """
    motion.require_one({
        "--au": au, "--descriptor": descriptor, "--expression": expression, "--target": target,
    })  # fmt: skip
    asked = motion.descriptor_of(target if au is None else au, descriptor, expression)
    from .. import pixels

    paste = _paste(source, paste)
    pixels.check_writable(output)
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    run.check_outputs([source, *files.values()], [Path(output)])
    subject = open_subject(run, source, face=face, steps=steps, **files)
    with run.stages("prepare"):
        _ = subject.scene
    if target is not None:
        with run.stages("reach"):
            reached = subject.reach(asked)
        asked = reached.offsets
        run.facts["reached"] = {"offsets": dict(asked), "measured": dict(reached.measured)}
        run.note(", ".join(f"{code} measures {v:.2f}" for code, v in reached.measured.items()))
    with run.stages("render and write"):
        pixels.save_image(subject.edit(asked, paste=paste), output, source=_mark(paste))
    run.wrote(output)
    run.note(str(run.stages))


def _paste(source: str, asked: bool | None) -> bool:
    """Whether to put the face back into the photo: the default where there is one."""
    if not is_code(source):
        return asked is not False
    if asked:
        raise click.UsageError(
            f"{source}: --paste-back needs a photo, and a saved code holds none; leave it out"
        )
    return False


def _mark(paste: bool) -> SourceType:
    from ..pixels import SourceType

    return SourceType.EDITED if paste else SourceType.GENERATED
