"""Latent codes -> frames, on OpenVINO; on PyTorch where the generator lives on a GPU.

An edit touches its regions only, so only they are computed again: `Renderer.open` renders the face
once and keeps the activations; `Scene.frame` then runs the generator on the smallest window that
holds the regions (from 64 px up) and puts the result into the unedited frame. Outside the regions
a frame equals the unedited one to the bit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import cores
from ..errors import InputError, SpaceMismatch
from ..faces.regions import Regions
from ..files import pictures
from ..generators.built_in import BuiltIn
from ..generators.spec import Spec
from ..programs.compiling import Array, Program
from ..types import WIDTH, LatentCode, Pixels
from .layout import EDITED_TO, WINDOW_FROM, Layout, Recording, editable_rows, mask_sizes
from .passes import Passes, ShippedPasses

if TYPE_CHECKING:
    from ..generators.base import Generator

STAGES = 3  # sets of active regions that a face keeps compiled: up to 0.3 GB each at 1024 px


class Renderer:
    """A generator compiled for rendering; compile once, render many.

    generator: in evaluation mode; on the CPU it is compiled, on a GPU it runs as it is. The
        built-in one comes compiled as far as that goes, and is no network until one is needed.
    threads: cores to use; None is all of them.
    """

    def __init__(self, generator: Generator | BuiltIn, *, threads: int | None = None) -> None:
        self.spec: Spec = generator
        self._given = generator
        self.rows = editable_rows(generator)
        self.threads = threads or cores.usable()
        self.passes: Passes
        if isinstance(generator, BuiltIn):
            self.passes = ShippedPasses(generator, self.threads)
        else:
            from .traced import TracedPasses

            self.passes = TracedPasses(generator, self.threads)

    @cached_property
    def generator(self) -> Generator:
        """The network itself; needs PyTorch."""
        if not isinstance(self._given, BuiltIn):
            return self._given
        from ..generators import mobile

        return mobile.load(self._given.weights)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sides that `Scene.frame` draws: the generator's own; for previews a half and a quarter.

        A preview reads the picture from a layer behind the last one that an edit changes.
        """
        full = self.spec.size
        return tuple(full // part for part in (1, 2, 4) if part == 1 or full // part >= EDITED_TO)

    def require_size(self, size: int | None) -> int:
        """A size that can be drawn, None being the full one; InputError otherwise."""
        if size is None:
            return self.spec.size
        if size not in self.sizes:
            known = ", ".join(map(str, self.sizes))
            raise InputError(f"size {size}: this generator draws {known} px; choose one of them")
        return size

    def still(self, w: Array, size: int | None = None) -> Pixels:
        """w: float32 [L, 512] -> uint8 [H, W, 3], equal to the bit to the base of `open`."""
        side = self.require_size(size)
        return shrunk(pictures.from_planes(self.passes.drawn(w)[0]), side)

    def plain(self, w: Array, size: int | None = None) -> Pixels:
        """As `still`, within rounding, by a compiled model: for many pictures."""
        side = self.require_size(size)
        return shrunk(pictures.from_planes(self.passes.plain(w)[0]), side)

    def local(self, w: Array, offsets: Array, regions: Regions) -> Pixels:
        """One picture with `offsets` [8, L, 512] in the regions, of a code that is drawn only once.

        Cheaper than `open` and `Scene.frame` for a few pictures of each of many codes; outside the
        regions it is not the unedited picture to the bit.
        """
        masks = [regions.pyramid(size) for size in mask_sizes(self.spec, self.rows)]
        return pictures.from_planes(self.passes.local(w, offsets, masks)[0])

    def open(
        self,
        w: Array,
        find_regions: Callable[[Pixels], Regions],
        *,
        at_once: int = 1,
        few: bool = False,
    ) -> Scene:
        """Render a face once and keep what editing it needs.

        find_regions: gives the regions of influence of the rendered face. at_once: how many of its
        frames are drawn side by side; each takes up to 0.2 GB at 1024 px. few: whether only a few
        are drawn, so that the first one is to come soon (`compiling.compiled_with`).
        """
        seen = self.passes.record(w)
        base = pictures.from_planes(seen.image[0])
        return Scene(
            renderer=self,
            w=w,
            regions=find_regions(base),
            base=base,
            seen=seen,
            at_once=at_once,
            few=few,
        )

    def require_space(self, code: LatentCode) -> Array:
        """The code's w, if it lives in this generator's space; else SpaceMismatch."""
        if code.generator != self.spec.fingerprint:
            raise SpaceMismatch(
                f"the code belongs to {code.generator}, the generator is "
                f"{self.spec.fingerprint}; encode the photo again or choose its generator"
            )
        expected = (self.spec.rows, WIDTH)
        if code.w.shape != expected:
            raise SpaceMismatch(
                f"the code has the shape {list(code.w.shape)}, this generator's have "
                f"{list(expected)}; encode the photo again"
            )
        return code.w


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
    at_once: int = 1
    few: bool = False
    _turn: threading.Lock = field(default_factory=threading.Lock)
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
        with self._turn:  # several threads may draw
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
        renderer = scene.renderer
        net = Layout.of(renderer.spec, renderer.rows, size, seen)
        sizes = net.layer_sizes
        blends = {side: regions.blend(active, side) for side in net.blend_sizes}
        rows, columns = _window(blends)

        def cut(array: Array, side: int) -> Array:
            """The window of an array whose last two axes have `side` px."""
            if side >= WINDOW_FROM:
                array = array[..., _scaled(rows, side), _scaled(columns, side)]
            return np.array(array, order="C")

        def known() -> list[NDArray[Any]]:
            given: list[NDArray[Any]] = [scene.w[None]]
            if net.cuts:
                given += [np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)]
            given += [cut(regions.pyramid(side), side) for side in net.mask_sizes]
            given += [cut(blends[side][None, None], side) for side in net.blend_sizes]
            given += [cut(seen.features[layer], sizes[layer]) for layer in net.feature_layers]
            given += [cut(seen.noises[layer], sizes[layer]) for layer in net.noise_layers]
            given += [np.array(x) for layer in net.moment_layers for x in seen.moments[layer]]
            if net.blends_image:
                given.append(cut(seen.image, size))
            if net.readout_from is not None:
                small = pictures.to_planes(scene.base).reshape(
                    3, size, -1, size, len(scene.base) // size
                )
                given.append(cut(small.mean(axis=(2, 4))[None], size))
            return given

        example = np.ones((len(active), renderer.spec.rows, scene.w.shape[1]), np.float32)
        program = renderer.passes.regional(net, example, known, scene.at_once, few=scene.few)
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
