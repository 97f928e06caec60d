"""How well a fit on coded faces finds directions that are known.

Simulated films: people sampled from the built-in generator show Action Units (the built-in
boundaries, in all of the picture), some of which go together as in smiles, with other changes of
the code beside. Codes are taken as they are, without encoding, so this measures the fit alone. For
every method, the cosine between the fitted and the true directions.

    python benchmarks/labelled_fit.py -o labelled_fit.json
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
from pathlib import Path

import numpy as np

import duchenne
from duchenne import facs
from duchenne.editing import boundaries
from duchenne.fit import labelled
from duchenne.fit.labels import Labelled, by_intensity

PEOPLE, FRAMES, NEUTRAL = 12, 30, 6
FIRST_SEED = 900
OTHER_CHANGES = 0.25  # in standard deviations of W, in every row and principal component
TOGETHER = (
    *("AU6 AU12 AU25", "AU12", "AU12 AU25", "AU6 AU12", "AU1 AU2 AU5", "AU1 AU4", "AU1 AU2"),
    *("AU4", "AU4 AU9", "AU4 AU9 AU25", "AU15 AU17", "AU17", "AU25 AU26", "AU25 AU26", "AU25"),
    "AU20 AU25",
)
METHODS = {
    "pairs": ("pairs", labelled.LabelledSettings()),
    "pairs without projection": ("pairs", labelled.LabelledSettings(purity=1e-6)),
    "paper": ("paper", labelled.LabelledSettings()),
    "conditional": ("conditional", labelled.LabelledSettings()),
}


def simulate(studio: duchenne.Studio) -> Labelled:
    """The coded frames of all people."""
    rng = np.random.default_rng(0)
    truth = boundaries.built_in()
    basis = labelled.svm.whitening(studio.generator, 160)
    w, intensities, people = [], [], []
    for person in range(PEOPLE):
        base = studio.sample(FIRST_SEED + person).code.w
        for frame in range(FRAMES):
            values = np.zeros(len(facs.CODES))
            if frame >= NEUTRAL:
                for code in rng.choice(TOGETHER).split():
                    values[facs.INDEX[code]] = rng.integers(3, 6)
            acted = np.tensordot(truth.distances(values / 5), truth.normals, axes=1)
            w.append(base + acted + OTHER_CHANGES * rng.standard_normal((len(base), 160)) @ basis)
            intensities.append(values)
            people.append(f"person {person:02d}")
    roles = by_intensity(np.array(intensities), 4)
    return Labelled(np.array(w, np.float32), roles, np.array(people), np.array(people))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True)
    output = parser.parse_args().output
    studio = duchenne.Studio()
    data, truth = simulate(studio), boundaries.built_in().normals
    methods = {}
    for name, (method, settings) in METHODS.items():
        fitted = labelled.fit(studio.renderer, data, method=method, settings=settings)
        cosines = (fitted.normals * truth).sum(axis=(1, 2))
        methods[name] = {
            "mean_cosine": round(float(cosines.mean()), 3),
            "cosine": {c: round(float(v), 3) for c, v in zip(facs.CODES, cosines, strict=True)},
            "action_units": fitted.provenance["action_units"],
        }
        print(f"{name}: mean cosine {cosines.mean():.3f}")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True)
    record = {
        "commit": commit.stdout.strip(),
        "machine": platform.processor() or platform.machine(),
        "first_seed": FIRST_SEED,
        "people": PEOPLE,
        "methods": methods,
    }
    output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
