"""The nodes: each calls one thing of duchenne. Pictures go in and out as ComfyUI's IMAGE.

IMAGE: torch float32 [B, H, W, 3], sRGB, 0 to 1. MASK: float32 [B, H, W] or [H, W], 0 to 1.
DUCHENNE_FACE: a `duchenne.Subject`. DUCHENNE_UNITS: intensities by Action Unit, {"AU12": 0.8}.
DUCHENNE_CLIP: the frames of a film with their source and rate, for the node that saves them.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

import duchenne

CATEGORY = "duchenne"
FACE, UNITS, CLIP = "DUCHENNE_FACE", "DUCHENNE_UNITS", "DUCHENNE_CLIP"
SLIDER = {"default": 0.0, "min": 0.0, "max": 1.0, "step": 0.05}
MOST_FRAMES = 1500
PICTURES, FILMS = ("png", "webp", "jpg"), ("mp4", "webm", "gif", "webp")
Inputs = dict[str, dict[str, Any]]


@functools.cache
def studio() -> duchenne.Studio:
    """One for all nodes: its networks are loaded when the first of them needs them."""
    return duchenne.Studio()


def to_pixels(image: Tensor) -> np.ndarray:
    """IMAGE of one picture -> uint8 [H, W, 3]; a batch is refused."""
    if image.ndim != 4 or len(image) != 1 or image.shape[3] < 3:
        shape = "x".join(map(str, image.shape))
        raise ValueError(f"expected one picture, [1, H, W, 3]; came {shape}; give one of the batch")
    return (image[0, :, :, :3].clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


def to_image(frames: Iterable[np.ndarray]) -> Tensor:
    """uint8 [H, W, 3] each -> IMAGE."""
    return torch.from_numpy(np.stack(list(frames))).to(torch.float32) / 255


def to_mask(mask: Tensor) -> np.ndarray:
    """MASK -> bool [H, W], True where it is white."""
    return np.asarray((mask[0] if mask.ndim == 3 else mask).cpu()) > 0.5


@dataclass(frozen=True)
class Clip:
    """frames: uint8 [H, W, 3] each. source: what the mark says of them."""

    frames: tuple[np.ndarray, ...]
    source: duchenne.SourceType
    fps: float


class Face:
    """A face of a photo, opened once and edited as often as you like."""

    CATEGORY, FUNCTION = CATEGORY, "open"
    RETURN_TYPES, RETURN_NAMES = (FACE, "IMAGE"), ("face", "crop")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        about = {"default": 0, "min": 0, "max": 99, "tooltip": "of several; 0 is the largest"}
        return {
            "required": {"image": ("IMAGE",), "index": ("INT", about)},
            "optional": {"keep": ("MASK", {"tooltip": "white: the photo stays as it is there"})},
        }

    def open(self, image: Tensor, index: int, keep: Tensor | None = None) -> tuple[Any, Tensor]:
        mask = None if keep is None else to_mask(keep)
        face = studio().face(to_pixels(image), index=index, keep=mask)
        assert face.aligned is not None
        return face, to_image([face.aligned.pixels])


class Sample:
    """A person who does not exist."""

    CATEGORY, FUNCTION = CATEGORY, "sample"
    RETURN_TYPES, RETURN_NAMES = (FACE, "IMAGE"), ("face", "crop")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"seed": ("INT", {"default": 7, "min": 0, "max": 2**31 - 1})}}

    def sample(self, seed: int) -> tuple[Any, Tensor]:
        face = studio().sample(seed)
        return face, to_image([face.edit({})])


class Units:
    """Action Units as a slider each, added to those that come in."""

    CATEGORY, FUNCTION = CATEGORY, "collect"
    RETURN_TYPES, RETURN_NAMES = (UNITS,), ("units",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        sliders = {
            f"AU{unit.number}": ("FLOAT", {**SLIDER, "tooltip": f"{unit.name}: {unit.muscle}"})
            for unit in duchenne.ACTION_UNITS
        }
        sides = {
            "default": "",
            "tooltip": "more of them as the commands take them: AU12L=0.5,AU46R",
        }
        return {
            "required": {},
            "optional": {**sliders, "more": ("STRING", sides), "add_to": (UNITS,)},
        }

    def collect(
        self, more: str = "", add_to: dict[str, float] | None = None, **sliders: float
    ) -> tuple[dict[str, float]]:
        moved = {code: value for code, value in sliders.items() if value}
        return (added(add_to or {}, moved, duchenne.parse(more) if more.strip() else {}),)


class Expression:
    """A prototype of FACS, added to what the face shows."""

    CATEGORY, FUNCTION = CATEGORY, "express"
    RETURN_TYPES, RETURN_NAMES = (UNITS,), ("units",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "expression": (list(duchenne.EXPRESSIONS), {"default": "happiness"}),
                "intensity": ("FLOAT", {**SLIDER, "default": 1.0}),
            },
            "optional": {"add_to": (UNITS,)},
        }

    def express(
        self, expression: str, intensity: float, add_to: dict[str, float] | None = None
    ) -> tuple[dict[str, float]]:
        full = duchenne.expression(expression)
        return (added(add_to or {}, {code: intensity * value for code, value in full.items()}),)


class Ending:
    """The offsets with which this face ends at an expression, whatever it shows now.

    It measures the face, which needs the model file `face-landmarker-task`.
    """

    CATEGORY, FUNCTION = CATEGORY, "end"
    RETURN_TYPES, RETURN_NAMES = (UNITS,), ("units",)

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {"required": {"face": (FACE,), "units": (UNITS,)}}

    def end(self, face: duchenne.Subject, units: dict[str, float]) -> tuple[dict[str, float]]:
        return (dict(face.ending(units)),)


class Edit:
    """The face with Action Units added, in its photo or as the aligned crop."""

    CATEGORY, FUNCTION = CATEGORY, "edit"
    RETURN_TYPES, RETURN_NAMES = ("IMAGE", CLIP), ("image", "clip")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "face": (FACE,),
                "units": (UNITS,),
                "in_photo": ("BOOLEAN", {"default": True}),
            }
        }

    def edit(
        self, face: duchenne.Subject, units: dict[str, float], in_photo: bool
    ) -> tuple[Tensor, Clip]:
        paste = in_photo and face.photo is not None
        picture = face.edit(units, paste=paste)
        return to_image([picture]), Clip((picture,), face.source(paste=paste), 1.0)


class Animate:
    """The Action Units appear, and with `fade` stay for a second and fade again."""

    CATEGORY, FUNCTION = CATEGORY, "animate"
    RETURN_TYPES = ("IMAGE", CLIP, "FLOAT")
    RETURN_NAMES = ("images", "clip", "fps")

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        return {
            "required": {
                "face": (FACE,),
                "units": (UNITS,),
                "frames": ("INT", {"default": 24, "min": 2, "max": MOST_FRAMES,
                                   "tooltip": "of the rise"}),
                "fps": ("FLOAT", {"default": 24.0, "min": 1.0, "max": 240.0, "step": 1.0}),
                "fade": ("BOOLEAN", {"default": False}),
                "in_photo": ("BOOLEAN", {"default": True}),
            }
        }  # fmt: skip

    def animate(
        self, face: duchenne.Subject, units: dict[str, float], frames: int, fps: float, fade: bool,
        in_photo: bool,
    ) -> tuple[Tensor, Clip, float]:  # fmt: skip
        if fade:
            motion = duchenne.onset_apex_offset(units, onset=frames / fps, fps=fps)
        else:
            motion = duchenne.from_descriptor(units, frames=frames, fps=fps)
        paste = in_photo and face.photo is not None
        drawn = tuple(face.animate(motion, paste=paste))
        return to_image(drawn), Clip(drawn, face.source(paste=paste), fps), fps


class Save:
    """A file in ComfyUI's output folder that says in its metadata that it is synthetic.

    ComfyUI's own nodes write the workflow into a file, and not this mark.
    """

    CATEGORY, FUNCTION, OUTPUT_NODE = CATEGORY, "save", True
    RETURN_TYPES: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def INPUT_TYPES(cls) -> Inputs:
        formats = list(dict.fromkeys(("png", *FILMS, *PICTURES)))
        return {
            "required": {
                "clip": (CLIP,),
                "filename_prefix": ("STRING", {"default": "duchenne"}),
                "format": (formats, {"tooltip": "of a picture png, webp or jpg"}),
            }
        }

    def save(self, clip: Clip, filename_prefix: str, format: str) -> dict[str, Any]:
        import folder_paths  # ComfyUI's own; it keeps names inside its folder

        height, width = clip.frames[0].shape[:2]
        folder, name, number, subfolder, _ = folder_paths.get_save_image_path(
            filename_prefix, folder_paths.get_output_directory(), width, height
        )
        path = Path(folder) / f"{name}_{number:05}_.{format}"
        if len(clip.frames) == 1:
            expect(format, PICTURES, "a picture")
            duchenne.save_image(clip.frames[0], path, source=clip.source)
        else:
            expect(format, FILMS, f"a film of {len(clip.frames)} frames")
            duchenne.write_frames(clip.frames, path, fps=clip.fps, source=clip.source)
        shown = {"filename": path.name, "subfolder": subfolder, "type": "output"}
        return {"ui": {"images": [shown], "animated": (len(clip.frames) > 1,)}}


def expect(format: str, known: tuple[str, ...], what: str) -> None:
    if format not in known:
        raise ValueError(f"{format} is no format of {what}; take {', '.join(known)}")


def added(*several: dict[str, float]) -> dict[str, float]:
    """The sum of intensities by Action Unit; how much of it can be drawn is duchenne's business."""
    total: dict[str, float] = {}
    for units in several:
        for code, value in units.items():
            total[code] = total.get(code, 0.0) + value
    return total


_NODES = {
    Face: "Load face", Sample: "Person who does not exist", Units: "Action Units",
    Expression: "Expression", Ending: "End at an expression", Edit: "Edit by Action Units",
    Animate: "Animate", Save: "Save with the synthetic mark",
}  # fmt: skip
NODE_CLASS_MAPPINGS = {f"Duchenne{node.__name__}": node for node in _NODES}
NODE_DISPLAY_NAME_MAPPINGS = {
    f"Duchenne{node.__name__}": f"{title} (duchenne)" for node, title in _NODES.items()
}
for _node in _NODES:
    _node.DESCRIPTION = inspect.getdoc(_node)
