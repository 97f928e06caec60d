"""What covers a face: how much of it is found, and what looking for it costs bare faces.

    python benchmarks/free_photos.py photos/
    python benchmarks/covering.py photos/ -o covering.json

Coverings are drawn (`duchenne.fit.covering`) over generated people whom the fit has not seen, and
over photos. Recall: part of what is drawn on the face that is found; found: part of the coverings
of which half is; precision: part of what is found that lies within 3 px of it. Then every Action
Unit at full intensity on those bare faces on which something is found: with it kept, and without.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from measuring import arguments, report

SEED = 60_000  # of the first person; the fit draws from 50,000 on
GLASSES = ("grace_hopper", "henner")  # photos that something covers already


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, default=16)
    options = parser.parse_args(args)
    from duchenne import Studio, load_photo
    from duchenne.faces import align
    from duchenne.faces.warp import shrink
    from duchenne.fit.covering import Face, gather
    from duchenne.moving.covering import SEEN

    studio = Studio(threads=options.threads)
    people = gather(studio, options.faces, seed=SEED)
    photos = {path.stem: align.align(load_photo(path)) for path in sorted(options.folder.iterdir())}
    cut = [
        Face(shrink(a.pixels, (SEEN, SEEN)), align.in_crop(a, SEEN), people[0].picture)
        for name, a in photos.items()
        if name not in GLASSES
    ]
    results = {"generated": _found(people), "photos": _found(cut)}
    results["bare faces"] = {
        "generated": [round(_find(face.picture, face).share, 4) for face in people],
        "photos": {name: _bare(aligned) for name, aligned in photos.items()},
    }
    results["cost"] = _cost(studio, people, options.folder)
    report("covering", results, options.output)


def _bare(aligned: object) -> dict[str, object]:
    from duchenne.moving import covering

    found = covering.find(aligned)
    return {"share": round(found.share, 4), "places": found.places}


def _find(picture: np.ndarray, face: object) -> object:
    """What is found on a picture of a face with a known mesh."""
    from duchenne.moving import covering
    from duchenne.types import AlignedFace
    from duchenne.types import Face as Found

    mesh = np.pad(face.mesh, ((0, 0), (0, 1))).astype(np.float32)
    return covering.find(AlignedFace(picture, np.eye(2, 3), Found((0, 0, 1, 1), 1.0, mesh)))


def _found(faces: list) -> dict[str, dict[str, float]]:
    from duchenne.faces.landmarks import FACE_OVAL
    from duchenne.fit import covering
    from duchenne.moving.change import SIDE, inside

    rng = np.random.default_rng(0)
    results = {}
    for kind in covering.KINDS:
        recalls, precisions = [], []
        for face in faces:
            picture, true = covering.cover(face, rng, kind)
            oval = inside(face.mesh * (SIDE / len(picture)), FACE_OVAL, 1) > 0.5
            true = cv2.resize(true.astype(np.uint8), (SIDE, SIDE)) > 0
            near = cv2.dilate(true.astype(np.uint8), np.ones((7, 7))) > 0
            mask = _find(picture, face).mask
            if (true & oval).sum() > 100:
                recalls.append((mask & true & oval).sum() / (true & oval).sum())
                if mask.any():
                    precisions.append((mask & near).sum() / mask.sum())
        results[kind] = {
            "faces": len(recalls),
            "recall": round(float(np.mean(recalls)), 3),
            "found": round(float(np.mean(np.array(recalls) > 0.5)), 3),
            "precision": round(float(np.mean(precisions)), 3) if precisions else None,
        }
        print(kind, results[kind], file=sys.stderr)
    return results


def _cost(studio: object, people: list, folder: Path) -> dict[str, object]:
    """Mean change of the asked Action Unit with what is found kept, and without."""
    from dataclasses import replace

    from duchenne.facs import CODES
    from duchenne.moving.covering import Covering

    sources = {f"person {i}": p.picture.repeat(2, 0).repeat(2, 1) for i, p in enumerate(people)}
    sources |= {p.stem: str(p) for p in sorted(folder.iterdir()) if p.stem not in GLASSES}
    changes = {}
    for name, source in sources.items():
        kept = studio.face(source)
        if not kept.covering.places:
            continue
        free = replace(kept)
        free.__dict__["covering"] = Covering(np.zeros_like(kept.covering.mask), 0.0, ())
        rest = kept.measure(kept.edit({}))
        changes[name] = {
            label: [
                round(float(face.measure(face.edit({code: 1.0}))[i] - rest[i]), 3)
                for i, code in enumerate(CODES)
            ]
            for label, face in (("kept", kept), ("free", free))
        }
        print(name, changes[name], file=sys.stderr)
    means = {
        label: round(float(np.mean([c[label] for c in changes.values()])), 3) if changes else None
        for label in ("kept", "free")
    }
    return {
        "faces with something found": len(changes),
        "of": len(sources),
        **means,
        "of each": changes,
    }


if __name__ == "__main__":
    main(sys.argv[1:])
