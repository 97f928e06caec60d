"""Latent codes -> frames, on OpenVINO.

An edit touches its regions only, so only they are computed again: `Renderer.open` renders the face
once and keeps the activations; `Scene.frame` then runs the generator on the smallest window that
holds the regions (from 64 px up) and puts the result into the unedited frame. Outside the regions
a frame equals the unedited one to the bit.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import nn

from . import pixels
from .errors import SpaceMismatch
from .generators.base import Generator
from .generators.regional import WINDOW_FROM, FeaturePass, PlainPass, RegionalPass
from .regions import Regions
from .types import LatentCode, Pixels

Array = NDArray[np.float32]

# float32 throughout: on processors with bfloat16 OpenVINO would otherwise round to it, which is
# visible (0.03 in w) and, measured here, not even faster.
_PRECISION = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}


def editable_rows(generator: Generator) -> range:
    """The rows of W+ that expressions live in: the layers from 8 to 32 px.

    The 4 px row holds pose and head shape; rows beyond 32 px hold colour and texture (measured:
    docs/experiments). An edit leaves both alone.
    """
    rows = [i for i, size in enumerate(generator.row_sizes) if 8 <= size <= 32]
    return range(rows[0], rows[-1] + 1)


class Renderer:
    """A generator compiled for rendering; compile once, render many.

    generator: on the CPU, in evaluation mode.
    threads: cores to use; None is all of them.
    """

    def __init__(self, generator: Generator, *, threads: int | None = None) -> None:
        self.generator = generator
        self.rows = editable_rows(generator)
        self._regional_model: Any = None  # compiled for windows of any size by the first edit
        self._options = {**_PRECISION, "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1}

    def still(self, w: Array) -> Pixels:
        """w: float32 [L, 512] -> uint8 [H, W, 3], the face as the generator draws it."""
        return pixels.from_planes(self._plain_model([w[None]])[0][0])

    def open(self, w: Array, find_regions: Callable[[Pixels], Regions]) -> Scene:
        """Render a face once and keep what editing it needs.

        find_regions: gives the regions of influence of the rendered face.
        """
        # Once for each face: PyTorch, since compiling this pass too takes longer than it saves, and
        # holds 0.8 GB.
        with torch.no_grad():
            image, *features = FeaturePass(self.generator)(torch.from_numpy(w[None]))
        layers = self._regional_pass.feature_layers
        base = pixels.from_planes(image[0].numpy())
        return Scene(
            renderer=self,
            w=w,
            regions=find_regions(base),
            base=base,
            features={i: x.numpy() for i, x in zip(layers, features, strict=True)},
        )

    def require_space(self, code: LatentCode) -> Array:
        """The code's w, if it lives in this generator's space; else SpaceMismatch."""
        if code.generator != self.generator.fingerprint:
            raise SpaceMismatch(
                f"the code belongs to {code.generator}, the generator is "
                f"{self.generator.fingerprint}; encode the photo again or choose its generator"
            )
        return code.w

    @cached_property
    def _regional_pass(self) -> RegionalPass:
        return RegionalPass(self.generator, self.rows)

    @cached_property
    def _plain_model(self) -> Any:
        w = np.zeros((1, self.generator.rows, 512), np.float32)
        return _compile(PlainPass(self.generator), [w], [False], self._options)

    def _regional(self, inputs: list[NDArray[Any]]) -> Array:
        """One regional pass: image [1, 3, h, w]. The first inputs serve to trace the model."""
        if self._regional_model is None:
            net = self._regional_pass
            free = [size is not None and size >= WINDOW_FROM for size in net.input_sizes]
            self._regional_model = _compile(net, inputs, free, self._options)
        return np.asarray(self._regional_model(inputs)[0])

    @cached_property
    def _noises(self) -> dict[int, Array]:
        """The generator's constant noise, layer by layer."""
        view = _NoiseSpy(self.generator)
        return {layer: view.noises[layer] for layer in self._regional_pass.noise_layers}


@dataclass(frozen=True)
class Scene:
    """One face, rendered and ready to be edited.

    base: uint8 [H, W, 3], the unedited frame. features: layer -> [1, C, h, w].
    """

    renderer: Renderer
    w: Array
    regions: Regions
    base: Pixels
    features: dict[int, Array]
    _stages: dict[tuple[bool, ...], _Stage] = field(default_factory=dict)

    def frame(self, offsets: Array) -> Pixels:
        """The face with `offsets` added inside the regions: uint8 [H, W, 3].

        offsets: float32 [8, L, 512], one for each of `regions.SLOTS`; zeros outside the editable
            rows. All zeros give `base` itself.
        """
        active = tuple(bool(o.any()) for o in offsets)
        if not any(active):
            return self.base
        stage = self._stages.get(active)
        if stage is None:
            stage = self._stages[active] = _Stage.build(self, np.array(active))
        image = self.renderer._regional([self.w[None], offsets, *stage.inputs])
        window = pixels.from_planes(image[0])
        frame = self.base.copy()
        np.copyto(frame[stage.window], window, where=stage.inside)
        return frame


@dataclass(frozen=True)
class _Stage:
    """What a set of active regions needs, cut to its window once."""

    inputs: list[Array]
    window: tuple[slice, slice]
    inside: NDArray[np.bool_]

    @staticmethod
    def build(scene: Scene, active: NDArray[np.bool_]) -> _Stage:
        renderer, regions = scene.renderer, scene.regions
        net, sizes = renderer._regional_pass, renderer.generator.layer_sizes
        blends = {size: regions.blend(active, size) for size in net.blend_sizes}
        rows, columns = _window(blends)
        scales = {size: size // WINDOW_FROM for size in net.blend_sizes if size >= WINDOW_FROM}

        def cut(array: Array, size: int) -> Array:
            """The window of an array whose last two axes have `size` px."""
            if size < WINDOW_FROM:
                return np.ascontiguousarray(array)
            scale = scales[size]
            top, bottom = rows.start * scale, rows.stop * scale
            left, right = columns.start * scale, columns.stop * scale
            return np.ascontiguousarray(array[..., top:bottom, left:right])

        inputs = [np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)]
        inputs += [cut(regions.pyramid(size), size) for size in net.mask_sizes]
        inputs += [cut(blends[size][None, None], size) for size in net.blend_sizes]
        inputs += [cut(scene.features[layer], sizes[layer]) for layer in net.feature_layers]
        inputs += [cut(renderer._noises[layer], sizes[layer]) for layer in net.noise_layers]

        height = scene.base.shape[0]
        scale = height // WINDOW_FROM
        window = (
            slice(rows.start * scale, rows.stop * scale),
            slice(columns.start * scale, columns.stop * scale),
        )
        last = net.blend_sizes[-1]
        repeat = height // last
        inside = (blends[last] > 0).repeat(repeat, axis=0).repeat(repeat, axis=1)
        return _Stage(inputs, window, inside[window][..., None])


def _window(blends: dict[int, Array]) -> tuple[slice, slice]:
    """The smallest window, in cells of WINDOW_FROM px, around every blend mask and its halo.

    The halo is one cell: two 3 x 3 convolutions lie between blends, and at the window's edge they
    see zeros instead of the neighbours; the blend is 0 there.
    """
    touched = np.zeros((WINDOW_FROM, WINDOW_FROM), bool)
    for size, blend in blends.items():
        if size >= WINDOW_FROM:
            cell = size // WINDOW_FROM
            cells = blend.reshape(WINDOW_FROM, cell, WINDOW_FROM, cell)
            touched |= cells.max(axis=(1, 3)) > 0
    spans = []
    for axis in (1, 0):
        hit = np.flatnonzero(touched.any(axis=axis))
        spans.append(slice(max(hit[0] - 2, 0), min(hit[-1] + 3, WINDOW_FROM)))
    return spans[0], spans[1]


class _NoiseSpy:
    """Runs the generator once to see which noise every layer adds."""

    def __init__(self, generator: Generator) -> None:
        self.noises: dict[int, Array] = {}
        with torch.no_grad():
            self._w = torch.zeros(1, generator.rows, 512)
            generator.run(self)

    def style(self, affine: nn.Linear, row: int, size: int) -> torch.Tensor:
        style: torch.Tensor = affine(self._w[:, row])
        return style[:, :, None, None]

    def enter(self, size: int, x: torch.Tensor) -> torch.Tensor:
        return x

    def noise(self, layer: int, noise: torch.Tensor) -> torch.Tensor:
        self.noises[layer] = noise.numpy()
        return noise

    def visit(self, layer: int, size: int, x: torch.Tensor) -> torch.Tensor:
        return x


def _compile(
    module: nn.Module, inputs: list[NDArray[Any]], free: list[bool], options: dict[str, Any]
) -> Any:
    """Trace a module with these inputs and compile it; where `free`, any height and width do."""
    example = tuple(torch.from_numpy(np.ascontiguousarray(array)) for array in inputs)
    shapes = []
    for array, any_size in zip(inputs, free, strict=True):
        dims: list[Any] = list(array.shape)
        if any_size:
            dims[-2:] = [-1] * len(dims[-2:])
        shapes.append(ov.PartialShape(dims))
    with torch.no_grad(), warnings.catch_warnings():
        # Deprecated in torch for its exporter, which OpenVINO does not read as well yet.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Tracing here and not in convert_model: that one runs the network three times to check.
        traced = torch.jit.trace(module.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=example, input=shapes)
    return ov.Core().compile_model(model, "CPU", options)
