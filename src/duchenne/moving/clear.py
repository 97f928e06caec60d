"""Where a moved photo is drawn, its transparency included."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..files.transparency import off_white
from ..types import AlignedFace, Photo, Pixels
from .canvas import Canvas, DrawEyes
from .correspondence import Array
from .moved import Fields


class ClearCanvas:
    """A photo with transparency: its opacity moves as its colours do. See `moved.Canvas`."""

    def __init__(self, photo: Photo, aligned: AlignedFace, share: Array) -> None:
        assert photo.rgba is not None, "a photo that is opaque needs no more than a Canvas"
        alpha = np.repeat(photo.rgba[..., 3:], 3, axis=2)
        self._photo = photo
        self._colours = Canvas.of_photo(photo, aligned, share)
        self._opacity = Canvas.of_photo(Photo(alpha), aligned, share)

    def draw(self, fields: Fields | None, then: DrawEyes | None = None) -> Pixels:
        """uint8 [H, W, 4], straight RGBA; None is the photo to the bit."""
        if fields is not None:  # what appears is opaque; an opacity has no shading and no grain
            none, opaque = np.zeros_like(fields.shading), np.full_like(fields.new, 255)
            opacity = replace(fields, shading=none, drawn_out=none, new=opaque)
            alpha = self._opacity.draw(opacity)[..., 0]
        else:
            alpha = None
        return off_white(self._colours.draw(fields, then), self._photo, alpha)


def canvas_of(
    photo: Photo, aligned: AlignedFace, share: Array, *, paste: bool, size: int | None
) -> Canvas | ClearCanvas:
    """The photo, or the aligned crop, `size` px wide. share: see `Canvas`."""
    if not paste:
        return Canvas.of_crop(aligned, share, size or len(aligned.pixels))
    if photo.rgba is not None:
        return ClearCanvas(photo, aligned, share)
    return Canvas.of_photo(photo, aligned, share)
