"""Contact sheets: labelled grids of pictures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ..types import Pixels


def contact_sheet(
    rows: Sequence[Sequence[Pixels]],
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    tile: int = 256,
) -> Pixels:
    """A labelled grid of pictures on white, uint8 [H, W, 3].

    rows: pictures of any size, each fitted into tile x tile; rows may differ in length. Labels are
    drawn left of the rows (they may have several lines) and above the columns.
    """
    assert any(len(row) for row in rows), "a contact sheet needs a picture"
    assert not row_labels or len(row_labels) == len(rows), "one label a row"
    font = ImageFont.load_default(size=max(11, tile // 14))
    gap = max(2, tile // 64)
    lines = [line for text in row_labels for line in text.splitlines()]
    left = max((round(font.getlength(line)) + 3 * gap for line in lines), default=0)
    top = (max(11, tile // 14) + 4 * gap) if column_labels else 0
    columns = max(len(column_labels), max(len(row) for row in rows))
    step = tile + gap
    sheet = Image.new("RGB", (left + columns * step + gap, top + len(rows) * step + gap), "white")
    draw = ImageDraw.Draw(sheet)
    for c, text in enumerate(column_labels):
        draw.text((left + gap + c * step + tile / 2, top / 2), text, "black", font, anchor="mm")
    for r, row in enumerate(rows):
        y = top + gap + r * step
        if row_labels:
            draw.text((gap, y + tile / 2), row_labels[r], "black", font, anchor="lm")
        for c, pixels in enumerate(row):
            picture = ImageOps.contain(Image.fromarray(pixels), (tile, tile))
            x = left + gap + c * step
            corner = (x + (tile - picture.width) // 2, y + (tile - picture.height) // 2)
            sheet.paste(picture, corner)
    return np.array(sheet)
