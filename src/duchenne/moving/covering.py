"""Where a photo stays as it is: what its user keeps, and what covers the face.

Around it motion, shading and what appears fade to nothing, so that there is no seam. Masks
and some other things are found by a small network (`finder`) that was fitted on generated faces
with things drawn over them (`fit.covering`); hands by MediaPipe's networks (`faces.hands`);
glasses by the bridge over the nose (`measuring.glasses`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType

import cv2
import numpy as np
import openvino as ov
from numpy.typing import NDArray

from ..errors import InputError
from ..faces import hands
from ..faces.align import in_crop
from ..faces.detector import sigmoid
from ..faces.landmarks import (
    FACE_OVAL,
    INNER_LIPS,
    LEFT_EYE,
    LEFT_EYE_OUTER,
    RIGHT_EYE,
    RIGHT_EYE_OUTER,
)
from ..faces.warp import scale_of, shrink
from ..files import codes, pictures
from ..measuring.glasses import SURELY_GLASSES, bridge
from ..programs import compiling, kept, shipped
from ..types import AlignedFace, Photo, Pixels
from .change import SIDE, inside, ramp
from .correspondence import Array, length, pixel_centres, sample
from .moved import Fields

Mask = str | Path | NDArray[np.bool_]
"""A picture of the photo's size, white where it stays; or bool [H, W]."""

# In pixels of SIDE.
MARGIN = 1.5  # so that no pixel that stays has a neighbour in the sampling that does not
SOFT = 16.0  # over which an edit begins
# Of the length of the motion: over this distance it begins, so that no place is filled from beyond
# the edge, nothing folds (the steepest place of `ramp` has a slope of 1.5), and a brow above a rim
# is not drawn out to twice its width.
PER_MOTION = 3.5

SEEN = 256  # px of the aligned crop that the finder looks at
WINDOW = (slice(48, 240), slice(40, 216))  # of it, rows and columns: where faces are
SURE = 0.85  # of the finder, from which something covers
LEAST = 0.06  # of the square of the eyes' width: smaller spots are nothing
GROW = -4  # px of SIDE by which the face is larger than the outline of its mesh
EDGE = 2.0  # px of SIDE by which what covers is larger than what is found
# Of the distance between the eyes (63 mm): half the width and height of what a lens and its rim may
# take, how far below the eye its middle lies, the bridge, and what the eye behind it keeps.
LENS, LENS_DOWN, BRIDGE, BEHIND = (0.52, 0.31), 0.11, 0.22, 0.06
NEAR = 0.12  # of the eyes' width: what is as near to a point of PLACES as this is there
# Mesh points by which a place is known; left and right are the subject's.
PLACES: Mapping[str, tuple[int, ...]] = MappingProxyType(
    {
        "forehead": (151, 108, 337), "right brow": (105, 66), "left brow": (334, 296),
        "right eye": (159, 145, 33, 133), "left eye": (386, 374, 263, 362), "nose": (4, 195),
        "right cheek": (50, 187), "left cheek": (280, 411), "mouth": (13, 14, 61, 291),
        "chin": (199, 152),
    }
)  # fmt: skip
BUILT_IN = resources.files("duchenne") / "data/covering.safetensors"
FORMAT = "duchenne-covering-1"


@dataclass(frozen=True)
class Covering:
    """What covers a face.

    mask: bool [SIDE, SIDE], in the aligned crop. share: part of the face that is hidden, which what
    lies behind glasses is not. places: where, in words.
    """

    mask: NDArray[np.bool_]
    share: float
    places: tuple[str, ...]

    @property
    def sentence(self) -> str:
        where = ", ".join(self.places)
        return f"something covers the face ({where}); it is kept as it is, and moves less around it"


@cache
def _finder() -> ov.CompiledModel:
    """The built-in `finder.Finder` for two pictures."""
    name = "covering"
    return kept.compiled(
        name,
        f"{shipped.digest(name)} {hashlib.sha256(BUILT_IN.read_bytes()).hexdigest()}",
        lambda: shipped.load(name, arrays()),
        compiling.exact(),
    )


def arrays() -> dict[str, Array]:
    """The weights of the built-in finder, by name."""
    with resources.as_file(BUILT_IN) as path:
        tensors, _ = codes.read_tensors(path, FORMAT, "a finder of coverings")
    return {name: tensor.astype(np.float32) for name, tensor in tensors.items()}


def find(aligned: AlignedFace) -> Covering:
    """What covers an aligned face, inside the outline of its mesh, eyes and mouth apart."""
    planes = pictures.to_planes(shrink(aligned.pixels, (SEEN, SEEN)))
    both = np.stack([planes, planes[..., ::-1]])  # the face and its mirror image
    told = sigmoid(np.asarray(_finder()(both)[0]))[:, 0]
    sure = np.zeros((SEEN, SEEN), np.float32)
    sure[WINDOW] = (told[0] + told[1][..., ::-1]) / 2
    mesh = in_crop(aligned, SIDE)
    face = inside(mesh, FACE_OVAL, 1, grow=GROW) > 0.5
    for contour in (INNER_LIPS, LEFT_EYE, RIGHT_EYE):  # teeth and irises are no skin either
        face &= inside(mesh, contour, 1, grow=-GROW) < 0.5
    found = (cv2.resize(sure, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR) > SURE) & face
    eyes = float(np.linalg.norm(mesh[LEFT_EYE_OUTER] - mesh[RIGHT_EYE_OUTER]))
    _, parts, facts, _ = cv2.connectedComponentsWithStats(found.astype(np.uint8))
    large = facts[:, cv2.CC_STAT_AREA] >= LEAST * eyes**2
    large[0] = False  # the first part is what is not found
    mask = large[parts]
    for hand in _hands(aligned):
        mask |= hands.draw(hand, SIDE)
    near = [
        name
        for name, points in PLACES.items()
        if any(_near(mask, mesh[p], NEAR * eyes) for p in points)
    ]
    share = float((mask & face).sum() / face.sum())
    if wears_glasses(aligned):
        mask |= glasses(mesh)
        near.append("glasses")
    return Covering(mask, share, tuple(near))


def _hands(aligned: AlignedFace) -> list[NDArray[np.float64]]:
    """The joints of the hands in an aligned face's crop, [21, 2] at SIDE px."""
    mesh = in_crop(aligned, len(aligned.pixels))
    deep = np.column_stack([mesh, np.zeros(len(mesh))]).astype(np.float32)
    found = hands.find(aligned.pixels, deep)
    return [hand.joints * (SIDE / len(aligned.pixels)) for hand in found]


def wears_glasses(aligned: AlignedFace) -> bool:
    """Whether an aligned face surely does; rimless ones may be missed."""
    return has_glasses(aligned.pixels, in_crop(aligned, SIDE))


def has_glasses(picture: Pixels, mesh: NDArray[np.floating]) -> bool:
    """The same of a face in FFHQ framing, uint8 [S, S, 3]. mesh: [468, 2], at SIDE px."""
    small = shrink(picture, (SIDE, SIDE)).astype(np.float32) / 255
    light = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB)[..., 0])
    return bridge(light.astype(np.float32), mesh) > SURELY_GLASSES


def glasses(mesh: NDArray[np.floating]) -> NDArray[np.bool_]:
    """bool [SIDE, SIDE]: where a face that wears glasses has them, but for the eyes behind them.

    What kind they are is not known, so it is all that lenses, rims and bridge may cover. mesh:
    [468, 2] in the crop at SIDE px.
    """
    right, left = (mesh[list(eye)].mean(axis=0) for eye in (RIGHT_EYE, LEFT_EYE))
    width = float(np.linalg.norm(left - right))
    across = (left - right) / width
    down = np.array([-across[1], across[0]])
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    half = (round(LENS[0] * width), round(LENS[1] * width))
    for eye in (right, left):
        middle = tuple(int(v) for v in np.rint(eye + LENS_DOWN * width * down))
        cv2.ellipse(mask, middle, half, angle, 0, 360, 1, -1)
    ends = [tuple(int(v) for v in np.rint(eye)) for eye in (right, left)]
    cv2.line(mask, ends[0], ends[1], 1, max(1, round(BRIDGE * width)))
    for eye_outline in (RIGHT_EYE, LEFT_EYE):
        mask[inside(mesh, eye_outline, 1, grow=round(BEHIND * width)) > 0.5] = 0
    return mask > 0


def _near(mask: NDArray[np.bool_], place: NDArray[np.floating], radius: float) -> bool:
    disc = np.zeros(mask.shape, np.uint8)
    cv2.circle(disc, tuple(np.rint(place).astype(int)), max(1, round(radius)), 1, -1)
    return bool((mask & (disc > 0)).any())


def read_mask(mask: Mask, photo: Photo) -> NDArray[np.bool_]:
    """bool [H, W], True where the mask is white (brighter than half).

    InputError if it cannot be read or is not as large as the upright photo.
    """
    if isinstance(mask, np.ndarray):
        name, white = "the mask", mask
    else:
        name, white = str(mask), pictures.load_photo(mask).pixels.mean(axis=2) > 127.5
    if white.dtype != np.bool_:
        raise InputError(f"{name}: expected an array of bool, True where the photo stays")
    if white.shape != photo.pixels.shape[:2]:
        came, expected = ("x".join(map(str, s[1::-1])) for s in (white.shape, photo.pixels.shape))
        raise InputError(
            f"{name}: {came} pixels, but its photo has {expected} (upright); paint the mask on the "
            "photo itself"
        )
    return white


def clearance(
    aligned: AlignedFace, keep: NDArray[np.bool_] | None, covered: NDArray[np.bool_] | None = None
) -> Array:
    """float32 [SIDE, SIDE]: pixels of the crop to the nearest place that stays, 0 there.

    keep: bool [H, W] in the photo; covered: bool [SIDE, SIDE] in the crop. None is nothing.
    """
    clear = np.full((SIDE, SIDE), SIDE, np.float32)
    if covered is not None and covered.any():
        clear = np.maximum(away(covered) - EDGE, 0)
    if keep is None or not keep.any():
        return clear
    to_photo = aligned.to_photo.copy()
    to_photo[:, :2] *= len(aligned.pixels) / SIDE
    at = (pixel_centres(SIDE) + 0.5) @ to_photo[:, :2].T + to_photo[:, 2] - 0.5
    kept = sample(away(keep), at.astype(np.float32)) / np.float32(scale_of(to_photo))
    return np.asarray(np.minimum(clear, kept), np.float32)


def away(mask: NDArray[np.bool_]) -> Array:
    """Pixels to the nearest True."""
    away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(away, np.float32)


def sparing(fields: Fields, clear: Array) -> Fields:
    """What happens to the photo, fading to nothing where it stays; clear: `clearance`."""
    slow, free = fading(clear, fields.motion), fading(clear)
    return replace(
        fields,
        motion=fields.motion * slow[..., None],
        shading=fields.shading * slow**2,  # a furrow is in its place only where the skin has moved
        appears=fields.appears * free,
    )


def fading(clear: Array, motion: Array | None = None) -> Array:
    """float32 [SIDE, SIDE], 0 where the photo stays to 1 where an edit is whole.

    clear: `clearance`. motion: [SIDE, SIDE, 2], what begins; None for what only shows.
    """
    over: Array | float = SOFT
    if motion is not None:
        over = np.maximum(SOFT, PER_MOTION * length(motion))
    return ramp((clear - MARGIN) / over, 0, 1)
