"""A pass whose latent code varies over the canvas; see `duchenne.regions`."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from .base import Generator, PlainView

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
    ) -> None:
        self.w, self.offsets, self.rows = w, offsets, rows
        self.masks, self.blends, self.features = masks, blends, features
        self.noises, self.window = noises, window

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
        unedited = self.features[layer]
        return unedited + self.blends[size] * (x - unedited)


def blend_layers(generator: Generator) -> tuple[int, ...]:
    """The last layer of every size: where the edited activations are blended into the unedited."""
    sizes = generator.layer_sizes
    return tuple(i for i, size in enumerate(sizes) if i + 1 == len(sizes) or sizes[i + 1] != size)


class RegionalPass(nn.Module):
    """The pass as a function of tensors alone, so that OpenVINO can convert it.

    forward(w, offsets, rows, columns, *masks, *blends, *features, *noises) in the orders of
    `mask_sizes`, `blend_sizes`, `feature_layers`, `noise_layers`.
    """

    def __init__(self, generator: Generator, rows: range) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator
        self.rows = rows
        last = max(size for row, size in enumerate(generator.row_sizes) if row in rows)
        sizes = sorted(set(generator.layer_sizes))
        self.mask_sizes = tuple(size for size in sizes if size <= last)
        self.blend_sizes = tuple(sizes)
        self.feature_layers = blend_layers(generator)
        self.noise_layers = tuple(
            i for i, size in enumerate(generator.layer_sizes) if size >= WINDOW_FROM
        )

    @property
    def input_sizes(self) -> tuple[int | None, ...]:
        """Resolution of each input of `forward`; None for the code and the offsets."""
        sizes = self.generator.layer_sizes
        return (
            *(None, None, WINDOW_FROM, WINDOW_FROM),
            *self.mask_sizes,
            *self.blend_sizes,
            *(sizes[layer] for layer in self.feature_layers),
            *(sizes[layer] for layer in self.noise_layers),
        )

    def forward(
        self, w: Tensor, offsets: Tensor, rows: Tensor, columns: Tensor, *rest: Tensor
    ) -> Tensor:
        """Image [1, 3, h, w] of the window."""
        given = iter(rest)
        view = RegionalView(
            w,
            offsets,
            self.rows,
            masks={size: next(given) for size in self.mask_sizes},
            blends={size: next(given) for size in self.blend_sizes},
            features={layer: next(given) for layer in self.feature_layers},
            noises={layer: next(given) for layer in self.noise_layers},
            window=(rows, columns),
        )
        return self.generator.run(view)


class PlainPass(nn.Module):
    """The published network as a function of the code alone."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator

    def forward(self, w: Tensor) -> Tensor:
        """w: [1, L, 512] -> image [1, 3, H, W]."""
        return self.generator.synthesize(w)


class FeaturePass(nn.Module):
    """The plain pass that also returns what `RegionalView.features` needs."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        assert isinstance(generator, nn.Module)
        self.generator = generator
        self.layers = blend_layers(generator)

    def forward(self, w: Tensor) -> tuple[Tensor, ...]:
        """w: [1, L, 512] -> (image [1, 3, H, W], features of `self.layers`)."""
        view = _Keep(w, self.layers)
        return (self.generator.run(view), *view.kept)


class _Keep(PlainView):
    def __init__(self, w: Tensor, layers: tuple[int, ...]) -> None:
        super().__init__(w)
        self.layers = layers
        self.kept: list[Tensor] = []

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        if layer in self.layers:
            self.kept.append(x)
        return x
