"""Figures as files: plots as PNG and SVG, strips of pictures as JPEG and SVG with JPEG inside."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from duchenne.errors import InputError
from duchenne.faces.warp import shrink
from duchenne.facs import CODES
from duchenne.files import codes, pictures
from duchenne.files.pictures import SourceType
from duchenne.types import Pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 110
QUALITY = 85  # of the JPEGs: figures are looked at, not measured
_EMBEDDED = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=\s]+)")
# The same figure gives the same bytes: no random ids, no date; text stays text.
_SVG: Any = {"svg.hashsalt": "duchenne", "svg.fonttype": "none"}


def new(width: float, height: float) -> Figure:
    """An empty figure, in inches; InputError if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise InputError(
            "figures need matplotlib, which is not installed; `pip install 'duchenne[experiments]'`"
        ) from None
    return Figure((width, height), dpi=DPI, layout="constrained")


def of_units(figure: Figure) -> Iterator[tuple[Any, str]]:
    """Axes for each Action Unit, four in a row, and its code."""
    return zip(figure.subplots(-(-len(CODES) // 4), 4).flat, CODES, strict=False)


def save(figure: Figure, folder: Path, stem: str, source: SourceType | None = None) -> list[Path]:
    """Write a figure twice; returns the paths.

    source: the synthetic mark of figures that show faces; they become .jpg + .svg, plots without
        faces .png + .svg.
    """
    import matplotlib

    raster = folder / f"{stem}{'.png' if source is None else '.jpg'}"
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    if source is None:
        codes.write_atomically(drawn.getvalue(), raster)
    else:
        write_jpeg(np.asarray(Image.open(drawn).convert("RGB")), raster, source)
    vector = io.StringIO()
    with matplotlib.rc_context(_SVG):
        figure.savefig(vector, format="svg", metadata={"Date": None})
    text = _EMBEDDED.sub(lambda picture: _as_jpeg(picture.group(1)), vector.getvalue())
    if source is not None:
        text = _marked(text, source)
    path = folder / f"{stem}.svg"
    codes.write_atomically(text.encode(), path)
    return [raster, path]


def write_jpeg(picture: Pixels, path: Path, source: SourceType) -> None:
    """A marked JPEG that is smaller than `pictures.save_image`'s."""
    content = io.BytesIO()
    Image.fromarray(picture).save(
        content, "JPEG", quality=QUALITY, optimize=True, xmp=pictures.xmp_packet(source)
    )
    codes.write_atomically(content.getvalue(), path)


def strip(frames: Sequence[Pixels], tile: int) -> Pixels:
    """Pictures side by side, each tile x tile: uint8 [tile, n tile, 3]."""
    return np.concatenate([shrink(frame, (tile, tile)) for frame in frames], axis=1)


def show_strip(axes: Any, picture: Pixels, label: str, columns: Sequence[str] = ()) -> None:
    """Draw a strip with its label at the left and, in the first row, its columns' names."""
    axes.imshow(picture, interpolation="none", aspect="equal")
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=8)
    side = picture.shape[0]
    axes.set_xticks([(k + 0.5) * side for k in range(len(columns))], columns, fontsize=7)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)


def strips(
    rows: Sequence[Sequence[Pixels]],
    labels: Sequence[str],
    columns: Sequence[str],
    tile: int = 110,
) -> Figure:
    """A figure of rows of pictures: labels at the left, names of the columns above."""
    count = max(len(row) for row in rows)
    side = 1.0  # inches of a tile
    longest = max(len(line) for label in labels for line in label.split("\n"))
    figure = new(count * side + max(0.9, 0.1 * longest), len(rows) * side + 0.3)
    axes = figure.subplots(len(rows), 1, squeeze=False)[:, 0]
    for r, (row, label) in enumerate(zip(rows, labels, strict=True)):
        show_strip(axes[r], strip(row, tile), label, columns if r == 0 else ())
    return figure


def _as_jpeg(encoded: str) -> str:
    image = Image.open(io.BytesIO(base64.b64decode(encoded)))
    content = io.BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=QUALITY, optimize=True)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def _marked(svg: str, source: SourceType) -> str:
    """The SVG with the XMP packet in a metadata element of its own."""
    packet = pictures.xmp_packet(source).decode()
    inner = re.sub(r"<\?xpacket.*?\?>", "", packet)  # processing instructions may not nest
    return svg.replace("</svg>", f"<metadata>{inner}</metadata>\n</svg>")
