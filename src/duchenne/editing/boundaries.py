"""The Action Unit boundaries B (section 3.3) as a file: normals, lengths, and where they came from.

`duchenne fit boundaries` writes it; the package carries one for its built-in generator.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import facs
from ..errors import DescriptorError, InputError, SpaceMismatch, quoted
from ..faces.regions import SLOTS
from ..files import arrays, codes
from ..files.arrays import Expected
from ..reading import numbers
from ..types import WIDTH

if TYPE_CHECKING:
    from ..generators.spec import Spec

logger = logging.getLogger(__name__)

Array = NDArray[np.float32]

FORMAT = "duchenne-boundaries-1"
BUILT_IN = "boundaries.safetensors"
FIRST = "first_boundaries.safetensors"
NAMED = MappingProxyType({"first": FIRST})
"""Files of the package that --boundaries knows by a name: those that shipped before."""
# The rows of StyleGAN2 at 1024 px. StyleGAN-FFHQ has 18 rows too, but another W.
DISTILLED_FROM = (4, *(8 << k for k in range(8) for _ in range(2)), 1024)
TRANSFERRED = "transferred, not verified"


@dataclass(frozen=True)
class Stretch:
    """How much farther an edit has to go on a face that is far from the average one.

    The farther a code lies from the centre of W, the less its picture answers to the same offset:
    about as radius^-0.7 on generated faces, and codes of photos lie far out (docs/architecture.md).

    centre: float32 [512], the mean of W. radius: root mean square distance from it of the rows of a
    typical face. power: 0 makes every edit equally long.
    """

    centre: Array
    radius: float
    power: float = 0.7

    def of(self, rows: Array) -> float:
        """Factor of the latent distances for a code, [R, 512], the rows that are edited."""
        apart = np.sqrt(np.square(rows - self.centre).sum(axis=1).mean())
        return float(np.clip(apart / self.radius, *_RATIOS) ** self.power)


_RATIOS = (0.5, 2.0)  # of radii; nothing was measured beyond


@dataclass(frozen=True)
class Boundaries:
    """One boundary for each of the U Action Units, in the order of `facs.CODES`.

    normals: float32 [U, L, 512], unit length over all rows; zero rows are not edited. All zero
        where the fit had no examples of an AU (`missing`).
    biases: float32 [U]; the hyperplane of AU i is <normals[i], w> + biases[i] = 0.
    lengths: float32 [U, K], the latent distances that stand for the intensities 1/K, 2/K, ... 1;
        found by measurement, so that equal steps of intensity look equal. Linear in between.
    generator: fingerprint of the generator whose W+ this is.
    regional: each AU acts inside its region of influence only; False is the paper's literal recipe,
        which changes the whole code.
    provenance: sampling, scorer, seed, accuracy: JSON-ready.
    stretch: how distances depend on the face; None: they do not.
    photo_gain: float32 [U], how many times as far as the picture of its look-alike a photo moves
        (`moving`), found by measurement of finished pictures (`fit.photos`); None: just as far.
    scale: name of the score scale that the lengths were made for (`measuring.score.named`).
    """

    normals: Array
    biases: Array
    lengths: Array
    generator: str
    regional: bool = True
    provenance: Mapping[str, Any] = field(default_factory=dict)
    stretch: Stretch | None = None
    photo_gain: Array | None = None
    scale: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The Action Units without a boundary."""
        return tuple(
            c for c, normal in zip(facs.CODES, self.normals, strict=True) if not normal.any()
        )

    def distances(self, intensities: NDArray[np.floating[Any]], w: Array | None = None) -> Array:
        """[U, ...] intensities -> latent distances, E of Eq. 3; in a straight line beyond 1.

        w: [L, 512], the code that is edited; None stands for a typical face. A negative intensity
        is the same distance the other way. Raises DescriptorError for an AU that these boundaries
        do not have.
        """
        for code in self.missing:
            if intensities[facs.INDEX[code]].any():
                raise DescriptorError(
                    f"{code}: these boundaries have none; they were fitted without examples of it, "
                    "or before it was known: duchenne fit boundaries --boundaries THESE --units "
                    f"{code} -o MORE.safetensors adds it"
                )
        knots = np.linspace(0, 1, self.lengths.shape[1] + 1)
        result = np.zeros(intensities.shape, np.float32)
        for i, lengths in enumerate(self.lengths):
            size = np.abs(intensities[i])
            values = np.interp(size, knots, np.concatenate([[0], lengths]))  # the last one beyond 1
            result[i] = np.sign(intensities[i]) * values * np.maximum(size, 1)
        if self.stretch is None or w is None:
            return result
        edited = self.normals.any(axis=(0, 2))
        return result * np.float32(self.stretch.of(w[edited]))

    def gains(self, intensities: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """[U, 8] intensities in each of `regions.SLOTS` -> [8], the mean gain of what acts there.

        1 where nothing acts. See `photo_gain`.
        """
        size = np.abs(intensities)
        total = size.sum(axis=0)
        if self.photo_gain is None:
            return np.ones_like(total)
        mean = (self.photo_gain @ size) / np.where(total > 0, total, 1)
        return np.asarray(np.where(total > 0, mean, 1.0))

    def require_space(self, generator: str) -> None:
        """Raise SpaceMismatch unless these boundaries belong to that generator."""
        if self.generator != generator:
            raise SpaceMismatch(
                f"the boundaries belong to {self.generator}, the code to {generator}; fit some for "
                "that generator (`duchenne fit boundaries --generator FILE -o X.safetensors`) and "
                "give them with --boundaries"
            )


def without_moved(tables: NDArray[np.float64]) -> NDArray[np.float64]:
    """[k, U, ...] intensities with those of `facs.MOVED` at 0."""
    rest = tables.copy()
    rest[:, [facs.INDEX[code] for code in facs.MOVED]] = 0
    return rest


def slot_intensities(descriptor: Mapping[str, float]) -> NDArray[np.float64]:
    """Descriptor -> [U, 8]: each AU's intensity in each mask of `regions.SLOTS`.

    "AU12" acts on both sides; a trailing L or R ("AU12L") on the subject's left or right only.
    """
    return in_slots(np.array(facs.to_sides(descriptor)))


def in_slots(sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """[..., U, 2], intensities on each of `facs.SIDES` -> [..., U, 8], in each of the masks."""
    table = np.zeros((*sides.shape[:-1], len(SLOTS)))
    for i, unit in enumerate(facs.ACTION_UNITS):
        for s, side in enumerate(facs.SIDES):
            table[..., i, SLOTS.index(unit.area + side)] = sides[..., i, s]
    return table


def save_boundaries(boundaries: Boundaries, path: Path) -> None:
    """Write safetensors, with the provenance in its header and beside it as JSON. Atomic."""
    tensors: dict[str, NDArray[Any]] = {
        "normals": boundaries.normals.astype(np.float16),  # 3 digits; halves the file
        "biases": boundaries.biases.astype(np.float32),
        "lengths": boundaries.lengths.astype(np.float32),
    }
    if boundaries.stretch:
        tensors["centre"] = boundaries.stretch.centre.astype(np.float32)
        radius_and_power = (boundaries.stretch.radius, boundaries.stretch.power)
        tensors["stretch"] = np.array(radius_and_power, np.float32)
    if boundaries.photo_gain is not None:
        tensors["photo_gain"] = boundaries.photo_gain.astype(np.float32)
    metadata = {
        "format": FORMAT,
        "generator": boundaries.generator,
        "action_units": ",".join(facs.CODES),
        "regional": boundaries.regional,
    }
    if boundaries.missing:
        metadata["missing"] = ",".join(boundaries.missing)
    if boundaries.scale:
        metadata["scale"] = boundaries.scale
    codes.write_tensors(tensors, metadata, boundaries.provenance, path)
    readable = json.dumps(dict(boundaries.provenance), sort_keys=True, indent=1) + "\n"
    codes.write_atomically(readable.encode(), path.with_suffix(".json"))


def load_boundaries(path: Path) -> Boundaries:
    """Read and check a boundary file; InputError names what is wrong with it.

    A file made before an Action Unit was known has no boundary of it (`Boundaries.missing`).
    """
    expected = "boundaries from `duchenne fit boundaries`"
    command = f"fit boundaries -o {path.name}"
    tensors, metadata = codes.read_tensors(path, FORMAT, expected, command=command)
    units = str(metadata.get("action_units", "")).split(",")
    if len(set(units)) < len(units) or not set(units) <= set(facs.CODES):
        raise InputError(
            f"{path}: expected some of the Action Units {', '.join(facs.CODES)}, each once; found "
            f"{', '.join(units)[:200]}"
        )
    count = len(units)
    arrays.check(tensors, _arrays_of(count), path, expected)
    if ("centre" in tensors) != ("stretch" in tensors):
        raise InputError(f"{path}: expected {expected}, but has only one of `centre`, `stretch`")
    regional = metadata.get("regional", True)
    if regional in ("true", "false"):  # as the first version wrote it
        regional = regional == "true"
    if not isinstance(regional, bool):
        raise InputError(f"{path}: expected {expected}, but `regional` is not true or false")
    if (scale := metadata.get("scale", "")) not in ("", *NAMED):
        raise InputError(f"{path}: expected {expected}, but its scale {quoted(scale)} is not known")
    normals = tensors["normals"].astype(np.float32)
    norms = np.linalg.norm(normals.reshape(count, -1), axis=1)
    missing = np.isin(units, str(metadata.get("missing", "")).split(","))
    if missing.all() or norms[missing].any() or not np.all(np.abs(norms[~missing] - 1) < 0.01):
        raise InputError(f"{path}: the normals do not have unit length; the file is damaged")
    if not tensors["lengths"][~missing].all():
        raise InputError(f"{path}: expected {expected}, but some of its `lengths` are 0")
    norms[missing] = 1
    gain = tensors.get("photo_gain")
    return Boundaries(
        normals=_in_order(units, normals / norms[:, None, None]),  # undo the rounding of float16
        biases=_in_order(units, tensors["biases"]),
        lengths=_in_order(units, tensors["lengths"]),
        generator=metadata.get("generator", "unknown"),
        regional=regional,
        provenance=metadata["provenance"],
        stretch=_stretch(tensors, path),
        photo_gain=None if gain is None else _in_order(units, gain, 1.0),
        scale=scale,
    )


def _arrays_of(count: int) -> dict[str, Expected]:
    """The arrays of a file with so many Action Units.

    The ranges are wide: the built-in lengths go from 1.3 to 12.7, its radius is 6.5, its power 0.7,
    its gains go from 1 to 2; another generator's W may be larger.
    """
    most = codes.MOST_LATENT
    return {
        "normals": Expected((count, "L", WIDTH), -1.01, 1.01, longest=codes.MOST_ROWS),
        "biases": Expected((count,), -1000, 1000),
        "lengths": Expected((count, "K"), 0, 5 * most, longest=100),
        "centre": Expected((WIDTH,), -most, most, needed=False),
        "stretch": Expected((2,), 0, most, needed=False),
        "photo_gain": Expected((count,), 0.1, 10, needed=False),
    }


def _in_order(units: list[str], values: Array, otherwise: float = 0.0) -> Array:
    """A file's values in the order of `facs.CODES`; `otherwise` for the units that it lacks."""
    result = np.full((len(facs.CODES), *values.shape[1:]), otherwise, np.float32)
    result[[facs.INDEX[code] for code in units]] = values
    return result


def _stretch(tensors: Mapping[str, NDArray[Any]], path: Path) -> Stretch | None:
    if "stretch" not in tensors:
        return None
    radius, power = tensors["stretch"].tolist()
    if not 0.1 <= radius <= codes.MOST_LATENT:
        raise InputError(
            f"{path}: the radius of a typical face is {radius:g}; it lies between 0.1 and "
            f"{codes.MOST_LATENT:g}"
        )
    numbers.number(f"{path}: the power of the stretch", power, 0, 2)
    return Stretch(tensors["centre"].astype(np.float32), radius, power)


@cache
def built_in(file: str = BUILT_IN) -> Boundaries:
    """The boundaries that come with the package, for the built-in generator.

    file: BUILT_IN, or another one of the package.
    """
    with resources.as_file(resources.files("duchenne") / "data" / file) as path:
        return load_boundaries(path)


def path_of(name: str) -> str:
    """The file that a name of NAMED stands for; another text as it is."""
    return str(resources.files("duchenne") / "data" / NAMED[name]) if name in NAMED else name


def offered(generator: Spec) -> Boundaries:
    """The boundaries that a generator gets unless others are given.

    The built-in ones for the built-in generator; for a StyleGAN2 of 1024 px the same, transferred,
    with a warning. Raises SpaceMismatch for every other generator.
    """
    ours = built_in()
    if generator.fingerprint != ours.generator and generator.row_sizes == DISTILLED_FROM:
        from ..generators import built_in as ours_is

        logger.warning(
            "%s: boundaries are %s: they were fitted on the built-in generator, which shares its "
            "latent space with StyleGAN2-FFHQ-1024 and no other network",
            generator.fingerprint,
            TRANSFERRED,
        )
        return transferred(ours, ours_is.ROW_SIZES, generator)
    ours.require_space(generator.fingerprint)
    return ours


def transferred(source: Boundaries, row_sizes: tuple[int, ...], target: Spec) -> Boundaries:
    """Boundaries of a generator with the same W, its rows mapped by resolution.

    row_sizes: of the source's generator. Each row of the target gets the normal of the source's row
    of the same resolution and rank, zero where there is none; then unit length again.
    """
    normals = np.zeros((len(source.normals), target.rows, source.normals.shape[2]), np.float32)
    places = _ranked(row_sizes)
    for row, place in enumerate(_ranked(target.row_sizes)):
        if place in places:
            normals[:, row] = source.normals[:, places.index(place)]
    norms = np.linalg.norm(normals.reshape(len(normals), -1), axis=1)
    normals /= np.where(norms == 0, 1, norms)[:, None, None]
    provenance = {**source.provenance, "from": source.generator, "status": TRANSFERRED}
    return replace(source, normals=normals, generator=target.fingerprint, provenance=provenance)


def _ranked(sizes: tuple[int, ...]) -> list[tuple[int, int]]:
    """(size, how many rows of that size came before), for each row."""
    return [(size, sizes[:row].count(size)) for row, size in enumerate(sizes)]
