"""A pass whose latent code varies over the canvas; see `duchenne.faces.regions`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ..generators.base import Generator, PlainView, canvas_moments
from ..generators.readout import Readout

WINDOW_FROM = 64  # resolutions below are computed whole: they are cheap, and their cells are large


class RegionalView:
    """w + sum_k m_k(p) offset_k at every place p, blended into the unedited activations.

    w: [1, L, 512], the unedited code.
    offsets: [K, L, 512], what each mask adds; rows outside `rows` must be zero.
    masks: size -> [K, h, w] in [0, 1].
    blends: size -> [1, 1, h, w] in [0, 1], 0 outside what may change.
    features: layer -> [1, C, h, w], the unedited activations after the last layer of each size.
    noises: layer -> [1, 1, h, w], the noise of the layers from WINDOW_FROM on, cut to the window.
    window: (rows [h], columns [w]) int64, the indices at WINDOW_FROM px that are computed.
    moments: layer -> the unedited mean and deviation [1, C, 1, 1], for networks that normalise.
    image: [1, 3, h, w], the unedited image, for networks that sum it up over resolutions.
    """

    def __init__(
        self,
        w: Tensor,
        offsets: Tensor,
        rows: range,
        masks: Mapping[int, Tensor],
        blends: Mapping[int, Tensor],
        features: Mapping[int, Tensor],
        noises: Mapping[int, Tensor],
        window: tuple[Tensor, Tensor],
        moments: Mapping[int, tuple[Tensor, Tensor]] = MappingProxyType({}),
        image: Tensor | None = None,
    ) -> None:
        self.w, self.offsets, self.rows = w, offsets, rows
        self.masks, self.blends, self.features = masks, blends, features
        self.noises, self.window = noises, window
        self.known_moments, self.image = moments, image

    def style(self, affine: nn.Linear, row: int, size: int) -> Tensor:
        style: Tensor = affine(self.w[:, row])[:, :, None, None]
        if row not in self.rows:
            return style
        change = self.offsets[:, row] @ affine.weight.T  # [K, C]
        masks = self.masks[size]  # [K, h, w]
        local = change.T @ masks.flatten(1)  # [C, h w]
        return style + local.reshape(1, -1, masks.shape[1], masks.shape[2])

    def enter(self, size: int, x: Tensor) -> Tensor:
        if size != WINDOW_FROM:
            return x
        return x.index_select(2, self.window[0]).index_select(3, self.window[1])

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        return self.noises.get(layer, noise)

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        if layer not in self.features:
            return x
        return _blended(self.features[layer], x, self.blends[size])

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.known_moments[layer] if layer in self.known_moments else canvas_moments(x)

    def finish(self, size: int, image: Tensor) -> Tensor:
        if self.image is None:
            return image
        return _blended(self.image, image, self.blends[size])


def _blended(unedited: Tensor, edited: Tensor, share: Tensor) -> Tensor:
    """Exactly `unedited` where `share` is 0. The first term is the same in every frame of a film,
    so a compiler works it out once."""
    return unedited * (1 - share) + edited * share


def blend_layers(generator: Generator) -> tuple[int, ...]:
    """The last layer of every size: where the edited activations are blended into the unedited."""
    sizes = generator.layer_sizes
    return tuple(i for i, size in enumerate(sizes) if i + 1 == len(sizes) or sizes[i + 1] != size)


class RegionalPass(nn.Module):
    """The pass as a function of tensors alone, so that OpenVINO can convert it.

    forward(offsets, w, *window, *masks, *blends, *features, *noises) in the orders of `mask_sizes`,
    `blend_sizes`, `feature_layers`, `noise_layers`, `moment_layers` (two each), and the image if
    `blends_image`. window: (rows, columns) if `cuts`, nothing otherwise.

    seen: the unedited pass, which tells what the generator's layers have; None stands for noise in
        all of them, and no more.
    readout: draw a preview through it instead of the full picture; `forward` then takes the
        unedited picture of the read-out's size as its last input.
    """

    def __init__(
        self,
        generator: Generator,
        rows: range,
        seen: Recording | None = None,
        readout: Readout | None = None,
    ) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator
        self.rows = rows
        self.readout = readout
        layers = len(generator.layer_sizes) if readout is None else readout.layer + 1
        last = max(size for row, size in enumerate(generator.row_sizes) if row in rows)
        sizes = sorted(set(generator.layer_sizes[:layers]))
        self.mask_sizes = tuple(size for size in sizes if size <= last)
        self.blend_sizes = tuple(sizes)
        self.cuts = sizes[-1] >= WINDOW_FROM
        blended = blend_layers(generator) if seen is None else tuple(seen.features)
        self.feature_layers = tuple(i for i in blended if i < layers)
        self.noise_layers = tuple(
            i
            for i, size in enumerate(generator.layer_sizes[:layers])
            if size >= WINDOW_FROM and (seen is None or i in seen.noises)
        )
        moments = () if seen is None else tuple(seen.moments)
        self.moment_layers = tuple(i for i in moments if i < layers)
        self.blends_image = readout is None and seen is not None and seen.summed

    @property
    def size(self) -> int:
        """Side of the whole picture that `forward` gives a window of."""
        return self.generator.size if self.readout is None else self.readout.size

    @property
    def input_sizes(self) -> tuple[int | None, ...]:
        """Resolution of each input of `forward`; None for what has the same shape everywhere."""
        sizes = self.generator.layer_sizes
        return (
            *(None, None),
            *((WINDOW_FROM, WINDOW_FROM) if self.cuts else ()),
            *self.mask_sizes,
            *self.blend_sizes,
            *(sizes[layer] for layer in self.feature_layers),
            *(sizes[layer] for layer in self.noise_layers),
            *(None for _ in self.moment_layers for _ in ("mean", "deviation")),
            *((self.size,) if self.blends_image or self.readout is not None else ()),
        )

    def forward(self, offsets: Tensor, w: Tensor, *rest: Tensor) -> Tensor:
        """Image [1, 3, h, w] of the window."""
        given = iter(rest)
        window = (next(given), next(given)) if self.cuts else (torch.empty(0), torch.empty(0))
        view = RegionalView(
            w,
            offsets,
            self.rows,
            masks={size: next(given) for size in self.mask_sizes},
            blends={size: next(given) for size in self.blend_sizes},
            features={layer: next(given) for layer in self.feature_layers},
            noises={layer: next(given) for layer in self.noise_layers},
            window=window,
            moments={layer: (next(given), next(given)) for layer in self.moment_layers},
            image=next(given) if self.blends_image else None,
        )
        if self.readout is None:
            return self.generator.run(view)
        change = self.readout.features(view) - view.features[self.readout.layer]
        return next(given) + self.readout.change(change)


class LocalView(RegionalView):
    """The same on the whole canvas, with nothing blended back: for codes that differ each time.

    What happens outside the regions is not the unedited picture, so only what lies inside serves.
    """

    def __init__(
        self, w: Tensor, offsets: Tensor, rows: range, masks: Mapping[int, Tensor]
    ) -> None:
        nothing = torch.empty(0)
        super().__init__(w, offsets, rows, masks, {}, {}, {}, (nothing, nothing))

    def enter(self, size: int, x: Tensor) -> Tensor:
        return x


class LocalPass(nn.Module):
    """The pass of a `LocalView`: forward(w [1, L, 512], offsets, *masks), of `mask_sizes`."""

    def __init__(self, generator: Generator, rows: range) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator, self.rows = generator, rows
        last = max(size for row, size in enumerate(generator.row_sizes) if row in rows)
        self.mask_sizes = tuple(s for s in sorted(set(generator.layer_sizes)) if s <= last)

    def forward(self, w: Tensor, offsets: Tensor, *masks: Tensor) -> Tensor:
        """Image [1, 3, H, W]."""
        by_size = dict(zip(self.mask_sizes, masks, strict=True))
        return self.generator.run(LocalView(w, offsets, self.rows, by_size))


class PlainPass(nn.Module):
    """The published network as a function of the code alone."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator

    def forward(self, w: Tensor) -> Tensor:
        """w: [1, L, 512] -> image [1, 3, H, W]."""
        return self.generator.run(PlainView(w))


class Recorder(PlainView):
    """The same code on the whole canvas, remembering what a regional pass needs of it."""

    def __init__(self, w: Tensor, layers: tuple[int, ...] = ()) -> None:
        super().__init__(w)
        self.layers = layers
        self.features: dict[int, Tensor] = {}
        self.noises: dict[int, Tensor] = {}
        self.known_moments: dict[int, tuple[Tensor, Tensor]] = {}
        self.summed = False

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        if layer in self.layers:
            self.features[layer] = x
        return x

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        self.noises[layer] = noise
        return noise

    def moments(self, layer: int, x: Tensor) -> tuple[Tensor, Tensor]:
        self.known_moments[layer] = canvas_moments(x)
        return self.known_moments[layer]

    def finish(self, size: int, image: Tensor) -> Tensor:
        self.summed = True
        return image


@dataclass(frozen=True)
class Recording:
    """One unedited pass over the whole canvas: see `RegionalView`.

    image: [1, 3, H, W]. summed: the network sums its image up over resolutions. The features of the
    last resolution are then not kept: blending the image takes their place.
    """

    image: Tensor
    features: Mapping[int, Tensor]
    noises: Mapping[int, Tensor]
    moments: Mapping[int, tuple[Tensor, Tensor]]
    summed: bool


def record(generator: Generator, w: Tensor) -> Recording:
    """The unedited pass of one code, without gradients. w: [1, L, 512]."""
    view = Recorder(w, blend_layers(generator))
    with torch.no_grad():
        image = generator.run(view)
    if view.summed:
        del view.features[view.layers[-1]]
    return Recording(image, view.features, view.noises, view.known_moments, view.summed)
