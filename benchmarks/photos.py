"""Real photos, every Action Unit and expression at full intensity: is it the person, does it move?

    python benchmarks/free_photos.py photos/
    python benchmarks/photos.py photos/ -o photos.json

For each edit of each photo: the measured change of every Action Unit (score / 5), and each judge's
distance of the edited crop from the photo's. `--generated` measures the generator's picture of a
code of quality fast instead of the photo's own pixels. `duchenne evaluate --photos` is the longer
way, with levels between.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from measuring import arguments, report


def main(args: list[str]) -> None:
    parser = arguments(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--generated", action="store_true")
    options = parser.parse_args(args)
    from duchenne import EXPRESSIONS, Studio, preset
    from duchenne.facs import CODES, UNITS
    from duchenne.measuring.identity import JUDGES

    networks = {judge.name: judge.open() for judge in JUDGES.values()}
    settings = preset("fast") if options.generated else None
    studio = Studio(settings=settings, threads=options.threads)
    edits = {**{code: {code: 1.0} for code in CODES}, **EXPRESSIONS}
    rows = []
    for path in sorted(options.folder.iterdir()):
        photo = studio.face(path)
        face = replace(photo, generated=options.generated)
        before = photo.edit({})
        rest = face.measure(face.edit({}))
        person = {name: network.describe(before) for name, network in networks.items()}
        for edit, descriptor in edits.items():
            picture = face.edit(descriptor)
            change = face.measure(picture) - rest
            far = {n: float(np.linalg.norm(net.describe(picture) - person[n]))
                   for n, net in networks.items()}  # fmt: skip
            rows.append({
                "photo": path.stem, "edit": edit, "rest": np.round(rest, 3).tolist(),
                "change": np.round(change, 3).tolist(), "distance": far,
            })  # fmt: skip
        print(path.stem, file=sys.stderr)
    single = [row for row in rows if row["edit"] in CODES]
    results = {"photos": len({row["photo"] for row in rows}), "generated": options.generated}
    for judge in JUDGES.values():
        far = np.array([row["distance"][judge.name] for row in single])
        results[f"{judge.name}, single AUs"] = {
            "median": round(float(np.median(far)), 3),
            "95 %": round(float(np.quantile(far, 0.95)), 3),
            f"under {judge.limit:g}": round(float((far < judge.limit).mean()), 3),
        }
        mixed = [r["distance"][judge.name] for r in rows if r["edit"] in EXPRESSIONS]
        results[f"{judge.name}, expressions"] = round(float(np.median(mixed)), 3)
    for i, code in enumerate(CODES):
        of_unit = [row for row in single if row["edit"] == code]
        own = [row["change"][i] for row in of_unit]
        room = [row["change"][i] for row in of_unit if row["rest"][i] < 0.6]
        others = [j for j, c in enumerate(CODES) if c != code and c not in UNITS[code].kin]
        leak = np.mean([np.abs(np.array(row["change"])[others]).mean() for row in of_unit])
        results[code] = {
            "change": round(float(np.mean(own)), 2),
            "where there is room": round(float(np.mean(room)), 2) if room else None,
            "leakage": round(float(leak / max(np.mean(own), 0.1)), 3),
        }
    report("photos", {**results, "rows": rows}, options.output)


if __name__ == "__main__":
    main(sys.argv[1:])
