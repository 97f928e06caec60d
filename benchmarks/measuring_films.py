"""Does `duchenne score film.mp4` follow each Action Unit, whatever else moves?

Films of synthetic people whose Action Units follow overlapping, independent courses are drawn,
written as mp4 and measured. Told for every unit: the correlation of its score with its own course,
and the largest with another unit's, over all films together; counted from each person's own rest,
as the table of `score` has them, for several percentiles that may be taken for it, smoothed in
time, and from the mean neutral face (`score --no-rest`).
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measuring import arguments, report
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

import duchenne
from duchenne import facs
from duchenne.editing.boundaries import in_slots
from duchenne.measuring import film, film_table

PEOPLE = (501, 502, 503, 504, 505)  # no fit has seen them
FRAMES, FPS, SIZE = 60, 12, 512
BUMPS, LONG, STRONG = 2, (7, 12), (0.5, 0.9)  # of each unit: how many, frames, intensity
DRAWS = 300  # of courses, of which the most independent are taken
NOT_AT_ONCE = (("AU61", "AU62"), ("AU63", "AU64"), ("AU5", "AU43"))
OWN, OTHER = 0.9, 0.3  # what is aimed at
PERCENTILES = (5, 10, 20, 30, 40, 50)  # tried for the rest, beside the one that ships
SMOOTH = 0.8  # frames, the sigma of a Gaussian over time that is tried

Array = NDArray[np.float64]


def courses(people: int, rng: np.random.Generator) -> Array:
    """[P, FRAMES, U], intensities 0 to 1 that have as little to do with each other as can be."""
    best, least = np.zeros(0), np.inf
    for _ in range(DRAWS):
        drawn = np.zeros((people, FRAMES, len(facs.CODES)))
        for person, unit, _ in np.ndindex(people, len(facs.CODES), BUMPS):
            length = int(rng.integers(*LONG))
            start = int(rng.integers(2, FRAMES - length - 2))
            bump = rng.uniform(*STRONG) * np.sin(np.linspace(0, np.pi, length)) ** 2
            part = drawn[person, start : start + length, unit]
            np.maximum(part, bump, out=part)
        for one, other in NOT_AT_ONCE:
            i, j = facs.INDEX[one], facs.INDEX[other]
            stronger = drawn[..., i] > drawn[..., j]
            drawn[..., i] *= stronger
            drawn[..., j] *= ~stronger
        alike = np.corrcoef(drawn.reshape(-1, drawn.shape[-1]).T)
        most = float(np.abs(alike - np.eye(len(alike))).max())
        if most < least:
            best, least = drawn, most
    return best


def measured(seed: int, asked: Array, folder: Path) -> list[film.Observed]:
    """What every frame of one person's film measures; asked: [FRAMES, U]."""
    subject = duchenne.Studio().sample(seed)
    tables = in_slots(np.repeat(asked[..., None], len(facs.SIDES), axis=2))
    path = folder / f"{seed}.mp4"
    duchenne.write_frames(subject.frames(tables, paste=False, size=SIZE), path, fps=FPS)
    return list(film.observe(path))


def correlations(scores: Array, asked: Array) -> dict[str, Any]:
    """Of each unit's score with its own course, and the largest with another unit's.

    scores, asked: [P, frames, U]. A score that never changes follows nothing.
    """
    count = len(facs.CODES)
    flat = [values.reshape(-1, count) for values in (scores, asked)]
    # A little noise, so that constants have a correlation.
    flat[0] = flat[0] + np.random.default_rng(0).normal(0, 1e-6, flat[0].shape)
    found = np.corrcoef(flat[0].T, flat[1].T)[:count, count:]
    others = found - 2 * np.eye(count)
    units = {
        code: {
            "own": round(float(found[i, i]), 3),
            "other": round(float(others[i].max()), 3),
            "of": facs.CODES[int(others[i].argmax())],
        }
        for i, code in enumerate(facs.CODES)
    }
    return {
        "units": units,
        "own_median": round(float(np.median(np.diag(found))), 3),
        "other_median": round(float(np.median(others.max(axis=1))), 3),
        "reached": sum(u["own"] >= OWN and u["other"] <= OTHER for u in units.values()),
    }


def from_rest(scores: Array, percentile: float = film_table.REST) -> Array:
    """[P, frames, U] scores above each person's rest."""
    rest = np.percentile(scores, percentile, axis=1, keepdims=True)
    return np.asarray(np.clip(scores - rest, 0, facs.FULL))


def _middle(found: dict[str, Any]) -> dict[str, float]:
    return {name: found[name] for name in ("own_median", "other_median", "reached")}


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--people", type=int, nargs="+", default=list(PEOPLE), metavar="SEED")
    parser.add_argument("--raw", type=Path, help="also write courses and scores (.npz)")
    options = parser.parse_args()
    asked = courses(len(options.people), np.random.default_rng(options.people[0]))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed, course in zip(options.people, asked, strict=True):
            seen = measured(seed, course, Path(folder))
            assert all(one.seen for one in seen)
            found.append([one.seen.scores for one in seen if one.seen])
    scores = np.array(found)
    if options.raw:
        np.savez(options.raw, asked=asked, scores=scores)
    tried = {f"rest {p}": from_rest(scores, p) for p in PERCENTILES}
    tried["smoothed"] = from_rest(gaussian_filter1d(scores, SMOOTH, axis=1))
    results = {
        "as_told": correlations(from_rest(scores), asked),
        "no_rest": correlations(np.clip(scores, 0, facs.FULL), asked),
        "tried": {name: _middle(correlations(values, asked)) for name, values in tried.items()},
        "people": options.people,
        "frames": FRAMES,
        "size": SIZE,
    }
    report("measuring_films", results, options.output)


if __name__ == "__main__":
    main()
