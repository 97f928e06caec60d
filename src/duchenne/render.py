"""Latent codes -> frames, on OpenVINO; on PyTorch where the generator lives on a GPU.

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
from .generators.regional import WINDOW_FROM, PlainPass, Recording, RegionalPass, record
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

    generator: in evaluation mode; on the CPU it is compiled, on a GPU it runs as it is.
    threads: cores to use; None is all of them.
    """

    def __init__(self, generator: Generator, *, threads: int | None = None) -> None:
        self.generator = generator
        self.rows = editable_rows(generator)
        self._regional_pass: RegionalPass | None = None  # made by the first face
        self._regional_model: Any = None  # compiled for windows of any size by the first edit
        self._options = {**_PRECISION, "INFERENCE_NUM_THREADS": threads or os.cpu_count() or 1}

    def still(self, w: Array) -> Pixels:
        """w: float32 [L, 512] -> uint8 [H, W, 3], equal to the bit to the base of `open`."""
        with torch.no_grad():
            code = torch.from_numpy(w[None]).to(self.generator.w_mean.device)
            return pixels.from_planes(self.generator.synthesize(code)[0].cpu().numpy())

    def plain(self, w: Array) -> Pixels:
        """As `still`, within rounding, by a compiled model: for many pictures."""
        return pixels.from_planes(np.asarray(self._plain_model([w[None]])[0][0]))

    def open(self, w: Array, find_regions: Callable[[Pixels], Regions]) -> Scene:
        """Render a face once and keep what editing it needs.

        find_regions: gives the regions of influence of the rendered face.
        """
        # Once for each face: PyTorch, since compiling this pass too takes longer than it saves, and
        # holds 0.8 GB.
        seen = record(self.generator, torch.from_numpy(w[None]).to(self.generator.w_mean.device))
        if self._regional_pass is None:
            self._regional_pass = RegionalPass(self.generator, self.rows, seen)
        base = pixels.from_planes(seen.image[0].cpu().numpy())
        return Scene(
            renderer=self,
            w=w,
            regions=find_regions(base),
            base=base,
            features={layer: x.cpu().numpy() for layer, x in seen.features.items()},
            constant=_constant_inputs(self._regional_pass, seen),
            image=seen.image.cpu().numpy() if seen.summed else None,
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
    def _plain_model(self) -> Any:
        w = np.zeros((1, self.generator.rows, 512), np.float32)
        return self._compile(PlainPass(self.generator), [w], [False])

    def _regional(self, inputs: list[NDArray[Any]]) -> Array:
        """One regional pass: image [1, 3, h, w]. The first inputs serve to trace the model."""
        if self._regional_model is None:
            net = self._regional_pass
            assert net is not None, "a scene has been opened"
            free = [size is not None and size >= WINDOW_FROM for size in net.input_sizes]
            self._regional_model = self._compile(net, inputs, free)
        return np.asarray(self._regional_model(inputs)[0])

    def _compile(self, module: nn.Module, inputs: list[NDArray[Any]], free: list[bool]) -> Any:
        device = self.generator.w_mean.device
        if device.type == "cpu":
            return _compile(module, inputs, free, self._options)
        return _on_device(module, device)


@dataclass(frozen=True)
class Scene:
    """One face, rendered and ready to be edited.

    base: uint8 [H, W, 3], the unedited frame. features: layer -> [1, C, h, w].
    constant, image: see `_constant_inputs` and `Recording.summed`.
    """

    renderer: Renderer
    w: Array
    regions: Regions
    base: Pixels
    features: dict[int, Array]
    constant: _Constant
    image: Array | None
    _stages: dict[tuple[bool, ...], _Stage] = field(default_factory=dict)

    def frame(self, offsets: Array) -> Pixels:
        """The face with `offsets` added inside the regions: uint8 [H, W, 3].

        offsets: float32 [8, L, 512], one for each of `regions.SLOTS`; zeros outside the editable
            rows. All zeros give `base` itself.
        """
        pairs = zip(offsets, self.regions.masks, strict=True)
        active = tuple(bool(o.any() and mask.any()) for o, mask in pairs)  # a mask may lie outside
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
        net, regions = scene.renderer._regional_pass, scene.regions
        assert net is not None, "made when the scene was opened"
        sizes = net.generator.layer_sizes
        blends = {size: regions.blend(active, size) for size in net.blend_sizes}
        rows, columns = _window(blends)

        def cut(array: Array, size: int) -> Array:
            """The window of an array whose last two axes have `size` px."""
            if size >= WINDOW_FROM:
                array = array[..., _scaled(rows, size), _scaled(columns, size)]
            return np.ascontiguousarray(array)

        inputs = [np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)]
        inputs += [cut(regions.pyramid(size), size) for size in net.mask_sizes]
        inputs += [cut(blends[size][None, None], size) for size in net.blend_sizes]
        inputs += [cut(scene.features[layer], sizes[layer]) for layer in net.feature_layers]
        inputs += [cut(scene.constant.noises[layer], sizes[layer]) for layer in net.noise_layers]
        inputs += scene.constant.moments
        height = scene.base.shape[0]
        if scene.image is not None:
            inputs.append(cut(scene.image, height))
        window = (_scaled(rows, height), _scaled(columns, height))
        last = net.blend_sizes[-1]
        repeat = height // last
        inside = (blends[last] > 0).repeat(repeat, axis=0).repeat(repeat, axis=1)
        return _Stage(inputs, window, inside[window][..., None])


def _window(blends: dict[int, Array]) -> tuple[slice, slice]:
    """The smallest window, in cells of WINDOW_FROM px, around every blend mask and its halo.

    At the window's edge layers see zeros instead of the neighbours. The halo is two cells. Features
    need 1 px at 64 px and, between two blends, up to 3 px where a StyleGAN upsamples and convolves
    twice; a cell has 2 px there. An image that is summed up over resolutions is blended only at the
    end and wrong for up to 2 - 2^(1-k) cells after k upsamplings.
    """
    if max(blends) < WINDOW_FROM:
        return slice(0, WINDOW_FROM), slice(0, WINDOW_FROM)
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


def _scaled(cells: slice, size: int) -> slice:
    """A span of cells of WINDOW_FROM px on a canvas of side `size`."""
    return slice(cells.start * size // WINDOW_FROM, cells.stop * size // WINDOW_FROM)


@dataclass(frozen=True)
class _Constant:
    """What a layer adds or divides by, the same in every edit of a face.

    noises: layer -> [1, 1, size, size]. moments: [1, C, 1, 1], two for each of the pass's
    `moment_layers`.
    """

    noises: dict[int, Array]
    moments: list[Array]


def _constant_inputs(net: RegionalPass, seen: Recording) -> _Constant:
    return _Constant(
        noises={layer: seen.noises[layer].cpu().numpy() for layer in net.noise_layers},
        moments=[x.cpu().numpy() for layer in net.moment_layers for x in seen.moments[layer]],
    )


def _on_device(module: nn.Module, device: torch.device) -> Callable[[list[NDArray[Any]]], Any]:
    """A module that runs where it is, in the place of a compiled one."""

    def run(inputs: list[NDArray[Any]]) -> list[Array]:
        with torch.no_grad():
            tensors = [torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in inputs]
            image: torch.Tensor = module(*tensors)
        return [image.cpu().numpy()]

    return run


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
        # What the generators decide by a shape is the same in every window.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # Tracing here and not in convert_model: that one runs the network three times to check.
        traced = torch.jit.trace(module.eval(), example, check_trace=False)  # type: ignore[no-untyped-call]
        model = ov.convert_model(traced, example_input=example, input=shapes)
    return ov.Core().compile_model(model, "CPU", options)
