"""A quarter-size picture from the middle of the generator, at less than half of the price.

The last layers of a StyleGAN add texture. Where the face is and what it does can be read,
linearly, from the features after the last layer at a quarter of the full side; the read-out is
fitted by least squares to a few random faces. Colours are off by a few levels (about 28 dB for the
built-in generator), geometry is not. Encoding starts on it, and boundaries are fitted through it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from .. import codes, weights
from ..errors import DuchenneError
from .base import Generator, PlainView, View, draw_w, truncate

FORMAT = "duchenne-readout-1"
FACES, SEED, TRUNCATION, RIDGE = 12, 900, 0.7, 1e-4


class Readout:
    """The quarter-size picture of any view of a generator, with gradients.

    cache: folder that keeps the fitted read-out, so that only the first use pays for it.
    """

    def __init__(self, generator: Generator, *, cache: Path | None = None) -> None:
        self._generator = generator
        self.size = generator.size // 4
        sizes = generator.layer_sizes
        self._layer = max(i for i, size in enumerate(sizes) if size == self.size)
        folder = cache or weights.cache_root() / "readouts"
        path = folder / f"{generator.fingerprint}{codes.SUFFIX}"
        self._matrix = self._stored(path).to(generator.w_mean.device)

    def picture(self, view: View) -> Tensor:
        """[B, 3, size, size] in about [-1, 1]."""
        x = self._features(view)
        weight, bias = self._matrix[:-1], self._matrix[-1]
        return torch.einsum("bchw,cd->bdhw", x, weight) + bias[:, None, None]

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
        except (DuchenneError, OSError):
            return matrix  # a cache that cannot be written costs time, not the result
        return matrix

    def _fits(self, matrix: NDArray[np.float32]) -> bool:
        w = self._generator.w_mean.expand(1, self._generator.rows, -1)
        with torch.no_grad():
            channels = self._features(PlainView(w)).shape[1]
        return matrix.shape == (channels + 1, 3) and bool(np.isfinite(matrix).all())

    def _features(self, view: View) -> Tensor:
        try:
            self._generator.run(_StopAt(view, self._layer))
        except _Reached as reached:
            return reached.features
        raise AssertionError("the layer to stop at exists")

    def _fit(self) -> Tensor:
        """[C + 1, 3]: least squares from features to the reduced picture, over a few faces."""
        generator = self._generator
        device = generator.w_mean.device
        gram, moment = torch.zeros((), device=device), torch.zeros((), device=device)
        with torch.no_grad():
            faces = draw_w(generator, SEED, FACES)
            for code in truncate(faces, generator.w_mean, TRUNCATION):
                w = code.expand(1, generator.rows, -1)
                picture = F.adaptive_avg_pool2d(generator.synthesize(w), self.size)
                x = self._features(PlainView(w))[0].flatten(1)
                x = torch.cat([x, torch.ones(1, x.shape[1], device=device)])
                gram, moment = gram + x @ x.T, moment + x @ picture[0].flatten(1).T
            ridge = RIDGE * gram.diagonal().mean() * torch.eye(len(gram), device=device)
            matrix: Tensor = torch.linalg.solve(gram + ridge, moment)
        return matrix.cpu()


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
