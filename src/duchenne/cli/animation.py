"""`animate` and `edit`: a photo or a code with Action Units added, as a film or a picture."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import facs
from . import endings, footage, motion, people
from .faces import (
    Encoding,
    boundaries_option,
    encoding_options,
    face_option,
    generator_option,
    is_code,
    open_subject,
    size_option,
)
from .run import Run, recorded, with_bar

if TYPE_CHECKING:
    from ..animate import Subject
    from ..measuring.target import Reached
    from ..types import Photo

paste_option: Callable[..., Any] = click.option(
    "--paste-back/--crop",
    "paste",
    default=None,
    help="Put the face back into the photo (the default for photos), or give the aligned square.",
)
generated_option: Callable[..., Any] = click.option(
    "--generated",
    is_flag=True,
    help="Show the generator's picture of the encoded face, as in the paper, not the photo's own "
    "pixels.",
)
keep_option: Callable[..., Any] = click.option(
    "--keep",
    metavar="FILE",
    help="A mask of the photo's size: where it is white (a hand, glasses), the photo stays.",
)
target_option: Callable[..., Any] = click.option(
    "--target",
    metavar="LIST",
    help="Measured intensities instead of added ones: AU12=0 takes a smile away. Needs the "
    "weights file face-landmarker-task.",
)
like_option: Callable[..., Any] = click.option(
    "--like",
    metavar="PLACE",
    help="The expression that the largest face there shows, measured: a photo, or a moment of a "
    "film, film.mp4@2.5s. Needs the weights file face-landmarker-task.",
)


@click.command(cls=people.ForPeople)
@click.argument("source", metavar="INPUT")
@motion.options(motion.EXPRESSION_OPTIONS)
@endings.add_option
@target_option
@motion.options(motion.PATH_OPTIONS)
@motion.options(motion.FILE_OPTIONS)
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="FILE",
    cls=motion.FormatOption,
    help="{films}, or a folder/ for PNGs.",
)
@motion.options(motion.TIME_OPTIONS)
@paste_option
@generated_option
@keep_option
@size_option
@face_option
@encoding_options
@generator_option
@boundaries_option
@recorded
def animate(
    run: Run,
    source: str,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    add: bool,
    target: str | None,
    to: str | None,
    keyframes: str | None,
    drive: str | None,
    output: str,
    paste: bool | None,
    generated: bool,
    keep: str | None,
    size: int | None,
    face: int | None,
    encoding: Encoding,
    generator_file: str | None,
    boundaries_file: str | None,
    **times: Any,
) -> None:
    """Animate the face of INPUT: a photo, a film, or a saved code (.safetensors).

    Give the motion by one of --au, --descriptor, --expression, --target, --to,
    --sweep, --keyframes and --drive.
    A table of every frame's Action Units is written beside the film (.csv): what was added.
    --crop --size 256 draws a quick preview.
    A film stays the film, sound and length included, with the Action Units added to
    every frame: all along, or as the timeline says, whose last value then stays.

    \b
    Examples:
      duchenne animate photo.jpg --expression happiness -o happy.mp4
      duchenne animate photo.jpg --au AU12=1,AU6=0.8 --ping-pong -o smile.gif
      duchenne animate photo.jpg --au AU12L=0.6 --easing natural -o smirk.webp
      duchenne animate anna.safetensors --keyframes keys.toml -o anna/
      duchenne animate photo.jpg --drive openface.csv --gain 1.5 -o driven.mp4
      duchenne animate photo.jpg --drive film.mp4 -o acted.mp4
      duchenne animate photo.jpg --target AU12=0,AU25=0 -o sober.mp4
      duchenne animate photo.jpg --from happiness --to anger -o between/
      duchenne animate photo.jpg --sweep AU12=0:1:0.1 -o smiles/
      duchenne animate photo.jpg --au AU61=0.5 --hold 9 --blink -o looks.mp4
      duchenne animate photo.jpg --expression surprise --keep mask.png -o film.mp4
      duchenne animate film.mp4 --au AU12=0.5 -o smiling.mp4
    With --face N more than once, each with what that face does right after it,
    every face gets its own.
    """
    sources = {
        "--au": au, "--descriptor": descriptor, "--expression": expression, "--target": target,
        "--to": to, "--sweep": times["sweep"], "--keyframes": keyframes, "--drive": drive,
    }  # fmt: skip
    motion.require_one(sources)
    one = {
        "--crop": paste is False, "--generated": generated, "--from": times["start"] is not None,
    }  # fmt: skip
    people.require_alike(sources, one)
    asked = motion.descriptor_of(target if au is None else au, descriptor, expression, to)
    ends = expression is not None and not add
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    if footage.is_film(source):
        refused = {
            "--crop": paste is False, "--generated": generated, "--keep": keep is not None,
            "--size": size is not None, "--sweep": times["sweep"] is not None,
        }  # fmt: skip
        if target is not None:  # every frame is measured: there is no timeline
            refused |= {f"--target with --{k}": v not in (None, False) for k, v in times.items()}
        footage.animate_film(
            run, source, output,
            lambda given, rate: motion.read_for_film(
                given, keyframes, motion.recording(run, drive, times, boundaries_file), rate,
                **times,
            ),
            asked=asked, targets=None if target is None else asked, face=face, encoding=encoding,
            inputs=[keyframes, drive, *files.values()], files=files,
            refused=refused, others=people.further(),
        )  # fmt: skip
        return
    from ..files import films, pictures

    paste = _paste(source, paste)
    _check_keep(source, keep, generated)
    sidecar = films.sidecar_path(output)
    inputs = [source, keep, keyframes, drive, *files.values()]
    tables = [people.beside(sidecar, person) for person in people.further()]
    run.check_outputs(inputs, [Path(output), sidecar, *tables])
    for table in (sidecar, *tables):
        pictures.check_writable(table, (".csv",))
    recording = motion.recording(run, drive, times, boundaries_file)
    timeline = motion.read(asked, keyframes, recording, **times)
    films.check_writable(output, timeline.fps)

    subject = open_subject(
        run, source, face=face, encoding=encoding, generated=generated, keep=keep, **files
    )
    with run.stages("prepare"):
        subject.require_size(size, paste=paste)
        if paste and not films.is_folder(output):
            _warn_of_size(run, subject, size)
        _ = subject.face_regions  # renders the face as it is
        others = people.open_others(run, subject)
    if target is not None:
        timeline = motion.read(_reach(run, subject, asked), keyframes, recording, **times)
    if ends:
        timeline = motion.read(endings.ended(run, subject, asked), keyframes, recording, **times)
    added = people.asked_of(run, others)
    with run.stages("render and write"):
        motions = [motion.read(one, None, None, **times) for one in added]
        pairs = zip([subject, *others], [timeline, *motions], strict=True)
        clips = [one.animate(course, paste=paste, size=size) for one, course in pairs]
        clip = people.in_one(subject, clips, size) if others else clips[0]
        frames = with_bar(clip, len(timeline), "rendering")
        written = films.write_frames(
            *(frames, output), fps=timeline.fps, source=subject.source(paste=paste),
            timeline=timeline,
        )  # fmt: skip
    width, height = written.size
    run.facts["film"] = {
        "frames": written.frames, "fps": str(written.fps), "width": width, "height": height,
    }  # fmt: skip
    run.wrote(output, str(written))
    run.wrote(sidecar)
    run.note(str(run.stages))


@click.command(cls=people.ForPeople)
@click.argument("source", metavar="INPUT")
@motion.options(motion.EXPRESSION_OPTIONS)
@endings.add_option
@target_option
@like_option
@click.option("-o", "--output", required=True, metavar="FILE", help="The picture, .png or .jpg.")
@paste_option
@generated_option
@keep_option
@size_option
@face_option
@encoding_options
@generator_option
@boundaries_option
@recorded
def edit(
    run: Run,
    source: str,
    au: str | None,
    descriptor: str | None,
    expression: str | None,
    add: bool,
    target: str | None,
    like: str | None,
    output: str,
    paste: bool | None,
    generated: bool,
    keep: str | None,
    size: int | None,
    face: int | None,
    encoding: Encoding,
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
      duchenne edit photo.jpg --like film.mp4@0.1s -o same_face.png
    With --face N more than once, each with what that face does right after it,
    every face gets its own.
    """
    sources = {
        "--au": au, "--descriptor": descriptor, "--expression": expression, "--target": target,
        "--like": like,
    }  # fmt: skip
    motion.require_one(sources)
    people.require_alike(sources, {"--crop": paste is False, "--generated": generated})
    model = None if like is None else _model(run, like)
    asked = motion.descriptor_of(target if au is None else au, descriptor, expression)
    ends = expression is not None and not add
    from ..files import pictures

    paste = _paste(source, paste)
    _check_keep(source, keep, generated)
    pictures.check_writable(output)
    files = {"generator_file": generator_file, "boundaries_file": boundaries_file}
    run.check_outputs([source, keep, _file_of(like), *files.values()], [Path(output)])
    subject = open_subject(
        run, source, face=face, encoding=encoding, generated=generated, keep=keep, **files
    )
    with run.stages("prepare"):
        subject.require_size(size, paste=paste)
        _ = subject.face_regions
        others = people.open_others(run, subject)
    if target is not None:
        asked = _reach(run, subject, asked)
    if model is not None:
        asked = _like(run, subject, model)
    if ends:
        asked = endings.ended(run, subject, asked)
    added = people.asked_of(run, others)
    with run.stages("render and write"):
        picture = subject.edit(asked, paste=paste, size=size)
        if others:
            pairs = zip(others, added, strict=True)
            more = [one.edit(offsets, paste=paste, size=size) for one, offsets in pairs]
            picture = next(people.in_one(subject, [[picture], *([m] for m in more)], size))
        pictures.save_image(picture, output, source=subject.source(paste=paste))
    run.wrote(output)
    run.note(str(run.stages))


def _warn_of_size(run: Run, subject: Subject, size: int | None) -> None:
    """A note if the film of a large photo will be too large for players."""
    from ..files import films

    photo, _ = subject.within(size)
    height, width = photo.pixels.shape[:2]
    if max(height, width) > films.PLAYED_SIDE:
        run.note(
            f"the film will have {width}x{height} px, and many players stop at "
            f"{films.PLAYED_SIDE}; --size {films.PLAYED_SIDE} or less makes it smaller"
        )


def _reach(run: Run, subject: Subject, targets: facs.Descriptor) -> facs.Descriptor:
    """Offsets with which this face measures the targets."""
    with run.stages("reach"):
        reached = subject.reach(targets)
    return _told(run, reached)


def _told(run: Run, reached: Reached) -> facs.Descriptor:
    run.facts["reached"] = {"offsets": dict(reached.offsets), "measured": dict(reached.measured)}
    run.note(", ".join(f"{code} measures {v:.2f}" for code, v in reached.measured.items()))
    return reached.offsets


def _model(run: Run, place: str) -> Photo:
    """The picture that a face shall be like."""
    from ..measuring import likeness

    model = likeness.picture_at(place)
    run.read("like", likeness.source_of(place))
    return model


def _file_of(place: str | None) -> str | None:
    if place is None:
        return None
    from ..measuring import likeness

    return likeness.source_of(place)


def _like(run: Run, subject: Subject, model: Photo) -> facs.Descriptor:
    """Offsets with which the subject's face comes near to what the model's shows."""
    from ..measuring import likeness, target

    def respond(offsets: facs.Descriptor) -> Any:
        return subject.measure_sides(subject.edit(offsets))

    with run.stages("measure"):
        wanted = likeness.of_photo(subject.studio.scorer, model)
        targets = likeness.targets(respond({}), wanted)
    with run.stages("reach"):
        reached = target.approach(targets, respond)
    run.facts["targets"] = dict(targets)
    return _told(run, reached)


def _paste(source: str, asked: bool | None) -> bool:
    """Whether to put the face back into the photo: the default where there is one."""
    if not is_code(source):
        return asked is not False
    if asked:
        raise click.UsageError(
            f"{source}: --paste-back needs a photo, and a saved code holds none; leave it out"
        )
    return False


def _check_keep(source: str, keep: str | None, generated: bool) -> None:
    if keep is not None and (generated or is_code(source)):
        raise click.UsageError(
            "--keep is for a photo's own pixels, not for the generator's picture"
        )
