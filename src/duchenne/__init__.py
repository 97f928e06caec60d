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
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .animate import Studio, Subject
    from .editing.boundaries import Boundaries, load_boundaries
    from .encoding.encoder import load_encoder
    from .encoding.settings import EncodeSettings, preset
    from .errors import (
        DescriptorError,
        DuchenneError,
        InputError,
        NoFaceFound,
        OutputError,
        SpaceMismatch,
        WeightsError,
    )
    from .facs import ACTION_UNITS, EXPRESSIONS, expression, from_vector, parse
    from .files.codes import read_code, write_code
    from .files.films import write_frames
    from .files.pictures import SourceType, load_photo, read_synthetic_mark, save_image
    from .generators.checkpoints import load_generator
    from .measuring.score import Scorer
    from .motion.timeline import Timeline, from_descriptor, onset_apex_offset
    from .types import AlignedFace, Face, LatentCode, Photo

    __version__: str

_HOMES = {
    "animate": ("Studio", "Subject"),
    "editing.boundaries": ("Boundaries", "load_boundaries"),
    "encoding.encoder": ("load_encoder",),
    "encoding.settings": ("EncodeSettings", "preset"),
    "errors": (
        *("DescriptorError", "DuchenneError", "InputError", "NoFaceFound", "OutputError"),
        *("SpaceMismatch", "WeightsError"),
    ),
    "facs": ("ACTION_UNITS", "EXPRESSIONS", "expression", "from_vector", "parse"),
    "files.codes": ("read_code", "write_code"),
    "files.films": ("write_frames",),
    "files.pictures": ("SourceType", "load_photo", "read_synthetic_mark", "save_image"),
    "generators.checkpoints": ("load_generator",),
    "measuring.score": ("Scorer",),
    "motion.timeline": ("Timeline", "from_descriptor", "onset_apex_offset"),
    "types": ("AlignedFace", "Face", "LatentCode", "Photo"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# OpenVINO reports its use to an analytics service through this package, unless the user has refused
# in a file of the home folder. Where the package is missing it takes a silent stand-in.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

__all__ = [
    "ACTION_UNITS",
    "EXPRESSIONS",
    "AlignedFace",
    "Boundaries",
    "DescriptorError",
    "DuchenneError",
    "EncodeSettings",
    "Face",
    "InputError",
    "LatentCode",
    "NoFaceFound",
    "OutputError",
    "Photo",
    "Scorer",
    "SourceType",
    "SpaceMismatch",
    "Studio",
    "Subject",
    "Timeline",
    "WeightsError",
    "__version__",
    "expression",
    "from_descriptor",
    "from_vector",
    "load_boundaries",
    "load_encoder",
    "load_generator",
    "load_photo",
    "onset_apex_offset",
    "parse",
    "preset",
    "read_code",
    "read_synthetic_mark",
    "save_image",
    "write_code",
    "write_frames",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOME_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
