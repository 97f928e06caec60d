"""What goes into a regional pass, and what an unedited pass leaves for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..generators.spec import Spec

Array = NDArray[np.float32]

WINDOW_FROM = 64  # resolutions below are computed whole: they are cheap, and their cells are large
EDITED_TO = 32  # px, the last layers that an edit changes


def editable_rows(generator: Spec) -> range:
    """The rows of W+ that expressions live in: the layers from 8 to 32 px.

    The 4 px row holds pose and head shape; rows beyond 32 px hold colour and texture (measured:
    docs/experiments). An edit leaves both alone.
    """
    rows = [i for i, size in enumerate(generator.row_sizes) if 8 <= size <= EDITED_TO]
    return range(rows[0], rows[-1] + 1)


def blend_layers(generator: Spec) -> tuple[int, ...]:
    """The last layer of every size: where the edited activations are blended into the unedited."""
    sizes = generator.layer_sizes
    return tuple(i for i, size in enumerate(sizes) if i + 1 == len(sizes) or sizes[i + 1] != size)


def mask_sizes(generator: Spec, rows: range) -> tuple[int, ...]:
    """The resolutions of the layers that an edit of these rows changes, by their masks."""
    last = max(side for row, side in enumerate(generator.row_sizes) if row in rows)
    return tuple(side for side in sorted(set(generator.layer_sizes)) if side <= last)


@dataclass(frozen=True)
class Recording:
    """One unedited pass over the whole canvas: see `regional.RegionalView`.

    image: [1, 3, H, W]. features: layer -> [1, C, h, w]. noises: layer -> [1, 1, h, w]. moments:
    layer -> the mean and deviation [1, C, 1, 1]. summed: the network sums its image up over
    resolutions; the features of the last one are then not kept, since blending the image takes
    their place.
    """

    image: Array
    features: Mapping[int, Array]
    noises: Mapping[int, Array]
    moments: Mapping[int, tuple[Array, Array]]
    summed: bool


@dataclass(frozen=True)
class Layout:
    """The inputs of a regional pass that draws pictures of one size.

    After the offsets and the code come, in this order: window (rows, columns) if it `cuts`, then
    masks, blends, features, noises, moments (two a layer), the unedited image if it `blends_image`,
    and for a preview the unedited picture of its size.

    readout_from: the layer that a preview is read from; None for the full picture.
    """

    size: int
    layer_sizes: tuple[int, ...]
    mask_sizes: tuple[int, ...]
    blend_sizes: tuple[int, ...]
    feature_layers: tuple[int, ...]
    noise_layers: tuple[int, ...]
    moment_layers: tuple[int, ...]
    blends_image: bool
    readout_from: int | None

    @staticmethod
    def of(generator: Spec, rows: range, size: int, seen: Recording) -> Layout:
        """size: side of the pictures, the generator's own or that of a preview."""
        sizes = generator.layer_sizes
        readout = None
        if size != generator.size:
            readout = max(i for i, side in enumerate(sizes) if side == read_at(size))
        layers = len(sizes) if readout is None else readout + 1
        used = sorted(set(sizes[:layers]))
        return Layout(
            size,
            sizes,
            mask_sizes=tuple(side for side in mask_sizes(generator, rows) if side in used),
            blend_sizes=tuple(used),
            feature_layers=tuple(i for i in seen.features if i < layers),
            noise_layers=tuple(i for i in seen.noises if i < layers),
            moment_layers=tuple(i for i in seen.moments if i < layers),
            blends_image=readout is None and seen.summed,
            readout_from=readout,
        )

    @property
    def cuts(self) -> bool:
        """Whether the pass computes a window of the canvas."""
        return self.blend_sizes[-1] >= WINDOW_FROM

    @property
    def input_sizes(self) -> tuple[int | None, ...]:
        """Resolution of each input; None for what has the same shape everywhere."""
        return (
            *(None, None),
            *((WINDOW_FROM, WINDOW_FROM) if self.cuts else ()),
            *self.mask_sizes,
            *self.blend_sizes,
            *(self.layer_sizes[layer] for layer in self.feature_layers),
            *(self.layer_sizes[layer] for layer in self.noise_layers),
            *(None for _ in self.moment_layers for _ in ("mean", "deviation")),
            *((self.size,) if self.blends_image or self.readout_from is not None else ()),
        )


def read_at(size: int) -> int:
    """The resolution of the features that a preview of a size is read from."""
    return max(size // 2, EDITED_TO)
