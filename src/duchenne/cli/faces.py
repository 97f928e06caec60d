"""Faces in latent space: `encode`, `sample`, and how every command opens its input."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import InputError
from .run import Run, encoding_bar, recorded, with_bar

if TYPE_CHECKING:
    from ..animate import Studio, Subject
    from ..encoding.inversion import EncodeSettings
    from ..generators.base import Generator
    from ..types import LatentCode

face_option: Callable[..., Any] = click.option(
    "--face",
    type=click.IntRange(min=0),
    metavar="N",
    help="Which face; 0, the default, is the largest.",
)
steps_option: Callable[..., Any] = click.option(
    "--steps",
    type=click.IntRange(min=1),
    metavar="N",
    help="Optimisation steps of the encoding at most.",
)


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

    def settings(self) -> EncodeSettings:
        from ..encoding.inversion import preset

        changes = {"init": self.init, "loss": self.loss, "steps": self.steps}
        return preset(
            self.quality or "balanced", **{k: v for k, v in changes.items() if v is not None}
        )


def encoding_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of the encoding, given to the command as one `Encoding`."""

    @functools.wraps(command)
    def collected(
        *args: Any,
        quality: str | None,
        init: str | None,
        loss: str | None,
        steps: int | None,
        encoder: str | None,
        **others: Any,
    ) -> Any:
        encoding = Encoding(quality, init, loss, steps, encoder)
        return command(*args, encoding=encoding, **others)

    options = (
        click.option(
            "--quality",
            type=click.Choice(["fast", "balanced", "high"]),
            help="Of the encoding: seconds, or a minute or two and a generator that is tuned to "
            "the photo. Balanced by default.",
        ),
        click.option(
            "--init",
            type=click.Choice(["encoder", "mean", "random"]),
            help="Where the encoding starts: the fitted guess (default), the mean face, a random "
            "one.",
        ),
        click.option(
            "--encoder",
            metavar="FILE",
            help="The network of the fitted guess, from `duchenne fit encoder`; other generators "
            "than the built-in one have none and start from the mean.",
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
boundaries_option: Callable[..., Any] = click.option(
    "--boundaries", "boundaries_file", metavar="FILE", help="Other Action Unit boundaries."
)
size_option: Callable[..., Any] = click.option(
    "--size",
    type=click.IntRange(min=1),
    metavar="PX",
    help="Side of the aligned square: the generator's own (1024), or half or a quarter of it, "
    "which is drawn faster.",
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
    subject = open_photo(run, photo, face=face, encoding=encoding, generator_file=generator_file)
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


@click.command()
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), required=True, help="Chooses the person."
)
@click.option(
    "--truncation",
    type=float,
    metavar="PSI",
    help="0 gives the average face, 1 the most varied ones; 0.7 by default.",
)
@click.option(
    "--count",
    type=click.IntRange(min=1),
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
    code_path = Path(output).with_suffix(codes.SUFFIX)
    pictures.check_writable(output)
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
    from ..files import codes, pictures

    if folder.suffix:
        raise OutputError(f"{folder}: with --count the output is a folder; leave out the suffix")
    with pictures.reporting_disk_errors(folder):
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


def is_code(source: str) -> bool:
    """Whether an input is a saved code rather than a photo."""
    from ..files import codes

    return Path(source).suffix == codes.SUFFIX


def open_subject(
    run: Run, source: str, *, face: int | None, encoding: Encoding, **files: str | None
) -> Subject:
    """The face of a photo or a saved code, ready to be edited; fails early where it can.

    files: see `new_studio`.
    """
    if not is_code(source):
        return open_photo(run, source, face=face, encoding=encoding, edits=True, **files)
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
    **files: str | None,
) -> Subject:
    """The face of a photo, encoded. edits: boundaries are needed later, so load them first."""
    from ..files import pictures

    with run.stages("load"):
        photo = pictures.load_photo(source)
        run.read("input", source)
        from ..faces import align

        studio = new_studio(run, encoding, **files)
        describe_generator(run, studio, edits=edits)
        run.facts["encoder"] = studio.encoder.guess_version or None
    with run.stages("align"):
        aligned = align.align(photo, face=face, size=studio.generator.size)
    run.facts["face"] = {"index": aligned.index, "count": aligned.count}
    if aligned.count > 1:
        largest = " (the largest)" if aligned.index == 0 else ""
        run.note(
            f"{source}: took face {aligned.index} of {aligned.count}{largest}; --face N chooses, "
            "counting from 0"
        )
    with run.stages("encode"), encoding_bar() as progress:
        subject = studio.encode(photo, aligned, progress=progress)
    run.facts["code"] = dict(subject.code.provenance)
    return subject


def new_studio(
    run: Run,
    encoding: Encoding | None = None,
    *,
    generator_file: str | None = None,
    boundaries_file: str | None = None,
    device: str | None = None,
) -> Studio:
    """The library's studio; only what was asked for differs from its defaults.

    device: where a generator of a file goes; None is the GPU if there is one.
    """
    from ..animate import Studio

    options: dict[str, Any] = {}
    if encoding is not None and encoding.given:
        options["settings"] = encoding.settings()
    if encoding is not None and encoding.encoder is not None:
        from ..encoding import encoder

        options["guess"] = encoder.load(Path(encoding.encoder))
        run.read("encoder_file", encoding.encoder)
    if boundaries_file is not None:
        from ..editing.boundaries import load_boundaries

        options["boundaries"] = load_boundaries(Path(boundaries_file))
        run.read("boundaries_file", boundaries_file)
    if generator_file is not None:
        options["generator"] = read_generator(run, generator_file, device)
    return Studio(**options)


def read_generator(run: Run, path: str, device: str | None = None) -> Generator:
    """The generator of a file; see `new_studio`."""
    import torch

    from ..generators.checkpoints import load_generator

    network = load_generator(path, device or ("cuda" if torch.cuda.is_available() else "cpu"))
    run.read("generator_file", path)
    return network


def describe_generator(run: Run, studio: Studio, *, edits: bool = False) -> None:
    """Load the generator (and the boundaries) and record which they are."""
    run.facts["generator"] = studio.generator.fingerprint
    if edits:
        provenance = json.dumps(dict(studio.boundaries.provenance), sort_keys=True)
        digest = hashlib.sha256(provenance.encode()).hexdigest()
        run.facts["boundaries"] = {"provenance_sha256": digest}
