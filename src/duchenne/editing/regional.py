"""A pass whose latent code varies over the canvas; see `duchenne.faces.regions`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from ..generators.base import Generator, PlainView, canvas_moments
from ..generators.readout import Readout
from .layout import WINDOW_FROM, Layout, Recording, blend_layers, mask_sizes


class RegionalView:
    """w + sum_k m_k(p) offset_k at every place p, blended into the unedited activations.

    w: [1, L, 512], the unedited code.
    offsets: [K, L, 512], what each mask adds; rows outside `rows` must be zero.
    masks: size -> [K, h, w] in [0, 1].
    blends: size -> [1, 1, h, w] in [0, 1], 0 outside what may change.
    features: layer -> [1, C, h, w], the unedited activations after the last layer of each size.
    noises: layer -> [1, 1, h, w], the noise of the layers, cut to the window.
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


class RegionalPass(nn.Module):
    """The pass as a function of tensors alone, so that OpenVINO can convert it.

    forward(offsets, w, *rest): rest as `layout` says.
    readout: draw a preview through it instead of the full picture.
    """

    def __init__(
        self, generator: Generator, rows: range, layout: Layout, readout: Readout | None = None
    ) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator, self.rows = generator, rows
        self.layout, self.readout = layout, readout

    def forward(self, offsets: Tensor, w: Tensor, *rest: Tensor) -> Tensor:
        """Image [1, 3, h, w] of the window."""
        given, layout = iter(rest), self.layout
        window = (next(given), next(given)) if layout.cuts else (torch.empty(0), torch.empty(0))
        view = RegionalView(
            w,
            offsets,
            self.rows,
            masks={size: next(given) for size in layout.mask_sizes},
            blends={size: next(given) for size in layout.blend_sizes},
            features={layer: next(given) for layer in layout.feature_layers},
            noises={layer: next(given) for layer in layout.noise_layers},
            window=window,
            moments={layer: (next(given), next(given)) for layer in layout.moment_layers},
            image=next(given) if layout.blends_image else None,
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
        self,
        w: Tensor,
        offsets: Tensor,
        rows: range,
        masks: Mapping[int, Tensor],
        noises: Mapping[int, Tensor],
    ) -> None:
        nothing = torch.empty(0)
        super().__init__(w, offsets, rows, masks, {}, {}, noises, (nothing, nothing))

    def enter(self, size: int, x: Tensor) -> Tensor:
        return x


class LocalPass(nn.Module):
    """The pass of a `LocalView`: forward(w [1, L, 512], offsets, *masks, *noises).

    masks: of `layout.mask_sizes`. noises: of every layer, so that a program need not hold them; or
    none, which takes the network's own.
    """

    def __init__(self, generator: Generator, rows: range) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator, self.rows = generator, rows
        self.mask_sizes = mask_sizes(generator, rows)

    def forward(self, w: Tensor, offsets: Tensor, *rest: Tensor) -> Tensor:
        """Image [1, 3, H, W]."""
        masks = dict(zip(self.mask_sizes, rest, strict=False))
        noises = dict(enumerate(rest[len(masks) :]))
        return self.generator.run(LocalView(w, offsets, self.rows, masks, noises))


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


def unedited(generator: Generator, w: Tensor) -> tuple[Tensor, Recorder]:
    """The unedited pass of one code, where it is, without gradients. w: [1, L, 512]."""
    view = Recorder(w, blend_layers(generator))
    with torch.no_grad():
        image = generator.run(view)
    if view.summed:
        del view.features[view.layers[-1]]
    return image, view


def record(generator: Generator, w: Tensor) -> Recording:
    """The same as arrays. w: [1, L, 512]."""
    image, view = unedited(generator, w)
    return Recording(
        image.cpu().numpy(),
        {layer: x.cpu().numpy() for layer, x in view.features.items()},
        {layer: x.cpu().numpy() for layer, x in view.noises.items()},
        {
            k: (mean.cpu().numpy(), spread.cpu().numpy())
            for k, (mean, spread) in view.known_moments.items()
        },
        view.summed,
    )


class RecordingPass(nn.Module):
    """What `record` does, as a function of tensors, for a network that neither normalises nor sums.

    forward(w, *noises): [1, L, 512] and the noise of every layer -> image, features of
    `blend_layers`.
    """

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator

    def forward(self, w: Tensor, *noises: Tensor) -> tuple[Tensor, ...]:
        view = _Noised(w, blend_layers(self.generator), noises)
        image = self.generator.run(view)
        return image, *view.features.values()


class _Noised(Recorder):
    """A recorder that is given the noise, so that a program need not hold it."""

    def __init__(self, w: Tensor, layers: tuple[int, ...], noises: tuple[Tensor, ...]) -> None:
        super().__init__(w, layers)
        self._given = noises

    def noise(self, layer: int, noise: Tensor) -> Tensor:
        return self._given[layer]
