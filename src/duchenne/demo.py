"""The paper's example (Fig. 1) on a real photo: the astronaut Eileen Collins, smiling more."""

from __future__ import annotations

from pathlib import Path

from . import facs
from .animate import Studio
from .encoding.cache import Progress
from .engine.stages import Stages
from .errors import InputError
from .files import films, pictures, sheets, writing
from .motion.timeline import from_descriptor
from .types import AlignedFace, Photo
from .weights import store

DESCRIPTOR = "0,0,0,0,1,0,1,0,0,0,1,0"  # section 4.3: AU6, AU12 and AU25, happiness
LEVELS = (0.0, 0.25, 0.5, 0.75, 1.0)
HOLD = 0.5  # seconds that the smile stays
NAMES = (
    "happiness.mp4",
    "happiness.csv",
    "aligned.png",
    "contact_sheet.png",
)


def photo() -> Photo:
    """NASA's portrait in scikit-image, public domain; InputError if that is not installed."""
    try:
        from skimage import data
    except ImportError:
        raise InputError(
            "the demo's photo comes with scikit-image, which is not installed; "
            "`pip install 'duchenne[demo]'`, or animate a photo of your own"
        ) from None
    return Photo(data.astronaut(), "astronaut")


def prepare(folder: Path, stages: Stages) -> None:
    """All that can fail early: the photo, the folder, the weights (fetched if need be)."""
    photo()
    with writing.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        pictures.check_writable(folder / name, (Path(name).suffix,))
    with stages("weights"):
        for entry in store.entries():
            if not entry.optional:
                store.fetch(entry.name, progressbar=True)


def make(
    folder: Path, studio: Studio, stages: Stages, *, progress: Progress | None = None
) -> list[Path]:
    """Animate the photo to happiness and write NAMES into the folder; returns their paths."""
    film, table, aligned_path, sheet_path = (folder / name for name in NAMES)

    def keep(aligned: AlignedFace) -> None:
        pictures.save_image(aligned.pixels, aligned_path, source=None)

    subject = studio.face(photo(), stages=stages, found=keep, progress=progress)
    with stages("prepare"):
        subject.moved.moved_at(max(subject.renderer.sizes))
    happiness = facs.parse_vector(DESCRIPTOR)
    timeline = from_descriptor(happiness).hold(HOLD)
    with stages("render and write"):
        frames = subject.animate(timeline, paste=True)
        films.write_frames(frames, film, fps=timeline.fps, timeline=timeline)
    with stages("contact sheet"):
        steps = list(subject.animate(from_descriptor(happiness, frames=len(LEVELS))))
        labels = ["photo", *(f"E = {level:g}" for level in LEVELS)]
        assert subject.photo is not None
        row = [subject.photo.pixels, *steps]
        sheet = sheets.contact_sheet([row], column_labels=labels)
        pictures.save_image(sheet, sheet_path, source=pictures.SourceType.EDITED)
    return [film, table, aligned_path, sheet_path]
