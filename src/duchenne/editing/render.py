"""Latent codes -> frames, on OpenVINO; on PyTorch where the generator lives on a GPU.

An edit touches its regions only, so only they are computed again: `Renderer.open` renders the face
once and keeps the activations; `Scene.frame` then runs the generator on the smallest window that
holds the regions (from 64 px up) and puts the result into the unedited frame. Outside the regions
a frame equals the unedited one to the bit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from .. import cores
from ..errors import InputError, SpaceMismatch
from ..faces.regions import SLOTS, Regions
from ..files import pictures
from ..generators.base import Generator
from ..generators.readout import Readout
from ..programs.compiling import Compiler, Program
from ..types import WIDTH, LatentCode, Pixels
from .regional import WINDOW_FROM, LocalPass, PlainPass, Recording, RegionalPass, record

Array = NDArray[np.float32]


STAGES = 3  # sets of active regions that a face keeps compiled: up to 0.3 GB each at 1024 px
_EDITED_TO = 32  # px, the last layers that an edit changes


def editable_rows(generator: Generator) -> range:
    """The rows of W+ that expressions live in: the layers from 8 to 32 px.

    The 4 px row holds pose and head shape; rows beyond 32 px hold colour and texture (measured:
    docs/experiments). An edit leaves both alone.
    """
    rows = [i for i, size in enumerate(generator.row_sizes) if 8 <= size <= _EDITED_TO]
    return range(rows[0], rows[-1] + 1)


class Renderer:
    """A generator compiled for rendering; compile once, render many.

    generator: in evaluation mode; on the CPU it is compiled, on a GPU it runs as it is.
    threads: cores to use; None is all of them.
    """

    def __init__(self, generator: Generator, *, threads: int | None = None) -> None:
        cores.torch_threads()  # PyTorch sees no quota by itself
        self.generator = generator
        self.rows = editable_rows(generator)
        self._passes: dict[int, RegionalPass] = {}  # by the size of their pictures
        self._compiler = Compiler(generator.w_mean.device, threads or cores.usable())

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides that `Scene.frame` draws: the generator's own; for previews a half and a quarter.

        A preview reads the picture from a layer behind the last one that an edit changes.
        """
        full = self.generator.size
        return tuple(full // part for part in (1, 2, 4) if part == 1 or full // part >= _EDITED_TO)

    def require_size(self, size: int | None) -> int:
        """A size that can be drawn, None being the full one; InputError otherwise."""
        if size is None:
            return self.generator.size
        if size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise InputError(f"size {size}: this generator draws {known} px; choose one of them")
        return size

    def still(self, w: Array, size: int | None = None) -> Pixels:
        """w: float32 [L, 512] -> uint8 [H, W, 3], equal to the bit to the base of `open`."""
        side = self.require_size(size)
        with torch.no_grad():
            code = torch.from_numpy(w[None]).to(self.generator.w_mean.device)
            return shrunk(
                pictures.from_planes(self.generator.synthesize(code)[0].cpu().numpy()), side
            )

    def plain(self, w: Array, size: int | None = None) -> Pixels:
        """As `still`, within rounding, by a compiled model: for many pictures."""
        side = self.require_size(size)
        return shrunk(pictures.from_planes(np.asarray(self._plain_model(w[None])[0])), side)

    def local(self, w: Array, offsets: Array, regions: Regions) -> Pixels:
        """One picture with `offsets` [8, L, 512] in the regions, of a code that is drawn only once.

        Cheaper than `open` and `Scene.frame` for a few pictures of each of many codes; outside the
        regions it is not the unedited picture to the bit.
        """
        network, program = self._local_program
        masks = [regions.pyramid(size) for size in network.mask_sizes]
        return pictures.from_planes(program(w[None], offsets, *masks)[0])

    def open(self, w: Array, find_regions: Callable[[Pixels], Regions]) -> Scene:
        """Render a face once and keep what editing it needs.

        find_regions: gives the regions of influence of the rendered face.
        """
        # Once for each face: PyTorch, since compiling this pass too takes longer than it saves, and
        # holds 0.8 GB.
        seen = record(self.generator, torch.from_numpy(w[None]).to(self.generator.w_mean.device))
        base = pictures.from_planes(seen.image[0].cpu().numpy())
        return Scene(renderer=self, w=w, regions=find_regions(base), base=base, seen=seen)

    def require_space(self, code: LatentCode) -> Array:
        """The code's w, if it lives in this generator's space; else SpaceMismatch."""
        if code.generator != self.generator.fingerprint:
            raise SpaceMismatch(
                f"the code belongs to {code.generator}, the generator is "
                f"{self.generator.fingerprint}; encode the photo again or choose its generator"
            )
        return code.w

    @cached_property
    def _plain_model(self) -> Program:
        w = np.zeros((1, self.generator.rows, WIDTH), np.float32)
        return self._compiler.compile(PlainPass(self.generator), w)

    @cached_property
    def _local_program(self) -> tuple[LocalPass, Callable[..., Array]]:
        network = LocalPass(self.generator, self.rows)
        rows = (self.generator.rows, WIDTH)
        examples = [np.zeros((1, *rows), np.float32), np.ones((len(SLOTS), *rows), np.float32)]
        examples += [np.ones((len(SLOTS), size, size), np.float32) for size in network.mask_sizes]
        return network, self._compiler.open(network, examples)

    def _pass(self, size: int, seen: Recording) -> RegionalPass:
        """The network of one size, made by the first face that needs it."""
        if size not in self._passes:
            readout = None
            if size != self.generator.size:
                at = max(size // 2, _EDITED_TO)
                part = self.generator.size // size
                readout = Readout(self.generator, part=part, tile=size // at)
            self._passes[size] = RegionalPass(self.generator, self.rows, seen, readout)
        return self._passes[size]


@dataclass(frozen=True)
class Scene:
    """One face, rendered and ready to be edited.

    base: uint8 [H, W, 3], the unedited frame. seen: the pass that drew it.
    """

    renderer: Renderer
    w: Array
    regions: Regions
    base: Pixels
    seen: Recording
    _stages: OrderedDict[tuple[int, tuple[bool, ...]], _Stage] = field(default_factory=OrderedDict)
    _bases: dict[int, Pixels] = field(default_factory=dict)

    def frame(
        self, offsets: Array, *, size: int | None = None, active: NDArray[np.bool_] | None = None
    ) -> Pixels:
        """The face with `offsets` added inside the regions: uint8 [size, size, 3].

        offsets: float32 [8, L, 512], one for each of `regions.SLOTS`; zeros outside the editable
            rows. All zeros give the unedited frame itself.
        size: one of `Renderer.sizes`; None is the full one. A smaller one is a preview: the tile
            means of the unedited frame are exact, and what a read-out of the generator's middle
            layers (`generators.readout`) says of the edit is added to them.
        active: [8], the regions that are drawn, at least those with offsets; None is just those.
            What is compiled for a set of regions is kept for a few sets, so the frames of one
            film should all name the same.
        """
        size = self.renderer.require_size(size)
        base = self._base(size)
        visible = self.regions.masks.any(axis=(1, 2))  # a region may lie outside the picture
        used: NDArray[np.bool_] = np.asarray(offsets.any(axis=(1, 2)) & visible)
        if not used.any():
            return base.copy()
        drawn = used if active is None else np.asarray((active & visible) | used)
        stage = self._stage(size, drawn)
        window = pictures.from_planes(stage.program(offsets)[0])
        frame = base.copy()
        np.copyto(frame[stage.window], window, where=stage.inside)
        return frame

    def forget(self) -> None:
        """Drop what was compiled; the next frame compiles anew."""
        self._stages.clear()

    def _base(self, size: int) -> Pixels:
        if size not in self._bases:
            self._bases[size] = shrunk(self.base, size)
        return self._bases[size]

    def _stage(self, size: int, active: NDArray[np.bool_]) -> _Stage:
        key = (size, tuple(active.tolist()))
        if key not in self._stages:
            self._stages[key] = _Stage.build(self, size, active)
        self._stages.move_to_end(key)
        while len(self._stages) > STAGES:
            self._stages.popitem(last=False)
        return self._stages[key]


@dataclass(frozen=True)
class _Stage:
    """What a set of active regions needs, cut to its window and compiled once.

    program: offsets -> image [1, 3, h, w] of the window.
    """

    program: Program
    window: tuple[slice, slice]
    inside: NDArray[np.bool_]

    @staticmethod
    def build(scene: Scene, size: int, active: NDArray[np.bool_]) -> _Stage:
        seen, regions = scene.seen, scene.regions
        net = scene.renderer._pass(size, seen)
        sizes = net.generator.layer_sizes
        blends = {side: regions.blend(active, side) for side in net.blend_sizes}
        rows, columns = _window(blends)

        def cut(array: Array | torch.Tensor, side: int) -> Array:
            """The window of an array whose last two axes have `side` px."""
            array = array.cpu().numpy() if isinstance(array, torch.Tensor) else array
            if side >= WINDOW_FROM:
                array = array[..., _scaled(rows, side), _scaled(columns, side)]
            return np.ascontiguousarray(array)

        known: list[NDArray[Any]] = [scene.w[None]]
        if net.cuts:
            known += [np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)]
        known += [cut(regions.pyramid(side), side) for side in net.mask_sizes]
        known += [cut(blends[side][None, None], side) for side in net.blend_sizes]
        known += [cut(seen.features[layer], sizes[layer]) for layer in net.feature_layers]
        known += [cut(seen.noises[layer], sizes[layer]) for layer in net.noise_layers]
        known += [x.cpu().numpy() for layer in net.moment_layers for x in seen.moments[layer]]
        if net.blends_image:
            known.append(cut(seen.image, size))
        if net.readout is not None:
            small = pictures.to_planes(scene.base).reshape(
                3, size, -1, size, len(scene.base) // size
            )
            known.append(cut(small.mean(axis=(2, 4))[None], size))
        example = np.ones((len(active), net.generator.rows, scene.w.shape[1]), np.float32)
        program = scene.renderer._compiler.compile(net, example, known, net.input_sizes)
        last = net.blend_sizes[-1]
        repeat = size // last
        inside = (blends[last] > 0).repeat(repeat, axis=0).repeat(repeat, axis=1)
        window = (_scaled(rows, size), _scaled(columns, size)) if net.cuts else (slice(None),) * 2
        return _Stage(program, window, inside[window][..., None])


def shrunk(picture: Pixels, size: int) -> Pixels:
    """Tile means of a square picture: uint8 [S, S, 3] -> [size, size, 3]; the same one if equal."""
    side = len(picture)
    if side == size:
        return picture
    tiles = pictures.to_planes(picture).reshape(3, size, side // size, size, side // size)
    return pictures.from_planes(tiles.mean(axis=(2, 4)))


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
