"""The responses of many faces: seeded, resumable, one file a face."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from ..errors import InputError
from ..faces import landmarks
from ..files import codes, writing
from ..generators.base import Generator, draw_w, truncate
from ..measuring import measures
from ..types import StepProgress
from .probe import NAMES, Probe

FORMAT = "duchenne-response-2"
FIRST_SEED = 80_000  # of the faces that fits see; evaluations use others
TRUNCATIONS = (0.45, 0.75)
ASYMMETRY = 0.05  # of the distance between the eyes: median distance of mirror points of a face


@dataclass(frozen=True)
class Responses:
    """Measures and slopes of F faces.

    w: [F, 512]; values: [F, S] in the order of `probe.NAMES`; slopes: [F, S, Z, R, 512].
    """

    w: NDArray[np.float32]
    values: NDArray[np.float64]
    slopes: NDArray[np.float32]


def identity(generator: Generator, number: int) -> NDArray[np.float32]:
    """[512], the code in W of the fit's face `number`: its own seed, its own truncation."""
    psi = float(np.random.default_rng(FIRST_SEED + number).uniform(*TRUNCATIONS))
    w = truncate(draw_w(generator, FIRST_SEED + number), generator.w_mean, psi)
    return np.asarray(w[0].cpu().numpy(), np.float32)


def mean_template(
    generator: Generator, probe_of: Callable[[np.ndarray], Probe]
) -> tuple[np.ndarray, np.ndarray]:
    """(template [478, 3], mirror [478]) from the generator's mean face.

    The mean face is frontal and neutral but for a trace of a smile; it is made symmetric by
    averaging it with its mirror image, point by point.
    """
    probe = probe_of(np.eye(measures.POINTS, 3))
    points = probe.points(generator.w_mean.expand(generator.rows, -1))
    right, left = points[landmarks.RIGHT_EYE_OUTER], points[landmarks.LEFT_EYE_OUTER]
    unit = (points - (right + left) / 2) / np.linalg.norm(left - right)
    flipped = unit * [-1, 1, 1]
    distance = np.linalg.norm(unit[:, None] - flipped[None], axis=2)  # [478, 478]
    mirror = linear_sum_assignment(distance + distance.T)[1]
    matched = distance[np.arange(measures.POINTS), mirror]
    mutual = np.array_equal(mirror[mirror], np.arange(measures.POINTS))
    if not mutual or np.median(matched) > ASYMMETRY:
        raise InputError("the generator's mean face is not symmetric enough to find mirror points")
    return (unit + flipped[mirror]) / 2, mirror


def collect(
    generator: Generator,
    probe: Probe,
    count: int,
    folder: Path,
    *,
    share: tuple[int, int] = (0, 1),
    progress: StepProgress | None = None,
) -> None:
    """Compute the responses of faces 0 to count - 1; those already in `folder` are kept.

    share: (k, n): do only every n-th face, from the k-th, so that processes can divide the work.
    """
    with writing.reporting_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        path = _path(folder, number)
        if number % share[1] == share[0] and not done(generator, number, folder):
            w = identity(generator, number)
            response = probe.response(torch.from_numpy(w).expand(generator.rows, -1))
            if response is not None:
                codes.write_tensors(
                    {"w": w, "values": response.values, "slopes": response.slopes},
                    {"format": FORMAT, "generator": generator.fingerprint},
                    {"number": number, "names": list(NAMES)},
                    path,
                )
        if progress:
            progress(number + 1, count)


def load(generator: Generator, count: int, folder: Path) -> Responses:
    """The responses of faces 0 to count - 1 that were faces."""
    files = (_read(generator, number, folder) for number in range(count))
    tensors = [tensor for tensor in files if tensor is not None]
    if len(tensors) < 2:
        raise InputError(f"{folder}: expected the responses of {count} faces; collect them first")
    return Responses(
        w=np.stack([t["w"] for t in tensors]),
        values=np.stack([t["values"] for t in tensors]),
        slopes=np.stack([t["slopes"] for t in tensors]),
    )


def _read(generator: Generator, number: int, folder: Path) -> dict[str, Any] | None:
    expected = "the response of a face"
    kept = codes.read_kept(_path(folder, number), FORMAT, expected, generator.fingerprint)
    if kept is None or kept[1]["provenance"].get("names") != list(NAMES):  # of other measures
        return None
    return kept[0]


def _path(folder: Path, number: int) -> Path:
    return folder / f"face_{number:05d}{codes.SUFFIX}"


def done(generator: Generator, number: int, folder: Path) -> bool:
    """Is the whole response of face `number` there, of this generator? A damaged file is not."""
    return _read(generator, number, folder) is not None
