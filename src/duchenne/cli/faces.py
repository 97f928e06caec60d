"""`encode`, and how every command opens its face."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .run import Run, encoding_bar, recorded
from .values import Whole

if TYPE_CHECKING:
    from ..animate import Studio, Subject
    from ..encoding.settings import EncodeSettings
    from ..moving.covering import Mask
    from ..opening import Opening
    from ..types import AlignedFace, Photo

face_option: Callable[..., Any] = click.option(
    "--face",
    type=Whole(0),
    metavar="N",
    help="Which face; 0, the default, is the largest.",
)
steps_option: Callable[..., Any] = click.option(
    "--steps",
    type=Whole(1),
    metavar="N",
    help="Optimisation steps of the encoding at most.",
)


FULL_QUALITY = "balanced"  # of a full encoding, where none is named


@dataclass(frozen=True)
class Encoding:
    """What the command line says of the encoding; None leaves the preset's choice."""

    quality: str | None = None
    init: str | None = None
    loss: str | None = None
    steps: int | None = None
    encoder: str | None = None

    def __post_init__(self) -> None:
        if self.encoder is not None and self.init not in (None, "encoder"):
            raise click.UsageError(f"--encoder FILE and --init {self.init}: give one of them")

    @property
    def given(self) -> bool:
        return self != Encoding()

    def full(self) -> Encoding:
        """The same, with the default quality where nothing is said of it."""
        return self if self.given else replace(self, quality=FULL_QUALITY)

    def settings(self) -> EncodeSettings:
        from ..encoding.settings import preset

        changes = {"init": self.init, "loss": self.loss, "steps": self.steps}
        return preset(
            self.quality or FULL_QUALITY, **{k: v for k, v in changes.items() if v is not None}
        )


def encoding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the encoding, given to the command as one `Encoding`."""

    @functools.wraps(command)
    def collected(*args: Any, **given: Any) -> Any:
        encoding = Encoding(**{field.name: given.pop(field.name) for field in fields(Encoding)})
        return command(*args, encoding=encoding, **given)

    options = (
        click.option(
            "--quality",
            type=click.Choice(["fast", "balanced", "high"]),
            help="Of a full encoding: seconds, or a minute or two and a generator that is tuned to "
            "the photo. Without it a photo takes a similar face, in a second; where a code or "
            "the generator's picture is asked for, balanced.",
        ),
        click.option(
            "--init",
            type=click.Choice(["encoder", "mean", "random"]),
            help="Where the encoding starts: the encoder's code (default), the mean face, a random "
            "one.",
        ),
        click.option(
            "--encoder",
            metavar="FILE",
            help="The encoder, from `duchenne fit encoder`; other generators than "
            " the built-in one have none and start from the mean.",
        ),
        click.option(
            "--loss",
            type=click.Choice(["default", "paper", "pixel"]),
            help="What the encoding compares; paper: Eq. 1, needs the weights file "
            "`vgg16-imagenet`.",
        ),
        steps_option,
    )
    for option in reversed(options):
        collected = option(collected)
    return collected


generator_option: Callable[..., Any] = click.option(
    "--generator",
    "generator_file",
    metavar="FILE",
    help="Another StyleGAN 1 or 2: .pkl, .pt, .pth or .safetensors.",
)


def _named(ctx: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    if value is None:
        return None
    from ..editing import boundaries

    return boundaries.path_of(value)


boundaries_option: Callable[..., Any] = click.option(
    "--boundaries",
    "boundaries_file",
    metavar="FILE",
    callback=_named,
    help="Other Action Unit boundaries; `first` are those that shipped before full intensity was "
    "made stronger.",
)
size_option: Callable[..., Any] = click.option(
    "--size",
    type=Whole(1),
    metavar="PX",
    help="Side of the aligned square: the generator's own (1024), or half or a quarter of it, "
    "which is drawn faster; of a photo the longer side at most.",
)


@click.command()
@click.argument("photo")
@click.option("-o", "--output", required=True, metavar="FILE", help="The code, .safetensors.")
@click.option("--picture", metavar="FILE", help="Also draw the face that the code stands for.")
@face_option
@encoding_options
@generator_option
@recorded
def encode(
    run: Run,
    photo: str,
    output: str,
    picture: str | None,
    face: int | None,
    encoding: Encoding,
    generator_file: str | None,
) -> None:
    """Find the latent code of the face in PHOTO.

    The code can be animated and edited any number of times without the photo.

    \b
    Examples:
      duchenne encode photo.jpg -o anna.safetensors
      duchenne encode photo.jpg -o anna.safetensors --picture anna_encoded.png
    """
    from ..files import codes, pictures

    pictures.check_writable(output, (codes.SUFFIX,))
    if picture is not None:
        pictures.check_writable(picture)
    run.check_outputs(
        [photo, generator_file], [Path(p) for p in (output, picture) if p is not None]
    )
    subject = open_photo(
        run, photo, face=face, encoding=encoding.full(), generator_file=generator_file
    )
    assert subject.aligned is not None
    provenance = {
        **subject.code.provenance,
        "photo": Path(photo).name,
        "photo_sha256": run.facts["input"]["sha256"],
        "face": subject.aligned.index,
    }
    codes.write_code(replace(subject.code, provenance=provenance), Path(output))
    run.wrote(output)
    if picture is not None:
        with run.stages("render"):
            drawn = subject.renderer.still(subject.code.w)
        pictures.save_image(drawn, picture)
        run.wrote(picture)
    run.note(str(run.stages))


def is_code(source: str) -> bool:
    """Whether an input is a saved code rather than a photo."""
    from ..files import codes

    return Path(source).suffix == codes.SUFFIX


def open_subject(
    run: Run,
    source: str,
    *,
    face: int | None,
    encoding: Encoding,
    generated: bool = False,
    keep: str | None = None,
    **files: str | None,
) -> Subject:
    """The face of a photo or a saved code, ready to be edited; fails early where it can.

    generated: the generator's picture is shown, so it must be like the photo. keep: the file of a
    mask. files: see `new_studio`.
    """
    if not is_code(source):
        if generated:
            encoding = encoding.full()
        subject = open_photo(
            run, source, face=face, encoding=encoding, edits=True, keep=keep, **files
        )
        return replace(subject, generated=generated)
    if face is not None or encoding.given:
        raise click.UsageError(
            "--face, --quality, --init, --encoder, --loss and --steps are for photos, not for a "
            "saved code"
        )
    from ..files import codes

    with run.stages("load"):
        codes.read_code(Path(source))  # what is wrong with the file is said before the model loads
        run.read("input", source)
        studio = new_studio(run, None, **files)
        describe_generator(run, studio, edits=True)
        subject = studio.face(source)
    run.facts["code"] = dict(subject.code.provenance)
    return subject


def open_photo(
    run: Run,
    source: str,
    *,
    face: int | None,
    encoding: Encoding,
    edits: bool = False,
    keep: str | None = None,
    **files: str | None,
) -> Subject:
    """The face of a photo, encoded.

    edits: boundaries are needed later, so load them first. keep: the file of a mask.
    """
    from ..files import pictures

    with run.stages("load"):
        photo = pictures.load_photo(source)
        run.read("input", source)
        kept = None if keep is None else _mask(run, keep, photo)
        studio = new_studio(run, encoding, **files)
        describe_generator(run, studio, edits=edits)
        run.facts["encoder"] = studio.inversion.encoder_version or None

    def tell(aligned: AlignedFace) -> None:
        run.facts["face"] = {"index": aligned.index, "count": aligned.count}
        if aligned.count > 1:
            largest = " (the largest)" if aligned.index == 0 else ""
            run.note(
                f"{source}: took face {aligned.index} of {aligned.count}{largest}; --face N "
                "chooses, counting from 0"
            )

    with encoding_bar() as progress:
        subject = studio.face(
            photo, index=face, keep=kept, stages=run.stages, found=tell, progress=progress
        )
    run.facts["code"] = dict(subject.code.provenance)
    return subject


def _mask(run: Run, file: str, photo: Photo) -> Mask:
    from ..moving.covering import read_mask

    mask = read_mask(file, photo)
    run.read("keep", file)
    return mask


def new_studio(run: Run, encoding: Encoding | None = None, **options: str | None) -> Studio:
    """The library's studio; only what was asked for differs from its defaults. See `opening_of`."""
    opening = opening_of(encoding, **options)
    studio = opening()
    for name, path in opening.files.items():
        run.read(name, path)
    return studio


def opening_of(encoding: Encoding | None = None, **options: str | None) -> Opening:
    """How a command opens its studio; options: the other fields of `Opening`."""
    from ..opening import Opening

    if encoding is None or not encoding.given:
        return Opening(**options)  # type: ignore[arg-type]
    return Opening(settings=encoding.settings(), encoder_file=encoding.encoder, **options)


def describe_generator(run: Run, studio: Studio, *, edits: bool = False) -> None:
    """Load the generator (and the boundaries) and record which they are."""
    run.facts["generator"] = studio.spec.fingerprint
    if edits:
        provenance = json.dumps(dict(studio.boundaries.provenance), sort_keys=True)
        digest = hashlib.sha256(provenance.encode()).hexdigest()
        run.facts["boundaries"] = {"provenance_sha256": digest}
