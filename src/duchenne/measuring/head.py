"""Where a head is, how it is turned and where its eyes look, in the terms of OpenFace 2.

The camera is the origin; x points to the right of the picture, y down, z away from the camera.
Lengths are millimetres, angles radians (Baltrusaitis et al. 2018, and the project's page "Output
Format"). Nobody tells the camera's lens, so OpenFace's guess of it is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from .measures import RIGID, frontalise, rigid_fit
from .score import Array, Scale

# Focal length in pixels of a picture of 640 x 480: OpenFace's default (SequenceCapture.cpp).
FOCAL, OF_WIDTH, OF_HEIGHT = 500.0, 640.0, 480.0
# Between the outer eye corners, mm: points 33 and 263 of MediaPipe's canonical face model.
EYE_CORNERS = 88.9
# From the centre of an eyeball to its iris, mm (Gullstrand's eye: 12 mm less the depth of the
# chamber), in units of the distance between the outer eye corners.
IRIS_RADIUS = 10.0 / EYE_CORNERS
# The subject's right eye first, which is the left one in the picture and OpenFace's number 0:
# iris, outer corner, inner corner.
EYES = ((468, 33, 133), (473, 263, 362))


@dataclass(frozen=True)
class Head:
    """place: [3] mm, of the middle of the points that move with the skull, between the eyes.

    angles: [3] radians about x, y and z, R = Rx Ry Rz: positive is the nose down, the nose to the
    left of the picture, the head tilted to the right of the picture. gaze: [2, 3] unit vectors, of
    the eye that lies left in the picture and of the other one.
    """

    place: Array
    angles: Array
    gaze: Array

    @property
    def gaze_angles(self) -> Array:
        """[2] radians, the mean of both eyes: positive to the right of the picture, and down."""
        mean = self.gaze.mean(axis=0)
        return np.array([np.arctan2(mean[0], -mean[2]), np.arctan2(mean[1], -mean[2])])


def read(points: Array, scale: Scale, size: tuple[int, int]) -> Head:
    """The head of a face.

    points: [478, 3] in pixels of the picture. size: (width, height) of the picture.
    """
    turned, per_pixel = rigid_fit(points, scale.template)
    focal = FOCAL * (size[0] / OF_WIDTH + size[1] / OF_HEIGHT) / 2
    middle = points[list(RIGID), :2].mean(axis=0) - np.array(size) / 2
    distance = focal * per_pixel * EYE_CORNERS
    place = np.array([*(middle / focal * distance), distance])
    # The mesh is seen along the line from the camera to the head: turn it back by as much.
    rotation = _onto(place) @ turned
    front = frontalise(points, scale.template)
    gaze = np.stack([_gaze(front, scale, *eye) for eye in EYES]) @ rotation.T
    return Head(place, _angles(rotation), gaze)


def _onto(place: Array) -> Array:
    """[3, 3]: the smallest rotation from the camera's axis to a place."""
    axis = np.cross([0.0, 0.0, 1.0], place)
    length = float(np.linalg.norm(axis))
    if length == 0:
        return np.eye(3)
    angle = np.arctan2(length, place[2])
    return np.asarray(cv2.Rodrigues(axis / length * angle)[0])


def _angles(rotation: Array) -> Array:
    """[3]: x, y and z with R = Rx Ry Rz."""
    x = np.arctan2(-rotation[1, 2], rotation[2, 2])
    y = np.arcsin(np.clip(rotation[0, 2], -1, 1))
    z = np.arctan2(-rotation[0, 1], rotation[0, 0])
    return np.array([x, y, z])


def _gaze(front: Array, scale: Scale, iris: int, outer: int, inner: int) -> Array:
    """[3] where one eye looks, in the frame of the head; ahead is where the mean face looks.

    How far the iris is from the middle of its eye's corners, beyond where it is there.
    """

    def off(mesh: Array) -> Array:
        return np.asarray((mesh[iris] - (mesh[outer] + mesh[inner]) / 2)[:2])

    aside = (off(front) - off(scale.template)) / IRIS_RADIUS
    length = float(np.linalg.norm(aside))
    if length > 0.95:  # farther than an eye turns
        aside, length = aside / length * 0.95, 0.95
    return np.array([*aside, -np.sqrt(1 - length**2)])
