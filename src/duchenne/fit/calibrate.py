"""What intensity 1 stands for: the score scale, and the latent length of every Action Unit.

Both are found by rendering edits of generated faces and measuring them. The `reach` of an
Action Unit says how far along its boundary the picture stays a natural face; intensity 1 goes
exactly that far, and the steps in between are spaced so that the measured change is linear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import interp1d

from .. import facs
from ..editing.boundaries import Stretch, slot_intensities
from ..editing.edit import local_transfer
from ..editing.face import find_regions
from ..editing.render import Renderer, Scene
from ..errors import NoFaceFound
from ..faces import landmarks
from ..measuring import measures, score
from .boundaries import Normals
from .responses import identity

Array = NDArray[np.float64]

FIRST_FACE = 5_000  # numbers of `responses.identity` used here; the fit's own start at 0
STEPS = 4  # measurements along each boundary
KNOTS = 4
# Intensity 1 stops where this part of the response within reach is there: what remains would take
# a long way through the latent space for little that shows.
SATURATED = 0.95
# Part of the mean crosstalk that is taken out: what is too much for one face is too little for the
# next, and every correction takes the person a little way along.
TAKEN_OUT = 0.75
RIDGE = 0.05  # of the mean square answer of an Action Unit to its own edit
LEAST = 0.1  # of the evidence: a boundary that does less than this is no full action

Measure = Callable[[NDArray[np.uint8]], Array]


def open_faces(renderer: Renderer, count: int, first: int = FIRST_FACE) -> Iterator[Scene]:
    """The first `count` generated people from number `first` on in whom a face is found.

    One after the other: an opened face holds some 0.3 GB.
    """
    number = first
    while count > 0:
        w = np.repeat(identity(renderer.generator, number)[None], renderer.generator.rows, axis=0)
        number += 1
        try:
            scene = renderer.open(w, find_regions)
        except NoFaceFound:
            continue
        count -= 1
        yield scene


def curves(
    scenes: Iterable[Scene],
    normals: Normals,
    measure: Measure,
    progress: Callable[[int], None] | None = None,
    *,
    stretch: Stretch | None = None,
    units: Sequence[str] = facs.CODES,
) -> Array:
    """[U, F, STEPS + 1, M]: measures of every face along every boundary.

    From 0 to its reach in equal steps, each as much farther as `stretch` says of the face.
    progress: called with the number of faces that are done. units: of the others only the end is
    measured, and a straight line drawn to it.
    """
    reach = np.linspace(0, 1, STEPS + 1)
    edited = normals.normals.any(axis=(0, 2))
    result = []
    for done, scene in enumerate(scenes, 1):
        gain = 1.0 if stretch is None else stretch.of(scene.w[edited])
        of_face, rest = [], measure(scene.base)
        for i, unit in enumerate(facs.ACTION_UNITS):
            far = unit.reach * normals.white[i] * gain
            full = slot_intensities({unit.code: 1.0}) * far  # [U, 8]
            steps = reach[1:] if unit.code in units else reach[-1:]
            frames = (scene.frame(local_transfer(full * step, normals.normals)) for step in steps)
            known = np.stack([rest, *map(measure, frames)])
            of_face.append(interp1d([0, *steps], known, axis=0)(reach))
        result.append(of_face)
        if progress:
            progress(done)
    return np.swapaxes(np.array(result), 0, 1)


def fit_scale(
    population: Array,
    along: Array,
    template: Array,
    mirror: NDArray[np.int64],
    *,
    units: Sequence[str] = facs.CODES,
    kept: score.Scale | None = None,
) -> score.Scale:
    """The levels of neutral faces and of full actions.

    population: [N, M] measures of random faces; along: `curves`. Neutral is the median of the
    quarter of the population that smiles least. A measure's full rise (fall) is the larger of what
    the population reaches in its outermost 2 % and of what the edits for which it is evidence reach
    on average. The evidence of a full AU is what its own edit adds on average, so that it scores 5
    on a face that was neutral before.

    kept: where the levels of the other Action Units than `units` stay, and of all that is evidence
    for them.
    """
    smile = population[:, measures.MEASURES.index("mouthSmile")]
    neutral = np.median(population[smile <= np.quantile(smile, 0.25)], axis=0)
    neutral[np.isin(measures.MEASURES, measures.SIDEWAYS)] = 0  # as many look one way as the other
    rise = np.quantile(population, 0.98, axis=0) - neutral
    fall = neutral - np.quantile(population, 0.02, axis=0)
    for i, unit in enumerate(facs.ACTION_UNITS):
        change = (along[i, :, -1] - along[i, :, 0]).mean(axis=0)  # [M], from 0 to full
        for name, weight in unit.evidence.items():
            m = measures.MEASURES.index(name)
            if weight > 0:
                rise[m] = max(rise[m], change[m])
            else:
                fall[m] = max(fall[m], -change[m])
    if kept is not None:
        others = [unit for unit in facs.ACTION_UNITS if unit.code not in units]
        held = np.isin(measures.MEASURES, [name for unit in others for name in unit.evidence])
        template, mirror = kept.template, kept.mirror
        neutral, rise, fall = (
            np.where(held, before, found)
            for before, found in zip(
                (kept.neutral, kept.rise, kept.fall), (neutral, rise, fall), strict=True
            )
        )
    scale = score.Scale(template, mirror, neutral, rise, fall)
    full = SATURATED * np.maximum(
        [
            np.mean([scale.evidence(f[-1])[i] - scale.evidence(f[0])[i] for f in faces])
            for i, faces in enumerate(along)
        ],
        LEAST,
    )
    if kept is not None:
        full = np.where(np.isin(facs.CODES, units), full, kept.full)
    return replace(scale, full=full)


def untangled(
    normals: Normals, along: Array, scale: score.Scale, units: Sequence[str] = facs.CODES
) -> Normals:
    """Normals without what they do on average to the other Action Units of their region.

    along: `curves` of the normals. From the offset of each AU so much of the offsets of the others
    of its region is taken that their mean scores stay where they are, but for those that are tied
    to it by anatomy (its `kin`); then it is made as strong as it was. Only `units` are changed.
    Units that do nearly the same cannot be told apart by their answers: a small ridge keeps the
    parts from growing.
    """
    scores = np.array([[[scale.scores(face[k]) for k in (0, -1)] for face in au] for au in along])
    response = (scores[:, :, 1] - scores[:, :, 0]).mean(axis=1)  # [U, U], of whom on whom
    full = normals.white * [unit.reach for unit in facs.ACTION_UNITS]
    offsets = normals.normals * full[:, None, None]
    directions, white = normals.normals.copy(), normals.white.copy()
    for i, unit in enumerate(facs.ACTION_UNITS):
        others = [
            j
            for j, other in enumerate(facs.ACTION_UNITS)
            if other.area == unit.area and other.code not in (unit.code, *unit.kin)
        ]
        if not others or unit.code not in units:
            continue
        among = response[np.ix_(others, others)]
        ridge = RIDGE * np.square(among.diagonal()).mean() * np.eye(len(others))
        parts = -TAKEN_OUT * np.linalg.solve(among @ among.T + ridge, among @ response[i, others])
        left = (response[i, i] + parts @ response[others, i]) / response[i, i]
        offset = (offsets[i] + np.tensordot(parts, offsets[others], axes=1)) / left
        length = np.linalg.norm(offset)
        directions[i], white[i] = offset / length, length / unit.reach
    return replace(normals, normals=directions, white=white)


def fit_lengths(along: Array, scale: score.Scale, normals: Normals) -> NDArray[np.float32]:
    """[U, KNOTS] latent lengths of intensities 1/KNOTS ... 1, from the mean measured response."""
    lengths = np.zeros((len(facs.CODES), KNOTS), np.float32)
    steps = np.linspace(0, 1, STEPS + 1)
    for i, unit in enumerate(facs.ACTION_UNITS):
        scores = np.array([[scale.scores(m)[i] for m in face] for face in along[i]])
        response = (scores - scores[:, :1]).mean(axis=0)  # [STEPS + 1]
        response = np.maximum.accumulate(response)
        wanted = np.linspace(0, SATURATED, KNOTS + 1)[1:] * response[-1]
        reached = np.interp(wanted, response + 1e-9 * steps, steps)
        lengths[i] = reached * unit.reach * normals.white[i]
    return lengths


def measure_with(scorer: score.Scorer) -> Measure:
    """The measures of a rendered face."""

    def measure(frame: NDArray[np.uint8]) -> Array:
        mesh = landmarks.mesh_of_aligned(frame)
        if mesh is None:
            raise NoFaceFound("an edited face is no longer a face; lower its reach")
        return scorer.measure(frame, mesh)

    return measure
