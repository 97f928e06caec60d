"""The pipeline, Eq. 6: A = g(h_D(f_B(g^-1(I_x)))). The stages are elsewhere; this composes them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from . import cores, facs
from .editing import boundaries, face, mouths
from .editing.boundaries import Boundaries, in_slots, slot_intensities
from .editing.moved_face import MovedFace
from .editing.render import Renderer, Scene
from .encoding.cache import EncodeCache, Inverts, Progress
from .encoding.encoder_file import offered_version
from .encoding.look_alike import LookAlike
from .encoding.settings import LOOK_ALIKE, EncodeSettings
from .errors import InputError, WeightsError
from .faces import align, regions
from .files import codes, pictures
from .files.clip import Clip
from .files.pictures import SourceType
from .generators import people
from .generators.built_in import BuiltIn
from .generators.spec import Spec
from .motion.timeline import Timeline
from .moving import covering
from .moving.covering import Covering
from .moving.moved import at_side, mesh_of
from .types import WIDTH, AlignedFace, LatentCode, Photo, Pixels

if TYPE_CHECKING:  # PyTorch, which many a face does without
    from .encoding.encoder import Encoder
    from .generators.base import Generator
    from .measuring.score import Scorer
    from .measuring.target import Reached

logger = logging.getLogger(__name__)

PhotoOrCode = str | Path | Pixels | Image.Image | Photo
"""Whose face: the file of a photo or of a saved code, uint8 [H, W, 3], or a picture in memory."""


class Studio:
    """One generator with its boundaries, ready to take faces. Everything loads on first use.

    generator: None is the built-in MobileStyleGAN-FFHQ. boundaries: None is the built-in file (see
        `boundaries.offered` for other generators).
    settings: how photos are encoded. None takes v(I) alone, a similar face whose change the photo
        is given; or the full encoding, for a generator without v(I). threads: cores, None is all.
    encoder: v(I), from which the encoding starts (`load_encoder`); None is the package's, where it
        has one for the generator.
    """

    def __init__(
        self,
        *,
        generator: Generator | None = None,
        boundaries: Boundaries | None = None,
        settings: EncodeSettings | None = None,
        cache: EncodeCache | None = None,
        threads: int | None = None,
        encoder: Encoder | None = None,
    ) -> None:
        self._generator, self._boundaries, self._encoder = generator, boundaries, encoder
        self._settings, self._threads = settings, threads
        self.cache = cache or EncodeCache()

    @cached_property
    def spec(self) -> Spec:
        """Which generator it is and its shape; the built-in one loads no network for that."""
        return self._built_in if self._generator is None else self.generator

    @cached_property
    def _built_in(self) -> BuiltIn:
        return BuiltIn()

    @cached_property
    def generator(self) -> Generator:
        """The network itself; needs PyTorch."""
        generator = self._generator
        if generator is None:
            from .generators import mobile

            generator = mobile.load(self._built_in.weights)
        if generator.w_mean.shape != (WIDTH,):
            width = generator.w_mean.shape[-1]
            raise WeightsError(
                f"{generator.fingerprint}: its W has {width} dimensions, expected {WIDTH}; this "
                "network can be converted and run, not animated"
            )
        return generator

    @property
    def settings(self) -> EncodeSettings:
        """How photos are encoded."""
        if self._settings is not None:
            return self._settings
        built_in = self._generator is None  # whose encoder the package has
        has_encoder = built_in or self._encoder or offered_version(self.generator)
        return LOOK_ALIKE if has_encoder else EncodeSettings()

    @cached_property
    def boundaries(self) -> Boundaries:
        chosen = self._boundaries or boundaries.offered(self.spec)
        chosen.require_space(self.spec.fingerprint)
        return chosen

    @property
    def units(self) -> tuple[str, ...]:
        """The Action Units that can be drawn; no generator is loaded for it."""
        missing = set((self._boundaries or boundaries.built_in()).missing) - set(facs.MOVED)
        return tuple(code for code in facs.CODES if code not in missing)

    @cached_property
    def renderer(self) -> Renderer:
        generator = self._built_in if self._generator is None else self.generator
        return Renderer(generator, threads=self._threads)

    @cached_property
    def inversion(self) -> Inverts:
        if self._generator is None and self._encoder is None and self.settings == LOOK_ALIKE:
            return LookAlike(self._built_in, self._threads)
        from .encoding.inversion import Inversion

        return Inversion(self.generator, self.settings, self._encoder)

    @cached_property
    def scorer(self) -> Scorer:
        """Measures Action Units; needs the weights file `face-landmarker-task`."""
        from .measuring import score

        return score.Scorer(score.built_in_scale(self._scale))

    @property
    def _scale(self) -> str:
        return self._boundaries.scale if self._boundaries else ""

    def replace(
        self, *, boundaries: Boundaries | None = None, settings: EncodeSettings | None = None
    ) -> Studio:
        """A studio with other boundaries or settings; it shares all else, loaded once."""
        _ = self.spec, self.renderer
        other = copy(self)
        if boundaries is not None:
            other._boundaries = boundaries
            stale = ("boundaries",) if boundaries.scale == self._scale else ("boundaries", "scorer")
            for name in stale:
                other.__dict__.pop(name, None)
        if settings is not None:
            other._settings = settings
            other.__dict__.pop("inversion", None)
        return other

    def face(
        self,
        source: PhotoOrCode,
        *,
        index: int | None = None,
        keep: covering.Mask | None = None,
        stages: Callable[[str], AbstractContextManager[object]] = nullcontext,
        found: Callable[[AlignedFace], object] | None = None,
        progress: Progress | None = None,
    ) -> Subject:
        """A face from a photo (encoded now, or found in the cache) or from a saved code.

        index: which face of the photo, the largest being 0.
        keep: where the photo stays as it is, see `moving.covering.read_mask`.
        stages: entered with "load", "align" and "encode" while that is done. found: called with
            the aligned face before it is encoded.

        Raises InputError, or NoFaceFound, for what cannot be used.
        """
        with stages("load"):
            if isinstance(source, str | Path) and Path(source).suffix == codes.SUFFIX:
                return Subject(self, codes.read_code(Path(source)))
            photo = pictures.as_photo(source)
            kept = None if keep is None else covering.read_mask(keep, photo)
        with stages("align"):
            if quick := self.settings == LOOK_ALIKE:
                self.renderer.passes.begin()  # it is drawn soon
            aligned = align.align(photo, size=self.spec.size, face=index)
        if found:
            found(aligned)
        search = cores.soon(lambda: covering.find(aligned)) if quick else None
        with stages("encode"):
            code = self.cache.get(aligned.pixels, self.inversion)
            if code is not None:
                return Subject(self, code, photo, aligned, kept, search=search)
            code = self.inversion.encode(aligned.pixels, progress=progress)
            subject = Subject(self, code, photo, aligned, kept, search=search)
            if quick:
                subject = subject.alike()
            self.cache.put(aligned.pixels, self.inversion, subject.code)
        return subject

    def sample(self, seed: int, *, truncation: float = 0.7) -> Subject:
        """A synthetic person: the same seed gives the same face."""
        given = None if self._generator is None else self.generator
        w = people.sample(given or self._built_in, seed, truncation)
        rows = np.repeat(w[None], self.spec.rows, axis=0)
        provenance = {"made_by": "sample", "seed": seed, "truncation": truncation}
        return Subject(self, LatentCode(rows, self.spec.fingerprint, provenance))


@dataclass(frozen=True)
class Subject:
    """A face in latent space, with the photo it came from, if any.

    A face from a photo is drawn with the photo's own pixels, moved as the generator's picture of
    the code moves (`moving`). generated: show that picture itself instead, the paper's Eq. 4; its
    code should then come from a full encoding (`settings=preset("balanced")`).
    keep: bool [H, W], where the photo's own pixels stay, to the bit. search: for what covers the
    face, if it has begun.

    Pictures are uint8 [H, W, 3]; back in a photo that has transparency [H, W, 4], straight RGBA,
    which `save_image` and `write_frames` keep where the format can.
    """

    studio: Studio
    code: LatentCode
    photo: Photo | None = None
    aligned: AlignedFace | None = None
    keep: NDArray[np.bool_] | None = None
    generated: bool = False
    search: Future[Covering] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def renderer(self) -> Renderer:
        """The studio's, or one of this face's own where its code carries a tuning."""
        if self.code.tuning is None:
            return self.studio.renderer
        from .encoding import tuning

        bent = tuning.tuned(self.studio.generator, self.code.tuning)
        return Renderer(bent, threads=self.studio._threads)

    @cached_property
    def drawn(self) -> face.DrawnFace:
        """The generator's pictures of it."""
        at_once = face.at_once(self.renderer.threads, moves=self.moves)
        return face.DrawnFace(self.renderer, self.code, self.aligned, at_once, few=self.moves)

    @property
    def scene(self) -> Scene:
        """The face rendered as it is, with its regions of influence."""
        return self.drawn.scene

    def source(self, *, paste: bool = False) -> SourceType:
        """What pictures of this face are: the generator's, or a photo that was edited."""
        return SourceType.EDITED if paste or self.moves else SourceType.GENERATED

    @property
    def moves(self) -> bool:
        """Whether a photo's own pixels are shown."""
        return self.photo is not None and not self.generated

    @cached_property
    def moved(self) -> MovedFace:
        """The photo, its own pixels moved."""
        assert self.photo
        assert self.aligned
        limits = self.studio.boundaries
        name = self.photo.name
        return MovedFace(self.drawn, limits, self.aligned, self.keep, name, self.search)

    @property
    def face_regions(self) -> regions.Regions:
        """The regions of influence on the face that is shown."""
        return self.moved.regions if self.moves else self.scene.regions

    @property
    def covering(self) -> Covering:
        """What covers the photo's face, and stays as it is."""
        return self.moved.covering

    def alike(self) -> Subject:
        """The same with its look-alike's lips as far apart as the photo's; see `editing.mouths`.

        Codes are kept for all boundaries, so it is always the built-in ones that do it.
        """
        limits = boundaries.built_in()
        if self.aligned is None or limits.generator != self.code.generator:
            return self
        drawn = face.find_mesh(at_side(self.scene.base))
        if drawn is None:
            return self
        code = mouths.matched(self.code, limits, mesh_of(self.aligned), drawn[:, :2].astype(float))
        return self if code is self.code else replace(self, code=code)

    def edit(
        self, descriptor: Mapping[str, float], *, paste: bool = False, size: int | None = None
    ) -> Pixels:
        """The face with the descriptor's Action Units added (Eq. 4): uint8 [H, W, 3] (or 4).

        size: side of the crop in px, one of `studio.renderer.sizes` (small ones are quick previews,
            see `Scene.frame`); with paste the longer side at most, 64 px and more: the photo is
            scaled down, then moved. None is the full size. InputError for others.
        """
        table = slot_intensities(facs.offsets(descriptor))
        return next(self.frames(table[None], paste=paste, size=size))

    def measure(self, frame: Pixels) -> NDArray[np.float64]:
        """[U] measured intensities of an edited crop, score / 5, not limited to [0, 1]."""
        from .measuring import likeness

        return likeness.of_whole(self.studio.scorer, frame)

    def measure_sides(self, frame: Pixels) -> NDArray[np.float64]:
        """[U, 3], the same of the whole face, its left side and its right (`target.COLUMNS`)."""
        from .measuring import likeness

        return likeness.of_crop(self.studio.scorer, frame)

    def reach(self, targets: Mapping[str, float]) -> Reached:
        """Offsets for `edit` with which this face measures the targets; see `measuring.target`."""
        from .measuring import target

        return target.reach(targets, lambda offsets: self.measure_sides(self.edit(offsets)))

    def ending(self, expression: Mapping[str, float]) -> facs.Descriptor:
        """Offsets for `edit` with which this face ends at an expression; see `measuring.ending`."""
        from .measuring import ending

        def respond(offsets: Mapping[str, float]) -> NDArray[np.float64]:
            return self.measure_sides(self.edit(offsets))

        asked = facs.check(expression)
        if self.moves:
            self.moved.begin()  # while the photo is measured as it is
        return ending.ending(asked, respond, self.studio.units, photo=self.moves)

    def animate(self, timeline: Timeline, *, paste: bool = False, size: int | None = None) -> Clip:
        """The frames of a timeline (Eq. 5 and 6), one at a time.

        paste: put every frame back into the photo instead of giving the aligned crop. size: in px;
            see `edit`.
        """
        return self.frames(in_slots(timeline.sides), paste=paste, size=size)

    def frames(self, tables: NDArray[np.float64], *, paste: bool, size: int | None = None) -> Clip:
        """tables: [k, 12, 8], each frame's intensity of each AU in each of `regions.SLOTS`."""
        self.require_size(size, paste=paste)
        if self.moves:
            within = self.within(size if paste else None)
            drawn = self.moved.frames(tables, within, paste=paste, size=size)
        elif paste:
            drawn = self.drawn.pasted(tables, self.studio.boundaries, *self.within(size))
        else:
            drawn = self.drawn.pictures(tables, self.studio.boundaries, size=size)
        return Clip(drawn, self.source(paste=paste))

    def require_size(self, size: int | None, *, paste: bool) -> None:
        """InputError for a size that `frames` cannot give."""
        if not paste:
            self.renderer.require_size(size)
        elif size is not None and size < pictures.MIN_SIDE:
            raise InputError(f"size {size}: at least {pictures.MIN_SIDE} px")

    @cached_property
    def within(self) -> Callable[[int | None], tuple[Photo, AlignedFace]]:
        """See `align.within`; the last one is kept."""
        if self.photo is None or self.aligned is None:
            raise ValueError("only a face that came from a photo can be put back into one")
        return functools.lru_cache(1)(functools.partial(align.within, self.photo, self.aligned))
