"""The long work of the page, stage by stage, as the queue runs it."""

from __future__ import annotations

import mimetypes
from pathlib import Path
from typing import Any

from .. import facs
from ..encoding.settings import PRESETS
from ..files.film_formats import FORMATS
from ..motion.timeline import Timeline
from .jobs import Cancelled, Job
from .recipe import Origin
from .service import FOLDER, Service, Shape, describe, shown
from .visitors import Sitter, Stored, Upload, Visitor


def open_photo(
    service: Service, visitor: Visitor, path: Path, name: str, quality: str, job: Job
) -> dict[str, Any]:
    """Read a photo and find its faces; encode the only one, or say where they are."""
    try:
        job.enter("reading the picture")
        photo = service.read_photo(path, name=name)
        job.enter("looking for faces")
        faces = service.find_faces(photo)
        job.check()
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    content, _ = shown(photo)
    small = visitor.new_file(".jpg")
    small.write_bytes(content)
    height, width = photo.pixels.shape[:2]
    previous, visitor.upload = visitor.upload, Upload(name, path, (width, height), faces, small)
    if previous is not None:
        previous.shown.unlink(missing_ok=True)
        if not _in_use(visitor, previous):
            previous.path.unlink(missing_ok=True)
    if len(faces) > 1:
        return {"choose": [describe(face, photo) for face in faces], "photo": [width, height]}
    return encode_face(service, visitor, visitor.upload, 0, quality, job)


def encode_face(
    service: Service, visitor: Visitor, upload: Upload, index: int, quality: str, job: Job
) -> dict[str, Any]:
    """Encode one of an upload's faces and make it the visitor's sitter."""
    stages = {"align": ("cutting out the face", 0)}
    stages["encode"] = ("finding the face's code", service.steps(quality))
    photo = service.read_photo(upload.path, name=upload.name)
    subject = service.encode(
        photo, index, quality, lambda stage: job.enter(*stages[stage]), job.step
    )
    sitter = Sitter(
        upload.name, subject.code, photo=upload.path, aligned=subject.aligned, quality=quality
    )
    return _sit(service, visitor, sitter, job)


def open_sample(service: Service, visitor: Visitor, seed: int, job: Job) -> dict[str, Any]:
    """A synthetic person becomes the visitor's sitter."""
    job.enter("drawing a person")
    sitter = Sitter(f"person {seed}", service.sample(seed), seed=seed)
    return _sit(service, visitor, sitter, job)


def _sit(service: Service, visitor: Visitor, sitter: Sitter, job: Job) -> dict[str, Any]:
    job.enter("getting the face ready")
    service.prepare(sitter)
    if visitor.gone:
        service.close(sitter)
        raise Cancelled
    previous, visitor.sitter = visitor.sitter, sitter
    if previous is not None:
        service.close(previous)
        if previous.photo is not None and previous.photo != sitter.photo:
            previous.photo.unlink(missing_ok=True)
    return {"sitter": told(sitter)}


def _in_use(visitor: Visitor, upload: Upload) -> bool:
    return visitor.sitter is not None and visitor.sitter.photo == upload.path


def told(sitter: Sitter) -> dict[str, Any]:
    """What the page knows of a sitter."""
    return {
        "serial": sitter.serial, "name": sitter.name, "seed": sitter.seed,
        "photo": sitter.photo is not None,
    }  # fmt: skip


def draw_picture(
    service: Service,
    visitor: Visitor,
    sitter: Sitter,
    descriptor: facs.Descriptor,
    shape: Shape,
    suffix: str,
    keep: int,
    job: Job,
) -> dict[str, Any]:
    """One edit at full quality, as a file."""
    job.enter("drawing")
    path = visitor.new_file(suffix)
    service.picture(sitter, descriptor, shape, path)
    return {"file": _keep(visitor, path, sitter, suffix, keep)}


def draw_film(
    service: Service,
    visitor: Visitor,
    sitter: Sitter,
    timeline: Timeline,
    shape: Shape,
    form: str,
    keep: int,
    job: Job,
) -> dict[str, Any]:
    """A timeline as a film with its table."""
    suffix = "" if form == FOLDER else f".{form}"
    path = visitor.new_file(suffix)
    job.enter("drawing the film", len(timeline))
    written = service.film(sitter, timeline, shape, path, job.step)
    table = path.with_suffix(".csv")
    if not suffix:
        suffix, path = ".zip", path.with_suffix(".zip")
    return {
        "file": _keep(visitor, path, sitter, suffix, keep),
        "table": _keep(visitor, table, sitter, ".csv", keep),
        "frames": written.frames, "width": written.size[0], "height": written.size[1],
        "bytes": path.stat().st_size, "media_type": media_type(suffix),
    }  # fmt: skip


def origin_of(service: Service, sitter: Sitter) -> Origin:
    """Where a visitor's face came from, with what is not the library's default."""
    default = service.studio.settings
    named = sitter.quality in PRESETS and PRESETS[sitter.quality] != default
    return Origin(
        name=sitter.name,
        index=sitter.aligned.index if sitter.aligned else 0,
        seed=sitter.seed,
        steps=None if len(service.qualities) > 1 else default.steps,
        quality=sitter.quality if named else None,
    )


def _keep(visitor: Visitor, path: Path, sitter: Sitter, suffix: str, most: int) -> int:
    """Make a result fetchable under a name that says what it is."""
    stem = Path(sitter.name).stem.replace(" ", "_") or "face"
    return visitor.keep(Stored(path, f"{stem}_synthetic{suffix}", media_type(suffix)), most)


def media_type(suffix: str) -> str:
    """Of a result; Python's own table, which is the same on every system, knows all but films."""
    if suffix in FORMATS:
        return FORMATS[suffix].media_type
    return mimetypes.MimeTypes().guess_type(f"x{suffix}")[0] or "application/octet-stream"
