"""How far eyes shut and turn: people whom no fit has seen, and the photos of a folder.

    python -m experiments.free_photos photos/
    python benchmarks/eyes.py photos/ -o eyes.json

Lids by the Face Landmarker (which did not draw them): the opening left of what it was at rest, and
how certain `eyeBlink` is. Gaze by the iris network, which draws it too: degrees by which each iris
turned where 20 were asked. Medians, and the parts of the eyes within the bars: under .1 of the
opening; 15 to 25 degrees.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from measuring import arguments, report

SEED = 70_000  # of the first person
ASKED = {"AU61": (1, 0), "AU62": (-1, 0), "AU63": (0, 1), "AU64": (0, -1)}  # to the left, up
SHUT, WITHIN = 0.1, 0.25


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--faces", type=int, default=24)
    options = parser.parse_args(args)
    from duchenne import Studio
    from duchenne.files.folders import photos_in

    studio = Studio(threads=options.threads)
    groups = {"generated": [studio.sample(SEED + n) for n in range(options.faces)]}
    if options.folder:
        groups["photos"] = [studio.face(path) for path in photos_in(options.folder)]
    results = {}
    for group, people in groups.items():
        measured: dict[str, list[Any]] = {}
        for person in people:
            for name, value in _measured(person):
                measured.setdefault(name, []).append(value)
        results[group] = dict(_summed(measured), of_each=measured)
    report("eyes", results, options.output)


def _measured(person: Any) -> Iterator[tuple[str, Any]]:
    """Both eyes of one person, left first."""
    rest = person.edit({})
    for code in (0.5, 1.0):
        opening, blink = _lids(person, rest, person.edit({"AU43": code}))
        yield f"opening left at {code:g}", opening
        yield f"eyeBlink at {code:g}", blink
    before = _turns(rest)
    for code, (left, up) in ASKED.items():
        turned = (_turns(person.edit({code: 1.0})) - before) @ [left, up]
        yield code, np.round(turned, 1).tolist()


def _lids(person: Any, rest: np.ndarray, edited: np.ndarray) -> tuple[list[float], list[float]]:
    from duchenne.faces import landmarks
    from duchenne.measuring.measures import BLENDSHAPE_POINTS, BLENDSHAPES

    scorer, openings, blinks = person.studio.scorer, [], []
    for picture in (rest, edited):
        mesh = landmarks.mesh_of_aligned(picture)
        points = scorer.points(picture, mesh)
        pairs = (((386, 374), (362, 263)), ((159, 145), (33, 133)))
        openings.append(
            [
                float(np.linalg.norm(points[a] - points[b]) / np.linalg.norm(points[c] - points[d]))
                for (a, b), (c, d) in pairs
            ]
        )
        plane = points[list(BLENDSHAPE_POINTS), :2].astype(np.float32)
        shapes = scorer._blendshapes.infer(plane[None])[0].reshape(-1)
        blinks = [
            round(float(shapes[BLENDSHAPES.index(f"eyeBlink{side}")]), 2)
            for side in ("Left", "Right")
        ]
    return np.round(np.divide(openings[1], openings[0]), 3).tolist(), blinks


def _turns(picture: np.ndarray) -> np.ndarray:
    """[2, 2] degrees to the subject's left and up of the left and the right iris."""
    from duchenne.faces import eyes, landmarks
    from duchenne.moving.one_eye import LEVER

    result = []
    for eye in eyes.find(picture, landmarks.mesh_of_aligned(picture)):
        ends = eye.lower[[0, -1]]
        ends = ends[np.argsort(ends[:, 0])]
        along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
        off = (eye.iris - ends.mean(axis=0)) / (LEVER * eye.radius)
        side, down = off @ along, off @ [-along[1], along[0]]
        result.append(np.degrees(np.arcsin(np.clip([side, -down], -1, 1))))
    return np.array(result)


def _summed(measured: dict[str, list[Any]]) -> Iterator[tuple[str, Any]]:
    for name, values in measured.items():
        eyes = np.array(values)
        if name.startswith("eyeBlink"):
            yield name, {"median": round(float(np.median(eyes)), 2)}
            continue
        within = np.abs(eyes / 20 - 1) <= WITHIN if name in ASKED else eyes < SHUT
        share = round(float(within.mean()), 2)
        yield name, {"median": round(float(np.median(eyes)), 2), "within": share}


if __name__ == "__main__":
    main(sys.argv[1:])
