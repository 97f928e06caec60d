"""Which place of one face is which place of another: a smooth map through the mesh's points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
F = TypeVar("F", np.float32, np.float64)

STEP = 16  # px between the places where the spline is worked out; between them it is nearly cubic
ANCHORS = 9  # along each border of the picture, which stays where it is
SMOOTHING = 2.0  # so that the mesh's jitter of a pixel does not fold the picture


class ThinPlate:
    """A smooth map that carries a fixed set of places to wherever they go.

    places: [N, 2] in pixels of a picture of `side` px, centres at integers + 0.5. Thin-plate spline
    (Bookstein 1989), held at the picture's border. What depends on the places alone is worked out
    once, so that a call costs one product of matrices; for one call only see `spline`.
    """

    def __init__(self, places: NDArray[np.floating], side: int) -> None:
        self._places, self._side = places, side
        border = _border(side)
        moves = np.eye(len(places) + len(border), len(places))  # the border stays
        self._share = _at_knots(places, border, moves, side)  # [knots^2, N]

    def to(self, target: NDArray[np.floating]) -> Array:
        """float32 [side, side, 2], d with x + d(x) in `target` [N, 2] for the fixed places x."""
        moves = (target - self._places).astype(np.float32)
        return _between_knots(self._share @ moves, self._side)


def spline(
    places: NDArray[np.floating], targets: Sequence[NDArray[np.floating]], side: int
) -> list[Array]:
    """`ThinPlate(places, side).to(target)` for each target, in a third of the time for a few."""
    border = _border(side)
    moves = np.concatenate([target - places for target in targets], axis=1)
    moves = np.concatenate([moves, np.zeros((len(border), moves.shape[1]))])
    coarse = _at_knots(places, border, moves, side)
    return [_between_knots(part, side) for part in np.split(coarse, len(targets), axis=1)]


def _border(side: int) -> NDArray[np.float64]:
    """[M, 2], the places along the picture's border that stay."""
    along = np.linspace(0, side, ANCHORS)
    ends, inner = np.array([0.0, side]), along[1:-1]
    return np.concatenate(
        [np.stack(np.meshgrid(a, b), -1).reshape(-1, 2) for a, b in ((along, ends), (ends, inner))]
    )


def _at_knots(
    places: NDArray[np.floating], border: NDArray[np.float64], moves: NDArray[Any], side: int
) -> Array:
    """[knots^2, C]: the spline through `moves` [N + M, C] of the places and the border."""
    knots = np.arange(side // STEP + 1, dtype=float) * STEP
    grid = np.stack(np.meshgrid(knots, knots), axis=-1).reshape(-1, 2)
    fixed = np.concatenate([places, border])
    # [K + s I, P; P^T, 0] [bends; plane] = [moves; 0]: scipy's RBFInterpolator, but its import
    # takes longer than all the rest of this module's work.
    plane = np.column_stack([np.ones(len(fixed)), fixed])
    system = np.block(
        [[_bend(fixed, fixed) + SMOOTHING * np.eye(len(fixed)), plane], [plane.T, np.zeros((3, 3))]]
    )
    weights = np.linalg.solve(system, np.concatenate([moves, np.zeros((3, moves.shape[1]))]))
    known = np.column_stack([_bend(grid, fixed), np.ones(len(grid)), grid])
    return np.asarray(known @ weights, np.float32)


def _bend(at: NDArray[np.float64], of: NDArray[np.float64]) -> NDArray[np.float64]:
    """[A, B]: r^2 log r of the distances between two sets of places, [A, 2] and [B, 2]."""
    squares = np.square(at[:, None] - of).sum(axis=2)
    return np.asarray(squares * np.log(np.maximum(squares, np.finfo(float).tiny)) / 2)


def _between_knots(coarse: Array, side: int) -> Array:
    """[side, side, 2] from [knots^2, 2]."""
    knots = side // STEP + 1
    at: Array = (pixel_centres(side) + np.float32(0.5)) / np.float32(STEP)
    return sample(coarse.reshape(knots, knots, 2), at, cv2.INTER_CUBIC)


def inverse(field: Array, rounds: int = 3) -> Array:
    """[S, S, 2], the way back of x + field(x), by repeated substitution; for smooth fields."""
    here = pixel_centres(len(field))
    back = np.zeros_like(field)
    for _ in range(rounds):
        back = -sample(field, here + back)
    return back


def carried(places: NDArray[np.floating], motion: Array, rounds: int = 5) -> NDArray[np.float64]:
    """[N, 2]: where places go whose pixels `motion`, [S, S, 2], moves: x + motion(x) = place."""
    at = places
    for _ in range(rounds):
        at = places - sample(motion, np.asarray(at[None] - 0.5, np.float32))[0]
    return np.asarray(at, np.float64)


def pixel_centres(side: int) -> Array:
    """float32 [side, side, 2]: x and y of every pixel, whose centres OpenCV puts at integers."""
    x = np.arange(side, dtype=np.float32)
    return np.stack(np.meshgrid(x, x), axis=-1)


def sample(
    picture: NDArray[np.integer[Any] | np.floating[Any]],
    at: Array,
    interpolation: int = cv2.INTER_LINEAR,
) -> Array:
    """picture [h, w(, C)] at the places [H, W, 2] (x, y), as OpenCV counts; edges carried on."""
    # mypy: OpenCV's stubs do not know that a map may hold both coordinates
    taken = cv2.remap(picture, at, None, interpolation, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]
    return np.asarray(taken, np.float32)


def length(motion: NDArray[F]) -> NDArray[F]:
    """[...] of [..., 2]: `np.linalg.norm` to the bit, in a fifth of the time."""
    x, y = motion[..., 0], motion[..., 1]
    return np.asarray(np.sqrt(x * x + y * y), motion.dtype)


def blur(picture: Array, sigma: float) -> Array:
    """Gaussian blur of [h, w(, C)], sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), sigma), np.float32)
