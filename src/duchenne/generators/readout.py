"""A small picture from the middle of the generator, at less than half of the price.

The last layers of a StyleGAN add texture. Where the face is and what it does can be read,
linearly, from the features after the last layer of a middle resolution; the read-out is fitted by
least squares to a few random faces. Colours are off by a few levels (about 28 dB for the built-in
generator at a quarter of its side), geometry is not. Encoding starts on it, boundaries are fitted
through it, and previews add what it says of an edit to the true picture of the face (`render`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from ..errors import DuchenneError
from ..files import codes
from ..weights import store
from .base import Generator, PlainView, View, draw_w, truncate

log = logging.getLogger(__name__)

FORMAT = "duchenne-readout-2"
FACES, SEED, TRUNCATION, RIDGE = 12, 900, 0.7, 1e-4


class Readout:
    """The small picture of any view of a generator, with gradients.

    part: the read-out has one `part`-th of the generator's side; 8 is cheaper still and cruder.
    tile: pixels that are read from one cell of features, across and down; 2 reads the features of
        half the resolution, cheaper and cruder again.
    matrix: float32 [C + 1, 3 * tile**2], the weights of the features and their bias.
    cache: folder that keeps the fitted read-out, so that only the first use pays for it.
    """

    def __init__(
        self, generator: Generator, *, part: int = 4, tile: int = 1, cache: Path | None = None
    ) -> None:
        self._generator = generator
        self._tile = tile
        self.size = generator.size // part
        sizes = generator.layer_sizes
        self.layer = max(i for i, size in enumerate(sizes) if size == self.size // tile)
        folder = cache or store.cache_root() / "readouts"
        kind = f"{part}" if tile == 1 else f"{part}x{tile}"
        path = folder / f"{generator.fingerprint}-{kind}{codes.SUFFIX}"
        self.matrix = self._stored(path).to(generator.w_mean.device)

    def picture(self, view: View) -> Tensor:
        """[B, 3, size, size] in about [-1, 1]."""
        return self._tiles(self.features(view), self.matrix[:-1], self.matrix[-1])

    def change(self, features: Tensor) -> Tensor:
        """What a change of the features does to the picture: [B, C, h, w] -> [B, 3, h', w']."""
        return self._tiles(features, self.matrix[:-1], None)

    def _tiles(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return F.pixel_shuffle(F.conv2d(x, weight.T[:, :, None, None], bias), self._tile)

    def _stored(self, path: Path) -> Tensor:
        try:
            tensors, _ = codes.read_tensors(path, FORMAT, "a fitted read-out")
            stored = tensors.get("matrix")
        except DuchenneError:  # absent or damaged
            stored = None
        if stored is not None and self._fits(stored):
            return torch.from_numpy(stored)
        matrix = self._fit()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            codes.write_tensors({"matrix": matrix.numpy()}, {"format": FORMAT}, {}, path)
        except (DuchenneError, OSError) as error:
            # A cache that cannot be written costs time, not the result.
            log.warning("%s; what was fitted is not kept for the next time", error)
        return matrix

    def _fits(self, matrix: NDArray[np.float32]) -> bool:
        w = self._generator.w_mean.expand(1, self._generator.rows, -1)
        with torch.no_grad():
            channels = self.features(PlainView(w)).shape[1]
        return matrix.shape == (channels + 1, 3 * self._tile**2) and bool(np.isfinite(matrix).all())

    def features(self, view: View) -> Tensor:
        """[B, C, h, w] of the view's window, after the layer that is read."""
        try:
            self._generator.run(_StopAt(view, self.layer))
        except _Reached as reached:
            return reached.features
        raise AssertionError("the layer to stop at exists")

    def _fit(self) -> Tensor:
        """[C + 1, 3 tile^2]: least squares from features to the small picture, over a few faces."""
        generator = self._generator
        device = generator.w_mean.device
        gram, moment = torch.zeros((), device=device), torch.zeros((), device=device)
        with torch.no_grad():
            faces = draw_w(generator, SEED, FACES // self._tile)
            for code in truncate(faces, generator.w_mean, TRUNCATION):
                view = _Keep(code.expand(1, generator.rows, -1), self.layer)
                picture = F.adaptive_avg_pool2d(generator.run(view), self.size)
                picture = F.pixel_unshuffle(picture, self._tile)
                x = view.features[0].flatten(1)
                x = torch.cat([x, torch.ones(1, x.shape[1], device=device)])
                gram, moment = gram + x @ x.T, moment + x @ picture[0].flatten(1).T
            ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), device=device)
            matrix: Tensor = torch.linalg.solve(gram + ridge, moment)
        return matrix.cpu()


class _Keep(PlainView):
    """The plain pass, remembering one layer's features."""

    def __init__(self, w: Tensor, layer: int) -> None:
        super().__init__(w)
        self._layer = layer

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        if layer == self._layer:
            self.features = x
        return x


class _Reached(Exception):
    """Carries the features out of a pass that needs no further layers."""

    def __init__(self, features: Tensor) -> None:
        self.features = features


class _StopAt:
    """A view that ends the pass after one layer."""

    def __init__(self, view: View, layer: int) -> None:
        self._view, self._layer = view, layer
        self.style: Callable[..., Tensor] = view.style
        self.enter: Callable[..., Tensor] = view.enter
        self.noise: Callable[..., Tensor] = view.noise
        self.moments: Callable[..., tuple[Tensor, Tensor]] = view.moments
        self.finish: Callable[..., Tensor] = view.finish

    def visit(self, layer: int, size: int, x: Tensor) -> Tensor:
        x = self._view.visit(layer, size, x)
        if layer == self._layer:
            raise _Reached(x)
        return x
