"""Animate a face photo by FACS Action Units, in the latent space of a pretrained StyleGAN.

    import duchenne

    face = duchenne.Studio().face("photo.jpg")
    happy = duchenne.from_descriptor(duchenne.expression("happiness"), frames=24)
    duchenne.write_frames(face.animate(happy, paste=True), "happiness.mp4", fps=24)

Names are loaded when they are first used: importing the package does nothing else, except that it
keeps OpenVINO from reporting its use to an analytics service.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import quiet

if TYPE_CHECKING:
    from .animate import Studio, Subject
    from .editing.boundaries import Boundaries, load_boundaries
    from .encoding.inversion import EncodeSettings
    from .errors import DuchenneError
    from .facs import ACTION_UNITS, EXPRESSIONS, expression, from_vector, parse
    from .files.codes import read_code, write_code
    from .files.films import write_frames
    from .files.pictures import load_photo, save_image
    from .generators.checkpoints import load_generator
    from .measuring.score import Scorer
    from .motion.timeline import Timeline, from_descriptor, onset_apex_offset
    from .types import AlignedFace, Face, LatentCode, Photo

_HOMES = {
    "animate": ("Studio", "Subject"),
    "editing.boundaries": ("Boundaries", "load_boundaries"),
    "files.codes": ("read_code", "write_code"),
    "encoding.inversion": ("EncodeSettings",),
    "errors": ("DuchenneError",),
    "facs": ("ACTION_UNITS", "EXPRESSIONS", "expression", "from_vector", "parse"),
    "generators.checkpoints": ("load_generator",),
    "files.pictures": ("load_photo", "save_image"),
    "measuring.score": ("Scorer",),
    "motion.timeline": ("Timeline", "from_descriptor", "onset_apex_offset"),
    "types": ("AlignedFace", "Face", "LatentCode", "Photo"),
    "files.films": ("write_frames",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

quiet.without_telemetry()

__all__ = [
    "ACTION_UNITS",
    "EXPRESSIONS",
    "AlignedFace",
    "Boundaries",
    "DuchenneError",
    "EncodeSettings",
    "Face",
    "LatentCode",
    "Photo",
    "Scorer",
    "Studio",
    "Subject",
    "Timeline",
    "expression",
    "from_descriptor",
    "from_vector",
    "load_boundaries",
    "load_generator",
    "load_photo",
    "onset_apex_offset",
    "parse",
    "read_code",
    "save_image",
    "write_code",
    "write_frames",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
