"""Faces and their 468 mesh points: MediaPipe's detector and face mesh, on OpenVINO.

Left and right are always the subject's: in an ordinary photo the right eye is left of the nose.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from ..types import Face, Pixels
from . import detector
from .giving_way import give_way
from .warp import Affine, scale_of, warp

Mesh = NDArray[np.float32]
"""float32 [468, 3]; see types.Face."""

# Points of MediaPipe's canonical face mesh (mediapipe/python/solutions/face_mesh_connections.py).
# Closed contours run from the outer corner along the lower edge and back along the upper.
RIGHT_EYE = (33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246)
LEFT_EYE = (263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466)
RIGHT_EYE_OUTER, LEFT_EYE_OUTER = 33, 263
# From the outer end along the lower edge to the inner end, and back along the upper edge.
RIGHT_BROW = (46, 53, 52, 65, 55, 107, 66, 105, 63, 70)
LEFT_BROW = (276, 283, 282, 295, 285, 336, 296, 334, 293, 300)
# From the right corner along the lower edge to the left corner, and back along the upper.
INNER_LIPS = (
    *(78, 95, 88, 178, 87, 14, 317, 402, 318, 324),
    *(308, 415, 310, 311, 312, 13, 82, 81, 80, 191),
)
OUTER_LIPS = (
    *(61, 146, 91, 181, 84, 17, 314, 405, 321, 375),
    *(291, 409, 270, 269, 267, 0, 37, 39, 40, 185),
)
MOUTH_RIGHT, MOUTH_LEFT = 61, 291
NOSE_TIP, CHIN = 1, 152
# From the forehead down the subject's left side to the chin and up the right.
FACE_OVAL = (
    *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377),
    *(152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)

MIN_SIZE = 64
# Constants of modules/face_landmark/*.pbtxt: input side, region of interest over the box,
# presence below which there is no face.
INPUT_SIZE = 192
REGION_SCALE = 1.5
PRESENCE = 0.5
# Faces that lie on their side or upside down are rare in photos, and curly hair can look like one
# (presence 0.9); real ones reach 0.9999.
UPRIGHT = math.radians(75)
PRESENCE_TURNED = 0.99
# The network sees the region found by the detector first, then twice the region of its own points.
PASSES = 3
# Candidates whose mesh is fitted, the best first. A crowd has fewer; a picture made for it may not.
MOST_CANDIDATES = 160
# A detector's box is about as wide as the mesh; half of the wanted size leaves room for profiles.
SMALLEST_BOX = 0.5
# Beside a face, others are looked for that are up to so many times narrower: a large photo of one
# person need not be searched for faces of the size of its buttons.
MUCH_SMALLER = 8
# A patch of cloth or a hand may look a little like a face; it counts only where nothing surer is.
CERTAIN = 0.65
# Meshes whose points lie on average closer than this part of their width are one face.
SAME_FACE = 0.3
# Where FFHQ framing puts the region of a frontal face, in parts of the picture's side.
FRAMED_CENTRE, FRAMED_SIDE = (0.5, 0.57), 0.85
# So are two of which one holds this part of the other: a feature that looked like a small face.
INSIDE = 0.5


@dataclass(frozen=True)
class Region:
    """A square to look at: centre, side and rotation (radians, clockwise on the screen)."""

    centre: NDArray[np.float64]
    side: float
    angle: float

    def to_photo(self, size: int = INPUT_SIZE) -> Affine:
        """[2, 3] map from the network's input pixels, `size` to a side, to the photo."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        linear = np.array([[cos, -sin], [sin, cos]]) * (self.side / size)
        offset = self.centre - linear @ np.full(2, size / 2)
        return np.concatenate([linear, offset[:, None]], axis=1)


def find_faces(pixels: Pixels, *, min_size: int = MIN_SIZE) -> list[Face]:
    """All usable faces, largest first.

    pixels: uint8 [H, W, 3]. min_size: smallest usable width of a face in pixels, measured across
    the mesh's face oval. Deterministic. An empty list means that there is none. Beside a face,
    those more than eight times as narrow need not be found. In pictures of more than about 12
    megapixels a face must also be about a 63rd of the longer side (`detector.reduction`), so that
    the search takes about as long for any size.
    """
    height, width = pixels.shape[:2]
    factor = detector.reduction(width, height)
    if factor == 1:
        return _find(pixels, min_size, min_size)
    small = np.array(Image.fromarray(pixels).reduce(factor))
    found = _find(small, MIN_SIZE, min_size / factor)
    return _largest_first([_enlarged(face, factor, pixels) for face in found])


def smallest(pixels: Pixels) -> int:
    """Width in pixels of the smallest face that is sure to be looked for in a picture."""
    return max(MIN_SIZE, MIN_SIZE // 2 * detector.reduction(pixels.shape[1], pixels.shape[0]))


def _find(pixels: Pixels, searched: int, usable: float) -> list[Face]:
    """searched: width of the smallest face that is looked for. usable: of the smallest taken."""
    search = detector.Search(pixels)

    @functools.cache
    def fit(x: float, y: float, side: float, angle: float) -> tuple[Mesh, float]:
        return fit_mesh(pixels, Region(np.array([x, y]), side, angle))

    near, turned_to = max(pixels.shape[:2]) / MUCH_SMALLER, 0.0
    if near > searched:
        faces = _judged(fit, search.down_to(near), usable)
        widest = max((face_size(face.mesh)[0] for face in faces), default=0.0)
        searched = max(searched, int(widest / MUCH_SMALLER))
        # Beside a large face small ones are looked for in the upright picture only: turned by 45
        # degrees they are found there too, and the turned looks would take twice as long again.
        turned_to = near if any(face.score >= CERTAIN for face in faces) else 0.0
    found = search.down_to(searched, turned_to)
    if not len(found):
        found = search.lying(searched)
    faces = _judged(fit, found, usable)
    return faces or _judged(fit, detector.search_from_afar(pixels), usable)


def _judged(
    fit: Callable[[float, float, float, float], tuple[Mesh, float]],
    detections: detector.Detections,
    usable: float,
) -> list[Face]:
    """The candidates in which the mesh network sees a face of that width, each face once.

    fit: `fit_mesh` of the picture, with the numbers of the region.
    """
    candidates: list[tuple[float, Face]] = []
    for i in range(min(len(detections), MOST_CANDIDATES)):
        give_way()
        x, y, width, height = (float(value) for value in detections.boxes[i])
        if width < SMALLEST_BOX * usable:
            continue
        # The detector cannot tell a face from the same face upside down; the mesh can.
        angle = float(detections.angles[i])
        looks = (fit(x, y, REGION_SCALE * width, turn) for turn in (angle, angle + math.pi))
        mesh, presence = max(looks, key=lambda fitted: fitted[1])
        needed = PRESENCE if abs(face_angle(mesh)) < UPRIGHT else PRESENCE_TURNED
        if presence >= needed and face_size(mesh)[0] >= usable:
            box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
            score = float(detections.scores[i])
            candidates.append((presence * score, Face(box, score, mesh)))
    if any(face.score >= CERTAIN for _, face in candidates):
        candidates = [(p, face) for p, face in candidates if face.score >= CERTAIN]
    candidates.sort(key=lambda candidate: -candidate[0])
    faces: list[Face] = []
    for _, face in candidates:
        if not any(_same(face, other) for other in faces):
            faces.append(face)
    return _largest_first(faces)


def _largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -math.prod(face_size(face.mesh)))


def _enlarged(face: Face, factor: int, pixels: Pixels) -> Face:
    """A face of a scaled picture in the picture itself, its mesh fitted to all of its pixels."""
    left, top, right, bottom = (factor * value for value in face.box)
    mesh = face.mesh * np.float32(factor)
    region = region_of(mesh)
    # Only what is near, for a large picture is slow to look at. The square is turned.
    reach = region.side / math.sqrt(2) + factor
    low = np.maximum(0, np.floor(region.centre - reach)).astype(int)
    high = np.ceil(region.centre + reach).astype(int)
    near = pixels[low[1] : high[1], low[0] : high[0]]
    if min(near.shape[:2]) > 1:
        moved = Region(region.centre - low, region.side, region.angle)
        fitted, presence = fit_mesh(near, moved, passes=1)
        if presence >= PRESENCE:
            mesh = fitted + np.array([*low, 0], np.float32)
    return Face((left, top, right, bottom), face.score, mesh)


def fit_mesh(pixels: Pixels, region: Region, passes: int = PASSES) -> tuple[Mesh, float]:
    """Run the mesh network, moving the region onto its own points; return points and presence.

    MediaPipe does the same from one video frame to the next (FaceLandmarkLandmarksToRoi).
    """
    network = detector.compiled("face-mesh")
    for _ in range(passes):
        to_photo = region.to_photo()
        look = warp(pixels, to_photo, (INPUT_SIZE, INPUT_SIZE), border="border")
        raw, logit = network(np.clip(look, 0, 255)[None] / 255).values()
        points = raw.reshape(-1, 3).astype(float)
        mesh = np.concatenate(
            [
                points[:, :2] @ to_photo[:, :2].T + to_photo[:, 2],
                points[:, 2:] * scale_of(to_photo),
            ],
            axis=1,
        ).astype(np.float32)
        presence = float(detector.sigmoid(logit.reshape(())))
        if presence < PRESENCE:
            break
        region = region_of(mesh)
    return mesh, presence


def face_angle(mesh: Mesh) -> float:
    """Radians from the x axis to the line from the right to the left eye's outer corner."""
    across = mesh[LEFT_EYE_OUTER, :2] - mesh[RIGHT_EYE_OUTER, :2]
    return math.atan2(float(across[1]), float(across[0]))


def face_size(mesh: Mesh) -> tuple[float, float]:
    """(width, height) in pixels of the mesh along and across its eye line."""
    low, high = _extent(mesh)
    width, height = high - low
    return float(width), float(height)


def face_oval(mesh: Mesh, size: int) -> NDArray[np.bool_]:
    """[size, size], True inside the mesh's outline (forehead to chin, without hair and ears)."""
    picture = Image.new("1", (size, size))
    outline = [(float(x), float(y)) for x, y in mesh[list(FACE_OVAL), :2]]
    ImageDraw.Draw(picture).polygon(outline, fill=1)
    return np.array(picture)


def numbered(pixels: Pixels, faces: list[Face]) -> Pixels:
    """A copy of uint8 [H, W, 3] with a box and a number, from 0, around each face."""
    picture = Image.fromarray(pixels)
    draw = ImageDraw.Draw(picture)
    for number, face in enumerate(faces):
        low, high = face.mesh[:, :2].min(axis=0), face.mesh[:, :2].max(axis=0)
        (left, top), (right, bottom) = low.tolist(), high.tolist()
        line = max(2, round((right - left) / 60))
        draw.rectangle((left, top, right, bottom), outline="yellow", width=line)
        size = max(14, (right - left) / 4)
        spot = draw.textbbox((left, top), f" {number} ", font_size=size)
        draw.rectangle(spot, fill="yellow")
        draw.text((left, top), f" {number} ", fill="black", font_size=size)
    return np.asarray(picture)


def _extent(mesh: Mesh) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smallest and largest coordinates of the mesh in the frame of its eye line."""
    angle = face_angle(mesh)
    cos, sin = math.cos(angle), math.sin(angle)
    turned = mesh[:, :2].astype(float) @ np.array([[cos, -sin], [sin, cos]])
    return turned.min(axis=0), turned.max(axis=0)


def region_of(mesh: Mesh) -> Region:
    """The region around a mesh.

    MediaPipe boxes the points upright and turns that box; boxing them along the eye line keeps the
    region's size the same however the head is turned.
    """
    angle = face_angle(mesh)
    low, high = _extent(mesh)
    cos, sin = math.cos(angle), math.sin(angle)
    centre = np.array([[cos, -sin], [sin, cos]]) @ ((low + high) / 2)
    return Region(centre, REGION_SCALE * float(max(high - low)), angle)


def _same(one: Face, other: Face) -> bool:
    """Do two meshes lie on one face? Then their points coincide or one mesh holds the other."""
    distance = np.linalg.norm(one.mesh[:, :2] - other.mesh[:, :2], axis=1).mean()
    if distance < SAME_FACE * min(face_size(one.mesh)[0], face_size(other.mesh)[0]):
        return True
    common = detector.overlaps(_bounds(one.mesh), _bounds(other.mesh)[None], inside=True)
    return bool(common[0] > INSIDE)


def _bounds(mesh: Mesh) -> NDArray[np.float32]:
    """[4] centre x, centre y, width and height of the upright box around a mesh."""
    low, high = mesh[:, :2].min(axis=0), mesh[:, :2].max(axis=0)
    return np.concatenate([(low + high) / 2, high - low])


def mesh_of_aligned(pixels: Pixels) -> Mesh | None:
    """The mesh of a face in FFHQ framing, without a search; None if the network sees no face.

    pixels: uint8 [S, S, 3], an aligned crop or a generated face.
    """
    size = len(pixels)
    region = Region(np.array(FRAMED_CENTRE) * size, FRAMED_SIDE * size, 0.0)
    mesh, presence = fit_mesh(pixels, region)
    return mesh if presence >= PRESENCE else None


def follow(pixels: Pixels, mesh: Mesh) -> Mesh | None:
    """The mesh of a face that hardly moved since it had another one; None if no face is seen.

    pixels: uint8 [H, W, 3]. mesh: [468, >=2] in its pixels.
    """
    found, presence = fit_mesh(pixels, region_of(mesh), passes=1)
    return found if presence >= PRESENCE else None
