"""Photos with transparency: laid over white for whoever looks at them, and taken off it again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..types import Photo, Pixels


def is_transparent(picture: Pixels) -> bool:
    """Whether a picture is uint8 [H, W, 4], RGBA, and not [H, W, 3]."""
    return picture.shape[2:] == (4,)


def over_white(picture: Pixels) -> Pixels:
    """uint8 [H, W, 4], straight RGBA, as viewers show it: uint8 [H, W, 3]. Others as they are."""
    if not is_transparent(picture):
        return picture
    white = Image.new("RGBA", (picture.shape[1], picture.shape[0]), "white")
    return np.array(Image.alpha_composite(white, Image.fromarray(picture)).convert("RGB"))


def photo_of(picture: Pixels, name: str) -> Photo:
    """A photo of uint8 [H, W, 3] or [H, W, 4]; one that is opaque everywhere has no transparency.

    name: see `Photo`.
    """
    if not is_transparent(picture):
        return Photo(picture, name)
    if picture[..., 3].min() == 255:
        return Photo(np.ascontiguousarray(picture[..., :3]), name)
    return Photo(over_white(picture), name, picture)


def off_white(frame: Pixels, photo: Photo, alpha: NDArray[np.uint8] | None = None) -> Pixels:
    """A changed picture of a photo that was laid over white, with its transparency again.

    frame: uint8 [H, W, 3], where unchanged equal to `photo.pixels`. alpha: uint8 [H, W], its own
    opacity; None is the photo's. Returns uint8 [H, W, 4], straight RGBA: the photo's to the bit
    where nothing changed; elsewhere the colour that over white gives the frame's.
    """
    assert photo.rgba is not None, "only a photo with transparency has been laid over white"
    clear = photo.rgba.copy()
    changed = (frame != photo.pixels).any(axis=2)
    if alpha is None:
        alpha = clear[..., 3]
    else:
        changed |= alpha != clear[..., 3]
    opacity = alpha[changed].astype(np.float32)[:, None]
    # Of frame = opacity / 255 * colour + 255 - opacity.
    shown = frame[changed].astype(np.float32)
    colour = 255 * (shown - 255 + opacity) / np.maximum(opacity, 1)
    clear[changed, :3] = np.clip(np.rint(colour), 0, 255).astype(np.uint8)
    clear[changed, 3] = alpha[changed]
    return clear
